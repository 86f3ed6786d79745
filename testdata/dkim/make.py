#!/usr/bin/env python3
"""Makes the mails of this folder and zone.txt anew, signed by dkimpy (pip install dkimpy pynacl), with keys that
nobody keeps. They are dated 20 November 2026, 12:00 UTC; the tests set their clock by that."""

import base64, os, subprocess, sys, time
import dkim

HERE = os.path.dirname(os.path.abspath(__file__))
THEN = 1795176000  # 2026-11-20 12:00:00 UTC
ZONE = []
time.time = lambda: THEN


def rsa(bits):
    key = subprocess.run(["openssl", "genrsa", "-traditional", str(bits)], capture_output=True, check=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=key, capture_output=True, check=True)
    return key, "v=DKIM1; k=rsa; p=" + base64.b64encode(public.stdout).decode()


def ed25519():
    import nacl.signing
    key = nacl.signing.SigningKey.generate()
    return base64.b64encode(bytes(key)), "v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(key.verify_key)).decode()


def publish(name, text):
    ZONE.append(f"{name} {text}")


def mail(sender="ada@example.org", to="+33123456789@fax.example.com", more=""):
    return (
        f"From: Ada <{sender}>\r\nTo: {to}\r\n{more}Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n"
        f"Subject: the offer\r\nMessage-ID: <offer@example.org>\r\n\r\nOur offer,\r\n\r\nas promised. \r\n"
    ).encode()


USUAL = [b"from", b"to", b"cc", b"date", b"subject", b"message-id"]


def write(name, octets):
    with open(os.path.join(HERE, name + ".eml"), "wb") as file:
        file.write(octets)


def sign(name, message, key, domain="example.org", selector=b"s1", headers=USUAL, canon=(b"relaxed", b"relaxed"), **more):
    write(name, dkim.sign(message, selector, domain.encode(), key, canonicalize=canon, include_headers=headers, **more) + message)


os.chdir(HERE)
key, public = rsa(2048)
for domain in ["example.org", "mail.example.org", "strict.example", "mail.strict.example", "evil.example", "alone.example",
               "mail.alone.example"]:
    publish(f"s1._domainkey.{domain}", public)
publish("_dmarc.example.org", "v=DMARC1; p=none; rua=mailto:dmarc@example.org")
publish("_dmarc.strict.example", "v=DMARC1; p=reject; adkim=s; aspf=s")
publish("_dmarc.evil.example", "v=DMARC1; p=reject")
publish("test._domainkey.example.org", public + "; t=y")
publish("gone._domainkey.example.org", "v=DKIM1; p=")
edkey, edpublic = ed25519()
publish("ed._domainkey.example.org", edpublic)
shortkey, shortpublic = rsa(768)
publish("short._domainkey.example.org", shortpublic)

sign("good", mail(), key)
sign("simple", mail(), key, canon=(b"simple", b"simple"))
sign("ed25519", mail(), edkey, selector=b"ed", signature_algorithm=b"ed25519-sha256")
sign("two_numbers", mail(more="Cc: \"+49 (30) 123456\"@fax.example.com, bob@example.net\r\n"), key)
sign("length", mail(), key, length=True)
sign("sha1", mail(), key, signature_algorithm=b"rsa-sha1")
sign("to_not_covered", mail(), key, headers=[b"from", b"date", b"subject"])
sign("below", mail(), key, domain="mail.example.org")
sign("strict", mail("ada@strict.example"), key, domain="strict.example")
sign("strict_below", mail("ada@strict.example"), key, domain="mail.strict.example")
sign("another", mail(), key, domain="evil.example")
sign("alone", mail("ada@alone.example"), key, domain="alone.example")
sign("alone_below", mail("ada@alone.example"), key, domain="mail.alone.example")
sign("test_key", mail(), key, selector=b"test")
sign("revoked", mail(), key, selector=b"gone")
sign("no_key", mail(), key, selector=b"never")
try:
    sign("short_key", mail(), shortkey, selector=b"short")
except Exception as error:
    sys.exit(f"768 bits: {error}")
write("unsigned", mail())
with open("zone.txt", "w") as file:
    file.write("\n".join(ZONE) + "\n")
