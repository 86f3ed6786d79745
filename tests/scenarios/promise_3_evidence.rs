//! Never twice, never half in secret: what the far end says of each page, and nothing else, is what is on
//! record, what is paid for and what the sender is told.

use faxpost::people::Language;

use crate::support::{
    FAR_NUMBER, Job, Rig, RigBuilder, SAMPLE_PDF,
    letters::{self, Letter},
    scripted::{Answer::*, Script, ScriptedFax, Training},
    short_waits,
};

/// Three pages behind the cover, each soon over on the line.
const THREE_PAGES: &[u8] = b"One.\x0cTwo.\x0cThree.";
/// One unit a page.
const TARIFFS: &str =
    "held_pages = 10\n[[tariff]]\nname = \"all\"\nprefix = \"\"\npage_price = 1000\n";

/// A fax of four pages that a scripted far end heard, and what became of it.
struct Told {
    rig: Rig,
    far: ScriptedFax,
    report: Letter,
    job: Job,
}

fn line() -> RigBuilder {
    Rig::builder()
        .without_far_end()
        .policy("tariffs.toml", TARIFFS)
        .policy("sending.toml", &short_waits(false))
}

/// A third call that broke off would be G.711, which the scripted machine does not speak.
fn two_calls() -> RigBuilder {
    let policy = short_waits(false).replace("max_calls = 4", "max_calls = 2");
    line().policy("sending.toml", &policy)
}

async fn fax(builder: RigBuilder, attachments: &[(&str, &str, &[u8])], scripts: &[Script]) -> Told {
    let rig = builder.start().await;
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), scripts).await;
    let message = letters::message("Evidence", "Hello.", attachments);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("Evidence").await;
    let job = rig.jobs().await.remove(0);
    // Promise 8: whatever became of it, its confirmed pages are what it cost.
    let (_, _, settled, pages) = rig.holds().await.remove(0);
    assert_eq!(pages, Some(job.pages_confirmed));
    assert_eq!(settled, Some(job.pages_confirmed * 1000));
    Told {
        rig,
        far,
        report,
        job,
    }
}

async fn four_pages(builder: RigBuilder, scripts: &[Script]) -> Told {
    let pages: [(&str, &str, &[u8]); 1] = [("text/plain", "pages.txt", THREE_PAGES)];
    fax(builder, &pages, scripts).await
}

impl Told {
    /// The verdicts of one call on its pages, by the job's page numbers from 1: `2 refused`.
    async fn call(&self, call: usize) -> Vec<String> {
        let reports = self.rig.page_reports(&self.job.job_id).await;
        reports
            .into_iter()
            .filter(|(leg, ..)| *leg == call)
            .map(|(_, page, verdict)| format!("{} {verdict}", page + 1))
            .collect()
    }

    async fn evidence(&self) -> Vec<String> {
        self.rig.evidence(&self.job.job_id).await
    }

    /// State, calls placed, pages confirmed.
    fn ended(&self, state: &str, calls: i64, confirmed: i64) {
        let job = &self.job;
        assert_eq!(
            (job.state.as_str(), job.tries, job.pages_confirmed),
            (state, calls, confirmed),
            "{job:?} {:?}",
            self.far.frames()
        );
    }

    fn subject(&self, start: &str) {
        let subject = &self.report.subject;
        assert!(subject.starts_with(start), "{subject}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_page_answered_by_rtn_is_refused_and_goes_out_again_in_the_next_call() {
    let told = four_pages(line(), &[Script::ecm(&[Mcf, Rtn]), Script::ecm(&[])]).await;
    told.ended("sent", 2, 4);
    assert_eq!(
        told.call(0).await,
        ["1 confirmed", "2 refused", "3 unsent", "4 unsent"]
    );
    assert_eq!(
        told.call(1).await,
        ["2 confirmed", "3 confirmed", "4 confirmed"]
    );
    assert_eq!(
        told.evidence().await[..2],
        ["MCF to PPS-MPS", "RTN to PPS-MPS"]
    );
    assert_eq!(
        told.far.pages(1),
        [
            "PPS-MPS", "> MCF", "PPS-MPS", "> MCF", "PPS-EOP", "> MCF", "DCN"
        ]
    );
    told.subject("Sent: Evidence (4 pages");
    told.report.assert_says("Calls placed: 2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_without_error_correction_a_page_answered_by_rtn_goes_out_again_at_once() {
    let told = four_pages(line(), &[Script::plain(&[Mcf, Rtn])]).await;
    told.ended("sent", 1, 4);
    // The last word is on record; five pages were on the line.
    assert_eq!(
        told.call(0).await,
        ["1 confirmed", "2 confirmed", "3 confirmed", "4 confirmed"]
    );
    assert_eq!(
        told.far.pages(0),
        [
            "MPS", "> MCF", "MPS", "> RTN", "MPS", "> MCF", "MPS", "> MCF", "EOP", "> MCF", "DCN"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_page_that_is_refused_for_good_is_told_and_not_paid_for() {
    let scripts = [Script::ecm(&[Mcf, Mcf, Mcf, Rtn]), Script::ecm(&[Rtn])];
    let told = four_pages(two_calls(), &scripts).await;
    told.ended("partly", 2, 3);
    assert_eq!(told.call(1).await, ["4 refused"]);
    assert_eq!(told.far.pages(1), ["PPS-EOP", "> RTN", "DCN"]);
    assert_eq!(told.job.outcome.as_deref(), Some("pages-refused"));
    told.subject("Partly sent: Evidence (3 of 4 pages");
    let report = &told.report;
    report.assert_says(&format!("{FAR_NUMBER}: partly sent"));
    report.assert_says("The far fax machine refused a page as unreadable.");
    report.assert_says("Pages: 3 of 4 confirmed");
    report.assert_says("1–3 confirmed; 4 refused by the far machine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_page_answered_by_rtp_is_confirmed() {
    // T.30 §5.3.6.1.7: the message was received; training is asked for before the next.
    let told = four_pages(line(), &[Script::plain(&[Mcf, Rtp, Mcf, Rtp])]).await;
    told.ended("sent", 1, 4);
    assert_eq!(
        told.evidence().await,
        ["MCF to MPS", "RTP to MPS", "MCF to MPS", "RTP to EOP"]
    );
    told.subject("Sent: Evidence (4 pages");

    // With error correction the engine gives the call up at RTP: the page counts all the same.
    let told = four_pages(line(), &[Script::ecm(&[Mcf, Rtp]), Script::ecm(&[])]).await;
    told.ended("sent", 2, 4);
    assert_eq!(
        told.call(0).await,
        ["1 confirmed", "2 confirmed", "3 unsent", "4 unsent"]
    );
    assert_eq!(told.call(1).await, ["3 confirmed", "4 confirmed"]);
    assert_eq!(told.evidence().await[1], "RTP to PPS-MPS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_silence_after_the_last_page_leaves_it_unknown_and_the_subject_says_so() {
    let told = four_pages(line(), &[Script::ecm(&[Mcf, Mcf, Mcf, Silence])]).await;
    told.ended("unknown", 1, 3);
    assert_eq!(
        told.call(0).await,
        ["1 confirmed", "2 confirmed", "3 confirmed", "4 unknown"]
    );
    assert_eq!(told.evidence().await[3], "no answer to PPS-EOP");
    told.subject("Partly confirmed: Evidence (3 of 4 pages");
    let report = &told.report;
    report.assert_says(&format!(
        "{FAR_NUMBER}: partly confirmed: other pages may have arrived"
    ));
    report.assert_says("The far fax machine fell silent after a page and did not confirm it.");
    report.assert_says("1–3 confirmed; 4 unknown (sent, but not answered: may have arrived)");
    report.assert_says("Pages: 3 of 4 confirmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_silence_after_the_only_page_is_told_in_french() {
    let told = fax(
        line().language(Language::Fr),
        &[],
        &[Script::plain(&[Silence])],
    )
    .await;
    told.ended("unknown", 1, 0);
    assert_eq!(told.call(0).await, ["1 unknown"]);
    assert_eq!(told.evidence().await, ["no answer to EOP"]);
    told.subject("Non confirmé\u{a0}: Evidence");
    told.report
        .assert_says("non confirmé : il est peut-être arrivé");
    told.report
        .assert_says("1 inconnue (envoyée sans réponse : peut-être arrivée)");

    let told = four_pages(
        line().language(Language::Fr),
        &[Script::ecm(&[Mcf, Mcf, Mcf, Silence])],
    )
    .await;
    told.subject("Confirmé en partie\u{a0}: Evidence (3 sur 4 pages");
    told.report
        .assert_says("confirmé en partie : d'autres pages sont peut-être arrivées");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_an_answer_that_comes_at_the_second_asking_confirms() {
    let told = four_pages(line(), &[Script::ecm(&[Mcf, Mcf, Mcf, Lost])]).await;
    told.ended("sent", 1, 4);
    let frames = told.far.pages(0);
    let end = &frames[frames.len() - 5..];
    assert_eq!(end, ["PPS-EOP", "(lost)", "PPS-EOP", "> MCF", "DCN"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_far_end_that_goes_away_leaves_the_page_on_the_line_unknown() {
    for (how, key, evidence) in [
        (Dcn, "hung-up-after-page", "DCN to PPS-MPS"),
        (DcnInPage, "protocol-error", "broken off within the page"),
        (HangUp, "dropped-in-page", "no answer to PPS-MPS"),
    ] {
        let told = four_pages(line(), &[Script::ecm(&[Mcf, how])]).await;
        told.ended("unknown", 1, 1);
        assert_eq!(
            told.call(0).await,
            ["1 confirmed", "2 unknown", "3 unsent", "4 unsent"],
            "{how:?}"
        );
        assert_eq!(told.job.outcome.as_deref(), Some(key), "{how:?}");
        assert_eq!(told.evidence().await[1], evidence, "{how:?}");
        told.subject("Partly confirmed: Evidence (1 of 4 pages");
        told.report.assert_says("1 confirmed; 2 unknown");
        told.report.assert_says("3–4 not sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_dcn_between_pages_leaves_the_rest_unsent_and_the_ladder_ends_in_partly() {
    let scripts = [
        Script::plain(&[Mcf, Rtp]).trainings(&[Training::Cfr, Training::Dcn]),
        Script::plain(&[]).trainings(&[Training::Ftt, Training::Dcn]),
    ];
    let told = four_pages(two_calls(), &scripts).await;
    told.ended("partly", 2, 2);
    assert_eq!(
        told.call(0).await,
        ["1 confirmed", "2 confirmed", "3 unsent", "4 unsent"]
    );
    assert_eq!(told.call(1).await, ["3 unsent", "4 unsent"]);
    assert_eq!(told.far.pages(1), ["> FTT", "> DCN"]);
    told.subject("Partly sent: Evidence (2 of 4 pages");
    let report = &told.report;
    report.assert_says(&format!("{FAR_NUMBER}: partly sent"));
    report.assert_says("1–2 confirmed; 3–4 not sent");
    report.assert_says("Calls placed: 2");
    // Nothing that anybody might have got is hidden, nothing is claimed.
    assert!(!report.words().contains("unknown"), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_page_asked_for_again_until_the_rate_falls_is_confirmed_once() {
    let told = four_pages(line(), &[Script::ecm(&[Mcf, PprUntilCtc])]).await;
    told.ended("sent", 1, 4);
    let frames = told.far.pages(0);
    assert_eq!(
        frames.iter().filter(|name| *name == "> PPR").count(),
        4,
        "{frames:?}"
    );
    assert!(frames.contains(&"CTC".to_owned()), "{frames:?}");
    assert_eq!(told.far.first_rate(0), Some(14_400));
    let told_rate = told.rig.count("SELECT rate FROM leg").await;
    assert_eq!(told_rate, 12_000, "CTC goes on one step lower");
    assert_eq!(told.evidence().await, {
        let mut evidence = vec!["MCF to PPS-MPS"; 3];
        evidence.push("MCF to PPS-EOP");
        evidence
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_page_whose_record_comes_too_late_does_not_go_out_and_we_are_named() {
    let once = short_waits(false).replace("max_calls = 4", "max_calls = 1");
    let rig = line().policy("sending.toml", &once).start().await;
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[Script::ecm(&[])]).await;
    let message = letters::message(
        "Late",
        "Hello.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    super::promise_3::in_page_2(&rig).await;
    // From here on nothing can be recorded: page 2 is confirmed, and page 3 must not begin.
    let mut tx = rig.store.begin().await.unwrap();
    sqlx::query("UPDATE job SET deadline = deadline")
        .execute(tx.conn())
        .await
        .unwrap();
    rig.until("the gateway hangs up", async || {
        far.is_over(0).then_some(())
    })
    .await;
    drop(tx);
    let report = rig.wait_report("Late").await;
    let job = rig.jobs().await.remove(0);
    assert_eq!(far.pages(0), ["PPS-MPS", "> MCF", "PPS-MPS", "> MCF"]);
    assert_eq!(
        (job.state.as_str(), job.pages_confirmed),
        ("partly", 2),
        "{job:?}"
    );
    assert_eq!(rig.holds().await[0].3, Some(2));
    assert!(
        report.subject.starts_with("Partly sent: Late (2 of 4"),
        "{}",
        report.subject
    );
    report.assert_says("1–2 confirmed; 3–4 not sent");
    report.assert_says("Our fax system had a fault during the call.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_fax_whose_time_runs_out_between_two_calls_is_told_by_what_arrived() {
    let later = short_waits(false).replace("[1, 1, 1]", "[600]");
    let rig = line().policy("sending.toml", &later).start().await;
    // Two pages are confirmed, and nothing of the others goes out.
    let script = Script::plain(&[Mcf, Rtp]).trainings(&[Training::Cfr, Training::Dcn]);
    let _far = ScriptedFax::start(rig.far_address(), rig.speed(), &[script]).await;
    let pages: [(&str, &str, &[u8]); 1] = [("text/plain", "pages.txt", THREE_PAGES)];
    rig.mail(&[FAR_NUMBER], &letters::message("Over", "Hello.", &pages))
        .await;
    rig.wait_job(&["waiting"]).await;
    rig.meddle("UPDATE job SET deadline = 1").await;
    let report = rig.wait_report("Over").await;
    let job = rig.jobs().await.remove(0);
    assert_eq!((job.state.as_str(), job.pages_confirmed), ("partly", 2));
    assert_eq!(rig.holds().await[0].3, Some(2));
    assert!(
        report.subject.starts_with("Partly sent: Over (2 of 4"),
        "{}",
        report.subject
    );
    report.assert_says(&format!("{FAR_NUMBER}: partly sent"));
    report.assert_says("The time for sending this fax ran out. Send what is missing again");
    report.assert_says("1–2 confirmed; 3–4 not sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_that_is_cancelled_on_the_line_is_ended_with_dcn_after_the_page_in_progress() {
    // T.30 §5.3.6.1.8: the far machine is told that no page follows, before the BYE.
    for script in [Script::ecm(&[]), Script::plain(&[])] {
        let rig = line().speed(1).start().await;
        let far = ScriptedFax::start(rig.far_address(), 1, &[script]).await;
        let pages: [(&str, &str, &[u8]); 1] = [("text/plain", "pages.txt", THREE_PAGES)];
        rig.mail(&[FAR_NUMBER], &letters::message("Told", "Hello.", &pages))
            .await;
        let job = rig.wait_job(&["sending"]).await;
        rig.admin(&format!("cancel {}", job.job_id));
        let report = rig.wait_report("Told").await;
        report.assert_says("The fax was cancelled.");
        rig.until("the call is over", async || far.is_over(0).then_some(()))
            .await;
        let pages = far.pages(0);
        let confirmed = rig.jobs().await[0].pages_confirmed;
        assert!((1..4).contains(&confirmed), "{pages:?}");
        assert_eq!(pages.last().map(String::as_str), Some("DCN"), "{pages:?}");
        let answers = pages.iter().filter(|name| *name == "> MCF").count();
        assert_eq!(answers as i64, confirmed, "{pages:?}");
        assert!(
            !pages.iter().any(|name| name.ends_with("EOP")),
            "no page said that it was the last: {pages:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_stop_during_a_call_is_told_as_one() {
    // No time to end the call by itself: it is hung up within its page.
    let mut rig = line().speed(1).drain_s(0).start().await;
    let far = ScriptedFax::start(rig.far_address(), 1, &[Script::ecm(&[])]).await;
    rig.mail(&[FAR_NUMBER], &letters::message("Stopped", "Hello.", &[]))
        .await;
    rig.wait_job(&["sending"]).await;
    rig.stop().await;
    rig.until("the call is over", async || far.is_over(0).then_some(()))
        .await;
    rig.restart().await;
    let report = rig.wait_report("Stopped").await;
    report.assert_says("Our fax system was stopped during the call.");
    report.assert_says("unknown (sent, but not answered: may have arrived)");
    let job = rig.jobs().await.remove(0);
    assert_eq!(
        (job.state.as_str(), job.outcome.as_deref()),
        ("unknown", Some("gateway-restarted"))
    );
}
