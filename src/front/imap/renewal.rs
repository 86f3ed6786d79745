//! Getting a token, and keeping the refresh token that came with it.
//!
//! A server may take the old refresh token back as soon as it has given another (RFC 6749 §6), so between its answer and
//! our record nothing may come in between: it is a task of its own, which goes on when the mailbox's is cancelled.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::task::JoinHandle;

use super::{
    Renewed, Shared,
    token::{self, Token},
};
use crate::{
    numbers::{self, Credentials, Mailbox},
    vault::Sealed,
};

/// How often a new refresh token is tried to be written at once, and the pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// What came of asking for a token.
pub(super) struct Fresh {
    pub token: Token,
    /// The mailbox's secrets from now on.
    pub credentials: Option<Sealed>,
    /// They are not on record yet.
    unwritten: bool,
}

/// The renewals of one mailbox.
pub(super) struct Renewal {
    renewed: Renewed,
    running: Option<JoinHandle<anyhow::Result<Fresh>>>,
    /// What is on record while newer secrets could not be written.
    on_record: Option<Mailbox>,
}

impl Renewal {
    pub fn new(renewed: Renewed) -> Self {
        Self {
            renewed,
            running: None,
            on_record: None,
        }
    }

    /// Asks for a token; when this was cancelled before, for what came of it.
    pub async fn run(
        &mut self,
        shared: &Arc<Shared>,
        mailbox: &Mailbox,
        credentials: &Credentials,
        tls: Option<Arc<ClientConfig>>,
        patience: Duration,
    ) -> anyhow::Result<Fresh> {
        let running = self.running.get_or_insert_with(|| {
            let recorded = self.on_record.as_ref().unwrap_or(mailbox).clone();
            tokio::spawn(fetched(
                Arc::clone(shared),
                recorded,
                mailbox.clone(),
                credentials.clone(),
                (tls, patience),
                self.renewed.clone(),
            ))
        });
        let ended = running.await;
        self.running = None;
        let fresh = ended??;
        if fresh.unwritten {
            self.on_record.get_or_insert_with(|| mailbox.clone());
        } else if fresh.credentials != mailbox.credentials {
            self.on_record = None;
        }
        Ok(fresh)
    }

    /// Writes what could not be written before.
    pub async fn write_again(&mut self, shared: &Shared, mailbox: &Mailbox) {
        if let Some(recorded) = &self.on_record
            && let Some(secrets) = &mailbox.credentials
            && written(shared, recorded, secrets).await
        {
            self.on_record = None;
        }
    }

    /// Waits for what is under way.
    pub async fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.await;
        }
    }
}

async fn fetched(
    shared: Arc<Shared>,
    recorded: Mailbox,
    mailbox: Mailbox,
    credentials: Credentials,
    (tls, patience): (Option<Arc<ClientConfig>>, Duration),
    known: Renewed,
) -> anyhow::Result<Fresh> {
    let Some(oauth) = &mailbox.oauth else {
        anyhow::bail!("the mailbox {} is opened without a token", mailbox.name);
    };
    let token = token::fetch(oauth, &credentials, tls, patience).await?;
    let mut fresh = Fresh {
        credentials: mailbox.credentials.clone(),
        token,
        unwritten: false,
    };
    let Some(refresh) = &fresh.token.refresh else {
        return Ok(fresh);
    };
    if credentials.refresh_token.as_deref() == Some(refresh.as_str()) {
        return Ok(fresh);
    }
    let mut renewed = credentials.clone();
    renewed.refresh_token = Some(refresh.to_string());
    let mut sealed = mailbox.clone();
    sealed.seal(&shared.setup.custody.vault(), &renewed)?;
    if let Some(secrets) = &sealed.credentials {
        // Known before it is on record: no other sees it as somebody's change.
        known.add(secrets.clone());
        fresh.unwritten = true;
        for tried in 0..TRIES {
            if tried > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            if written(&shared, &recorded, secrets).await {
                fresh.unwritten = false;
                break;
            }
        }
    }
    fresh.credentials = sealed.credentials;
    Ok(fresh)
}

async fn written(shared: &Shared, recorded: &Mailbox, secrets: &Sealed) -> bool {
    let done = numbers::renew_credentials(&shared.setup.store, recorded, secrets).await;
    if let Err(error) = &done {
        let mailbox = &recorded.name;
        tracing::warn!(%error, mailbox, "a mailbox's new refresh token can't be recorded; trying again");
    }
    done.is_ok()
}
