//! SMTP (RFC 5321), submission (RFC 6409) and LMTP (RFC 2033) with PIPELINING, SIZE, 8BITMIME, SMTPUTF8,
//! CHUNKING, ENHANCEDSTATUSCODES, DSN, STARTTLS and AUTH.
//!
//! [`Door::open`] listens (`listen`); `proxy` hears from a proxy whom it speaks for; `session` is one connection, from greeting to goodbye; `scanner` finds
//! the end of a message and nothing else does. Commands are parsed by `smtp-proto`; its reader of
//! data is not used, because it takes more than CRLF.CRLF for an end.

mod auth;
mod budget;
mod data;
mod input;
mod limits;
mod line_ends;
mod listen;
mod proxy;
mod readings;
mod received;
mod replies;
mod scanner;
mod scram;
mod server;
mod session;
mod tls;
mod wire;

pub use limits::Limits;
pub use listen::Role;
pub(super) use replies::wrong_password;
pub use server::{Door, DoorError};

/// Reads message data that comes in `pieces`: the message, how many octets it took with its end (`None`:
/// the end did not come), and whether a bare CR or LF was among them.
#[doc(hidden)]
pub fn scan<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Option<usize>, bool) {
    let (mut scanner, mut message, mut read) = (scanner::Scanner::new(), Vec::new(), 0);
    for piece in pieces {
        if let Some(here) = scanner.feed(piece, |octets| message.extend_from_slice(octets)) {
            return (message, Some(read + here), scanner.saw_bare_line_end());
        }
        read += piece.len();
    }
    (message, None, scanner.saw_bare_line_end())
}

/// Reads command lines that come in `pieces`, and has each parsed: what they were.
#[doc(hidden)]
pub fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let (mut input, mut said) = (input::Input::new(), Vec::new());
    for mut piece in pieces {
        while !piece.is_empty() {
            piece = &piece[input.put(piece)..];
            loop {
                match input.line() {
                    input::Line::Partial => break,
                    input::Line::Whole(mut line) => {
                        line.extend_from_slice(b"\r\n");
                        let command = smtp_proto::Request::parse(&mut line.iter());
                        said.push(format!("{line:?} {command:?}"));
                    }
                    other => said.push(format!("{other:?}")),
                }
            }
        }
    }
    said
}

/// Whether the chain and the key for STARTTLS can be used.
///
/// # Errors
/// A sentence that names the file.
pub fn look_at_tls(certificate: &std::path::Path, key: &std::path::Path) -> Result<(), String> {
    tls::Identity::open(certificate, key, false).map(drop)
}
