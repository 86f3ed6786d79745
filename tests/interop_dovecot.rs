//! Debian's Dovecot as the server of polled mailboxes.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use support::{ALICE, FAR_NUMBER, Rig, RigBuilder, http, ports};
use tempfile::TempDir;

const BOX: &str = "scan@office.example";
const PASSWORD: &str = "p\u{e4}ss word\"\\";
const RULES: &str = "fresh_s = 86400\n[[rule]]\nwho = ['*']\nproof = ['mailbox', 'network']\nnetworks = ['127.0.0.0/8']\n";

/// A private Dovecot: its folders are its own, it runs as our child, and is stopped when dropped.
struct Dovecot {
    folder: TempDir,
    port: u16,
    tls_port: u16,
    besides: String,
    child: Option<Child>,
}

impl Dovecot {
    fn start(besides: &str) -> Self {
        // Its own users look into it; a socket's name may have 107 characters.
        let folder = tempfile::Builder::new()
            .prefix("faxpost-dovecot-")
            .tempdir_in("/tmp")
            .unwrap();
        open_to_all(folder.path(), 0o755);
        let mut dovecot = Self {
            folder,
            port: ports::free(),
            tls_port: ports::free(),
            besides: besides.to_owned(),
            child: None,
        };
        std::fs::create_dir(dovecot.path("mail")).unwrap();
        open_to_all(&dovecot.path("mail"), 0o777);
        dovecot.configure();
        dovecot.run();
        dovecot
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self) {
        let place = self.folder.path().display();
        let (port, tls_port) = (self.port, self.tls_port);
        let passwd = format!("{BOX}:{{PLAIN}}{PASSWORD}\n");
        std::fs::write(self.path("passwd"), passwd).unwrap();
        open_to_all(&self.path("passwd"), 0o644);
        let config = format!(
            "base_dir = {place}/run\nlog_path = {place}/log\nprotocols = imap\nlisten = 127.0.0.1\n\
             ssl = required\nssl_cert = <{cert}\nssl_key = <{key}\n\
             mail_location = maildir:{place}/mail/%u\nfirst_valid_uid = 1\n\
             auth_mechanisms = plain login xoauth2\nauth_username_chars =\n\
             passdb {{\n driver = passwd-file\n args = {place}/passwd\n}}\n\
             userdb {{\n driver = static\n args = uid=mail gid=mail home={place}/mail/%u\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {port}\n }}\n inet_listener imaps {{\n port = {tls_port}\n \
             ssl = yes\n }}\n}}\n{besides}\n",
            cert = pem("trunk.pem"),
            key = pem("trunk-key.pem"),
            besides = self.besides.replace("{place}", &place.to_string()),
        );
        std::fs::write(self.path("dovecot.conf"), config).unwrap();
    }

    fn run(&mut self) {
        let child = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(self.path("dovecot.conf"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("dovecot: {error}: deploy/deps.sh interop installs it"));
        self.child = Some(child);
    }

    /// SIGTERM to our child, which ends its own, as at a restart of the machine.
    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn doveadm(&self, arguments: &[&str], input: &[u8]) -> Option<String> {
        let mut child = Command::new("doveadm")
            .arg("-c")
            .arg(self.path("dovecot.conf"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(said)
    }

    /// A mail comes.
    async fn append(&self, rig: &Rig, mail: &[u8]) {
        rig.until("Dovecot takes a mail", async || {
            self.doveadm(&["save", "-u", BOX, "-m", "INBOX"], mail)
        })
        .await;
    }

    /// The mails of a folder.
    fn count(&self, folder: &str) -> usize {
        let found = self.doveadm(&["search", "-u", BOX, "mailbox", folder], b"");
        found.unwrap_or_default().lines().count()
    }

    async fn wait(&self, rig: &Rig, folder: &str, count: usize) {
        rig.until(&format!("{count} mails in {folder}"), async || {
            (self.count(folder) >= count).then_some(())
        })
        .await;
        assert_eq!(self.count(folder), count, "{folder}");
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Our CA, and a certificate of it for 127.0.0.1.
fn pem(name: &str) -> String {
    format!("{}/testdata/tls/sip/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn open_to_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mail(subject: &str) -> Vec<u8> {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let date = jiff::fmt::rfc2822::to_string(&now).unwrap();
    format!(
        "Received: by mx.localhost; now\r\nAuthentication-Results: mx.localhost; dmarc=pass header.from=example.localhost\r\n\
         From: <{ALICE}>\r\nTo: <{FAR_NUMBER}@fax.localhost>\r\nDate: {date}\r\nMessage-ID: <{}@test>\r\n\
         Subject: {subject}\r\n\r\nAn offer.\r\n",
        faxpost::store::new_id()
    )
    .into_bytes()
}

fn rig() -> RigBuilder {
    Rig::builder()
        .policy("senders.toml", RULES)
        .setting("imap", "timeout_s = 20")
}

fn add(rig: &Rig, dovecot: &Dovecot, options: &str) {
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_faxpost"))
        .args([
            "--config",
            &rig.folder().join("faxpost.toml").display().to_string(),
        ])
        .args([
            "admin",
            "add",
            "mailbox",
            "scans",
            "host",
            "127.0.0.1",
            "login",
            BOX,
        ])
        .args([
            "password",
            PASSWORD,
            "believes",
            "mx.localhost",
            "ca",
            &pem("ca.pem"),
        ])
        .args(
            options
                .replace("{port}", &dovecot.port.to_string())
                .replace("{tls}", &dovecot.tls_port.to_string())
                .split(' '),
        )
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_mails_are_faxed_by_starttls_and_idle_and_after_the_server_was_gone() {
    let mut dovecot = Dovecot::start("");
    let mut rig = rig().start().await;
    dovecot.append(&rig, &mail("First")).await;
    add(
        &rig,
        &dovecot,
        "security starttls port {port} every 1740 faxed Envoy\u{e9}s",
    );
    dovecot.wait(&rig, "Envoy\u{e9}s", 1).await;
    assert_eq!(dovecot.count("INBOX"), 0);
    // IDLE alone can wake it.
    dovecot.append(&rig, &mail("Second")).await;
    dovecot.wait(&rig, "Envoy\u{e9}s", 2).await;
    // Gone during IDLE; the mail that comes meanwhile is there when it is back.
    dovecot.stop();
    let shown = rig
        .until("a failure", async || {
            Some(rig.admin("show mailbox scans")).filter(|shown| shown.contains("failing for"))
        })
        .await;
    assert!(shown.contains("last failure"), "{shown}");
    dovecot.run();
    dovecot.append(&rig, &mail("Third")).await;
    dovecot.wait(&rig, "Envoy\u{e9}s", 3).await;
    rig.wait_reports(3).await;
    assert_eq!(rig.jobs().await.len(), 3);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_mailbox_that_is_made_anew_is_not_faxed_anew() {
    let mut dovecot = Dovecot::start("");
    let mut rig = rig().start().await;
    let one = mail("Once");
    dovecot.append(&rig, &one).await;
    // Under TLS from the first octet, by the clock alone.
    add(&rig, &dovecot, "security tls port {tls} every 5 idle off");
    dovecot.wait(&rig, "Faxed", 1).await;
    dovecot.stop();
    std::fs::remove_dir_all(dovecot.path("mail")).unwrap();
    std::fs::create_dir(dovecot.path("mail")).unwrap();
    open_to_all(&dovecot.path("mail"), 0o777);
    dovecot.run();
    dovecot.append(&rig, &one).await;
    dovecot.append(&rig, &mail("Another")).await;
    dovecot.wait(&rig, "Faxed", 2).await;
    rig.wait_reports(2).await;
    assert_eq!(rig.jobs().await.len(), 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_move_a_mail_is_copied_and_removed() {
    let dovecot = Dovecot::start("protocol imap {\n imap_capability = IMAP4rev1 IDLE UIDPLUS\n}");
    let mut rig = rig().start().await;
    dovecot.append(&rig, &mail("Copied")).await;
    add(&rig, &dovecot, "security tls port {tls} every 5");
    dovecot.wait(&rig, "Faxed", 1).await;
    rig.until("an empty INBOX", async || {
        (dovecot.count("INBOX") == 0).then_some(())
    })
    .await;
    rig.wait_report("Copied").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_trusted_gets_no_password() {
    let dovecot = Dovecot::start("");
    let mut rig = rig().start().await;
    dovecot.append(&rig, &mail("Waits")).await;
    add(&rig, &dovecot, "security tls port {tls} every 5");
    dovecot.wait(&rig, "Faxed", 1).await;
    rig.admin("set mailbox scans ca none");
    let says = async |words: &str| {
        rig.until(words, async || {
            Some(rig.admin("show mailbox scans")).filter(|shown| shown.contains(words))
        })
        .await
    };
    says("is of no CA that we trust").await;
    rig.admin(&format!(
        "set mailbox scans ca {} host localhost",
        pem("ca.pem")
    ));
    says("is not for localhost").await;
    // In the clear Dovecot would take no password, and we show none without TLS.
    rig.admin(&format!(
        "set mailbox scans host 127.0.0.1 security starttls port {}",
        dovecot.tls_port
    ));
    says("does not greet").await;
    rig.admin(&format!(
        "set mailbox scans security starttls port {} password wrong",
        dovecot.port
    ));
    says("login refused").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_is_opened_by_xoauth2() {
    // One endpoint gives tokens, and tells Dovecot whose they are.
    let (port, _) = http::serve(|head, body| {
        if head.starts_with("POST /token") {
            let token = if body.contains("refresh_token=good") {
                "right"
            } else {
                "wrong"
            };
            return (
                200,
                format!("{{\"access_token\":\"{token}\",\"expires_in\":3600}}"),
            );
        }
        let active = head.contains("Bearer right");
        (200, format!("{{\"active\":{active},\"email\":\"{BOX}\"}}"))
    })
    .await;
    let dovecot = Dovecot::start(
        "passdb {\n driver = oauth2\n mechanisms = xoauth2\n args = {place}/oauth2.conf\n}",
    );
    let oauth = format!(
        "introspection_url = http://127.0.0.1:{port}/me\nintrospection_mode = auth\nforce_introspection = yes\n\
         active_attribute = active\nactive_value = true\n"
    );
    std::fs::write(dovecot.path("oauth2.conf"), oauth).unwrap();
    open_to_all(&dovecot.path("oauth2.conf"), 0o644);
    let mut rig = rig().start().await;
    dovecot.append(&rig, &mail("By token")).await;
    add(
        &rig,
        &dovecot,
        &format!(
            "security tls port {{tls}} every 5 oauth http://127.0.0.1:{port}/token client us token bad"
        ),
    );
    rig.until("a refused login", async || {
        rig.admin("show mailbox scans")
            .contains("login refused")
            .then_some(())
    })
    .await;
    rig.admin("set mailbox scans token good");
    dovecot.wait(&rig, "Faxed", 1).await;
    rig.wait_report("By token").await;
    rig.stop().await;
}
