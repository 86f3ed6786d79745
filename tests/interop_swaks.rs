//! swaks, a mail client that isn't ours, against the real listener.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Output, Stdio};

use support::{ALICE, FAR_NUMBER, Rig};
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
    let rig = Rig::builder()
        .policy("senders.toml", PASSWORDS_ONLY)
        .setting(
            "smtp",
            &format!("tls_certificate = {:?}", testdata("localhost.pem")),
        )
        .setting(
            "smtp",
            &format!("tls_key = {:?}", testdata("localhost-key.pem")),
        )
        .start()
        .await;
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
