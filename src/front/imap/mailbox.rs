//! A mailbox's task: one node at a time holds its lease and polls it, for ever.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio_util::sync::CancellationToken;

use super::{
    Renewed, Shared,
    login::{self, Proof},
    look::Memory,
    renewal::Renewal,
    session::{Imap, ImapError},
    tls,
    token::Token,
    told, watch,
};
use crate::{
    clock::{Millis, now_ms},
    numbers::{self, Credentials, Mailbox},
};

/// How long a lease lasts without renewal, and how often it is renewed or asked for.
const LEASE: Millis = 120_000;
const RENEW: Duration = Duration::from_secs(30);
const ASK: Duration = Duration::from_secs(10);
/// The first pause after a failure, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// After a refused login: servers lock out who tries too often.
const REFUSED_FIRST: Duration = Duration::from_secs(30);
const REFUSED_LONGEST: Duration = Duration::from_secs(900);

/// What a mailbox's task keeps between connections.
pub(super) struct Task {
    pub shared: Arc<Shared>,
    pub mailbox: Mailbox,
    pub memory: Memory,
    pub stop: CancellationToken,
    /// Read once: it takes a moment, and the file rarely changes.
    tls: Option<Arc<ClientConfig>>,
    token: Option<Token>,
    renewal: Renewal,
    failures: u32,
}

/// Polls a mailbox until it is told to stop.
pub(super) async fn follow(
    shared: Arc<Shared>,
    mailbox: Mailbox,
    renewed: Renewed,
    stop: CancellationToken,
) {
    let mut task = Task {
        renewal: Renewal::new(renewed),
        shared,
        mailbox,
        memory: Memory::default(),
        stop: stop.clone(),
        tls: None,
        token: None,
        failures: 0,
    };
    while !stop.is_cancelled() {
        let pause = task.round().await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    task.renewal.finish().await;
    let (store, node) = (&task.shared.setup.store, &task.shared.setup.node);
    if let Err(error) = numbers::release_mailbox(store, &task.mailbox, node).await {
        tracing::debug!(%error, "a mailbox's lease is not given up; it ends by itself");
    }
}

impl Task {
    /// Polls while the lease and the connection hold; how long to wait then.
    async fn round(&mut self) -> Duration {
        match self.lease().await {
            Ok(true) => {}
            Ok(false) => return ASK,
            Err(error) => {
                tracing::warn!(%error, mailbox = self.mailbox.name, "a mailbox can't be leased; trying again");
                return ASK;
            }
        }
        let (shared, mailbox) = (Arc::clone(&self.shared), self.mailbox.clone());
        let stop = self.stop.clone();
        let ended = tokio::select! {
            () = stop.cancelled() => return Duration::ZERO,
            () = keep(&shared, &mailbox) => return ASK,
            ended = watch::watch(self) => ended,
        };
        let Err(error) = ended else {
            return Duration::ZERO;
        };
        let refused = self.failed(&error).await;
        pause(self.failures, refused)
    }

    async fn lease(&self) -> Result<bool, crate::store::StoreError> {
        lease(&self.shared, &self.mailbox).await
    }

    /// A session behind the login.
    pub async fn open(&mut self) -> anyhow::Result<Imap> {
        if self.tls.is_none() {
            let made = tls::client(self.mailbox.ca.clone()).await;
            // A server on this machine needs none.
            self.tls = match (made, self.mailbox.security) {
                (Ok(config), _) => Some(config),
                (Err(_), numbers::Security::None) => None,
                (Err(fault), _) => return Err(ImapError::broken(fault).into()),
            };
        }
        let vault = self.shared.setup.custody.vault();
        let credentials = self.mailbox.unseal(&vault).map_err(|error| {
            ImapError::broken(format!(
                "its secrets can't be opened ({error}): give them anew"
            ))
        })?;
        let patience = Duration::from_secs(self.shared.setup.config.timeout_s);
        self.renew(&credentials, patience).await?;
        let proof = match &self.token {
            Some(token) => Proof::Token(&token.access),
            None => Proof::Password(&credentials),
        };
        let opened = login::open(&self.mailbox, self.tls.clone(), proof, patience).await;
        if let Err(ImapError::Login(_)) = opened {
            // It may have been revoked: the next login has another.
            self.token = None;
        }
        Ok(opened?)
    }

    /// Sees to it that there is a token that lasts, where the mailbox is opened with one.
    async fn renew(&mut self, credentials: &Credentials, patience: Duration) -> anyhow::Result<()> {
        if self.mailbox.oauth.is_none() {
            self.token = None;
            return Ok(());
        }
        self.renewal.write_again(&self.shared, &self.mailbox).await;
        if self.token.as_ref().is_some_and(Token::is_good) {
            return Ok(());
        }
        let fresh = self.renewal.run(
            &self.shared,
            &self.mailbox,
            credentials,
            self.tls.clone(),
            patience,
        );
        let fresh = fresh.await?;
        self.mailbox.credentials = fresh.credentials;
        self.token = Some(fresh.token);
        Ok(())
    }

    /// Records a look that went well, or why mails were left.
    pub async fn polled(&mut self, left: Option<&str>) -> anyhow::Result<()> {
        self.failures = 0;
        let (store, now) = (&self.shared.setup.store, now_ms());
        match left {
            None => numbers::mailbox_polled(store, &self.mailbox, now).await?,
            Some(left) => {
                let left = format!("mails wait to be looked at again: {left}");
                numbers::mailbox_failed(store, &self.mailbox, &left, false, now).await?;
                told::operator(&self.shared, &self.mailbox).await?;
            }
        }
        Ok(())
    }

    /// Records a failure; whether it was our login.
    async fn failed(&mut self, error: &anyhow::Error) -> bool {
        if self.memory.progressed() {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let known = error.downcast_ref::<ImapError>();
        let refused = matches!(known, Some(ImapError::Login(_)));
        if let Some(error) = known {
            self.memory.broke(error);
        }
        let (mailbox, words) = (&self.mailbox, format!("{error:#}"));
        tracing::warn!(
            mailbox = mailbox.name,
            error = words,
            "a mailbox can't be polled; trying again"
        );
        let store = &self.shared.setup.store;
        let recorded = numbers::mailbox_failed(store, mailbox, &words, refused, now_ms()).await;
        if let Err(error) = recorded {
            tracing::warn!(%error, "a mailbox's state can't be recorded");
        } else if let Err(error) = told::operator(&self.shared, mailbox).await {
            let error = format!("{error:#}");
            tracing::warn!(
                error,
                "the operator can't be told of a mailbox; trying again"
            );
        }
        refused
    }
}

async fn lease(shared: &Shared, mailbox: &Mailbox) -> Result<bool, crate::store::StoreError> {
    let (store, node, now) = (&shared.setup.store, &shared.setup.node, now_ms());
    numbers::lease_mailbox(store, mailbox, node, now, now + LEASE).await
}

/// Renews the lease; returns when it is lost, or could not be renewed for as long as it lasts.
async fn keep(shared: &Shared, mailbox: &Mailbox) {
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(RENEW).await;
        match lease(shared, mailbox).await {
            Ok(true) => renewed = tokio::time::Instant::now(),
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, mailbox = mailbox.name, "a mailbox's lease can't be renewed");
                if renewed.elapsed() >= Duration::from_millis(LEASE.unsigned_abs()) - RENEW {
                    return;
                }
            }
        }
    }
}

/// Twice as long after each failure, less a lot that keeps many from coming back at once.
fn pause(failures: u32, refused: bool) -> Duration {
    let (first, longest) = if refused {
        (REFUSED_FIRST, REFUSED_LONGEST)
    } else {
        (FIRST, LONGEST)
    };
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let mut lot = [0; 1];
    let share = getrandom::fill(&mut lot).map_or(0.0, |()| f32::from(lot[0]) / 255.0);
    doubled.min(longest).mul_f32(1.0 - share / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        for failures in 1..200 {
            assert!(pause(failures, false) <= LONGEST);
            assert!(pause(failures, true) >= REFUSED_FIRST.mul_f32(0.7));
            assert!(pause(failures, true) <= REFUSED_LONGEST);
        }
        assert!(pause(1, false) <= FIRST);
        assert!(pause(20, false) >= LONGEST.mul_f32(0.7));
    }
}
