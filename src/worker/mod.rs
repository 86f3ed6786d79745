//! Sandboxed children: what a document or a modem could break runs in a process that can break
//! nothing else.
//!
//! The gateway starts a [`Child`] of its own [`Program`], which gives up files, network and
//! privileges before it reads anything ([`sandbox`]), and talks with it in frames over one socket
//! ([`frame`]). Documents go to paper workers through the [`PaperPool`](paper::PaperPool), a child
//! for each document; calls go to line workers, whose frames `line` defines. A child that crashes,
//! breaks a limit or is killed ends in an [`Ending`], never in silence.

mod child;
mod fonts;
pub mod frame;
pub mod paper;
#[cfg(debug_assertions)]
pub mod probe;
pub mod sandbox;
mod spawn;
mod stderr;

pub use child::child_main;
pub use fonts::Fonts;
pub use frame::{Blob, Frame, FrameError, FrameSocket};
pub use sandbox::{Limits, SandboxReport};
pub use spawn::{Child, ChildHandle, ChildSender, Ending, Gone, LimitHit, Program, SpawnError};

/// What a child is for. Decides its limits and which system calls it may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Renders one document, then ends.
    Paper,
    /// Carries calls until it is told to end.
    Line,
}

impl Kind {
    /// The word for it on the command line and in logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Line => "line",
        }
    }
}

/// Starts a child of `kind` with its usual limits and ends it at once, to see how much of the
/// sandbox this machine allows (for `faxpost check`).
///
/// # Errors
/// As [`Child::spawn`].
pub async fn try_sandbox(program: &Program, kind: Kind) -> Result<SandboxReport, SpawnError> {
    let child = Child::spawn(program, kind, &Limits::of(kind)).await?;
    let report = child.report.clone();
    child.kill();
    child.wait().await;
    Ok(report)
}
