//! The trunks that the line uses: their numbers in the signalling, how full they are, how they are.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::sip::{Event, TrunkId};
use crate::{
    clock::{Millis, now_ms},
    numbers::{MediaFrom, NumberFormat, Reach, T38Policy, Transport, Trunk, TrunkState},
};

const MINUTE: Duration = Duration::from_secs(60);
/// How long a trunk that could not be reached is tried after all others.
const AVOID: Duration = Duration::from_secs(30);
/// What a trunk's Retry-After is honoured up to: faxes wait that long where it is the only one.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// OPTIONS without an answer, one after the other, that make a trunk down: one may be lost.
const SILENCES: u32 = 2;

/// A trunk under its number in the signalling.
struct Known {
    trunk: Trunk,
    number: TrunkId,
    /// Calls that it carries, both ways.
    busy: Arc<()>,
    /// When calls were placed, of the last minute.
    placed: VecDeque<Instant>,
    avoid_until: Option<Instant>,
    /// It asked for no calls until then (Retry-After).
    rests_until: Option<Instant>,
    /// What the registrar said last; `None`: no registration, or not asked yet.
    registered: Option<bool>,
    /// Whether it ever answered OPTIONS, and how many it left unanswered since. One that never does is
    /// not down for that: there are trunks that don't know OPTIONS.
    probed: bool,
    silences: u32,
    state: TrunkState,
}

/// All of them.
#[derive(Default)]
pub(super) struct Trunks {
    known: Mutex<Vec<Known>>,
    /// Numbers are never used again: a late event must not find another trunk.
    next: AtomicU32,
    changed: Notify,
}

/// One call's place on a trunk; free again when dropped.
pub(super) struct Channel {
    pub number: TrunkId,
    pub trunk: Trunk,
    _busy: Arc<()>,
}

/// How a trunk is now.
#[derive(Clone, Debug)]
pub struct TrunkNow {
    /// Which.
    pub trunk_id: String,
    /// The operator's tenant.
    pub tenant_id: String,
    /// Calls that it carries, both ways.
    pub busy: usize,
    /// How it is.
    pub state: TrunkState,
}

impl Trunks {
    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Known>> {
        // Every entry is whole after every single change.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a trunk's settings; gives its number in the signalling.
    pub fn take_over(&self, trunk: &Trunk) -> TrunkId {
        let mut known = self.known();
        if let Some(known) = known
            .iter_mut()
            .find(|known| known.trunk.trunk_id == trunk.trunk_id)
        {
            if known.trunk != *trunk {
                // What was known of it was known of another address or user.
                known.reset();
                self.changed.notify_one();
            }
            known.trunk = trunk.clone();
            return known.number;
        }
        let number = TrunkId(self.next.fetch_add(1, Ordering::Relaxed));
        let mut new = Known {
            trunk: trunk.clone(),
            number,
            busy: Arc::default(),
            placed: VecDeque::new(),
            avoid_until: None,
            rests_until: None,
            registered: None,
            probed: false,
            silences: 0,
            state: TrunkState::default(),
        };
        new.reset();
        known.push(new);
        self.changed.notify_one();
        number
    }

    /// Forgets the trunks that are no longer there; gives their numbers in the signalling.
    pub fn forget_missing(&self, there: &[Trunk]) -> Vec<TrunkId> {
        let mut known = self.known();
        let missing =
            |known: &Known| (there.iter()).all(|trunk| trunk.trunk_id != known.trunk.trunk_id);
        let gone = (known.iter())
            .filter(|known| missing(known))
            .map(|known| known.number)
            .collect();
        known.retain(|known| !missing(known));
        gone
    }

    /// Those of these trunks that can take a call now, in their order, but for those that are down or
    /// could not be reached a moment ago: they come last, as what is known of them may be over.
    pub fn usable(&self, trunk_ids: &[String]) -> Vec<String> {
        let ranked = self.ranked(trunk_ids);
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    /// As [`usable`](Self::usable), with whether each is doubtful.
    pub fn ranked(&self, trunk_ids: &[String]) -> Vec<(bool, String)> {
        self.ranked_at(trunk_ids, Instant::now())
    }

    /// Whether a trunk is one of these.
    pub fn knows(&self, trunk_id: &str) -> bool {
        let known = self.known();
        known.iter().any(|known| known.trunk.trunk_id == trunk_id)
    }

    #[cfg(test)]
    fn usable_at(&self, trunk_ids: &[String], now: Instant) -> Vec<String> {
        let ranked = self.ranked_at(trunk_ids, now);
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    fn ranked_at(&self, trunk_ids: &[String], now: Instant) -> Vec<(bool, String)> {
        let mut known = self.known();
        let mut free: Vec<(bool, String)> = trunk_ids
            .iter()
            .filter_map(|id| {
                let known = known.iter_mut().find(|k| k.trunk.trunk_id == *id)?;
                known
                    .has_room(now)
                    .then(|| (known.is_doubtful(now), id.clone()))
            })
            .collect();
        free.sort_by_key(|(doubtful, _)| *doubtful);
        free
    }

    /// Takes a channel to place a call; `None`: the trunk is gone, off or full.
    pub fn hold(&self, trunk_id: &str) -> Option<Channel> {
        self.hold_at(trunk_id, Instant::now())
    }

    fn hold_at(&self, trunk_id: &str, now: Instant) -> Option<Channel> {
        let mut known = self.known();
        let known = known
            .iter_mut()
            .find(|known| known.trunk.trunk_id == trunk_id)?;
        if !known.has_room(now) {
            return None;
        }
        known.placed.push_back(now);
        Some(known.channel())
    }

    /// The channel of a call that came in; the trunk's own limit is not ours to keep.
    pub fn occupy(&self, number: TrunkId) -> Option<Channel> {
        let known = self.known();
        let known = known.iter().find(|known| known.number == number)?;
        Some(known.channel())
    }

    /// What a trunk is offered of T.38, and whom its media are taken from; one that we don't know gets what
    /// trunks get by default.
    pub fn policies(&self, trunk_id: &str) -> (T38Policy, MediaFrom) {
        let known = self.known();
        let known = known.iter().find(|k| k.trunk.trunk_id == trunk_id);
        known.map_or((T38Policy::Wait, MediaFrom::Signalled), |known| {
            (known.trunk.t38, known.trunk.media)
        })
    }

    /// Takes in what the signalling says about a trunk.
    pub fn note(&self, event: &Event) {
        let (Event::Registered { trunk, .. }
        | Event::RegistrationFailed { trunk, .. }
        | Event::Probed { trunk, .. }) = event
        else {
            return;
        };
        let mut known = self.known();
        if let Some(known) = known.iter_mut().find(|known| known.number == *trunk) {
            known.note(event, now_ms());
            self.changed.notify_one();
        }
    }

    /// A failure of a trunk: for the status, and to try others first for a while. One that asks to be left
    /// alone so long gets no calls meanwhile (RFC 3261 §21.5.4), within our bounds.
    pub fn failed(&self, trunk_id: &str, sentence: &str, retry_after: Option<Duration>) {
        let mut known = self.known();
        if let Some(known) = known.iter_mut().find(|k| k.trunk.trunk_id == trunk_id) {
            let (now, now_ms) = (Instant::now(), now_ms());
            known.failure(sentence.to_owned(), now_ms);
            match retry_after.map(|asked| asked.min(LONGEST_REST)) {
                None => known.avoid_until = Some(now + AVOID),
                Some(rest) => {
                    known.rests_until = Some(now + rest);
                    let rest = Millis::try_from(rest.as_millis()).unwrap_or(0);
                    known.state.rests_until = Some(now_ms + rest);
                }
            }
            self.changed.notify_one();
        }
    }

    /// A trunk's call was answered or refused by the far end: it works.
    pub fn worked(&self, trunk_id: &str) {
        let mut known = self.known();
        if let Some(known) = known.iter_mut().find(|k| k.trunk.trunk_id == trunk_id) {
            known.avoid_until = None;
            known.rests_until = None;
            if known.state.rests_until.take().is_some() {
                self.changed.notify_one();
            }
        }
    }

    /// How they all are.
    pub fn now(&self) -> Vec<TrunkNow> {
        let known = self.known();
        let now = |known: &Known| TrunkNow {
            trunk_id: known.trunk.trunk_id.clone(),
            tenant_id: known.trunk.tenant_id.clone(),
            busy: known.busy(),
            state: known.state.clone(),
        };
        known.iter().map(now).collect()
    }

    /// Returns when something about a trunk changed since it was last called.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Known {
    fn reset(&mut self) {
        self.registered = None;
        (self.probed, self.silences) = (false, 0);
        self.avoid_until = None;
        self.rests_until = None;
        self.state = TrunkState {
            since: now_ms(),
            ..TrunkState::default()
        };
    }

    fn busy(&self) -> usize {
        Arc::strong_count(&self.busy) - 1
    }

    fn channel(&self) -> Channel {
        Channel {
            number: self.number,
            trunk: self.trunk.clone(),
            _busy: Arc::clone(&self.busy),
        }
    }

    fn has_room(&mut self, now: Instant) -> bool {
        while (self.placed.front()).is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            self.placed.pop_front();
        }
        let per_minute = self.trunk.calls_per_minute.unwrap_or(u32::MAX) as usize;
        let rests = self.rests_until.is_some_and(|until| until > now);
        self.trunk.active
            && !rests
            && self.busy() < self.trunk.channels as usize
            && self.placed.len() < per_minute
    }

    fn is_doubtful(&self, now: Instant) -> bool {
        self.state.reach == Reach::Down || self.avoid_until.is_some_and(|until| until > now)
    }

    fn failure(&mut self, sentence: String, now: Millis) {
        self.state.failure = Some(sentence);
        self.state.failed_at = Some(now);
    }

    fn note(&mut self, event: &Event, now: Millis) {
        match event {
            Event::Registered { until, .. } => {
                self.registered = Some(true);
                self.state.registered_since.get_or_insert(now);
                let lasts = Millis::try_from(until.as_millis()).unwrap_or(Millis::MAX / 2);
                self.state.registered_until = Some(now + lasts);
                self.avoid_until = None;
            }
            Event::RegistrationFailed {
                status,
                error,
                lost,
                ..
            } => {
                let said = match (status, error) {
                    (Some(status), _) => format!("the registrar said {status}"),
                    (None, Some(why)) => format!("the registrar can't be asked: {why}"),
                    (None, None) => "the registrar did not answer".to_owned(),
                };
                self.failure(said, now);
                // A refresh that fails takes nothing away while the old registration lasts.
                if *lost {
                    self.registered = Some(false);
                    self.state.registered_since = None;
                    self.state.registered_until = None;
                }
            }
            Event::Probed { answered: true, .. } => {
                (self.probed, self.silences) = (true, 0);
                self.state.answered_at = Some(now);
            }
            Event::Probed {
                answered: false,
                error,
                ..
            } => {
                self.silences += 1;
                // Of a stream it is told at once: it is the connection that failed, not the question.
                let over_stream = matches!(self.trunk.transport, Transport::Tcp | Transport::Tls);
                if self.probed || over_stream {
                    let why = error.clone();
                    self.failure(
                        why.unwrap_or_else(|| "OPTIONS was not answered".into()),
                        now,
                    );
                }
            }
            _ => return,
        }
        let reach = if self.registered == Some(false) || (self.probed && self.silences >= SILENCES)
        {
            Reach::Down
        } else if self.registered == Some(true)
            || (self.trunk.register_s.is_none() && self.probed && self.silences < SILENCES)
        {
            Reach::Up
        } else {
            Reach::Unknown
        };
        if reach != self.state.reach {
            self.state.reach = reach;
            self.state.since = now;
        }
    }
}

/// A number as a trunk wants it.
pub(super) fn written(trunk: &Trunk, number: &str) -> String {
    match trunk.number_format {
        NumberFormat::E164 => number.to_owned(),
        NumberFormat::Plain => number.trim_start_matches('+').to_owned(),
    }
}

/// A number as a trunk wrote it: one that writes country code first and no plus sign gets the sign back.
pub(super) fn read_number(number: String, trunk: Option<&Trunk>) -> String {
    let plain = trunk.is_some_and(|trunk| trunk.number_format == NumberFormat::Plain);
    let is_plain = |c: char| c.is_ascii_digit() && c != '0';
    if plain && number.starts_with(is_plain) && number.bytes().all(|b| b.is_ascii_digit()) {
        format!("+{number}")
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers;

    fn trunk(name: &str) -> Trunk {
        Trunk {
            trunk_id: name.to_owned(),
            ..Trunk::new("t", name, "192.0.2.1", 5060)
        }
    }

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_plain_trunk_writes_numbers_without_their_sign() {
        let plain = Trunk {
            number_format: NumberFormat::Plain,
            ..trunk("a")
        };
        let read = |number: &str, trunk: &Trunk| read_number(number.to_owned(), Some(trunk));
        assert_eq!(read("33199001122", &plain), "+33199001122");
        assert_eq!(read("33199001122", &trunk("b")), "33199001122");
        for as_it_is in ["+33199001122", "0199001122", "anonymous", ""] {
            assert_eq!(read(as_it_is, &plain), as_it_is);
        }
        assert_eq!(written(&plain, "+33199001122"), "33199001122");
    }

    #[test]
    fn channels_and_calls_a_minute_are_kept() {
        let trunks = Trunks::default();
        let (a, b) = (
            Trunk {
                channels: 2,
                ..trunk("a")
            },
            Trunk {
                calls_per_minute: Some(2),
                ..trunk("b")
            },
        );
        let number = trunks.take_over(&a);
        trunks.take_over(&b);
        let both = ids(&["a", "b"]);
        let first = trunks.hold("a").unwrap();
        let incoming = trunks.occupy(number).unwrap();
        assert!(trunks.hold("a").is_none(), "calls of both directions count");
        assert_eq!(trunks.usable(&both), ids(&["b"]));
        drop(first);
        assert_eq!(trunks.usable(&both), both);
        drop(incoming);
        drop(trunks.hold("b").unwrap());
        drop(trunks.hold("b").unwrap());
        assert!(trunks.hold("b").is_none(), "two a minute");
        assert!(trunks.hold_at("b", Instant::now() + MINUTE).is_some());
        let off = Trunk { active: false, ..b };
        trunks.take_over(&off);
        assert_eq!(trunks.usable(&both), ids(&["a"]));
        assert_eq!(trunks.forget_missing(&[off]), [number]);
        assert!(trunks.usable(&ids(&["a"])).is_empty());
    }

    #[test]
    fn a_trunk_that_is_down_comes_last_and_comes_back() {
        let trunks = Trunks::default();
        let a = trunks.take_over(&trunk("a"));
        trunks.take_over(&trunk("b"));
        let both = ids(&["a", "b"]);
        let probed = |answered| Event::Probed {
            trunk: a,
            answered,
            error: None,
        };
        let reach = || trunks.now()[0].state.reach;
        for _ in 0..5 {
            trunks.note(&probed(false));
        }
        assert_eq!(reach(), Reach::Unknown, "it may not know OPTIONS");
        assert_eq!(trunks.usable(&both), both);
        trunks.note(&probed(true));
        assert_eq!(reach(), Reach::Up);
        trunks.note(&probed(false));
        assert_eq!(reach(), Reach::Up, "one may be lost");
        trunks.note(&probed(false));
        assert_eq!(reach(), Reach::Down);
        assert_eq!(trunks.usable(&both), ids(&["b", "a"]));
        trunks.note(&probed(true));
        assert_eq!(trunks.usable(&both), both);
        trunks.failed("a", "no answer", None);
        assert_eq!(trunks.usable(&both), ids(&["b", "a"]));
        assert_eq!(trunks.usable_at(&both, Instant::now() + AVOID), both);
    }

    #[test]
    fn a_trunk_that_asks_for_rest_gets_no_calls_meanwhile_and_says_so() {
        let trunks = Trunks::default();
        trunks.take_over(&trunk("a"));
        trunks.take_over(&trunk("b"));
        let both = ids(&["a", "b"]);
        let asked = |seconds| Some(Duration::from_secs(seconds));
        trunks.failed("a", "a call was refused with 503", asked(120));
        assert_eq!(trunks.usable(&both), ids(&["b"]));
        assert!(trunks.hold("a").is_none());
        let words = numbers::state_words(&trunks.now()[0].state, now_ms());
        assert!(words.contains("left alone for another"), "{words}");
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(trunks.usable_at(&both, later(121)), both);
        // A day is not believed.
        trunks.failed("a", "a call was refused with 503", asked(86_400));
        assert_eq!(trunks.usable_at(&both, later(299)), ids(&["b"]));
        assert_eq!(trunks.usable_at(&both, later(301)), both);
        trunks.worked("a");
        assert_eq!(trunks.usable(&both), both);
        let words = numbers::state_words(&trunks.now()[0].state, now_ms());
        assert!(!words.contains("left alone"), "{words}");
    }

    #[test]
    fn a_lost_registration_is_down_whatever_options_says() {
        let trunks = Trunks::default();
        let number = trunks.take_over(&Trunk {
            register_s: Some(600),
            ..trunk("a")
        });
        let state = || trunks.now()[0].state.clone();
        trunks.note(&Event::Probed {
            trunk: number,
            answered: true,
            error: None,
        });
        assert_eq!(state().reach, Reach::Unknown, "not registered yet");
        let failed = |lost| Event::RegistrationFailed {
            trunk: number,
            status: Some(403),
            error: None,
            lost,
            retry_in: Duration::from_secs(1),
        };
        trunks.note(&Event::Registered {
            trunk: number,
            until: Duration::from_secs(600),
            public: None,
        });
        assert_eq!(state().reach, Reach::Up);
        trunks.note(&failed(false));
        assert_eq!(state().reach, Reach::Up, "the old registration lasts");
        assert!(state().registered_since.is_some());
        trunks.note(&failed(true));
        assert_eq!(
            (state().reach, state().registered_since),
            (Reach::Down, None)
        );
        assert_eq!(state().failure.as_deref(), Some("the registrar said 403"));
    }
}
