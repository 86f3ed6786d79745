//! What comes after a call: another one, from which page and when, or an end.

use super::state::State;
use crate::{line::Verdict, outcome::RetryClass, policy::Sending};

/// What becomes of a job after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another call after this many milliseconds.
    Wait(i64),
    /// A final state.
    End(State),
}

/// Decides by the pages' verdicts (of all legs, page 0 first), why the call ended, and how many calls
/// were placed, this one included.
///
/// A retry starts at the first page that isn't confirmed and sends all from there; if one of them is
/// unknown, it is repeated only where the policy says so.
pub(super) fn after_call(
    verdicts: &[Verdict],
    class: RetryClass,
    calls: u32,
    policy: &Sending,
) -> Next {
    if verdicts.is_empty() || verdicts.iter().all(|v| *v == Verdict::Confirmed) {
        return Next::End(given_up(verdicts));
    }
    if verdicts.contains(&Verdict::Unknown) && !policy.repeat_unknown {
        return Next::End(State::Unknown);
    }
    match wait(class, calls, policy) {
        Some(ms) => Next::Wait(ms),
        None => Next::End(given_up(verdicts)),
    }
}

/// The final state of a job that won't be tried again.
pub(super) fn given_up(verdicts: &[Verdict]) -> State {
    if verdicts.iter().all(|v| *v == Verdict::Confirmed) && !verdicts.is_empty() {
        State::Sent
    } else if verdicts.contains(&Verdict::Unknown) {
        State::Unknown
    } else if verdicts.contains(&Verdict::Confirmed) {
        State::Partly
    } else {
        State::Failed
    }
}

fn wait(class: RetryClass, calls: u32, policy: &Sending) -> Option<i64> {
    if calls >= policy.max_calls {
        return None;
    }
    let row = match class {
        RetryClass::Never => return None,
        RetryClass::Busy => &policy.wait_s.busy,
        RetryClass::NoAnswer => &policy.wait_s.no_answer,
        RetryClass::Protocol => &policy.wait_s.protocol,
        RetryClass::Trunk => &policy.wait_s.trunk,
        RetryClass::NoFax => &policy.wait_s.no_fax,
    };
    // The row is walked by calls placed, whatever ended the earlier ones: so it always runs out.
    let seconds = *row.get(calls.saturating_sub(1) as usize)?;
    Some(i64::from(seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Confirmed, Refused, Unknown, Unsent};

    fn policy() -> Sending {
        Sending::load(None).expect("the built-in policy")
    }

    #[test]
    fn all_confirmed_is_sent_however_the_call_ended() {
        assert_eq!(
            after_call(&[Confirmed, Confirmed], RetryClass::Protocol, 1, &policy()),
            Next::End(State::Sent)
        );
    }

    #[test]
    fn busy_climbs_the_ladder_and_the_ladder_ends() {
        let policy = policy();
        let pages = [Unsent, Unsent];
        assert_eq!(
            after_call(&pages, RetryClass::Busy, 1, &policy),
            Next::Wait(120_000)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Busy, 2, &policy),
            Next::Wait(180_000)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Busy, policy.max_calls, &policy),
            Next::End(State::Failed)
        );
    }

    #[test]
    fn promise_3_an_unknown_page_is_not_repeated_unless_the_policy_says_so() {
        let mut policy = policy();
        let pages = [Confirmed, Unknown, Unsent];
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, 1, &policy),
            Next::End(State::Unknown)
        );
        // Behind a refused page it would be repeated all the same.
        assert_eq!(
            after_call(&[Refused, Unknown], RetryClass::Protocol, 1, &policy),
            Next::End(State::Unknown)
        );
        policy.repeat_unknown = true;
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, 1, &policy),
            Next::Wait(60_000)
        );
    }

    #[test]
    fn a_fax_without_pages_is_never_sent() {
        assert_eq!(
            after_call(&[], RetryClass::Protocol, 1, &policy()),
            Next::End(State::Failed)
        );
    }

    #[test]
    fn a_refused_page_is_tried_again_and_then_told() {
        let policy = policy();
        let pages = [Confirmed, Refused];
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, 1, &policy),
            Next::Wait(60_000)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, 9, &policy),
            Next::End(State::Partly)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Never, 1, &policy),
            Next::End(State::Partly)
        );
    }
}
