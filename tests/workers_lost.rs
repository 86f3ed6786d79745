//! A sandboxed child that is killed costs its document or its calls, and ends in an honest report.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use support::{ALICE, FAR_NUMBER, Rig, SAMPLE_PDF, letters, short_waits};

/// The gateway's children of a kind (`line`, `paper`), by the command line that the system shows.
fn workers(gateway: u32, kind: &str) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = command.split(|byte| *byte == 0).collect();
        if parent == Some(gateway)
            && words.get(1) == Some(&b"worker".as_slice())
            && words.get(2) == Some(&kind.as_bytes())
        {
            found.extend(Pid::from_raw(pid));
        }
    }
    found
}

async fn kill_line_worker_on_page(rig: &Rig, page: u64) {
    rig.until("a page on the line", async || {
        let status = rig.status().await;
        (status["calls"][0]["page"].as_u64()? >= page).then_some(())
    })
    .await;
    let gateway = rig.gateway_pid().expect("the gateway runs");
    let workers = workers(gateway, "line");
    assert!(!workers.is_empty(), "no line worker was found");
    for worker in workers {
        kill_process(worker, Signal::KILL).expect("the worker is killed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_3_a_line_worker_killed_in_a_page_leaves_it_unknown() {
    let rig = Rig::builder().short_waits().start().await;
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("Cut", "Hello", &[("s.pdf", "application/pdf", SAMPLE_PDF)]),
    )
    .await;
    kill_line_worker_on_page(&rig, 2).await;
    let job = rig.wait_job(&["unknown"]).await;
    let reports = rig.page_reports(&job.job_id).await;
    assert!(
        reports
            .iter()
            .any(|(_, page, verdict)| *page == 0 && verdict == "confirmed"),
        "{reports:?}"
    );
    assert!(
        reports.iter().any(|(_, _, verdict)| verdict == "unknown"),
        "{reports:?}"
    );
    let letters = rig.wait_reports(1).await;
    assert_eq!(letters.len(), 1, "one report to {ALICE}");
    letters[0].assert_says("Our fax system had a fault during the call.");
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_a_line_worker_killed_in_a_call_costs_that_call_and_the_next_goes_on() {
    let rig = Rig::builder()
        .policy("sending.toml", &short_waits(true))
        .start()
        .await;
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("Cut", "Hello", &[("s.pdf", "application/pdf", SAMPLE_PDF)]),
    )
    .await;
    kill_line_worker_on_page(&rig, 2).await;
    let job = rig.wait_job(&["sent"]).await;
    let reports = rig.page_reports(&job.job_id).await;
    let legs: std::collections::BTreeSet<_> = reports.iter().map(|(leg, _, _)| *leg).collect();
    assert!(
        legs.len() > 1,
        "the fax went on in another call: {reports:?}"
    );
    assert!(
        reports
            .iter()
            .filter(|(leg, _, _)| *leg > 0)
            .all(|(_, page, _)| *page > 0),
        "a confirmed page was sent again: {reports:?}"
    );
    assert_eq!(rig.wait_reports(1).await.len(), 1);
}
