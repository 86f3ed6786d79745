//! The connection, plain or under TLS.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

use super::listen::Stream;
use crate::policy::ClientCertificate;

/// One connection.
pub enum Wire {
    /// As it was accepted.
    Plain(Stream),
    /// After STARTTLS, or from the first octet. Boxed: it is some kilobytes, and most sessions never have it.
    Tls(Box<TlsStream<Stream>>),
}

impl Wire {
    /// Reads some octets; 0 at the end.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    /// Writes all of `octets` and sends them off.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    /// Says goodbye to the transport.
    pub async fn close(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    /// Throws away what the client still sends, until it closes. To close with unread octets makes the
    /// kernel send a reset, which can overtake the last answer and destroy it.
    pub async fn drain(&mut self) -> io::Result<()> {
        let mut waste = [0; 1024];
        while self.read(&mut waste).await? > 0 {}
        Ok(())
    }

    /// Whether octets are waiting that nobody has read. Asks the kernel, not the reactor, which may
    /// not have heard of them yet.
    pub fn has_unread(&self) -> bool {
        let Self::Plain(stream) = self else {
            return false;
        };
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        let mut octet = [0u8; 1];
        let peeked = match stream {
            Either::Left(stream) => rustix::net::recv(stream, &mut octet[..], flags),
            Either::Right(stream) => rustix::net::recv(stream, &mut octet[..], flags),
        };
        peeked.is_ok_and(|(_, read)| read > 0)
    }

    /// The certificate that the client has shown, and has the key of, with those of who made it.
    pub fn certificate(&self) -> Option<ClientCertificate> {
        let Self::Tls(stream) = self else {
            return None;
        };
        let (_, session) = stream.get_ref();
        ClientCertificate::of(session.peer_certificates()?)
    }

    /// The same connection under TLS (RFC 3207). Nothing that was read before may be used after.
    pub async fn into_tls(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        match self {
            Self::Plain(stream) => Ok(Self::Tls(Box::new(acceptor.accept(stream).await?))),
            tls @ Self::Tls(_) => Ok(tls),
        }
    }
}
