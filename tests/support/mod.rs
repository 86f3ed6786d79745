//! A whole gateway for tests: the real binary on ports of its own, a far-end fax machine, a mail sink,
//! and eyes on all of it. Everything is on loopback and in a folder that goes away.
//!
//! With `FAXPOST_TEST_POSTGRES` each rig has a fresh schema on that server, else a SQLite file.

// Each test crate uses its own part of this.
#![allow(dead_code)]

pub mod directory;
pub mod dns;
pub mod fax;
pub mod http;
pub mod imap;
pub mod letters;
mod machines;
pub mod peer;
pub mod phone;
pub mod ports;
pub mod process;
pub mod scripted;
pub mod smtp;
mod watching;

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use faxpost::{
    demo::sink::{Mails, Sink, SunkMail, Trick},
    people::Language,
    store::Store,
    vault::Custody,
};
use faxpost_t4::FaxPage;
use sqlx::Row as _;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::{letters::Letter, ports::local, process::Process};

/// The sender and recipient of every rig.
pub const ALICE: &str = "alice@example.localhost";
/// The number that faxes for Alice are sent to, and her caller number.
pub const OUR_NUMBER: &str = "+33199001122";
/// The far end's number.
pub const FAR_NUMBER: &str = "+33123456789";
/// A document of three pages.
pub const SAMPLE_PDF: &[u8] = include_bytes!("../../crates/paper/testdata/sample.pdf");
/// A document that nobody can read.
pub const DAMAGED_PDF: &[u8] = include_bytes!("../../crates/paper/testdata/damaged.pdf");

/// Nothing that a test waits for takes longer, on a machine that is busy with other tests too.
pub const LIMIT: Duration = Duration::from_secs(90);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A policy with waits of a second, for `sending.toml`.
#[must_use]
pub fn short_waits(repeat_unknown: bool) -> String {
    format!(
        "max_calls = 4\nmax_tries = 4\nrepeat_unknown = {repeat_unknown}\nremember_days = 90\n[wait_s]\nbusy = [1, 1, 1]\nno_answer = [1, 1, 1]\n\
         protocol = [1, 1, 1]\ntrunk = [1]\nno_fax = [1]\n"
    )
}

/// How a rig is to be.
#[derive(Clone, Debug)]
pub struct RigBuilder {
    speed: u32,
    line_workers: usize,
    min_free_disk: u64,
    t1_ms: u64,
    drain_s: u64,
    channels: u32,
    language: Language,
    policies: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    far_end: Option<Vec<String>>,
    relay_port: Option<u16>,
}

impl Default for RigBuilder {
    fn default() -> Self {
        Self {
            // Fast, and yet T.30's timers outlast the stalls of a machine that is busy with other tests.
            speed: 8,
            line_workers: 1,
            min_free_disk: 1 << 20,
            t1_ms: 100,
            drain_s: 15,
            channels: 4,
            language: Language::En,
            policies: Vec::new(),
            settings: Vec::new(),
            far_end: Some(Vec::new()),
            relay_port: None,
        }
    }
}

impl RigBuilder {
    /// Line time over clock time, of both ends.
    #[must_use]
    pub fn speed(mut self, speed: u32) -> Self {
        self.speed = speed;
        self
    }

    /// Line workers of the gateway.
    #[must_use]
    pub fn line_workers(mut self, workers: usize) -> Self {
        self.line_workers = workers;
        self
    }

    /// RFC 3261 T1 of the gateway.
    #[must_use]
    pub fn t1_ms(mut self, ms: u64) -> Self {
        self.t1_ms = ms;
        self
    }

    /// How long calls may go on after a stop, seconds.
    #[must_use]
    pub fn drain_s(mut self, seconds: u64) -> Self {
        self.drain_s = seconds;
        self
    }

    /// Channels of the trunk.
    #[must_use]
    pub fn channels(mut self, channels: u32) -> Self {
        self.channels = channels;
        self
    }

    /// Free octets without which nothing is taken.
    #[must_use]
    pub fn min_free_disk(mut self, octets: u64) -> Self {
        self.min_free_disk = octets;
        self
    }

    /// What the tenant's people read.
    #[must_use]
    pub fn language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// A file of the policies folder.
    #[must_use]
    pub fn policy(mut self, file: &str, text: &str) -> Self {
        self.policies.push((file.to_owned(), text.to_owned()));
        self
    }

    /// A line in a section of the configuration.
    #[must_use]
    pub fn setting(mut self, section: &str, line: &str) -> Self {
        self.settings.push((section.to_owned(), line.to_owned()));
        self
    }

    /// Another relay than the sink, which hands on to it.
    #[must_use]
    pub fn relay_port(mut self, port: u16) -> Self {
        self.relay_port = Some(port);
        self
    }

    /// A ladder of seconds, no unknown page repeated.
    #[must_use]
    pub fn short_waits(self) -> Self {
        self.policy("sending.toml", &short_waits(false))
    }

    /// More arguments for the far end, such as `--refuse 486`.
    #[must_use]
    pub fn far_end(mut self, arguments: &[&str]) -> Self {
        self.far_end = Some(arguments.iter().map(|&a| a.to_owned()).collect());
        self
    }

    /// Nobody is at the far end until [`Rig::start_far_end`].
    #[must_use]
    pub fn without_far_end(mut self) -> Self {
        self.far_end = None;
        self
    }

    /// Starts everything and waits until it is up.
    pub async fn start(self) -> Rig {
        Rig::start(self).await
    }
}

/// A gateway with its surroundings. All of it ends with this.
pub struct Rig {
    how: RigBuilder,
    dir: TempDir,
    sink: Sink,
    smtp: SocketAddr,
    sip: SocketAddr,
    web: SocketAddr,
    far: SocketAddr,
    media: u16,
    database_url: String,
    /// The gateway's database, for looking and for making trouble.
    pub store: Store,
    /// Alice's tenant.
    pub tenant_id: String,
    gateway: Option<Process>,
    far_end: Option<Process>,
    starts: u32,
    senders: u32,
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        // The processes are killed by their own drop.
    }
}

impl Rig {
    /// A rig with a far end that answers, everything at its default.
    #[must_use]
    pub fn builder() -> RigBuilder {
        RigBuilder::default()
    }

    async fn start(how: RigBuilder) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("faxpost-rig-")
            .tempdir()
            .unwrap();
        for folder in ["data", "policies", "far-end"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for (file, text) in &how.policies {
            let path = dir.path().join("policies").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let sink = Sink::start(local(0)).await.unwrap();
        let far = local(ports::free());
        let database_url = directory::database_url(dir.path()).await;
        let store = Store::open(&database_url).await.unwrap();
        let tenant_id = directory::fill(&store, far, how.language, how.channels).await;
        let mut rig = Self {
            smtp: local(0),
            sip: local(0),
            web: local(0),
            far,
            media: ports::media(),
            sink,
            database_url,
            store,
            tenant_id,
            gateway: None,
            far_end: None,
            starts: 0,
            senders: 0,
            dir,
            how,
        };
        rig.start_gateway_anew().await;
        if let Some(arguments) = rig.how.far_end.clone() {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            rig.start_far_end(&arguments).await;
        }
        rig
    }

    /// Another program may take a port between our look and the gateway's: then others are tried.
    async fn start_gateway_anew(&mut self) {
        for _ in 0..3 {
            self.smtp = local(ports::free());
            self.sip = local(ports::free());
            self.web = local(ports::free());
            self.write_config();
            self.spawn_gateway();
            if self.is_up().await {
                return;
            }
        }
        panic!("the gateway does not start");
    }

    fn write_config(&self) {
        let mut text = format!(
            "hostname = \"gateway.localhost\"\ndata_dir = {data:?}\npolicies_dir = {policies:?}\n\n\
             [database]\nurl = {url:?}\n\n\
             [smtp]\nlisten = [\"{smtp}\"]\nmin_free_disk = {min_free_disk}\n\n\
             [imap]\n\n\
             [relay]\nhost = \"127.0.0.1\"\nport = {sink}\n\n\
             [sip]\nlisten = \"{sip}\"\nmedia_port_min = {media}\nmedia_port_max = {media_max}\nt1_ms = {t1}\n\n\
             [line]\nspeed = {speed}\nworkers = {workers}\ndrain_s = {drain}\n\n\
             [paper]\nworkers = 1\n{convert}\n\
             [ocr]\n\n\
             [web]\nlisten = \"{web}\"\n",
            data = self.dir.path().join("data").display().to_string(),
            policies = self.dir.path().join("policies").display().to_string(),
            url = self.database_url,
            smtp = self.smtp,
            min_free_disk = self.how.min_free_disk,
            sink = self.how.relay_port.unwrap_or(self.sink_port()),
            sip = self.sip,
            media = self.media,
            media_max = self.media + 199,
            t1 = self.how.t1_ms,
            drain = self.how.drain_s,
            speed = self.how.speed,
            workers = self.how.line_workers,
            web = self.web,
            // The same answers on a machine with an office and on one without.
            convert = if self
                .how
                .settings
                .iter()
                .any(|(section, _)| section == "paper")
            {
                ""
            } else {
                "convert = false\n"
            },
        );
        for (section, line) in &self.how.settings {
            let head = format!("[{section}]\n");
            assert!(text.contains(&head), "no section {section}");
            text = text.replacen(&head, &format!("{head}{line}\n"), 1);
        }
        std::fs::write(self.config_path(), text).unwrap();
    }

    /// Where the sink takes mail.
    #[must_use]
    pub fn sink_port(&self) -> u16 {
        self.sink.address().port()
    }

    fn config_path(&self) -> PathBuf {
        self.dir.path().join("faxpost.toml")
    }

    fn spawn_gateway(&mut self) {
        self.starts += 1;
        let log = self.dir.path().join(format!("gateway-{}.log", self.starts));
        let config = self.config_path().display().to_string();
        self.gateway = Some(Process::spawn(
            "gateway",
            &["--config", &config, "serve"],
            log,
        ));
    }

    /// Waits until the gateway answers; `false` when it ended instead.
    async fn is_up(&mut self) -> bool {
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            if !self.gateway.as_mut().unwrap().is_running() {
                return false;
            }
            if self.try_status().await.is_some()
                && tokio::net::TcpStream::connect(self.smtp).await.is_ok()
            {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("the gateway does not come up");
    }

    // The gateway's life.

    /// SIGKILL, and the end is waited for.
    pub async fn kill9(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.kill9().await;
        }
    }

    /// SIGTERM, and the end is waited for; panics unless it ends with success.
    pub async fn stop(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.stop().await;
        }
    }

    /// Starts the gateway again, with the same configuration and data.
    pub async fn restart(&mut self) {
        assert!(self.gateway.is_none(), "it is running");
        self.spawn_gateway();
        assert!(self.is_up().await, "the gateway does not start again");
    }

    /// As [`Rig::restart`], without waiting until it is up.
    pub fn restart_unwatched(&mut self) {
        assert!(self.gateway.is_none(), "it is running");
        self.spawn_gateway();
    }

    /// Waits until the gateway answers; panics when it ended instead.
    pub async fn wait_up(&mut self) {
        assert!(self.is_up().await, "the gateway does not start");
    }

    /// Whether the gateway has not ended by itself.
    pub fn gateway_runs(&mut self) -> bool {
        self.gateway.as_mut().is_some_and(Process::is_running)
    }

    /// The gateway's process id, to be killed by who tries that.
    #[must_use]
    pub fn gateway_pid(&self) -> Option<u32> {
        self.gateway.as_ref().and_then(Process::pid)
    }

    /// The first start's free-space floor is replaced; counts from the next start.
    pub fn set_min_free_disk(&mut self, octets: u64) {
        self.how.min_free_disk = octets;
        self.write_config();
    }

    // The far end.

    /// Starts a fax machine at the trunk's address.
    pub async fn start_far_end(&mut self, arguments: &[&str]) {
        assert!(self.far_end.is_none(), "it is running");
        let machine = self.answering(self.far, arguments).await;
        self.far_end = Some(machine);
    }

    /// SIGKILL: the far end is gone in the middle of whatever it did.
    pub async fn kill_far_end(&mut self) {
        if let Some(mut far_end) = self.far_end.take() {
            far_end.kill9().await;
        }
    }

    /// What the far end that runs now has printed.
    #[must_use]
    pub fn far_log(&self) -> String {
        self.far_end.as_ref().map_or_else(String::new, Process::log)
    }

    /// Where received faxes lie: `fax-1.tif` …, counted anew by each start of the far end.
    #[must_use]
    pub fn far_folder(&self) -> PathBuf {
        self.dir.path().join("far-end")
    }

    /// The pages of the far end's fax `number`, waited for.
    pub async fn far_fax(&self, number: u32) -> Vec<FaxPage> {
        let path = self.far_folder().join(format!("fax-{number}.tif"));
        self.until(&format!("the far end's fax {number}"), async || {
            std::fs::read(&path)
                .ok()
                .map(|bytes| faxpost_t4::tiff::read(&bytes).unwrap())
        })
        .await
    }

    /// Line time over clock time.
    #[must_use]
    pub fn speed(&self) -> u32 {
        self.how.speed
    }

    /// Where the trunk points to.
    #[must_use]
    pub fn far_address(&self) -> SocketAddr {
        self.far
    }

    /// Starts a machine that calls our number and sends `pages`.
    pub fn call_in(&mut self, pages: &[FaxPage], arguments: &[&str]) -> Process {
        self.call_in_to(OUR_NUMBER, pages, arguments)
    }

    /// As [`Rig::call_in`], to a number of another's.
    pub fn call_in_to(&mut self, number: &str, pages: &[FaxPage], arguments: &[&str]) -> Process {
        self.senders += 1;
        let file = self
            .dir
            .path()
            .join(format!("to-send-{}.tif", self.senders));
        std::fs::write(&file, faxpost_t4::tiff::write(pages).unwrap()).unwrap();
        let log = self.dir.path().join(format!("sender-{}.log", self.senders));
        let listen = local(ports::free()).to_string();
        let (peer, speed) = (self.sip.to_string(), self.how.speed.to_string());
        let (file, media) = (file.display().to_string(), ports::media().to_string());
        let mut all = vec![
            "answer",
            "--listen",
            &listen,
            "--peer",
            &peer,
            "--media-port",
            &media,
            "--ident",
            FAR_NUMBER,
            "--speed",
            &speed,
            "--send",
            &file,
            "--to",
        ];
        all.push(number);
        all.extend(arguments);
        Process::spawn("sender", &all, log)
    }

    /// Where the gateway's SIP listens.
    #[must_use]
    pub fn sip_address(&self) -> SocketAddr {
        self.sip
    }

    /// The first of the gateway's 200 media ports.
    #[must_use]
    pub fn media_port(&self) -> u16 {
        self.media
    }

    /// `faxpost admin` on the rig's configuration, in a process of its own; gives what it says.
    pub fn admin(&self, words: &str) -> String {
        let done = self.admin_output(words);
        let complaint = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words}: {complaint}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// As [`Rig::admin`], of a command that is refused; gives its complaint.
    pub fn admin_refused(&self, words: &str) -> String {
        let done = self.admin_output(words);
        assert!(!done.status.success(), "{words} was carried out");
        String::from_utf8(done.stderr).unwrap()
    }

    fn admin_output(&self, words: &str) -> std::process::Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_faxpost"))
            .args([
                "--config",
                &self.config_path().display().to_string(),
                "admin",
            ])
            .args(faxpost::command::words(words))
            .output()
            .unwrap()
    }

    /// `faxpost` on the rig's configuration, in a process of its own; gives what it says.
    pub fn faxpost(&self, arguments: &[impl AsRef<std::ffi::OsStr>]) -> String {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_faxpost"))
            .args(["--config", &self.config_path().display().to_string()])
            .args(arguments)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{complaint}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// As [`Rig::faxpost`], of what ends with a complaint; gives all that it says.
    pub fn faxpost_fails(&self, arguments: &[impl AsRef<std::ffi::OsStr>]) -> String {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_faxpost"))
            .args(["--config", &self.config_path().display().to_string()])
            .args(arguments)
            .output()
            .unwrap();
        let (said, complaint) = (
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
        );
        assert!(!done.status.success(), "{said}");
        format!("{said}{complaint}")
    }

    /// The rig's folder, for files of a test's own. Names that end in `.log` are shown on failure.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    // Mail in.

    /// Where SMTP listens.
    #[must_use]
    pub fn smtp_address(&self) -> SocketAddr {
        self.smtp
    }

    /// Mails a message from Alice to numbers; panics unless it is accepted.
    pub async fn mail(&self, numbers: &[&str], message: &[u8]) {
        let answers = self.try_mail(ALICE, numbers, message).await;
        let data = answers.data.as_deref().unwrap_or_default();
        assert!(data.starts_with("250"), "not accepted: {answers:?}");
    }

    /// Mails a message to numbers and gives every answer.
    pub async fn try_mail(&self, from: &str, numbers: &[&str], message: &[u8]) -> smtp::Answers {
        let recipients: Vec<String> = numbers
            .iter()
            .map(|number| {
                if number.contains('@') {
                    (*number).to_owned()
                } else {
                    format!("{number}@fax.localhost")
                }
            })
            .collect();
        smtp::send(self.smtp, from, &recipients, message)
            .await
            .unwrap_or_else(|error| panic!("the SMTP dialog broke off: {error}"))
    }

    // Mail out.

    /// The mail sink's mails.
    #[must_use]
    pub fn mails(&self) -> Mails {
        self.sink.mails()
    }

    /// Makes the sink misbehave.
    pub fn trick(&self, trick: Trick) {
        self.sink.play(trick);
    }

    /// The sink says that it takes mails of so many octets at most.
    pub fn announce_size(&self, octets: usize) {
        self.sink.announce_size(octets);
    }

    /// The sink refuses larger mails when it has them, and says nothing before.
    pub fn refuse_beyond(&self, octets: usize) {
        self.sink.refuse_beyond(octets);
    }

    /// All letters so far.
    #[must_use]
    pub fn letters(&self) -> Vec<Letter> {
        self.mails().all().iter().map(Letter::of).collect()
    }

    /// The reports so far.
    #[must_use]
    pub fn reports(&self) -> Vec<Letter> {
        self.letters_with("X-Faxpost-Submission")
    }

    /// The faxes that came by mail so far.
    #[must_use]
    pub fn faxes(&self) -> Vec<Letter> {
        self.letters_with("X-Faxpost-Fax")
    }

    fn letters_with(&self, header: &str) -> Vec<Letter> {
        let mails: Vec<SunkMail> = self.mails().all();
        mails
            .iter()
            .filter(|mail| mail.header(header).is_some())
            .map(Letter::of)
            .collect()
    }

    /// Waits until there are `count` reports.
    pub async fn wait_reports(&self, count: usize) -> Vec<Letter> {
        self.until(&format!("{count} reports"), async || {
            Some(self.reports()).filter(|reports| reports.len() >= count)
        })
        .await
    }

    /// Waits for the report on the mail with this subject.
    pub async fn wait_report(&self, subject: &str) -> Letter {
        self.until(&format!("the report on {subject:?}"), async || {
            self.reports()
                .into_iter()
                .find(|report| report.subject.contains(subject))
        })
        .await
    }

    /// Waits for the first letter whose subject begins so.
    pub async fn wait_letter(&self, subject: &str) -> Letter {
        self.until(&format!("the letter {subject:?}"), async || {
            let letters = self.letters();
            letters
                .into_iter()
                .find(|letter| letter.subject.starts_with(subject))
        })
        .await
    }

    /// Waits until there are `count` faxes by mail.
    pub async fn wait_faxes(&self, count: usize) -> Vec<Letter> {
        self.until(&format!("{count} faxes by mail"), async || {
            Some(self.faxes()).filter(|faxes| faxes.len() >= count)
        })
        .await
    }

    // What the gateway says of itself.

    /// `/status.json`.
    pub async fn status(&self) -> serde_json::Value {
        self.until("a status", async || self.try_status().await)
            .await
    }

    async fn try_status(&self) -> Option<serde_json::Value> {
        let mut stream = tokio::net::TcpStream::connect(self.web).await.ok()?;
        // HTTP/1.0: the answer ends with the connection.
        stream
            .write_all(b"GET /status.json HTTP/1.0\r\n\r\n")
            .await
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    // What the database says.

    /// All jobs, oldest first.
    pub async fn jobs(&self) -> Vec<Job> {
        let rows = sqlx::query(
            "SELECT job_id, submission_id, destination, state, tries, pages_total, pages_confirmed, outcome, outcome_note
             FROM job WHERE tenant_id = $1 ORDER BY job_id",
        )
        .bind(&self.tenant_id)
        .fetch_all(self.store.reader())
        .await
        .unwrap();
        rows.iter()
            .map(|row| Job {
                job_id: row.get("job_id"),
                submission_id: row.get("submission_id"),
                destination: row.get("destination"),
                state: row.get("state"),
                tries: row.get("tries"),
                pages_total: row.get("pages_total"),
                pages_confirmed: row.get("pages_confirmed"),
                outcome: row.get("outcome"),
                outcome_note: row.get("outcome_note"),
            })
            .collect()
    }

    /// Waits until the one job of the rig is in one of these states.
    pub async fn wait_job(&self, states: &[&str]) -> Job {
        self.until(&format!("a job in {states:?}"), async || {
            self.jobs()
                .await
                .into_iter()
                .find(|job| states.contains(&job.state.as_str()))
        })
        .await
    }

    /// The page reports of a job: leg (counted from 0, in order of the calls), page (from 0), verdict.
    pub async fn page_reports(&self, job_id: &str) -> Vec<(usize, i64, String)> {
        let rows = sqlx::query(
            "SELECT leg.leg_id, page_report.page, page_report.verdict FROM leg
             LEFT JOIN page_report ON page_report.leg_id = leg.leg_id
             JOIN call ON call.call_id = leg.call_id
             WHERE leg.job_id = $1 ORDER BY call.placed_at, leg.leg_id, page_report.page",
        )
        .bind(job_id)
        .fetch_all(self.store.reader())
        .await
        .unwrap();
        let mut legs: Vec<String> = Vec::new();
        let mut reports = Vec::new();
        for row in rows {
            let leg: String = row.get("leg_id");
            if legs.last() != Some(&leg) {
                legs.push(leg);
            }
            if let Some(verdict) = row.get::<Option<String>, _>("verdict") {
                reports.push((legs.len() - 1, row.get("page"), verdict));
            }
        }
        reports
    }

    /// The frames that say so of each page report, in the order of [`Rig::page_reports`].
    pub async fn evidence(&self, job_id: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT page_report.evidence FROM page_report
             JOIN leg ON leg.leg_id = page_report.leg_id JOIN call ON call.call_id = leg.call_id
             WHERE page_report.job_id = $1 ORDER BY call.placed_at, leg.leg_id, page_report.page",
        )
        .bind(job_id)
        .fetch_all(self.store.reader())
        .await
        .unwrap()
    }

    /// The holds: job, units held, units taken, confirmed pages that settled it.
    pub async fn holds(&self) -> Vec<(String, i64, Option<i64>, Option<i64>)> {
        sqlx::query(
            "SELECT job_id, units, settled, pages FROM hold WHERE tenant_id = $1 ORDER BY job_id",
        )
        .bind(&self.tenant_id)
        .fetch_all(self.store.reader())
        .await
        .unwrap()
        .iter()
        .map(|row| {
            (
                row.get("job_id"),
                row.get("units"),
                row.get("settled"),
                row.get("pages"),
            )
        })
        .collect()
    }

    /// One number out of the database.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.store.reader())
            .await
            .unwrap()
    }

    /// Changes the database behind the gateway's back.
    pub async fn meddle(&self, sql: &'static str) -> u64 {
        let mut tx = self.store.begin().await.unwrap();
        let done = sqlx::query(sql).execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        done.rows_affected()
    }

    /// Waits until every mail that is owed is out, then gives the reports: there will be no more.
    pub async fn reports_in_all(&self) -> Vec<Letter> {
        self.until("an empty outbox", async || {
            let owed = self
                .count("SELECT CAST(COUNT(*) AS BIGINT) FROM outbox WHERE state <> 'sent'")
                .await;
            let open = self
                .count("SELECT CAST(COUNT(*) AS BIGINT) FROM job WHERE finished_at IS NULL")
                .await;
            (owed == 0 && open == 0).then_some(())
        })
        .await;
        self.reports()
    }

    /// Opens what the gateway holds in custody.
    #[must_use]
    pub fn custody(&self) -> Custody {
        let data = self.dir.path().join("data");
        Custody::start(&data.join("custody"), &data.join("keys")).unwrap()
    }

    /// Where the gateway keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    // Waiting.

    /// Looks at a condition until it holds; panics after [`LIMIT`], which prints the logs.
    pub async fn until<T>(&self, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
        self.until_within(what, LIMIT, probe).await
    }

    /// As [`Rig::until`] with a limit of its own.
    pub async fn until_within<T>(
        &self,
        what: &str,
        limit: Duration,
        mut probe: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let until = Instant::now() + limit;
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            if Instant::now() > until {
                let jobs = self.jobs().await;
                panic!(
                    "within {} s there was not: {what}; jobs: {jobs:#?}",
                    limit.as_secs()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every log of the rig.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut all = String::new();
        for path in sorted_logs(self.dir.path()) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let _ = writeln!(all, "--- {}\n{text}", path.display());
        }
        for letter in self.letters() {
            let _ = writeln!(all, "--- mail: {}\n{}", letter.subject, letter.text);
        }
        all
    }
}

fn sorted_logs(folder: &Path) -> Vec<PathBuf> {
    let mut logs: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    logs.retain(|path| path.extension().is_some_and(|end| end == "log"));
    logs.sort();
    logs
}

/// A row of the table `job`.
#[derive(Clone, Debug)]
pub struct Job {
    pub job_id: String,
    pub submission_id: String,
    pub destination: String,
    pub state: String,
    pub tries: i64,
    pub pages_total: Option<i64>,
    pub pages_confirmed: i64,
    pub outcome: Option<String>,
    pub outcome_note: Option<String>,
}
