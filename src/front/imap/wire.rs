//! The stream under an IMAP session, which bounds what a server may make us hold.
//!
//! The library reads a literal whole into memory, and makes room for it as soon as its length is announced: half a
//! gigabyte for one line of a server that errs. So the octets are counted before they get there, and a literal that is
//! longer than what was asked for ends the connection.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets of an ordinary answer, literals besides: a list of some hundred thousand UIDs.
pub(super) const ANSWER: u64 = 4 << 20;
/// Octets of a literal in an ordinary answer: a folder's name.
pub(super) const LITERAL: u64 = 16 << 10;

/// A connection: TCP, or TLS over it.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug> Io for T {}

/// A connection that is bounded.
#[derive(Debug)]
pub(super) struct Wire {
    inner: Box<dyn Io>,
    gauge: Gauge,
}

impl Wire {
    pub fn new(inner: impl Io + 'static) -> Self {
        let mut gauge = Gauge::default();
        gauge.allow(ANSWER, LITERAL);
        Self {
            inner: Box::new(inner),
            gauge,
        }
    }

    /// From here on so many octets may come, with literals of at most so many.
    pub fn allow(&mut self, octets: u64, literal: u64) {
        self.gauge.allow(octets, literal);
    }

    /// The connection below, for STARTTLS.
    pub fn into_inner(self) -> Box<dyn Io> {
        self.inner
    }
}

/// Why a server's octets are not taken. It goes through the library as the cause of an I/O error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("the server announces {0} octets, more than were asked for")]
    Literal(u64),
    #[error("the server's answer has no end")]
    Answer,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let heard = self.gauge.heard(&buffer.filled()[before..]);
        Poll::Ready(heard.map_err(io::Error::other))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Words behind `* ` after which comes text, in which braces are braces (RFC 9051 §7.1).
const TEXT: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];

/// Counts a server's octets, and reads which of them are literals.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    left: u64,
    literal: u64,
    /// Octets of a literal that are still to come.
    within: u64,
    /// How the answer begins, across its literals: which kind it is.
    head: Vec<u8>,
    /// The end of the line so far: where a literal is announced.
    tail: Vec<u8>,
    /// The line has a bracket: a response code may stand in it.
    bracket: bool,
}

impl Gauge {
    const HEAD: usize = 12;
    const TAIL: usize = 24;

    pub fn allow(&mut self, octets: u64, literal: u64) {
        (self.left, self.literal) = (octets, literal);
    }

    pub fn heard(&mut self, octets: &[u8]) -> Result<(), Excess> {
        self.left = (self.left)
            .checked_sub(octets.len() as u64)
            .ok_or(Excess::Answer)?;
        let mut rest = octets;
        while !rest.is_empty() {
            if self.within > 0 {
                let passed = usize::try_from(self.within).map_or(rest.len(), |n| n.min(rest.len()));
                self.within -= passed as u64;
                rest = &rest[passed..];
                continue;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, more) = rest.split_at(end);
            self.line(line);
            if line.ends_with(b"\n") {
                self.line_ends()?;
            }
            rest = more;
        }
        Ok(())
    }

    fn line(&mut self, octets: &[u8]) {
        let room = Self::HEAD.saturating_sub(self.head.len());
        self.head.extend(octets.iter().take(room));
        self.bracket |= octets.contains(&b'[');
        let kept = octets.len().saturating_sub(Self::TAIL);
        self.tail.extend(&octets[kept..]);
        let over = self.tail.len().saturating_sub(Self::TAIL);
        self.tail.drain(..over);
    }

    fn line_ends(&mut self) -> Result<(), Excess> {
        let (announced, is_data) = (announced(&self.tail), self.is_data());
        self.tail.clear();
        let Some(octets) = announced else {
            self.ends();
            return Ok(());
        };
        // The library makes room for BADCHARSET's charsets too, which may be literals (RFC 3501 §9, resp-text-code).
        // In what is text to us and literal to it we would lose count of each other.
        if octets > self.literal || (!is_data && self.bracket) {
            return Err(Excess::Literal(octets));
        }
        if is_data {
            self.within = octets;
        } else {
            self.ends();
        }
        Ok(())
    }

    /// The next line begins an answer.
    fn ends(&mut self) {
        self.head.clear();
        self.bracket = false;
    }

    /// Whether literals may stand in this answer.
    fn is_data(&self) -> bool {
        let Some(word) = self.head.strip_prefix(b"* ") else {
            return false;
        };
        let end = word
            .iter()
            .position(|octet| matches!(octet, b' ' | b'\r'))
            .unwrap_or(word.len());
        !TEXT
            .iter()
            .any(|text| word[..end].eq_ignore_ascii_case(text))
    }
}

/// The length in `{123}` at the end of a line (RFC 9051 §4.3); also as others write it, with a tilde before or a plus
/// behind (RFC 3516, RFC 7888). One of more digits than a length has is as long as can be.
fn announced(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let digits = line.iter().rev().take_while(|octet| octet.is_ascii_digit());
    let digits = digits.count();
    let (before, number) = line.split_at(line.len() - digits);
    if digits == 0 || !(before.ends_with(b"{") || digits + 3 >= Gauge::TAIL - 1) {
        return None;
    }
    let number = std::str::from_utf8(number).ok()?;
    Some(number.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(answer: &str) -> Result<(), Excess> {
        let mut gauge = Gauge::default();
        gauge.allow(10_000, 100);
        gauge.heard(answer.as_bytes())
    }

    #[test]
    fn literals_that_are_too_long_are_seen_before_they_come() {
        for (answer, octets) in [
            ("* 1 FETCH (UID 1 BODY[] {101}\r\n", 101),
            ("* LIST () \"/\" {500000000}\r\n", 500_000_000),
            ("* 1 FETCH (BODY[] {99999999999999999999999}\r\n", u64::MAX),
            ("* 1 FETCH (X {3}\r\nabc Y {999}\r\n", 999),
            ("* OK {3}\r\n* 1 FETCH (X {999}\r\n", 999),
            ("* 1 FETCH (X ~{999}\r\n", 999),
            ("* 1 FETCH (X {999+}\r\n", 999),
            ("* NO [BADCHARSET ({500000000}\r\n", 500_000_000),
            ("A0001 NO [BADCHARSET (x {999}\r\n", 999),
            // What hides the next one: a literal to the library, a line of text to whoever only looks at the beginning.
            ("* NO [BADCHARSET ({22}\r\n* 1 FETCH (X {100}\r\n)]\r\n", 22),
            ("+ {999}\r\n", 999),
        ] {
            assert_eq!(through(answer), Err(Excess::Literal(octets)), "{answer}");
        }
        for answer in [
            "* 1 FETCH (BODY[] {100}\r\n",
            "* OK braces {99}\r\nA1 OK {99}\r\n+ {99}\r\n* OK [ALERT] x\r\n* OK {9}\r\n* 1 EXISTS\r\n",
            "* 1 FETCH (X {9}\r\n {999}\r\n1)\r\n",
            "* 1 FETCH (X \"{999}\")\r\n",
            "* bye {99}\r\n",
            "* LIST () \"/\" {}\r\n",
        ] {
            assert_eq!(through(answer), Ok(()), "{answer}");
        }
    }

    #[test]
    fn an_answer_without_an_end_ends() {
        assert_eq!(through(&"* 1 EXISTS\r\n".repeat(1000)), Err(Excess::Answer));
    }

    proptest! {
        /// However the octets are cut into pieces, the same is let through.
        #[test]
        fn pieces_make_no_difference(words in prop::collection::vec(prop::sample::select(vec![
            "* ", "1 FETCH (", "{5}\r\n", "{101}\r\n", "{100}\r\n", "OK ", "\r\n", "x", "{", "}", "12", "+", "abcde",
        ]), 0..40), size in 1usize..9) {
            let text = words.concat();
            let whole = through(&text);
            let mut gauge = Gauge::default();
            gauge.allow(10_000, 100);
            let cut = text.as_bytes().chunks(size).try_for_each(|piece| gauge.heard(piece));
            prop_assert_eq!(whole, cut);
        }

        #[test]
        fn a_length_is_read_as_it_is_written(length in 0u64..2_000_000, before in "[a-z ({]{0,12}") {
            let line = format!("{before}{{{length}}}\r\n");
            prop_assert_eq!(announced(line.as_bytes()), Some(length));
        }
    }
}
