//! LibreOffice and Ghostscript, each in its sandbox: documents of every kind become PDFs and faxes, and hostile
//! ones end in a clear answer.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use faxpost::{
    conversion::{ConversionFailure, Converters, Limits},
    documents::Conversion,
};
use support::{FAR_NUMBER, Rig, letters};
use tempfile::TempDir;

const LIMITS: Limits = Limits {
    wall: Duration::from_secs(120),
    cpu: Duration::from_secs(60),
};

async fn converters(limits: Limits) -> Converters {
    let (converters, findings) = Converters::find(limits, 2).await;
    for finding in findings {
        finding.found.unwrap_or_else(|why| {
            panic!(
                "{}: {why}; deploy/deps.sh interop installs it",
                finding.what
            )
        });
    }
    converters
}

/// What another program reads in a PDF.
fn text_of(pdf: &[u8]) -> String {
    let mut reader = Command::new("pdftotext")
        .args(["-layout", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("pdftotext is in poppler-utils");
    reader.stdin.take().unwrap().write_all(pdf).unwrap();
    String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap()
}

/// Documents of each kind, as the office itself saves them.
struct Samples(TempDir);

impl Samples {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "text.rtf",
            "{\\rtf1\\ansi Confirmation of {\\b delivery} 4711, caf\\'e9\\par}",
        );
        write("table.csv", "Item,Amount\nPaper,12\nToner,3\n");
        write(
            "slide.fodp",
            r#"<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:version="1.2"
 office:mimetype="application/vnd.oasis.opendocument.presentation"><office:body><office:presentation>
 <draw:page draw:name="one"><draw:frame svg:x="2cm" svg:y="2cm" svg:width="15cm" svg:height="3cm"><draw:text-box>
 <text:p>Quarterly figures</text:p></draw:text-box></draw:frame></draw:page></office:presentation></office:body></office:document>"#,
        );
        let samples = Self(dir);
        samples.save_as(
            "text.rtf",
            &["docx:MS Word 2007 XML", "doc:MS Word 97", "odt"],
        );
        samples.save_as(
            "table.csv",
            &["xlsx:Calc MS Excel 2007 XML", "xls:MS Excel 97", "ods"],
        );
        samples.save_as(
            "slide.fodp",
            &[
                "pptx:Impress MS PowerPoint 2007 XML",
                "ppt:MS PowerPoint 97",
                "odp",
            ],
        );
        samples
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn save_as(&self, from: &str, kinds: &[&str]) {
        for kind in kinds {
            let profile = format!(
                "-env:UserInstallation=file://{}/profile",
                self.0.path().display()
            );
            let output = Command::new("soffice")
                .args([&profile, "--headless", "--convert-to", kind, "--outdir"])
                .arg(self.0.path())
                .arg(self.path(from))
                .output()
                .expect("soffice is in libreoffice-core-nogui");
            assert!(output.status.success(), "{kind}: {output:?}");
        }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_every_kind_become_pdfs() {
    let samples = tokio::task::spawn_blocking(Samples::make).await.unwrap();
    let converters = converters(LIMITS).await;
    for (name, kind, says) in [
        (
            "text.rtf",
            Conversion::Rtf,
            "Confirmation of delivery 4711, café",
        ),
        (
            "text.docx",
            Conversion::Word,
            "Confirmation of delivery 4711, café",
        ),
        (
            "text.doc",
            Conversion::Word,
            "Confirmation of delivery 4711, café",
        ),
        (
            "text.odt",
            Conversion::Odt,
            "Confirmation of delivery 4711, café",
        ),
        ("table.csv", Conversion::Csv, "Toner"),
        ("table.xlsx", Conversion::Excel, "Toner"),
        ("table.xls", Conversion::Excel, "Toner"),
        ("table.ods", Conversion::Ods, "Toner"),
        ("slide.pptx", Conversion::PowerPoint, "Quarterly figures"),
        ("slide.ppt", Conversion::PowerPoint, "Quarterly figures"),
        ("slide.odp", Conversion::Odp, "Quarterly figures"),
    ] {
        let pdf = converters
            .convert(kind, &samples.read(name), None)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = text_of(&pdf);
        assert!(text.contains(says), "{name}: {text}");
    }
    let pdf = converters
        .convert(
            Conversion::PostScript,
            b"%!PS\n/Helvetica findfont 24 scalefont setfont 72 700 moveto (Printed) show showpage\n",
            None,
        )
        .await
        .unwrap();
    assert!(text_of(&pdf).contains("Printed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wide_table_is_as_wide_as_the_page() {
    let converters = converters(LIMITS).await;
    let row: Vec<String> = (0..40).map(|column| format!("column {column}")).collect();
    let csv = format!("{}\n", row.join(";")).repeat(30);
    let pdf = converters
        .convert(Conversion::Csv, csv.as_bytes(), None)
        .await
        .unwrap();
    let text = text_of(&pdf);
    assert!(text.contains("column 0") && text.contains("column 39"));
    assert_eq!(text.matches('\x0c').count(), 1, "one page: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_such_document_ends_in_a_clear_answer() {
    let converters = converters(LIMITS).await;
    let mut noise = vec![0; 300_000];
    let mut state = 1_u32;
    for octet in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *octet = (state >> 24) as u8;
    }
    let convert = |kind, bytes: Vec<u8>| {
        let converters = converters.clone();
        async move { converters.convert(kind, &bytes, None).await }
    };
    assert_eq!(
        convert(Conversion::Word, noise.clone()).await,
        Err(ConversionFailure::Mislabelled)
    );
    // It begins as it should, and goes on as noise.
    let package = [b"PK\x03\x04".as_slice(), &noise].concat();
    let compound = [b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".as_slice(), &noise].concat();
    for (kind, bytes) in [
        (Conversion::Word, &package),
        (Conversion::Excel, &package),
        (Conversion::Odp, &package),
        (Conversion::Word, &compound),
        (Conversion::Excel, &compound),
    ] {
        let answer = convert(kind, bytes.clone()).await;
        assert_eq!(answer, Err(ConversionFailure::Unreadable), "{kind:?}");
    }
    assert_eq!(
        convert(Conversion::PostScript, b"%!PS\n(unclosed".to_vec()).await,
        Err(ConversionFailure::Unreadable)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_document_wants_its_password() {
    let converters = converters(LIMITS).await;
    for (name, kind) in [
        ("protected.docx", Conversion::Word),
        ("protected.doc", Conversion::Word),
        ("protected.odt", Conversion::Odt),
    ] {
        let path = format!("{}/testdata/office/{name}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        for wrong in [None, Some("wrong")] {
            let answer = converters.convert(kind, &bytes, wrong).await;
            assert_eq!(answer, Err(ConversionFailure::Protected), "{name}");
        }
        let pdf = converters
            .convert(kind, &bytes, Some("secret"))
            .await
            .unwrap();
        assert!(text_of(&pdf).contains("Hello bold café"), "{name}");
    }
}

/// `macro.odt` has a macro for its opening, which changes its text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn macros_do_not_run() {
    let folder = format!("{}/testdata/office", env!("CARGO_MANIFEST_DIR"));
    let path = format!("{folder}/macro.odt");
    let converters = converters(LIMITS).await;
    let bytes = std::fs::read(&path).unwrap();
    let pdf = converters
        .convert(Conversion::Odt, &bytes, None)
        .await
        .unwrap();
    assert_eq!(text_of(&pdf).trim(), "The macro did not run");
    // And that it does, where somebody lets it.
    let profile = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new("/usr/bin/python3")
        .args([format!("{folder}/run_macro.py"), path])
        .arg(profile.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "The macro ran", "{output:?}");
}

/// The processes whose command line holds this.
fn running(what: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(what)
        })
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_never_ends_is_stopped_with_all_that_it_started() {
    let converters = converters(Limits {
        wall: Duration::from_secs(4),
        cpu: Duration::from_secs(60),
    })
    .await;
    // A program that runs for ever, known by its first line.
    let endless = b"%!PS\n{} loop\n";
    assert_eq!(
        converters
            .convert(Conversion::PostScript, endless, None)
            .await,
        Err(ConversionFailure::Limit(4))
    );
    // A million rows take LibreOffice minutes.
    let rows = "a;b;c;d;e;f;g;h\n".repeat(49_000);
    let answer = converters
        .convert(Conversion::Csv, rows.as_bytes(), None)
        .await;
    assert_eq!(answer, Err(ConversionFailure::Limit(4)));
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while running("-dSAFER") > 0 {
        assert!(tokio::time::Instant::now() < until, "it goes on");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_in_its_sandbox_sees_nothing_of_this_machine() {
    let converters = converters(LIMITS).await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "(a secret)").unwrap();
    // Ghostscript is told to read a file, which it must not, nor could.
    let thief = format!("%!PS\n({}) run\nshowpage\n", secret.path().display());
    assert_eq!(
        converters
            .convert(Conversion::PostScript, thief.as_bytes(), None)
            .await,
        Err(ConversionFailure::Unreadable)
    );
    // A text that shows a file of this machine as a part of itself.
    let linked = format!(
        "{{\\rtf1\\ansi Before {{\\field{{\\*\\fldinst INCLUDETEXT \"file://{}\"}}{{\\fldrslt none}}}} after\\par}}",
        secret.path().display()
    );
    let pdf = converters
        .convert(Conversion::Rtf, linked.as_bytes(), None)
        .await
        .unwrap();
    let text = text_of(&pdf);
    assert!(
        text.contains("Before") && !text.contains("a secret"),
        "{text}"
    );
    assert!(Path::new(secret.path()).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_document_in_a_mail_becomes_a_fax_and_a_damaged_one_is_named() {
    let samples = tokio::task::spawn_blocking(Samples::make).await.unwrap();
    let rig = Rig::builder()
        .setting("paper", "convert = true")
        .start()
        .await;
    let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let message = letters::message(
        "Contract",
        "Please find it attached.",
        &[(word, "contract.docx", &samples.read("text.docx"))],
    );
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("Contract").await;
    report.assert_says("Pages: 2 of 2 confirmed");
    let page = rig.far_fax(1).await[1].decode().unwrap();
    let ink = (100..2200).filter(|&y| page.row(y).iter().any(|&octet| octet != 0));
    assert!(ink.count() > 15, "its text");

    let damaged = [b"PK\x03\x04".as_slice(), &[7; 5000]].concat();
    let message = letters::message("Damaged", "Here.", &[(word, "broken.docx", &damaged)]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("Damaged").await;
    report.assert_says("broken.docx");
    report.assert_says("save it as PDF");
}
