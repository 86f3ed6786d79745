//! How long anything may last, all from one T1 so that tests can shrink time without sleeping.

use std::time::Duration;

/// RFC 3261 §17.1.1.1 and what we put beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// Round-trip estimate, 500 ms by default.
    pub(super) t1: Duration,
    /// A second of session timers (RFC 4028): shorter in tests only.
    pub(super) second: Duration,
}

/// An INVITE that the gateway neither answers nor refuses is refused after this.
pub(super) const UNANSWERED: Duration = Duration::from_secs(180);
/// Attempts of one re-INVITE that meets glare (RFC 3261 §14.1).
pub(super) const GLARE_ATTEMPTS: u32 = 3;

impl Timers {
    /// T2: longest interval between retransmissions (RFC 3261 §17.1.2.2).
    pub(super) fn t2(self) -> Duration {
        self.t1 * 8
    }

    /// T4: longest life of a message in the network (RFC 3261 §17.1.2.2).
    pub(super) fn t4(self) -> Duration {
        self.t1 * 10
    }

    /// 64·T1: timers B, D, F, H, L, M.
    pub(super) fn t1x64(self) -> Duration {
        self.t1 * 64
    }

    /// How long the peer's re-INVITE waits for our gateway. The stack says 501 by itself after
    /// 64·T1, so with a short T1 we must be quicker.
    pub(super) fn reoffer(self) -> Duration {
        super::REOFFER_LIMIT.min(self.t1x64() * 3 / 4)
    }

    /// How long our re-INVITE may take, provisional answers included. Timer B ends an unanswered
    /// one before that; only a peer that says 1xx and then nothing gets here (the stack's timer C
    /// would wait for three minutes).
    pub(super) fn reinvite(self) -> Duration {
        self.t1x64() + self.t1 * 10
    }

    /// How long `Ended` waits for the answer to our BYE; the BYE itself goes on.
    pub(super) fn bye(self) -> Duration {
        self.t1 * 4
    }

    /// Pause after 491 (RFC 3261 §14.1): who owns the Call-ID waits 2.1 to 4 s, the other 0 to 2 s,
    /// in the default T1's units. `dice` is random.
    pub(super) fn glare(self, owner: bool, dice: u16) -> Duration {
        let part = u32::from(dice);
        let ms = if owner {
            2100 + part % 1900
        } else {
            (part % 200) * 10
        };
        self.t1 * ms / 500
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glare_pauses_stay_within_rfc_3261() {
        let timers = Timers {
            t1: Duration::from_millis(500),
            second: Duration::from_secs(1),
        };
        for dice in [0u16, 1, 199, 200, 1899, 1900, u16::MAX] {
            let owner = timers.glare(true, dice);
            assert!((Duration::from_millis(2100)..=Duration::from_millis(4000)).contains(&owner));
            assert!(timers.glare(false, dice) <= Duration::from_millis(2000));
        }
    }

    #[test]
    fn the_gateway_is_always_asked_before_the_stack_gives_up() {
        for ms in [1u64, 5, 20, 500, 2000] {
            let timers = Timers {
                t1: Duration::from_millis(ms),
                second: Duration::from_secs(1),
            };
            assert!(timers.reoffer() < timers.t1x64());
        }
    }
}
