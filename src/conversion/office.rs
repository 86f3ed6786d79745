//! LibreOffice, started ahead: one that waits is used for one document, and gone after it.
//!
//! It is started when the first document comes, and from then on one waits for the next; when none has come
//! for a while, none waits, since one that waits takes 150 MB.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout},
    sync::Semaphore,
    time::Instant,
};

use super::{
    ConversionFailure, Limits, MAX_PDF,
    kinds::OfficePlan,
    sandbox::{self, Bounds},
};

const PROGRAM: &str = "/usr/lib/libreoffice/program/soffice.bin";
const PYTHON: &str = "/usr/bin/python3";
const UNO: &str = "/usr/lib/python3/dist-packages/uno.py";
const SCRIPT: &str = include_str!("office.py");

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How long one waits for a document.
const IDLE: Duration = Duration::from_secs(600);

/// Where it is; or what to do.
pub(super) fn look() -> Result<String, String> {
    for (file, package) in [
        (
            PROGRAM,
            "libreoffice-writer-nogui, libreoffice-calc-nogui and libreoffice-impress-nogui",
        ),
        (PYTHON, "python3"),
        (UNO, "python3-uno"),
    ] {
        if !Path::new(file).exists() {
            return Err(format!(
                "there is no {file}: install {package}, or they are refused by name"
            ));
        }
    }
    Ok(PROGRAM.to_owned())
}

/// LibreOffice, in a sandbox for each document.
#[derive(Debug)]
pub(super) struct Office {
    limits: Limits,
    /// As many documents at a time.
    places: Semaphore,
    /// One that is ready, and since when.
    ready: Mutex<Option<(Started, Instant)>>,
}

/// A sandbox with an office that is ready.
#[derive(Debug)]
struct Started {
    to: ChildStdin,
    from: ChildStdout,
    /// Killed with this.
    child: Child,
}

impl Office {
    pub fn new(limits: Limits, at_once: usize) -> Self {
        Self {
            limits,
            places: Semaphore::new(at_once.max(1)),
            ready: Mutex::default(),
        }
    }

    pub async fn convert(
        self: &Arc<Self>,
        plan: &OfficePlan<'_>,
        password: Option<&str>,
    ) -> Result<Vec<u8>, ConversionFailure> {
        let _place = self.places.acquire().await;
        let started = match self.take() {
            Some(started) => started,
            None => start(self.limits).await?,
        };
        let converted = tokio::time::timeout(self.limits.wall, talk(started, plan, password)).await;
        self.prepare();
        converted
            .unwrap_or_else(|_| Err(self.limit()))
            .map_err(|failure| match failure {
                // It ended in the middle: only its limits end it so.
                ConversionFailure::Limit(_) => self.limit(),
                other => other,
            })
    }

    fn limit(&self) -> ConversionFailure {
        ConversionFailure::Limit(self.limits.wall.as_secs())
    }

    /// The one that waits, if it still lives.
    fn take(&self) -> Option<Started> {
        let (mut started, _) = self.lock().take()?;
        matches!(started.child.try_wait(), Ok(None)).then_some(started)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Started, Instant)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one for the next document, which waits a while.
    fn prepare(self: &Arc<Self>) {
        let office = Arc::downgrade(self);
        let limits = self.limits;
        tokio::spawn(async move {
            let since = Instant::now();
            match start(limits).await {
                Ok(started) => {
                    let Some(office) = office.upgrade() else {
                        return;
                    };
                    *office.lock() = Some((started, since));
                }
                Err(error) => tracing::warn!(%error, "LibreOffice can't be started ahead"),
            }
            tokio::time::sleep(IDLE).await;
            if let Some(office) = office.upgrade() {
                // Not a younger one.
                office.lock().take_if(|(_, of)| *of == since);
            }
        });
    }
}

async fn start(limits: Limits) -> Result<Started, ConversionFailure> {
    let unavailable = |why: String| ConversionFailure::Unavailable(why);
    let bounds = Bounds { cpu: limits.cpu };
    let mut child = sandbox::command(bounds, &[PYTHON, "-I", "-c", SCRIPT])
        .spawn()
        .map_err(|error| unavailable(error.to_string()))?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(unavailable("it has no pipes".to_owned()));
    };
    let mut started = Started { to, from, child };
    match tokio::time::timeout(START, hear(&mut started.from)).await {
        Ok(Some((b'R', _))) => Ok(started),
        Ok(_) => Err(unavailable("LibreOffice ends at its start".to_owned())),
        Err(_) => Err(unavailable(format!(
            "LibreOffice does not start in {} s",
            START.as_secs()
        ))),
    }
}

/// Gives the document and hears what becomes of it.
async fn talk(
    mut started: Started,
    plan: &OfficePlan<'_>,
    password: Option<&str>,
) -> Result<Vec<u8>, ConversionFailure> {
    for field in [
        plan.ending.as_bytes(),
        plan.filter.as_bytes(),
        plan.options.as_bytes(),
        password.unwrap_or_default().as_bytes(),
        &plan.bytes,
    ] {
        let given = async {
            started
                .to
                .write_all(&(field.len() as u64).to_be_bytes())
                .await?;
            started.to.write_all(field).await
        };
        if given.await.is_err() {
            return Err(ConversionFailure::Limit(0));
        }
    }
    let answer = hear(&mut started.from).await;
    // All that it started ends with it.
    let _ = started.child.kill().await;
    match answer {
        Some((b'P', Some(pdf))) if pdf.starts_with(b"%PDF-") => Ok(pdf),
        Some((b'P', None)) => Err(ConversionFailure::TooLarge),
        Some((b'E', Some(word))) if word == b"protected" => Err(ConversionFailure::Protected),
        Some(_) => Err(ConversionFailure::Unreadable),
        None => Err(ConversionFailure::Limit(0)),
    }
}

/// An answer: its letter and what comes with it, which may be too much.
async fn hear(from: &mut ChildStdout) -> Option<(u8, Option<Vec<u8>>)> {
    let letter = from.read_u8().await.ok()?;
    let length = from.read_u64().await.ok()?;
    if length > MAX_PDF {
        return Some((letter, None));
    }
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body).await.ok()?;
    (body.len() as u64 == length).then_some((letter, Some(body)))
}
