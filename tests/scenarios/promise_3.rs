//! Never twice, never half in secret.

use faxpost::demo::sink::Trick;

use crate::support::{ALICE, FAR_NUMBER, Rig, RigBuilder, SAMPLE_PDF, fax, letters, short_waits};

/// A mail whose fax has four pages, on a line that is slow enough to be cut.
async fn sending(builder: RigBuilder, subject: &str) -> Rig {
    let rig = builder.start().await;
    let message = letters::message(
        subject,
        "Hello.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    rig
}

/// Waits until page data of page 2 is on the line.
pub async fn in_page_2(rig: &Rig) {
    rig.in_page(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_page_cut_off_is_unknown_and_not_repeated() {
    let builder = Rig::builder().policy("sending.toml", &short_waits(false));
    let mut rig = sending(builder, "Cut off").await;
    in_page_2(&rig).await;
    rig.kill_far_end().await;
    let report = rig.wait_report("Cut off").await;
    let job = rig.wait_job(&["unknown"]).await;
    assert_eq!((job.pages_confirmed, job.tries), (1, 1));
    assert_eq!(
        rig.page_reports(&job.job_id).await,
        [
            (0, 0, "confirmed".to_owned()),
            (0, 1, "unknown".to_owned()),
            (0, 2, "unsent".to_owned()),
            (0, 3, "unsent".to_owned()),
        ]
    );
    assert!(
        report
            .subject
            .starts_with("Partly confirmed: Cut off (1 of 4 pages"),
        "{}",
        report.subject
    );
    report.assert_says(&format!(
        "{FAR_NUMBER}: partly confirmed: other pages may have arrived"
    ));
    report.assert_says("Pages: 1 of 4 confirmed");
    report.assert_says(
        "1 confirmed; 2 unknown (sent, but not answered: may have arrived); 3–4 not sent",
    );
    report.assert_says("Calls placed: 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_retry_starts_at_the_first_page_that_is_not_confirmed_and_stamps_it() {
    let builder = Rig::builder().policy("sending.toml", &short_waits(true));
    let mut rig = sending(builder, "Again").await;
    in_page_2(&rig).await;
    rig.kill_far_end().await;
    rig.start_far_end(&[]).await;
    let report = rig.wait_report("Again").await;
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!(job.pages_confirmed, 4);
    assert!(job.tries >= 2);
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    report.assert_says("Pages: 4 of 4 confirmed");
    report.assert_says(&format!("Calls placed: {}", job.tries));

    report.assert_says("Possible repeats: 2 (sent again, “possible repeat” in the header line)");

    // Page 1 was confirmed before and is not sent again; page 2 says that it may be a repeat.
    let received = rig.far_fax(1).await;
    assert_eq!(received.len(), 3);
    let placed_at = rig.count("SELECT MAX(placed_at) FROM call").await;
    fax::assert_header(&received[0], placed_at, 2, 4, "continued, possible repeat");
    fax::assert_header(&received[1], placed_at, 3, 4, "");
    fax::assert_header(&received[2], placed_at, 4, 4, "");
    let reports = rig.page_reports(&job.job_id).await;
    let last = reports.last().unwrap().0;
    let of_last: Vec<_> = reports.iter().filter(|(leg, ..)| *leg == last).collect();
    assert_eq!(of_last.len(), 3, "{reports:?}");
    assert_eq!(of_last[0].1, 1, "{reports:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_kill_9_in_a_page_leaves_it_unknown() {
    let builder = Rig::builder().policy("sending.toml", &short_waits(false));
    let mut rig = sending(builder, "Stopped").await;
    in_page_2(&rig).await;
    rig.kill9().await;
    rig.restart().await;
    let report = rig.wait_report("Stopped").await;
    let job = rig.wait_job(&["unknown"]).await;
    assert_eq!((job.pages_confirmed, job.tries), (1, 1));
    report.assert_says("Our fax system was stopped during the call.");
    // Only the page on the line: those behind it had no permit yet.
    report.assert_says(
        "1 confirmed; 2 unknown (sent, but not answered: may have arrived); 3–4 not sent",
    );
    assert_eq!(rig.reports_in_all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_report_has_one_message_id_whatever_happens_to_it() {
    let mut rig = Rig::builder().start().await;
    // The relay takes the report and its answer is lost: it must come again, as the same.
    rig.trick(Trick::DropAfterDot);
    rig.mail(&[FAR_NUMBER], &letters::message("Twice", "Text.", &[]))
        .await;
    rig.wait_report("Twice").await;
    rig.kill9().await;
    rig.restart().await;
    rig.meddle("UPDATE outbox SET run_at = 0 WHERE state = 'ready'")
        .await;
    let reports = rig.reports_in_all().await;
    assert_eq!(reports.len(), 2);
    assert!(!reports[0].message_id.is_empty());
    assert_eq!(reports[0].message_id, reports[1].message_id);
    assert_eq!(reports[0].raw, reports[1].raw);

    rig.stop().await;
    rig.restart().await;
    assert_eq!(rig.reports_in_all().await.len(), 2);
    assert_eq!(rig.jobs().await[0].tries, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_what_is_confirmed_is_never_sent_again_however_often_the_rest_fails() {
    let rig = Rig::builder()
        .policy("sending.toml", &short_waits(true))
        .far_end(&["--refuse-page", "2"])
        .start()
        .await;
    let message = letters::message(
        "Four calls",
        "Hello.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("Four calls").await;
    let job = rig.jobs().await.remove(0);
    let reports = rig.page_reports(&job.job_id).await;
    // The far end won't keep the second page of a call: RNR and then DCN, with error correction. That is no
    // word about the page, so it is unknown; the next call begins with it, and has its own second page refused.
    for leg in 0..4 {
        let of_leg: Vec<_> = reports.iter().filter(|(at, ..)| *at == leg).collect();
        let first = i64::try_from(leg).unwrap();
        assert_eq!(
            (of_leg[0].1, of_leg[0].2.as_str()),
            (first, "confirmed"),
            "{reports:?}"
        );
        if leg < 3 {
            assert_eq!(
                (of_leg[1].1, of_leg[1].2.as_str()),
                (first + 1, "unknown"),
                "{reports:?}"
            );
        }
    }
    assert_eq!((job.state.as_str(), job.tries), ("sent", 4));
    report.assert_says("Pages: 4 of 4 confirmed");
    for number in 1..=4 {
        assert_eq!(rig.far_fax(number).await.len(), 1);
    }
    assert_eq!(rig.reports_in_all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_mail_sent_again_after_its_250_was_lost_is_faxed_once() {
    let mut rig = Rig::builder().start().await;
    let message = letters::message("Once", "Text.", &[]);
    let first = rig.try_mail(ALICE, &[FAR_NUMBER], &message).await;
    let kept = |answer: Option<String>| -> (String, String) {
        let answer = answer.unwrap_or_default();
        let text = answer.strip_prefix("250 2.0.0 ").expect("accepted");
        let (id, rest) = text.split_once(' ').unwrap();
        (id.to_owned(), rest.to_owned())
    };
    let (id, words) = kept(first.data);
    assert_eq!(words, "is kept and will be faxed");
    // The client did not hear that, nor did it after we were killed.
    for restart in [false, true] {
        if restart {
            rig.kill9().await;
            rig.restart().await;
        }
        let (again, words) = kept(rig.try_mail(ALICE, &[FAR_NUMBER], &message).await.data);
        assert_eq!(again, id);
        assert_eq!(
            words,
            "is kept since this mail came before: it is not faxed again"
        );
    }
    // With a number that is new, only that one is faxed.
    let other = "+33123456780";
    let (_, words) = kept(
        rig.try_mail(ALICE, &[FAR_NUMBER, other], &message)
            .await
            .data,
    );
    assert_eq!(
        words,
        "is kept and will be faxed to 1 of 2: the others had this mail before"
    );

    rig.wait_reports(2).await;
    let reports = rig.reports_in_all().await;
    assert_eq!(reports.len(), 2);
    let on = |number: &str| {
        reports
            .iter()
            .filter(|report| report.text.contains(number))
            .count()
    };
    assert_eq!(
        (
            on(&format!("{FAR_NUMBER}: sent")),
            on(&format!("{other}: sent"))
        ),
        (1, 1)
    );
    let jobs: Vec<String> = rig
        .jobs()
        .await
        .into_iter()
        .map(|job| job.destination)
        .collect();
    assert_eq!(jobs, [FAR_NUMBER, other]);
    // Who means to send it twice writes a second mail: it has a Message-ID of its own.
    rig.mail(&[FAR_NUMBER], &letters::message("Once", "Text.", &[]))
        .await;
    assert_eq!(rig.jobs().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_stop_lets_the_call_on_the_line_end() {
    let mut rig = Rig::builder().start().await;
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("At the stop", "Text.", &[]),
    )
    .await;
    rig.wait_job(&["sending"]).await;
    rig.stop().await;
    // The call went on to its end, which is on record though nothing could be reported any more.
    rig.restart().await;
    let report = rig.wait_report("At the stop").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    let job = rig.jobs().await.pop().unwrap();
    assert_eq!((job.state.as_str(), job.tries), ("sent", 1), "{job:?}");
    assert_eq!(rig.far_fax(1).await.len(), 1);
}
