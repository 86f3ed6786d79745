//! The parent's side of line workers: a few sandboxed children, 32 calls each at most.
//!
//! A worker that ends takes its calls with it: each gets its end, and the next call starts another
//! worker.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;

use super::protocol::{CALLS_PER_WORKER, FromWorker, ToWorker};
use crate::worker::{Child, ChildSender, Kind, Limits, Program};

/// Starts line workers and spreads calls over them.
#[derive(Clone)]
pub(super) struct Workers {
    inner: Arc<Inner>,
}

struct Inner {
    program: Program,
    size: usize,
    next_call: AtomicU64,
    running: tokio::sync::Mutex<Vec<Arc<Worker>>>,
}

struct Worker {
    sender: ChildSender,
    calls: Mutex<HashMap<u64, mpsc::UnboundedSender<WorkerEvent>>>,
    gone: std::sync::atomic::AtomicBool,
}

/// What a worker tells of one call.
#[derive(Debug)]
pub(super) enum WorkerEvent {
    /// A frame of its own.
    Said(FromWorker),
    /// The worker ended and the call with it.
    Lost(String),
}

/// No worker could be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoWorker {
    /// All carry as many calls as they may.
    #[error("all line workers are full: raise line.workers")]
    Full,
    /// It can't be started.
    #[error("a line worker can't be started: {0}")]
    Start(String),
    /// It ended while we spoke to it.
    #[error("the line worker ended")]
    Gone,
}

/// A call in a worker; dropping it forgets the call.
pub(super) struct WorkerCall {
    /// The worker's number for it.
    pub call: u64,
    worker: Arc<Worker>,
    events: mpsc::UnboundedReceiver<WorkerEvent>,
}

impl Workers {
    pub fn new(program: Program, size: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                program,
                size,
                next_call: AtomicU64::new(1),
                running: tokio::sync::Mutex::new(Vec::new()),
            }),
        }
    }

    /// Starts the workers ahead of the first call.
    pub async fn warm(&self) -> Result<(), NoWorker> {
        let mut running = self.inner.running.lock().await;
        while running.len() < self.inner.size {
            running.push(self.start().await?);
        }
        Ok(())
    }

    /// Opens a call in the worker that carries fewest.
    pub async fn open(&self) -> Result<WorkerCall, NoWorker> {
        let worker = self.least_loaded().await?;
        let call = self.inner.next_call.fetch_add(1, Ordering::Relaxed);
        let (tx, events) = mpsc::unbounded_channel();
        worker.lock().insert(call, tx);
        Ok(WorkerCall {
            call,
            worker,
            events,
        })
    }

    async fn least_loaded(&self) -> Result<Arc<Worker>, NoWorker> {
        let mut running = self.inner.running.lock().await;
        running.retain(|worker| !worker.gone.load(Ordering::Acquire));
        let least = running
            .iter()
            .min_by_key(|worker| worker.lock().len())
            .cloned();
        match least {
            Some(worker) if running.len() >= self.inner.size || worker.lock().is_empty() => {
                if worker.lock().len() >= CALLS_PER_WORKER {
                    return Err(NoWorker::Full);
                }
                Ok(worker)
            }
            _ => {
                let worker = self.start().await?;
                running.push(worker.clone());
                Ok(worker)
            }
        }
    }

    async fn start(&self) -> Result<Arc<Worker>, NoWorker> {
        let mut child = Child::spawn(&self.inner.program, Kind::Line, &Limits::of(Kind::Line))
            .await
            .map_err(|error| NoWorker::Start(error.to_string()))?;
        let worker = Arc::new(Worker {
            sender: child.sender(),
            calls: Mutex::new(HashMap::new()),
            gone: false.into(),
        });
        let told = worker.clone();
        tokio::spawn(async move {
            while let Some(frame) = child.next().await {
                match frame.decode::<FromWorker>() {
                    Ok(event) => told.tell(event),
                    Err(error) => {
                        tracing::error!(worker = child.id(), %error, "a line worker talks nonsense; it is stopped");
                        child.kill();
                    }
                }
            }
            told.gone.store(true, Ordering::Release);
            let ending = child.wait().await;
            told.lose(&format!("{ending:?}"));
        });
        Ok(worker)
    }
}

impl Worker {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, mpsc::UnboundedSender<WorkerEvent>>> {
        // The map is whole after every single operation.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: FromWorker) {
        let calls = self.lock();
        if let Some(tx) = calls.get(&event.call()) {
            // A call that nobody follows any more needs no news.
            let _ = tx.send(WorkerEvent::Said(event));
        }
    }

    fn lose(&self, how: &str) {
        let calls: Vec<_> = self.lock().drain().collect();
        if !calls.is_empty() {
            tracing::error!(
                calls = calls.len(),
                how,
                "a line worker ended with calls on it"
            );
        }
        for (_, tx) in calls {
            let _ = tx.send(WorkerEvent::Lost(how.to_owned()));
        }
    }
}

impl WorkerCall {
    /// Says something about this call, with a descriptor beside it.
    pub async fn say(&self, what: &ToWorker, fds: Vec<OwnedFd>) -> Result<(), NoWorker> {
        self.worker
            .sender
            .send_with(what, fds)
            .await
            .map_err(|_| NoWorker::Gone)
    }

    /// What the worker says next of this call; [`WorkerEvent::Lost`] when it ended.
    pub async fn next(&mut self) -> WorkerEvent {
        self.events
            .recv()
            .await
            .unwrap_or_else(|| WorkerEvent::Lost("it is gone".into()))
    }
}

impl Drop for WorkerCall {
    fn drop(&mut self) {
        self.worker.lock().remove(&self.call);
    }
}
