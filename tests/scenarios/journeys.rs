//! A mail becomes a fax, a fax becomes a mail.

use crate::support::{ALICE, FAR_NUMBER, Rig, SAMPLE_PDF, fax, letters};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_becomes_a_fax_and_a_fax_becomes_a_mail() {
    let mut rig = Rig::builder().start().await;
    let message = letters::message(
        "Three pages",
        "Hello,\n\nthree pages for you.",
        &[("application/pdf", "sample.pdf", SAMPLE_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("Three pages").await;
    assert_eq!(report.recipients, [ALICE]);
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!((job.pages_total, job.pages_confirmed), (Some(4), 4));
    let received = rig.far_fax(1).await;
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    fax::assert_same(&sent, &received);

    let pages = fax::pages(2);
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let faxes = rig.wait_faxes(1).await;
    let mailed: Vec<_> = fax::pdf_pages(&faxes[0].pdf())
        .into_iter()
        .map(|page| page.picture)
        .collect();
    fax::assert_same(&pages, &mailed);
    rig.stop().await;
}
