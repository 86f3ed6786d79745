//! Received pages are read, or not: the fax comes in any case. A script stands in tesseract's place.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use faxpost_t4::Resolution;

use crate::support::{OUR_NUMBER, Rig, RigBuilder, fax};

const HEAD: &str = "level\\tpage_num\\tblock_num\\tpar_num\\tline_num\\tword_num\\tleft\\ttop\\twidth\\theight\\tconf\\ttext";

/// A folder with a program in tesseract's place.
fn fake(does: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tesseract");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in --list-langs) printf 'List:\\neng\\nosd\\n'; exit 0;; esac\ncat >/dev/null\n\
         case \"$*\" in *'--psm 0'*) printf 'Rotate: 180\\nOrientation confidence: 12\\n'; exit 0;; esac\n{does}\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (dir, path)
}

async fn rig(path: &std::path::Path, change: impl FnOnce(RigBuilder) -> RigBuilder) -> Rig {
    let how = Rig::builder().setting(
        "ocr",
        &format!("tesseract = {:?}", path.display().to_string()),
    );
    let rig = change(how).without_far_end().start().await;
    // Behind the command's back, which asks for languages that are installed.
    rig.meddle("UPDATE profile SET ocr = 'eng'").await;
    let profiles = rig
        .count("SELECT COUNT(*) FROM profile WHERE ocr = 'eng'")
        .await;
    assert!(profiles > 0, "there is a profile");
    rig
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_is_in_the_pdf_for_every_recipient() {
    let does =
        format!("printf '{HEAD}\\n5\\t1\\t1\\t1\\t1\\t1\\t160\\t150\\t200\\t38\\t96\\tBonjour\\n'");
    let (_dir, path) = fake(&does);
    let mut rig = rig(&path, |how| how).await;
    rig.admin(&format!(
        "add recipient bob@example.localhost to {OUR_NUMBER}"
    ));
    rig.admin(&format!(
        "add recipient carol@example.localhost to {OUR_NUMBER} form notice"
    ));
    let mut sender = rig.call_in(&fax::pages(2), &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    for letter in rig.wait_faxes(3).await {
        if letter.recipients == ["carol@example.localhost"] {
            assert!(!letter.text.contains("searched") && letter.parts.is_empty());
            continue;
        }
        letter.assert_says("Its text can be searched");
        letter.assert_says("Pages 1 and 2 were turned to be read");
        let pdf = rig.folder().join("read.pdf");
        std::fs::write(&pdf, letter.pdf()).unwrap();
        let done = std::process::Command::new("pdftotext")
            .arg(&pdf)
            .arg("-")
            .output()
            .unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        assert_eq!(text.matches("Bonjour").count(), 2, "{text}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_fax_comes_whatever_becomes_of_its_reading() {
    for (does, settings) in [
        ("kill -SEGV $$", &[][..]),
        ("echo rubbish", &[]),
        ("yes", &[]),
        ("exec sleep 600", &["page_s = 1"]),
        ("exec sleep 600", &["page_s = 600", "fax_s = 1"]),
    ] {
        let (_dir, path) = fake(does);
        let change = |how: RigBuilder| {
            settings
                .iter()
                .fold(how, |how, line| how.setting("ocr", line))
        };
        let mut rig = rig(&path, change).await;
        let pages = fax::pages(1);
        let mut sender = rig.call_in(&pages, &[]);
        assert!(sender.wait().await.success(), "{}", sender.log());
        let letter = rig.wait_faxes(1).await.remove(0);
        assert!(!letter.text.contains("searched"), "{does}: {}", letter.text);
        let mailed = fax::pdf_pages(&letter.pdf()).remove(0).picture;
        fax::assert_same(&pages, &[mailed]);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_that_is_read_holds_up_no_other_and_outlives_a_crash() {
    let (dir, path) = fake("exec sleep 600");
    let mut rig = rig(&path, |how| how.setting("ocr", "page_s = 600")).await;
    let pages = [fax::page(0, Resolution::Fine, 2292)];
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let resting = "SELECT COUNT(*) FROM outbox WHERE state = 'compose'";
    rig.until("a fax that is being read", async || {
        (rig.count(resting).await == 1).then_some(())
    })
    .await;
    // One that wants no reading goes past it.
    rig.meddle("UPDATE profile SET ocr = 'off'").await;
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    rig.wait_faxes(1).await;
    assert_eq!(rig.count(resting).await, 1);
    rig.meddle("UPDATE profile SET ocr = 'eng'").await;
    rig.kill9().await;
    // The next start begins anew, with a tesseract that can read.
    let script = std::fs::read_to_string(&path).unwrap();
    let does =
        format!("printf '{HEAD}\\n5\\t1\\t1\\t1\\t1\\t1\\t160\\t150\\t200\\t38\\t96\\tBonjour\\n'");
    std::fs::write(&path, script.replace("exec sleep 600", &does)).unwrap();
    rig.restart().await;
    let letters = rig.wait_faxes(2).await;
    letters[1].assert_says("Its text can be searched");
    drop(dir);
    rig.stop().await;
}
