//! The child's side: from `main` to its work.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::sandbox::{self, Limits, SandboxReport};
use super::{FrameSocket, Kind, paper, stderr};

/// The first frame of every child, before it has read anything.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub report: SandboxReport,
}

/// Not started as a worker is.
const MISUSED: u8 = 64;
/// The connection to the gateway failed before work began.
const NO_GATEWAY: u8 = 65;

/// `faxpost worker …`: `args` are those after the word `worker`. Must be called first thing in
/// `main`, before any thread is started or any file opened. `line` is the line worker's own main,
/// which runs inside the sandbox.
pub fn child_main(args: &[String], line: fn(FrameSocket) -> ExitCode) -> ExitCode {
    let Some((work, limits)) = Work::from_args(args) else {
        eprintln!("faxpost: workers are started by \"faxpost serve\", not by hand");
        return ExitCode::from(MISUSED);
    };
    let report = sandbox::enter(work.kind(), &limits);
    stderr::report_panics();
    let Some(socket) = gateway(report) else {
        return ExitCode::from(NO_GATEWAY);
    };
    match work {
        Work::Paper => paper::run(socket),
        Work::Line => line(socket),
        #[cfg(debug_assertions)]
        Work::Probe(_) => super::probe::run(socket),
        #[cfg(debug_assertions)]
        Work::ProbeRender => super::probe::run_paper(socket),
    }
}

/// What this child is to do.
enum Work {
    Paper,
    Line,
    /// Tries what the sandbox of a kind allows. For tests: not in release builds.
    #[cfg(debug_assertions)]
    Probe(Kind),
    /// A paper worker that misbehaves as its document says. For tests: not in release builds.
    #[cfg(debug_assertions)]
    ProbeRender,
}

impl Work {
    fn from_args(args: &[String]) -> Option<(Self, Limits)> {
        let (word, limits) = args.split_first()?;
        let work = match word.as_str() {
            "paper" => Self::Paper,
            "line" => Self::Line,
            #[cfg(debug_assertions)]
            "probe-paper" => Self::Probe(Kind::Paper),
            #[cfg(debug_assertions)]
            "probe-line" => Self::Probe(Kind::Line),
            #[cfg(debug_assertions)]
            "probe-render" => Self::ProbeRender,
            _ => return None,
        };
        Some((work, Limits::from_args(limits)?))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Paper => Kind::Paper,
            Self::Line => Kind::Line,
            #[cfg(debug_assertions)]
            Self::Probe(kind) => *kind,
            #[cfg(debug_assertions)]
            Self::ProbeRender => Kind::Paper,
        }
    }
}

/// The connection to the gateway, which is standard input, greeted.
fn gateway(report: SandboxReport) -> Option<FrameSocket> {
    let stdin: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let socket = FrameSocket::new(UnixStream::from(stdin)).ok()?;
    socket.send(&Hello { report }).ok()?;
    Some(socket)
}
