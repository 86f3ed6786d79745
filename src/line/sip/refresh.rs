//! Session timers (RFC 4028): who refreshes, how often, and when a session without refresh is over.
//!
//! A refresh is a re-INVITE that repeats the session description as it stands: the one form that
//! every carrier knows. Roles are those of the request that is spoken of: who sends a refresh writes
//! `refresher=uac` whichever side called.

use std::time::Duration;

use rsipstack::sip::{Header, Headers, Response};
use tokio::time::Instant;

/// The shortest interval that we take part in, seconds (RFC 4028 §4: never below 90).
pub(super) const MIN_SE: u32 = 90;
/// The longest we let a peer raise ours to by 422.
const MAX_SE: u32 = 86_400;

/// The interval that two ends agreed on, and who refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) seconds: u32,
    pub(super) we_refresh: bool,
}

/// The clock of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    agreed: Agreed,
    refresh_at: Option<Instant>,
    over_at: Instant,
}

impl Clock {
    /// Starts with the answer that agreed on it. `second` is a second, but for tests.
    pub(super) fn start(agreed: Agreed, second: Duration, now: Instant) -> Self {
        let interval = second * agreed.seconds;
        // RFC 4028 §10: half the interval for a refresh; the end comes 32 s or a third earlier.
        let early = (second * 32).min(interval / 3);
        Self {
            agreed,
            refresh_at: agreed.we_refresh.then_some(now + interval / 2),
            over_at: now + interval - early,
        }
    }

    /// When something is to be done.
    pub(super) fn wake(&self) -> Instant {
        self.refresh_at.unwrap_or(self.over_at).min(self.over_at)
    }

    /// Nobody refreshed in time.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.over_at
    }

    /// Whether we are to refresh now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.refresh_at.is_some_and(|at| at <= now)
    }

    /// The refresh waits: another exchange is under way, or it failed.
    pub(super) fn put_off(&mut self, until: Instant) {
        self.refresh_at = self.refresh_at.map(|_| until);
    }

    /// The same with a longer interval, which a 422 asked for.
    pub(super) fn raised(&self, seconds: u32) -> Agreed {
        Agreed {
            seconds: seconds.max(self.agreed.seconds),
            ..self.agreed
        }
    }

    /// The header fields of a re-INVITE that we send now.
    pub(super) fn in_request(&self) -> Vec<Header> {
        let refresher = if self.agreed.we_refresh { "uac" } else { "uas" };
        let expires = format!("{};refresher={refresher}", self.agreed.seconds);
        fields(expires, self.agreed.seconds.min(MIN_SE))
    }
}

fn fields(expires: String, least: u32) -> Vec<Header> {
    vec![
        Header::Supported("timer".into()),
        Header::SessionExpires(expires.into()),
        Header::MinSE(least.to_string().into()),
    ]
}

/// What our INVITE asks for; `least` is what a 422 said, if one did (RFC 4028 §7.1).
pub(super) fn in_invite(seconds: u32, least: Option<u32>) -> Vec<Header> {
    let least = least.unwrap_or(MIN_SE).max(MIN_SE);
    // Who refreshes is left to the peer (RFC 4028 §7.1).
    fields(seconds.max(least).to_string(), least)
}

/// What a 2xx to our request agreed on (RFC 4028 §7.2); without Session-Expires there is no timer.
pub(super) fn agreed_by(response: &Response) -> Option<Agreed> {
    let (seconds, refresher) = expires_of(&response.headers)?;
    Some(Agreed {
        seconds: seconds.max(MIN_SE),
        // "uas" is who answered: the peer.
        we_refresh: refresher.as_deref() != Some("uas"),
    })
}

/// The interval that a 422 asks for (RFC 4028 §6), unless it is beyond all reason.
pub(super) fn least_of(response: &Response) -> Option<u32> {
    response
        .headers
        .iter()
        .find_map(|header| match header {
            Header::MinSE(value) => number(value.value()),
            _ => None,
        })
        .filter(|seconds| *seconds <= MAX_SE)
}

/// What we say to a peer's INVITE, re-INVITE or UPDATE about its session timer (RFC 4028 §9).
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// Below what we take part in: 422 with these fields.
    TooBrief(Vec<Header>),
    /// These go into the 2xx; `None`: no timer from now on.
    With(Vec<Header>, Option<Agreed>),
}

/// Reads a peer's request.
pub(super) fn answer(request: &Headers) -> Answer {
    let Some((seconds, refresher)) = expires_of(request) else {
        return Answer::With(Vec::new(), None);
    };
    if seconds < MIN_SE {
        return Answer::TooBrief(vec![Header::MinSE(MIN_SE.to_string().into())]);
    }
    // A peer that doesn't know the extension can't refresh (its proxy asked): then we do.
    let peer_can = request.iter().any(|header| match header {
        Header::Supported(value) => value.value().split(',').any(is_timer),
        Header::Require(value) => value.value().split(',').any(is_timer),
        _ => false,
    });
    let we_refresh = !peer_can || refresher.as_deref() == Some("uas");
    let who = if we_refresh { "uas" } else { "uac" };
    let mut fields = vec![Header::SessionExpires(
        format!("{seconds};refresher={who}").into(),
    )];
    if peer_can {
        fields.push(Header::Supported("timer".into()));
        if !we_refresh {
            // RFC 4028 §9: the peer must know that it is to refresh.
            fields.push(Header::Require("timer".into()));
        }
    }
    Answer::With(
        fields,
        Some(Agreed {
            seconds,
            we_refresh,
        }),
    )
}

fn is_timer(tag: &str) -> bool {
    tag.trim().eq_ignore_ascii_case("timer")
}

fn number(text: &str) -> Option<u32> {
    text.split(';').next()?.trim().parse().ok()
}

/// Session-Expires: seconds, and the refresher that it names (RFC 4028 §4).
fn expires_of(headers: &Headers) -> Option<(u32, Option<String>)> {
    let value = headers.iter().find_map(|header| match header {
        Header::SessionExpires(value) => Some(value.value()),
        _ => None,
    })?;
    let refresher = value.split(';').skip(1).find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("refresher")
            .then(|| value.trim().to_ascii_lowercase())
    });
    Some((number(value)?, refresher))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(expires: &str, supported: bool) -> Headers {
        let mut headers = Headers::default();
        headers.push(Header::SessionExpires(expires.into()));
        if supported {
            headers.push(Header::Supported("100rel, timer".into()));
        }
        headers
    }

    fn text(fields: &[Header]) -> String {
        fields.iter().map(|field| format!("{field}|")).collect()
    }

    #[test]
    fn who_refreshes_is_as_rfc_4028_table_2_has_it() {
        for (expires, supported, we_refresh, wanted) in [
            (
                "1800",
                true,
                false,
                "Session-Expires: 1800;refresher=uac|Supported: timer|Require: timer|",
            ),
            (
                "1800;refresher=uac",
                true,
                false,
                "Session-Expires: 1800;refresher=uac|Supported: timer|Require: timer|",
            ),
            (
                "1800 ; Refresher=UAS",
                true,
                true,
                "Session-Expires: 1800;refresher=uas|Supported: timer|",
            ),
            ("600", false, true, "Session-Expires: 600;refresher=uas|"),
        ] {
            let Answer::With(fields, Some(agreed)) = answer(&asked(expires, supported)) else {
                panic!("{expires}: no agreement")
            };
            assert_eq!(agreed.we_refresh, we_refresh, "{expires}");
            assert_eq!(text(&fields), wanted);
        }
        let brief = answer(&asked("60", true));
        assert!(matches!(brief, Answer::TooBrief(fields) if text(&fields) == "Min-SE: 90|"));
        assert_eq!(answer(&Headers::default()), Answer::With(vec![], None));
    }

    #[test]
    fn a_clock_refreshes_at_half_and_ends_early() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let agreed = |we_refresh| Agreed {
            seconds: 1800,
            we_refresh,
        };
        let ours = Clock::start(agreed(true), second, now);
        assert_eq!(ours.wake(), now + second * 900);
        assert!(ours.is_due(now + second * 900) && !ours.is_over(now + second * 1767));
        let theirs = Clock::start(agreed(false), second, now);
        assert_eq!(theirs.wake(), now + second * 1768);
        assert!(!theirs.is_due(now + second * 1768) && theirs.is_over(now + second * 1768));
        assert!(text(&theirs.in_request()).contains("1800;refresher=uas"));
        let short = Agreed {
            seconds: 90,
            we_refresh: false,
        };
        assert_eq!(Clock::start(short, second, now).wake(), now + second * 60);
    }

    #[test]
    fn an_invite_asks_for_what_a_422_wants() {
        assert_eq!(
            text(&in_invite(1800, None)),
            "Supported: timer|Session-Expires: 1800|Min-SE: 90|"
        );
        assert!(text(&in_invite(1800, Some(3600))).contains("Session-Expires: 3600|Min-SE: 3600"));
    }
}
