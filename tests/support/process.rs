//! Processes of the binary under test.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// A child and its log. Killed when dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn spawn(name: &'static str, arguments: &[&str], log: PathBuf) -> Self {
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_faxpost"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { name, child, log }
    }

    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    pub async fn kill9(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal; a process that is gone gets none.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
        {
            kill_process(pid, signal).unwrap();
        }
    }

    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait().await;
        assert!(status.success(), "the {} ended with {status}", self.name);
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        tokio::time::timeout(super::LIMIT + Duration::from_secs(10), self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("the {} does not end:\n{}", self.name, self.log()))
            .unwrap()
    }
}
