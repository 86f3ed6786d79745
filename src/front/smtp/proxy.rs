//! The PROXY header, version 2: whom a proxy speaks for.
//!
//! HAProxy's `doc/proxy-protocol.txt`, §2.2. Version 1 is not taken: it is a line of text that a client
//! could write too.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Addresses and extras beyond this are no header that a proxy writes.
const LONGEST: usize = 2048;

/// Why a connection that must begin with a header didn't.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFault {
    /// The first octets are something else.
    #[error("it does not begin with a PROXY header of version 2")]
    NoHeader,
    /// The header is of a kind that isn't known.
    #[error("its PROXY header can't be read")]
    Unreadable,
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// Whom a proxy speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// Itself: it looks whether we are there.
    Itself,
    /// A client at this address.
    For(IpAddr),
    /// A client whose address it doesn't say, or that has none of IP. It must not pass for the proxy.
    Unknown,
}

/// Reads the header, and not an octet behind it.
///
/// # Errors
/// [`ProxyFault`].
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Spoken, ProxyFault> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    if head[..12] != SIGNATURE {
        return Err(ProxyFault::NoHeader);
    }
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if head[12] >> 4 != 2 || length > LONGEST {
        return Err(ProxyFault::Unreadable);
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (head[12] & 15, head[13] >> 4) {
        // LOCAL: §2.2, what follows is to be ignored.
        (0, _) => Ok(Spoken::Itself),
        (1, family) => source(family, &rest).ok_or(ProxyFault::Unreadable),
        _ => Err(ProxyFault::Unreadable),
    }
}

fn source(family: u8, rest: &[u8]) -> Option<Spoken> {
    match family {
        // AF_UNSPEC and AF_UNIX
        0 | 3 => Some(Spoken::Unknown),
        1 => {
            let octets: [u8; 4] = rest.get(..12)?[..4].try_into().ok()?;
            Some(Spoken::For(Ipv4Addr::from(octets).into()))
        }
        2 => {
            let octets: [u8; 16] = rest.get(..36)?[..16].try_into().ok()?;
            Some(Spoken::For(Ipv6Addr::from(octets).into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [
            &SIGNATURE[..],
            &[0x20 | command, family << 4 | 1],
            &length,
            rest,
        ]
        .concat()
    }

    fn read_all(octets: &[u8]) -> (Result<Spoken, String>, Vec<u8>) {
        let mut stream = octets;
        let read = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(read(&mut stream));
        (read.map_err(|fault| fault.to_string()), stream.to_vec())
    }

    #[test]
    fn a_header_names_the_client_and_what_follows_is_left() {
        let v4 = [
            &header(1, 1, &[203, 0, 113, 5, 192, 0, 2, 1, 0, 80, 0, 25])[..],
            b"EHLO",
        ]
        .concat();
        let (read, left) = read_all(&v4);
        assert_eq!(read, Ok(Spoken::For("203.0.113.5".parse().unwrap())));
        assert_eq!(left, b"EHLO");
        let mut v6 = [0; 40];
        v6[..2].copy_from_slice(&[0x20, 1]);
        v6[15] = 7;
        let (read, left) = read_all(&header(1, 2, &v6));
        assert_eq!(read, Ok(Spoken::For("2001::7".parse().unwrap())));
        assert!(left.is_empty(), "extras belong to the header");
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        assert_eq!(read_all(&header(0, 0, &[])).0, Ok(Spoken::Itself));
        assert_eq!(read_all(&header(1, 0, &[])).0, Ok(Spoken::Unknown));
        assert_eq!(read_all(&header(1, 3, &[0; 216])).0, Ok(Spoken::Unknown));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for octets in [
            &b"EHLO client.example\r\n"[..],
            b"PROXY TCP4 203.0.113.5 192.0.2.1 80 25\r\n",
            &header(1, 1, &[203, 0, 113]),
            &header(1, 7, &[0; 36]),
            &header(5, 1, &[0; 12]),
            &[&SIGNATURE[..], &[0x11, 0x11, 0, 12], &[0; 12]].concat(),
            &[&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
            b"",
        ] {
            assert!(read_all(octets).0.is_err(), "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_end_in_words(octets in proptest::collection::vec(any::<u8>(), 0..64), signed: bool) {
            let octets = if signed { [&SIGNATURE[..], &octets].concat() } else { octets };
            let _ = read_all(&octets);
        }
    }
}
