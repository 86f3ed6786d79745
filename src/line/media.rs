//! Media sockets: opened, bound and connected here, then handed to a line worker.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU16, Ordering},
};

/// The UDP ports for media.
#[derive(Debug)]
pub(super) struct Ports {
    ip: IpAddr,
    min: u16,
    max: u16,
    next: AtomicU16,
}

/// No port of the range is free.
#[derive(Debug, thiserror::Error)]
#[error(
    "no media port from {min} to {max} is free on {ip}: widen sip.media_port_min and media_port_max"
)]
pub(super) struct NoPort {
    ip: IpAddr,
    min: u16,
    max: u16,
}

impl Ports {
    pub fn new(ip: IpAddr, min: u16, max: u16) -> Self {
        Self {
            ip,
            min: min & !1, // RFC 3550 §11: RTP takes the even port
            max,
            next: AtomicU16::new(min & !1),
        }
    }

    /// A socket bound to the next free even port.
    pub fn bind(&self) -> Result<MediaSocket, NoPort> {
        let pairs = (self.max.saturating_sub(self.min)) / 2 + 1;
        for _ in 0..pairs {
            let port = self.next.fetch_add(2, Ordering::Relaxed);
            let port = if port > self.max || port < self.min {
                self.next
                    .store(self.min.saturating_add(2), Ordering::Relaxed);
                self.min
            } else {
                port
            };
            if let Ok(socket) = UdpSocket::bind(SocketAddr::new(self.ip, port)) {
                return Ok(MediaSocket { socket });
            }
        }
        Err(NoPort {
            ip: self.ip,
            min: self.min,
            max: self.max,
        })
    }
}

/// A bound media socket.
#[derive(Debug)]
pub(super) struct MediaSocket {
    socket: UdpSocket,
}

impl MediaSocket {
    /// Our port, for SDP.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Takes packets from `peer` alone, and gives the descriptor that a worker is handed.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<OwnedFd> {
        self.socket.connect(peer)?;
        self.socket.set_nonblocking(true)?;
        Ok(self.socket.try_clone()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_even_in_the_range_and_run_out_with_a_sentence() {
        let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), 47_310, 47_313);
        let first = ports.bind().expect("a port");
        let second = ports.bind().expect("another");
        let mut got = [first.port().expect("port"), second.port().expect("port")];
        got.sort_unstable();
        assert_eq!(got, [47_310, 47_312]);
        let error = ports.bind().expect_err("the range is used up");
        assert!(error.to_string().contains("widen"), "{error}");
        drop(first);
        assert!(ports.bind().is_ok());
    }
}
