//! The task that empties the outbox.

use std::{sync::Arc, time::Duration};

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    dkim::Signing,
    outbox::{self, Claimed},
    pace,
    return_path::ReturnPaths,
    session::{Outgoing, Sent, Session},
    wire,
};
use crate::{
    clock::{Millis, now_ms},
    config,
    policy::Retention,
    store::{Store, StoreError, Topic},
    trouble::Trouble,
    vault::Custody,
};

/// The longest that the clock is not looked at: a wake-up may be lost.
const LOOK_AROUND: Duration = Duration::from_secs(30);
/// Octets below which no mail is tried to be made: a letter alone has nearly as many.
const SMALLEST: u64 = 20_000;
/// What the purpose of a mail begins with that is handed on for its writer.
const HANDED_ON: &str = "postmaster:";
/// How long mails that are on their way may take when we stop.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Sends what is ready.
pub struct Relay {
    shared: Arc<Setup>,
    /// Connections that wait for a mail.
    idle: Vec<Session>,
    /// The relay could not be reached: no mail is tried before this.
    rests_until: Millis,
}

/// What a relay is made of.
pub struct Setup {
    /// Where the outbox is.
    pub store: Store,
    /// Holds what the mails say.
    pub custody: Custody,
    /// The next MTA.
    pub config: config::Relay,
    /// Makes the return paths that are our own.
    pub return_paths: ReturnPaths,
    /// Signs what goes out.
    pub signing: Arc<Signing>,
    /// Our name in EHLO.
    pub hostname: String,
    /// How long a mail that was given up is kept.
    pub retention: Retention,
    /// This node's id, for leases.
    pub node: String,
}

/// What a delivery leaves.
struct Delivered {
    session: Option<Session>,
    /// The relay can't be reached.
    unreachable: bool,
}

impl Relay {
    /// Sends until `stop`; then lets the mails that are on their way end.
    pub fn start(setup: Setup, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(Self::new(setup).run(stop))
    }

    pub(super) fn new(setup: Setup) -> Self {
        Self {
            shared: Arc::new(setup),
            idle: Vec::new(),
            rests_until: 0,
        }
    }

    async fn run(mut self, stop: CancellationToken) {
        let store = self.shared.store.clone();
        let mut bell = store.listen(Topic::Outbox);
        let mut taken_back = false;
        loop {
            let next = async {
                if !taken_back {
                    outbox::take_back(&store, &self.shared.node).await?;
                    taken_back = true;
                }
                self.pass(now_ms, &stop).await?;
                self.end_old(now_ms()).await?;
                outbox::next_due(&store).await
            };
            let due = match next.await {
                Ok(due) => due.map(|due| due.max(self.rests_until)),
                Err(error) => {
                    tracing::warn!(%error, "the outbox can't be read; trying again");
                    Some(now_ms() + 1000)
                }
            };
            let wait = due.map_or(LOOK_AROUND, |due| {
                Duration::from_millis((due - now_ms()).max(0).unsigned_abs()).min(LOOK_AROUND)
            });
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.heard() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Ends what was given up long ago, and forgets what is over since long.
    pub(super) async fn end_old(&self, now: Millis) -> Result<(), StoreError> {
        const LOT: i64 = 64;
        let shared = &self.shared;
        let before = now - shared.retention.undelivered_ms();
        let once = || outbox::drop_overdue(&shared.store, &shared.custody, before, now, LOT);
        while outbox::again(once).await? > 0 {}
        let before = now - shared.retention.settled_ms();
        let once = || outbox::forget(&shared.store, before, LOT);
        while outbox::again(once).await? > 0 {}
        Ok(())
    }

    /// Sends everything that is due, over as many connections as are allowed, and closes them.
    pub(super) async fn pass(
        &mut self,
        clock: impl Fn() -> Millis,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let connections = self.shared.config.connections.max(1);
        let mut deliveries = JoinSet::new();
        let result = loop {
            let now = clock();
            let free = connections - deliveries.len();
            if free > 0 && now >= self.rests_until && !stop.is_cancelled() {
                match self.claim(now, free).await {
                    Ok(mails) => {
                        for mail in mails {
                            let shared = self.shared.clone();
                            deliveries.spawn(shared.deliver(mail, self.idle.pop(), now));
                        }
                    }
                    Err(error) => break Err(error),
                }
            }
            let ended = tokio::select! {
                ended = deliveries.join_next() => ended,
                () = stop.cancelled() => break Ok(()),
            };
            match ended {
                None => break Ok(()),
                Some(Ok(delivered)) => self.after(delivered, now),
                Some(Err(error)) => {
                    // Its lease runs out and the mail is tried again.
                    tracing::error!(%error, "a delivery broke off");
                }
            }
        };
        let rest = async {
            while let Some(ended) = deliveries.join_next().await {
                if let Ok(delivered) = ended {
                    self.idle.extend(delivered.session);
                }
            }
        };
        if stop.is_cancelled() {
            let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        } else {
            rest.await;
        }
        for session in self.idle.drain(..) {
            session.quit().await;
        }
        result
    }

    /// Asks for work by reading first: most wake-ups are about other things than a mail to send.
    async fn claim(&self, now: Millis, free: usize) -> Result<Vec<Claimed>, StoreError> {
        let store = &self.shared.store;
        match outbox::next_due(store).await? {
            Some(due) if due <= now => outbox::claim(store, &self.shared.node, now, free).await,
            _ => Ok(Vec::new()),
        }
    }

    fn after(&mut self, delivered: Delivered, now: Millis) {
        self.idle.extend(delivered.session);
        if delivered.unreachable {
            self.rests_until = now + pace::REST;
        }
    }
}

impl Setup {
    async fn deliver(
        self: Arc<Self>,
        mail: Claimed,
        session: Option<Session>,
        now: Millis,
    ) -> Delivered {
        let (sent, session, unreachable) = self.send(&mail, session).await;
        let settled = outbox::again(|| self.settle(&mail, &sent, now)).await;
        if let Err(error) = settled {
            // The lease runs out, and the mail goes out again with the same Message-ID.
            tracing::warn!(mail = mail.mail_id, %error, "a mail's result can't be recorded");
        }
        Delivered {
            session: session.filter(Session::is_usable),
            unreachable,
        }
    }

    async fn send(
        &self,
        mail: &Claimed,
        session: Option<Session>,
    ) -> (Sent, Option<Session>, bool) {
        let opened = self
            .custody
            .open(&self.store, &mail.tenant_id, &mail.custody_id)
            .await;
        let bytes = match opened {
            Ok(bytes) => bytes,
            Err(error) => {
                let sent = match error.trouble() {
                    Trouble::Temporary => Sent::PutOff(error.to_string()),
                    Trouble::Permanent => Sent::Refused(error.to_string()),
                };
                return (sent, session, false);
            }
        };
        let paths = &self.return_paths;
        let path = paths.of(
            &self.store,
            &mail.tenant_id,
            &mail.mail_id,
            &mail.return_path,
        );
        let path = match path.await {
            Ok(path) => path,
            Err(error) => return (Sent::PutOff(error.to_string()), session, false),
        };
        // What is handed on for others has their From line: it is not our word.
        let ours = !mail.purpose.starts_with(HANDED_ON);
        let signing = self.signing.clone();
        let plain = bytes.len();
        // A large mail's hash takes a while.
        let prepared = tokio::task::spawn_blocking(move || {
            let bytes = wire::normalised(&bytes);
            if ours { signing.signed(bytes) } else { bytes }
        });
        let bytes = match prepared.await {
            Ok(bytes) => bytes,
            Err(error) => return (Sent::PutOff(error.to_string()), session, false),
        };
        let more = bytes.len().saturating_sub(plain) as u64;
        let outgoing = Outgoing {
            return_path: &path,
            recipient: &mail.recipient,
            bytes: &bytes,
        };
        if let Some(mut session) = session {
            match session.send(&outgoing).await {
                Sent::Stale => {}
                sent => return (sent.less(more), Some(session), false),
            }
        }
        match Session::connect(&self.config.host, self.config.port, &self.hostname).await {
            Ok(mut session) => {
                let sent = session.send(&outgoing).await;
                (sent.less(more), Some(session), false)
            }
            Err(reason) => (Sent::PutOff(reason), None, true),
        }
    }

    async fn settle(&self, mail: &Claimed, sent: &Sent, now: Millis) -> Result<(), StoreError> {
        let (id, tries) = (mail.mail_id.as_str(), mail.tries);
        let mut tx = self.store.begin().await?;
        match sent {
            Sent::Taken(answer) => {
                if !outbox::sent(&mut tx, mail, answer, now).await? {
                    // The claim was lost meanwhile: who has it now settles.
                    return Ok(());
                }
                self.custody
                    .done(&mut tx, &mail.tenant_id, &mail.custody_id)
                    .await?;
                tx.commit().await?;
                tracing::info!(mail = id, tries, "mail sent");
            }
            Sent::PutOff(answer) if now < mail.deadline => {
                // The last try is at the deadline itself.
                let run_at = (now + pace::wait(tries, id)).min(mail.deadline);
                outbox::put_off(&mut tx, mail, answer, run_at).await?;
                tx.commit().await?;
                tracing::warn!(mail = id, tries, code = code(answer), "mail put off");
            }
            // A connection of its own is never stale.
            Sent::Stale => {}
            Sent::TooLarge { limit, answer }
                if *limit >= SMALLEST
                    && outbox::compose_smaller(&mut tx, mail, answer, *limit, now).await? =>
            {
                self.custody
                    .done(&mut tx, &mail.tenant_id, &mail.custody_id)
                    .await?;
                tx.commit().await?;
                self.store.wake(Topic::Outbox);
                tracing::info!(
                    mail = id,
                    limit,
                    "mail too large for the relay: it is written smaller"
                );
            }
            Sent::PutOff(answer) | Sent::Refused(answer) | Sent::TooLarge { answer, .. } => {
                outbox::failed(&mut tx, mail, answer, now).await?;
                tx.commit().await?;
                tracing::error!(
                    mail = id,
                    tries,
                    code = code(answer),
                    "mail not delivered; it is kept for a while (retention.toml), and the status page tells why"
                );
            }
        }
        Ok(())
    }
}

/// The answer's code for the log: its text may name people.
fn code(answer: &str) -> &str {
    match answer.as_bytes() {
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ', ..] => &answer[..3],
        _ => answer,
    }
}
