//! Paper workers started ahead, each for one document.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use faxpost_paper::PageSetup;
use faxpost_t4::{Coding, FaxPage};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{PaperDone, PaperFailure, PaperLimit, PaperReply, PaperRequest};
use crate::worker::frame::encode;
use crate::worker::{Child, Ending, Fonts, Frame, FrameError, Kind, Limits, Program};

/// Bytes of coded pages that one document may have. A black-and-white A4 page has 30 KB, a page
/// of noise 1 MB; a worker that has been taken over must not fill the gateway's memory.
const MAX_PAGES: usize = 256 << 20;

/// Bytes of an answer that isn't a page: notes or an error, which go into the report.
const MAX_WORDS: usize = 1 << 20;

/// How often a worker's processor time is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How often a document is tried when its worker crashes: the second time in a fresh process, in
/// case the machine was to blame (out of memory, an operator's kill).
const TRIES: u32 = 2;

/// A fixed number of paper workers, waiting warm and sandboxed. Each renders one document, ends,
/// and is replaced. Dropping the pool kills them.
#[derive(Debug)]
pub struct PaperPool {
    jobs: mpsc::Sender<Job>,
    /// No new documents.
    stop: CancellationToken,
    /// No documents at all.
    abandon: CancellationToken,
    slots: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Job {
    /// The encoded request.
    frame: Arc<Vec<u8>>,
    /// What its pages must be like.
    setup: PageSetup,
    /// How many there may be.
    max_pages: usize,
    deadline: Duration,
    /// What it may compute at a time, if less than any document.
    step: Option<Duration>,
    progress: Option<watch::Sender<(u32, u32)>>,
    reply: oneshot::Sender<Result<PaperDone, PaperFailure>>,
}

impl PaperPool {
    /// Starts `size` workers (at least one). Must be called within a tokio runtime.
    ///
    /// A worker that can't be started is tried again with each document, which fails as
    /// [`PaperFailure::Unavailable`] while that doesn't help.
    #[must_use]
    pub fn new(program: Program, size: usize, limits: Limits) -> Self {
        Self::with_fonts(program, size, limits, Arc::default())
    }

    /// As [`new`](Self::new), with fonts for what the embedded family lacks.
    #[must_use]
    pub fn with_fonts(program: Program, size: usize, limits: Limits, fonts: Arc<Fonts>) -> Self {
        Self::start(program, size, limits, fonts, true)
    }

    /// One worker at a time, started when there is a document for it: for a process that may have none.
    #[must_use]
    pub fn on_demand(program: Program, limits: Limits, fonts: Arc<Fonts>) -> Self {
        Self::start(program, 1, limits, fonts, false)
    }

    fn start(
        program: Program,
        size: usize,
        limits: Limits,
        fonts: Arc<Fonts>,
        ahead: bool,
    ) -> Self {
        // One may wait in the channel for each worker; more wait in `render`.
        let size = size.max(1);
        let (jobs, queue) = mpsc::channel(size);
        let queue = Arc::new(Mutex::new(queue));
        let stop = CancellationToken::new();
        let abandon = CancellationToken::new();
        let mut slots = JoinSet::new();
        for _ in 0..size {
            let slot = Slot {
                program: program.clone(),
                limits: limits.clone(),
                fonts: Arc::clone(&fonts),
                ahead,
                queue: Arc::clone(&queue),
                stop: stop.clone(),
                abandon: abandon.clone(),
            };
            slots.spawn(slot.run());
        }
        Self {
            jobs,
            stop,
            abandon,
            slots: Mutex::new(slots),
        }
    }

    /// Renders one document or cover. `deadline` counts clock time from when a worker takes it,
    /// not the wait for a free one.
    ///
    /// # Errors
    /// [`PaperFailure`], with what the sender reads and whether trying again can help.
    pub async fn render(
        &self,
        request: &PaperRequest,
        deadline: Duration,
    ) -> Result<PaperDone, PaperFailure> {
        self.submit(request, deadline, None).await
    }

    /// As [`render`](Self::render), telling pages done and pages in all on the way.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub async fn render_watched(
        &self,
        request: &PaperRequest,
        deadline: Duration,
        progress: watch::Sender<(u32, u32)>,
    ) -> Result<PaperDone, PaperFailure> {
        self.submit(request, deadline, Some(progress)).await
    }

    async fn submit(
        &self,
        request: &PaperRequest,
        deadline: Duration,
        progress: Option<watch::Sender<(u32, u32)>>,
    ) -> Result<PaperDone, PaperFailure> {
        let frame = encode(request).map_err(|error| match error {
            FrameError::TooLong(bytes) => PaperFailure::TooLarge { bytes },
            other => PaperFailure::Unavailable(other.to_string()),
        })?;
        let (reply, result) = oneshot::channel();
        let job = Job {
            frame: Arc::new(frame),
            setup: request.setup(),
            max_pages: request.max_pages(),
            deadline,
            step: request.step(),
            progress,
            reply,
        };
        if self.jobs.send(job).await.is_err() {
            return Err(stopping());
        }
        result.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Ends the pool: no new document is taken, those in work are finished for up to `grace`,
    /// then their workers are killed and their callers get [`PaperFailure::Unavailable`]. All
    /// processes are gone when this returns.
    pub async fn shutdown(&self, grace: Duration) {
        self.stop.cancel();
        let mut slots = self.slots.lock().await;
        let finish = async { while slots.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finish).await.is_err() {
            self.abandon.cancel();
            while slots.join_next().await.is_some() {}
        }
    }
}

fn stopping() -> PaperFailure {
    PaperFailure::Unavailable("the gateway is stopping".to_owned())
}

/// How one try ended.
enum Try {
    Result(Result<PaperDone, PaperFailure>),
    /// The worker died of something that may not be the document's fault.
    Crashed,
}

/// One place in the pool: a worker that waits, or works.
struct Slot {
    program: Program,
    limits: Limits,
    fonts: Arc<Fonts>,
    /// A worker is started before there is a document for it.
    ahead: bool,
    queue: Arc<Mutex<mpsc::Receiver<Job>>>,
    stop: CancellationToken,
    abandon: CancellationToken,
}

impl Slot {
    async fn run(self) {
        let mut ready = self.prepare().await;
        loop {
            let Some(job) = self.next_job(&mut ready).await else {
                break;
            };
            let result = self.serve(ready.take(), &job).await;
            // A caller that has gone away needs no answer.
            let _ = job.reply.send(result);
            if self.stop.is_cancelled() {
                break;
            }
            ready = self.prepare().await;
        }
        if let Some(child) = ready {
            child.kill();
            child.wait().await;
        }
    }

    async fn prepare(&self) -> Option<Child> {
        match self.ahead {
            true => self.spawn().await.ok(),
            false => None,
        }
    }

    async fn spawn(&self) -> Result<Child, PaperFailure> {
        let child = Child::spawn(&self.program, Kind::Paper, &self.limits)
            .await
            .map_err(|error| {
                tracing::error!(%error, "no paper worker");
                PaperFailure::Unavailable(error.to_string())
            })?;
        let (frame, fds) = self.fonts.frame();
        // Its end is seen when it has a document.
        let _ = child.sender().send_with(&frame, fds).await;
        Ok(child)
    }

    /// The next job; `None` at the end. A worker that dies while it waits is dropped: it is
    /// replaced when a job comes, not sooner, so that one that always dies costs nothing.
    async fn next_job(&self, ready: &mut Option<Child>) -> Option<Job> {
        loop {
            let job = async { self.queue.lock().await.recv().await };
            let death = async {
                match ready.as_mut() {
                    Some(child) => drop(child.next().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                // It speaks only when spoken to: a frame is as bad as an end.
                () = death => *ready = None,
                job = job => return job,
            }
        }
    }

    async fn serve(&self, ready: Option<Child>, job: &Job) -> Result<PaperDone, PaperFailure> {
        let mut ready = ready;
        for _ in 0..TRIES {
            let child = match ready.take() {
                Some(child) => child,
                None => self.spawn().await?,
            };
            match self.attempt(child, job).await {
                Try::Result(result) => return result,
                Try::Crashed => {}
            }
        }
        Err(PaperFailure::Crashed)
    }

    /// One document in one worker, which is gone afterwards.
    async fn attempt(&self, mut child: Child, job: &Job) -> Try {
        let deadline = Instant::now() + job.deadline;
        let heard = AtomicUsize::new(0);
        let pid = child.pid();
        let steps = [self.limits.step, job.step];
        let step = steps.into_iter().flatten().min();
        let talk = tokio::select! {
            talk = tokio::time::timeout_at(deadline, converse(&mut child, job, &heard)) => talk,
            step = stuck(pid, &heard, step) => {
                Ok(Some(Err(PaperFailure::Limit(PaperLimit::Page(step)))))
            }
            () = self.abandon.cancelled() => Ok(Some(Err(stopping()))),
        };
        match talk {
            Ok(Some(answer)) => {
                // It ends by itself; its exit code has nothing to add to a whole answer.
                child.kill();
                child.wait().await;
                Try::Result(answer)
            }
            Ok(None) => match child.wait().await {
                Ending::Limit(hit) => {
                    let limit = PaperLimit::hit(hit, &self.limits);
                    Try::Result(Err(PaperFailure::Limit(limit)))
                }
                ending => {
                    tracing::warn!(%ending, "a paper worker ended without an answer");
                    Try::Crashed
                }
            },
            Err(_) => {
                child.kill();
                child.wait().await;
                let limit = PaperLimit::Wall(job.deadline);
                Try::Result(Err(PaperFailure::Limit(limit)))
            }
        }
    }
}

/// Waits until the worker has computed for `step` since anything was last heard of it. Its processor time is
/// looked at, not the clock: a busy machine is no document's fault.
async fn stuck(pid: u32, heard: &AtomicUsize, step: Option<Duration>) -> Duration {
    let Some(step) = step else {
        return std::future::pending().await;
    };
    let (mut seen, mut since) = (usize::MAX, Duration::ZERO);
    loop {
        let now = heard.load(Ordering::Relaxed);
        // One that has ended is seen to by who hears it.
        let used = processor_time(pid).unwrap_or(since);
        if now != seen {
            (seen, since) = (now, used);
        } else if used.saturating_sub(since) >= step {
            return step;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a process has computed so far (proc(5), fields 14 and 15 of its `stat`).
fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may have blanks in it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    // USER_HZ is 100 on every machine that this runs on.
    Some(Duration::from_millis(ticks * 10))
}

/// Sends the request and hears the answer; `None` when the worker ended, or made no sense and
/// was killed, before the answer was whole.
async fn converse(
    child: &mut Child,
    job: &Job,
    heard: &AtomicUsize,
) -> Option<Result<PaperDone, PaperFailure>> {
    // Its end is seen below, with how.
    let _ = child
        .sender()
        .send_encoded(Arc::clone(&job.frame), Vec::new())
        .await;
    let mut pages: Vec<FaxPage> = Vec::new();
    let mut logo = None;
    let mut bytes = 0;
    while let Some(frame) = child.next().await {
        bytes += frame.len();
        heard.fetch_add(1, Ordering::Relaxed);
        if bytes > MAX_PAGES {
            return Some(Err(PaperFailure::Limit(PaperLimit::Pages(MAX_PAGES))));
        }
        match understand(&frame, &job.setup) {
            Some(PaperReply::Progress { done, total }) => {
                if let Some(progress) = &job.progress {
                    // Nobody watches any more: no matter.
                    let _ = progress.send((done, total));
                }
            }
            Some(PaperReply::Page(page)) if pages.len() < job.max_pages => pages.push(page.into()),
            Some(PaperReply::Logo(file)) => logo = Some(file.0),
            Some(PaperReply::Done { notes }) => {
                return Some(Ok(PaperDone { pages, logo, notes }));
            }
            Some(PaperReply::Failed(error)) => return Some(Err(PaperFailure::Document(error))),
            Some(PaperReply::Page(_)) | None => {
                tracing::warn!(child = child.id(), "a paper worker's answer makes no sense");
                child.kill();
                return None;
            }
        }
    }
    None
}

/// An answer, if it is one that an honest worker could give: what reads the pages later relies
/// on their size.
fn understand(frame: &Frame, setup: &PageSetup) -> Option<PaperReply> {
    let reply = frame.decode().ok()?;
    let sensible = match &reply {
        PaperReply::Progress { .. } => true,
        PaperReply::Logo(file) => file.0.len() <= faxpost_paper::LOGO_OCTETS,
        PaperReply::Page(page) => {
            page.width == setup.width as usize
                && (1..=setup.height() as usize).contains(&page.height)
                && page.resolution == setup.resolution
                && page.coding == Coding::Mmr
        }
        PaperReply::Done { .. } | PaperReply::Failed(_) => frame.len() <= MAX_WORDS,
    };
    sensible.then_some(reply)
}
