//! A program of the far end: `efax` in a directory of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use faxpost_t4::{FaxPage, tiff};

/// A running `efax`. When dropped it is killed, and its directory removed.
pub struct Efax {
    child: Child,
    status: Option<ExitStatus>,
    directory: PathBuf,
}

/// What a far end does.
pub enum Job {
    /// Dials and sends these pages.
    Send(Vec<FaxPage>),
    /// Answers and receives.
    Receive,
}

impl Efax {
    /// Starts it on a serial line.
    pub fn start(line: &Path, job: &Job) -> Self {
        let directory = new_directory();
        let mut command = Command::new("efax");
        command.current_dir(&directory).arg("-d").arg(line);
        // Class 1; all messages but those of single octets; who it is; no header text (it adds blank rows for
        // one all the same); fine, 14400 bit/s, A4, any length, MH, no ECM, no minimum time for a row.
        command.args(["-o1", "-vewincmhrtf", "-l", "+49 30 555", "-h", " "]);
        command.args(["-c", "1,5,0,2,0,0,0,0"]);
        match job {
            Job::Send(pages) => {
                command.args(["-t", "T5551"]);
                for (number, page) in (1..).zip(pages) {
                    let name = format!("out.{number:03}");
                    let file = tiff::write(std::slice::from_ref(page)).expect("a page is a file");
                    fs::write(directory.join(&name), file).expect("room for a page");
                    command.arg(name);
                }
            }
            Job::Receive => {
                command.args(["-r", "in"]);
            }
        }
        let log = File::create(directory.join("log")).expect("room for a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "efax can't be started ({error}): these tests need the Debian package efax, which \
                     `make test-interop` installs"
                )
            });
        Self {
            child,
            status: None,
            directory,
        }
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child of ours");
        }
        self.status
    }

    /// It waits for something, or is gone: nothing comes from it before something happens.
    pub fn is_waiting(&self) -> bool {
        // proc(5): "pid (name) state ...".
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.is_ok_and(|stat| {
            let state = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next());
            matches!(state, Some('S' | 'Z'))
        })
    }

    /// It dies on the spot.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        self.status = Some(self.child.wait().expect("a child of ours"));
    }

    /// What it told.
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The pages that it received.
    pub fn received(&self) -> Vec<FaxPage> {
        let pages = (1..).map_while(|number| self.received_page(number));
        pages.collect()
    }

    /// A page that it received, counted from 1.
    pub fn received_page(&self, number: u32) -> Option<FaxPage> {
        let file = fs::read(self.directory.join(format!("in.{number:03}"))).ok()?;
        let mut pages = tiff::read(&file)
            .unwrap_or_else(|error| panic!("page {number} that efax received: {error}"));
        assert_eq!(pages.len(), 1, "efax writes a page a file");
        pages.pop()
    }
}

impl Drop for Efax {
    fn drop(&mut self) {
        if self.status().is_none() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("efax says:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn new_directory() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("efax-{}-{count}", std::process::id()));
    fs::create_dir(&directory).expect("a new directory among the temporary files");
    directory
}
