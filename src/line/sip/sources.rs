//! Who may speak to us: the addresses of configured trunks, and how fast they may call.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use super::{Trunk, TrunkId};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    net: IpAddr,
    bits: u8,
    /// Set for a trunk's own targets: an exact match wins over a network.
    port: Option<u16>,
}

/// The filter the transport asks before it parses anything: what it refuses gets no answer at all,
/// so a scanner learns nothing. It sees addresses only; a firewall is the second layer.
#[derive(Debug, Default)]
pub(super) struct Sources {
    rules: RwLock<Arc<BTreeMap<TrunkId, Vec<Rule>>>>,
    /// Rules that trunks had before, while calls are up under them: their requests and answers must
    /// still come through, but no new call does.
    former: RwLock<Arc<BTreeMap<TrunkId, Vec<Rule>>>>,
    refused: AtomicU64,
}

impl Sources {
    /// Opens the filter for a trunk, or closes it, but for the calls that it has.
    pub(super) fn set(&self, id: TrunkId, trunk: Option<&Trunk>, has_calls: bool) {
        let mut guard = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let mut rules = BTreeMap::clone(&guard);
        if has_calls && let Some(old) = rules.get(&id) {
            let mut guard = self.former.write().unwrap_or_else(PoisonError::into_inner);
            let mut former = BTreeMap::clone(&guard);
            former.entry(id).or_default().extend(old.iter().cloned());
            *guard = Arc::new(former);
        }
        match trunk {
            None => {
                rules.remove(&id);
            }
            Some(trunk) => {
                let targets = trunk.targets.iter().map(|t| Rule {
                    net: canonical(t.addr.ip()),
                    bits: 128,
                    port: Some(t.addr.port()),
                });
                let nets = trunk.allow_from.iter().map(|&(net, bits)| Rule {
                    net: canonical(net),
                    bits,
                    port: None,
                });
                rules.insert(id, targets.chain(nets).collect());
            }
        }
        *guard = Arc::new(rules);
    }

    /// The last call under former rules is over.
    pub(super) fn forget_former(&self, id: TrunkId) {
        let mut guard = self.former.write().unwrap_or_else(PoisonError::into_inner);
        if guard.contains_key(&id) {
            let mut former = BTreeMap::clone(&guard);
            former.remove(&id);
            *guard = Arc::new(former);
        }
    }

    /// Whether a packet from this address may be read. Counts refusals.
    pub(super) fn admits(&self, ip: IpAddr) -> bool {
        let ip = canonical(ip);
        let former = Arc::clone(&self.former.read().unwrap_or_else(PoisonError::into_inner));
        let admitted = self
            .snapshot()
            .values()
            .chain(former.values())
            .flatten()
            .any(|rule| within(ip, rule.net, rule.bits));
        if !admitted {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// The trunk an address belongs to: the one with that very target, else the one with the
    /// narrowest network, else the lowest number.
    pub(super) fn trunk_of(&self, source: SocketAddr) -> Option<TrunkId> {
        let ip = canonical(source.ip());
        let rules = self.snapshot();
        let mut best: Option<(bool, u8, TrunkId)> = None;
        for (&id, rules) in rules.iter() {
            for rule in rules.iter().filter(|rule| within(ip, rule.net, rule.bits)) {
                let rank = (
                    rule.port == Some(source.port()),
                    rule.bits.min(width(rule.net)),
                );
                if best.is_none_or(|(exact, bits, _)| rank > (exact, bits)) {
                    best = Some((rank.0, rank.1, id));
                }
            }
        }
        best.map(|(_, _, id)| id)
    }

    /// Packets refused since the start.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn snapshot(&self) -> Arc<BTreeMap<TrunkId, Vec<Rule>>> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An IPv4 address in IPv6 clothes is the IPv4 address (a socket bound to `::` sees those).
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn within(ip: IpAddr, net: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits.min(width(net)));
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            (ip.to_bits() ^ net.to_bits())
                .checked_shr(32 - bits)
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => {
            (ip.to_bits() ^ net.to_bits())
                .checked_shr(128 - bits)
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

/// A token bucket over new INVITEs: the stack's own channels are unbounded.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            per_second: f64::from(per_second),
            burst,
            level: burst,
            at: now,
        }
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + passed * self.per_second).min(self.burst);
        if self.level < 1.0 {
            return false;
        }
        self.level -= 1.0;
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::{Proto, Target};
    use super::*;

    pub(in super::super) fn trunk(id: u32, targets: &[&str], nets: &[(&str, u8)]) -> Trunk {
        Trunk {
            id: TrunkId(id),
            domain: "example.net".into(),
            targets: targets
                .iter()
                .map(|t| Target::new(t.parse().unwrap(), Proto::Udp))
                .collect(),
            user: "u".into(),
            auth_user: None,
            password: String::new(),
            register: None,
            allow_from: nets
                .iter()
                .map(|&(ip, bits)| (ip.parse().unwrap(), bits))
                .collect(),
            session_expires: None,
            setup_timeout: Duration::from_secs(1),
            ring_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn nobody_is_admitted_before_a_trunk_is_set_or_after_it_is_removed() {
        let sources = Sources::default();
        let ip = "192.0.2.1".parse().unwrap();
        assert!(!sources.admits(ip));
        sources.set(TrunkId(1), Some(&trunk(1, &["192.0.2.1:5060"], &[])), false);
        assert!(sources.admits(ip));
        assert!(sources.admits("::ffff:192.0.2.1".parse().unwrap()));
        sources.set(TrunkId(1), None, true);
        assert!(sources.admits(ip), "its call goes on");
        assert_eq!(
            sources.trunk_of(SocketAddr::new(ip, 5060)),
            None,
            "no new one"
        );
        sources.forget_former(TrunkId(1));
        assert!(!sources.admits(ip));
        assert_eq!(sources.refused(), 2);
    }

    #[test]
    fn networks_end_where_their_prefix_says() {
        let sources = Sources::default();
        sources.set(
            TrunkId(1),
            Some(&trunk(1, &[], &[("198.51.100.16", 28), ("2001:db8::", 32)])),
            false,
        );
        for (ip, ok) in [
            ("198.51.100.16", true),
            ("198.51.100.31", true),
            ("198.51.100.32", false),
            ("198.51.100.15", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(sources.admits(ip.parse().unwrap()), ok, "{ip}");
        }
        sources.set(TrunkId(1), Some(&trunk(1, &[], &[("0.0.0.0", 0)])), false);
        assert!(sources.admits("203.0.113.9".parse().unwrap()));
    }

    #[test]
    fn the_narrowest_rule_names_the_trunk_and_a_target_wins_by_port() {
        let sources = Sources::default();
        sources.set(
            TrunkId(1),
            Some(&trunk(1, &[], &[("192.0.2.0", 24)])),
            false,
        );
        sources.set(TrunkId(2), Some(&trunk(2, &["192.0.2.7:5060"], &[])), false);
        sources.set(TrunkId(3), Some(&trunk(3, &["192.0.2.7:5080"], &[])), false);
        assert_eq!(
            sources.trunk_of("192.0.2.7:5080".parse().unwrap()),
            Some(TrunkId(3))
        );
        assert_eq!(
            sources.trunk_of("192.0.2.7:5060".parse().unwrap()),
            Some(TrunkId(2))
        );
        assert_eq!(
            sources.trunk_of("192.0.2.7:9999".parse().unwrap()),
            Some(TrunkId(2))
        );
        assert_eq!(
            sources.trunk_of("192.0.2.8:5060".parse().unwrap()),
            Some(TrunkId(1))
        );
        assert_eq!(sources.trunk_of("203.0.113.1:5060".parse().unwrap()), None);
    }

    #[test]
    fn a_bucket_refills_with_time_and_never_above_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2, 3, start);
        assert_eq!((0..5).filter(|_| bucket.take(start)).count(), 3);
        let later = start + Duration::from_millis(500);
        assert!(bucket.take(later));
        assert!(!bucket.take(later));
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| bucket.take(much_later)).count(), 3);
    }
}
