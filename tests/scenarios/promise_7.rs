//! Everything ends.

use crate::support::{FAR_NUMBER, Rig, SAMPLE_PDF, fax, letters};

/// Where the watchdog leaves a job that is stalled in each state.
const STALLED: [(&str, &str); 7] = [
    ("parked", "expired"),
    ("queued", "expired"),
    ("rendering", "failed"),
    ("ready", "expired"),
    ("dialling", "waiting"),
    // No page data went out, says the record: another call may be placed.
    ("sending", "waiting"),
    ("waiting", "expired"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_job_that_stalls_in_any_state_is_ended_and_told() {
    let rig = Rig::builder().without_far_end().start().await;
    rig.meddle("UPDATE trunk SET active = 0").await;
    for (index, (state, _)) in STALLED.iter().enumerate() {
        let number = format!("+3312345678{index}");
        let subject = format!("Stalled {state}");
        rig.mail(&[&number], &letters::message(&subject, "Text.", &[]))
            .await;
    }
    rig.until("every job is rendered and waits for a trunk", async || {
        let jobs = rig.jobs().await;
        jobs.iter().all(|job| job.state == "ready").then_some(())
    })
    .await;
    // Each job is put where its worker would have hung: its lease is good, and nobody's who is known to be
    // gone, or it is not due.
    stall(&rig).await;
    for (index, (state, to)) in STALLED.iter().enumerate() {
        let job = rig
            .until(&format!("{state} has become {to}"), async || {
                let job = rig.jobs().await.swap_remove(index);
                (job.state == *to).then_some(job)
            })
            .await;
        assert!(job.destination.ends_with(&index.to_string()));
        if *to != "waiting" {
            let report = rig.wait_report(&format!("Stalled {state}")).await;
            report.assert_says(match *state {
                "parked" => "nobody gave the word for it in time",
                _ => "The time for sending this fax ran out.",
            });
        }
    }
    // What went back to wait ends too when its time is up.
    rig.meddle("UPDATE job SET deadline = 1 WHERE state = 'waiting'")
        .await;
    for stalled in ["Stalled dialling", "Stalled sending"] {
        let report = rig.wait_report(stalled).await;
        report.assert_says("The time for sending this fax ran out.");
    }
    assert_eq!(rig.reports_in_all().await.len(), STALLED.len());
    assert!(rig.holds().await.iter().all(|hold| hold.2 == Some(0)));
}

async fn stall(rig: &Rig) {
    for sql in [
        "UPDATE job SET state = 'parked', deadline = 1 WHERE destination = '+33123456780'",
        "UPDATE job SET state = 'queued', run_at = 9000000000000, deadline = 1 WHERE destination = '+33123456781'",
        "UPDATE job SET state = 'rendering', lease_owner = NULL, lease_until = 9000000000000,
                deadline = 1 WHERE destination = '+33123456782'",
        "UPDATE job SET deadline = 1 WHERE destination = '+33123456783'",
        "UPDATE job SET state = 'dialling', lease_owner = NULL, lease_until = 9000000000000,
                deadline = 1 WHERE destination = '+33123456784'",
        "UPDATE job SET state = 'sending', lease_owner = NULL, lease_until = 9000000000000,
                deadline = 1 WHERE destination = '+33123456785'",
        "UPDATE job SET state = 'waiting', run_at = 9000000000000, deadline = 1 WHERE destination = '+33123456786'",
    ] {
        assert_eq!(rig.meddle(sql).await, 1, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_worker_that_is_gone_loses_its_jobs() {
    let rig = Rig::builder().start().await;
    rig.meddle("UPDATE trunk SET active = 0").await;
    rig.mail(&[FAR_NUMBER], &letters::message("Gone", "Text.", &[]))
        .await;
    rig.wait_job(&["ready"]).await;
    // Its renderer died with its lease: it is rendered again, and sent.
    rig.meddle("UPDATE job SET state = 'rendering', lease_owner = 'elsewhere/1', lease_until = 1")
        .await;
    rig.meddle("UPDATE trunk SET active = 1").await;
    let report = rig.wait_report("Gone").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    assert_eq!(rig.far_fax(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_received_fax_whose_end_was_lost_is_delivered() {
    let mut rig = Rig::builder().speed(2).without_far_end().start().await;
    let pages = fax::pages(4);
    let mut sender = rig.call_in(&pages, &[]);
    rig.until("a page is kept", async || {
        let kept = rig
            .count("SELECT CAST(COUNT(*) AS BIGINT) FROM received_page")
            .await;
        (kept >= 1).then_some(())
    })
    .await;
    // As if the end had been lost. Each page that is kept sets a new deadline, so it is put back often.
    let faxes = rig
        .until("the fax by mail", async || {
            rig.meddle("UPDATE received_fax SET deadline = 1 WHERE state = 'receiving'")
                .await;
            Some(rig.faxes()).filter(|faxes| !faxes.is_empty())
        })
        .await;
    assert!(
        faxes[0].subject.starts_with("Incomplete fax from"),
        "{}",
        faxes[0].subject
    );
    // The pages that come after are refused: nobody would deliver them.
    assert!(!sender.wait().await.success(), "{}", sender.log());
    let confirmed = sender.log().matches(": Confirmed").count();
    let delivered = fax::pdf_pages(&faxes[0].pdf()).len();
    assert_eq!(delivered, confirmed, "{}", sender.log());
    assert_eq!(rig.faxes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_call_whose_time_runs_out_is_hung_up_and_its_page_is_unknown() {
    let rig = Rig::builder().speed(1).start().await;
    let message = letters::message(
        "Too long",
        "Text.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    rig.wait_job(&["sending"]).await;
    rig.meddle("UPDATE job SET deadline = 1").await;
    let report = rig.wait_report("Too long").await;
    report.assert_says("The time for sending this fax ran out.");
    report.assert_says("unknown (sent, but not answered: may have arrived)");
    rig.until("the call is down", async || {
        (rig.status().await["calls_in_all"] == 0).then_some(())
    })
    .await;
    assert_eq!(rig.jobs().await[0].state, "unknown");
    assert!(!rig.far_log().contains("page 4"), "{}", rig.far_log());
    assert_eq!(rig.reports_in_all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_report_that_is_never_written_holds_no_key() {
    let rig = Rig::builder().start().await;
    rig.admin("set trunk \"far end\" off");
    let page: [(&str, &str, &[u8]); 1] = [("text/plain", "page.txt", b"One.")];
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("Unwritten", "Text.", &page),
    )
    .await;
    rig.wait_job(&["ready"]).await;
    // What it is to be composed of can't be read.
    let spoilt = "UPDATE rendition SET notes = 'spoilt'";
    assert_eq!(rig.meddle(spoilt).await, 1);
    rig.admin("set trunk \"far end\" on");
    rig.wait_job(&["sent"]).await;
    rig.until("it is put off", async || {
        let drafts = "SELECT COUNT(*) FROM outbox WHERE state = 'compose' AND run_at > created_at";
        (rig.count(drafts).await == 1).then_some(())
    })
    .await;
    let open = "SELECT COUNT(*) FROM custody WHERE done_at IS NULL";
    assert!(rig.count(open).await >= 2, "mail and pages wait for it");
    // Three days later.
    assert_eq!(rig.meddle("UPDATE outbox SET deadline = 1").await, 1);
    rig.until("nothing keeps the day's key", async || {
        (rig.count(open).await == 0).then_some(())
    })
    .await;
    assert_eq!(rig.status().await["outbox"]["dropped"], 1);
    assert!(rig.reports().is_empty());
}
