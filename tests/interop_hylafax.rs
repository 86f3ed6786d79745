//! HylaFAX, Debian's, with a soft modem: the gateway's jobs and faxes over a line that isn't SIP. At the other
//! end of that line is an endpoint of ours, over G.711 or behind a T.38 gateway: so each test is also a call
//! between HylaFAX's T.30 and ours.
//!
//! Private instances of hfaxd, faxq and faxgetty with a spool of their own. They want root: the spool is
//! uucp's, and a modem must have a name in `/dev`.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use faxpost_t4::{FaxPage, tiff};
use support::{ALICE, FAR_NUMBER, OUR_NUMBER, Rig, SAMPLE_PDF, fax, letters};

/// Line time over real time: HylaFAX's own timers run on real time, and keep up with this.
const SPEED: &str = "4";
/// A call of five pages at that speed, on a busy machine.
const CALL: Duration = Duration::from_secs(240);

/// A server, its modem, and the fax machine at the other end of the line. All of it ends with this.
struct Hylafax {
    dir: tempfile::TempDir,
    device: PathBuf,
    port: u16,
    modem: ChildStdin,
    /// What the far machine said.
    said: Arc<Mutex<Vec<String>>>,
    processes: Vec<Child>,
}

impl Drop for Hylafax {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            // What they started is in their group.
            let group = rustix::process::Pid::from_child(process);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = process.wait();
        }
        let _ = fs::remove_file(&self.device);
        if std::thread::panicking() {
            // `slow` among it: the machine was too busy for a modem in software.
            eprintln!("softmodem: {:#?}", self.said.lock().unwrap());
            for log in fs::read_dir(self.spool().join("log"))
                .into_iter()
                .flatten()
                .flatten()
            {
                let text = fs::read(log.path()).unwrap_or_default();
                eprintln!(
                    "{}:\n{}",
                    log.path().display(),
                    String::from_utf8_lossy(&text)
                );
            }
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
}

fn start(program: &str, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{program} can't be started ({error}): deploy/deps.sh interop installs it")
        })
}

impl Hylafax {
    async fn start(rig: &Rig) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "HylaFAX's servers want root"
        );
        let dir = tempfile::Builder::new()
            .prefix("faxpost-hylafax-")
            .tempdir()
            .unwrap();
        // uucp must get through.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let spool = dir.path().join("spool").display().to_string();
        run("cp", &["-a", "/var/spool/hylafax", &spool]);
        // Debian mounts this over the spool's own.
        run("cp", &["-a", "/etc/hylafax/.", &format!("{spool}/etc/")]);
        let tty = format!("ttyFaxpost{}", rig.smtp_address().port());
        write_config(Path::new(&spool), &tty);
        run("chown", &["uucp:uucp", &format!("{spool}/etc/hosts.hfaxd")]);

        fs::create_dir(dir.path().join("far")).unwrap();
        let softmodem =
            Path::new(env!("CARGO_BIN_EXE_faxpost")).with_file_name("examples/softmodem");
        let mut modem = Command::new(&softmodem)
            .arg(dir.path().join("far"))
            .arg(SPEED)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{softmodem:?}: {error}: cargo build --workspace --example softmodem")
            });
        let mut said = BufReader::new(modem.stdout.take().unwrap());
        let mut pty = String::new();
        said.read_line(&mut pty).unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let device = Path::new("/dev").join(&tty);
        let _ = fs::remove_file(&device);
        std::os::unix::fs::symlink(pty.trim(), &device).unwrap();
        run("chown", &["uucp", pty.trim()]);

        let port = support::ports::free();
        let listen = port.to_string();
        let faxq = start("/usr/sbin/faxq", &["-q", &spool, "-D"]);
        let mut hylafax = Self {
            dir,
            device,
            port,
            modem: modem.stdin.take().unwrap(),
            said: heard,
            processes: vec![modem, faxq],
        };
        let fifo = hylafax.spool().join("FIFO");
        rig.until("faxq", async || fifo.exists().then_some(()))
            .await;
        let hfaxd = ["-q", &spool, "-d", "-l", "127.0.0.1", "-i", &listen];
        hylafax.processes.push(start("/usr/sbin/hfaxd", &hfaxd));
        hylafax
            .processes
            .push(start("/usr/sbin/faxgetty", &["-q", &spool, &tty]));
        hylafax.ready(rig).await;
        hylafax
    }

    /// Waits until the modem is set up: a ring that comes meanwhile confuses HylaFAX for minutes.
    async fn ready(&self, rig: &Rig) {
        let tty = self.device.file_name().unwrap();
        let status = self.spool().join("status").join(tty);
        rig.until("a modem that is ready", async || {
            let told = fs::read_to_string(&status).unwrap_or_default();
            told.contains("Running and idle").then_some(())
        })
        .await;
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    /// What the modem's line is to do: see the example `softmodem`.
    fn line(&mut self, command: &str) {
        writeln!(self.modem, "{command}").unwrap();
        self.modem.flush().unwrap();
    }

    /// How the far machine's calls ended: `OK T38: kept 0, MCF to PPS-EOP`.
    fn endings(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter_map(|line| line.strip_prefix("ended "))
            .map(str::to_owned)
            .collect()
    }

    /// Pages that the far end received in its `call`.
    fn far_pages(&self, call: u32) -> Vec<FaxPage> {
        (0..)
            .map_while(|page| {
                fs::read(self.dir.path().join(format!("far/{call:03}-{page:03}.tif"))).ok()
            })
            .flat_map(|file| tiff::read(&file).unwrap())
            .collect()
    }

    /// Jobs in a queue of the server.
    fn jobs(&self, queue: &str) -> usize {
        let files = fs::read_dir(self.spool().join(queue)).unwrap().flatten();
        files
            .filter(|file| file.file_name().to_string_lossy().starts_with('q'))
            .count()
    }

    fn received_files(&self) -> usize {
        let files = fs::read_dir(self.spool().join("recvq")).unwrap().flatten();
        files
            .filter(|file| file.path().extension().is_some_and(|kind| kind == "tif"))
            .count()
    }
}

/// As faxaddmodem would, but for what is asked there. The modem's header line stays on: ours must win.
fn write_config(spool: &Path, tty: &str) {
    let common = "LogFacility: daemon\nCountryCode: 33\nAreaCode: 1\nLongDistancePrefix: 0\n\
                  InternationalPrefix: 00\nDialStringRules: etc/dialrules\n";
    fs::write(
        spool.join("etc/config"),
        // Debian's wrapper in /usr/sbin mounts folders; the notices would be mails.
        format!(
            "{common}ServerTracing: 1\nSendFaxCmd: /usr/lib/hylafax/bin/faxsend\nNotifyCmd: /bin/true\n"
        ),
    )
    .unwrap();
    fs::write(
        spool.join(format!("etc/config.{tty}")),
        format!(
            "{common}FAXNumber: {OUR_NUMBER}\nLocalIdentifier: \"{OUR_NUMBER}\"\nServerTracing: 1\n\
             SessionTracing: 11\nRecvFileMode: 0666\nLogFileMode: 0644\nDeviceMode: 0600\n\
             RingsBeforeAnswer: 1\nSpeakerVolume: off\nModemType: Class1\nModemRate: 38400\n\
             ModemFlowControl: none\nModemResetDelay: 100\nFaxRcvdCmd: /bin/true\n\
             RTNHandlingMethod: Giveup\n"
        ),
    )
    .unwrap();
    let hosts = spool.join("etc/hosts.hfaxd");
    fs::write(&hosts, "127.0.0.1\n").unwrap();
    fs::set_permissions(&hosts, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn admin(rig: &Rig, words: &[&str]) {
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_faxpost"))
        .arg("--config")
        .arg(rig.data_dir().with_file_name("faxpost.toml"))
        .arg("admin")
        .args(words)
        .output()
        .await
        .unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
}

/// A gateway whose one trunk is a HylaFAX server.
async fn rig() -> (Rig, Hylafax) {
    let rig = Rig::builder().without_far_end().short_waits().start().await;
    let hylafax = Hylafax::start(&rig).await;
    rig.meddle("UPDATE trunk SET active = 0").await;
    let port = hylafax.port.to_string();
    let caller = ["caller", OUR_NUMBER];
    let trunk = [
        "add",
        "trunk",
        "analogue",
        "hylafax",
        "127.0.0.1",
        "port",
        &port,
    ];
    admin(&rig, &[&trunk[..], &caller[..]].concat()).await;
    (rig, hylafax)
}

async fn three_pages(rig: &Rig) {
    three_pages_to(rig, FAR_NUMBER, "By HylaFAX").await;
}

async fn three_pages_to(rig: &Rig, number: &str, subject: &str) {
    let attachment = [("application/pdf", "sample.pdf", SAMPLE_PDF)];
    let message = letters::message(subject, "Hello,\n\nthree pages.", &attachment);
    rig.mail(&[number], &message).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_becomes_a_fax_of_hylafax_after_a_number_was_busy() {
    let (mut rig, mut hylafax) = rig().await;
    hylafax.line("busy");
    three_pages(&rig).await;
    let reports = rig
        .until_within("the report", CALL, async || {
            Some(rig.reports()).filter(|all| !all.is_empty())
        })
        .await;
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!((job.pages_total, job.pages_confirmed), (Some(4), 4));
    reports[0].assert_says(&format!("{FAR_NUMBER}: sent"));
    reports[0].assert_says("Pages: 4 of 4 confirmed");
    reports[0].assert_says("Calls placed: 2");

    let received = hylafax.far_pages(1);
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    fax::assert_same(&sent, &received);
    let evidence = rig.evidence(&job.job_id).await;
    assert!(
        evidence
            .iter()
            .any(|it| it.contains("Busy signal detected")),
        "{evidence:?}"
    );
    let counted = "HylaFAX counts 4 of 4 pages as sent";
    assert_eq!(
        evidence.iter().filter(|it| *it == counted).count(),
        4,
        "{evidence:?}"
    );
    assert_eq!(
        rig.count("SELECT count(*) FROM leg WHERE outcome = 'busy'")
            .await,
        1
    );

    // The same to a machine that speaks T.38, behind a gateway, and to somebody behind its number.
    hylafax.line("t38");
    three_pages_to(&rig, &format!("{FAR_NUMBER}/T33S=1234"), "By T.38").await;
    rig.until_within("the second report", CALL, async || {
        Some(rig.reports()).filter(|all| all.len() == 2)
    })
    .await;
    let received = hylafax.far_pages(2);
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    fax::assert_same(&sent, &received);
    assert_eq!(
        hylafax.endings(),
        ["OK Audio: kept 4, ", "OK T38 for 1234: kept 4, "]
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_call_that_hylafax_lost_within_a_page_leaves_it_unknown() {
    let (mut rig, mut hylafax) = rig().await;
    hylafax.line("cut 1");
    three_pages(&rig).await;
    let job = rig
        .until_within("the end", CALL, async || {
            let jobs = rig.jobs().await;
            jobs.into_iter().find(|job| job.state == "unknown")
        })
        .await;
    let verdicts = rig.page_reports(&job.job_id).await;
    let said: Vec<&str> = verdicts
        .iter()
        .map(|(_, _, verdict)| verdict.as_str())
        .collect();
    assert_eq!(
        said,
        ["confirmed", "unknown", "unsent", "unsent"],
        "{verdicts:?}"
    );
    assert_eq!(hylafax.far_pages(1).len(), 1);
    assert_eq!(
        hylafax.far_pages(2).len(),
        0,
        "HylaFAX tries no second time"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_that_is_cancelled_on_hylafaxs_line_is_killed_and_its_page_is_unknown() {
    let (mut rig, hylafax) = rig().await;
    three_pages(&rig).await;
    rig.until_within("a page at the far end", CALL, async || {
        (!hylafax.far_pages(1).is_empty()).then_some(())
    })
    .await;
    let job = rig.wait_job(&["sending"]).await;
    rig.admin(&format!("cancel {}", job.job_id));
    let reports = rig
        .until_within("the report", CALL, async || {
            Some(rig.reports()).filter(|all| !all.is_empty())
        })
        .await;
    reports[0].assert_says("The fax was cancelled.");
    let job = rig.wait_job(&["cancelled"]).await;
    // HylaFAX asks nobody between pages: the job is killed, and the page on the line is in doubt.
    let pages = rig.page_reports(&job.job_id).await;
    let verdicts: Vec<&str> = pages.iter().map(|page| page.2.as_str()).collect();
    let confirmed = verdicts.iter().filter(|it| **it == "confirmed").count();
    assert!(verdicts.contains(&"unknown"), "{verdicts:?}");
    assert_eq!(rig.holds().await[0].3, i64::try_from(confirmed).ok());
    rig.until_within("no job of ours", CALL, async || {
        (hylafax.jobs("sendq") + hylafax.jobs("doneq") == 0).then_some(())
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_after_a_crash_every_page_that_hylafax_had_is_unknown() {
    let (mut rig, hylafax) = rig().await;
    three_pages(&rig).await;
    rig.until_within("a page at the far end", CALL, async || {
        (!hylafax.far_pages(1).is_empty()).then_some(())
    })
    .await;
    rig.kill9().await;
    rig.restart().await;
    let job = rig.wait_job(&["unknown"]).await;
    let verdicts = rig.page_reports(&job.job_id).await;
    let unknown = verdicts
        .iter()
        .filter(|(_, _, verdict)| verdict == "unknown");
    assert_eq!((unknown.count(), verdicts.len()), (4, 4), "{verdicts:?}");
    // Nor does it go on behind our back.
    rig.until_within("no job of ours", CALL, async || {
        (hylafax.jobs("sendq") + hylafax.jobs("doneq") == 0).then_some(())
    })
    .await;
    assert_eq!(hylafax.far_pages(2).len(), 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_that_hylafax_received_becomes_a_mail_once() {
    let (mut rig, mut hylafax) = rig().await;
    let pages = fax::pages(2);
    let file = hylafax.dir.path().join("in.tif");
    fs::write(&file, tiff::write(&pages).unwrap()).unwrap();
    hylafax.line(&format!("ring {}", file.display()));
    let faxes = rig
        .until_within("the fax", CALL, async || {
            Some(rig.faxes()).filter(|all| !all.is_empty())
        })
        .await;
    assert_eq!(faxes[0].recipients, [ALICE]);
    let mailed: Vec<FaxPage> = fax::pdf_pages(&faxes[0].pdf())
        .into_iter()
        .map(|page| page.picture)
        .collect();
    fax::assert_same(&pages, &mailed);
    rig.until("an empty queue", async || {
        (hylafax.received_files() == 0).then_some(())
    })
    .await;
    let whole = "SELECT count(*) FROM received_fax WHERE incomplete = 0 AND pages = 2 AND tsi = '+49 30 555'";
    assert_eq!(rig.count(whole).await, 1);
    assert_eq!(rig.count("SELECT count(*) FROM received_fax").await, 1);

    // The same from a machine that speaks T.38, behind a gateway.
    hylafax.line("t38");
    hylafax.ready(&rig).await;
    hylafax.line(&format!("ring {}", file.display()));
    let faxes = rig
        .until_within("the second fax", CALL, async || {
            Some(rig.faxes()).filter(|all| all.len() == 2)
        })
        .await;
    let mailed: Vec<FaxPage> = fax::pdf_pages(&faxes[1].pdf())
        .into_iter()
        .map(|page| page.picture)
        .collect();
    fax::assert_same(&pages, &mailed);
    let evidence = "MCF to PPS-MPS, MCF to PPS-EOP";
    assert_eq!(
        hylafax.endings(),
        [
            format!("OK Audio: kept 0, {evidence}"),
            format!("OK T38: kept 0, {evidence}")
        ]
    );
    rig.stop().await;
}
