//! A user's secret in an address or a subject, and how it is taken out before anything is kept.
//!
//! ```text
//! +33123456789/secret=abcd…@fax.example.com     an element of the address, as RFC 3192 has others
//! Subject: Offer [secret abcd…]
//! ```

use std::borrow::Cow;

use mail_builder::headers::{Header as _, text::Text};
use mail_parser::parsers::MessageStream;
use zeroize::Zeroizing;

/// Characters of a secret: letters and the digits 2 to 7, whatever their case.
const LENGTH: usize = 26;
const NAME: &str = "secret";

/// A secret as it came. It is never shown, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    fn of(text: &str) -> Option<Self> {
        let sound = |octet: u8| octet.is_ascii_alphabetic() || (b'2'..=b'7').contains(&octet);
        let whole = text.len() == LENGTH && text.bytes().all(sound);
        whole.then(|| Self(Zeroizing::new(text.to_ascii_lowercase())))
    }

    /// Its characters, lower case, to look its hash up.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What names a secret and holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret in it is not as it was given: 26 letters and digits from 2 to 7")]
pub struct NotASecret;

/// Takes the secret out of an address or its local part: what is left, and the secret.
///
/// # Errors
/// [`NotASecret`]; also where there are two.
pub fn of_address(address: &str) -> Result<(String, Option<Secret>), NotASecret> {
    let (local_part, domain) = match address.rfind('@') {
        Some(at) => address.split_at(at),
        None => (address, ""),
    };
    let (mut left, mut secret) = (Vec::new(), None);
    for element in local_part.split('/') {
        match element.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case(NAME) => {
                let found = Secret::of(value).ok_or(NotASecret)?;
                if secret.replace(found).is_some() {
                    return Err(NotASecret);
                }
            }
            _ => left.push(element),
        }
    }
    Ok((format!("{}{domain}", left.join("/")), secret))
}

/// A subject, and what of it was for us alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// What is left.
    pub left: String,
    /// The secrets that were in it.
    pub secrets: Vec<Secret>,
    /// Something in it names a secret and holds none: it may be one that was written wrong, and is taken out too.
    pub unsound: bool,
}

impl Subject {
    /// Whether something was taken out.
    #[must_use]
    pub fn had_any(&self) -> bool {
        self.unsound || !self.secrets.is_empty()
    }
}

/// Takes every `[secret …]` out of a subject.
#[must_use]
pub fn of_subject(subject: &str) -> Subject {
    let mut found = Subject {
        left: subject.to_owned(),
        ..Subject::default()
    };
    while let Some((start, value, end)) = marked(&found.left) {
        match value.and_then(Secret::of) {
            Some(secret) => found.secrets.push(secret),
            None => found.unsound = true,
        }
        let (before, after) = (
            found.left[..start].trim_end(),
            found.left[end..].trim_start(),
        );
        let gap = if before.is_empty() || after.is_empty() {
            ""
        } else {
            " "
        };
        found.left = format!("{before}{gap}{after}");
    }
    found
}

/// The first `[secret …]`: where it begins, what it holds, where it ends. What is not closed ends with the subject.
/// `[secretary]` is another word, unless it is as long as a secret that was written without the space.
fn marked(subject: &str) -> Option<(usize, Option<&str>, usize)> {
    subject.match_indices('[').find_map(|(start, _)| {
        let inside = &subject[start + 1..];
        let (inside, end) = match inside.find(']') {
            Some(at) => (&inside[..at], start + 1 + at + 1),
            None => (inside, subject.len()),
        };
        let words = inside.trim_start();
        let is_named = words
            .get(..NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        let value = is_named.then(|| &words[NAME.len()..])?;
        if value.starts_with(char::is_alphanumeric) {
            return (value.len() + 4 > LENGTH).then_some((start, None, end));
        }
        let is_closed = subject[..end].ends_with(']');
        let spaced = value.strip_prefix(char::is_whitespace);
        Some((start, spaced.filter(|_| is_closed).map(str::trim), end))
    })
}

/// A message without these secrets in its header. `subject` is the subject without what was for us, where there was
/// such. What holds a secret only when it is decoded is left out.
#[must_use]
pub fn scrubbed(message: Vec<u8>, secrets: &[Secret], subject: Option<&str>) -> Vec<u8> {
    if secrets.is_empty() && subject.is_none() {
        return message;
    }
    let head_end = memchr::memmem::find(&message, b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    let (head, body) = message.split_at(head_end);
    let mut out = Vec::with_capacity(message.len());
    for field in fields(head) {
        match subject {
            Some(subject) if is_subject(field) => {
                out.extend_from_slice(b"Subject: ");
                Text::new(subject).write_header(&mut out, 9);
            }
            _ => {
                let field = secrets.iter().fold(Cow::Borrowed(field), without);
                if !holds(&field, secrets) {
                    out.extend_from_slice(&field);
                }
            }
        }
    }
    out.extend_from_slice(body);
    out
}

/// Whether programs may take a field for the subject: they pass over white space in its name and colons before it.
fn is_subject(field: &[u8]) -> bool {
    let mut letters = field
        .iter()
        .filter(|octet| !octet.is_ascii_whitespace())
        .skip_while(|octet| **octet == b':');
    b"subject:".iter().all(|wanted| {
        letters
            .next()
            .is_some_and(|octet| octet.eq_ignore_ascii_case(wanted))
    })
}

/// Whether a field, unfolded and decoded (RFC 2047), holds one of these. An encoded word may end within it, and a line.
fn holds(field: &[u8], secrets: &[Secret]) -> bool {
    let value = memchr::memchr(b':', field).map_or(field, |at| &field[at + 1..]);
    let dense = |text: &str| -> String {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .flat_map(char::to_lowercase)
            .collect()
    };
    let decoded = MessageStream::new(value).parse_unstructured();
    let raw = dense(&String::from_utf8_lossy(value));
    let decoded = dense(decoded.as_text().unwrap_or_default());
    secrets
        .iter()
        .any(|secret| raw.contains(secret.text()) || decoded.contains(secret.text()))
}

/// The fields of a header, each with the lines that it is folded to (RFC 5322 §2.2.3).
fn fields(head: &[u8]) -> Vec<&[u8]> {
    let (mut fields, mut start) = (Vec::new(), 0);
    for at in memchr::memchr_iter(b'\n', head) {
        if !matches!(head.get(at + 1), Some(b' ' | b'\t')) {
            fields.push(&head[start..=at]);
            start = at + 1;
        }
    }
    fields.push(&head[start..]);
    fields
}

/// A field without a secret, and without what names it.
fn without<'f>(field: Cow<'f, [u8]>, secret: &Secret) -> Cow<'f, [u8]> {
    let lower = field.to_ascii_lowercase();
    let (mut out, mut kept) = (Vec::new(), 0);
    for at in memchr::memmem::find_iter(&lower, secret.text().as_bytes()) {
        let named = format!("{NAME}=");
        let start = if lower[kept..at].ends_with(named.as_bytes()) {
            at - named.len()
        } else {
            at
        };
        // The slash before it, or behind it when it is first.
        let start = if lower[kept..start].ends_with(b"/") {
            start - 1
        } else {
            start
        };
        out.extend_from_slice(&field[kept..start]);
        kept = at + LENGTH;
    }
    if kept == 0 {
        return field;
    }
    out.extend_from_slice(&field[kept..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: &str = "abcdefghijklmnopqrstuvwx27";

    #[test]
    fn a_secret_is_an_element_of_the_address() {
        for (address, left) in [
            (
                format!("+33123456789/secret={S}@fax.example.com"),
                "+33123456789@fax.example.com",
            ),
            (
                format!("+33123456789/SECRET={}", S.to_uppercase()),
                "+33123456789",
            ),
            (
                format!("secret={S}/FAX=+33123456789/T33S=1@x"),
                "FAX=+33123456789/T33S=1@x",
            ),
        ] {
            let (found, secret) = of_address(&address).unwrap();
            assert_eq!(found, left);
            assert_eq!(secret.unwrap().text(), S);
        }
        assert_eq!(of_address("+331@x"), Ok(("+331@x".into(), None)));
        for wrong in [
            "+331/secret=@x".into(),
            "+331/secret=abc@x".into(),
            format!("+331/secret={S}/secret={S}@x"),
            format!("+331/secret={}1@x", &S[1..]),
        ] {
            assert_eq!(of_address(&wrong), Err(NotASecret), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_taken_out_of_the_subject() {
        for (subject, left) in [
            (format!("Offer [secret {S}]"), "Offer"),
            (
                format!("[Secret  {}] Offer [2]", S.to_uppercase()),
                "Offer [2]",
            ),
            (format!("An [old] [secret {S}] offer"), "An [old] offer"),
            (format!("[secret {S}]"), ""),
            (format!("[secret {S}] a [secret {S}]"), "a"),
        ] {
            let found = of_subject(&subject);
            assert_eq!((found.left.as_str(), found.unsound), (left, false));
            assert!(found.secrets.iter().all(|secret| secret.text() == S) && found.had_any());
        }
        for plain in ["[secretary] [secrets]", "secret", "] [", "[a secret]", ""] {
            let found = of_subject(plain);
            assert_eq!((found.left.as_str(), found.had_any()), (plain, false));
        }
    }

    #[test]
    fn promise_4_a_secret_written_wrong_is_told_and_on_no_cover() {
        for wrong in [
            format!("Offer [secret {}]", &S[1..]),
            format!("Offer [secret {S}"),
            format!("Offer [secret{S}]"),
            format!("Offer [secret={S}]"),
            format!("Offer [ secret: {S} ]"),
            "Offer [secret of success]".into(),
            "Offer [secret]".into(),
            format!("Offer [secret {S}] [secret {}1]", &S[1..]),
        ] {
            let found = of_subject(&wrong);
            assert_eq!(
                (found.left.as_str(), found.unsound),
                ("Offer", true),
                "{wrong}"
            );
        }
    }

    #[test]
    fn promise_4_fields_that_hold_a_secret_once_decoded_are_left_out() {
        use base64::Engine as _;
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("Offer [secret {S}]"));
        let message = format!(
            "Thread-Topic: =?utf-8?B?{encoded}?=\r\nX-Split: {}\r\n {}\r\nX-Words: =?utf-8?Q?{}?=\r\n =?utf-8?Q?{}?=\r\n\
             Subject : Offer [secret {S}]\r\nX-Kept: 1\r\n\r\nx",
            &S[..9],
            &S[9..],
            &S[..9],
            &S[9..]
        );
        let secrets = of_subject(&format!("[secret {S}]")).secrets;
        let out = scrubbed(message.into_bytes(), &secrets, Some("Offer"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Subject: Offer\r\nX-Kept: 1\r\n\r\nx"
        );
    }

    #[test]
    fn nothing_of_it_is_left_in_what_is_kept() {
        let upper = S.to_uppercase();
        let message = format!(
            "Received: by x\r\n\tfor <+331/secret={S}@fax>; now\r\nTo: <+331/secret={upper}@fax>, <secret={S}/+332@fax>\r\n\
             Subject: Offer =?utf-8?q?=5Bsecret_{S}=5D_=C3=A9?=\r\nX-Last: 1\r\n\r\nbody {S}\r\n"
        );
        let secrets = [of_address(&format!("+331/secret={S}")).unwrap().1.unwrap()];
        let out = scrubbed(message.into_bytes(), &secrets, Some("Offer é"));
        let out = String::from_utf8(out).unwrap();
        let (head, body) = out.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains(S), "{head}");
        assert!(head.contains("for <+331@fax>"), "{head}");
        assert!(head.contains("To: <+331@fax>"), "{head}");
        assert_eq!(body, format!("body {S}\r\n"));
        let parsed = mail_parser::MessageParser::default()
            .parse(out.as_bytes())
            .unwrap();
        assert_eq!(parsed.subject(), Some("Offer é"));
        assert_eq!(parsed.header("X-Last").and_then(|v| v.as_text()), Some("1"));
        assert_eq!(format!("{:?}", secrets[0]), "Secret");
    }

    proptest! {
        #[test]
        fn addresses_without_a_secret_stay_as_they_are(address in "[a-z0-9/=@+.]{0,40}") {
            if let Ok((left, None)) = of_address(&address) {
                prop_assert_eq!(left, address);
            }
        }

        #[test]
        fn a_secret_anywhere_in_a_header_is_gone(before in "[a-zA-Z0-9 /=<>@:\r\n\t]{0,40}", after in "[a-zA-Z0-9 /=<>@:\r\n\t]{0,40}") {
            let secrets = [Secret::of(S).unwrap()];
            let out = scrubbed(format!("{before}{S}{after}").into_bytes(), &secrets, None);
            let head = out.split(|_| false).next().unwrap();
            let end = memchr::memmem::find(head, b"\r\n\r\n").unwrap_or(head.len());
            if !before.contains("\r\n\r\n") {
                prop_assert!(memchr::memmem::find(&head[..end], S.as_bytes()).is_none());
            }
        }
    }
}
