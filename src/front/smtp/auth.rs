//! AUTH PLAIN (RFC 4616) and LOGIN: what the client sent, as login and password.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// "Username:" and "Password:", which clients of LOGIN expect word for word.
pub const LOGIN_NAME: &str = "VXNlcm5hbWU6";
pub const LOGIN_PASSWORD: &str = "UGFzc3dvcmQ6";

/// A login and its password; wiped when dropped.
pub struct Credentials {
    pub login: String,
    pub password: Zeroizing<String>,
}

/// Why what came can't be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFault {
    /// The client sent `*` (RFC 4954 §4).
    Cancelled,
    /// Not base64, or not of the right form.
    Malformed,
    /// The authorization identity is another than the login.
    Another,
}

/// Decodes one line of an AUTH exchange.
pub fn decode(line: &[u8]) -> Result<Zeroizing<String>, AuthFault> {
    if line == b"*" {
        return Err(AuthFault::Cancelled);
    }
    // RFC 4954 §4: "=" is an empty response.
    let line = if line == b"=" { b"" } else { line };
    let octets = STANDARD.decode(line).map_err(|_| AuthFault::Malformed)?;
    match String::from_utf8(octets) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(_) => Err(AuthFault::Malformed),
    }
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
pub fn plain(message: &str) -> Result<Credentials, AuthFault> {
    let mut fields = message.split('\0');
    let (Some(identity), Some(login), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(AuthFault::Malformed);
    };
    if login.is_empty() || password.is_empty() {
        return Err(AuthFault::Malformed);
    }
    if !identity.is_empty() && !identity.eq_ignore_ascii_case(login) {
        return Err(AuthFault::Another);
    }
    Ok(Credentials {
        login: login.to_owned(),
        password: Zeroizing::new(password.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Result<(String, String), AuthFault> {
        let line = STANDARD.encode(message);
        let message = decode(line.as_bytes())?;
        plain(&message).map(|found| (found.login, found.password.to_string()))
    }

    #[test]
    fn plain_holds_a_login_and_a_password() {
        let ada = Ok(("ada@x".to_owned(), "secret".to_owned()));
        assert_eq!(read("\0ada@x\0secret"), ada);
        assert_eq!(read("ada@x\0ada@x\0secret"), ada);
        assert_eq!(read("eve@x\0ada@x\0secret"), Err(AuthFault::Another));
        for malformed in [
            "",
            "ada@x",
            "\0ada@x",
            "\0\0secret",
            "\0ada@x\0",
            "\0a\0b\0c",
        ] {
            assert_eq!(read(malformed), Err(AuthFault::Malformed), "{malformed:?}");
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        assert_eq!(decode(b"*"), Err(AuthFault::Cancelled));
        assert_eq!(decode(b"!!"), Err(AuthFault::Malformed));
        assert_eq!(decode(b"/w=="), Err(AuthFault::Malformed));
        assert_eq!(decode(b"=").unwrap().as_str(), "");
    }
}
