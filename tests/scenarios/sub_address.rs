//! Sub-addresses (T.33): two people behind one number.

use faxpost_t4::Resolution;

use crate::support::{
    FAR_NUMBER, Rig, fax, letters,
    scripted::{Script, ScriptedFax},
    short_waits,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sub_address_goes_out_to_a_machine_that_takes_it() {
    let rig = Rig::builder()
        .without_far_end()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let script = Script::ecm(&[]).taking_sub_address();
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[script]).await;
    // One mail to two people behind one number.
    let both = [
        format!("{FAR_NUMBER}/T33S=1234"),
        format!("FAX={FAR_NUMBER}/T33S=99"),
    ];
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    rig.mail(&both, &letters::message("Behind", "Hello.", &[]))
        .await;
    let report = rig.wait_report("Behind").await;
    report.assert_says("Sub-address: 1234");
    report.assert_says("Sub-address: 99");
    assert!(
        report.subject.starts_with("Sent: Behind"),
        "{}",
        report.subject
    );
    let mut asked_for: Vec<String> = far
        .frames()
        .into_iter()
        .flatten()
        .filter(|name| name.starts_with("SUB"))
        .collect();
    asked_for.sort();
    assert_eq!(asked_for, ["SUB 1234", "SUB 99"], "{:?}", far.frames());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_machine_that_takes_no_sub_address_is_sent_nothing_and_the_report_says_so() {
    let rig = Rig::builder()
        .without_far_end()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[Script::ecm(&[])]).await;
    let to = format!("{FAR_NUMBER}/T33S=1234");
    rig.mail(&[&to], &letters::message("Nowhere", "Hello.", &[]))
        .await;
    let report = rig.wait_report("Nowhere").await;
    let job = rig.jobs().await.remove(0);
    assert_eq!(
        (job.state.as_str(), job.tries, job.outcome.as_deref()),
        ("failed", 1, Some("sub-address-not-taken")),
        "{job:?}"
    );
    assert_eq!(far.pages(0), ["DCN"], "nothing went out");
    report.assert_says("The far fax machine takes no sub-address");
    report.assert_says("send to the number alone if everybody may read it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sub_address_of_a_received_fax_is_on_record_and_in_its_letter() {
    let mut rig = Rig::builder().start().await;
    let pages = [fax::page(3, Resolution::Standard, 1143)];
    let mut sender = rig.call_in(&pages, &["--sub-address", "4711"]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let faxes = rig.wait_faxes(1).await;
    faxes[0].assert_says("Sub-address: 4711");
    let recorded = "SELECT count(*) FROM received_fax WHERE sub_address = '4711'";
    assert_eq!(rig.count(recorded).await, 1);
}
