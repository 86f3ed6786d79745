//! Received faxes: page custody, routing, delivery.
//!
//! [`Inbox`] answers for the line. Each page is in custody, flushed and on record before it is
//! confirmed; when the call is over, however it ended, the outbox holds one mail for each recipient,
//! and `delivery` writes it, once its pages were read where that is wanted (`reading`): as a `composition` in the
//! recipient's `form`, and in several mails where one is too large (`split`); pictures beside all others (`easel`). `settlement` ends it.

mod bounces;
mod composition;
mod delivery;
mod easel;
mod form;
mod owed;
mod reading;
mod records;
mod settlement;
mod split;

pub use bounces::SendOn;
pub use reading::Ocr;
use records::Open;
pub use records::{Redelivery, StateCount, deliver_again, overview};

use std::sync::Arc;

use async_trait::async_trait;
use faxpost_t4::tiff;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::now_ms,
    dial::{self, DialPlan},
    line::{Answerer, CallEnding, Decision, IncomingCall, ReceivedPage},
    numbers::{self, Number},
    outcome,
    policy::Retention,
    relay,
    store::{Store, StoreError, Topic, Tx},
    vault::{Custody, NewItem, What},
};

/// The room that takes incoming calls.
#[derive(Clone)]
pub struct Inbox {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    custody: Custody,
    plan: DialPlan,
    hostname: String,
    from: String,
    min_free_disk: u64,
    max_size: Option<u64>,
    retention: Retention,
    node: String,
    /// Reads pages, where somebody wants that and can.
    readings: Option<Arc<reading::Readings>>,
}

/// How the inbox is set up.
pub struct Setup {
    /// The database.
    pub store: Store,
    /// Pages and mails.
    pub custody: Custody,
    /// How trunks write numbers.
    pub plan: DialPlan,
    /// Our name.
    pub hostname: String,
    /// The From of delivered faxes.
    pub from: String,
    /// Free octets on the disk below which calls are refused unanswered.
    pub min_free_disk: u64,
    /// Octets of a mail at most, whatever the relay takes.
    pub max_size: Option<u64>,
    /// How long a fax is kept that nobody could be sent.
    pub retention: Retention,
    /// Whose leases are ours.
    pub node: String,
    /// Who reads pages, if anybody.
    pub ocr: Option<Ocr>,
}

/// SIP statuses of a refusal.
const NOT_OURS: u16 = 404;
const NO_ROOM: u16 = 480;

impl Inbox {
    /// An inbox at rest.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: setup.store,
                custody: setup.custody,
                plan: setup.plan,
                hostname: setup.hostname,
                from: setup.from,
                min_free_disk: setup.min_free_disk,
                max_size: setup.max_size,
                retention: setup.retention,
                node: setup.node,
                readings: setup.ocr.map(|ocr| Arc::new(reading::Readings::new(ocr))),
            }),
        }
    }

    /// Ends what an earlier start left open. To be called before the first call is taken: of those that
    /// are being received, it can't tell its own from the earlier start's.
    ///
    /// # Errors
    /// What the database says.
    pub async fn take_back(&self) -> Result<(), StoreError> {
        // On one machine the process that received them is gone; among several, those past their deadline.
        let before = if self.inner.store.is_shared() {
            now_ms()
        } else {
            i64::MAX
        };
        relay::rouse_drafts(&self.inner.store, &self.inner.node, owed::PREFIX).await?;
        for open in records::left_open(&self.inner.store, before).await? {
            self.inner.cut_off(&open, "gateway-restarted").await?;
            tracing::warn!(
                fax = open.received_id,
                "a fax that the last stop cut off is delivered as far as it came"
            );
        }
        Ok(())
    }

    /// Delivers until `stop`; failures are logged and tried again.
    pub async fn run(&self, stop: CancellationToken) {
        delivery::run(self.inner.clone(), stop).await;
    }
}

impl Inner {
    async fn number(&self, called: &str) -> Result<Option<Number>, StoreError> {
        let Ok(destination) = dial::parse(called, &self.plan) else {
            return Ok(None);
        };
        numbers::number_by_e164(&self.store, destination.as_str()).await
    }

    async fn admit(&self, call: &IncomingCall) -> Result<Decision, StoreError> {
        let Some(number) = self.number(&call.to).await? else {
            return Ok(Decision::Refuse(NOT_OURS));
        };
        if numbers::recipients_of(&self.store, &number.tenant_id, &number.number_id)
            .await?
            .is_empty()
        {
            // To confirm pages that nobody will ever see would be to lose them.
            tracing::error!(
                number = number.number_id,
                "a number without recipients is called: refused unanswered"
            );
            return Ok(Decision::Refuse(NO_ROOM));
        }
        match self.custody.free_space() {
            Ok(free) if free >= self.min_free_disk => {}
            Ok(free) => {
                tracing::error!(
                    free_octets = free,
                    "no room to store faxes: calls are refused"
                );
                return Ok(Decision::Refuse(NO_ROOM));
            }
            Err(error) => {
                tracing::error!(%error, "the disk's free space can't be read: calls are refused");
                return Ok(Decision::Refuse(NO_ROOM));
            }
        }
        let mut tx = self.store.begin().await?;
        records::begin(&mut tx, &number, call).await?;
        tx.commit().await?;
        Ok(Decision::Answer {
            ident: number.e164.clone(),
        })
    }

    async fn store_page(&self, call: &IncomingCall, page: ReceivedPage) -> anyhow::Result<()> {
        let open = records::by_call(&self.store, &call.call_id)
            .await?
            .ok_or_else(|| anyhow::anyhow!("no received fax is open for the call"))?;
        let kept = self
            .custody
            .keep_one(NewItem {
                tenant_id: open.tenant_id.clone(),
                what: What::Page,
                bytes: tiff::write(std::slice::from_ref(&page.page))?,
            })
            .await?;
        let mut tx = self.store.begin().await?;
        self.custody.record(&mut tx, &kept).await?;
        records::page(&mut tx, &open, &page, &kept.custody_id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a fax and puts its mails into the outbox, with what the transaction has already.
    async fn settle(&self, mut tx: Tx, open: &Open, outcome: &str) -> Result<(), StoreError> {
        records::close(
            &mut tx,
            &open.tenant_id,
            &open.received_id,
            outcome,
            &self.hostname,
        )
        .await?;
        tx.commit().await?;
        self.store.wake(Topic::Outbox);
        Ok(())
    }

    /// Ends a fax whose call nobody follows any more.
    async fn cut_off(&self, open: &Open, outcome: &str) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        records::call_cut_off(&mut tx, open, outcome).await?;
        self.settle(tx, open, outcome).await
    }

    /// Ends a fax with its call and puts its mails into the outbox, in one transaction.
    async fn close(
        &self,
        open: &Open,
        call: &IncomingCall,
        ending: &CallEnding,
    ) -> Result<(), StoreError> {
        let outcome = outcome::classify(ending).key;
        let mut tx = self.store.begin().await?;
        records::call_ended(&mut tx, open, call, ending, outcome).await?;
        self.settle(tx, open, outcome).await
    }
}

#[async_trait]
impl Answerer for Inbox {
    async fn offered(&self, call: &IncomingCall) -> Decision {
        match self.inner.admit(call).await {
            Ok(decision) => decision,
            Err(error) => {
                tracing::error!(call = call.call_id, %error, "a call can't be put on record: refused unanswered");
                Decision::Refuse(NO_ROOM)
            }
        }
    }

    async fn keep(&self, call: &IncomingCall, page: ReceivedPage) -> bool {
        match self.inner.store_page(call, page).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(
                    call = call.call_id,
                    error = format!("{error:#}"),
                    "a page can't be kept: it is refused"
                );
                false
            }
        }
    }

    async fn had(&self, call_id: &str) -> anyhow::Result<Option<u32>> {
        Ok(records::pages_of(&self.inner.store, call_id).await?)
    }

    async fn ended(&self, call: &IncomingCall, ending: CallEnding) {
        let closed = async {
            match records::by_call(&self.inner.store, &call.call_id).await? {
                Some(open) => self.inner.close(&open, call, &ending).await,
                None => Ok(()),
            }
        };
        if let Err(error) = closed.await {
            tracing::error!(call = call.call_id, %error, "the end of a fax can't be recorded; it is delivered when its time is up");
        }
    }
}

#[cfg(test)]
mod tests;
