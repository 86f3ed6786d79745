//! The end of a message, and nothing but the end.
//!
//! Only CRLF.CRLF ends a message (RFC 5321 §4.1.1.4); servers that take less let a sender smuggle a
//! second mail past the first one's checks. A bare CR or LF (RFC 5321 §2.3.8 forbids both) is
//! remembered, so that the whole message can be refused at its true end. The dot that the client put
//! before a dot (§4.5.2) is taken away, on the first line too.

use memchr::memchr2;

/// Where in the line the scanner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// After CRLF, or at the very start: the command's own CRLF came before.
    LineStart,
    /// Within a line.
    Text,
    /// After a CR.
    Cr,
    /// After a dot at the line's start.
    Dot,
    /// After a dot at the line's start and a CR.
    DotCr,
}

/// Reads message data in pieces of any size.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    bare: bool,
}

impl Scanner {
    /// At the first octet after the 354 answer.
    pub fn new() -> Self {
        Self {
            state: State::LineStart,
            bare: false,
        }
    }

    /// Whether a bare CR or LF was seen: the message must be refused, and what was put out is not what
    /// was sent.
    pub fn saw_bare_line_end(&self) -> bool {
        self.bare
    }

    /// Reads `input`, gives the message's octets to `out` and says how many octets were read up to
    /// and with the end of the message, if it is in there.
    pub fn feed(&mut self, input: &[u8], mut out: impl FnMut(&[u8])) -> Option<usize> {
        // What lies from `kept` on is still to be given out: whole runs, not lines.
        let mut kept = 0;
        let mut at = 0;
        while at < input.len() {
            if self.state == State::Text {
                match memchr2(b'\r', b'\n', &input[at..]) {
                    Some(skip) => at += skip,
                    None => break,
                }
            }
            let octet = input[at];
            self.state = match (self.state, octet) {
                (State::Dot, b'\r') => {
                    kept = at + 1;
                    State::DotCr
                }
                (State::DotCr, b'\n') => return Some(at + 1),
                (State::LineStart, b'.') => {
                    out(&input[kept..at]);
                    kept = at + 1;
                    State::Dot
                }
                (State::Cr, b'\n') => State::LineStart,
                (State::Text | State::LineStart, b'\r') => State::Cr,
                (State::Cr | State::DotCr, b'\r') => {
                    self.bare = true;
                    State::Cr
                }
                (_, b'\n') => {
                    self.bare = true;
                    State::Text
                }
                (State::Cr | State::DotCr, _) => {
                    self.bare = true;
                    State::Text
                }
                (_, _) => State::Text,
            };
            at += 1;
        }
        out(&input[kept..]);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a message is, said octet by octet: everything before the first CRLF.CRLF (the command's
    /// CRLF counts), lines without their stuffed dot. The rest is what follows the end.
    fn oracle(data: &[u8]) -> Option<(Vec<u8>, bool, usize)> {
        let whole = [b"\r\n", data].concat();
        let end = (0..whole.len()).find(|at| whole[*at..].starts_with(b"\r\n.\r\n"))?;
        let body = &whole[2..end + 2];
        let mut message = Vec::new();
        let mut bare = false;
        let mut line_start = true;
        let mut at = 0;
        while at < body.len() {
            if body[at..].starts_with(b"\r\n") {
                message.extend_from_slice(b"\r\n");
                line_start = true;
                at += 2;
                continue;
            }
            bare |= body[at] == b'\r' || body[at] == b'\n';
            if !(line_start && body[at] == b'.') {
                message.push(body[at]);
            }
            line_start = false;
            at += 1;
        }
        Some((message, bare, end + 3))
    }

    fn scan(chunks: &[&[u8]]) -> Option<(Vec<u8>, bool, usize)> {
        let mut scanner = Scanner::new();
        let mut message = Vec::new();
        let mut before = 0;
        for chunk in chunks {
            if let Some(used) = scanner.feed(chunk, |piece| message.extend_from_slice(piece)) {
                return Some((message, scanner.saw_bare_line_end(), before + used));
            }
            before += chunk.len();
        }
        None
    }

    #[test]
    fn an_empty_message_ends_at_once() {
        assert_eq!(scan(&[b".\r\n"]), Some((vec![], false, 3)));
    }

    #[test]
    fn dots_are_unstuffed_on_every_line() {
        let (message, bare, used) = scan(&[b"..a\r\n..\r\n.b\r\nc.\r\n.\r\nQUIT\r\n"]).unwrap();
        assert_eq!(message, b".a\r\n.\r\nb\r\nc.\r\n");
        assert!(!bare);
        assert_eq!(used, 20);
    }

    /// The eleven line ends that some servers take for the end of a message.
    #[test]
    fn smuggled_ends_are_no_ends() {
        for end in [
            &b"\n.\n"[..],
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\r",
            b"\r\n.\r\r\n",
            b"\n.\r",
            b"\r.\n",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
        ] {
            let data = [b"first", end, b"MAIL FROM:<eve@example.net>"].concat();
            assert_eq!(scan(&[&data]), None, "{:?}", end.escape_ascii().to_string());
            let ended = [&data[..], b"\r\n.\r\n"].concat();
            let (message, bare, used) = scan(&[&ended]).unwrap();
            assert_eq!(used, ended.len(), "{:?}", end.escape_ascii().to_string());
            // Only the two with NUL have sound line ends; they are one message, not two.
            assert_eq!(
                bare,
                !end.contains(&0),
                "{:?}",
                end.escape_ascii().to_string()
            );
            if !bare {
                assert!(message.windows(9).any(|window| window == b"MAIL FROM"));
            }
        }
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            &b"\r\n"[..],
            b"\r",
            b"\n",
            b".",
            b"\r\n.\r\n",
            b"\r\n.",
            b"..",
            b"text",
            b"\0",
            b"\xff",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn it_reads_what_the_oracle_reads_however_it_is_cut(
            data in pieces(),
            cuts in prop::collection::vec(0usize..64, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= data.len()).collect();
            cuts.extend([0, data.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &data[cut[0]..cut[1]]).collect();
            match (scan(&chunks), oracle(&data)) {
                (None, None) => {}
                (Some((message, bare, used)), Some((expected, expected_bare, expected_used))) => {
                    prop_assert_eq!(used, expected_used);
                    prop_assert_eq!(bare, expected_bare);
                    // A message with bare line ends is refused, whatever it holds.
                    if !bare {
                        prop_assert_eq!(message, expected);
                    }
                }
                (found, expected) => prop_assert!(false, "{:?} but {:?}", found, expected),
            }
        }

        #[test]
        fn what_is_stuffed_comes_out_as_it_was(lines in prop::collection::vec("[.a]{0,6}", 0..12)) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed: String = lines
                .iter()
                .map(|line| format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" }))
                .collect();
            let (out, bare, _) = scan(&[stuffed.as_bytes(), b".\r\n"]).unwrap();
            prop_assert!(!bare);
            prop_assert_eq!(out, message.into_bytes());
        }
    }
}
