//! An SMTP answer: code, enhanced status and a sentence.

use std::borrow::Cow;

/// The longest text of one line: RFC 5321 §4.5.3.1.5 allows 512 octets with code and CRLF.
const LINE: usize = 480;

/// An answer to a command. Every text is a sentence that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Three digits (RFC 5321 §4.2).
    pub code: u16,
    /// Enhanced status (RFC 2034 §3, RFC 3463); empty where RFC 2034 §4 wants none.
    pub status: &'static str,
    /// What the user reads.
    pub text: Cow<'static, str>,
}

impl Answer {
    /// An answer.
    #[must_use]
    pub fn new(code: u16, status: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status,
            text: text.into(),
        }
    }

    /// Whether the command failed for now or for good.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Appends the answer as it goes on the wire. What came from outside may be in the text: all but
    /// printable ASCII becomes `?`, so nobody can write a second answer into ours.
    pub fn write(&self, out: &mut Vec<u8>) {
        let text: String = self
            .text
            .chars()
            .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
            .collect();
        let mut rest = text.as_str();
        loop {
            let (line, more) = split_line(rest);
            let separator = if more.is_empty() { ' ' } else { '-' };
            // RFC 2034 §4: the status stands on every line of a multi-line answer.
            out.extend_from_slice(format!("{}{separator}", self.code).as_bytes());
            if !self.status.is_empty() {
                out.extend_from_slice(self.status.as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }
}

/// The text's first line, cut at a space where there is one, and what follows. The text is ASCII.
fn split_line(text: &str) -> (&str, &str) {
    if text.len() <= LINE {
        return (text, "");
    }
    match text[..LINE].rfind(' ') {
        Some(space) if space > 0 => (&text[..space], &text[space + 1..]),
        _ => text.split_at(LINE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer) -> String {
        let mut out = Vec::new();
        answer.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_is_one_line_unless_it_is_long() {
        let short = Answer::new(550, "5.7.1", "no: say who you are");
        assert_eq!(written(&short), "550 5.7.1 no: say who you are\r\n");
        let long = written(&Answer::new(550, "5.7.1", "word ".repeat(200)));
        let lines: Vec<&str> = long.split_terminator("\r\n").collect();
        assert!(lines.len() > 1);
        assert!(
            lines
                .iter()
                .all(|line| line.len() <= 510 && line[4..].starts_with("5.7.1 "))
        );
        assert!(
            lines
                .iter()
                .rev()
                .skip(1)
                .all(|line| line.starts_with("550-"))
        );
        assert!(lines.last().unwrap().starts_with("550 "));
    }

    #[test]
    fn nobody_writes_a_second_answer_into_ours() {
        let text = written(&Answer::new(550, "5.1.3", "a\r\n250 2.0.0 fine\u{e9}"));
        assert_eq!(text, "550 5.1.3 a??250 2.0.0 fine?\r\n");
    }
}
