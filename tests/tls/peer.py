"""A SIP peer over TLS on OpenSSL (Python's ssl): `server CHAIN KEY` takes a call, `client CA PORT` asks OPTIONS.
Prints what it sees, a line each."""
import socket
import ssl
import sys

ANSWER = ("v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
          "m=audio 5000 RTP/AVP 8\r\n")


def say(*words):
    print(*words, flush=True)


def messages(stream):
    read = b""
    while True:
        octets = stream.recv(65536)
        if not octets:
            return
        read += octets
        while b"\r\n\r\n" in read:
            head, rest = read.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            length = [int(l.split(":")[1]) for l in lines if l.lower().startswith("content-length")]
            if len(rest) < (length or [0])[0]:
                break
            read = rest[(length or [0])[0]:]
            yield lines


def reply(lines, contact, body=""):
    kept = [l for l in lines[1:] if l.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
    kept = [l + ";tag=py" if l.startswith("To:") and ";tag=" not in l else l for l in kept]
    kind = ["Content-Type: application/sdp"] if body else []
    return "\r\n".join(["SIP/2.0 200 OK", *kept, f"Contact: <{contact};transport=tls>", *kind,
                        f"Content-Length: {len(body)}", "", body]).encode()


def server(chain, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    say("port", port)
    while True:
        stream = context.wrap_socket(listener.accept()[0], server_side=True)
        say("tls", stream.version())
        for lines in messages(stream):
            method = lines[0].split(" ")[0]
            say(method)
            if method not in ("ACK", "SIP/2.0"):
                body = ANSWER if method == "INVITE" else ""
                stream.sendall(reply(lines, f"sip:py@127.0.0.1:{port}", body))


def client(ca, port):
    context = ssl.create_default_context(cafile=ca)
    stream = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))),
                                 server_hostname="trunk.test")
    say("tls", stream.version())
    own = "127.0.0.1:%d" % stream.getsockname()[1]
    stream.sendall((f"OPTIONS sip:gw@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bKpy;rport\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:py@{own}>;tag=1\r\nTo: <sip:gw@127.0.0.1:{port}>\r\n"
                    "Call-ID: py\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode())
    say(next(messages(stream))[0])


{"server": server, "client": client}[sys.argv[1]](*sys.argv[2:])
