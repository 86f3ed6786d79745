//! The client's side of SMTP, bare: every answer is shown.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// What the server answered.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// To MAIL FROM.
    pub mail: String,
    /// To each RCPT TO; empty when MAIL was refused.
    pub rcpt: Vec<String>,
    /// To the end of the data, or to DATA when that was refused; none when no recipient was taken.
    pub data: Option<String>,
}

/// `<address>`, and the parameters behind a space in it: `a@b NOTIFY=NEVER`.
fn path(text: &str) -> String {
    match text.split_once(' ') {
        Some((address, parameters)) => format!("<{address}> {parameters}"),
        None => format!("<{text}>"),
    }
}

/// Sends one message. Addresses may have parameters behind a space.
pub async fn send(
    server: SocketAddr,
    from: &str,
    to: &[String],
    message: &[u8],
) -> io::Result<Answers> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    stream.get_ref().set_nodelay(true)?;
    let mut answers = Answers::default();
    answer(&mut stream).await?;
    say(&mut stream, "EHLO client.localhost").await?;
    answers.mail = say(&mut stream, &format!("MAIL FROM:{}", path(from))).await?;
    if answers.mail.starts_with('2') {
        for to in to {
            let answer = say(&mut stream, &format!("RCPT TO:{}", path(to))).await?;
            answers.rcpt.push(answer);
        }
        if answers.rcpt.iter().any(|answer| answer.starts_with('2')) {
            let go_on = say(&mut stream, "DATA").await?;
            answers.data = Some(if go_on.starts_with("354") {
                stream.get_mut().write_all(&stuffed(message)).await?;
                answer(&mut stream).await?
            } else {
                go_on
            });
        }
    }
    // Who hangs up first does not matter to the message.
    let _ = say(&mut stream, "QUIT").await;
    Ok(answers)
}

/// Sends octets as they are, with the final dot, and gives the answer to them.
#[allow(dead_code, reason = "not every test program smuggles")]
pub async fn send_raw(
    server: SocketAddr,
    from: &str,
    to: &[String],
    octets: &[u8],
) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    answer(&mut stream).await?;
    say(&mut stream, "EHLO client.localhost").await?;
    say(&mut stream, &format!("MAIL FROM:<{from}>")).await?;
    for to in to {
        say(&mut stream, &format!("RCPT TO:<{to}>")).await?;
    }
    say(&mut stream, "DATA").await?;
    let all = [octets, b".\r\n"].concat();
    stream.get_mut().write_all(&all).await?;
    answer(&mut stream).await
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> io::Result<String> {
    stream
        .get_mut()
        .write_all(format!("{line}\r\n").as_bytes())
        .await?;
    answer(stream).await
}

/// One answer, its lines joined by newlines.
async fn answer(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.push_str(line.trim_end());
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(all);
        }
        all.push('\n');
    }
}

/// With CRLF line ends, dots doubled (RFC 5321 §4.5.2) and the final dot.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut lines: Vec<&[u8]> = message.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
