//! In what order a trunk's targets are tried: RFC 2782's, with those that failed a moment ago last.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::talk::random;
use super::{Target, Trunk};

/// How long a target that could not be reached, or said 503 without more, is tried after the others.
pub(super) const REST: Duration = Duration::from_secs(30);
/// What a Retry-After is honoured up to (RFC 3261 §21.5.4): a slip of somebody's pen must not cost a day.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Targets that failed lately.
#[derive(Debug, Default)]
pub(super) struct Resting(Mutex<HashMap<SocketAddr, Instant>>);

impl Resting {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        // A map that is whole after every single operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self, target: SocketAddr, retry_after: Option<Duration>) {
        let rest = retry_after.map_or(REST, |asked| asked.min(LONGEST_REST));
        self.map().insert(target, Instant::now() + rest);
    }

    pub(super) fn worked(&self, target: SocketAddr) {
        self.map().remove(&target);
    }

    /// The targets as a call should try them. Where we are registered all go one way, in order: the
    /// server that knows us is the one that takes our calls.
    pub(super) fn order(&self, trunk: &Trunk) -> Vec<Target> {
        let dice = || u32::from(u16::from_ne_bytes(random()));
        let mut order = match trunk.register {
            Some(_) => trunk.targets.clone(),
            None => by_weight(&trunk.targets, dice),
        };
        let now = Instant::now();
        let mut resting = self.map();
        resting.retain(|_, until| *until > now);
        // Stable: among those that rest, and among those that don't, the order stays.
        order.sort_by_key(|target| resting.contains_key(&target.addr));
        order
    }
}

/// RFC 2782: by priority; within one, each next by chance as its weight says.
fn by_weight(targets: &[Target], dice: impl Fn() -> u32) -> Vec<Target> {
    let mut left = targets.to_vec();
    // Those without weight stand first: their chance is the number 0, and it is small.
    left.sort_by_key(|target| (target.priority, target.weight > 0));
    let mut order = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let priority = first.priority;
        let group = left.iter().take_while(|target| target.priority == priority);
        let sum: u32 = group.map(|target| u32::from(target.weight)).sum();
        let mut running = dice() % (sum + 1);
        let mut at = 0;
        // "The first whose running sum is greater than or equal to the number".
        while running > u32::from(left[at].weight) {
            running -= u32::from(left[at].weight);
            at += 1;
        }
        order.push(left.remove(at));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::sip::Proto;

    fn target(port: u16, priority: u16, weight: u16) -> Target {
        let addr = SocketAddr::from(([192, 0, 2, 1], port));
        Target {
            priority,
            weight,
            ..Target::new(addr, Proto::Udp)
        }
    }

    fn ports(targets: &[Target]) -> Vec<u16> {
        targets.iter().map(|target| target.addr.port()).collect()
    }

    #[test]
    fn priority_comes_first_and_weight_shares_the_calls() {
        let targets = [
            target(3, 20, 0),
            target(1, 10, 60),
            target(2, 10, 20),
            target(4, 10, 0),
        ];
        let mut first = HashMap::new();
        for number in 0..810 {
            let order = by_weight(&targets, || number);
            assert_eq!(order.len(), 4);
            assert_eq!(order[3].addr.port(), 3, "the lower priority comes last");
            *first.entry(order[0].addr.port()).or_insert(0) += 1;
        }
        // Of the 81 numbers from 0 to 80.
        let counted = [1, 2, 4].map(|port| first[&port]);
        assert_eq!(counted, [600, 200, 10]);
        let equals = [target(7, 0, 0), target(8, 0, 0)];
        assert_eq!(ports(&by_weight(&equals, || 12_345)), [7, 8]);
    }

    #[test]
    fn who_failed_comes_last_for_a_while_and_retry_after_is_bounded() {
        let trunk = Trunk {
            targets: vec![target(1, 0, 0), target(2, 1, 0)],
            ..super::super::sources::tests::trunk(1, &[], &[])
        };
        let resting = Resting::default();
        assert_eq!(ports(&resting.order(&trunk)), [1, 2]);
        resting.failed(trunk.targets[0].addr, Some(Duration::from_secs(1 << 30)));
        assert_eq!(ports(&resting.order(&trunk)), [2, 1]);
        let until = resting.map()[&trunk.targets[0].addr];
        assert!(until <= Instant::now() + LONGEST_REST);
        resting.worked(trunk.targets[0].addr);
        assert_eq!(ports(&resting.order(&trunk)), [1, 2]);
        resting.failed(trunk.targets[0].addr, Some(Duration::ZERO));
        assert_eq!(ports(&resting.order(&trunk)), [1, 2], "no rest asked for");
    }
}
