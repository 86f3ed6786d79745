//! What `run.sh` needs besides Postfix's `smtp-source`, with nothing but the standard library:
//!
//! ```text
//! load mail NAME                                       a mail of 49 KB with a PDF of 36 KB, to stdout; its
//!                                                      Message-ID has NAME in it
//! load large NAME                                      one of 20 MB
//! load port                                            a TCP port of 127.0.0.1 that is free now
//! load send ADDRESS SESSIONS MAILS FILE FROM TO        MAILS a session, all sessions at once
//! ```
//!
//! `send` keeps its connections open, a thread each. Each session stops before the last dot of its
//! first mail until all others are there too, so all are in the middle of a message at once. The
//! last line printed is `accepted N seconds S min M p50 M p99 M max M dot99 M`: mails that got 250,
//! milliseconds from MAIL to the 250 after the dot, and from the dot to the 250; the first mail of
//! each session doesn't count for the times.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::ExitCode,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

/// Nothing is waited for longer than this.
/// RFC 5321 §4.5.3.2.6: the answer to the dot may take ten minutes.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["mail", name] => io::stdout().write_all(mail(name, 1).as_bytes()),
        // A picture of 36 KB is 49 KB in base64.
        ["large", name] => io::stdout().write_all(mail(name, 20_000 / 49).as_bytes()),
        ["port"] => port(),
        ["send", address, sessions, mails, file, from, to] => {
            match (sessions.parse(), mails.parse()) {
                (Ok(sessions), Ok(mails)) => send(address, sessions, mails, file, from, to),
                _ => Err(io::Error::other("SESSIONS and MAILS are numbers")),
            }
        }
        _ => Err(io::Error::other(
            "use: load mail NAME | load large NAME | load port | load send ADDRESS SESSIONS MAILS FILE FROM TO",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn port() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    Ok(())
}

// The mail ---------------------------------------------------------------

/// Lines end with LF: `smtp-source` and [`on_the_wire`] make CRLF of it.
fn mail(name: &str, pictures: usize) -> String {
    let mut mail = format!(
        "From: Alice Martin <alice@example.localhost>\n\
         To: +33123456789@fax.localhost\n\
         Subject: The signed offer\n\
         Date: Mon, 2 Nov 2026 10:00:00 +0100\n\
         Message-ID: <offer-{name}@example.localhost>\n\
         MIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"=-part\"\n\n\
         --=-part\n\
         Content-Type: text/plain; charset=utf-8\n\n\
         Here is the offer, signed.\n\n\
         --=-part\n\
         Content-Type: application/pdf; name=\"offer.pdf\"\n\
         Content-Disposition: attachment; filename=\"offer.pdf\"\n\
         Content-Transfer-Encoding: base64\n\n",
    );
    let text = base64(&pdf().repeat(pictures));
    for line in text.as_bytes().chunks(76) {
        mail.push_str(&String::from_utf8_lossy(line));
        mail.push('\n');
    }
    mail.push_str("--=-part--\n");
    mail
}

/// One page with a bi-level picture of 568 × 512 dots: 36 KB that don't compress.
fn pdf() -> Vec<u8> {
    let (width, height) = (568usize, 512usize);
    let mut dots = Vec::with_capacity(width / 8 * height);
    let mut state = 0x2545_f491_4f6c_dd1du64;
    while dots.len() < width / 8 * height {
        // xorshift64: the same picture each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        dots.push(state as u8);
    }
    let content = b"q 568 0 0 512 14 165 cm /I Do Q";
    let stream = |head: String, bytes: &[u8]| {
        let mut object = format!("<< {head} /Length {} >>\nstream\n", bytes.len()).into_bytes();
        object.extend_from_slice(bytes);
        object.extend_from_slice(b"\nendstream");
        object
    };
    let picture = format!(
        "/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent 1 \
         /ColorSpace /DeviceGray"
    );
    let objects: [Vec<u8>; 5] = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
          /Resources << /XObject << /I 5 0 R >> >> >>"
            .to_vec(),
        stream(String::new(), content),
        stream(picture, &dots),
    ];
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let start = out.len();
    out.extend_from_slice(b"xref\n0 6\n0000000000 65535 f \n");
    for place in places {
        out.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(
        format!("trailer << /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").as_bytes(),
    );
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let octet = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let all = octet(0) << 16 | octet(1) << 8 | octet(2);
        for index in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * index) & 63) as usize] as char;
            text.push(if index > three.len() { '=' } else { letter });
        }
    }
    text
}

// Sending ----------------------------------------------------------------

/// What a session measured.
#[derive(Default)]
struct Seen {
    accepted: usize,
    /// From MAIL to the answer after the dot, and from the dot to it.
    times: Vec<(Duration, Duration)>,
}

fn send(
    address: &str,
    sessions: usize,
    mails: usize,
    file: &str,
    from: &str,
    to: &str,
) -> io::Result<()> {
    let body: Arc<[u8]> = on_the_wire(&std::fs::read(file)?).into();
    let all_here = Arc::new(Barrier::new(sessions));
    let begin = Instant::now();
    let threads: Vec<_> = (0..sessions)
        .map(|_| {
            let (body, all_here) = (Arc::clone(&body), Arc::clone(&all_here));
            let (address, from, to) = (address.to_owned(), from.to_owned(), to.to_owned());
            thread::Builder::new()
                .stack_size(256 << 10)
                .spawn(move || session(&address, mails, &body, &from, &to, &all_here))
        })
        .collect::<Result<_, _>>()?;
    let mut all = Seen::default();
    let mut fault = None;
    for thread in threads {
        match thread.join() {
            Ok(Ok(seen)) => {
                all.accepted += seen.accepted;
                all.times.extend(seen.times);
            }
            Ok(Err(error)) => fault = Some(error),
            Err(_) => fault = Some(io::Error::other("a session panicked")),
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let ms = |mut times: Vec<Duration>, share: f64| {
        times.sort_unstable();
        let index = (times.len().saturating_sub(1) as f64 * share).round() as usize;
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let whole: Vec<Duration> = all.times.iter().map(|(whole, _)| *whole).collect();
    let dot: Vec<Duration> = all.times.iter().map(|(_, dot)| *dot).collect();
    println!(
        "accepted {} seconds {seconds:.3} min {:.2} p50 {:.2} p99 {:.2} max {:.2} dot99 {:.2}",
        all.accepted,
        ms(whole.clone(), 0.0),
        ms(whole.clone(), 0.5),
        ms(whole.clone(), 0.99),
        ms(whole, 1.0),
        ms(dot, 0.99),
    );
    fault.map_or(Ok(()), Err)
}

fn session(
    address: &str,
    mails: usize,
    body: &[u8],
    from: &str,
    to: &str,
    all_here: &Barrier,
) -> io::Result<Seen> {
    let mut talk = Talk::open(address);
    let mut seen = Seen::default();
    for mail in 0..mails {
        let begin = Instant::now();
        let ready = talk.as_mut().map_or_else(
            |error| Err(io::Error::new(error.kind(), error.to_string())),
            |talk| talk.up_to_the_dot(&own_field(mail), body, from, to),
        );
        if mail == 0 {
            // Also after a failure: the others count on everybody.
            all_here.wait();
        }
        ready?;
        let Ok(talk) = &mut talk else { break };
        let dot = Instant::now();
        talk.say(b".\r\n", 250)?;
        seen.accepted += 1;
        if mail > 0 {
            seen.times.push((begin.elapsed(), dot.elapsed()));
        }
    }
    talk?.say(b"QUIT\r\n", 221)?;
    Ok(seen)
}

/// A header field that no other mail has: a gateway that faxes a mail once takes no two for the same.
fn own_field(mail: usize) -> String {
    let process = std::process::id();
    format!("X-Mail: {process}-{:?}-{mail}\r\n", thread::current().id())
}

/// One SMTP connection.
struct Talk {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Talk {
    fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let answers = BufReader::with_capacity(1024, stream.try_clone()?);
        let mut talk = Self { stream, answers };
        talk.expect(220)?;
        talk.say(b"EHLO bench.localhost\r\n", 250)?;
        Ok(talk)
    }

    /// Everything of a mail but the dot.
    fn up_to_the_dot(&mut self, field: &str, body: &[u8], from: &str, to: &str) -> io::Result<()> {
        self.say(format!("MAIL FROM:<{from}>\r\n").as_bytes(), 250)?;
        self.say(format!("RCPT TO:<{to}>\r\n").as_bytes(), 250)?;
        self.say(b"DATA\r\n", 354)?;
        self.stream.write_all(field.as_bytes())?;
        self.stream.write_all(body)
    }

    fn say(&mut self, words: &[u8], code: u16) -> io::Result<()> {
        self.stream.write_all(words)?;
        self.expect(code)
    }

    /// Reads an answer of one or more lines (RFC 5321 §4.2.1).
    fn expect(&mut self, code: u16) -> io::Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            // No honest answer has longer lines.
            if self.answers.by_ref().take(2048).read_line(&mut line)? == 0 {
                return Err(io::Error::other("the server hung up"));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        if line.get(..3).and_then(|code| code.parse().ok()) == Some(code) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{code} was expected, not {}",
            line.trim_end()
        )))
    }
}

/// CRLF at line ends, and dots doubled at their beginnings (RFC 5321 §4.5.2).
fn on_the_wire(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() * 51 / 50);
    for line in mail.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
    out
}
