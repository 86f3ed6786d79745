use std::os::unix::fs::PermissionsExt as _;

use faxpost_t4::{Coding, Resolution};

use super::*;

const HEAD: &str = "level\\tpage_num\\tblock_num\\tpar_num\\tline_num\\tword_num\\tleft\\ttop\\twidth\\theight\\tconf\\ttext";

/// A program in tesseract's place, that reads its page and does what it is told.
async fn fake(dir: &tempfile::TempDir, does: &str, page: Duration) -> Result<Reader, String> {
    let path = dir.path().join("tesseract");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n--list-langs) printf 'List:\\neng\\nfra\\nosd\\n'; exit 0;;\nesac\n\
         cat >\"{dir}/page\"\n{does}\n",
        dir = dir.path().display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Reader::with(
        Settings {
            tesseract: path,
            page,
        },
        false,
    )
    .await
}

fn page() -> FaxPage {
    let mut bitmap = Bitmap::new(1728, 1143);
    (100..400).for_each(|x| bitmap.set_black(x, 100));
    FaxPage::encode(&bitmap, Resolution::Standard, Coding::Mmr)
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_page_goes_in_and_words_come_out() {
    let dir = tempfile::tempdir().unwrap();
    let does = format!(
        "case \"$*\" in *'--psm 0'*) printf 'Rotate: 180\\nOrientation confidence: 12\\n';;\n\
         *'-l eng+fra tsv') printf '{HEAD}\\n5\\t1\\t1\\t1\\t1\\t1\\t160\\t150\\t200\\t38\\t96\\tBonjour\\n';; *) exit 9;; esac"
    );
    let reader = fake(&dir, &does, PATIENCE).await.unwrap();
    assert_eq!(reader.languages(), ["eng", "fra"]);
    assert!(reader.turns());
    // One that is not installed is left aside, and nothing of it reaches a command line.
    let read = reader.read(&page(), "eng+xyz+fra+--help").await.unwrap();
    assert_eq!((read.turn, read.words.len()), (Turn::Over, 1));
    assert_eq!(read.words[0].text, "Bonjour");
    // What it got last was the page, square and upright.
    let got = std::fs::read(dir.path().join("page")).unwrap();
    assert!(
        got.starts_with(b"P4\n1728 2379\n"),
        "{:?}",
        String::from_utf8_lossy(&got[..16])
    );
    let unread = reader.read(&page(), "xyz").await.unwrap_err();
    assert_eq!(unread, Unread::NoLanguage);
}

#[tokio::test]
async fn promise_1_whatever_it_does_there_is_an_answer() {
    for (does, wanted) in [
        ("exit 1", Unread::Failed),
        ("kill -SEGV $$", Unread::Failed),
        ("kill -KILL $$", Unread::Failed),
        ("echo all is well", Unread::Rubbish),
        ("head -c 300000 /dev/urandom", Unread::Rubbish),
        ("yes", Unread::Rubbish),
        ("exec sleep 600", Unread::Late),
        ("printf level; exec sleep 600", Unread::Late),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let page_time = if wanted == Unread::Late {
            Duration::from_millis(500)
        } else {
            PATIENCE
        };
        // Orientation is told, so that it is the reading that goes wrong.
        let does = format!("case \"$*\" in *'--psm 0'*) echo nothing; exit 0;; esac\n{does}");
        let reader = fake(&dir, &does, PATIENCE).await.unwrap();
        let hurried = Settings {
            page: page_time,
            ..reader.inner.settings.clone()
        };
        let reader = Reader {
            inner: Arc::new(Inner {
                settings: hurried,
                languages: reader.inner.languages.clone(),
                sandboxed: false,
            }),
        };
        // On a busy machine a start may be what takes too long.
        let read = reader.read(&page(), "eng").await;
        assert!(
            read == Err(wanted.clone()) || wanted == Unread::Late,
            "{does}: {read:?}"
        );
        assert!(read.is_err(), "{does}");
    }
}

#[tokio::test]
async fn a_program_that_is_none_is_told_with_what_to_do() {
    let nowhere = Settings {
        tesseract: "/nowhere/tesseract".into(),
        page: PATIENCE,
    };
    let said = Reader::find(nowhere).await.unwrap_err();
    assert!(said.contains("install tesseract-ocr"), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tesseract");
    std::fs::write(&path, "#!/bin/sh\necho osd\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = Reader::with(
        Settings {
            tesseract: path,
            page: PATIENCE,
        },
        false,
    )
    .await
    .unwrap_err();
    assert!(said.contains("no language"), "{said}");
}
