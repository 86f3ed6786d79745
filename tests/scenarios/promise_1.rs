//! Accepted is kept.

use faxpost::demo::sink::Trick;

use crate::support::{FAR_NUMBER, OUR_NUMBER, Rig, SAMPLE_PDF, fax, letters, phone};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_mail_is_faxed_and_told_once_after_kill_9_at_its_250() {
    let mut rig = Rig::builder().start().await;
    let message = letters::message(
        "Keep this",
        "Kept.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    rig.kill9().await;
    assert!(rig.reports().is_empty(), "it was too slow to be of use");
    rig.restart().await;
    rig.wait_report("Keep this").await;
    let reports = rig.reports_in_all().await;
    assert_eq!(reports.len(), 1);
    reports[0].assert_says("Pages: 4 of 4 confirmed");
    assert_eq!(rig.far_fax(1).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_confirmed_page_is_delivered_after_kill_9_in_the_call() {
    let mut rig = Rig::builder().without_far_end().start().await;
    let pages = fax::pages(4);
    let mut sender = rig.call_in(&pages, &[]);
    rig.until("the far end has a page confirmed", async || {
        sender
            .log()
            .contains("page 1 of 4: Confirmed")
            .then_some(())
    })
    .await;
    rig.kill9().await;
    sender.kill9().await;
    let confirmed = sender.log().matches(": Confirmed").count();
    assert!(confirmed < 4, "it was too slow to be of use");
    rig.restart().await;
    if rig.store.is_shared() {
        // Another node may be receiving it: only its deadline says that nobody is.
        rig.meddle("UPDATE received_fax SET deadline = 1 WHERE state = 'receiving'")
            .await;
    }
    let faxes = rig.wait_faxes(1).await;
    assert!(
        faxes[0].subject.starts_with("Incomplete fax from"),
        "{}",
        faxes[0].subject
    );
    let mailed: Vec<_> = fax::pdf_pages(&faxes[0].pdf())
        .into_iter()
        .map(|page| page.picture)
        .collect();
    assert!(
        mailed.len() >= confirmed,
        "{confirmed} pages were confirmed, {} delivered",
        mailed.len()
    );
    fax::assert_same(&pages[..mailed.len()], &mailed);

    // Another start has nothing to add.
    rig.stop().await;
    rig.restart().await;
    rig.reports_in_all().await;
    assert_eq!(rig.faxes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_without_room_nothing_is_taken() {
    let mut rig = Rig::builder()
        .without_far_end()
        .min_free_disk(1 << 60)
        .start()
        .await;
    let message = letters::message("No room", "Text.", &[]);
    let answers = rig
        .try_mail(crate::support::ALICE, &[FAR_NUMBER], &message)
        .await;
    assert!(answers.mail.starts_with("452 4.3.1"), "{answers:?}");

    // RFC 3261 §21.4.18: 480, and no 200 before it: the caller pays nothing and tries again.
    let statuses = phone::invite(rig.sip_address(), OUR_NUMBER).await;
    assert_eq!(statuses.last(), Some(&480), "{statuses:?}");
    let received = rig
        .count("SELECT CAST(COUNT(*) AS BIGINT) FROM received_fax")
        .await;
    assert_eq!(received, 0);

    // With room again both are taken.
    rig.stop().await;
    rig.set_min_free_disk(1 << 20);
    rig.restart().await;
    rig.mail(&[FAR_NUMBER], &message).await;
    let mut sender = rig.call_in(&fax::pages(1), &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    rig.wait_faxes(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_number_that_is_not_ours_is_refused_unanswered() {
    let rig = Rig::builder().without_far_end().start().await;
    let statuses = phone::invite(rig.sip_address(), "+33199009999").await;
    assert_eq!(statuses.last(), Some(&404), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_mail_to_postmaster_reaches_the_operator_after_a_kill() {
    let mut rig = Rig::builder()
        .setting("relay", "postmaster = \"ops@example.localhost\"")
        .start()
        .await;
    // The relay is not to have it before the kill.
    rig.trick(Trick::Rcpt("451 4.3.0 later".into()));
    let message = b"From: s@else.example\r\nSubject: Your faxes\r\n\r\nStop them.\r\n";
    for _ in 0..2 {
        // The second time because the first 250 was lost.
        let answers = rig
            .try_mail("s@else.example", &["postmaster@fax.localhost"], message)
            .await;
        let data = answers.data.unwrap_or_default();
        assert!(
            data.ends_with("is kept and goes to the postmaster"),
            "{data}"
        );
    }
    rig.until("the relay's first answer", async || {
        let put_off =
            "SELECT COUNT(*) FROM outbox WHERE state = 'ready' AND last_answer LIKE '451%'";
        (rig.count(put_off).await == 1).then_some(())
    })
    .await;
    rig.kill9().await;
    rig.meddle("UPDATE outbox SET run_at = 0 WHERE state = 'ready'")
        .await;
    rig.restart().await;
    let notes = rig
        .until("the note to the operator", async || {
            let all = rig.mails().all();
            (!all.is_empty()).then_some(all)
        })
        .await;
    rig.reports_in_all().await;
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].recipients, ["ops@example.localhost"]);
    assert_eq!(notes[0].return_path, "s@else.example");
    let text = String::from_utf8_lossy(&notes[0].data).into_owned();
    assert!(text.starts_with("Received: from "), "{text}");
    assert!(
        text.ends_with("Subject: Your faxes\r\n\r\nStop them.\r\n"),
        "{text}"
    );
}
