//! Media sockets: opened, bound and connected here, then handed to a line worker.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU16, Ordering},
};

/// More packets than a socket's buffer holds: those that came before it was connected are among the first.
const MOST_QUEUED: usize = 1 << 16;

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
    /// The address that sockets are bound to.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

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

    /// Takes packets from `peer` alone from now on. What anybody sent before is thrown away: the system
    /// sorts by source only what comes to a socket that is connected. Of the peer's own packets that costs
    /// what came before its address was known, which its repeats and retries make up for.
    pub fn take_from(&self, peer: SocketAddr) -> io::Result<()> {
        if self.socket.peer_addr().ok() == Some(peer) {
            return Ok(());
        }
        self.follow(peer)?;
        self.socket.set_nonblocking(true)?;
        let mut octet = [0];
        for _ in 0..MOST_QUEUED {
            match self.socket.recv(&mut octet) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP error of an earlier packet is read like one.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// The peer moved, and said so: from now on it is heard at, and sent to, its new address, by the worker
    /// that has the descriptor too. What it sent from the old one is read all the same.
    pub fn follow(&self, peer: SocketAddr) -> io::Result<()> {
        if !peer.ip().is_unspecified() {
            return self.socket.connect(peer);
        }
        // `c=IN IP4 0.0.0.0`, a hold (RFC 3264 §8.4), or a peer that has no address yet (RFC 3725 §4.1).
        // The system would take it for loopback and any port there; discard (9) hears and says nothing.
        let mut nobody = self.socket.local_addr()?;
        nobody.set_port(9);
        if nobody.ip().is_unspecified() {
            nobody.set_ip(match nobody {
                SocketAddr::V4(_) => IpAddr::from(std::net::Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
            });
        }
        self.socket.connect(nobody)
    }

    /// As [`MediaSocket::take_from`], and gives the descriptor that a worker is handed.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<OwnedFd> {
        self.take_from(peer)?;
        Ok(self.socket.try_clone()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signalled_peer_is_heard_whoever_was_earlier() {
        let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), 47_320, 47_399);
        let media = ports.bind().unwrap();
        let ours = SocketAddr::from(([127, 0, 0, 1], media.port().unwrap()));
        let (stranger, peer) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        for _ in 0..20 {
            stranger.send_to(b"early", ours).unwrap();
        }
        // It is in the queue.
        media.socket.peek(&mut [0; 8]).unwrap();
        let fd = media.connect(peer.local_addr().unwrap()).unwrap();
        let worker = UdpSocket::from(fd);
        worker.set_nonblocking(false).unwrap();
        // The system may refuse it at the sender.
        let _ = stranger.send_to(b"late", ours);
        peer.send_to(b"media", ours).unwrap();
        let mut heard = [0; 8];
        let (octets, from) = worker.recv_from(&mut heard).unwrap();
        assert_eq!(
            (&heard[..octets], from),
            (&b"media"[..], peer.local_addr().unwrap())
        );
        // Connecting to the same peer once more throws nothing of its away.
        peer.send_to(b"more", ours).unwrap();
        worker.peek(&mut [0; 8]).unwrap();
        drop(media.connect(peer.local_addr().unwrap()).unwrap());
        assert_eq!(worker.recv(&mut heard).unwrap(), 4);
    }

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
