//! Faxes that are called off, that no trunk takes, and those that a profile keeps back.

use crate::support::{FAR_NUMBER, Rig, SAMPLE_PDF, letters, phone::SilentPhone};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_number_that_no_trunk_takes_ends_at_once_and_says_why() {
    let rig = Rig::builder().start().await;
    rig.admin("set trunk \"far end\" route +33 1");
    rig.mail(
        &[FAR_NUMBER, "+4930123456"],
        &letters::message("Two countries", "Hello", &[]),
    )
    .await;
    let report = rig.wait_report("Two countries").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    report.assert_says("No line is set up for calls to this number.");
    let jobs = rig.jobs().await;
    let other = jobs
        .iter()
        .find(|job| job.destination != FAR_NUMBER)
        .unwrap();
    assert_eq!((other.state.as_str(), other.tries), ("failed", 0));

    // A trunk that would take it and is only off keeps it waiting.
    rig.admin("add trunk away host 127.0.0.1 port 9 route +49 1");
    rig.admin("set trunk away off");
    rig.mail(
        &["+4930123456"],
        &letters::message("Off for now", "Hello", &[]),
    )
    .await;
    rig.until("it is rendered and waits", async || {
        (rig.jobs().await.last()?.state == "ready").then_some(())
    })
    .await;
    // Once no trunk takes its number any more, it ends too.
    rig.admin("remove trunk away");
    let report = rig.wait_report("Off for now").await;
    report.assert_says("No line is set up for calls to this number.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_that_waits_is_cancelled_at_once() {
    let rig = Rig::builder().without_far_end().start().await;
    rig.admin("set trunk \"far end\" off");
    let numbers = ["+33123456781", "+33123456782"];
    rig.mail(&numbers, &letters::message("Called off", "Hello", &[]))
        .await;
    let jobs = rig
        .until("both wait", async || {
            let jobs = rig.jobs().await;
            (jobs.iter().all(|job| job.state == "ready")).then_some(jobs)
        })
        .await;
    let said = rig.admin(&format!("cancel {}", jobs[0].job_id.to_lowercase()));
    assert!(
        said.contains("is cancelled: it was not called yet"),
        "{said}"
    );
    let error = rig.admin_refused(&format!("cancel {}", jobs[0].job_id));
    assert!(error.contains("was cancelled before"), "{error}");
    rig.admin(&format!("cancel {}", jobs[1].job_id));
    let report = rig.wait_report("Called off").await;
    report.assert_says("The fax was cancelled.");
    assert!(
        report.subject.starts_with("Cancelled"),
        "{}",
        report.subject
    );
    assert!(rig.holds().await.iter().all(|hold| hold.2 == Some(0)));
    let error = rig.admin_refused("cancel 01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert!(error.contains("there is no fax"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_page_yet_is_hung_up_when_its_fax_is_cancelled() {
    let rig = Rig::builder().speed(1).without_far_end().start().await;
    let phone = SilentPhone::start(rig.far_address()).await;
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("Nobody there", "Hello", &[]),
    )
    .await;
    let job = rig.wait_job(&["dialling"]).await;
    let said = rig.admin(&format!("cancel {}", job.job_id));
    assert!(said.contains("hung up before any page"), "{said}");
    let report = rig.wait_report("Nobody there").await;
    report.assert_says("The fax was cancelled.");
    let job = rig.jobs().await.pop().unwrap();
    assert_eq!((job.state.as_str(), job.tries), ("cancelled", 1));
    let legs = "SELECT COUNT(*) FROM leg WHERE outcome = 'cancelled'";
    assert_eq!(rig.count(legs).await, 1);
    drop(phone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_fax_that_is_cancelled_on_the_line_ends_after_the_page_in_progress() {
    let rig = Rig::builder().speed(1).start().await;
    let message = letters::message(
        "Stop there",
        "Text.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    let job = rig.wait_job(&["sending"]).await;
    let said = rig.admin(&format!("cancel {}", job.job_id));
    assert!(said.contains("after the page in progress"), "{said}");
    let report = rig.wait_report("Stop there").await;
    report.assert_says("The fax was cancelled.");
    report.assert_says(&format!("{FAR_NUMBER}: cancelled"));
    let job = rig.jobs().await.pop().unwrap();
    assert_eq!((job.state.as_str(), job.tries), ("cancelled", 1));
    // The page that was on its way is confirmed, those behind it never left; nothing is in doubt.
    let pages = rig.page_reports(&job.job_id).await;
    let verdicts: Vec<&str> = pages.iter().map(|page| page.2.as_str()).collect();
    let confirmed = verdicts
        .iter()
        .filter(|verdict| **verdict == "confirmed")
        .count();
    assert!((1..4).contains(&confirmed), "{verdicts:?}");
    assert!(
        verdicts[confirmed..]
            .iter()
            .all(|verdict| *verdict == "unsent"),
        "{verdicts:?}"
    );
    assert_eq!(rig.far_fax(1).await.len(), confirmed);
    assert_eq!(
        rig.holds().await[0].3,
        Some(i64::try_from(confirmed).unwrap())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_is_cancelled_whose_node_is_gone() {
    let mut rig = Rig::builder().speed(1).start().await;
    rig.mail(&[FAR_NUMBER], &letters::message("Lost", "Hello", &[]))
        .await;
    let job = rig.wait_job(&["sending"]).await;
    rig.kill9().await;
    rig.admin(&format!("cancel {}", job.job_id));
    let again = rig.admin_refused(&format!("cancel {}", job.job_id));
    assert!(again.contains("was cancelled before"), "{again}");
    rig.restart().await;
    let report = rig.wait_report("Lost").await;
    report.assert_says("The fax was cancelled.");
    report.assert_says("unknown (sent, but not answered: may have arrived)");
    assert_eq!(rig.jobs().await[0].state, "cancelled");
}
