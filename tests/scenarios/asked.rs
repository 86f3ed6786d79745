//! Faxes that are kept back until somebody gives their word, and the mails that are answered.

use mail_parser::MessageParser;

use crate::support::{
    ALICE, FAR_NUMBER, Rig, SAMPLE_PDF,
    letters::{self, Letter},
};

fn sample(subject: &str) -> Vec<u8> {
    letters::message(
        subject,
        "Please read.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    )
}

/// Where an answer to a letter goes.
fn reply_to(letter: &Letter) -> String {
    let parsed = MessageParser::default().parse(&letter.raw).unwrap();
    let to = parsed.reply_to().unwrap().first().unwrap();
    to.address().unwrap().to_owned()
}

/// Mails an answer and gives the last answer to it: that to RCPT, when it was refused there.
async fn answer(rig: &Rig, from: &str, to: &str, message: &[u8]) -> String {
    let said = rig.try_mail(from, &[to], message).await;
    said.data.unwrap_or_else(|| said.rcpt[0].clone())
}

fn reply(to: &str, body: &str) -> Vec<u8> {
    format!(
        "From: Alice Martin <{ALICE}>\r\nTo: <{to}>\r\nSubject: Re: something\r\nMessage-ID: <r{}@example.localhost>\r\n\r\n{body}\r\n",
        body.len()
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_first_number_waits_for_its_senders_word_and_then_is_known() {
    let rig = Rig::builder().start().await;
    rig.admin("set profile Basic guard first,near");
    rig.mail(&[FAR_NUMBER], &sample("A new number")).await;
    let job = rig.wait_job(&["parked"]).await;
    assert_eq!(job.tries, 0);
    let asked = rig.wait_letter("To be confirmed: A new number").await;
    asked.assert_says("No page to this number was ever confirmed");
    let (kind, name, octets) = &asked.parts[0];
    assert_eq!(
        (kind.as_str(), name.as_deref()),
        ("application/pdf", Some("preview.pdf"))
    );
    assert!(octets.starts_with(b"%PDF-"));
    // Another mail, another Message-ID: it waits as well.
    rig.mail(&[FAR_NUMBER], &sample("The same number")).await;
    rig.until("both wait", async || {
        let jobs = rig.jobs().await;
        (jobs.len() == 2 && jobs.iter().all(|job| job.state == "parked")).then_some(())
    })
    .await;

    let to = reply_to(&asked);
    // Words that are none leave it as it is.
    let refused = answer(&rig, ALICE, &to, &reply(&to, "What is this?")).await;
    assert!(
        refused.contains("550") && refused.contains("first word"),
        "{refused}"
    );
    // An automatic reply is none either.
    let away = [b"Auto-Submitted: auto-replied\r\n", &reply(&to, "send")[..]].concat();
    let refused = answer(&rig, ALICE, &to, &away).await;
    assert!(refused.contains("550"), "{refused}");
    assert_eq!(rig.jobs().await[0].state, "parked");
    let said = answer(
        &rig,
        ALICE,
        &to,
        &reply(&to, "Send\r\n\r\n> To be confirmed"),
    )
    .await;
    assert!(said.contains("one fax is on the way"), "{said}");
    let report = rig.wait_report("A new number").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    rig.wait_letter("Released: A new number").await;
    // A token serves once.
    let refused = answer(&rig, ALICE, &to, &reply(&to, "cancel")).await;
    assert!(
        refused.contains("550") && refused.contains("answered already"),
        "{refused}"
    );
    assert_eq!(rig.jobs().await[1].state, "parked");

    // From now on the number is known; one that is a slip away is asked about.
    rig.mail(&[FAR_NUMBER], &sample("Known")).await;
    rig.wait_report("Known").await;
    rig.mail(&["+33123456798"], &sample("A slip")).await;
    let asked = rig.wait_letter("To be confirmed: A slip").await;
    asked.assert_says(&format!("one digit away from {FAR_NUMBER}"));
    let to = reply_to(&asked);
    let said = answer(&rig, ALICE, &to.to_uppercase(), &reply(&to, "annuler")).await;
    assert!(said.contains("one fax is called off"), "{said}");
    let report = rig.wait_report("A slip").await;
    report.assert_says("The fax was cancelled.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_fax_that_nobody_answers_for_ends_and_says_so() {
    let rig = Rig::builder().start().await;
    rig.admin("set profile Basic guard first");
    rig.mail(&[FAR_NUMBER], &sample("No answer")).await;
    rig.wait_job(&["parked"]).await;
    let asked = rig.wait_letter("To be confirmed: No answer").await;
    rig.meddle("UPDATE job SET deadline = 1, expires_at = 1 WHERE state = 'parked'")
        .await;
    let report = rig.wait_report("No answer").await;
    report.assert_says("This fax was kept back, and nobody gave the word for it in time.");
    let to = reply_to(&asked);
    let refused = answer(&rig, ALICE, &to, &reply(&to, "send")).await;
    assert!(refused.contains("550"), "{refused}");
    assert!(rig.holds().await.iter().all(|hold| hold.2 == Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_an_approver_decides_and_nobody_else_with_their_mail() {
    const BOSS: &str = "boss@example.localhost";
    let rig = Rig::builder().start().await;
    rig.admin(&format!("add user {BOSS} name Boss"));
    rig.admin(&format!("set profile Basic approver {BOSS}"));
    rig.mail(&[FAR_NUMBER], &sample("Contract")).await;
    let asked = rig.wait_letter("To be approved: Contract").await;
    assert_eq!(asked.recipients, [BOSS]);
    let told = rig.wait_letter("Awaits approval: Contract").await;
    assert_eq!(told.recipients, [ALICE]);
    let (theirs, own) = (reply_to(&asked), reply_to(&told));
    // Alice has the approver's mail, by whatever way.
    let refused = answer(&rig, ALICE, &theirs, &reply(&theirs, "send")).await;
    assert!(refused.contains("went to another user"), "{refused}");
    let refused = answer(&rig, ALICE, &own, &reply(&own, "send")).await;
    assert!(
        refused.contains("only \"cancel\" does something"),
        "{refused}"
    );
    let forged = "a".repeat(48);
    let nobody = format!("job+{forged}@fax.localhost");
    let refused = answer(&rig, ALICE, &nobody, &reply(&nobody, "send")).await;
    assert!(refused.contains("none of ours"), "{refused}");
    assert_eq!(rig.jobs().await[0].state, "parked");
    let word = String::from_utf8(reply(&theirs, "send"))
        .unwrap()
        .replace(ALICE, BOSS);
    let said = answer(&rig, BOSS, &theirs, word.as_bytes()).await;
    assert!(said.contains("on the way"), "{said}");
    let report = rig.wait_report("Contract").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    let told = rig
        .until("the sender hears who approved it", async || {
            let told = |letter: &Letter| {
                letter.recipients == [ALICE] && letter.subject.starts_with("Released")
            };
            rig.letters().into_iter().find(told)
        })
        .await;
    told.assert_says(&format!("{BOSS} has approved"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_an_acceptance_shows_the_pages_and_its_answer_calls_the_fax_off() {
    let rig = Rig::builder().without_far_end().start().await;
    rig.admin("set trunk \"far end\" off");
    rig.admin("set profile Basic accepted always");
    rig.mail(&[FAR_NUMBER, "+33123456780"], &sample("Two at once"))
        .await;
    let accepted = rig.wait_letter("Accepted: Two at once").await;
    accepted.assert_says(&format!("{FAR_NUMBER}: waits for its turn"));
    assert!(accepted.pdf().starts_with(b"%PDF-"));
    assert_eq!(accepted.return_path, "");
    let to = reply_to(&accepted);
    // It asks no question: there is nothing to let go.
    let refused = answer(&rig, ALICE, &to, &reply(&to, "send")).await;
    assert!(
        refused.contains("only \"cancel\" does something"),
        "{refused}"
    );
    let said = answer(&rig, ALICE, &to, &reply(&to, "Cancel.")).await;
    assert!(said.contains("2 faxes are called off"), "{said}");
    let report = rig.wait_report("Two at once").await;
    report.assert_says("The fax was cancelled.");
    let told = rig.wait_letter("Called off: Two at once").await;
    told.assert_says(&format!("{FAR_NUMBER}: cancelled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_long_wait_is_told_once_and_a_discreet_report_has_its_receipt() {
    let waits = crate::support::short_waits(false);
    let policy = format!("delayed_after_s = 1\nreceipt = true\n{waits}");
    let rig = Rig::builder()
        .policy("sending.toml", &policy)
        .far_end(&["--refuse", "486"])
        .start()
        .await;
    rig.admin("set profile Basic discreet yes json yes");
    rig.mail(&[FAR_NUMBER], &sample("Private matter")).await;
    let report = rig
        .until("the report", async || rig.reports().into_iter().next())
        .await;
    assert_eq!(report.subject, format!("Not sent ({FAR_NUMBER})"));
    let kinds: Vec<&str> = report.parts.iter().map(|part| part.0.as_str()).collect();
    assert_eq!(kinds, ["application/pdf", "application/json"], "no picture");
    let json: serde_json::Value = serde_json::from_slice(&report.parts[1].2).unwrap();
    assert_eq!(json["faxes"][0]["outcome"], "busy");
    assert_eq!(json["subject"], serde_json::Value::Null);
    let receipt = crate::support::fax::pdf_pages(&report.pdf());
    assert_eq!(receipt.len(), 1, "a page to file away");
    // A delay that was over before its mail was written is not told; else it is told once.
    let delayed = |letter: &&Letter| letter.subject.starts_with("Delayed");
    assert!(rig.letters().iter().filter(delayed).count() <= 1);
    assert_eq!(rig.count("SELECT delay_told FROM job").await, 1);
    let letters = rig.letters();
    assert!(
        letters
            .iter()
            .all(|letter| !letter.text.contains("Private matter"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_mail_that_is_over_is_faxed_once_more_and_not_twice() {
    let rig = Rig::builder().short_waits().start().await;
    rig.admin("set profile Basic accepted always");
    rig.admin("set trunk \"far end\" off");
    rig.mail(&[FAR_NUMBER], &sample("Once more")).await;
    let accepted = rig.wait_letter("Accepted: Once more").await;
    let to = reply_to(&accepted);
    let refused = answer(&rig, ALICE, &to, &reply(&to, "resend")).await;
    assert!(refused.contains("not over yet"), "{refused}");
    rig.admin("set trunk \"far end\" on");
    rig.wait_report("Once more").await;
    let again = reply(&to, "Renvoyer");
    let said = answer(&rig, ALICE, &to, &again).await;
    assert!(said.contains("faxed once more"), "{said}");
    let refused = answer(&rig, ALICE, &to, &again).await;
    assert!(refused.contains("answered already"), "{refused}");
    let reports = rig.wait_reports(2).await;
    assert!(
        reports
            .iter()
            .all(|report| report.subject.starts_with("Sent: Once more"))
    );
    assert_eq!(rig.count("SELECT COUNT(*) FROM job").await, 2);
    // Were the token good still, its nonce would keep a second one from being made.
    rig.meddle("UPDATE token SET used_at = NULL").await;
    let said = answer(&rig, ALICE, &to, &again).await;
    assert!(said.contains("nothing is faxed again"), "{said}");
    assert_eq!(rig.count("SELECT COUNT(*) FROM job").await, 2);
}
