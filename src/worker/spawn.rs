//! The gateway's side of a child: starting it, talking with it, ending it, and learning how it
//! ended.
//!
//! Three plain threads serve each child (frames in, frames out, its standard error), blocked in
//! the kernel most of their life. There are a handful of children, a large frame takes one write
//! whatever the runtime is doing, and descriptors need `recvmsg`, which async streams hide; so
//! threads are the simple way. The async side sees bounded channels only.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::child::Hello;
use super::frame::{FrameReceiver, FrameSender, encode};
use super::stderr::{self, LastWords};
use super::{Frame, FrameError, FrameSocket, Kind, Limits, SandboxReport};

/// How long a child may take from its start to its greeting. It only sets up its sandbox in that
/// time; a machine that needs longer is in trouble of its own.
const START: Duration = Duration::from_secs(20);

/// Threads that one document is drawn with, where the libraries can use more than one.
const PAPER_THREADS: usize = 2;

/// Frames that wait in each direction before the sending side waits too.
const WAITING: usize = 64;

/// The program that children run: this one.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    /// What stands before the limits on the command line, when it isn't the kind's own word.
    word: Option<String>,
}

impl Program {
    /// The running program itself, also when its file has been replaced by a newer version since.
    #[must_use]
    pub fn this() -> Self {
        Self::at("/proc/self/exe")
    }

    /// The `faxpost` at a path. It must be of this same version: the frames between the two are
    /// not kept compatible.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            word: None,
        }
    }

    /// As [`at`](Self::at), started with another word than the kind's: for probes.
    #[cfg(debug_assertions)]
    pub fn with_word(path: impl Into<PathBuf>, word: &str) -> Self {
        Self {
            path: path.into(),
            word: Some(word.to_owned()),
        }
    }

    fn command(&self, kind: Kind, limits: &Limits) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg0("faxpost")
            .arg("worker")
            .arg(self.word.as_deref().unwrap_or(kind.word()))
            .args(limits.to_args())
            .env_clear()
            .current_dir("/");
        if kind == Kind::Paper {
            // Both bound what its address space holds besides the document: a thread pool that
            // grows with the machine, and malloc's 64 MB of reserve for each of its threads.
            command
                .env("RAYON_NUM_THREADS", PAPER_THREADS.to_string())
                .env("MALLOC_ARENA_MAX", "2")
                // Pages of pixels in large pages of memory: a quarter less time for a short document.
                .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
        }
        command
    }
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The process could not be started.
    #[error("a worker process could not be started: {0}")]
    Start(#[from] io::Error),
    /// It was started and ended before it was ready.
    #[error("a worker process ended before it was ready: {0}")]
    Ended(Ending),
    /// It is not ready after 20 s.
    #[error("a worker process was not ready after {} s", START.as_secs())]
    Late,
    /// Its greeting can't be read: another version's program.
    #[error("a worker process of another version was started; restart faxpost")]
    Stranger(FrameError),
}

/// A limit that a child ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitHit {
    /// Address space.
    Memory,
    /// Processor time.
    Processor,
    /// A thread's stack: something was nested too deeply.
    Stack,
    /// The size of a file.
    FileSize,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ending {
    /// By itself, with its work done.
    #[error("finished")]
    Finished,
    /// By itself, with an exit code that says it could not go on.
    #[error("gave up with code {0}")]
    Failed(i32),
    /// It wanted more than its limits.
    #[error("ran into its limit: {0:?}")]
    Limit(LimitHit),
    /// By [`ChildHandle::kill`].
    #[error("was ended by the gateway")]
    Killed,
    /// By a signal: a fault in its code, or the system (number 9: often for lack of memory).
    #[error("crashed with signal {0}")]
    Crashed(i32),
}

/// The child has ended: nothing more can be sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker process has ended")]
pub struct Gone;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    /// How much of the sandbox holds, from the child's greeting.
    pub report: SandboxReport,
    handle: ChildHandle,
    sender: ChildSender,
    frames: mpsc::Receiver<Frame>,
}

impl Child {
    /// Starts a child and waits for its greeting, which comes after it has put on its sandbox.
    ///
    /// # Errors
    /// [`SpawnError`]; the child is gone then. Trying again may help.
    pub async fn spawn(program: &Program, kind: Kind, limits: &Limits) -> Result<Self, SpawnError> {
        let command = program.command(kind, limits);
        let (reply, started) = oneshot::channel();
        let start = Box::new(move || {
            // Nobody waits any more: the child is dropped, and with that killed.
            let _ = reply.send(start(command, kind));
        });
        if spawner().send(start).is_err() {
            return Err(SpawnError::Start(io::Error::other(
                "the starting thread has ended",
            )));
        }
        let mut child = started
            .await
            .map_err(|_| io::Error::other("the starting thread has ended"))??;
        match tokio::time::timeout(START, child.frames.recv()).await {
            Err(_) => Err(SpawnError::Late),
            Ok(None) => Err(SpawnError::Ended(child.wait().await)),
            Ok(Some(frame)) => {
                let hello: Hello = frame.decode().map_err(SpawnError::Stranger)?;
                child.report = hello.report;
                for missing in &child.report.missing {
                    tracing::debug!(kind = kind.word(), child = child.id(), %missing, "sandbox is not whole");
                }
                Ok(child)
            }
        }
    }

    /// Its number, unique in this process, for logs.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.handle.id()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.handle.process.pid
    }

    /// A handle that ends it or waits for its end, from anywhere.
    #[must_use]
    pub fn handle(&self) -> ChildHandle {
        self.handle.clone()
    }

    /// A handle that sends to it, from anywhere.
    #[must_use]
    pub fn sender(&self) -> ChildSender {
        self.sender.clone()
    }

    /// The next frame from it; `None` when it has ended and all it said has been heard. Its
    /// contents are not to be trusted more than the document or call that it works on.
    pub async fn next(&mut self) -> Option<Frame> {
        self.frames.recv().await
    }

    /// Ends it (SIGKILL). Returns at once; [`wait`](Self::wait) says when it is gone.
    pub fn kill(&self) {
        self.handle.kill();
    }

    /// Waits until it has ended by itself, hearing no more of it; then it is reaped.
    pub async fn wait(mut self) -> Ending {
        // A reader that waits for room in the channel would never see the end.
        self.frames.close();
        self.handle.ended().await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

/// Ends a child or waits for its end. Keeps nothing alive.
#[derive(Clone, Debug)]
pub struct ChildHandle {
    process: Arc<Process>,
    ending: watch::Receiver<Option<Ending>>,
}

impl ChildHandle {
    /// The child's number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.process.id
    }

    /// Ends it (SIGKILL), if it hasn't ended. Returns at once.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// How it ended, once it has, is reaped, and all it said has been taken from its
    /// [`Child`] (or that is dropped).
    pub async fn ended(&self) -> Ending {
        let mut ending = self.ending.clone();
        match ending.wait_for(Option::is_some).await {
            Ok(ending) => ending.unwrap_or(Ending::Killed),
            // The thread that reaps panicked; the process was killed with it.
            Err(_) => Ending::Killed,
        }
    }
}

/// Sends to a child.
#[derive(Clone, Debug)]
pub struct ChildSender {
    frames: mpsc::Sender<Outgoing>,
}

impl ChildSender {
    /// Sends a message; waits while the child is slow to take what was sent before.
    ///
    /// # Errors
    /// `SendError::Gone` when it has ended; the others if `message` can't be a frame. That it
    /// was sent does not mean that it is read: only an answer does.
    pub async fn send<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), SendError> {
        self.send_with(message, Vec::new()).await
    }

    /// Sends a message with descriptors (at most [`MAX_FDS`](super::frame::MAX_FDS)), which are
    /// closed here once they are sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with<T: Serialize + ?Sized>(
        &self,
        message: &T,
        fds: Vec<OwnedFd>,
    ) -> Result<(), SendError> {
        let frame = Arc::new(encode(message)?);
        self.send_encoded(frame, fds).await.map_err(SendError::Gone)
    }

    /// Sends what [`encode`] made.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send_encoded(&self, frame: Arc<Vec<u8>>, fds: Vec<OwnedFd>) -> Result<(), Gone> {
        let outgoing = Outgoing { frame, fds };
        self.frames.send(outgoing).await.map_err(|_| Gone)
    }
}

/// Why a message was not sent to a child.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The child has ended.
    #[error(transparent)]
    Gone(Gone),
    /// The message can't be a frame: too long, for example.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

#[derive(Debug)]
struct Outgoing {
    frame: Arc<Vec<u8>>,
    fds: Vec<OwnedFd>,
}

#[derive(Debug)]
struct Process {
    id: u64,
    pid: u32,
    child: Mutex<std::process::Child>,
    killed: AtomicBool,
}

impl Process {
    fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.end();
    }

    fn end(&self) {
        // std does nothing when the child has been reaped, so no other process with its number
        // can be hit.
        let _ = self.lock().kill();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, std::process::Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Start = Box<dyn FnOnce() + Send>;

/// The one thread that starts children. The kernel's signal at the parent's death comes when the
/// *thread* that started the child ends (prctl(2), `PR_SET_PDEATHSIG`): a runtime's threads come
/// and go, this one stays as long as the process.
fn spawner() -> &'static std::sync::mpsc::Sender<Start> {
    static SPAWNER: OnceLock<std::sync::mpsc::Sender<Start>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, starts) = std::sync::mpsc::channel::<Start>();
        let thread = thread::Builder::new().name("worker-start".to_owned());
        // Without the thread the receiver is dropped, and `Child::spawn` says so.
        let _ = thread.spawn(move || {
            for start in starts {
                start();
            }
        });
        sender
    })
}

/// On the starting thread: the process and the threads that serve it.
fn start(mut command: Command, kind: Kind) -> io::Result<Child> {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let id = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let (near, far) = UnixStream::pair()?;
    let socket = FrameSocket::new(near)?;
    let mut child = command
        .stdin(Stdio::from(OwnedFd::from(far)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // The command still owns the child's end of the socket, which must close with the child.
    drop(command);
    let errors = child.stderr.take();
    let process = Arc::new(Process {
        id,
        pid: child.id(),
        child: Mutex::new(child),
        killed: AtomicBool::new(false),
    });
    let (ended, ending) = watch::channel(None);
    // From here on a failure drops the `Child`, which kills the process.
    let handle = ChildHandle { process, ending };
    let (sender, receiver) = socket.split();
    let (outgoing, to_send) = mpsc::channel(WAITING);
    let (received, frames) = mpsc::channel(WAITING);
    let result = Child {
        report: SandboxReport::default(),
        handle: handle.clone(),
        sender: ChildSender { frames: outgoing },
        frames,
    };
    let name = |what: &str| format!("{}-{id}-{what}", kind.word());
    let words = thread::Builder::new()
        .name(name("err"))
        .spawn(move || errors.and_then(|errors| stderr::follow(errors, kind.word(), id)))?;
    thread::Builder::new()
        .name(name("out"))
        .spawn(move || send_all(to_send, &sender))?;
    let process = handle.process;
    thread::Builder::new().name(name("in")).spawn(move || {
        receive_all(receiver, &received, &process, kind);
        process.end();
        let status = process.lock().wait();
        let words = words.join().unwrap_or(None);
        let killed = process.killed.load(Ordering::Acquire);
        let how = status.map_or(Ending::Killed, |status| ending_of(status, killed, words));
        tracing::debug!(kind = kind.word(), child = id, %how, "worker ended");
        // First the ending, then the end of the frames: who sees the frames end can ask why.
        let _ = ended.send(Some(how));
        drop(received);
    })?;
    Ok(result)
}

fn send_all(mut to_send: mpsc::Receiver<Outgoing>, sender: &FrameSender) {
    while let Some(Outgoing { frame, fds }) = to_send.blocking_recv() {
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        // The reading thread learns of the child's end too, and tells.
        if sender.send_encoded(&frame, &fds).is_err() {
            return;
        }
    }
}

/// Hands on frames until the child has ended, or has broken the rules and must end.
fn receive_all(
    mut receiver: FrameReceiver,
    received: &mpsc::Sender<Frame>,
    process: &Process,
    kind: Kind,
) {
    loop {
        match receiver.receive() {
            Ok(frame) => {
                if received.blocking_send(frame).is_err() {
                    // Nobody listens: the child may finish by itself or be killed.
                    drain(receiver);
                    return;
                }
            }
            Err(FrameError::Closed) => return,
            Err(error) => {
                tracing::warn!(kind = kind.word(), child = process.id, %error, "worker broke the protocol");
                return;
            }
        }
    }
}

fn drain(mut receiver: FrameReceiver) {
    while receiver.receive().is_ok() {}
}

fn ending_of(status: ExitStatus, killed: bool, words: Option<LastWords>) -> Ending {
    let Some(signal) = status.signal() else {
        return match status.code() {
            Some(0) => Ending::Finished,
            code => Ending::Failed(code.unwrap_or(-1)),
        };
    };
    match (Signal::from_named_raw(signal), words) {
        (Some(Signal::KILL), _) if killed => Ending::Killed,
        (Some(Signal::ABORT), Some(LastWords::OutOfMemory)) => Ending::Limit(LimitHit::Memory),
        (Some(Signal::ABORT), Some(LastWords::StackOverflow)) => Ending::Limit(LimitHit::Stack),
        (Some(Signal::XCPU), _) => Ending::Limit(LimitHit::Processor),
        (Some(Signal::XFSZ), _) => Ending::Limit(LimitHit::FileSize),
        _ => Ending::Crashed(signal),
    }
}
