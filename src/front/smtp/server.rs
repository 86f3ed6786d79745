//! The door: listeners, the caps on sessions, and an orderly end.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::{
    budget::Budget,
    limits::Limits,
    listen::{Listener, Role, Stream},
    proxy::{self, Spoken},
    readings::Readings,
    replies,
    session::{Arrival, Session, Shared},
    tls::Identity,
    wire::Wire,
};
use crate::{
    config::{Config, LmtpAddress},
    front::{Answer, Intake, rates::network_of},
};

/// How often sources are forgotten that keep to their limits.
const TIDY: Duration = Duration::from_secs(60);

/// Why the door doesn't open.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address can't be listened on.
    #[error(
        "{role} can't listen on {address}: {source}. Stop the program that uses it, or set another in \
         [smtp] {setting}."
    )]
    Listen {
        /// What for.
        role: Role,
        /// The address.
        address: LmtpAddress,
        /// Where it is set.
        setting: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or key can't be used.
    #[error("TLS can't be offered: {0}. Correct [smtp] tls_certificate and tls_key.")]
    Tls(String),
}

/// A mail door that listens. Clients wait in the backlog until [`Door::serve`] runs.
pub struct Door {
    listeners: Vec<Listener>,
    hostname: String,
    limits: Limits,
    tls: Option<Identity>,
}

impl Door {
    /// Listens as the configuration says, with `limits` (usually [`Limits::of`] it).
    ///
    /// # Errors
    /// [`DoorError`], for the operator to read.
    pub async fn open(config: &Config, limits: Limits) -> Result<Self, DoorError> {
        let smtp = &config.smtp;
        let tls = match (&smtp.tls_certificate, &smtp.tls_key) {
            (Some(certificate), Some(key)) => {
                let asks = limits.ask_certificates;
                Some(Identity::open(certificate, key, asks).map_err(DoorError::Tls)?)
            }
            _ => None,
        };
        let mut listeners = Vec::new();
        for (role, setting, addresses) in [
            (Role::Smtp, "listen", &smtp.listen),
            (Role::Submission, "submission", &smtp.submission),
            (Role::Submissions, "submissions", &smtp.submissions),
        ] {
            for &address in addresses {
                let listener = Listener::tcp(role, address).await;
                listeners.push(listener.map_err(|source| DoorError::Listen {
                    role,
                    address: LmtpAddress::Tcp(address),
                    setting,
                    source,
                })?);
            }
        }
        for address in &smtp.lmtp {
            let listener = Listener::lmtp(address, smtp.lmtp_socket_mode).await;
            listeners.push(listener.map_err(|source| DoorError::Listen {
                role: Role::Lmtp,
                address: address.clone(),
                setting: "lmtp",
                source,
            })?);
        }
        Ok(Self {
            listeners,
            hostname: config.hostname.clone(),
            limits,
            tls,
        })
    }

    /// Where it listens and what for, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = (Role, &LmtpAddress)> {
        self.listeners
            .iter()
            .map(|listener| (listener.role, &listener.address))
    }

    /// Serves until `stop`; then says 421 to who waits, lets messages that are under way come to their
    /// end for the limits' grace, and returns.
    pub async fn serve(self, intake: Arc<Intake>, stop: CancellationToken) {
        let census = Census::new(
            self.limits.max_sessions,
            self.limits.max_sessions_per_address,
        );
        let shared = Arc::new(Shared {
            intake,
            budget: Budget::new(self.limits.data_budget),
            readings: Readings::new(&self.limits),
            limits: self.limits,
            hostname: self.hostname,
            tls: self.tls,
            stop: stop.clone(),
        });
        let mut loops = JoinSet::new();
        for listener in self.listeners {
            let (shared, census) = (Arc::clone(&shared), Arc::clone(&census));
            loops.spawn(accept(listener, shared, census));
        }
        loops.spawn(keep_rates(Arc::clone(&shared)));
        loops.spawn(keep_certificate(shared));
        while loops.join_next().await.is_some() {}
    }
}

/// Forgets sources that have come back within their limits, until the server stops.
async fn keep_rates(shared: Arc<Shared>) {
    let mut timer = tokio::time::interval(TIDY);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = timer.tick() => shared.intake.rates().tidy(),
        }
    }
}

/// Reads the certificate's files again when they change or SIGHUP comes, until the server stops.
async fn keep_certificate(shared: Arc<Shared>) {
    let Some(identity) = &shared.tls else {
        return;
    };
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    loop {
        let asked = tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = hangup.recv() => true,
            () = tokio::time::sleep(shared.limits.look_at_certificate) => false,
        };
        match identity.look_again(asked) {
            Ok(true) => tracing::info!("the certificate was read anew"),
            Ok(false) => {}
            Err(fault) => tracing::error!(
                fault,
                "the certificate can't be read anew; the old one stays"
            ),
        }
    }
}

/// Accepts until the server stops, then waits for the sessions.
async fn accept(listener: Listener, shared: Arc<Shared>, census: Arc<Census>) {
    let role = listener.role;
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => break,
            Some(_) = sessions.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer, role, &shared, &census, &mut sessions),
            Err(error) => {
                // Out of file descriptors, or a client that was gone at once: to try again at once
                // would only burn the processor.
                tracing::warn!(%error, %role, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let rest = async { while sessions.join_next().await.is_some() {} };
    if timeout(shared.limits.grace, rest).await.is_err() {
        tracing::warn!(
            sessions = sessions.len(),
            "sessions broken off at the end of the grace"
        );
    }
}

/// Lets a client in, if there is a seat for it.
fn admit(
    mut stream: Stream,
    machine: IpAddr,
    role: Role,
    shared: &Arc<Shared>,
    census: &Arc<Census>,
    sessions: &mut JoinSet<()>,
) {
    let (shared, census) = (Arc::clone(shared), Arc::clone(census));
    let by_proxy = shared
        .limits
        .proxy_from
        .iter()
        .any(|network| network.contains(machine));
    if by_proxy && role != Role::Lmtp {
        // Only listed proxies get here unseated; each has seconds to say whom it speaks for.
        sessions.spawn(async move {
            let said = timeout(shared.limits.proxy_patience, proxy::read(&mut stream)).await;
            match said {
                Ok(Ok(spoken)) => {
                    let peer = match spoken {
                        Spoken::Itself => Some(machine),
                        Spoken::For(client) => Some(client),
                        Spoken::Unknown => None,
                    };
                    let client = peer.unwrap_or(machine);
                    if let Some(seat) = seat(&mut stream, client, &shared, &census).await {
                        hold(stream, peer, role, shared, seat).await;
                    }
                }
                Ok(Err(fault)) => tracing::warn!(%fault, "a proxy's connection is dropped"),
                Err(_) => tracing::warn!("a proxy's connection is dropped: it says nothing"),
            }
        });
        return;
    }
    match let_in(machine, &shared, &census) {
        Ok(seat) => {
            sessions.spawn(hold(stream, Some(machine), role, shared, seat));
        }
        // A fresh socket takes one line at once; a client that makes it wait isn't waited for.
        Err(answer) => {
            let text = written(&answer);
            match &stream {
                Stream::Left(stream) => drop(stream.try_write(&text)),
                Stream::Right(stream) => drop(stream.try_write(&text)),
            }
        }
    }
}

/// A seat within the limits of how many at a time, and how often.
fn let_in(peer: IpAddr, shared: &Shared, census: &Arc<Census>) -> Result<Seat, Answer> {
    let seat = Census::sit(census, peer)?;
    let proxies = (shared.limits.proxy_from.iter()).chain(&shared.limits.xclient_from);
    let is_proxy = proxies.into_iter().any(|network| network.contains(peer));
    if !is_proxy && !shared.intake.is_listed(peer) {
        shared.intake.rates().connection(peer)?;
    }
    Ok(seat)
}

async fn seat(
    stream: &mut Stream,
    peer: IpAddr,
    shared: &Shared,
    census: &Arc<Census>,
) -> Option<Seat> {
    match let_in(peer, shared, census) {
        Ok(seat) => Some(seat),
        Err(answer) => {
            let _ = timeout(Duration::from_secs(1), stream.write_all(&written(&answer))).await;
            None
        }
    }
}

fn written(answer: &Answer) -> Vec<u8> {
    let mut text = Vec::new();
    answer.write(&mut text);
    text
}

/// One session, in its seat.
async fn hold(stream: Stream, peer: Option<IpAddr>, role: Role, shared: Arc<Shared>, seat: Seat) {
    let arrival = Arrival {
        wire: Wire::Plain(stream),
        role,
        peer,
        id: Ulid::new().to_string(),
    };
    Session::new(shared, arrival).run().await;
    drop(seat);
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
