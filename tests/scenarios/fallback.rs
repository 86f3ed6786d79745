//! Between two calls of a fax less is offered, and what worked is remembered of the number.

use sqlx::Row as _;

use crate::support::{
    FAR_NUMBER, Rig, letters,
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
