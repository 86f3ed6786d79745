//! Office documents and PostScript are made PDFs by programs of this machine, each document in a sandbox of
//! its own: LibreOffice and Ghostscript, where they are installed.
//!
//! A sandbox is made by bubblewrap: no network, no files but the programs' own, a folder in memory, an
//! identity that owns nothing, and limits on memory, processor time and the clock. It has one document, and
//! all that runs in it ends with it.

mod kinds;
mod office;
mod postscript;
mod sandbox;

pub(crate) use sandbox::{
    Bounds as SandboxBounds, command_with as sandboxed, probe as sandbox_probe,
};

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{documents::Conversion, trouble::Trouble};

/// What one document may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clock time, from when the program has the document.
    pub wall: Duration,
    /// Processor time of each process.
    pub cpu: Duration,
}

/// Octets of a PDF that a conversion may give.
const MAX_PDF: u64 = 64 << 20;

/// Why a document is not a PDF now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ConversionFailure {
    /// Its first octets are those of another kind, or of none.
    #[error("it is not what its name says; open it, save it anew, and send that")]
    Mislabelled,
    /// It opens with a password only, and none was given, or a wrong one.
    #[error(
        "it is protected with a password: give it in the mail as X-Fax-Document-Password, or send it without"
    )]
    Protected,
    /// The program can't read it.
    #[error("it can't be read; open it, save it as PDF, and send that")]
    Unreadable,
    /// It took too long, or too much memory, and was stopped.
    #[error("it took more than {0} s, or too much memory, to be made a PDF; send it as PDF")]
    Limit(u64),
    /// Its PDF is too large.
    #[error("as PDF it is larger than {} MB; send it in parts", MAX_PDF >> 20)]
    TooLarge,
    /// The program can't be started now.
    #[error("documents can't be converted now: {0}")]
    Unavailable(String),
}

impl ConversionFailure {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Unavailable(_) => Trouble::Temporary,
            Self::Mislabelled
            | Self::Protected
            | Self::Unreadable
            | Self::Limit(_)
            | Self::TooLarge => Trouble::Permanent,
        }
    }
}

/// What this machine can convert.
#[derive(Clone, Debug, Default)]
pub struct Converters {
    office: Option<Arc<office::Office>>,
    ghostscript: Option<postscript::Ghostscript>,
}

/// A program that was looked for, for `faxpost check` and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is for.
    pub what: &'static str,
    /// Where it is; or why it is not used, and what to do.
    pub found: Result<String, String>,
}

impl Converters {
    /// Looks which programs are here and whether their sandbox can be had. `at_once` documents are converted at
    /// a time; more wait.
    pub async fn find(limits: Limits, at_once: usize) -> (Self, Vec<Finding>) {
        let sandbox = sandbox::probe().await;
        let usable = |program: Result<String, String>| {
            let path = program?;
            sandbox.clone().map(|()| path)
        };
        let office = usable(office::look());
        let ghostscript = usable(postscript::look());
        let converters = Self {
            office: (office.is_ok()).then(|| Arc::new(office::Office::new(limits, at_once))),
            ghostscript: (ghostscript.is_ok()).then_some(postscript::Ghostscript { limits }),
        };
        let findings = vec![
            Finding {
                what: "office documents",
                found: office,
            },
            Finding {
                what: "PostScript",
                found: ghostscript,
            },
        ];
        (converters, findings)
    }

    /// What is converted; anything else is refused by name.
    #[must_use]
    pub fn known(&self) -> Vec<Conversion> {
        let office = self.office.iter().flat_map(|_| kinds::OFFICE).copied();
        let postscript = self.ghostscript.iter().map(|_| Conversion::PostScript);
        office.chain(postscript).collect()
    }

    /// Makes a document a PDF. `password` opens a protected one.
    ///
    /// # Errors
    /// [`ConversionFailure`].
    pub async fn convert(
        &self,
        kind: Conversion,
        bytes: &[u8],
        password: Option<&str>,
    ) -> Result<Vec<u8>, ConversionFailure> {
        let plan = kinds::plan(kind, bytes)?;
        match (&plan, &self.office, &self.ghostscript) {
            (kinds::Plan::Office(plan), Some(office), _) => office.convert(plan, password).await,
            (kinds::Plan::PostScript, _, Some(ghostscript)) => ghostscript.convert(bytes).await,
            _ => Err(ConversionFailure::Unavailable(
                "the program for it is not here".to_owned(),
            )),
        }
    }
}
