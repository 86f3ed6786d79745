//! How the signalling listens, and how patient it is.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::TlsSetup;

/// How the signalling listens and how patient it is.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Address and port for UDP, and for TCP when `tcp` is on. Port 0 takes any.
    pub listen: SocketAddr,
    /// Address to write into Via and Contact when it isn't the one we listen on (NAT).
    pub advertised: Option<IpAddr>,
    /// TLS: whom we trust, who we are, where we listen.
    pub tls: TlsSetup,
    /// User-Agent header.
    pub user_agent: String,
    /// RFC 3261 T1; every other timer follows (timer B is 64·T1). 500 ms unless a test hurries.
    pub t1: Duration,
    /// How long a second of session timers lasts (RFC 4028): a second, unless a test hurries.
    pub session_second: Duration,
    /// Listen on TCP too. Without it TCP targets are refused, as peers could not call back.
    pub tcp: bool,
    /// How often each trunk is asked with OPTIONS whether it is there; `None`: never.
    pub probe: Option<Duration>,
    /// New INVITEs a second, all trunks together; above it 503.
    pub invites_per_second: u32,
    /// How many of them may come at once.
    pub invite_burst: u32,
    /// Events that may wait for the reader before signalling waits for it.
    pub event_capacity: usize,
}

impl SipConfig {
    /// Ordinary values for a listening address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            advertised: None,
            tls: TlsSetup::default(),
            user_agent: concat!("faxpost/", env!("CARGO_PKG_VERSION")).to_owned(),
            t1: Duration::from_millis(500),
            session_second: Duration::from_secs(1),
            tcp: false,
            probe: None,
            invites_per_second: 50,
            invite_burst: 200,
            event_capacity: 1024,
        }
    }

    /// Loopback, any port, timers twenty-five times faster.
    pub fn for_testing() -> Self {
        Self {
            t1: Duration::from_millis(20),
            session_second: Duration::from_millis(20),
            ..Self::new(SocketAddr::from(([127, 0, 0, 1], 0)))
        }
    }
}
