//! Documents on their way to pages: passwords, one rendition for many, what profiles say of the fit.

use faxpost::people::Language;

use crate::support::{FAR_NUMBER, Rig, RigBuilder, SAMPLE_PDF, letters};

/// Opens with "secret".
const ENCRYPTED_PDF: &[u8] = include_bytes!("../../crates/paper/testdata/encrypted.pdf");

fn with_password(password: Option<&str>) -> Vec<u8> {
    let mail = letters::message(
        "Contract",
        "See attached.",
        &[("application/pdf", "contract.pdf", ENCRYPTED_PDF)],
    );
    match password {
        Some(password) => {
            let mut message = format!("X-Fax-Document-Password: {password}\r\n").into_bytes();
            message.extend(mail);
            message
        }
        None => mail,
    }
}

/// Whether any file of the gateway's has these octets.
fn is_in_the_clear(rig: &Rig, secret: &[u8]) -> Option<std::path::PathBuf> {
    let mut folders = vec![rig.folder().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && memchr::memmem::find(&bytes, secret).is_some()
            {
                return Some(path);
            }
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_5_a_documents_password_opens_it_and_is_kept_nowhere() {
    let rig = Rig::builder().start().await;
    rig.mail(&[FAR_NUMBER], &with_password(Some("secret")))
        .await;
    rig.wait_report("Sent: Contract").await;
    let wrong = "Wr0ng-guess-83";
    rig.mail(&[FAR_NUMBER], &with_password(Some(wrong))).await;
    let report = rig.wait_report("Not sent: Contract").await;
    report.assert_says("does not open “contract.pdf”: mind capitals");
    assert_eq!(is_in_the_clear(&rig, wrong.as_bytes()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_protected_document_is_answered_with_what_to_do() {
    let rig = Rig::builder().language(Language::Fr).start().await;
    rig.mail(&[FAR_NUMBER], &with_password(None)).await;
    let report = rig.wait_report("Contract").await;
    assert!(report.subject.starts_with("Non envoyé"), "{report:?}");
    report.assert_says("est protégé par un mot de passe");
    report.assert_says("X-Fax-Document-Password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_drawn_once_for_all_its_numbers_and_each_has_a_cover_of_its_own() {
    let rig = Rig::builder().channels(3).start().await;
    let numbers = ["+33123456701", "+33123456702", "+33123456703"];
    let document = ("application/pdf", "sample.pdf", SAMPLE_PDF);
    let message = letters::message("To three", "Hello", &[document]);
    rig.mail(&numbers, &message).await;
    let report = rig.wait_report("To three").await;
    assert!(report.subject.contains("3 of 3 numbers"), "{report:?}");
    let counts = [
        rig.count("SELECT COUNT(*) FROM rendition").await,
        rig.count("SELECT COUNT(DISTINCT rendition_id) FROM job")
            .await,
        rig.count("SELECT COUNT(DISTINCT cover_custody_id) FROM job")
            .await,
        rig.count("SELECT COUNT(*) FROM custody WHERE what = 'rendition'")
            .await,
        rig.count("SELECT COUNT(*) FROM custody WHERE what = 'cover'")
            .await,
    ];
    assert_eq!(counts, [1, 1, 3, 1, 3]);
    // Drawn once, not drawn thrice and kept once.
    assert_eq!(
        rig.logs()
            .matches("the documents of a mail are drawn")
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_profile_says_of_blank_pages_is_done_and_told() {
    let rig = RigBuilder::default().start().await;
    rig.admin("set profile Basic cover off blank drop");
    let text = "First\n\u{c}\n\u{c}Third\n";
    let document = ("text/plain", "letter.txt", text.as_bytes());
    let message = letters::message("With a blank", "", &[document]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("With a blank").await;
    report.assert_says("letter.txt: the blank page 2 was left out");
    report.assert_says("Pages: 2 of 2 confirmed");
}
