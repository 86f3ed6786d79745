//! The client side of HylaFAX's protocol (hfaxd(8)): FTP (RFC 959) with jobs.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// No answer takes longer: hfaxd answers from files, and one that hangs must not hold a call for ever.
const ANSWER: Duration = Duration::from_secs(30);
/// Nor does a document.
const TRANSFER: Duration = Duration::from_secs(300);
/// Octets of a line, lines of an answer, octets of a transfer: more is no HylaFAX.
const MAX_LINE: u64 = 8192;
const MAX_LINES: usize = 4096;
const MAX_DATA: u64 = 256 << 20;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The connection.
    #[error("the connection to HylaFAX failed: {0}")]
    Lost(#[from] io::Error),
    /// Silence.
    #[error("HylaFAX did not answer {0} in time")]
    Silent(&'static str),
    /// A refusal (RFC 959 §4.2: 4yz and 5yz).
    #[error("HylaFAX refused {request}: {reply}")]
    Refused {
        /// The request's verb: what follows may be a password.
        request: &'static str,
        /// The last line of the answer.
        reply: String,
    },
    /// Not what the protocol has.
    #[error("HylaFAX answered {0} with what no HylaFAX says")]
    Garbled(&'static str),
}

/// An answer: its code and its lines without the code.
#[derive(Debug)]
pub(super) struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    /// The last line, which has the sentence.
    pub fn last(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }

    /// The number behind `word` in the last line: `jobid: 12`.
    pub fn number(&self, word: &str) -> Option<u32> {
        let (_, rest) = self.last().split_once(word)?;
        let digits = rest.trim_start();
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        digits[..end].parse().ok()
    }
}

/// A session.
pub(super) struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    peer: IpAddr,
}

impl Client {
    /// Connects and logs in; ready for images.
    pub async fn login(
        host: &str,
        port: u16,
        user: &str,
        password: Option<&str>,
    ) -> Result<Self, ClientError> {
        let stream = timeout(ANSWER, TcpStream::connect((host, port)))
            .await
            .map_err(|_| ClientError::Silent("a connection"))??;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?.ip();
        let (reader, writer) = stream.into_split();
        let mut client = Self {
            reader: BufReader::new(reader),
            writer,
            peer,
        };
        accepted("a connection", client.reply("a connection").await?)?;
        let reply = client.ask("USER", user).await?;
        // RFC 959 §5.4: 331 asks for the password.
        if reply.code == 331 {
            let Some(password) = password else {
                return Err(ClientError::Refused {
                    request: "USER",
                    reply: "it wants a password: `set trunk NAME password …`".into(),
                });
            };
            client.done("PASS", password).await?;
        } else {
            accepted("USER", reply)?;
        }
        client.done("TYPE", "I").await?;
        Ok(client)
    }

    /// Asks; whatever the answer.
    pub async fn ask(&mut self, verb: &'static str, rest: &str) -> Result<Reply, ClientError> {
        // A line end within would be a second request.
        let rest: String = rest.chars().filter(|c| !c.is_control()).collect();
        let line = format!("{verb}{}{rest}\r\n", if rest.is_empty() { "" } else { " " });
        timeout(ANSWER, self.writer.write_all(line.as_bytes()))
            .await
            .map_err(|_| ClientError::Silent(verb))??;
        self.reply(verb).await
    }

    /// Asks for what must be done.
    pub async fn done(&mut self, verb: &'static str, rest: &str) -> Result<Reply, ClientError> {
        let reply = self.ask(verb, rest).await?;
        accepted(verb, reply)
    }

    /// Sets a parameter of the current job to a string.
    pub async fn parameter(&mut self, name: &str, value: &str) -> Result<Reply, ClientError> {
        let value: String = value.chars().filter(|c| *c != '"' && *c != '\\').collect();
        self.done("JPARM", &format!("{name} \"{value}\"")).await
    }

    /// Sends a file; the answer names it.
    pub async fn store(&mut self, verb: &'static str, bytes: &[u8]) -> Result<String, ClientError> {
        let mut data = self.data().await?;
        let begun = self.ask(verb, "").await?;
        if begun.code / 100 != 1 {
            accepted(verb, begun)?;
            return Err(ClientError::Garbled(verb));
        }
        let sent = async {
            data.write_all(bytes).await?;
            data.shutdown().await
        };
        timeout(TRANSFER, sent)
            .await
            .map_err(|_| ClientError::Silent(verb))??;
        drop(data);
        let stored = self.reply(verb).await?;
        let stored = accepted(verb, stored)?;
        // `226 Transfer complete (FILE: /tmp/doc1.ps).`
        let name = stored.last().split_once("FILE: ").map(|(_, name)| name);
        let name = name.or_else(|| begun.last().split_once("FILE: ").map(|(_, name)| name));
        name.and_then(|name| name.split([')', ' ']).next())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .ok_or(ClientError::Garbled(verb))
    }

    /// Fetches a file or a listing.
    pub async fn fetch(&mut self, verb: &'static str, name: &str) -> Result<Vec<u8>, ClientError> {
        let data = self.data().await?;
        let begun = self.ask(verb, name).await?;
        if begun.code / 100 != 1 {
            accepted(verb, begun)?;
            return Err(ClientError::Garbled(verb));
        }
        let mut bytes = Vec::new();
        timeout(TRANSFER, data.take(MAX_DATA).read_to_end(&mut bytes))
            .await
            .map_err(|_| ClientError::Silent(verb))??;
        let ended = self.reply(verb).await?;
        // Only this says that it was the whole: a connection that breaks looks like an end.
        accepted(verb, ended)?;
        Ok(bytes)
    }

    /// The lines of a listing in a format of ours, fields between bars.
    pub async fn list(&mut self, folder: &str) -> Result<Vec<Vec<String>>, ClientError> {
        let listing = self.fetch("LIST", folder).await?;
        let listing = String::from_utf8_lossy(&listing);
        let fields = |line: &str| {
            line.split('|')
                .map(|field| field.trim().to_owned())
                .collect()
        };
        Ok(listing.lines().map(fields).collect())
    }

    /// A data connection: RFC 2428 §3, else RFC 959 §4.1.2 PASV. It goes to the server that we talk to,
    /// whatever address an answer names.
    async fn data(&mut self) -> Result<TcpStream, ClientError> {
        let extended = self.ask("EPSV", "").await?;
        let port = if extended.code == 229 {
            // `229 Entering Extended Passive Mode (|||37083|)`
            extended
                .last()
                .rsplit('|')
                .nth(1)
                .and_then(|port| port.parse().ok())
        } else {
            // `227 Entering passive mode (127,0,0,1,137,115)`
            let passive = self.done("PASV", "").await?;
            let octets = passive.last().split_once('(').map(|(_, rest)| rest);
            let octets: Vec<u16> = octets
                .and_then(|rest| rest.split(')').next())
                .unwrap_or_default()
                .split(',')
                .filter_map(|octet| octet.trim().parse::<u8>().ok().map(u16::from))
                .collect();
            match octets[..] {
                [_, _, _, _, high, low] => Some(high << 8 | low),
                _ => None,
            }
        };
        let port = port.ok_or(ClientError::Garbled("PASV"))?;
        let stream = TcpStream::connect(SocketAddr::new(self.peer, port));
        Ok(timeout(ANSWER, stream)
            .await
            .map_err(|_| ClientError::Silent("PASV"))??)
    }

    /// An answer of one or more lines (RFC 959 §4.2): `217-…` goes on until `217 …`.
    async fn reply(&mut self, to: &'static str) -> Result<Reply, ClientError> {
        let mut lines = Vec::new();
        let mut code = None;
        while lines.len() < MAX_LINES {
            let mut line = Vec::new();
            let mut limited = (&mut self.reader).take(MAX_LINE);
            let read = timeout(ANSWER, limited.read_until(b'\n', &mut line))
                .await
                .map_err(|_| ClientError::Silent(to))??;
            if read == 0 || line.last() != Some(&b'\n') {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let head = line
                .get(..3)
                .and_then(|digits| digits.parse::<u16>().ok())
                .filter(|head| (100..600).contains(head));
            let first = match code {
                Some(first) => first,
                None => *code.insert(head.ok_or(ClientError::Garbled(to))?),
            };
            if head == Some(first) && line.as_bytes().get(3) != Some(&b'-') {
                lines.push(line.get(4..).unwrap_or_default().to_owned());
                return Ok(Reply { code: first, lines });
            }
            let text = if head == Some(first) {
                line.get(4..)
            } else {
                Some(&*line)
            };
            lines.push(text.unwrap_or_default().to_owned());
        }
        Err(ClientError::Garbled(to))
    }
}

fn accepted(request: &'static str, reply: Reply) -> Result<Reply, ClientError> {
    if reply.code >= 400 {
        return Err(ClientError::Refused {
            request,
            reply: format!("{} {}", reply.code, reply.last()),
        });
    }
    Ok(reply)
}
