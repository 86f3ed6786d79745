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

/// The calls of a job so far, the one that has just ended included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calls {
    /// Placed.
    pub placed: u32,
    /// In which page data went out.
    pub with_page_data: u32,
    /// That ended by the same class as this one.
    pub of_class: u32,
}

/// Decides by the pages' verdicts (of all legs, page 0 first), why the call ended, and the calls so far.
///
/// A retry starts at the first page that isn't confirmed and sends all from there; if one of them is
/// unknown, it is repeated only where the policy says so.
pub(super) fn after_call(
    verdicts: &[Verdict],
    class: RetryClass,
    calls: Calls,
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

fn wait(class: RetryClass, calls: Calls, policy: &Sending) -> Option<i64> {
    if calls.placed >= policy.max_calls || calls.with_page_data >= policy.max_tries {
        return None;
    }
    let row = match class {
        RetryClass::Never => return None,
        RetryClass::Busy => &policy.wait_s.busy,
        RetryClass::NoAnswer => &policy.wait_s.no_answer,
        RetryClass::Protocol => &policy.wait_s.protocol,
        RetryClass::Trunk => &policy.wait_s.trunk,
        RetryClass::NoFax => &policy.wait_s.no_fax,
        RetryClass::Interrupted => &policy.wait_s.interrupted,
    };
    // Each row is walked by its own failures: a line that was busy has no part in a poor one. The calls in
    // all are bounded above.
    let seconds = *row.get(calls.of_class.saturating_sub(1) as usize)?;
    Some(i64::from(seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Confirmed, Refused, Unknown, Unsent};

    fn policy() -> Sending {
        Sending::load(None).expect("the built-in policy")
    }

    /// Calls that all ended the same way.
    fn calls(placed: u32, with_page_data: u32) -> Calls {
        Calls {
            placed,
            with_page_data,
            of_class: placed,
        }
    }

    #[test]
    fn all_confirmed_is_sent_however_the_call_ended() {
        assert_eq!(
            after_call(
                &[Confirmed, Confirmed],
                RetryClass::Protocol,
                calls(1, 1),
                &policy()
            ),
            Next::End(State::Sent)
        );
    }

    #[test]
    fn busy_climbs_the_ladder_and_the_ladder_ends() {
        let policy = policy();
        let pages = [Unsent, Unsent];
        assert_eq!(
            after_call(&pages, RetryClass::Busy, calls(1, 0), &policy),
            Next::Wait(180_000)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Busy, calls(11, 0), &policy),
            Next::Wait(180_000)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Busy, calls(12, 0), &policy),
            Next::End(State::Failed)
        );
    }

    #[test]
    fn each_class_has_its_own_row_and_its_own_count() {
        let policy = policy();
        // Ten busy lines, then the first that broke off.
        let mixed = Calls {
            placed: 11,
            with_page_data: 1,
            of_class: 1,
        };
        let wait = |class, calls| after_call(&[Unsent], class, calls, &policy);
        assert_eq!(wait(RetryClass::Protocol, mixed), Next::Wait(60_000));
        assert_eq!(wait(RetryClass::NoAnswer, calls(1, 0)), Next::Wait(300_000));
        assert_eq!(wait(RetryClass::NoFax, calls(1, 0)), Next::Wait(300_000));
        assert_eq!(
            wait(RetryClass::NoFax, calls(2, 0)),
            Next::End(State::Failed)
        );
        assert_eq!(wait(RetryClass::Interrupted, mixed), Next::Wait(5_000));
        assert_eq!(wait(RetryClass::Protocol, calls(2, 2)), Next::Wait(60_000));
        assert_eq!(
            wait(RetryClass::Protocol, calls(3, 3)),
            Next::End(State::Failed)
        );
    }

    #[test]
    fn promise_3_an_unknown_page_is_not_repeated_unless_the_policy_says_so() {
        let mut policy = policy();
        let pages = [Confirmed, Unknown, Unsent];
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, calls(1, 1), &policy),
            Next::End(State::Unknown)
        );
        // Behind a refused page it would be repeated all the same.
        assert_eq!(
            after_call(
                &[Refused, Unknown],
                RetryClass::Protocol,
                calls(1, 1),
                &policy
            ),
            Next::End(State::Unknown)
        );
        policy.repeat_unknown = true;
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, calls(1, 1), &policy),
            Next::Wait(60_000)
        );
    }

    #[test]
    fn a_fax_without_pages_is_never_sent() {
        assert_eq!(
            after_call(&[], RetryClass::Protocol, calls(1, 1), &policy()),
            Next::End(State::Failed)
        );
    }

    #[test]
    fn a_refused_page_is_tried_again_and_then_told() {
        let policy = policy();
        let pages = [Confirmed, Refused];
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, calls(1, 1), &policy),
            Next::Wait(60_000)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Protocol, calls(3, 3), &policy),
            Next::End(State::Partly)
        );
        assert_eq!(
            after_call(&pages, RetryClass::Never, calls(1, 1), &policy),
            Next::End(State::Partly)
        );
    }
}
