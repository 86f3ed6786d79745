//! Covers: a tenant's own by command, what stands on them, what comes of one that fails, and the mail's text.

use faxpost_t4::FaxPage;

use crate::support::{ALICE, FAR_NUMBER, Rig, SAMPLE_PDF, letters};

/// Where a template of these tests draws what it has to say: a black square, when everything is as it should be.
const SQUARE: &str =
    "#place(top + left, dx: 80mm, dy: 120mm, rect(width: 40mm, height: 40mm, fill: black))";

fn has_square(page: &FaxPage) -> bool {
    let page = page.decode().unwrap();
    // 25 mm of margin lie around what is placed; the middle of the square, 100 and 140 mm in.
    let (x, y) = (page.width() * 125 / 215, page.height() * 165 / 297);
    (0..40).all(|step| page.is_black(x + step, y + step))
}

fn file(rig: &Rig, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = rig.folder().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// A picture of 2 × 1 pixels would be taken too; this one can be seen.
fn logo() -> Vec<u8> {
    let grey: Vec<u8> = (0..120 * 40)
        .map(|at| if at % 120 < 60 { 0 } else { 160 })
        .collect();
    faxpost::letter::png_of(&grey, 120, 40).unwrap()
}

/// Alice's mail to Marie Durand.
fn to_marie(subject: &str, text: &str) -> Vec<u8> {
    format!(
        "From: Alice Martin <{ALICE}>\r\nTo: Marie Durand <{FAR_NUMBER}@fax.localhost>\r\nSubject: {subject}\r\n\
         Message-ID: <{}@test.localhost>\r\n\r\n{text}\r\n",
        subject.replace(' ', "-")
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_own_cover_goes_out_with_all_that_it_is_given() {
    let rig = Rig::builder().start().await;
    rig.admin("set tenant fax.localhost company Lumen footer \"12 rue X\"");
    let picture = file(&rig, "logo.png", logo());
    assert!(
        rig.admin(&format!("set logo --attach {picture}"))
            .contains("new logo")
    );
    let template = file(
        &rig,
        "mine.typ",
        format!(
            "#set page(margin: 25mm)\n#let i = sys.inputs\n#let wanted = (i.company == \"Lumen\", i.footer == \"12 rue X\",\n\
             i.to-name == \"Marie Durand\", i.from-name == \"Alice Martin\", i.from-address == \"{ALICE}\",\n\
             i.to-number == \"{FAR_NUMBER}\", i.subject == \"#panic() *x*\", i.message == \"Hello #read()\",\n\
             i.pages == 1, i.logo != none, i.labels.to == \"To\")\n\
             #if wanted.all(it => it) or i.company != \"Lumen\" {{ [{SQUARE}] }} else {{ panic(wanted) }}\n\
             #if i.logo != none {{ image(i.logo, width: 30mm) }}\n"
        ),
    );
    let kept = rig.admin(&format!(
        "add cover mine of fax.localhost --attach {template}"
    ));
    assert!(kept.contains("is kept"), "{kept}");
    rig.admin("set profile Basic cover mine");
    rig.mail(&[FAR_NUMBER], &to_marie("#panic() *x*", "Hello #read()"))
        .await;
    let report = rig.wait_report("Sent: #panic() *x*").await;
    assert!(!report.words().contains("cover"), "{}", report.text);
    let pages = rig.far_fax(1).await;
    assert_eq!(pages.len(), 1);
    assert!(has_square(&pages[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cover_with_an_error_is_answered_with_its_place_and_not_kept() {
    let rig = Rig::builder().without_far_end().start().await;
    let template = file(&rig, "mine.typ", "#let a = 1\n\n  #sys.inputs.tos");
    let refused = rig.admin_refused(&format!("add cover mine --attach {template}"));
    assert!(
        refused.contains("the cover “mine” has an error in line 3, column "),
        "{refused}"
    );
    assert!(refused.contains("tos"), "{refused}");
    let template = file(&rig, "picture.typ", "not a picture");
    let refused = rig.admin_refused(&format!("set logo --attach {template}"));
    assert!(refused.contains("the logo is not taken"), "{refused}");
    let refused = rig.admin_refused("add cover mine --attach /nowhere/mine.typ");
    assert!(
        refused.contains("/nowhere/mine.typ: can't be read"),
        "{refused}"
    );
    assert!(!rig.admin("show covers").contains("mine"));
    // What it makes can be looked at.
    for out in ["out.pdf", "out.png"] {
        let out = rig.folder().join(out).display().to_string();
        rig.faxpost(&["cover", "business", &out, "--sample", "fr"]);
        assert!(std::fs::metadata(&out).unwrap().len() > 5_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_cover_that_fails_at_use_is_replaced_and_told() {
    let house = format!(
        "#if sys.inputs.subject == \"Old\" {{ [\n  #sys.inputs.gone ] }} else {{ [{SQUARE}] }}"
    );
    let rig = Rig::builder()
        .policy("covers/house.typ", &house)
        .start()
        .await;
    // Of the operator's file nobody knew before that it fails.
    rig.admin("set profile Basic cover house");
    rig.mail(&[FAR_NUMBER], &to_marie("Old", "Hello")).await;
    let report = rig.wait_report("Sent: Old").await;
    report.assert_says("the cover “house” has an error in line 2, column ");
    report.assert_says("; the plain cover was sent in its place");
    assert!(!has_square(&rig.far_fax(1).await[0]));
    // It never ends for one fax; the next one is not held up by it.
    let endless = "#if sys.inputs.subject == \"Long\" { for a in range(3000) { for b in range(3000) { for c in range(3000) {} } } }";
    let template = file(&rig, "endless.typ", endless);
    rig.admin(&format!("add cover endless --attach {template}"));
    rig.admin("set profile Basic cover endless");
    rig.mail(&[FAR_NUMBER], &to_marie("Long", "Hello")).await;
    let report = rig.wait_report("Sent: Long").await;
    report.assert_says(
        "the cover “endless” could not be drawn, and the plain one was sent in its place",
    );
    report.assert_says("needed more than 5 s of computing");
    // A cover that a profile names and nobody has any more.
    rig.meddle("DELETE FROM tenant_cover").await;
    rig.mail(&[FAR_NUMBER], &to_marie("Gone", "Hello")).await;
    let report = rig.wait_report("Sent: Gone").await;
    report.assert_says("there is no cover “endless” any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_of_a_mail_goes_where_the_profile_has_it() {
    let rig = Rig::builder().start().await;
    let document = ("application/pdf", "sample.pdf", SAMPLE_PDF);
    let message = |subject: &str| letters::message(subject, "Hello Marie", &[document]);
    rig.mail(&[FAR_NUMBER], &message("On the cover")).await;
    let report = rig.wait_report("Sent: On the cover").await;
    let on_cover = rig.far_fax(1).await.len();
    assert!(
        !report.words().contains("text of the mail"),
        "{}",
        report.text
    );

    rig.admin("set profile Basic body page");
    rig.mail(&[FAR_NUMBER], &message("On a page")).await;
    rig.wait_report("Sent: On a page").await;
    assert_eq!(rig.far_fax(2).await.len(), on_cover + 1);

    rig.admin("set profile Basic body cover cover none");
    rig.mail(&[FAR_NUMBER], &message("Without a cover")).await;
    rig.wait_report("Sent: Without a cover").await;
    // The text has a page of its own where the cover was.
    assert_eq!(rig.far_fax(3).await.len(), on_cover);

    rig.admin("set profile Basic body ignore");
    rig.mail(&[FAR_NUMBER], &message("Not at all")).await;
    let report = rig.wait_report("Sent: Not at all").await;
    report
        .assert_says("the text of the mail was not faxed: the profile of your group leaves it out");
    assert_eq!(rig.far_fax(4).await.len(), on_cover - 1);

    rig.mail(&[FAR_NUMBER], &to_marie("Nothing left", "Hello"))
        .await;
    let report = rig.wait_report("Not sent: Nothing left").await;
    report.assert_says("the text of the mail was not faxed");
}
