//! Who may bring how much in a minute or an hour (`policies/limits.toml`), in this node's memory.
//!
//! Sources are counted while nobody knows who they are; users and tenants once they are proven, so that nobody uses up
//! another's share by claiming to be them. What a day holds is the submitter's to count.

use std::{
    collections::HashMap,
    fmt::Write as _,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};

use super::Answer;
use crate::{policy::Limits, sender::Person};

/// Keys that a gate knows at a time. A flood of more addresses shares one measure.
const MOST: usize = 100_000;
/// What they share is so many times one key's.
const SHARED: u32 = 256;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The gates of all mail doors.
pub struct Rates {
    limits: Limits,
    connections: Gate<IpAddr>,
    strangers: Gate<IpAddr>,
    logins: Gate<IpAddr>,
    postmaster: Gate<IpAddr>,
    users: Gate<String>,
    tenants: Gate<String>,
}

impl Rates {
    /// Gates by these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let source = limits.source;
        Self {
            limits,
            connections: Gate::new(source.connections_per_minute, MINUTE),
            strangers: Gate::new(source.mails_per_minute, MINUTE),
            logins: Gate::new(source.failed_logins_per_hour, HOUR),
            postmaster: Gate::new(source.postmaster_per_hour, HOUR),
            users: Gate::new(limits.user.mails_per_minute, MINUTE),
            tenants: Gate::new(limits.tenant.mails_per_minute, MINUTE),
        }
    }

    /// Counts a connection.
    ///
    /// # Errors
    /// The answer to give.
    pub fn connection(&self, peer: IpAddr) -> Result<(), Answer> {
        let said = self.connections.count(&network_of(peer));
        said.map_err(|wait| later(421, "4.7.0", "too many connections from your address", wait))
    }

    /// Counts a mail of a client that has not proven who it is.
    ///
    /// # Errors
    /// The answer to give.
    pub fn stranger(&self, peer: IpAddr) -> Result<(), Answer> {
        let said = self.strangers.count(&network_of(peer));
        said.map_err(|wait| later(450, "4.7.1", "too many mails from your address", wait))
    }

    /// Whether an address may try a password.
    ///
    /// # Errors
    /// The answer to give.
    pub fn login(&self, peer: IpAddr) -> Result<(), Answer> {
        match self.logins.closed(&network_of(peer)) {
            None => Ok(()),
            // RFC 4954 §6
            Some((what, wait)) => Err(later(454, "4.7.0", &what, wait)),
        }
    }

    /// Counts a wrong password.
    pub fn wrong_password(&self, peer: IpAddr) {
        let peer = network_of(peer);
        if let Err(wait) = self.logins.count(&peer) {
            let what = "too many wrong passwords from your address";
            self.logins.close(peer, what.to_owned(), wait);
        }
    }

    /// Counts a stranger's mail to postmaster.
    ///
    /// # Errors
    /// The answer to give.
    pub fn postmaster(&self, peer: IpAddr) -> Result<(), Answer> {
        let said = self.postmaster.count(&network_of(peer));
        said.map_err(|wait| {
            let what = "too many mails to postmaster from your address";
            later(450, "4.7.1", what, wait)
        })
    }

    /// How large a stranger's mail to postmaster may be; `None`: as any.
    #[must_use]
    pub fn postmaster_octets(&self) -> Option<usize> {
        Some(self.limits.source.postmaster_octets).filter(|octets| *octets > 0)
    }

    /// Whether a user may send just now: at MAIL for those who are known by then, and when the message has proven them.
    ///
    /// # Errors
    /// The answer to give.
    pub fn known(&self, person: &Person) -> Result<(), Answer> {
        if let Some((what, wait)) = self.users.closed(&person.user_id) {
            return Err(later(451, "4.7.1", &what, wait));
        }
        if let Some((what, wait)) = self.tenants.closed(&person.tenant_id) {
            return Err(later(451, "4.3.2", &what, wait));
        }
        Ok(())
    }

    /// Counts a proven sender's mail that was new: who sends one on that another has sent before uses up nothing of
    /// theirs.
    pub fn sent(&self, person: &Person) {
        let most = self.limits.user.mails_per_minute;
        if let Some(wait) = self.users.count_last(&person.user_id) {
            let what = format!("a user may send {} a minute", mails(most));
            self.users.close(person.user_id.clone(), what, wait);
        }
        let most = self.limits.tenant.mails_per_minute;
        if let Some(wait) = self.tenants.count_last(&person.tenant_id) {
            let what = format!("your organisation may send {} a minute", mails(most));
            self.tenants.close(person.tenant_id.clone(), what, wait);
        }
    }

    /// Forgets who has come back within the limits; for a timer.
    pub fn tidy(&self) {
        for gate in [
            &self.connections,
            &self.strangers,
            &self.logins,
            &self.postmaster,
        ] {
            gate.tidy();
        }
        self.users.tidy();
        self.tenants.tidy();
    }
}

/// One customer's address: an IPv4 address, or an IPv6 /64 (RFC 6177: a site has one at least).
#[must_use]
pub fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

pub(super) fn later(code: u16, status: &'static str, what: &str, wait: Duration) -> Answer {
    let text = format!("{what}: try again in {}", in_words(wait));
    Answer::new(code, status, text)
}

fn mails(most: u32) -> String {
    match most {
        1 => "1 mail".to_owned(),
        _ => format!("{most} mails"),
    }
}

/// A wait as people say it, rounded up: who comes back then is let in.
fn in_words(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    if seconds < 120 {
        return format!("{} s", seconds.max(1));
    }
    let minutes = seconds.div_ceil(60);
    let mut text = String::new();
    if minutes >= 60 {
        // Writing to a String does not fail.
        let _ = write!(text, "{} h ", minutes / 60);
    }
    let _ = write!(text, "{} min", minutes % 60);
    text
}

type Rate<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// A rate by key, and keys that are shut until some time.
struct Gate<K: Hash + Eq + Clone> {
    rate: Option<Rate<K>>,
    /// After how long a key that has used up its rate may come again.
    period: Duration,
    shared: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
    /// Until when, and why. A std mutex: it is held for a look-up and never across an await.
    shut: Mutex<HashMap<K, (Instant, String)>>,
}

impl<K: Hash + Eq + Clone> Gate<K> {
    /// `most` at once, and as many again in each `period`; 0: no limit.
    fn new(most: u32, period: Duration) -> Self {
        let quota = |most: u32| {
            let most = NonZeroU32::new(most)?;
            Quota::with_period(period / most.get()).map(|quota| quota.allow_burst(most))
        };
        Self {
            rate: quota(most).map(|quota| RateLimiter::hashmap(quota).with_middleware()),
            period: period / most.max(1),
            shared: quota(most.saturating_mul(SHARED)).map(RateLimiter::direct),
            clock: DefaultClock::default(),
            shut: Mutex::default(),
        }
    }

    /// Counts one; or says how long until the next may come.
    fn count(&self, key: &K) -> Result<(), Duration> {
        let now = self.clock.now();
        match (&self.rate, &self.shared) {
            (Some(rate), _) if rate.len() < MOST => rate
                .check_key(key)
                .map(drop)
                .map_err(|early| early.wait_time_from(now)),
            (Some(_), Some(shared)) => shared.check().map_err(|early| early.wait_time_from(now)),
            _ => Ok(()),
        }
    }

    /// Counts one, and says how long it was the last for.
    fn count_last(&self, key: &K) -> Option<Duration> {
        let rate = self.rate.as_ref().filter(|rate| rate.len() < MOST)?;
        match rate.check_key(key) {
            Ok(state) if state.remaining_burst_capacity() > 0 => None,
            Ok(_) => Some(self.period),
            Err(early) => Some(early.wait_time_from(self.clock.now())),
        }
    }

    fn close(&self, key: K, what: String, wait: Duration) {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        if shut.len() < MOST {
            shut.insert(key, (Instant::now() + wait, what));
        }
    }

    /// Why a key is shut, and for how long yet.
    fn closed(&self, key: &K) -> Option<(String, Duration)> {
        let shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, what) = shut.get(key)?;
        let wait = until.checked_duration_since(Instant::now())?;
        Some((what.clone(), wait))
    }

    fn tidy(&self) {
        if let Some(rate) = &self.rate {
            rate.retain_recent();
            rate.shrink_to_fit();
        }
        let now = Instant::now();
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        shut.retain(|_, (until, _)| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_measure() {
        let gate: Gate<&str> = Gate::new(2, HOUR);
        assert_eq!((gate.count(&"a"), gate.count(&"a")), (Ok(()), Ok(())));
        let wait = gate.count(&"a").unwrap_err();
        assert!(wait > MINUTE && wait <= HOUR / 2, "{wait:?}");
        assert_eq!(gate.count(&"b"), Ok(()));
        let none: Gate<&str> = Gate::new(0, HOUR);
        assert!((0..1000).all(|_| none.count(&"a").is_ok()));
    }

    #[test]
    fn what_is_shut_opens_by_itself_and_is_forgotten() {
        let gate: Gate<&str> = Gate::new(0, HOUR);
        gate.close("a", "why".into(), HOUR);
        gate.close("b", "why".into(), Duration::ZERO);
        assert_eq!(gate.closed(&"a").unwrap().0, "why");
        assert_eq!(gate.closed(&"b"), None);
        gate.tidy();
        assert_eq!(gate.shut.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_lets_others_in() {
        let gate: Gate<u32> = Gate::new(1, Duration::from_millis(50));
        for key in 0..200_000 {
            let _ = gate.count(&key);
        }
        let rate = gate.rate.as_ref().unwrap();
        assert!(rate.len() <= MOST);
        let end = Instant::now() + Duration::from_secs(60);
        while rate.len() == MOST && Instant::now() < end {
            std::thread::yield_now();
            gate.tidy();
        }
        assert!(rate.len() < MOST);
        assert_eq!(gate.count(&7), Ok(()));
    }

    #[test]
    fn an_ipv6_site_is_one_source() {
        let site = |address: &str| network_of(address.parse().unwrap());
        assert_eq!(site("2001:db8::1"), site("2001:db8::ffff:2"));
        assert_ne!(site("2001:db8::1"), site("2001:db8:0:1::1"));
        assert_eq!(site("::ffff:192.0.2.1"), site("192.0.2.1"));
    }

    #[test]
    fn waits_are_said_in_words_and_never_too_short() {
        let words = |ms| in_words(Duration::from_millis(ms));
        assert_eq!(words(0), "1 s");
        assert_eq!(words(1_200), "2 s");
        assert_eq!(words(119_001), "2 min");
        assert_eq!(words(5 * 3_600_000 + 1), "5 h 1 min");
    }
}
