//! Where the door listens, and what for.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use rustix::fs::Mode;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use crate::config::{LmtpAddress, SocketMode};

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// SMTP between servers (RFC 5321).
    Smtp,
    /// Submission by people's programs (RFC 6409): a login is demanded.
    Submission,
    /// The same, under TLS from the first octet (RFC 8314 §3.3).
    Submissions,
    /// LMTP from a mail server of the house (RFC 2033).
    Lmtp,
}

impl Role {
    /// People log in here before they send (RFC 6409 §4.3).
    pub fn wants_login(self) -> bool {
        matches!(self, Self::Submission | Self::Submissions)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp => "SMTP",
            Self::Submission => "submission",
            Self::Submissions => "submission under TLS",
            Self::Lmtp => "LMTP",
        })
    }
}

/// A connection as it was accepted.
pub type Stream = Either<TcpStream, UnixStream>;

/// One place where clients are awaited.
pub struct Listener {
    pub role: Role,
    pub address: LmtpAddress,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "kept for its end")] SocketFile,
    ),
}

impl Listener {
    /// Listens on an address.
    pub async fn tcp(role: Role, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            role,
            address: LmtpAddress::Tcp(listener.local_addr()?),
            socket: Socket::Tcp(listener),
        })
    }

    /// Listens where LMTP is to be had. A socket that a process left behind which is gone is replaced.
    pub async fn lmtp(address: &LmtpAddress, mode: SocketMode) -> io::Result<Self> {
        let path = match address {
            LmtpAddress::Tcp(address) => return Self::tcp(Role::Lmtp, *address).await,
            LmtpAddress::Unix(path) => path,
        };
        if UnixStream::connect(path)
            .await
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        let file = SocketFile(path.clone());
        // Between the two only fewer may connect than are allowed to: the umask leaves nobody else.
        rustix::fs::chmod(path, Mode::from_raw_mode(mode.0))?;
        Ok(Self {
            role: Role::Lmtp,
            address: address.clone(),
            socket: Socket::Unix(listener, file),
        })
    }

    /// The next client, and its address. Who may use a Unix socket is on this machine.
    pub async fn accept(&self) -> io::Result<(Stream, IpAddr)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and awaited: to hold them back for more would cost 40 ms each.
                let _ = stream.set_nodelay(true);
                Ok((Either::Left(stream), peer.ip()))
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Right(stream), Ipv4Addr::LOCALHOST.into()))
            }
        }
    }
}

/// Takes the socket's name away when nobody listens there any more.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "the socket can't be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind");
        let address = LmtpAddress::Unix(path.clone());
        let listener = Listener::lmtp(&address, SocketMode(0o600)).await.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let fault = Listener::lmtp(&address, SocketMode(0o600)).await.err();
        assert_eq!(fault.unwrap().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }
}
