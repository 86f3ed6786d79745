//! The password of a transmission: it goes to machines that take one, to others nothing goes, and it is kept in the
//! sealed mail alone.

use crate::support::{
    ALICE, FAR_NUMBER, Rig, letters,
    scripted::{Script, ScriptedFax},
    short_waits,
};

const PASSWORD: &str = "4071*1789#";

fn locked(subject: &str, password: &str) -> Vec<u8> {
    let mail = letters::message(subject, "Hello.", &[]);
    [format!("X-Fax-Password: {password}\r\n").into_bytes(), mail].concat()
}

async fn rig() -> Rig {
    Rig::builder()
        .without_far_end()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await
}

/// Whether the octets stand in some file of the gateway's data, its database included.
fn is_written(rig: &Rig, octets: &[u8]) -> bool {
    let mut folders = vec![rig.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path)
                .is_ok_and(|file| file.windows(octets.len()).any(|part| part == octets))
            {
                return true;
            }
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_goes_out_to_a_machine_that_takes_it_and_is_written_nowhere() {
    let rig = rig().await;
    let script = Script::ecm(&[]).taking_password();
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[script]).await;
    rig.mail(&[FAR_NUMBER], &locked("Locked", PASSWORD)).await;
    let report = rig.wait_report("Locked").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    let said = format!("SID {PASSWORD}");
    assert!(far.frames()[0].contains(&said), "{:?}", far.frames());
    // Neither the database nor a log nor any file has it: the mail that gave it is sealed.
    assert!(!is_written(&rig, PASSWORD.as_bytes()));
    // The look finds what is there: the subject stands in the database.
    if rig.store.kind() == faxpost::store::Kind::Sqlite {
        assert!(is_written(&rig, b"Locked"));
    }
    assert!(!rig.logs().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_machine_that_takes_no_password_is_sent_nothing_and_the_report_says_so() {
    let rig = rig().await;
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[Script::ecm(&[])]).await;
    rig.mail(&[FAR_NUMBER], &locked("Unlocked", PASSWORD)).await;
    let report = rig.wait_report("Unlocked").await;
    report.assert_says("The far fax machine takes no password");
    let job = rig.jobs().await.remove(0);
    assert_eq!(
        (job.state.as_str(), job.tries, job.outcome.as_deref()),
        ("failed", 1, Some("password-not-taken"))
    );
    assert_eq!(far.pages(0), ["DCN"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_password_that_no_machine_can_be_told_is_refused_with_its_rule() {
    let rig = rig().await;
    for (password, says) in [
        ("secret", "1 to 20 digits, # and * only"),
        ("123456789012345678901", "1 to 20 digits, # and * only"),
        (
            "1\r\nX-Fax-Password: 2",
            "more than one X-Fax-Password line",
        ),
    ] {
        let answers = rig
            .try_mail(ALICE, &[FAR_NUMBER], &locked("Refused", password))
            .await;
        let answer = format!("{answers:?}");
        assert!(
            answer.contains("554 5.6.0") && answer.contains(says),
            "{answer}"
        );
    }
    assert!(rig.jobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_with_a_password_shares_no_call() {
    let rig = rig().await;
    let script = Script::ecm(&[]).taking_password();
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[script]).await;
    rig.admin("set profile Basic batch 5");
    rig.admin("set trunk \"far end\" off");
    rig.mail(&[FAR_NUMBER], &locked("Alone", "1")).await;
    for subject in ["Beta", "Gamma"] {
        rig.mail(&[FAR_NUMBER], &letters::message(subject, "Hello.", &[]))
            .await;
    }
    rig.until("all wait for the trunk", async || {
        let jobs = rig.jobs().await;
        (jobs.len() == 3 && jobs.iter().all(|job| job.state == "ready")).then_some(())
    })
    .await;
    rig.admin("set trunk \"far end\" on");
    for subject in ["Alone", "Beta", "Gamma"] {
        rig.wait_report(subject).await;
    }
    let passwords: Vec<usize> = (far.frames().iter())
        .map(|call| call.iter().filter(|name| name.starts_with("SID")).count())
        .collect();
    assert_eq!(passwords, [1, 0]);
}
