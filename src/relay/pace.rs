//! How long the relay waits: for answers, and between tries.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Millis;

const SECOND: Millis = 1000;

/// Waits after the first, second, … try that the relay put off; the last one repeats.
const LADDER: [Millis; 6] = [
    30 * SECOND,
    60 * SECOND,
    2 * 60 * SECOND,
    5 * 60 * SECOND,
    10 * 60 * SECOND,
    30 * 60 * SECOND,
];

/// How long a draft rests that could not be written.
pub(super) const DRAFT: Millis = 60 * SECOND;

/// How long no mail is tried after the relay could not be reached.
pub(super) const REST: Millis = 15 * SECOND;

/// To reach the relay's port.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// For the greeting, and for each command but the end of the data. The relay is a neighbour that
/// answers at once or not at all: RFC 5321 §4.5.3.2 allows 2 to 5 minutes for strangers.
pub(super) const COMMAND: Duration = Duration::from_secs(60);
/// For the data and the answer to its end (RFC 5321 §4.5.3.2.6: 10 minutes).
pub(super) const DATA: Duration = Duration::from_secs(600);
/// Longer than all of them together: after it nobody is sending the mail any more.
pub(super) const LEASE: Millis = 20 * 60 * SECOND;

/// How long to wait after a number of tries: the ladder's step, give or take a fifth, so that mails
/// put off together don't come back together. The same mail and try always wait alike.
pub(super) fn wait(tries: i64, mail_id: &str) -> Millis {
    let step = usize::try_from(tries.max(1) - 1).unwrap_or(usize::MAX);
    let wait = LADDER[step.min(LADDER.len() - 1)];
    let spread = Sha256::new()
        .chain_update(mail_id)
        .chain_update(tries.to_be_bytes())
        .finalize();
    wait - wait / 5 + wait * 2 / 5 * Millis::from(spread[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_spread() {
        for tries in 1..20 {
            let step = LADDER[(tries as usize - 1).min(5)];
            let waits: Vec<_> = (0..50).map(|n| wait(tries, &format!("mail{n}"))).collect();
            assert!(
                waits
                    .iter()
                    .all(|w| (step * 4 / 5..=step * 6 / 5).contains(w))
            );
            assert!(waits.iter().any(|w| *w != waits[0]));
        }
        assert_eq!(wait(0, "a").cmp(&0), std::cmp::Ordering::Greater);
    }

    #[test]
    fn a_lease_outlasts_a_try() {
        let longest = CONNECT + 7 * COMMAND + DATA;
        assert!(u128::from(LEASE.unsigned_abs()) > longest.as_millis());
    }
}
