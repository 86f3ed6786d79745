//! What one mail asks of its faxes, and whom its addresses name.

use faxpost_t4::Resolution;

use crate::support::{FAR_NUMBER, Rig, fax, letters, short_waits};

const OTHER_NUMBER: &str = "+33140000001";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_is_faxed_as_it_asks() {
    let rig = Rig::builder()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let text = "#fax nocover, code 4711,\r\n  header \"Martin & Sons\"\r\n\r\nHello.";
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("[resolution standard] Asked", text, &[]),
    )
    .await;
    let report = rig.wait_report("Asked").await;
    assert!(
        report.subject.starts_with("Sent: Asked (1 page"),
        "{}",
        report.subject
    );
    report.assert_says("Billing code: 4711");
    let pages = rig.far_fax(1).await;
    assert_eq!(pages.len(), 1, "no cover");
    assert_eq!(pages[0].resolution, Resolution::Standard);
    let asked = "SELECT count(*) FROM job WHERE code = '4711' AND options LIKE '%Martin & Sons%'";
    assert_eq!(rig.count(asked).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_address_has_its_own_pages() {
    let rig = Rig::builder()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let other = format!("{OTHER_NUMBER}/cover=none/resolution=standard");
    rig.mail(
        &[FAR_NUMBER, &other],
        &letters::message("Both", "Hello.", &[]),
    )
    .await;
    let report = rig.wait_report("Both").await;
    assert!(
        report.subject.starts_with("Sent: Both (2 of 2"),
        "{}",
        report.subject
    );
    let covers =
        "SELECT count(*) FROM job WHERE cover_custody_id IS NOT NULL AND rendition_id IS NULL";
    assert_eq!(rig.count(covers).await, 1, "the text is on the cover");
    let pages =
        "SELECT count(*) FROM job WHERE cover_custody_id IS NULL AND rendition_id IS NOT NULL";
    assert_eq!(rig.count(pages).await, 1, "the text has a page of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_fax_waits_for_its_time_and_no_longer() {
    let rig = Rig::builder()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("Later [at +2h, not after +3h]", "Hello.", &[]),
    )
    .await;
    let job = rig.wait_job(&["ready"]).await;
    assert_eq!(
        (job.tries, job.pages_total),
        (0, Some(1)),
        "its pages are made at once"
    );
    let waits = "SELECT count(*) FROM job WHERE run_at = send_at AND send_at = accepted_at + 7200000 - (accepted_at + 7200000 - send_at)
                 AND expires_at = not_after AND not_after > send_at AND deadline <= not_after";
    assert_eq!(rig.count(waits).await, 1);
    assert_eq!(rig.meddle("UPDATE job SET run_at = 0").await, 1);
    rig.wait_report("Later").await.assert_says("1 of 1");

    rig.mail(
        &[FAR_NUMBER],
        &letters::message("Never [at +2h, not after +3h]", "Hello.", &[]),
    )
    .await;
    rig.wait_job(&["ready"]).await;
    let over = "UPDATE job SET run_at = 0, not_after = 1, expires_at = 1, deadline = 1 WHERE state = 'ready'";
    assert_eq!(rig.meddle(over).await, 1);
    let report = rig.wait_report("Never").await;
    assert!(
        report.subject.starts_with("Not sent: Never"),
        "{}",
        report.subject
    );
    let ended = "SELECT count(*) FROM job WHERE state = 'expired' AND tries = 0";
    assert_eq!(rig.count(ended).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_nobody_calls_as_another_nor_without_the_code_that_is_wanted() {
    let rig = Rig::builder().without_far_end().start().await;
    let refused = async |subject: &str, why: &str| {
        let message = letters::message(subject, "Hello.", &[]);
        let answers = rig
            .try_mail(crate::support::ALICE, &[FAR_NUMBER], &message)
            .await;
        let data = answers.data.as_deref().unwrap_or_default().to_owned();
        assert!(
            data.starts_with("550") && data.contains(why),
            "{subject}: {data}"
        );
    };
    refused("x [caller +33155555555]", "not one of your own numbers").await;
    rig.admin("set profile Basic code 47##,AB-*");
    refused("x", "wants a billing code").await;
    refused("x [code 4811]", "no billing code").await;
    assert_eq!(rig.count("SELECT count(*) FROM submission").await, 0);
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("y [code ab-1, caller +33199001122]", "Hello.", &[]),
    )
    .await;
    assert_eq!(
        rig.count("SELECT count(*) FROM job WHERE caller = '+33199001122'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_and_groups_are_faxed_by_their_names() {
    let rig = Rig::builder()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    rig.admin(&format!("add contact Jo.Doe {FAR_NUMBER} title \"Jo Doe\""));
    rig.admin(&format!(
        "add contact max {OTHER_NUMBER} for alice@example.localhost"
    ));
    rig.admin("add contact-group board jo.doe");
    // The group's number is Jo's, who has one fax.
    let to = ["JO.DOE", "board", "max"];
    rig.mail(&to, &letters::message("Named", "Hello.", &[]))
        .await;
    let report = rig.wait_report("Named").await;
    assert!(
        report.subject.starts_with("Sent: Named (2 of 2"),
        "{}",
        report.subject
    );
    assert_eq!(
        rig.count("SELECT count(*) FROM job WHERE to_name = 'Jo Doe'")
            .await,
        1
    );
    let message = letters::message("Nobody", "Hello.", &[]);
    let answers = rig
        .try_mail(crate::support::ALICE, &["nobody"], &message)
        .await;
    let told = format!("{answers:?}");
    assert!(
        told.contains("nobody is no fax number and no contact"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_list_is_faxed_and_its_bad_lines_are_named() {
    let rig = Rig::builder()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let list = format!(
        "number;name\r\n{FAR_NUMBER};Jo Doe\r\nnobody;x\r\n{OTHER_NUMBER}/T33S=;y\r\n{OTHER_NUMBER};Max;nocover\r\n"
    );
    let files: &[(&str, &str, &[u8])] = &[("text/csv", "distribution-list.csv", list.as_bytes())];
    rig.mail(&["list"], &letters::message("Listed", "Hello.", files))
        .await;
    let report = rig.wait_report("Listed").await;
    assert!(
        report.subject.starts_with("Sent: Listed (2 of 2"),
        "{}",
        report.subject
    );
    assert!(
        !report.words().contains("distribution-list"),
        "it is no document: {}",
        report.text
    );
    assert_eq!(rig.count("SELECT count(*) FROM submission").await, 1);
    let names = "SELECT count(*) FROM job WHERE to_name IN ('Jo Doe', 'Max')";
    assert_eq!(rig.count(names).await, 2);
    let all = |letters: Vec<letters::Letter>| {
        letters
            .into_iter()
            .find(|one| one.words().contains("distribution-list:3"))
    };
    let letter = rig
        .until("a letter that names the bad lines", async || {
            all(rig.letters())
        })
        .await;
    letter.assert_says("distribution-list:4");
    // Without a list the address asks for nothing.
    let message = letters::message("No list", "Hello.", &[]);
    let answers = rig
        .try_mail(crate::support::ALICE, &["list"], &message)
        .await;
    let data = answers.data.as_deref().unwrap_or_default();
    assert!(data.contains("attach distribution-list.csv"), "{data}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_received_fax_is_faxed_to_its_caller() {
    let mut rig = Rig::builder()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let pages = [fax::page(3, Resolution::Standard, 1143)];
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let received = rig.wait_faxes(1).await.remove(0);
    let raw = String::from_utf8_lossy(&received.raw).into_owned();
    let reply_to = raw
        .lines()
        .find_map(|line| line.strip_prefix("Reply-To: <"));
    let reply_to = reply_to
        .unwrap_or_else(|| panic!("no Reply-To in {raw}"))
        .trim_end_matches('>');
    assert_eq!(reply_to, format!("{FAR_NUMBER}@fax.localhost"));
    let answer = format!("Re: {}", received.subject);
    rig.mail(&[reply_to], &letters::message(&answer, "Thank you.", &[]))
        .await;
    let report = rig.wait_report("Re: ").await;
    assert!(
        report.subject.starts_with("Sent: Re: "),
        "{}",
        report.subject
    );
}
