//! What a trunk needs while nobody calls: its registration (RFC 3261 §10) and OPTIONS (§11), which tell
//! whether it is there and keep the way through a NAT open.
//!
//! The stack's own registration is not used: it writes the address that the registrar saw into our
//! Contact (behind TCP an ephemeral port, so that each reconnection adds a binding), asks for the same
//! lifetime for ever after 423, and tries a refused password until the account is locked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rsipstack::sip::headers::untyped::Expires;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Method, Response};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::adapter::Core;
use super::ask::{Ask, ask};
use super::message::{SDP, retry_after};
use super::talk::random;
use super::{Event, Proto, Trunk};

/// What a registrar is asked for at most after 423.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Refusals of our password, one after the other, after which we pause for long: a locked account helps
/// nobody.
const REFUSALS: u32 = 2;

/// Tends a trunk until `stop`, then removes its registration.
pub(super) async fn run(core: Arc<Core>, trunk: Arc<Trunk>, stop: CancellationToken) {
    let probing = async {
        if let Some(every) = core.probe {
            probe(&core, &trunk, every, &stop).await;
        }
    };
    let registering = async {
        if let Some(lifetime) = trunk.register {
            Registration::new(&core, &trunk, lifetime).run(&stop).await;
        }
    };
    tokio::join!(probing, registering);
}

/// Between 90 and 110 % of a pause, so that many trunks don't ask at once.
fn about(pause: Duration) -> Duration {
    let dice = u32::from(u16::from_ne_bytes(random()));
    pause * (900 + dice % 201) / 1000
}

async fn probe(core: &Core, trunk: &Trunk, every: Duration, stop: &CancellationToken) {
    let (sip_id, mut cseq) = (core.new_sip_id(), 0);
    loop {
        let probed = tokio::select! {
            probed = probe_once(core, trunk, &sip_id, &mut cseq) => probed,
            () = stop.cancelled() => return,
        };
        let answered = probed.is_ok();
        core.tell(Event::Probed {
            trunk: trunk.id,
            answered,
            error: probed.err(),
        })
        .await;
        // Silence may be one lost datagram: ask again soon.
        let pause = if answered { every } else { every / 3 };
        tokio::select! {
            () = tokio::time::sleep(about(pause)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Whether any target answers: whatever it says but 503, "I am here" (RFC 3261 §11.2) is in it. The error
/// is a sentence about the last of them.
async fn probe_once(
    core: &Core,
    trunk: &Trunk,
    sip_id: &str,
    cseq: &mut u32,
) -> Result<(), String> {
    // Timer E has sent it several times by then.
    let limit = core.timers.t1 * 12;
    let mut why = Err("it has no address".to_owned());
    for target in &core.resting.order(trunk) {
        let what = Ask {
            method: Method::Options,
            sip_id,
            headers: vec![
                Header::Contact(core.contact_of(trunk).into()),
                Header::Accept(SDP.into()),
            ],
        };
        match ask(core, trunk, target, cseq, what, limit).await {
            Ok(response) if response.status_code.code() != 503 => {
                core.resting.worked(target.addr);
                return Ok(());
            }
            Ok(response) => {
                core.resting.failed(target.addr, retry_after(&response));
                why = Err("OPTIONS was answered with 503".to_owned());
            }
            // Not counted against it: there are servers that take calls and know no OPTIONS.
            Err(sentence) => why = Err(sentence),
        }
    }
    why
}

/// What became of one REGISTER.
enum Outcome {
    Granted(Duration, Option<SocketAddr>),
    /// 423: ask for this at least (RFC 3261 §10.2.8).
    TooBrief(Duration),
    Refused(u16, Option<Duration>),
    /// A sentence.
    Silent(String),
}

struct Registration<'a> {
    core: &'a Core,
    trunk: &'a Trunk,
    /// What we ask for.
    lifetime: Duration,
    /// The same for all of them, so that the registrar knows them in order (RFC 3261 §10.2).
    sip_id: String,
    cseq: u32,
    /// Until when the last one lasts.
    until: Option<Instant>,
    failures: u32,
    refusals: u32,
}

impl<'a> Registration<'a> {
    fn new(core: &'a Core, trunk: &'a Trunk, lifetime: Duration) -> Self {
        Self {
            core,
            trunk,
            lifetime,
            sip_id: core.new_sip_id(),
            cseq: 0,
            until: None,
            failures: 0,
            refusals: 0,
        }
    }

    async fn run(mut self, stop: &CancellationToken) {
        let mut flows = self.core.closed.subscribe();
        // A peer that closes after every REGISTER must not make us register without end.
        let mut rescued: Option<Instant> = None;
        loop {
            let outcome = tokio::select! {
                outcome = self.register() => outcome,
                () = stop.cancelled() => break,
            };
            let pause = self.judge(outcome).await;
            let next = Instant::now() + pause;
            loop {
                let lapses = self.until.filter(|until| *until < next);
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep_until(next) => break,
                    () = sleep_until(lapses.unwrap_or(next)), if lapses.is_some() => {
                        self.until = None;
                        let lapsed = Some("the registration has lapsed".to_owned());
                        self.tell_failure(None, lapsed, next.duration_since(Instant::now())).await;
                    }
                    Ok(closed) = flows.recv() => {
                        let ours = self.trunk.targets.iter().any(|target| target.addr == closed);
                        let now = Instant::now();
                        let lately = rescued.is_some_and(|at| now < at + self.core.timers.t1 * 120);
                        if ours && self.until.is_some() && !lately {
                            rescued = Some(now);
                            break;
                        }
                    }
                }
            }
            if stop.is_cancelled() {
                break;
            }
        }
        if self.until.is_some() {
            let _ = self.send(Duration::ZERO).await;
        }
    }

    /// Tells what became of it; gives the pause until the next.
    async fn judge(&mut self, outcome: Outcome) -> Duration {
        let unit = self.core.timers.t1 * 2;
        let mut pause = match &outcome {
            Outcome::Granted(lasts, public) => {
                (self.failures, self.refusals) = (0, 0);
                self.until = Some(Instant::now() + *lasts);
                self.core
                    .tell(Event::Registered {
                        trunk: self.trunk.id,
                        until: *lasts,
                        public: *public,
                    })
                    .await;
                // 75 %, a little less or more, but never in a hurry.
                return about(*lasts * 3 / 4).max(unit / 4);
            }
            Outcome::TooBrief(least) if *least > self.lifetime && *least <= LONGEST => {
                self.lifetime = *least;
                return Duration::ZERO;
            }
            Outcome::Refused(401 | 403 | 407, _) => {
                self.refusals += 1;
                unit * if self.refusals >= REFUSALS { 900 } else { 10 }
            }
            Outcome::Refused(_, Some(after)) => (*after).min(unit * 3600),
            _ => unit * (1 << self.failures.min(6)).min(60),
        };
        self.failures += 1;
        pause = about(pause);
        let (status, error) = match outcome {
            Outcome::Refused(status, _) => (Some(status), None),
            Outcome::TooBrief(_) => (Some(423), None),
            Outcome::Silent(sentence) => (None, Some(sentence)),
            Outcome::Granted(..) => (None, None),
        };
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.until = None;
        }
        self.tell_failure(status, error, pause).await;
        pause
    }

    async fn tell_failure(&self, status: Option<u16>, error: Option<String>, retry_in: Duration) {
        self.core
            .tell(Event::RegistrationFailed {
                trunk: self.trunk.id,
                status,
                error,
                lost: self.until.is_none(),
                retry_in,
            })
            .await;
    }

    async fn register(&mut self) -> Outcome {
        let response = match self.send(self.lifetime).await {
            Ok(response) => response,
            Err(sentence) => return Outcome::Silent(sentence),
        };
        match response.status_code.code() {
            200..=299 => {
                let ours = self.core.contact_of_text(self.trunk);
                let lasts = granted(&response, &ours).unwrap_or(self.lifetime);
                Outcome::Granted(lasts, seen_at(&response))
            }
            423 => Outcome::TooBrief(seconds(response.header_value("Min-Expires"))),
            status => Outcome::Refused(status, retry_after(&response)),
        }
    }

    /// Asks the targets in order; one that can't be reached leaves it to the next.
    async fn send(&mut self, lifetime: Duration) -> Result<Response, String> {
        let limit = self.core.timers.t1x64().min(self.trunk.connect_timeout * 2);
        let mut why = Err("it has no address".to_owned());
        for target in &self.core.resting.order(self.trunk) {
            let expires = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
            let what = Ask {
                method: Method::Register,
                sip_id: &self.sip_id,
                headers: vec![
                    Header::Contact(self.core.contact_of(self.trunk).into()),
                    Header::Expires(Expires::from(expires)),
                ],
            };
            why = ask(self.core, self.trunk, target, &mut self.cseq, what, limit).await;
            match &why {
                // RFC 3263 §4.3: 503 is as good as silence.
                Ok(response) if response.status_code.code() == 503 => {
                    self.core.resting.failed(target.addr, retry_after(response));
                }
                Ok(_) => {
                    self.core.resting.worked(target.addr);
                    break;
                }
                Err(_) => self.core.resting.failed(target.addr, None),
            }
        }
        why
    }
}

fn seconds(text: Option<String>) -> Duration {
    let seconds = text.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(LONGEST + Duration::from_secs(1))
}

/// The lifetime that the registrar gave to our Contact, `user@host:port` (RFC 3261 §10.2.4): other
/// devices' bindings are in the answer too.
fn granted(response: &Response, ours: &str) -> Option<Duration> {
    let bindings: Vec<&str> = response
        .headers
        .iter()
        .filter_map(|header| match header {
            Header::Contact(contact) => Some(contact.value()),
            _ => None,
        })
        .flat_map(|value| value.split(','))
        .collect();
    let expires = |binding: &&str| {
        let params = binding.split_once('>').map_or("", |(_, params)| params);
        let mut params = params.split(';').filter_map(|param| param.split_once('='));
        params
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("expires"))
            .and_then(|(_, value)| value.trim().parse().ok())
    };
    let mine = bindings.iter().find(|binding| binding.contains(ours));
    mine.and_then(expires)
        .or_else(|| response.header_value("Expires")?.trim().parse().ok())
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST))
}

/// Our address as the registrar saw it (RFC 3581 §4).
fn seen_at(response: &Response) -> Option<SocketAddr> {
    let via = response.via_header().ok()?.value();
    let param = |name: &str| {
        via.split(';').find_map(|param| {
            let (key, value) = param.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let ip = param("received")?.trim_matches(['[', ']']).parse().ok()?;
    Some(SocketAddr::new(ip, param("rport")?.parse().ok()?))
}

/// The transport that a Contact must name when it isn't UDP (RFC 3261 §19.1.1).
pub(super) fn contact_transport(trunk: &Trunk) -> Option<rsipstack::sip::Transport> {
    match trunk.targets.first().map(|target| target.proto) {
        Some(Proto::Tcp) => Some(rsipstack::sip::Transport::Tcp),
        Some(Proto::Tls) => Some(rsipstack::sip::Transport::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_is_that_of_our_own_contact() {
        let response = |headers: &str| {
            let text = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;rport=62000;received=203.0.113.9\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
            );
            Response::try_from(text.as_str()).unwrap()
        };
        let ours = "us@192.0.2.1:5060";
        for (headers, seconds) in [
            (
                "Contact: <sip:us@198.51.100.7:5060>;expires=30, <sip:us@192.0.2.1:5060;transport=tcp>;expires=90\r\n",
                Some(90),
            ),
            (
                "Contact: <sip:us@192.0.2.1:5060>\r\nExpires: 120\r\n",
                Some(120),
            ),
            ("Expires: 70\r\n", Some(70)),
            ("Contact: <sip:us@192.0.2.1:5060>;expires=0\r\n", None),
            ("", None),
        ] {
            let wanted = seconds.map(Duration::from_secs);
            assert_eq!(granted(&response(headers), ours), wanted, "{headers}");
        }
        let seen = seen_at(&response("")).unwrap();
        assert_eq!(seen, "203.0.113.9:62000".parse().unwrap());
    }
}
