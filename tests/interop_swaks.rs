//! swaks and gsasl, mail clients that aren't ours, and HAProxy, against the real listeners.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Output, Stdio};

use support::{ALICE, FAR_NUMBER, Rig, ports};
use tokio::process::Command;

const PASSWORD: &str = "correct horse battery staple";
/// Nobody is believed for where they come from: a password is the only proof.
const PASSWORDS_ONLY: &str = "fresh_s = 86400\n[[rule]]\nwho = [\"*\"]\nproof = [\"password\"]\n";
/// swaks reads a leading plus sign as one of its options, so this is how the number is dialled.
const TO: &str = "0033123456789@fax.localhost";

fn testdata(name: &str) -> String {
    format!("{}/testdata/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

async fn rig() -> Rig {
    rig_with(&[]).await
}

/// With more lines for the mail doors.
async fn rig_with(lines: &[&str]) -> Rig {
    let mut builder = Rig::builder()
        .policy("senders.toml", PASSWORDS_ONLY)
        .setting(
            "smtp",
            &format!("tls_certificate = {:?}", testdata("localhost.pem")),
        )
        .setting(
            "smtp",
            &format!("tls_key = {:?}", testdata("localhost-key.pem")),
        );
    for line in lines {
        builder = builder.setting("smtp", line);
    }
    let rig = builder.start().await;
    let config = rig.data_dir().with_file_name("faxpost.toml");
    let set = Command::new(env!("CARGO_BIN_EXE_faxpost"))
        .arg("--config")
        .arg(config)
        .args(["admin", "set", "password", ALICE, PASSWORD])
        .output()
        .await
        .unwrap();
    assert!(set.status.success(), "{set:?}");
    rig
}

/// Sends a text from Alice; what swaks says of it.
async fn swaks(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = Command::new("swaks")
        .args(["--server", &rig.smtp_address().to_string()])
        .args(["--from", ALICE, "--to", TO])
        .args(["--header", "Subject: From swaks", "--body", "Hello"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| {
            panic!("swaks can't be started ({error}): deploy/deps.sh interop installs it")
        });
    (status.code(), String::from_utf8_lossy(&stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_with_starttls_and_auth_plain_becomes_a_fax() {
    let mut rig = rig().await;
    let certificate = testdata("localhost.pem");
    let (code, dialog) = swaks(
        &rig,
        &[
            "--tls",
            "--tls-verify",
            "--tls-ca-path",
            &certificate,
            "--auth",
            "PLAIN",
            "--auth-user",
            ALICE,
            "--auth-password",
            PASSWORD,
        ],
    )
    .await;
    assert_eq!(code, Some(0), "{dialog}");
    // "~" is swaks' mark of a line under TLS.
    assert!(dialog.contains(" ~> AUTH PLAIN "), "{dialog}");
    assert!(dialog.contains("<~  235 2.7.0"), "{dialog}");
    let report = rig.wait_report("From swaks").await;
    report.assert_says(FAR_NUMBER);
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!(job.destination, FAR_NUMBER);
    assert_eq!(Some(job.pages_confirmed), job.pages_total);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_password_nothing_is_taken() {
    let mut rig = rig().await;
    let (code, dialog) = swaks(&rig, &["--tls"]).await;
    // swaks: 24, no recipient was accepted; 23, the sender wasn't.
    assert!(matches!(code, Some(23 | 24)), "{code:?}: {dialog}");
    assert!(
        dialog.contains("5.7.1") || dialog.contains("5.7.0"),
        "{dialog}"
    );

    let wrong = [
        "--tls",
        "--auth",
        "PLAIN",
        "--auth-user",
        ALICE,
        "--auth-password",
        "wrong",
    ];
    let (code, dialog) = swaks(&rig, &wrong).await;
    assert_eq!(code, Some(28), "{dialog}");
    assert!(dialog.contains("<~* 535 5.7.8"), "{dialog}");
    assert!(rig.jobs().await.is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submission_under_tls_and_lmtp_take_a_mail() {
    let (submissions, lmtp) = (ports::free(), ports::free());
    let mut rig = rig_with(&[
        &format!("submissions = [\"127.0.0.1:{submissions}\"]"),
        &format!("lmtp = [\"127.0.0.1:{lmtp}\"]"),
    ])
    .await;
    let login = ["--auth-user", ALICE, "--auth-password", PASSWORD];
    let under_tls = format!("127.0.0.1:{submissions}");
    let arguments = [
        &[
            "--server",
            &under_tls,
            "--tls-on-connect",
            "--auth",
            "LOGIN",
        ][..],
        &login,
    ];
    let (code, dialog) = swaks(&rig, &arguments.concat()).await;
    assert_eq!(code, Some(0), "{dialog}");
    assert!(dialog.contains("<~  250 2.0.0"), "{dialog}");
    let by_lmtp = format!("127.0.0.1:{lmtp}");
    let arguments = [
        "--server",
        &by_lmtp,
        "--protocol",
        "LMTPA",
        "--auth",
        "PLAIN",
    ];
    let (code, dialog) = swaks(&rig, &[&arguments[..], &login].concat()).await;
    assert_eq!(code, Some(0), "{dialog}");
    assert!(dialog.contains("LHLO "), "{dialog}");
    rig.until("both are faxes", async || {
        (rig.jobs().await.len() == 2).then_some(())
    })
    .await;
    rig.stop().await;
}

/// gsasl proves the password without sending it, and has ours proven in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scram_logs_in() {
    let mut rig = rig().await;
    for (password, logged_in) in [(PASSWORD, true), ("wrong", false)] {
        let mut client = Command::new("gsasl")
            .args([
                "--smtp",
                "--no-starttls",
                "--mechanism",
                "SCRAM-SHA-256",
                "--no-cb",
                "--verbose",
            ])
            .args([
                "--authentication-id",
                ALICE,
                "--password",
                password,
                "--quality-of-protection=qop-auth",
            ])
            .arg("127.0.0.1")
            .arg(rig.smtp_address().port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("gsasl can't be started ({error}): deploy/deps.sh interop installs it")
            });
        // Logged in, it hands on what it reads, until there is no more.
        drop(client.stdin.take());
        let output = client.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("AUTH SCRAM-SHA-256"), "{said}");
        assert_eq!(said.contains("235 2.7.0 logged in"), logged_in, "{said}");
        assert_eq!(said.contains("535 5.7.8"), !logged_in, "{said}");
    }
    rig.stop().await;
}

/// HAProxy stands between: what it says of the client counts, not where it stands itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_behind_haproxy_is_known_by_its_own_address() {
    let mut rig = Rig::builder()
        .policy(
            "senders.toml",
            "fresh_s = 86400\n[[rule]]\nwho = [\"*\"]\nproof = [\"network\"]\nnetworks = [\"127.0.0.9\"]\n",
        )
        .setting("smtp", "proxy_from = [\"127.0.0.1\"]")
        .without_far_end()
        .start()
        .await;
    let port = ports::free();
    let config = rig.folder().join("haproxy.cfg");
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen mail\n  bind 127.0.0.9:{port}\n  bind 127.0.0.8:{port}\n  source 127.0.0.1\n  \
         server gateway {} send-proxy-v2\n",
        rig.smtp_address()
    );
    std::fs::write(&config, text).unwrap();
    let _haproxy = Command::new("/usr/sbin/haproxy")
        .arg("-f")
        .arg(&config)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("HAProxy can't be started ({error}): deploy/deps.sh interop installs it")
        });
    // The kernel gives a client of a loopback address that same address.
    for (address, taken) in [("127.0.0.9", true), ("127.0.0.8", false)] {
        rig.until("HAProxy listens", async || {
            tokio::net::TcpStream::connect((address, port)).await.ok()
        })
        .await;
        let server = format!("{address}:{port}");
        let interface = ["--server", &server, "--local-interface", address];
        let (code, dialog) = swaks(&rig, &interface).await;
        assert_eq!(code == Some(0), taken, "{dialog}");
    }
    assert_eq!(rig.jobs().await.len(), 1);
    rig.stop().await;
}
