//! [`Lines`]: each call goes by the kind of its trunk.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{
    Answerer, CallEnding, CallEvent, CallOrder, FaxLine, HylaFaxLine, SipFaxLine, TrunkNow,
    outgoing, sip::Dropped,
};
use crate::numbers::{Transport, Trunk};

/// SIP trunks and HylaFAX servers as one line.
#[derive(Clone)]
pub struct Lines {
    sip: SipFaxLine,
    hylafax: HylaFaxLine,
}

impl Lines {
    /// Both.
    #[must_use]
    pub fn new(sip: SipFaxLine, hylafax: HylaFaxLine) -> Self {
        Self { sip, hylafax }
    }

    /// Makes `trunks` the ones that calls go over and come from.
    ///
    /// # Errors
    /// One of them can't be used: a sentence that names the first; the others are.
    pub async fn set_trunks(&self, trunks: &[Trunk]) -> anyhow::Result<()> {
        let hylafax = self.hylafax.set_trunks(trunks);
        let sip: Vec<Trunk> = trunks
            .iter()
            .filter(|trunk| trunk.transport != Transport::Hylafax)
            .cloned()
            .collect();
        self.sip.set_trunks(&sip).await.and(hylafax)
    }

    /// How the trunks are.
    #[must_use]
    pub fn trunks(&self) -> Vec<TrunkNow> {
        let mut trunks = self.sip.trunks();
        trunks.extend(self.hylafax.trunks());
        trunks
    }

    /// Returns when something about a trunk changed since this last returned.
    pub async fn trunks_changed(&self) {
        tokio::select! {
            () = self.sip.trunks_changed() => {}
            () = self.hylafax.trunks_changed() => {}
        }
    }

    /// Returns when the signalling has stopped: no SIP call will come or go any more.
    pub async fn over(&self) {
        self.sip.over().await;
    }

    /// Takes no more calls and lets those in progress end by themselves for `patience`; then ends them.
    pub async fn close(&self, patience: Duration) {
        tokio::join!(self.sip.close(patience), self.hylafax.close(patience));
    }

    /// SIP requests that were dropped or refused for where they came from or how they were.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.sip.dropped()
    }

    /// How often a call wanted a media port and all were in use, since the start.
    #[must_use]
    pub fn wanting_ports(&self) -> u64 {
        self.sip.wanting_ports()
    }

    /// Calls in progress.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.sip.calls() + self.hylafax.calls()
    }

    fn line_of(&self, trunk_id: &str) -> &dyn FaxLine {
        if self.hylafax.has(trunk_id) {
            &self.hylafax
        } else {
            &self.sip
        }
    }

    /// The order cut where the kind of trunk changes: each part has trunks of one kind.
    fn parts(&self, order: CallOrder) -> Vec<CallOrder> {
        let mut trunks = vec![order.trunk_id.clone()];
        trunks.extend(order.more_trunks.iter().cloned());
        let mut parts: Vec<CallOrder> = Vec::new();
        for group in trunks.chunk_by(|a, b| self.hylafax.has(a) == self.hylafax.has(b)) {
            parts.push(CallOrder {
                trunk_id: group[0].clone(),
                more_trunks: group[1..].to_vec(),
                ..order.clone()
            });
        }
        parts
    }
}

#[async_trait]
impl FaxLine for Lines {
    async fn place(&self, order: CallOrder) -> mpsc::Receiver<CallEvent> {
        let mut parts = self.parts(order).into_iter();
        let Some(first) = parts.next() else {
            return mpsc::channel(1).1;
        };
        if parts.len() == 0 {
            return self.line_of(&first.trunk_id).place(first).await;
        }
        let (tx, rx) = mpsc::channel(64);
        let lines = self.clone();
        let events = self.line_of(&first.trunk_id).place(first).await;
        tokio::spawn(async move {
            let mut ending = follow_part(events, &tx).await;
            for part in parts {
                if !ending.1 || !outgoing::may_go_elsewhere(&ending.0) {
                    break;
                }
                // Whoever placed the call and went away is told nothing more.
                let _ = tx.send(CallEvent::Trunk(part.trunk_id.clone())).await;
                let events = lines.line_of(&part.trunk_id).place(part).await;
                ending = follow_part(events, &tx).await;
            }
            let _ = tx.send(CallEvent::Ended(ending.0)).await;
        });
        rx
    }

    fn hang_up(&self, call_id: &str) {
        self.sip.hang_up(call_id);
        self.hylafax.hang_up(call_id);
    }

    fn usable(&self, trunk_ids: &[String]) -> Vec<String> {
        let mut ranked = self.sip.ranked(trunk_ids);
        ranked.extend(self.hylafax.ranked(trunk_ids));
        // In the order asked for, but those that are doubtful last, whatever their kind.
        let place = |id: &String| trunk_ids.iter().position(|asked| asked == id);
        ranked.sort_by_key(|(doubtful, id)| (*doubtful, place(id)));
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    fn set_answerer(&self, answerer: Arc<dyn Answerer>) {
        self.sip.set_answerer(answerer.clone());
        self.hylafax.set_answerer(answerer);
    }
}

/// A part of an order to its end, which is not passed on; `true`: no permit for page data was asked, so
/// that the next part may still ask for it.
async fn follow_part(
    mut events: mpsc::Receiver<CallEvent>,
    tx: &mpsc::Sender<CallEvent>,
) -> (CallEnding, bool) {
    let mut unasked = true;
    while let Some(event) = events.recv().await {
        match event {
            CallEvent::Ended(ending) => return (ending, unasked),
            event => {
                unasked &= !matches!(event, CallEvent::PageDataNext { .. });
                let _ = tx.send(event).await;
            }
        }
    }
    let ending = CallEnding {
        own_fault: Some("the line gave no ending".into()),
        ..CallEnding::default()
    };
    (ending, false)
}
