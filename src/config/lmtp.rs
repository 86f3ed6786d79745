//! Where LMTP listens: an address, or a Unix socket.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;

/// One entry of `smtp.lmtp`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LmtpAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl TryFrom<String> for LmtpAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!("{text:?} is neither an address as 127.0.0.1:24 nor a path as /run/faxpost/lmtp.sock")
        })
    }
}

impl Default for LmtpAddress {
    fn default() -> Self {
        Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 24)))
    }
}

impl fmt::Display for LmtpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The permissions of a Unix socket, in octal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SocketMode(pub u32);

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl TryFrom<String> for SocketMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| format!("{text:?} are no permissions; write them as \"0660\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_path() {
        let read = |text: &str| LmtpAddress::try_from(text.to_owned());
        assert_eq!(read("127.0.0.1:24"), Ok(LmtpAddress::default()));
        assert_eq!(
            read("/run/lmtp.sock"),
            Ok(LmtpAddress::Unix("/run/lmtp.sock".into()))
        );
        assert!(read("lmtp.sock").unwrap_err().contains("127.0.0.1:24"));
    }

    #[test]
    fn permissions_are_octal() {
        let read = |text: &str| SocketMode::try_from(text.to_owned());
        assert_eq!(read("0660"), Ok(SocketMode::default()));
        assert_eq!(read("600"), Ok(SocketMode(0o600)));
        for text in ["", "0888", "rw", "1777"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
