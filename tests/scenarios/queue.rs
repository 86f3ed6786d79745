//! Faxes that are called off, that no trunk takes, and those that a profile keeps back.

use crate::support::{ALICE, FAR_NUMBER, Rig, SAMPLE_PDF, letters, phone::SilentPhone};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_number_that_the_profile_denies_is_refused_at_rcpt_and_told_when_it_changed_since()
 {
    let rig = Rig::builder().start().await;
    rig.admin("set profile Basic of Example deny +49");
    let message = letters::message("Denied", "Hello", &[]);
    let answers = rig
        .try_mail(ALICE, &["+4930123456", "+331234", FAR_NUMBER], &message)
        .await;
    let says = |answer: &str, words: &str| assert!(answer.contains(words), "{answer}: {words}");
    says(
        &answers.rcpt[0],
        "550 5.7.1 +4930123456: your organisation does not let you fax numbers that begin with +49",
    );
    says(
        &answers.rcpt[1],
        "550 5.1.3 +331234 is not a fax number: +331234 is too short: numbers behind +33 have",
    );
    assert!(answers.rcpt[2].starts_with("250"), "{answers:?}");
    rig.wait_report("Denied").await;

    // Accepted while it was allowed, and denied before it could be called.
    rig.admin("set trunk \"far end\" off");
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("Changed since", "Hello", &[]),
    )
    .await;
    rig.wait_job(&["ready"]).await;
    rig.admin("set profile Basic deny +33");
    rig.admin("set trunk \"far end\" on");
    let report = rig.wait_report("Changed since").await;
    report.assert_says("Your organisation does not allow faxes to this number.");
    let job = rig.jobs().await.pop().unwrap();
    assert_eq!((job.state.as_str(), job.tries), ("failed", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_waits_for_the_hours_of_its_profile() {
    let rig = Rig::builder().start().await;
    // The day after tomorrow: it is closed now, wherever the tenant's clock stands.
    let day = jiff::Zoned::now().weekday().wrapping_add(2);
    let day = format!("{day:?}").to_lowercase()[..3].to_owned();
    rig.admin(&format!("set profile Basic hours \"{day} 00:00-24:00\""));
    rig.mail(&[FAR_NUMBER], &letters::message("In time", "Hello", &[]))
        .await;
    let waits = "SELECT COUNT(*) FROM job WHERE state = 'ready' AND opens_at > run_at AND deadline > opens_at AND tries = 0";
    rig.until("it waits for its hours", async || {
        (rig.count(waits).await == 1).then_some(())
    })
    .await;
    let shown = rig.admin("show profile Basic");
    assert!(shown.contains("faxes are not called now"), "{shown}");
    rig.admin("set profile Basic hours always");
    let report = rig.wait_report("In time").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ladder_is_the_profiles() {
    let rig = Rig::builder().far_end(&["--refuse", "486"]).start().await;
    rig.admin("set profile Basic busy 1 calls 5");
    rig.mail(&[FAR_NUMBER], &letters::message("Engaged", "Hello", &[]))
        .await;
    // One wait of a second, and the row is used up.
    let report = rig.wait_report("Engaged").await;
    report.assert_says("The line was busy.");
    assert_eq!(rig.jobs().await[0].tries, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_fax_whose_hours_never_come_ends_on_a_running_gateway_and_says_why() {
    let rig = Rig::builder().start().await;
    rig.admin("set trunk \"far end\" off");
    rig.mail(&[FAR_NUMBER], &letters::message("Never", "Hello", &[]))
        .await;
    rig.wait_job(&["ready"]).await;
    // No command makes such hours; a profile and the group's own may come to them all the same.
    let never = "UPDATE profile SET hours = 'mon 08:00-09:00', quiet = 'mon 08:00-09:00' WHERE name = 'Basic'";
    assert_eq!(rig.meddle(never).await, 1);
    rig.admin("set trunk \"far end\" on");
    let report = rig.wait_report("Never").await;
    report.assert_says(
        "The hours in which your organisation lets faxes be called did not come in time.",
    );
    let job = rig.jobs().await.remove(0);
    assert_eq!(
        (job.state.as_str(), job.tries, job.outcome.as_deref()),
        ("expired", 0, Some("out-of-hours"))
    );
    assert_eq!(rig.holds().await[0].2, Some(0));
}
