//! What is within a mail becomes pages, or is named in the report.

use faxpost::people::Language;

use crate::support::{FAR_NUMBER, Rig, letters};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn html_and_what_is_packed_or_forwarded_becomes_pages() {
    let rig = Rig::builder().channels(2).start().await;
    // The pages with the cover, and how many there are above it.
    let mails = [
        ("outlook-table-and-picture", 2),
        ("zip-of-two-pdfs", 3),
        ("outlook-forwarded", 3),
        ("outlook-winmail", 3),
        ("outlook-logo-and-pdf", 2),
    ];
    for (index, (file, _)) in mails.iter().enumerate() {
        let number = format!("+3312345678{index}");
        rig.mail(&[&number], &letters::labelled(file)).await;
    }
    let reports = rig.wait_reports(mails.len()).await;
    for (subject, pages) in mails {
        let report = reports
            .iter()
            .find(|report| report.subject.contains(subject));
        let report = report.unwrap_or_else(|| panic!("no report on {subject}"));
        report.assert_says(&format!("Pages: {pages} of {pages} confirmed"));
        if subject == "outlook-logo-and-pdf" {
            report.assert_says("image001.png: it is a small picture within the text");
        }
    }
    // The table and the photo are on the page behind the cover.
    let number = rig
        .count("SELECT CAST(COUNT(*) AS BIGINT) FROM rendition WHERE notes = '[]'")
        .await;
    assert_eq!(number, 4, "four have nothing to tell");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_picture_left_out_is_told_even_when_the_cover_is_all() {
    let rig = Rig::builder().start().await;
    let message = letters::labelled("outlook-related-outside");
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("outlook-related-outside").await;
    report.assert_says("Pages: 1 of 1 confirmed");
    report.assert_says("image001.png: it is a small picture within the text");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_an_unreadable_attachment_stops_the_fax_or_is_left_out_as_the_profile_says() {
    let rig = Rig::builder().language(Language::Fr).start().await;
    let message = letters::labelled("zip-of-documents");
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("zip-of-documents").await;
    assert!(
        report.subject.starts_with("Non envoyé"),
        "{}",
        report.subject
    );
    let why = "application/octet-stream ne peut pas être dessiné";
    report.assert_says("dossier.zip/prog.exe");
    report.assert_says(why);
    assert_eq!(
        rig.count("SELECT CAST(COUNT(*) AS BIGINT) FROM call").await,
        0
    );

    rig.admin("set profile Basic unreadable leave-out");
    let again = String::from_utf8(message)
        .unwrap()
        .replace("zip-of-documents", "the-rest");
    rig.mail(&[FAR_NUMBER], again.as_bytes()).await;
    let report = rig.wait_report("the-rest").await;
    assert!(report.subject.starts_with("Envoyé"), "{}", report.subject);
    report.assert_says("3 sur 3");
    report.assert_says("dossier.zip/prog.exe : laissé de côté");
    report.assert_says(why);
}
