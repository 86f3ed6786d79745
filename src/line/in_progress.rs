//! The calls of one kind of line: each by our id, with the way to hang it up, and who answers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use super::Answerer;

/// Between two looks whether all calls are over.
const LOOK: Duration = Duration::from_millis(50);

/// Calls in progress, both ways, and the room that takes those that come in.
#[derive(Default)]
pub(super) struct InProgress {
    calls: Mutex<HashMap<String, mpsc::UnboundedSender<()>>>,
    answerer: Mutex<Option<Arc<dyn Answerer>>>,
}

impl InProgress {
    fn calls(&self) -> MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<()>>> {
        // A map that is whole after every single operation.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call known by our id; what comes back says when to hang up.
    pub fn begin(&self, call_id: &str) -> mpsc::UnboundedReceiver<()> {
        let (hang_up, hung_up) = mpsc::unbounded_channel();
        self.calls().insert(call_id.to_owned(), hang_up);
        hung_up
    }

    /// A call is over.
    pub fn end(&self, call_id: &str) {
        self.calls().remove(call_id);
    }

    /// Ends a call soon, if there is one of this id. One that ended this moment needs no telling.
    pub fn hang_up(&self, call_id: &str) {
        if let Some(hang_up) = self.calls().get(call_id) {
            let _ = hang_up.send(());
        }
    }

    /// Whether a call of this id is in progress.
    pub fn has(&self, call_id: &str) -> bool {
        self.calls().contains_key(call_id)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.calls().len()
    }

    /// Who answers; `None` before somebody does, and after [`close`](Self::close).
    pub fn answerer(&self) -> Option<Arc<dyn Answerer>> {
        self.answerer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on `answerer` takes calls; `None`: nobody does.
    pub fn set_answerer(&self, answerer: Option<Arc<dyn Answerer>>) {
        *self.answerer.lock().unwrap_or_else(PoisonError::into_inner) = answerer;
    }

    /// Takes no more calls and lets those in progress end by themselves for `patience`; then hangs them up.
    /// Returns when all are over.
    pub async fn close(&self, patience: Duration) {
        self.set_answerer(None);
        let over = async || {
            while self.count() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(patience, over()).await.is_err() {
            for hang_up in self.calls().values() {
                let _ = hang_up.send(());
            }
            over().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_that_go_on_after_their_time_are_hung_up_and_awaited() {
        let calls = Arc::new(InProgress::default());
        let mut slow = calls.begin("slow");
        let _quick = calls.begin("quick");
        calls.end("quick");
        calls.hang_up("quick");
        assert_eq!((calls.has("slow"), calls.count()), (true, 1));
        let ends = calls.clone();
        let followed = tokio::spawn(async move {
            let told = slow.recv().await;
            ends.end("slow");
            told
        });
        calls.close(Duration::ZERO).await;
        assert_eq!(calls.count(), 0);
        assert_eq!(followed.await.unwrap(), Some(()));
        assert!(calls.answerer().is_none());
    }
}
