//! A mail becomes a fax, a fax becomes a mail.

use faxpost::people::Language;
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution, tiff};

use crate::support::{ALICE, FAR_NUMBER, OUR_NUMBER, Rig, SAMPLE_PDF, fax, letters};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_becomes_a_fax_and_its_report() {
    let mut rig = Rig::builder().start().await;
    let message = letters::message(
        "Three pages",
        "Hello,\n\nthree pages for you.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("Three pages").await;

    let job = rig.wait_job(&["sent"]).await;
    assert_eq!((job.pages_total, job.pages_confirmed), (Some(4), 4));
    let received = rig.far_fax(1).await;
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    fax::assert_same(&sent, &received);
    let placed_at = rig.count("SELECT placed_at FROM call").await;
    for (page, number) in received.iter().zip(1..) {
        fax::assert_header(page, placed_at, number, 4, "");
    }

    assert_eq!(report.recipients, [ALICE]);
    assert!(
        report.return_path.starts_with("bounce+"),
        "{}",
        report.return_path
    );
    assert!(
        report.subject.starts_with("Sent: Three pages"),
        "{report:?}"
    );
    assert!(report.in_reply_to.is_some());
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    report.assert_says("Pages: 4 of 4 confirmed");
    report.assert_says(&format!("Far machine: {FAR_NUMBER}"));
    report.assert_says("Speed: 14,400 bit/s, with error correction");
    report.assert_says("Calls placed: 1");
    report.assert_says("T.38");
    let (_, _, picture) = report
        .parts
        .iter()
        .find(|(kind, ..)| kind == "image/png")
        .expect("a picture of the first page");
    assert!(picture.starts_with(b"\x89PNG"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_fax_goes_out_pixel_by_pixel() {
    let rig = Rig::builder().start().await;
    // What a scanner or a T.37 machine mails: TIFF-F, here in MH.
    let mut map = Bitmap::new(1728, 2287);
    for y in 200..2200 {
        for x in (y % 50..1728).step_by(50) {
            map.set_black(x, y);
        }
    }
    let scan = tiff::write(&[FaxPage::encode(&map, Resolution::Fine, Coding::Mh)]).unwrap();
    let message = letters::message("Scan", "Text.", &[("image/tiff", "scan.tif", &scan)]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("Scan").await;
    report.assert_says("Pages: 2 of 2 confirmed");
    let page = rig.far_fax(1).await[1].decode().unwrap();
    // Above them is the header line.
    assert!((100..2287).all(|y| page.row(y) == map.row(y)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_of_common_programs_become_faxes_and_french_users_read_french() {
    let rig = Rig::builder()
        .language(Language::Fr)
        .channels(2)
        .start()
        .await;
    let clients = [
        ("thunderbird.eml", "Order 4711"),
        ("outlook.eml", "Bestellung für November"),
        ("apple-mail.eml", "Procès-verbal"),
        ("gmail.eml", "Contract"),
        ("swaks-text.eml", "test Mon, 02 Nov 2026"),
    ];
    for (index, (file, _)) in clients.iter().enumerate() {
        let number = format!("+3312345678{index}");
        rig.mail(&[&number], &letters::from_client(file)).await;
    }
    let reports = rig.wait_reports(clients.len()).await;
    for (file, subject) in clients {
        let report = reports
            .iter()
            .find(|report| report.subject.contains(subject))
            .unwrap_or_else(|| panic!("no report on {file}"));
        assert!(report.subject.starts_with("Envoyé"), "{}", report.subject);
        // The cover, and the PDF's one page where there is a PDF.
        let pages = if file == "swaks-text.eml" { 1 } else { 2 };
        report.assert_says(&format!("{pages} sur {pages}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_recipients_of_one_mail_are_told_in_one_report() {
    let rig = Rig::builder().start().await;
    let message = letters::message("For both", "Only text.", &[]);
    rig.mail(&[FAR_NUMBER, "+33123456780"], &message).await;
    let reports = {
        rig.wait_report("For both").await;
        rig.reports_in_all().await
    };
    assert_eq!(reports.len(), 1);
    reports[0].assert_says(&format!("{FAR_NUMBER}: sent"));
    reports[0].assert_says("+33123456780: sent");
    assert_eq!(rig.jobs().await.len(), 2);
    // One rendition would serve both; a mail of text alone is all cover.
    let (one, other) = (rig.far_fax(1).await, rig.far_fax(2).await);
    assert_eq!((one.len(), other.len()), (1, 1));
    assert_ne!(one[0].data, other[0].data, "each cover names its number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_becomes_a_mail_in_every_resolution() {
    let mut rig = Rig::builder().without_far_end().start().await;
    for (index, (resolution, rows)) in [
        (Resolution::Standard, 1143),
        (Resolution::Fine, 2287),
        (Resolution::Superfine, 4570),
    ]
    .into_iter()
    .enumerate()
    {
        let pages = [
            fax::page(0, resolution, rows),
            fax::page(1, resolution, rows),
        ];
        let mut sender = rig.call_in(&pages, &[]);
        assert!(sender.wait().await.success(), "{}", sender.log());
        let faxes = rig.wait_faxes(index + 1).await;
        let letter = &faxes[index];
        assert_eq!(letter.recipients, [ALICE]);
        assert_eq!(
            letter.subject,
            format!("Fax from {FAR_NUMBER} (2 pages)"),
            "{}",
            letter.text
        );
        letter.assert_says(OUR_NUMBER);
        let mailed = fax::pdf_pages(&letter.pdf());
        for page in &mailed {
            // A4 is 595 by 842 points; the fax's 1728 columns are a little wider than the sheet.
            assert!((page.width - 609.9).abs() < 3.0, "{resolution:?} {page:?}");
            assert!((page.height - 841.0).abs() < 4.0, "{resolution:?}");
        }
        let pictures: Vec<_> = mailed.into_iter().map(|page| page.picture).collect();
        fax::assert_same(&pages, &pictures);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_journeys_over_g_711() {
    let mut rig = Rig::builder().speed(4).far_end(&["--no-t38"]).start().await;
    rig.mail(&[FAR_NUMBER], &letters::message("Sound", "Text.", &[]))
        .await;
    let report = rig.wait_report("Sound").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    report.assert_says("G.711");
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    fax::assert_same(&sent, &rig.far_fax(1).await);

    let pages = [fax::page(3, Resolution::Standard, 1143)];
    let mut sender = rig.call_in(&pages, &["--no-t38"]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let faxes = rig.wait_faxes(1).await;
    let mailed = fax::pdf_pages(&faxes[0].pdf()).remove(0).picture;
    fax::assert_same(&pages, &[mailed]);
}

/// What a T.37 machine mails (RFC 3965): one TIFF file and nothing else, to an address of RFC 3191. A reading receipt that
/// it asks for is not given: nobody reads at a gateway, and that the pages arrived says the notification (RFC 2532).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internet_fax_becomes_a_fax_pixel_by_pixel() {
    use base64::Engine as _;
    let rig = Rig::builder().start().await;
    rig.admin("set profile Basic cover none");
    let mut map = Bitmap::new(1728, 2287);
    for y in 200..2200 {
        for x in (y % 50..1728).step_by(50) {
            map.set_black(x, y);
        }
    }
    let page = FaxPage::encode(&map, Resolution::Fine, Coding::Mh);
    let file = tiff::write_minimal(&[page.clone(), page]).unwrap();
    let file = base64::engine::general_purpose::STANDARD.encode(file);
    let lines: Vec<String> = file
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let message = format!(
        "From: {ALICE}\r\nTo: <FAX={FAR_NUMBER}@fax.localhost>\r\nSubject: Internet fax\r\n\
         Message-ID: <t37@machine.localhost>\r\nDisposition-Notification-To: {ALICE}\r\nMIME-Version: 1.0\r\n\
         Content-Type: image/tiff; application=faxbw\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    );
    let to = format!("FAX={FAR_NUMBER}@fax.localhost NOTIFY=SUCCESS,FAILURE");
    let answers = rig.try_mail(ALICE, &[&to], message.as_bytes()).await;
    assert!(
        answers.data.clone().unwrap().starts_with("250"),
        "{answers:?}"
    );
    let report = rig.wait_report("Internet fax").await;
    report.assert_says("Pages: 2 of 2 confirmed");
    for page in rig.far_fax(1).await {
        let page = page.decode().unwrap();
        // Above them is the header line.
        assert!((100..2287).all(|y| page.row(y) == map.row(y)));
    }
    let raw = String::from_utf8_lossy(&report.raw).into_owned();
    assert!(raw.contains("Action: delivered"), "{raw}");
    assert!(!raw.contains("disposition-notification"), "{raw}");
    assert_eq!(rig.letters().len(), 1);
}
