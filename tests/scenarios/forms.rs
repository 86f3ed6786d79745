//! Received faxes in the form that each recipient has, read by programs that are not ours.

use std::{path::PathBuf, process::Command};

use faxpost_t4::{FaxPage, Resolution, tiff};

use crate::support::{ALICE, FAR_NUMBER, OUR_NUMBER, Rig, fax, letters::Letter};

const PASSWORD: &str = "Open, Sesame 4711";

/// A rig where each form has a recipient: `tiff@…` gets TIFF.
async fn every_form() -> Rig {
    let rig = Rig::builder().without_far_end().start().await;
    for form in ["tiff", "png", "jpeg", "notice"] {
        rig.admin(&format!(
            "add recipient {form}@example.localhost to {OUR_NUMBER} form {form}"
        ));
    }
    rig.admin(&format!(
        "add recipient secret@example.localhost to {OUR_NUMBER} password \"{PASSWORD}\""
    ));
    rig
}

/// Runs a program, which must succeed; what it says.
fn run(program: &str, arguments: &[&str], files: &[&PathBuf]) -> String {
    let done = try_run(program, arguments, files);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
    said
}

fn try_run(program: &str, arguments: &[&str], files: &[&PathBuf]) -> std::process::Output {
    Command::new(program)
        .args(arguments)
        .args(files)
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} can't be run ({error}): deploy/deps.sh installs it")
        })
}

fn of<'a>(letters: &'a [Letter], name: &str) -> &'a Letter {
    let address = format!("{name}@example.localhost");
    letters
        .iter()
        .find(|letter| letter.recipients == [address.clone()])
        .unwrap_or_else(|| panic!("no letter to {address}"))
}

fn save(rig: &Rig, name: &str, octets: &[u8]) -> PathBuf {
    let path = rig.folder().join(name);
    std::fs::write(&path, octets).unwrap();
    path
}

fn files<'a>(letter: &'a Letter, kind: &str) -> Vec<(&'a str, &'a [u8])> {
    letter
        .parts
        .iter()
        .filter(|(is, ..)| is == kind)
        .map(|(_, name, octets)| (name.as_deref().unwrap_or_default(), octets.as_slice()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_recipient_gets_the_fax_in_their_form() {
    let mut rig = every_form().await;
    let pages = [
        fax::page(0, Resolution::Fine, 2292),
        fax::page(1, Resolution::Fine, 2292),
    ];
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let letters = rig.wait_faxes(6).await;

    let pdf = save(&rig, "plain.pdf", &of(&letters, "alice").pdf());
    portable(&pdf, &[]);
    let secret = of(&letters, "secret");
    secret.assert_says("opens with your password");
    let pdf = save(&rig, "secret.pdf", &secret.pdf());
    let password = format!("--password={PASSWORD}");
    portable(&pdf, &["-upw", PASSWORD]);
    let shut = try_run("pdfinfo", &[], &[&pdf]);
    assert!(!shut.status.success(), "it opens without the password");
    let wrong = try_run("pdfinfo", &["-upw", "open, sesame 4711"], &[&pdf]);
    assert!(!wrong.status.success(), "it opens with another password");
    let told = run("qpdf", &[&password, "--show-encryption"], &[&pdf]);
    assert!(told.contains("R = 6") && told.contains("AESv3"), "{told}");
    run("qpdf", &[&password, "--check"], &[&pdf]);
    same_pictures(&rig, &pdf, &["-upw", PASSWORD], &pages);

    tiff_f(&rig, of(&letters, "tiff"), &pages);
    pictures(
        &rig,
        of(&letters, "png"),
        "image/png",
        "png",
        "PNG image data, 1728 x 2386, 1-bit grayscale",
    );
    pictures(
        &rig,
        of(&letters, "jpeg"),
        "image/jpeg",
        "jpg",
        "1296x1789, components 1",
    );

    let notice = of(&letters, "notice");
    notice.assert_says("Its pages are not attached");
    assert_eq!(notice.parts.len(), 0, "{:?}", notice.parts);
    rig.until("a kept fax", async || {
        (rig.count("SELECT COUNT(*) FROM received_fax WHERE state = 'kept'")
            .await
            == 1)
            .then_some(())
    })
    .await;
    assert_eq!(open_pages(&rig).await, 2, "whose pages are here");

    // What was only announced is sent when somebody asks.
    let id: String = sqlx::query_scalar("SELECT received_id FROM received_fax")
        .fetch_one(rig.store.reader())
        .await
        .unwrap();
    rig.admin(&format!("deliver {id} to notice@example.localhost"));
    let letters = rig.wait_faxes(7).await;
    assert_eq!(letters[6].recipients, ["notice@example.localhost"]);
    assert_eq!(fax::pdf_pages(&letters[6].pdf()).len(), 2);
    let complaint = rig.admin_refused(&format!("deliver {id} to stranger@example.localhost"));
    assert!(complaint.contains("no recipient"), "{complaint}");
    assert!(!rig.logs().contains(PASSWORD), "the password is in a log");
    rig.stop().await;
}

/// Pages' custody that is not over.
async fn open_pages(rig: &Rig) -> i64 {
    rig.count("SELECT COUNT(*) FROM custody WHERE what = 'page' AND done_at IS NULL")
        .await
}

fn portable(pdf: &PathBuf, password: &[&str]) {
    if password.is_empty() {
        let said = run("qpdf", &["--check"], &[pdf]);
        assert!(
            said.contains("No syntax or stream encoding errors"),
            "{said}"
        );
    }
    let told = run("pdfinfo", password, &[pdf]);
    for line in [
        format!("Fax from {FAR_NUMBER} (2 pages)"),
        format!("Author:          {FAR_NUMBER}"),
        format!("Subject:         {OUR_NUMBER}"),
        "Creator:         faxpost".to_owned(),
        "CreationDate:".to_owned(),
        "Pages:           2".to_owned(),
        "Page size:       609.882 x 841.95".to_owned(),
    ] {
        assert!(told.contains(&line), "{line} is not in {told}");
    }
}

/// The pixels as poppler has them out of the PDF.
fn same_pictures(rig: &Rig, pdf: &PathBuf, password: &[&str], pages: &[FaxPage]) {
    let root = rig.folder().join("picture");
    run("pdfimages", password, &[pdf, &root]);
    for (index, page) in pages.iter().enumerate() {
        let file = rig.folder().join(format!("picture-{index:03}.pbm"));
        let octets =
            std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let bitmap = page.decode().unwrap();
        assert!(octets.ends_with(bitmap.data()), "page {index} is another");
    }
}

fn tiff_f(rig: &Rig, letter: &Letter, pages: &[FaxPage]) {
    letter.assert_says("attached as a TIFF file");
    let files = files(letter, "image/tiff");
    assert_eq!(files.len(), 1);
    assert!(files[0].0.ends_with(".tif"), "{}", files[0].0);
    let file = save(rig, "fax.tif", files[0].1);
    let told = run("tiffinfo", &["-D"], &[&file]);
    for line in [
        "Page Number: 0-2",
        "Page Number: 1-2",
        "Resolution: 204, 196",
        "Software: faxpost",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    assert!(!told.contains("Warning"), "{told}");
    let wanted = save(rig, "wanted.tif", &tiff::write(pages).unwrap());
    // It compares pixels, page by page; of tags only those that say how pixels look.
    run("tiffcmp", &["-t"], &[&file, &wanted]);
}

fn pictures(rig: &Rig, letter: &Letter, kind: &str, ending: &str, looks: &str) {
    letter.assert_says("one for each page");
    let files = files(letter, kind);
    assert_eq!(files.len(), 2, "{:?}", letter.parts);
    for (index, (name, octets)) in files.iter().enumerate() {
        assert!(
            name.ends_with(&format!("-page-{:02}.{ending}", index + 1)),
            "{name}"
        );
        let file = save(rig, &format!("page-{index}.{ending}"), octets);
        let told = run("file", &[], &[&file]);
        assert!(told.contains(looks), "{looks} is not in {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_are_added_changed_shown_and_removed_by_command() {
    let rig = Rig::builder().without_far_end().start().await;
    let shown = rig.admin(&format!("show number {OUR_NUMBER}"));
    assert_eq!(
        shown.trim(),
        format!("{OUR_NUMBER}  Front desk\n  {ALICE}  form pdf, large split")
    );
    rig.admin(&format!(
        "add recipient Bob@Example.localhost to {OUR_NUMBER} form png large notice"
    ));
    let set = format!("set recipient bob@example.localhost of {OUR_NUMBER}");
    for (words, complaint) in [
        ("form docx", "pdf, pdfa, tiff, png, jpeg or notice"),
        ("password 1234567", "from 8 to 127"),
        ("password motdepassé", "from 8 to 127"),
        ("password \"long enough\"", "only form pdf"),
        ("large never", "split or notice"),
        ("colour on", "form, password or large"),
        ("", "form, password or large"),
    ] {
        let said = rig.admin_refused(&format!("{set} {words}"));
        assert!(said.contains(complaint), "{words}: {said}");
        assert!(
            !said.contains("1234567") && !said.contains("motdepass"),
            "{said}"
        );
    }
    let said = rig.admin(&format!("{set} form pdf password \"long enough\""));
    assert!(
        said.contains("form pdf with a password, large notice") && !said.contains("enough"),
        "{said}"
    );
    let said = rig.admin_refused(&format!("{set} form jpeg"));
    assert!(said.contains("only form pdf"), "{said}");
    rig.admin(&format!("{set} form jpeg password none"));
    let said = rig.admin_refused(&format!(
        "add recipient BOB@example.localhost to {OUR_NUMBER}"
    ));
    assert!(said.contains("already"), "{said}");
    rig.admin(&format!("remove recipient {ALICE} of {OUR_NUMBER}"));
    let said = rig.admin(&format!(
        "remove recipient bob@example.localhost of {OUR_NUMBER}"
    ));
    assert!(said.contains("calls to it are refused"), "{said}");
    let shown = rig.admin(&format!("show number {OUR_NUMBER}"));
    assert!(shown.contains("no recipients"), "{shown}");
}

/// An internet fax machine gets the file and nothing else, in the profile that all of them read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internet_fax_machine_gets_profile_s_alone() {
    let mut rig = Rig::builder().without_far_end().start().await;
    rig.admin(&format!(
        "add recipient t37@example.localhost to {OUR_NUMBER} form t37"
    ));
    let pages = [
        fax::page(0, Resolution::Standard, 1143),
        fax::page(1, Resolution::Fine, 2287),
    ];
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let letters = rig.wait_faxes(2).await;
    let letter = of(&letters, "t37");
    let raw = String::from_utf8_lossy(&letter.raw).into_owned();
    let header = raw.split("\r\n\r\n").next().unwrap();
    assert!(
        header.contains("Content-Type: image/tiff; application=\"faxbw\"")
            || header.contains("application=faxbw"),
        "{header}"
    );
    assert!(!raw.contains("multipart/"), "{header}");
    let file = save(&rig, "t37.tif", &letter.parts[0].2);
    let told = run("tiffinfo", &["-D"], &[&file]);
    for line in [
        "Compression Scheme: CCITT Group 3",
        "Group 3 Options: (0 = 0x0)",
        "FillOrder: lsb-to-msb",
        "Photometric Interpretation: min-is-white",
        "Image Width: 1728 Image Length: 1143",
        "Image Width: 1728 Image Length: 2287",
        "Resolution: 204, 98 pixels/inch",
        "Resolution: 204, 196 pixels/inch",
        "Page Number: 0-2",
        "Page Number: 1-2",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let read = tiff::read(&letter.parts[0].2).unwrap();
    fax::assert_same(&pages, &read);
    rig.stop().await;
}
