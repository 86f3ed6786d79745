//! Ports that are free, below those that the system gives to outgoing connections.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{LazyLock, Mutex, PoisonError},
};

static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// Loopback.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port that nobody has, TCP nor UDP, and that is given out once in this process.
#[must_use]
pub fn free() -> u16 {
    pick(22_000, 10_000, 1, true)
}

/// The first of 200 ports for media. Who opens media ports passes over those that are taken, so that two may
/// have the same: there are fewer ranges than tests.
#[must_use]
pub fn media() -> u16 {
    pick(10_000, 11_800, 200, false)
}

fn pick(from: u16, count: u16, step: u16, once: bool) -> u16 {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        // Other test programs pick at the same time: by chance we differ.
        let chance = RandomState::new().hash_one(taken.len()) % u64::from(count / step);
        let port = from + u16::try_from(chance).unwrap() * step;
        let free =
            || TcpListener::bind(local(port)).is_ok() && UdpSocket::bind(local(port)).is_ok();
        if (!once || !taken.contains(&port)) && free() {
            taken.insert(port);
            return port;
        }
    }
}
