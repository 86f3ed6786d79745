//! Debian's Postfix before the gateway and behind it, by the files of `deploy/postfix`; with its milters opendkim and
//! opendmarc, whose word the gateway takes.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use faxpost::demo::sink::Trick;
use support::{ALICE, FAR_NUMBER, Rig, dns, fax, letters, ports, smtp};
use tempfile::TempDir;

/// A private Postfix: its folders are its own, and it is stopped when dropped.
struct Postfix {
    folder: TempDir,
    port: u16,
}

impl Postfix {
    /// A folder that Postfix' own users can look into.
    fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("faxpost-postfix-")
            .tempdir_in("/tmp")
            .unwrap();
        open_to_all(folder.path(), 0o755);
        Self {
            folder,
            port: ports::free(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it: the fax domain goes to `service`, people's mail to the sink.
    fn start(&self, service: &str, sink: u16) {
        self.start_with(service, sink, "");
    }

    /// The same with more settings.
    fn start_with(&self, service: &str, sink: u16, more: &str) {
        let etc = self.path("etc");
        std::fs::create_dir(&etc).unwrap();
        // Its daemons are user postfix.
        for (name, mode) in [("spool", 0o755), ("data", 0o777)] {
            std::fs::create_dir(self.path(name)).unwrap();
            open_to_all(&self.path(name), mode);
        }
        run(Command::new("chown").arg("postfix").arg(self.path("data")));
        open_to_all(&self.path("data"), 0o700);
        let say = |name: &str| {
            let output = Command::new("postconf")
                .args(["-dh", name])
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let place = self.folder.path().display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {place}/spool\ndata_directory = {place}/data\n\
             command_directory = {}\ndaemon_directory = {}\nmeta_directory = /etc/postfix\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             myhostname = mx.localhost\nmydestination =\nalias_maps =\nalias_database =\n\
             maillog_file = {place}/log\nmaillog_file_prefixes = {place}\n\
             {}\n{more}\n",
            say("command_directory"),
            say("daemon_directory"),
            ours("main.cf").replace("/etc/postfix", &etc.display().to_string()),
        );
        std::fs::write(etc.join("main.cf"), main).unwrap();
        let to_sink = |domain| format!("{domain} smtp:[127.0.0.1]:{sink}\n");
        let people = ["example.localhost", "elsewhere.localhost"].map(to_sink);
        let transport = format!("fax.localhost {service}\n{}", people.concat());
        std::fs::write(etc.join("transport"), transport).unwrap();
        // Debian's services without their chroots, which would want copies of /etc.
        let debian = std::fs::read_to_string("/etc/postfix/master.cf").unwrap();
        let mut master = format!("127.0.0.1:{} inet n - n - - smtpd\n", self.port);
        for line in debian.lines() {
            let mut fields: Vec<&str> = line.split_whitespace().collect();
            let service = fields.len() >= 8 && !line.starts_with(['#', ' ', '\t']);
            if service && fields[1] != "inet" && fields[7] != "pipe" {
                fields[4] = "n";
                master += &format!("{}\n", fields.join(" "));
            }
        }
        std::fs::write(etc.join("master.cf"), master + &ours("master.cf")).unwrap();
        run(Command::new("postmap")
            .arg("-c")
            .arg(&etc)
            .arg(etc.join("transport")));
        run(Command::new("postfix").arg("-c").arg(&etc).arg("start"));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let etc = self.path("etc");
        if etc.exists() {
            let _ = Command::new("postfix")
                .arg("-c")
                .arg(etc)
                .arg("stop")
                .output();
        }
    }
}

/// A file of `deploy/postfix`, for the domains of the tests.
fn ours(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/postfix")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    text.replace("fax.example.com", "fax.localhost")
}

fn open_to_all(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: deploy/deps.sh interop installs it"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// A mail to a number and to nobody, through Postfix: the fax goes, and of nobody Postfix tells the sender.
async fn through(postfix: &Postfix, rig: &mut Rig, protocol: &str) {
    let message = letters::message("Through Postfix", "Hello", &[]);
    let to = [
        format!("{FAR_NUMBER}@fax.localhost"),
        "nobody@fax.localhost".to_owned(),
    ];
    let server = ports::local(postfix.port);
    let answers = rig
        .until("Postfix takes the mail", async || {
            smtp::send(server, ALICE, &to, &message).await.ok()
        })
        .await;
    assert!(
        answers
            .data
            .as_deref()
            .unwrap_or_default()
            .starts_with("250"),
        "{answers:?}"
    );
    let report = rig.wait_report("Through Postfix").await;
    report.assert_says(FAR_NUMBER);
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!(job.destination, FAR_NUMBER);
    let bounce = rig
        .mails()
        .wait_for(|mail| String::from_utf8_lossy(mail).contains("<nobody@fax.localhost>"))
        .await;
    let bounce = String::from_utf8_lossy(&bounce);
    assert!(
        bounce.contains("nobody is no fax number and no contact"),
        "{bounce}"
    );
    // Both went by Postfix: it is the relay too.
    let by_postfix =
        |mail: &[u8]| String::from_utf8_lossy(mail).contains("by mx.localhost (Postfix)");
    let report = rig
        .mails()
        .wait_for(|mail| {
            String::from_utf8_lossy(mail).contains("gateway.localhost") && by_postfix(mail)
        })
        .await;
    assert!(!report.is_empty());
    assert!(
        postfix.log().contains(protocol),
        "Postfix did not use {protocol}: {}",
        postfix.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_comes_from_postfix_by_lmtp_and_goes_back_to_it() {
    let postfix = Postfix::new();
    let socket = postfix.path("lmtp.sock").display().to_string();
    let mut rig = Rig::builder()
        .setting("smtp", &format!("lmtp = [{socket:?}]"))
        .setting("smtp", "lmtp_socket_mode = \"0666\"")
        .relay_port(postfix.port)
        .start()
        .await;
    postfix.start(&format!("faxlmtp:unix:{socket}"), rig.sink_port());
    through(&postfix, &mut rig, "postfix/fax/lmtp").await;
    rig.stop().await;
    assert!(
        !postfix.path("lmtp.sock").exists(),
        "the socket goes with the gateway"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_comes_from_postfix_by_smtp() {
    let postfix = Postfix::new();
    let mut rig = Rig::builder().relay_port(postfix.port).start().await;
    let gateway = rig.smtp_address().port();
    postfix.start(&format!("faxsmtp:[127.0.0.1]:{gateway}"), rig.sink_port());
    through(&postfix, &mut rig, "postfix/fax/smtp").await;
    rig.stop().await;
}

/// A notification that is asked of Postfix is ours to give: it hands the wish on, and brings the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_postfix_was_asked_for_comes_when_the_pages_are_confirmed() {
    let postfix = Postfix::new();
    let socket = postfix.path("lmtp.sock").display().to_string();
    let mut rig = Rig::builder()
        .setting("smtp", &format!("lmtp = [{socket:?}]"))
        .setting("smtp", "lmtp_socket_mode = \"0666\"")
        .relay_port(postfix.port)
        .start()
        .await;
    postfix.start(&format!("faxlmtp:unix:{socket}"), rig.sink_port());
    let message = letters::message("Tell me", "Hello", &[]);
    let to = [format!("{FAR_NUMBER}@fax.localhost NOTIFY=SUCCESS,FAILURE")];
    let from = format!("{ALICE} ENVID=QQ314159");
    let server = ports::local(postfix.port);
    rig.until("Postfix takes the mail", async || {
        smtp::send(server, &from, &to, &message).await.ok()
    })
    .await;
    let report = rig.wait_report("Tell me").await;
    let raw = String::from_utf8_lossy(&report.raw).into_owned();
    for line in [
        "report-type=\"delivery-status\"",
        "Original-Envelope-Id: QQ314159",
        "Action: delivered",
        "1 of 1 pages confirmed",
    ] {
        assert!(raw.contains(line), "{line}: {raw}");
    }
    assert_eq!(report.return_path, "");
    // Postfix itself has nothing to say: we announce DSN.
    assert_eq!(rig.letters().len(), 1);
    rig.stop().await;
}

/// The mailbox of a fax's recipient is gone: Postfix' report comes back by LMTP, and the fax goes to who answers for
/// the number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_fax_that_postfix_bounces_goes_to_the_next() {
    const BOSS: &str = "boss@example.localhost";
    let postfix = Postfix::new();
    let socket = postfix.path("lmtp.sock").display().to_string();
    let mut rig = Rig::builder()
        .without_far_end()
        .setting("smtp", &format!("lmtp = [{socket:?}]"))
        .setting("smtp", "lmtp_socket_mode = \"0666\"")
        .relay_port(postfix.port)
        .start()
        .await;
    postfix.start(&format!("faxlmtp:unix:{socket}"), rig.sink_port());
    rig.admin(&format!("add user {BOSS} role tenant"));
    rig.trick(Trick::Rcpt("550 5.1.1 unknown user".into()));
    let pages = [fax::page(0, faxpost_t4::Resolution::Standard, 1143)];
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let faxes = rig.wait_faxes(1).await;
    assert_eq!(faxes[0].recipients, [BOSS]);
    let mailed = fax::pdf_pages(&faxes[0].pdf()).remove(0).picture;
    fax::assert_same(&pages, &[mailed]);
    let notice = rig.wait_letter("A fax could not be delivered to").await;
    notice.assert_says("failed 5.1.1");
    assert!(
        postfix.log().contains("sender non-delivery notification"),
        "{}",
        postfix.log()
    );
    assert_eq!(rig.status().await["outbox"]["bounced"], 1);
    rig.stop().await;
}

/// What we write is signed, and dkimpy finds the signatures good behind a Postfix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_signatures_hold_behind_postfix() {
    const VERIFY: &str = "import sys, dkim\nmessage = open(sys.argv[1], 'rb').read()\n\
        zone = dict(line.split(' ', 1) for line in open(sys.argv[2]).read().splitlines())\n\
        look = lambda name, timeout=5: zone[name.decode().rstrip('.')].encode()\n\
        found = [dkim.DKIM(message).verify(idx=index, dnsfunc=look) for index in (0, 1)]\n\
        print(found)\nsys.exit(0 if found == [True, True] else 1)\n";
    let postfix = Postfix::new();
    let mut rig = Rig::builder().relay_port(postfix.port).start().await;
    let gateway = rig.smtp_address().port();
    postfix.start(&format!("faxsmtp:[127.0.0.1]:{gateway}"), rig.sink_port());
    let mut zone = String::new();
    for kind in ["rsa", "ed25519"] {
        let said = rig.admin(&format!(
            "add dkim gateway.localhost kind {kind} selector {kind}"
        ));
        let record = said.lines().find(|line| line.contains(" IN TXT ")).unwrap();
        let (name, strings) = record.split_once(". IN TXT ( ").unwrap();
        let text = strings
            .trim_end_matches(" )")
            .replace("\" \"", "")
            .replace('"', "");
        zone += &format!("{name} {text}\n");
    }
    rig.mail(&[FAR_NUMBER], &letters::message("Signed", "Hello", &[]))
        .await;
    let report = rig.wait_report("Signed").await;
    let raw = String::from_utf8_lossy(&report.raw).into_owned();
    assert!(raw.contains("by mx.localhost (Postfix)"), "{raw}");
    assert_eq!(raw.matches("DKIM-Signature:").count(), 2, "{raw}");
    let (mail, records) = (postfix.path("mail.eml"), postfix.path("zone.txt"));
    std::fs::write(&mail, &report.raw).unwrap();
    std::fs::write(&records, zone).unwrap();
    run(Command::new("/usr/bin/python3")
        .args(["-c", VERIFY])
        .arg(&mail)
        .arg(&records));
    // One letter changed: they do not hold.
    std::fs::write(&mail, raw.replacen("Signed", "signed", 1)).unwrap();
    let output = Command::new("/usr/bin/python3")
        .args(["-c", VERIFY])
        .arg(&mail)
        .arg(&records)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    rig.stop().await;
}

/// What Debian's default lets through as two mails is one with our settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_nothing_is_smuggled_through_postfix() {
    let postfix = Postfix::new();
    let mut rig = Rig::builder().start().await;
    let gateway = rig.smtp_address().port();
    postfix.start(&format!("faxsmtp:[127.0.0.1]:{gateway}"), rig.sink_port());
    let server = ports::local(postfix.port);
    let smuggled = "From: <alice@example.localhost>\r\nSubject: one\r\n\r\none\n.\n\
        MAIL FROM:<alice@example.localhost>\r\nRCPT TO:<+33987654321@fax.localhost>\r\nDATA\r\n\
        From: <alice@example.localhost>\r\nSubject: two\r\n\r\ntwo\r\n";
    let to = [format!("{FAR_NUMBER}@fax.localhost")];
    let answer = rig
        .until("Postfix answers", async || {
            smtp::send_raw(server, ALICE, &to, smuggled.as_bytes())
                .await
                .ok()
        })
        .await;
    // The line ends are set right, so it is one mail, with the rest as its text.
    assert!(answer.starts_with("250"), "{answer}");
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!(job.destination, FAR_NUMBER);
    assert_eq!(rig.jobs().await.len(), 1);
    assert_eq!(postfix.log().matches("(queue active)").count(), 1);
    rig.stop().await;
}

/// A milter, for as long as the test runs.
struct Milter(Child);

impl Drop for Milter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// opendkim and then opendmarc, as they are set up before Postfix; they ask `resolver` and nobody else.
fn milters(postfix: &Postfix, resolver: &str) -> (String, [Milter; 2]) {
    let place = postfix.folder.path().display();
    let write = |name: &str, text: String| std::fs::write(postfix.path(name), text).unwrap();
    let (dkim, dmarc) = (ports::free(), ports::free());
    write(
        "resolv.conf",
        format!("nameserver {resolver}\noptions timeout:2\n"),
    );
    // By default both pass over mails from this machine.
    write("nobody", "192.0.2.1\n".to_owned());
    write(
        "opendkim.conf",
        format!(
            "Mode v\nSocket inet:{dkim}@127.0.0.1\nSyslog no\nAlwaysAddARHeader yes\nAuthservID mx.localhost\n\
             RequireSafeKeys no\nInternalHosts {place}/nobody\nExternalIgnoreList {place}/nobody\nUserID opendkim\n"
        ),
    );
    write(
        "opendmarc.conf",
        format!(
            "Socket inet:{dmarc}@127.0.0.1\nSyslog false\nAuthservID mx.localhost\nTrustedAuthservIDs mx.localhost\n\
             SPFSelfValidate true\nIgnoreHosts {place}/nobody\nRejectFailures false\n"
        ),
    );
    let start = |program: &str, flag: &str| {
        let mut command = Command::new("bwrap");
        command.args(["--die-with-parent", "--dev-bind", "/", "/", "--ro-bind"]);
        command.args([postfix.path("resolv.conf"), "/etc/resolv.conf".into()]);
        command.args([program, "-f", flag]);
        command.arg(postfix.path(&format!("{program}.conf")));
        let log = std::fs::File::create(postfix.path(&format!("{program}.log"))).unwrap();
        command.stdin(Stdio::null()).stderr(log);
        Milter(command.spawn().expect("deploy/deps.sh interop installs it"))
    };
    let running = [start("opendkim", "-x"), start("opendmarc", "-c")];
    // One that is not there yet makes Postfix put mails off, and the test sends again.
    let settings = format!(
        "smtpd_milters = inet:127.0.0.1:{dkim}, inet:127.0.0.1:{dmarc}\nmilter_default_action = tempfail"
    );
    (settings, running)
}

/// The milters' lines stand above Postfix' own Received line, the last milter's first: that one is believed. What the
/// sender wrote stands below it and is not, whatever it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_real_milters_word_is_taken_and_a_forged_one_is_not() {
    // Port 53 is the only one that the milters' resolver asks.
    let resolver = SocketAddr::from(([127, 0, 0, 77], 53));
    let zone = dns::Zone::default()
        .txt(
            "_dmarc.example.localhost",
            "v=DMARC1; p=none; aspf=s; adkim=s",
        )
        .txt("example.localhost", "v=spf1 ip4:127.0.0.1 -all")
        .txt("elsewhere.localhost", "v=spf1 ip4:127.0.0.1 -all");
    let _dns = dns::Stub::serve_at(zone, resolver);
    let postfix = Postfix::new();
    let (settings, _milters) = milters(&postfix, "127.0.0.77");
    let mut rig = Rig::builder()
        .policy(
            "senders.toml",
            "fresh_s = 86400\n[[relay]]\nnetworks = ['127.0.0.0/8']\nauthserv_id = 'mx.localhost'\n\
             [[rule]]\nwho = ['*']\nproof = ['relay']\n",
        )
        .start()
        .await;
    let gateway = rig.smtp_address().port();
    let service = format!("faxsmtp:[127.0.0.1]:{gateway}");
    postfix.start_with(&service, rig.sink_port(), &settings);
    let server = ports::local(postfix.port);
    let to = [format!("{FAR_NUMBER}@fax.localhost")];
    let post = async |rig: &mut Rig, from: &str, message: &[u8]| {
        rig.until("Postfix and its milters take the mail", async || {
            let answers = smtp::send(server, from, &to, message).await.ok()?;
            answers.data.filter(|answer| answer.starts_with("250"))
        })
        .await
    };

    let forged = "Authentication-Results: mx.localhost; dmarc=pass header.from=example.localhost\r\n\
         Authentication-Results: mx.localhost; auth=pass smtp.auth=alice@example.localhost\r\n\
         Received: by mx.localhost (Postfix); Thu, 1 Jan 2026 00:00:00 +0000\r\n";
    let message = letters::message("As Alice", "Hello", &[]);
    let message = [forged.as_bytes(), &message].concat();
    post(&mut rig, "mallory@elsewhere.localhost", &message).await;
    let bounce = rig
        .mails()
        .wait_for(|mail| String::from_utf8_lossy(mail).contains("mallory@elsewhere.localhost"))
        .await;
    let bounce = String::from_utf8_lossy(&bounce).replace("\r\n    ", " ");
    assert!(
        bounce.contains("nothing proves that alice@example.localhost"),
        "{bounce}"
    );
    assert!(bounce.contains("dmarc=fail"), "{bounce}");

    let message = letters::message("By DMARC", "Hello", &[]);
    post(&mut rig, ALICE, &message).await;
    let report = rig.wait_report("By DMARC").await;
    report.assert_says("mx.localhost");
    assert_eq!(rig.jobs().await.len(), 1);
    rig.stop().await;
}
