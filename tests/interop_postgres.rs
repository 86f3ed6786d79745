//! The daemon on PostgreSQL. `FAXPOST_TEST_POSTGRES` names the server, and the rig takes a fresh schema
//! of it; `tests/interop.sh` starts a private one.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, process::Stdio};

use support::{
    FAR_NUMBER, Rig, SAMPLE_PDF, fax, letters,
    ports::{self, local},
    process::Process,
    smtp,
};
use tokio::process::Command;

fn assert_on_postgres(rig: &Rig) {
    assert!(
        rig.store.is_shared(),
        "FAXPOST_TEST_POSTGRES names no server: tests/interop.sh starts one"
    );
}

fn config(rig: &Rig) -> PathBuf {
    rig.data_dir().with_file_name("faxpost.toml")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_nothing_either_way() {
    let mut rig = Rig::builder().start().await;
    assert_on_postgres(&rig);
    let message = letters::message(
        "Three pages",
        "Hello",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    // 250 was said, so it is kept.
    rig.kill9().await;
    rig.restart().await;
    let report = rig.wait_report("Three pages").await;
    report.assert_says(FAR_NUMBER);
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!((job.pages_total, job.pages_confirmed), (Some(4), 4));
    let received = rig.far_fax(1).await;
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    fax::assert_same(&sent, &received);

    let pages = fax::pages(2);
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    // The sender has its MCF, so they are kept.
    rig.kill9().await;
    rig.restart().await;
    let faxes = rig.wait_faxes(1).await;
    let mailed: Vec<_> = fax::pdf_pages(&faxes[0].pdf())
        .into_iter()
        .map(|page| page.picture)
        .collect();
    fax::assert_same(&pages, &mailed);

    // A mail more passes through, and what was done before is not done again.
    const CALLS: &str = "SELECT COUNT(*) FROM leg";
    let calls = rig.count(CALLS).await;
    let message = letters::message("One page", "Hello", &[]);
    rig.mail(&[FAR_NUMBER], &message).await;
    rig.wait_report("One page").await;
    assert_eq!(
        rig.count(CALLS).await,
        calls + 1,
        "one call for the new mail"
    );
    let jobs = rig.jobs().await;
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|job| job.state == "sent"), "{jobs:#?}");
    let ids: BTreeSet<String> = rig.letters().into_iter().map(|l| l.message_id).collect();
    assert_eq!(ids.len(), 3, "two reports, one fax");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_and_check_work_on_postgres() {
    // Only its database is wanted; the rig's own tenant is in the way of none.
    let rig = Rig::builder().without_far_end().start().await;
    assert_on_postgres(&rig);
    let run = async |words: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_faxpost"))
            .arg("--config")
            .arg(config(&rig))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = [done.stdout, done.stderr].concat();
        (
            done.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let init = [
        "init",
        "--operator",
        "op@example.com",
        "--domain",
        "fax.example.com",
    ];
    let (well, said) = run(&init).await;
    assert!(well && said.contains("op@example.com"), "{said}");
    let (well, said) = run(&init).await;
    assert!(!well && said.contains("initialised"), "{said}");
    let (well, said) = run(&["admin", "show", "users"]).await;
    assert!(well && said.contains("op@example.com"), "{said}");
    let (well, said) = run(&["check"]).await;
    assert!(well && said.contains("ok       database"), "{said}");
}

/// A second gateway over the same database, custody and hostname, with doors of its own.
async fn another_node(rig: &Rig) -> (Process, SocketAddr) {
    let smtp = local(ports::free());
    let mut text = String::new();
    for line in std::fs::read_to_string(config(rig)).unwrap().lines() {
        let mine = match line.split_once(" = ") {
            Some(("media_port_min", _)) => format!("media_port_min = {}", ports::media()),
            Some(("media_port_max", _)) => continue,
            Some(("listen", list)) if list.starts_with('[') => format!("listen = [\"{smtp}\"]"),
            Some(("listen", _)) => format!("listen = \"{}\"", local(ports::free())),
            _ => line.to_owned(),
        };
        text.push_str(&mine);
        text.push('\n');
    }
    let path = config(rig).with_file_name("second.toml");
    std::fs::write(&path, text).unwrap();
    let node = Process::spawn(
        "second gateway",
        &["--config", &path.display().to_string(), "serve"],
        path.with_extension("log"),
    );
    rig.until("the second gateway", async || {
        tokio::net::TcpStream::connect(smtp).await.ok()
    })
    .await;
    (node, smtp)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_on_one_database_never_take_the_same_job() {
    const MAILS: usize = 12;
    // One call at a time for each gateway: neither can take all.
    let mut rig = Rig::builder().channels(1).start().await;
    assert_on_postgres(&rig);
    let (mut second, smtp) = another_node(&rig).await;
    let doors = [rig.smtp_address(), smtp];
    for number in 0..MAILS {
        let subject = format!("Mail {number:02}");
        let message = letters::message(&subject, "Hello", &[]);
        let to = format!("+331234567{number:02}@fax.localhost");
        let answers = smtp::send(doors[number % 2], support::ALICE, &[to], &message)
            .await
            .unwrap();
        let data = answers.data.as_deref().unwrap_or_default();
        assert!(data.starts_with("250"), "{answers:?}");
    }
    rig.until("every fax sent and told", async || {
        let ended = rig.jobs().await.iter().all(|job| job.state == "sent");
        (ended && rig.reports().len() >= MAILS).then_some(())
    })
    .await;
    rig.stop().await;
    second.stop().await;

    let jobs = rig.jobs().await;
    assert_eq!(jobs.len(), MAILS);
    // A call that the machine was too slow for is placed again; each call is one gateway's, and one of a job's
    // calls sent it.
    let tries: i64 = jobs.iter().map(|job| job.tries).sum();
    assert_eq!(rig.count("SELECT COUNT(*) FROM leg").await, tries);
    let sent = "SELECT COUNT(DISTINCT job_id) FROM leg WHERE outcome = 'sent'";
    assert_eq!(rig.count(sent).await, MAILS as i64);
    let sent = "SELECT COUNT(*) FROM leg WHERE outcome = 'sent'";
    assert_eq!(rig.count(sent).await, MAILS as i64);
    let received = rig
        .far_log()
        .lines()
        .filter(|l| l.starts_with("fax "))
        .count();
    assert_eq!(received, MAILS, "{}", rig.far_log());
    let ids: BTreeSet<String> = rig.letters().into_iter().map(|l| l.message_id).collect();
    assert_eq!(
        (ids.len(), rig.letters().len()),
        (MAILS, MAILS),
        "one report each"
    );

    let calls_of = |log: &str| log.matches("call ended").count();
    let theirs = calls_of(&second.log());
    assert!(
        theirs > 0 && theirs < MAILS,
        "both gateways placed calls: the second one {theirs} of {MAILS}"
    );
}
