//! A user's secret in an address or a subject, and how it is taken out before anything is kept.
//!
//! ```text
//! +33123456789/secret=abcd…@fax.example.com     an element of the address, as RFC 3192 has others
//! Subject: Offer [secret abcd…]
//! ```

use mail_builder::headers::{Header as _, text::Text};
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

/// Takes `[secret …]` out of a subject.
#[must_use]
pub fn of_subject(subject: &str) -> (String, Option<Secret>) {
    for (start, _) in subject.match_indices('[') {
        let inside = &subject[start + 1..];
        let Some((inside, after)) = inside.split_once(']') else {
            continue;
        };
        let secret = inside
            .split_once(char::is_whitespace)
            .and_then(|(name, value)| {
                name.eq_ignore_ascii_case(NAME)
                    .then(|| Secret::of(value.trim()))
                    .flatten()
            });
        if let Some(secret) = secret {
            let left = format!("{} {}", subject[..start].trim_end(), after.trim_start());
            return (left.trim().to_owned(), Some(secret));
        }
    }
    (subject.to_owned(), None)
}

/// A message without these secrets in its header. `subject` is the subject without one, where it had one.
#[must_use]
pub fn scrubbed(message: Vec<u8>, secrets: &[Secret], subject: Option<&str>) -> Vec<u8> {
    if secrets.is_empty() {
        return message;
    }
    let head_end = memchr::memmem::find(&message, b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    let (head, body) = message.split_at(head_end);
    let mut out = Vec::with_capacity(message.len());
    for field in fields(head) {
        let is_subject = field
            .get(..8)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"subject:"));
        match subject {
            Some(subject) if is_subject => {
                out.extend_from_slice(b"Subject: ");
                Text::new(subject).write_header(&mut out, 9);
            }
            _ => out.extend(secrets.iter().fold(field.to_vec(), without)),
        }
    }
    out.extend_from_slice(body);
    out
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
fn without(field: Vec<u8>, secret: &Secret) -> Vec<u8> {
    let lower = field.to_ascii_lowercase();
    let mut out = Vec::with_capacity(field.len());
    let mut kept = 0;
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
    out.extend_from_slice(&field[kept..]);
    out
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
        ] {
            let (found, secret) = of_subject(&subject);
            assert_eq!(found, left);
            assert!(secret.is_some());
        }
        for plain in ["[secret of success]", "[secret", "secret", "] [", ""] {
            assert_eq!(of_subject(plain), (plain.to_owned(), None));
        }
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
