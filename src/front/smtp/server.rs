//! The door: listeners, the caps on sessions, and an orderly end.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::{
    budget::Budget,
    limits::Limits,
    replies,
    session::{Session, Shared},
    tls,
    wire::Wire,
};
use crate::{
    config::Config,
    front::{Answer, Intake},
};

/// Why the door doesn't open.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address can't be listened on.
    #[error(
        "SMTP can't listen on {address}: {source}. Stop the program that uses it, or set another in \
         [smtp] listen."
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or key can't be used.
    #[error("STARTTLS can't be offered: {0}. Correct [smtp] tls_certificate and tls_key.")]
    Tls(String),
}

/// An SMTP door that listens. Clients wait in the backlog until [`Door::serve`] runs.
pub struct Door {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    hostname: String,
    limits: Limits,
    tls: Option<TlsAcceptor>,
}

impl Door {
    /// Listens as the configuration says, with `limits` (usually [`Limits::of`] it).
    ///
    /// # Errors
    /// [`DoorError`], for the operator to read.
    pub async fn open(config: &Config, limits: Limits) -> Result<Self, DoorError> {
        let tls = match (&config.smtp.tls_certificate, &config.smtp.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(tls::acceptor(certificate, key).map_err(DoorError::Tls)?)
            }
            _ => None,
        };
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for &address in &config.smtp.listen {
            let fault = |source| DoorError::Listen { address, source };
            let listener = TcpListener::bind(address).await.map_err(fault)?;
            addresses.push(listener.local_addr().map_err(fault)?);
            listeners.push(listener);
        }
        Ok(Self {
            listeners,
            addresses,
            hostname: config.hostname.clone(),
            limits,
            tls,
        })
    }

    /// Where it listens, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `stop`; then says 421 to who waits, lets messages that are under way come to their
    /// end for the limits' grace, and returns.
    pub async fn serve(self, intake: Arc<Intake>, stop: CancellationToken) {
        let grace = self.limits.grace;
        let census = Census::new(
            self.limits.max_sessions,
            self.limits.max_sessions_per_address,
        );
        let shared = Arc::new(Shared {
            intake,
            budget: Budget::new(self.limits.data_budget),
            limits: self.limits,
            hostname: self.hostname,
            tls: self.tls,
            stop: stop.clone(),
        });
        let mut loops = JoinSet::new();
        for listener in self.listeners {
            let (shared, census) = (Arc::clone(&shared), Arc::clone(&census));
            loops.spawn(accept(listener, shared, census, grace));
        }
        while loops.join_next().await.is_some() {}
    }
}

/// Accepts until the server stops, then waits for the sessions.
async fn accept(listener: TcpListener, shared: Arc<Shared>, census: Arc<Census>, grace: Duration) {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => break,
            Some(_) = sessions.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer.ip(), &shared, &census, &mut sessions),
            Err(error) => {
                // Out of file descriptors, or a client that was gone at once: to try again at once
                // would only burn the processor.
                tracing::warn!(%error, "SMTP connection not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let rest = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, rest).await.is_err() {
        tracing::warn!(
            sessions = sessions.len(),
            "SMTP sessions broken off at the end of the grace"
        );
    }
}

fn admit(
    stream: TcpStream,
    peer: IpAddr,
    shared: &Arc<Shared>,
    census: &Arc<Census>,
    sessions: &mut JoinSet<()>,
) {
    // Answers are small and awaited: to hold them back for more would cost 40 ms each.
    let _ = stream.set_nodelay(true);
    let seat = match Census::sit(census, peer) {
        Ok(seat) => seat,
        Err(answer) => {
            let mut text = Vec::new();
            answer.write(&mut text);
            // A fresh socket takes one line; a client that makes it wait isn't waited for.
            let _ = stream.try_write(&text);
            return;
        }
    };
    let session = Session::new(
        Arc::clone(shared),
        Wire::Plain(stream),
        peer,
        Ulid::new().to_string(),
    );
    sessions.spawn(async move {
        session.run().await;
        drop(seat);
    });
}

/// Who is in. A std mutex: it is held for a look-up and never across an await.
struct Census {
    most: usize,
    most_per_address: usize,
    seated: Mutex<Seated>,
}

#[derive(Default)]
struct Seated {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A session's place, given back when dropped.
struct Seat {
    census: Arc<Census>,
    address: IpAddr,
}

impl Census {
    fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_address,
            seated: Mutex::default(),
        })
    }

    fn sit(census: &Arc<Self>, peer: IpAddr) -> Result<Seat, Answer> {
        let address = network_of(peer);
        let mut seated = census.seated.lock().unwrap_or_else(PoisonError::into_inner);
        if seated.all >= census.most {
            return Err(replies::too_many_sessions());
        }
        let here = seated.by_address.entry(address).or_default();
        if *here >= census.most_per_address {
            return Err(replies::too_many_from_you());
        }
        *here += 1;
        seated.all += 1;
        Ok(Seat {
            census: Arc::clone(census),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seated = self
            .census
            .seated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seated.all -= 1;
        if let Some(here) = seated.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                seated.by_address.remove(&self.address);
            }
        }
    }
}

/// One customer's address: an IPv4 address, or an IPv6 /64 (RFC 6177: a site has one at least).
fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_in_all_and_by_address() {
        let census = Census::new(3, 2);
        let sit = |address: &str| Census::sit(&census, address.parse().unwrap());
        let first = sit("192.0.2.1").ok().unwrap();
        let _second = sit("::ffff:192.0.2.1").ok().unwrap();
        assert_eq!(
            sit("192.0.2.1").err().unwrap(),
            replies::too_many_from_you()
        );
        let _third = sit("2001:db8::1").ok().unwrap();
        assert_eq!(
            sit("192.0.2.9").err().unwrap(),
            replies::too_many_sessions()
        );
        drop(first);
        assert!(sit("192.0.2.1").is_ok());
    }

    #[test]
    fn a_customer_is_a_slash_64() {
        let census = Census::new(9, 1);
        let _one = Census::sit(&census, "2001:db8::1".parse().unwrap())
            .ok()
            .unwrap();
        assert!(Census::sit(&census, "2001:db8::2".parse().unwrap()).is_err());
        assert!(Census::sit(&census, "2001:db8:0:1::1".parse().unwrap()).is_ok());
    }
}
