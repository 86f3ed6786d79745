//! Media sockets: opened, bound and connected here, then handed to a line worker.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU16, AtomicU64, Ordering},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::numbers::MediaFrom;

/// More packets than a socket's buffer holds: those that came before it was connected are among the first.
const MOST_QUEUED: usize = 1 << 16;
/// Packets of strangers to one port after which nobody listens to them any more: it is a flood.
const MOST_STRANGERS: u32 = 1000;

/// The UDP ports for media.
#[derive(Debug)]
pub(super) struct Ports {
    ip: IpAddr,
    min: u16,
    max: u16,
    next: AtomicU16,
    /// How often there was none.
    wanting: AtomicU64,
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
            next: AtomicU16::new(anywhere(min & !1, max)),
            wanting: AtomicU64::new(0),
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
        self.wanting.fetch_add(1, Ordering::Relaxed);
        Err(NoPort {
            ip: self.ip,
            min: self.min,
            max: self.max,
        })
    }
}

impl Ports {
    /// How often a call wanted a port and there was none.
    pub fn wanting(&self) -> u64 {
        self.wanting.load(Ordering::Relaxed)
    }
}

/// An even port of the range, drawn by lot: after a restart the first calls have other ports than the last ones
/// before it, to which peers may be sending still.
fn anywhere(min: u16, max: u16) -> u16 {
    let mut lot = [0; 2];
    // Without randomness it is the first.
    let lot = getrandom::fill(&mut lot).map_or(0, |()| u16::from_be_bytes(lot));
    let pairs = max.saturating_sub(min) / 2 + 1;
    min + lot % pairs * 2
}

/// Whether media that come from `source` are those of a peer that signalled another address or port.
pub(super) fn may_be(policy: MediaFrom, signalled: SocketAddr, source: SocketAddr) -> bool {
    match policy {
        // A machine carries many calls, and goes on with one whose end it was not told: another port of it may
        // be another call's, and the fax would go there.
        MediaFrom::Signalled => false,
        MediaFrom::Machine => signalled.ip().to_canonical() == source.ip().to_canonical(),
        MediaFrom::Nat => true,
    }
}

/// Who else sends to a media port. The system gives a connected socket its peer's packets and this one all
/// others, so nothing of a stranger's ever reaches a worker.
pub(super) struct Ear {
    socket: tokio::net::UdpSocket,
    heard: u32,
}

impl Ear {
    /// The next stranger; never, once there were too many.
    pub async fn stranger(&mut self) -> SocketAddr {
        let mut octet = [0];
        while self.heard < MOST_STRANGERS {
            match self.socket.recv_from(&mut octet).await {
                Ok((_, from)) => {
                    self.heard += 1;
                    return from;
                }
                Err(_) => self.heard += 1,
            }
        }
        std::future::pending().await
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

    /// An ear for others than the peer, beside a socket that is connected. Two sockets may have one port when
    /// both say so, and ours says so only now: no third one gets the port, as it was bound alone.
    pub fn ear(&self) -> io::Result<Ear> {
        let ours = self.socket.local_addr()?;
        let family = if ours.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let ear = socket_with(family, SocketType::DGRAM, flags, None)?;
        sockopt::set_socket_reuseport(&self.socket, true)?;
        sockopt::set_socket_reuseport(&ear, true)?;
        bind(&ear, &ours)?;
        Ok(Ear {
            socket: tokio::net::UdpSocket::from_std(ear.into())?,
            heard: 0,
        })
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

    #[tokio::test]
    async fn a_stranger_is_told_of_and_heard_only_when_it_is_the_peer() {
        let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), 47_420, 47_423);
        let media = ports.bind().unwrap();
        let ours = SocketAddr::from(([127, 0, 0, 1], media.port().unwrap()));
        let (peer, other) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let worker = UdpSocket::from(media.connect(peer.local_addr().unwrap()).unwrap());
        let mut ear = media.ear().unwrap();
        // The port is taken all the same: the next call has another, and then there is none.
        let second = ports.bind().unwrap();
        assert_ne!(second.port().unwrap(), ours.port());
        assert!(ports.bind().is_err());
        assert_eq!(ports.wanting(), 1);

        for _ in 0..20 {
            peer.send_to(b"peer", ours).unwrap();
            other.send_to(b"other", ours).unwrap();
        }
        assert_eq!(ear.stranger().await, other.local_addr().unwrap());
        worker.set_nonblocking(true).unwrap();
        let mut heard = [0; 8];
        while let Ok(octets) = worker.recv(&mut heard) {
            assert_eq!(&heard[..octets], b"peer");
        }
        // Approved: the descriptor that the worker has hears it from now on.
        media.take_from(other.local_addr().unwrap()).unwrap();
        drop(ear);
        other.send_to(b"other", ours).unwrap();
        worker.set_nonblocking(false).unwrap();
        let octets = worker.recv(&mut heard).unwrap();
        assert_eq!(&heard[..octets], b"other");
    }

    #[test]
    fn media_come_from_the_signalled_machine_unless_the_trunk_says_otherwise() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let signalled = at("192.0.2.1:4000");
        for (policy, source, fits) in [
            (MediaFrom::Signalled, "192.0.2.1:4002", false),
            (MediaFrom::Machine, "192.0.2.1:4002", true),
            (MediaFrom::Machine, "[::ffff:192.0.2.1]:4002", true),
            (MediaFrom::Machine, "198.51.100.1:4000", false),
            (MediaFrom::Nat, "198.51.100.1:4000", true),
        ] {
            assert_eq!(may_be(policy, signalled, at(source)), fits, "{source}");
        }
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
