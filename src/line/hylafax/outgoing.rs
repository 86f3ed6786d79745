//! An outgoing call as a job of HylaFAX's, from its order to its ending.

use std::time::Duration;

use faxpost_t4::tiff;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    super::{
        CallEnding, CallEvent, CallOrder, PageVerdict, SipEnding, Verdict,
        trunks::{Channel, written},
    },
    Inner,
    client::{Client, ClientError},
    job::{self, Report, State},
};

/// Between two looks at a job.
const LOOK: Duration = Duration::from_secs(1);
/// A job that no modem takes within this is taken back: the trunk is full.
const MODEM_WAIT: Duration = Duration::from_secs(600);
/// A job that was called off has this long to end.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// A server that can't be reached is tried again for so long: its job goes on meanwhile.
const OUT_OF_REACH: Duration = Duration::from_secs(600);
/// A job that can't be found, so often in a row, is gone. While it moves from queue to queue it is
/// nowhere for a moment.
const GONE: u32 = 10;
/// How long the permit for page data may take.
const PERMIT: Duration = Duration::from_secs(30);

/// Places the call and follows it; `tx` hears the rest.
pub(super) async fn run(
    inner: &Inner,
    order: CallOrder,
    channel: Option<Channel>,
    tx: &mpsc::Sender<CallEvent>,
    mut hang_up: mpsc::UnboundedReceiver<()>,
) -> CallEnding {
    let pages = u32::try_from(order.pages.len()).unwrap_or(u32::MAX);
    match place(inner, &order, channel, tx, &mut hang_up).await {
        Ok(ending) => ending,
        Err(mut ending) => {
            ending.pages = all(pages, Verdict::Unsent, "no job was started");
            *ending
        }
    }
}

fn all(pages: u32, verdict: Verdict, evidence: &str) -> Vec<PageVerdict> {
    let verdict = |page| PageVerdict {
        page,
        verdict,
        evidence: evidence.to_owned(),
    };
    (0..pages).map(verdict).collect()
}

fn fault(reason: impl ToString) -> Box<CallEnding> {
    Box::new(CallEnding {
        own_fault: Some(reason.to_string()),
        ..CallEnding::default()
    })
}

fn unreachable(reason: impl ToString) -> Box<CallEnding> {
    Box::new(CallEnding {
        sip: Some(SipEnding::Unreachable(reason.to_string())),
        ..CallEnding::default()
    })
}

/// `Err`: no job was started, so that no page can be out.
async fn place(
    inner: &Inner,
    order: &CallOrder,
    mut first: Option<Channel>,
    tx: &mpsc::Sender<CallEvent>,
    hang_up: &mut mpsc::UnboundedReceiver<()>,
) -> Result<CallEnding, Box<CallEnding>> {
    let tiff = tiff::write(&order.pages).map_err(fault)?;
    let mut why = unreachable("no trunk has a free channel");
    let trunks = std::iter::once(&order.trunk_id).chain(&order.more_trunks);
    for (index, trunk_id) in trunks.enumerate() {
        let channel = match index {
            0 => first.take(),
            _ => inner.trunks.hold(trunk_id),
        };
        let Some(channel) = channel else { continue };
        if index > 0 {
            // Whoever placed the call and went away is told nothing more.
            let _ = tx.send(CallEvent::Trunk(trunk_id.clone())).await;
        }
        match Job::prepare(inner, order, &channel, &tiff).await {
            Ok(job) => {
                inner.trunks.worked(trunk_id);
                return job.carry(order, tx, hang_up).await;
            }
            Err(error) => {
                let sentence = format!("{error:#}");
                inner.trunks.failed(trunk_id, &sentence, None);
                why = unreachable(sentence);
            }
        }
    }
    Err(why)
}

/// A job that HylaFAX has.
struct Job<'a> {
    inner: &'a Inner,
    channel: &'a Channel,
    client: Option<Client>,
    number: u32,
    tag: String,
    pages: u32,
}

impl<'a> Job<'a> {
    async fn prepare(
        inner: &'a Inner,
        order: &CallOrder,
        channel: &'a Channel,
        tiff: &[u8],
    ) -> anyhow::Result<Self> {
        let trunk = &channel.trunk;
        let mut client = inner.access(trunk)?.login().await?;
        let called = format!("{}{}", trunk.dial_prefix, written(trunk, &order.to));
        let tag = inner.tag(&order.call_id);
        let modem = trunk.modem.as_deref();
        let number = job::prepare(&mut client, order, &called, modem, &tag, tiff).await?;
        Ok(Self {
            inner,
            channel,
            client: Some(client),
            number,
            tag,
            pages: u32::try_from(order.pages.len()).unwrap_or(u32::MAX),
        })
    }

    async fn carry(
        mut self,
        order: &CallOrder,
        tx: &mpsc::Sender<CallEvent>,
        hang_up: &mut mpsc::UnboundedReceiver<()>,
    ) -> Result<CallEnding, Box<CallEnding>> {
        if !permit(self.pages, tx, hang_up).await {
            self.discard().await;
            return Err(fault("called off before the job was started"));
        }
        let began = Instant::now();
        let Some(client) = self.client.as_mut() else {
            return Err(fault("no session"));
        };
        match client.done("JSUBM", "").await {
            Ok(_) => {}
            Err(error @ ClientError::Refused { .. }) => {
                self.discard().await;
                tracing::warn!(call = order.call_id, %error, "HylaFAX refused a job");
                let mut ending = fault(error);
                // It is the server that fails, and another may do; but the permit is used up.
                ending.hylafax = ending.own_fault.take();
                return Err(ending);
            }
            // It may have begun: only its record says.
            Err(error) => {
                tracing::warn!(call = order.call_id, %error, "no answer to JSUBM");
                self.client = None;
            }
        }
        tracing::info!(
            call = order.call_id,
            job = self.number,
            "HylaFAX has the job"
        );
        Ok(self.follow(tx, hang_up, began).await)
    }

    /// Looks at the job until it is over.
    async fn follow(
        mut self,
        tx: &mpsc::Sender<CallEvent>,
        hang_up: &mut mpsc::UnboundedReceiver<()>,
        began: Instant,
    ) -> CallEnding {
        let mut seen: Option<Report> = None;
        let (mut missing, mut out_of_reach) = (0_u32, None::<Instant>);
        let mut called_off: Option<Instant> = None;
        let mut never_began = None;
        let mut active = false;
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                Some(()) = hang_up.recv(), if called_off.is_none() => true,
            };
            let waits = seen.as_ref().is_none_or(|seen| seen.state == State::Waits);
            let overdue = waits && !active && began.elapsed() > MODEM_WAIT;
            if called_off.is_none() && (asked || overdue) {
                let killed = self.kill().await;
                called_off = Some(Instant::now());
                if killed && waits && !active {
                    never_began = Some(asked);
                }
            }
            match self.look().await {
                Ok(Some(report)) => {
                    (missing, out_of_reach) = (0, None);
                    active |= report.state == State::Active;
                    if seen.as_ref() != Some(&report) {
                        tell(tx, seen.as_ref(), &report).await;
                    }
                    let is_final = report.is_final();
                    seen = Some(report);
                    if is_final {
                        break;
                    }
                }
                Ok(None) => missing += 1,
                Err(error) => {
                    self.client = None;
                    let since = *out_of_reach.get_or_insert_with(Instant::now);
                    tracing::debug!(job = self.number, %error, "HylaFAX can't be asked");
                    if since.elapsed() > OUT_OF_REACH {
                        break;
                    }
                }
            }
            let no_end = called_off.is_some_and(|at| at.elapsed() > LAST_WORDS);
            if missing >= GONE || no_end {
                break;
            }
        }
        let ending = self.ending(seen, never_began, began);
        self.discard().await;
        ending
    }

    /// `never_began`: it was called off while it waited for a modem; `true` there: by us, not for its wait.
    fn ending(
        &self,
        seen: Option<Report>,
        never_began: Option<bool>,
        began: Instant,
    ) -> CallEnding {
        let mut ending = CallEnding::default();
        match seen {
            _ if never_began.is_some() => {
                let why = "no modem of HylaFAX's took the job";
                if never_began == Some(true) {
                    ending.own_fault = Some("called off before the answer".into());
                } else {
                    ending.hylafax = Some(why.into());
                }
                ending.pages = all(self.pages, Verdict::Unsent, why);
            }
            Some(report) if report.is_final() => {
                ending.pages = report.verdicts(self.pages);
                ending.hylafax = Some(report.text.clone());
                if report.tries > 0 || report.state == State::Done {
                    ending.duration = began.elapsed();
                }
            }
            _ => {
                let why = "HylaFAX did not say how the job ended";
                ending.pages = all(self.pages, Verdict::Unknown, why);
                ending.own_fault = Some(why.into());
            }
        }
        ending
    }

    async fn look(&mut self) -> Result<Option<Report>, ClientError> {
        if self.client.is_none() {
            let access = self.inner.access(&self.channel.trunk);
            let access = access
                .map_err(|error| ClientError::Lost(std::io::Error::other(format!("{error:#}"))))?;
            self.client = Some(access.login().await?);
        }
        let Some(client) = self.client.as_mut() else {
            return Err(ClientError::Silent("USER"));
        };
        // A session forgets its job when that moves to the queue of those that are done.
        let chosen = client.ask("JOB", &self.number.to_string()).await?;
        if chosen.code >= 400 {
            return Ok(None);
        }
        let reply = client.ask("JPARM", "").await?;
        Ok(Report::read(&reply, self.number, &self.tag))
    }

    async fn kill(&mut self) -> bool {
        let Some(client) = self.client.as_mut() else {
            return false;
        };
        let killed = client.done("JKILL", &self.number.to_string()).await;
        if let Err(error) = &killed {
            tracing::warn!(job = self.number, %error, "a job can't be called off");
        }
        killed.is_ok()
    }

    /// Takes the job off the server, with its parameters; a server that does not let us has its own cleaner.
    async fn discard(&mut self) {
        if let Some(client) = self.client.as_mut() {
            let job = self.number.to_string();
            if let Err(error) = client.done("JDELE", &job).await {
                tracing::debug!(job, %error, "a job stays on the server");
            }
            let _ = client.ask("QUIT", "").await;
        }
    }
}

/// Asks for the permit. HylaFAX asks nobody between pages, and goes on when we are gone: so all pages are
/// put on record as unknown, until its word at the end. The permit comes after what was told before it.
async fn permit(
    pages: u32,
    tx: &mpsc::Sender<CallEvent>,
    hang_up: &mut mpsc::UnboundedReceiver<()>,
) -> bool {
    let (give, given) = oneshot::channel();
    for verdict in all(
        pages,
        Verdict::Unknown,
        "handed to HylaFAX, which had not told the end",
    ) {
        let _ = tx.send(CallEvent::Page(verdict)).await;
    }
    let next = CallEvent::PageDataNext {
        page: 0,
        answered: None,
        permit: give,
    };
    if tx.send(next).await.is_err() {
        return false;
    }
    tokio::select! {
        // A call that is called off now has not begun.
        biased;
        Some(()) = hang_up.recv() => false,
        given = tokio::time::timeout(PERMIT, given) => matches!(given, Ok(Ok(()))),
    }
}

/// What a new report has to tell before the end: a call that two fax machines talked in was answered.
async fn tell(tx: &mpsc::Sender<CallEvent>, before: Option<&Report>, now: &Report) {
    let talked = |report: &Report| report.tries > 0 || report.sent > 0;
    if talked(now) && !before.is_some_and(talked) {
        let _ = tx.send(CallEvent::Answered).await;
    }
}
