//! What is written on a received page, and which way up it lies: read by tesseract, where it is installed.
//!
//! A page goes to it through a pipe, into a sandbox without files and network, and what comes back is believed in
//! nothing: boxes are held to the page, text to what a page can have. It has one thread, a low priority and a time;
//! whatever it does, the page is delivered.

mod osd;
mod tsv;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use faxpost_t4::{Bitmap, FaxPage, Turn, decode_tolerant, pdf::Word};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use crate::conversion::{SandboxBounds, sandbox_probe, sandboxed};

/// Where languages lie (Debian's tesseract-ocr-…, and others').
const TESSDATA: [&str; 2] = ["/usr/share/tesseract-ocr", "/usr/share/tessdata"];
/// What tells which way up a page lies.
const ORIENTATION: &str = "osd";
/// Octets of an answer: a page full of words has some 100 KB.
const MAX_ANSWER: u64 = 4 << 20;
/// Pixels an inch of what it gets.
const DPI: &str = "204";

/// How pages are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The program.
    pub tesseract: PathBuf,
    /// What one page may take, clock and processor.
    pub page: Duration,
}

/// What was read on a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageReading {
    /// How it is turned to be read.
    pub turn: Turn,
    /// Its words, where they stand on the page when it is turned.
    pub words: Vec<Word>,
}

/// Why a page could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It took too long.
    #[error("it took too long and was stopped")]
    Late,
    /// It ended with an error, or by a signal.
    #[error("tesseract failed")]
    Failed,
    /// It said nothing that can be understood.
    #[error("tesseract's answer can't be understood")]
    Rubbish,
    /// It can't be started.
    #[error("tesseract can't be started: {0}")]
    Unavailable(String),
    /// None of the languages that are wanted is here.
    #[error("none of the languages is installed")]
    NoLanguage,
}

/// A reader of pages.
#[derive(Clone, Debug)]
pub struct Reader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    languages: BTreeSet<String>,
    sandboxed: bool,
}

impl Reader {
    /// Looks whether tesseract is here, with which languages, and whether its sandbox can be had; or why not, and
    /// what to do.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn find(settings: Settings) -> Result<Self, String> {
        if !settings.tesseract.exists() {
            return Err(format!(
                "there is no {}: install tesseract-ocr, tesseract-ocr-osd and languages as tesseract-ocr-fra",
                settings.tesseract.display()
            ));
        }
        sandbox_probe().await?;
        Self::with(settings, true).await
    }

    async fn with(settings: Settings, sandboxed: bool) -> Result<Self, String> {
        let mut inner = Inner {
            settings,
            languages: BTreeSet::new(),
            sandboxed,
        };
        let answer = inner
            .ask(&["--list-langs"], &[])
            .await
            .map_err(|why| why.to_string())?;
        inner.languages = tsv::languages(&answer);
        if inner
            .languages
            .iter()
            .all(|language| language == ORIENTATION)
        {
            return Err("tesseract has no language: install one, as tesseract-ocr-eng".to_owned());
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The languages that it reads.
    #[must_use]
    pub fn languages(&self) -> Vec<&str> {
        let all = self.inner.languages.iter().map(String::as_str);
        all.filter(|language| *language != ORIENTATION).collect()
    }

    /// Whether pages that lie on their side are turned.
    #[must_use]
    pub fn turns(&self) -> bool {
        self.inner.languages.contains(ORIENTATION)
    }

    /// Reads a page in languages as `eng+fra`; those that are not here are left aside.
    ///
    /// # Errors
    /// [`Unread`]: then the page is delivered as it came.
    pub async fn read(&self, page: &FaxPage, languages: &str) -> Result<PageReading, Unread> {
        let known = |language: &&str| self.languages().contains(language);
        let languages: Vec<&str> = languages.split('+').filter(known).collect();
        if languages.is_empty() {
            return Err(Unread::NoLanguage);
        }
        let deadline = tokio::time::Instant::now() + self.inner.settings.page;
        let languages = languages.join("+");
        let reading = self.read_in(page, &languages);
        tokio::time::timeout_at(deadline, reading)
            .await
            .map_err(|_| Unread::Late)?
    }

    async fn read_in(&self, page: &FaxPage, languages: &str) -> Result<PageReading, Unread> {
        let owned = page.clone();
        let square = blocking(move || square(&owned)).await?;
        let turn = if self.turns() {
            self.turn(&square).await?
        } else {
            Turn::None
        };
        let square = blocking(move || square.turned(turn)).await?;
        let size = (square.width(), square.height());
        let arguments = ["stdin", "stdout", "--dpi", DPI, "-l", languages, "tsv"];
        let answer = self.inner.ask(&arguments, &pbm(&square)).await?;
        let words = tsv::words(&answer, size).ok_or(Unread::Rubbish)?;
        Ok(PageReading { turn, words })
    }

    /// Which way up it lies; a page with too little on it to say is left as it is.
    async fn turn(&self, square: &Bitmap) -> Result<Turn, Unread> {
        let arguments = [
            "stdin",
            "stdout",
            "--dpi",
            DPI,
            "--psm",
            "0",
            "-l",
            ORIENTATION,
        ];
        match self.inner.ask(&arguments, &pbm(square)).await {
            Ok(answer) => Ok(osd::turn(&answer).unwrap_or_default()),
            Err(Unread::Failed) => Ok(Turn::None),
            Err(other) => Err(other),
        }
    }
}

impl Inner {
    /// Runs the program once; what it says. It ends with this, whenever that is given up.
    async fn ask(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Unread> {
        let unavailable = |error: std::io::Error| Unread::Unavailable(error.to_string());
        let mut child = self.command(arguments).spawn().map_err(unavailable)?;
        let (mut to, from) = (child.stdin.take(), child.stdout.take());
        let give = async {
            if let Some(mut to) = to.take() {
                // It may end before it has read everything.
                let _ = to.write_all(input).await;
            }
        };
        let hear = async {
            let mut answer = Vec::new();
            if let Some(from) = from {
                from.take(MAX_ANSWER + 1).read_to_end(&mut answer).await?;
            }
            Ok(answer)
        };
        let talk = async {
            let ((), heard) = tokio::join!(give, hear);
            let answer = heard.map_err(unavailable)?;
            if answer.len() as u64 > MAX_ANSWER {
                // It writes on, and is ended with us.
                return Err(Unread::Rubbish);
            }
            Ok((child.wait().await.map_err(unavailable)?, answer))
        };
        let (status, answer) = tokio::time::timeout(self.settings.page, talk)
            .await
            .map_err(|_| Unread::Late)??;
        if status.success() {
            Ok(answer)
        } else {
            Err(Unread::Failed)
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = self.settings.tesseract.display().to_string();
        // One thread (tesseract's own take more time than they save), behind everything else on the machine.
        let mut words = vec![
            "/usr/bin/env",
            "OMP_THREAD_LIMIT=1",
            "/usr/bin/nice",
            "-n",
            "10",
            &program,
        ];
        words.extend(arguments);
        if self.sandboxed {
            let bounds = SandboxBounds {
                cpu: self.settings.page,
            };
            return sandboxed(bounds, &[&self.settings.tesseract], &words);
        }
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }
}

/// The languages that are installed on this machine, for who chooses some.
#[must_use]
pub fn installed() -> Vec<String> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut found = BTreeSet::new();
    for root in TESSDATA {
        let versions = folders(Path::new(root))
            .into_iter()
            .map(|version| version.join("tessdata"));
        for folder in versions.chain([PathBuf::from(root)]) {
            for file in folders(&folder) {
                let is_data = file
                    .extension()
                    .is_some_and(|ending| ending == "traineddata");
                let name = file
                    .file_stem()
                    .map(|name| name.to_string_lossy().into_owned());
                found.extend(name.filter(|name| is_data && name != ORIENTATION));
            }
        }
    }
    found.into_iter().collect()
}

/// A page's pixels, square; rows that are damaged as they can be had.
fn square(page: &FaxPage) -> Bitmap {
    let bitmap = page.decode().unwrap_or_else(|_| {
        decode_tolerant(&page.data, page.coding, page.width, Some(page.height)).0
    });
    bitmap.to_square(page.resolution)
}

/// As a portable bitmap, whose 1 is black as ours.
fn pbm(bitmap: &Bitmap) -> Vec<u8> {
    let mut out = format!("P4\n{} {}\n", bitmap.width(), bitmap.height()).into_bytes();
    out.extend_from_slice(bitmap.data());
    out
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unread> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Unread::Unavailable(error.to_string()))
}

/// Any octets as each of tesseract's answers: what comes of them holds.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let size = (1728, 2386);
    let _ = osd::turn(data);
    for language in tsv::languages(data) {
        assert!(!language.is_empty() && !language.contains('/'));
    }
    for word in tsv::words(data, size).unwrap_or_default() {
        assert!(0.0 <= word.left && word.left < word.right && word.right <= 1728.0);
        assert!(0.0 <= word.top && word.top < word.bottom && word.bottom <= 2386.0);
        assert!(!word.text.is_empty() && !word.text.chars().any(char::is_control));
    }
}

#[cfg(test)]
mod tests;
