//! The password of a transmission: given in the mail's header, because no address has an element for one
//! (RFC 3192), and said to the far machine in SID (T.30 §5.3.6.1.4).

use std::fmt;

use mail_parser::Header;
use serde::{Deserialize, Serialize};

/// The header line that gives it: for every number of the mail.
pub const PASSWORD_HEADER: &str = "X-Fax-Password";

/// The longest that a SID frame holds (T.30 §5.3.6.2.10).
const LONGEST: usize = 20;

/// A password: 1 to 20 of digits, `#` and `*`. It is kept in the sealed mail alone, and is nowhere written out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password(String);

impl Password {
    /// Its characters, for the line.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a mail's password can't be used. It does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPassword {
    /// Two header lines.
    #[error("the mail has more than one {PASSWORD_HEADER} line: leave one")]
    Twice,
    /// Empty, too long, or of other characters.
    #[error("the {PASSWORD_HEADER} of the mail may hold 1 to {LONGEST} digits, # and * only")]
    Malformed,
}

/// The password that a mail's header gives.
///
/// # Errors
/// [`NotAPassword`]: the mail would go out without what its sender meant it to have.
pub fn password_of(headers: &[Header<'_>]) -> Result<Option<Password>, NotAPassword> {
    let mut lines = (headers.iter())
        .filter(|header| header.name.as_str().eq_ignore_ascii_case(PASSWORD_HEADER));
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(NotAPassword::Twice);
    }
    let text = line.value.as_text().unwrap_or_default().trim();
    let sound = |octet: u8| octet.is_ascii_digit() || matches!(octet, b'#' | b'*');
    if !(1..=LONGEST).contains(&text.len()) || !text.bytes().all(sound) {
        return Err(NotAPassword::Malformed);
    }
    Ok(Some(Password(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn read(lines: &str) -> Result<Option<String>, NotAPassword> {
        let mail = format!("From: a@x\r\n{lines}\r\ntext");
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        password_of(parsed.headers()).map(|found| found.map(|found| found.reveal().to_owned()))
    }

    #[test]
    fn a_password_is_digits_and_two_signs() {
        assert_eq!(
            read("X-Fax-Password: 12*34#\r\n"),
            Ok(Some("12*34#".into()))
        );
        assert_eq!(read("x-fax-password:  0042 \r\n"), Ok(Some("0042".into())));
        assert_eq!(read(""), Ok(None));
        let longest = "1".repeat(20);
        assert_eq!(
            read(&format!("X-Fax-Password: {longest}\r\n")),
            Ok(Some(longest))
        );
        for bad in ["", "abc", "12 34", "+33", "123456789012345678901"] {
            let line = format!("X-Fax-Password: {bad}\r\n");
            assert_eq!(read(&line), Err(NotAPassword::Malformed), "{bad}");
        }
        let twice = "X-Fax-Password: 1\r\nX-Fax-Password: 2\r\n";
        assert_eq!(read(twice), Err(NotAPassword::Twice));
    }

    #[test]
    fn it_is_not_written_out() {
        assert_eq!(format!("{:?}", Password("1234".into())), "Password(…)");
    }
}
