//! The one table of job states: how long each may last, who moves it on, and where to.
//!
//! No other code names a state in SQL but through these constants; `watchdog` walks the table.

use std::{fmt, str::FromStr};

use crate::clock::Millis;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// Where a job is. Stored by its [`State::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Its pages are made; it awaits its sender's confirmation or an approval.
    Parked,
    /// Accepted; its pages are not made yet.
    Queued,
    /// A paper worker makes its pages.
    Rendering,
    /// Its pages are made; it awaits a channel.
    Ready,
    /// A call is being set up; no page data has gone out on it.
    Dialling,
    /// Page data goes out, or may have.
    Sending,
    /// Between two calls.
    Waiting,
    /// Every page is confirmed.
    Sent,
    /// Some pages are confirmed, the others won't be tried again.
    Partly,
    /// No page is confirmed and none will be tried again.
    Failed,
    /// The sender or an administrator called it off.
    Cancelled,
    /// Its time ran out before it could be sent.
    Expired,
    /// Page data went out and nobody can say whether it arrived.
    Unknown,
}

/// Who moves a job out of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The sender, or who has to approve it, by an answer.
    Sender,
    /// The task that renders.
    Renderer,
    /// The task that places calls.
    Dialler,
    /// The task of the call in progress.
    Call,
    /// Nobody: the state is final.
    Nobody,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The state.
    pub state: State,
    /// How long it may last, milliseconds; `None` for final states.
    pub lasts: Option<Millis>,
    /// Who moves it on.
    pub owner: Owner,
    /// Where it may go.
    pub exits: &'static [State],
    /// Where the watchdog sends it when its time is up.
    pub overdue: Option<State>,
}

/// The table. A job's states before the first call share one day; see [`crate::policy`] for the ladder.
pub const TABLE: [Rule; 13] = {
    use State::*;
    [
        Rule {
            state: Parked,
            // The policy's `confirm_h` is shorter.
            lasts: Some(7 * 24 * HOUR),
            owner: Owner::Sender,
            exits: &[Ready, Cancelled, Expired],
            overdue: Some(Expired),
        },
        Rule {
            state: Queued,
            lasts: Some(24 * HOUR),
            owner: Owner::Renderer,
            exits: &[Rendering, Cancelled, Expired],
            overdue: Some(Expired),
        },
        Rule {
            state: Rendering,
            lasts: Some(15 * MINUTE),
            owner: Owner::Renderer,
            exits: &[Ready, Parked, Queued, Failed, Cancelled],
            overdue: Some(Failed),
        },
        Rule {
            state: Ready,
            lasts: Some(24 * HOUR),
            owner: Owner::Dialler,
            exits: &[Dialling, Cancelled, Expired, Failed],
            overdue: Some(Expired),
        },
        Rule {
            state: Dialling,
            lasts: Some(5 * MINUTE),
            owner: Owner::Call,
            exits: &[Sending, Waiting, Failed, Partly, Unknown, Cancelled],
            overdue: Some(Waiting),
        },
        Rule {
            state: Sending,
            lasts: Some(4 * HOUR),
            owner: Owner::Call,
            exits: &[Sent, Waiting, Partly, Failed, Unknown, Cancelled],
            overdue: Some(Unknown),
        },
        Rule {
            state: Waiting,
            lasts: Some(24 * HOUR),
            owner: Owner::Dialler,
            exits: &[Dialling, Cancelled, Expired, Partly, Failed, Unknown],
            overdue: Some(Expired),
        },
        Rule {
            state: Sent,
            lasts: None,
            owner: Owner::Nobody,
            exits: &[],
            overdue: None,
        },
        Rule {
            state: Partly,
            lasts: None,
            owner: Owner::Nobody,
            exits: &[],
            overdue: None,
        },
        Rule {
            state: Failed,
            lasts: None,
            owner: Owner::Nobody,
            exits: &[],
            overdue: None,
        },
        Rule {
            state: Cancelled,
            lasts: None,
            owner: Owner::Nobody,
            exits: &[],
            overdue: None,
        },
        Rule {
            state: Expired,
            lasts: None,
            owner: Owner::Nobody,
            exits: &[],
            overdue: None,
        },
        Rule {
            state: Unknown,
            lasts: None,
            owner: Owner::Nobody,
            exits: &[],
            overdue: None,
        },
    ]
};

impl State {
    /// The name in the table `job`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Queued => "queued",
            Self::Rendering => "rendering",
            Self::Ready => "ready",
            Self::Dialling => "dialling",
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Partly => "partly",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Its row.
    #[must_use]
    pub fn rule(self) -> &'static Rule {
        &TABLE[self as usize]
    }

    /// Nothing will happen to the job any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.rule().exits.is_empty()
    }

    /// Whether the table lets a job go from here to `next`.
    #[must_use]
    pub fn leads_to(self, next: State) -> bool {
        self.rule().exits.contains(&next)
    }

    /// When the watchdog acts on a job that enters this state at `now`.
    #[must_use]
    pub fn deadline(self, now: Millis) -> Millis {
        self.rule().lasts.map_or(Millis::MAX, |lasts| now + lasts)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A state that no version of this table knows.
#[derive(Debug, thiserror::Error)]
#[error("unknown job state {0:?}: the database was written by a newer version")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        TABLE
            .iter()
            .map(|rule| rule.state)
            .find(|state| state.name() == name)
            .ok_or_else(|| UnknownState(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_stands_at_its_state_and_names_come_back() {
        for (index, rule) in TABLE.iter().enumerate() {
            assert_eq!(rule.state as usize, index);
            assert_eq!(
                rule.state.name().parse::<State>().expect("name"),
                rule.state
            );
        }
    }

    #[test]
    fn promise_7_every_state_has_a_deadline_an_owner_and_an_exit_to_an_end() {
        for rule in &TABLE {
            if rule.state.is_final() {
                assert_eq!(rule.owner, Owner::Nobody);
                continue;
            }
            assert!(rule.lasts.is_some(), "{} may last for ever", rule.state);
            assert_ne!(rule.owner, Owner::Nobody);
            let overdue = rule.overdue.expect("a way out when overdue");
            assert!(rule.state.leads_to(overdue), "{} to {overdue}", rule.state);
            // From the way out, an end is reached within three more steps of being overdue.
            let mut state = overdue;
            for _ in 0..3 {
                state = state.rule().overdue.unwrap_or(state);
            }
            assert!(state.is_final(), "{} never ends", rule.state);
        }
    }
}
