//! Between two calls of a fax less is offered, and what worked is remembered of the number.

use sqlx::Row as _;

use crate::support::{
    FAR_NUMBER, Rig, letters, ports,
    ports::local,
    scripted::{Answer, Script, ScriptedFax, Training},
    short_waits,
};

/// What each outgoing call offered, in order, as it is on record.
async fn offered(rig: &Rig) -> Vec<String> {
    sqlx::query(
        "SELECT leg.offered_t38, leg.offered_v17, leg.offered_ecm FROM leg
         JOIN call ON call.call_id = leg.call_id ORDER BY call.placed_at, call.call_id",
    )
    .fetch_all(rig.store.reader())
    .await
    .unwrap()
    .iter()
    .map(|row| {
        let is = |column| row.get::<i64, _>(column) == 1;
        let mut words = vec![if is("offered_t38") { "t38" } else { "g711" }];
        words.extend(is("offered_v17").then_some("v17"));
        words.extend(is("offered_ecm").then_some("ecm"));
        words.join(" ")
    })
    .collect()
}

/// What is remembered of the far end, and for how many days.
async fn remembered(rig: &Rig) -> Vec<(i64, i64, i64, i64)> {
    sqlx::query(
        "SELECT t38, v17, ecm, (expires_at - learned_at) / 86400000 AS days FROM destination_memory
         WHERE destination = $1",
    )
    .bind(FAR_NUMBER)
    .fetch_all(rig.store.reader())
    .await
    .unwrap()
    .iter()
    .map(|row| {
        (
            row.get("t38"),
            row.get("v17"),
            row.get("ecm"),
            row.get("days"),
        )
    })
    .collect()
}

async fn fax(rig: &Rig, subject: &str) {
    rig.mail(&[FAR_NUMBER], &letters::message(subject, "Hello.", &[]))
        .await;
    let report = rig.wait_report(subject).await;
    let sent = format!("Sent: {subject} (1 page");
    assert!(report.subject.starts_with(&sent), "{}", report.subject);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_fails_with_v17_is_called_without_and_the_next_fax_begins_so() {
    let rig = Rig::builder()
        .without_far_end()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let fails = Script::ecm(&[]).trainings(&[Training::Ftt, Training::Dcn]);
    let scripts = [fails, Script::ecm(&[])];
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &scripts).await;
    fax(&rig, "First").await;
    assert_eq!(offered(&rig).await, ["t38 v17 ecm", "t38 ecm"]);
    assert_eq!(far.first_rate(0), Some(14_400));
    assert_eq!(far.first_rate(1), Some(9_600), "V.29 is what is left");
    assert_eq!(remembered(&rig).await, [(1, 0, 1, 90)]);

    fax(&rig, "Second").await;
    assert_eq!(offered(&rig).await[2..], ["t38 ecm"]);
    assert_eq!(far.first_rate(2), Some(9_600));
    assert_eq!(far.frames().len(), 3, "no call was lost on V.17");

    // Its time is over: everything is offered again, and the memory goes.
    let mut tx = rig.store.begin().await.unwrap();
    sqlx::query("UPDATE destination_memory SET expires_at = learned_at")
        .execute(tx.conn())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    fax(&rig, "Third").await;
    assert_eq!(offered(&rig).await[3..], ["t38 v17 ecm"]);
    assert_eq!(far.first_rate(3), Some(14_400));
    rig.until("what is over is forgotten", async || {
        remembered(&rig).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_refused_goes_out_again_with_less_and_nothing_is_learned_from_a_full_offer()
{
    let rig = Rig::builder()
        .without_far_end()
        .policy(
            "sending.toml",
            &short_waits(false).replace("remember_days = 90", "remember_days = 0"),
        )
        .start()
        .await;
    let scripts = [
        Script::ecm(&[]),
        Script::ecm(&[Answer::Rtn]),
        Script::ecm(&[]),
    ];
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &scripts).await;
    fax(&rig, "Whole").await;
    fax(&rig, "Refused").await;
    assert_eq!(
        offered(&rig).await,
        ["t38 v17 ecm", "t38 v17 ecm", "t38 ecm"]
    );
    assert_eq!(far.first_rate(2), Some(9_600));
    // The policy says that nothing is remembered.
    fax(&rig, "Again").await;
    assert_eq!(offered(&rig).await[3..], ["t38 v17 ecm"]);
    assert!(remembered(&rig).await.is_empty());
}

/// Calls enough for the whole ladder; after so many failures of the protocol the next waits for [`go_on`].
fn ladder(at_once: usize) -> String {
    let waits = [vec!["1"; at_once], vec!["600"; 3]].concat().join(", ");
    format!(
        "max_calls = 8\nmax_tries = 8\nrepeat_unknown = true\nremember_days = 90\n[wait_s]\nbusy = []\nno_answer = []\n\
         protocol = [{waits}]\ntrunk = []\nno_fax = []\n"
    )
}

/// Waits until so many calls have failed, and the next is far off.
async fn failed(rig: &Rig, calls: i64) {
    rig.until(&format!("{calls} calls failed"), async || {
        let job = rig.wait_job(&["waiting"]).await;
        let far_off =
            "SELECT COUNT(*) FROM job WHERE run_at > (SELECT MAX(placed_at) FROM call) + 300000";
        (job.tries == calls && rig.count(far_off).await == 1).then_some(())
    })
    .await;
}

/// The next call is placed now.
async fn go_on(rig: &Rig) {
    rig.meddle("UPDATE job SET run_at = 1 WHERE state = 'waiting'")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_that_fails_twice_over_t38_goes_out_over_g_711_and_the_next_begins_so() {
    let mut rig = Rig::builder()
        .without_far_end()
        .policy("sending.toml", &ladder(1))
        .start()
        .await;
    let fails = Script::ecm(&[]).trainings(&[Training::Ftt, Training::Dcn]);
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[fails]).await;
    rig.mail(&[FAR_NUMBER], &letters::message("Audio", "Hello.", &[]))
        .await;
    failed(&rig, 2).await;
    assert_eq!(far.frames().len(), 2, "both calls came to T.38");
    far.stop().await;
    rig.start_far_end(&["--no-t38"]).await;
    go_on(&rig).await;
    let report = rig.wait_report("Audio").await;
    assert!(report.subject.starts_with("Sent: "), "{}", report.subject);
    assert_eq!(offered(&rig).await, ["t38 v17 ecm", "t38 ecm", "g711 ecm"]);
    let audio = "SELECT COUNT(*) FROM call WHERE media = 'g711'";
    assert_eq!(rig.count(audio).await, 1);
    assert_eq!(remembered(&rig).await, [(0, 0, 1, 90)]);
    fax(&rig, "Next").await;
    assert_eq!(offered(&rig).await[3..], ["g711 ecm"]);
    assert_eq!(rig.far_fax(2).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_trunk_is_tried_before_error_correction_is_given_up() {
    let mut rig = Rig::builder()
        .without_far_end()
        .policy("sending.toml", &ladder(2))
        .start()
        .await;
    let other = ports::free();
    rig.admin("set trunk \"far end\" t38 never");
    rig.admin(&format!(
        "add trunk other host 127.0.0.1 port {other} t38 never priority 5"
    ));
    // Taken up at once by who starts anew.
    rig.stop().await;
    rig.restart().await;
    // Machines that have no room for a page, on every trunk.
    let full = ["--no-t38", "--refuse-page", "1"];
    rig.start_far_end(&full).await;
    let second = rig.answering(local(other), &full).await;
    rig.mail(&[FAR_NUMBER], &letters::message("Ladder", "Hello.", &[]))
        .await;
    failed(&rig, 3).await;
    rig.kill_far_end().await;
    rig.start_far_end(&["--no-t38"]).await;
    go_on(&rig).await;
    let report = rig.wait_report("Ladder").await;
    assert!(report.subject.starts_with("Sent: "), "{}", report.subject);
    assert!(second.log().contains("refused page 1"), "{}", second.log());
    let by: Vec<String> = sqlx::query_scalar(
        "SELECT trunk.name FROM call JOIN trunk ON trunk.trunk_id = call.trunk_id ORDER BY call.placed_at",
    )
    .fetch_all(rig.store.reader())
    .await
    .unwrap();
    let offers = offered(&rig).await;
    let steps: Vec<_> = by.iter().zip(&offers).collect();
    let less = |offer: &str, without: &str| offer.split(' ').all(|word| word != without);
    assert_eq!(by, ["far end", "far end", "other", "far end"], "{steps:?}");
    assert_eq!(offers[1], offers[2], "the same offer on another trunk");
    assert!(!less(&offers[0], "v17") && less(&offers[1], "v17"));
    assert!(
        !less(&offers[2], "ecm") && less(&offers[3], "ecm"),
        "{steps:?}"
    );
}
