//! The read buffer: command lines and pieces of message data.

use std::io;

use memchr::memchr;

use super::wire::Wire;

/// Octets of the buffer: all that a session holds while it takes commands.
pub const BUFFER: usize = 16 << 10;
/// The longest command line with its CRLF. RFC 5321 §4.5.3.1.4 wants 512; the parameters of DSN
/// (RFC 3461 §5.4), SMTPUTF8 and AUTH add to that.
const LINE: usize = 4096;

/// A read buffer that never grows.
pub struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The rest of an overlong line is still to be thrown away; whether it began as BDAT.
    skipping: Option<bool>,
}

/// What the buffer holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A command line without its CRLF.
    Whole(Vec<u8>),
    /// A line that ended otherwise, or holds control characters. Octets follow it that are no commands when it
    /// began as BDAT (RFC 3030 §2).
    Malformed {
        /// It began so.
        chunk: bool,
    },
    /// A line that was too long and is gone.
    TooLong {
        /// As above.
        chunk: bool,
    },
    /// Not yet a line.
    Partial,
}

impl Input {
    /// Empty.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            skipping: None,
        }
    }

    /// What was read and not yet used.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Marks octets as used.
    pub fn consume(&mut self, octets: usize) {
        self.start = (self.start + octets).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Puts octets in as if they had been read, as many as there is room for; for tests.
    pub fn put(&mut self, octets: &[u8]) -> usize {
        self.make_room();
        let room = &mut self.buffer[self.end..];
        let put = octets.len().min(room.len());
        room[..put].copy_from_slice(&octets[..put]);
        self.end += put;
        put
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Reads once; 0 at the end of the connection.
    pub async fn fill(&mut self, wire: &mut Wire) -> io::Result<usize> {
        self.make_room();
        let read = wire.read(&mut self.buffer[self.end..]).await?;
        self.end += read;
        Ok(read)
    }

    /// Takes the next line.
    pub fn line(&mut self) -> Line {
        let unread = &self.buffer[self.start..self.end];
        let chunk = self.skipping.unwrap_or(begins_a_chunk(unread));
        let Some(end) = memchr(b'\n', unread) else {
            if self.skipping.is_some() || unread.len() >= LINE {
                self.skipping = Some(chunk);
                self.consume(self.end - self.start);
            }
            return Line::Partial;
        };
        if self.skipping.is_some() || end >= LINE {
            self.skipping = None;
            self.consume(end + 1);
            return Line::TooLong { chunk };
        }
        let line = &unread[..end];
        let found = match line.strip_suffix(b"\r") {
            // RFC 5321 §2.3.8: CR and LF only as a pair; §4.1.1.1: no control characters.
            Some(text) if !text.iter().any(u8::is_ascii_control) => Line::Whole(text.to_vec()),
            _ => Line::Malformed { chunk },
        };
        self.consume(end + 1);
        found
    }
}

/// Whether a line is BDAT, or means to be.
pub fn begins_a_chunk(line: &[u8]) -> bool {
    line.get(..4)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(octets: &[u8]) -> Input {
        let mut input = Input::new();
        assert_eq!(input.put(octets), octets.len());
        input
    }

    #[test]
    fn lines_end_with_cr_lf() {
        let mut input = holding(b"NOOP\r\nRSET\nQU\rIT\r\nA\tB\r\nrest");
        assert_eq!(input.line(), Line::Whole(b"NOOP".to_vec()));
        assert_eq!(input.line(), Line::Malformed { chunk: false });
        assert_eq!(input.line(), Line::Malformed { chunk: false });
        assert_eq!(input.line(), Line::Malformed { chunk: false });
        assert_eq!(input.line(), Line::Partial);
        assert_eq!(input.unread(), b"rest");
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut input = holding(&[b'a'; LINE + 1]);
        assert_eq!(input.line(), Line::Partial);
        assert_eq!(input.unread(), b"");
        input.put(b"aa\r\nNOOP\n");
        assert_eq!(input.line(), Line::TooLong { chunk: false });
        assert_eq!(input.line(), Line::Malformed { chunk: false });
        assert_eq!(input.line(), Line::Partial);
    }
}
