//! You pay for confirmed pages only.

use crate::support::{FAR_NUMBER, Rig, SAMPLE_PDF, letters, short_waits};

const TARIFFS: &str = "held_pages = 10\n[[tariff]]\nname = \"all\"\nprefix = \"\"\npage_price = 100\n\
                       [[tariff]]\nname = \"France\"\nprefix = \"+33\"\npage_price = 1500\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_8_units_are_held_at_acceptance_and_taken_for_confirmed_pages_once() {
    let mut rig = Rig::builder()
        .policy("tariffs.toml", TARIFFS)
        .policy("sending.toml", &short_waits(false))
        .far_end(&["--refuse", "404", "--refuse-first", "1"])
        .start()
        .await;
    rig.meddle("UPDATE trunk SET active = 0").await;
    let message = letters::message(
        "Costs",
        "Text.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    for number in ["+33123456780", FAR_NUMBER, "+4930123456"] {
        rig.mail(&[number], &message).await;
    }
    let jobs = rig.jobs().await;
    let held: Vec<_> = rig.holds().await;
    assert_eq!(
        held.iter()
            .map(|hold| (hold.1, hold.2, hold.3))
            .collect::<Vec<_>>(),
        [
            (15_000, None, None),
            (15_000, None, None),
            (1000, None, None)
        ]
    );
    assert!(
        jobs.iter()
            .zip(&held)
            .all(|(job, hold)| job.job_id == hold.0)
    );

    // The first call is refused for good, the others send four pages each.
    rig.meddle("UPDATE trunk SET active = 1").await;
    rig.wait_reports(3).await;
    let settled = rig.holds().await;
    let failed: Vec<_> = rig
        .jobs()
        .await
        .into_iter()
        .map(|job| job.state == "failed")
        .collect();
    assert_eq!(failed.iter().filter(|failed| **failed).count(), 1);
    for ((hold, failed), price) in settled.iter().zip(failed).zip([1500, 1500, 100]) {
        let pages = if failed { 0 } else { 4 };
        assert_eq!((hold.2, hold.3), (Some(pages * price), Some(pages)));
    }

    // Nothing settles again.
    rig.kill9().await;
    rig.restart().await;
    rig.reports_in_all().await;
    assert_eq!(rig.holds().await, settled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_8_a_fax_cut_off_costs_its_confirmed_pages() {
    let mut rig = Rig::builder()
        .policy("tariffs.toml", TARIFFS)
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let message = letters::message(
        "Cut off",
        "Text.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    rig.until("page 3 is on the line", async || {
        let status = rig.status().await;
        (status["calls"].get(0)?["page"].as_u64()? == 3).then_some(())
    })
    .await;
    rig.kill_far_end().await;
    rig.wait_report("Cut off").await;
    let holds = rig.holds().await;
    assert_eq!((holds[0].2, holds[0].3), (Some(3000), Some(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_8_a_fax_whose_time_runs_out_costs_what_was_confirmed() {
    let later = "max_calls = 4\nmax_tries = 4\nrepeat_unknown = true\nremember_days = 90\n[wait_s]\nbusy = [600]\nno_answer = [600]\n\
                 protocol = [600]\ntrunk = [600]\nno_fax = [600]\n";
    let rig = Rig::builder()
        .policy("tariffs.toml", TARIFFS)
        .policy("sending.toml", later)
        .far_end(&["--refuse-page", "3"])
        .start()
        .await;
    let message = letters::message(
        "Too late",
        "Text.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    rig.wait_job(&["waiting"]).await;
    assert_eq!(rig.holds().await[0].2, None);
    rig.meddle("UPDATE job SET deadline = 1").await;
    let report = rig.wait_report("Too late").await;
    assert!(
        report.subject.starts_with("Partly confirmed"),
        "{}",
        report.text
    );
    assert_eq!(rig.jobs().await[0].state, "unknown");
    report.assert_says("1–2 confirmed; 3 unknown");
    let holds = rig.holds().await;
    assert_eq!((holds[0].2, holds[0].3), (Some(3000), Some(2)));
}
