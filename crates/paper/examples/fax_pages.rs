//! Renders a PDF, an HTML file (its `cid:` pictures are the files in `FILE.pictures/`) or a text file to fax
//! pages and writes each as a portable bitmap.
//!
//! `cargo run -p faxpost-paper --example fax_pages -- FILE OUT_PREFIX [standard|fine|superfine]`;
//! `FILE` may be `cover-en` or `cover-fr` for a sample cover.

use std::fmt::Write as _;
use std::time::Instant;

use faxpost_paper::{
    Cover, Enclosed, HeaderLine, Input, Language, Limits, PageSetup, cover, header_line, render,
    stamp, warm,
};
use faxpost_t4::{FaxPage, Resolution};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, prefix, rest @ ..] = arguments.as_slice() else {
        return Err("give a file and a prefix for the output".into());
    };
    let mut setup = PageSetup::a4_fine();
    setup.resolution = match rest.first().map(String::as_str) {
        Some("standard") => Resolution::Standard,
        Some("superfine") => Resolution::Superfine,
        _ => Resolution::Fine,
    };
    let start = Instant::now();
    warm();
    println!("warm: {:?}", start.elapsed());
    let start = Instant::now();
    let pages = match file.as_str() {
        "cover-en" => cover(&sample(Language::En), &setup)?.pages,
        "cover-fr" => cover(&sample(Language::Fr), &setup)?.pages,
        _ => document(file, &setup)?,
    };
    println!("{} pages in {:?}", pages.len(), start.elapsed());
    let total = pages.len() as u32;
    for (number, page) in (1..).zip(&pages) {
        let start = Instant::now();
        let line = HeaderLine {
            date: "21/11/2026 21:40".into(),
            sender: "Atelier Lumière".into(),
            tsi: "+33 1 23 45 67 89".into(),
            page: number,
            pages: Some(total),
            ..HeaderLine::default()
        };
        let stamped = stamp(page, &header_line(&line, &setup))?;
        println!(
            "page {number}: {} bytes, stamped in {:?}",
            page.data.len(),
            start.elapsed()
        );
        write(&format!("{prefix}-{number}.pbm"), &stamped)?;
    }
    Ok(())
}

fn document(file: &str, setup: &PageSetup) -> Result<Vec<FaxPage>, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(file)?;
    let name = file.to_owned();
    let input = if bytes.starts_with(b"%PDF-") {
        Input::Pdf {
            name,
            bytes,
            password: None,
        }
    } else if file.ends_with(".html") {
        let html = faxpost_paper::text_of(&bytes, None);
        let pictures = enclosed(file)?;
        Input::Html {
            name,
            html,
            pictures,
        }
    } else {
        let text = faxpost_paper::text_of(&bytes, None);
        Input::Text { name, text }
    };
    let rendered = render(&input, setup, &Limits::default(), &mut |_, _| ())?;
    for note in rendered.notes {
        println!("note: {note}");
    }
    Ok(rendered.pages)
}

/// The files beside an HTML file, by their names.
fn enclosed(file: &str) -> Result<Vec<Enclosed>, Box<dyn std::error::Error>> {
    let folder = std::path::Path::new(file).with_extension("pictures");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry?;
        all.push(Enclosed {
            id: entry.file_name().to_string_lossy().into_owned(),
            bytes: std::fs::read(entry.path())?,
        });
    }
    Ok(all)
}

fn sample(language: Language) -> Cover {
    let mut message = String::from(
        "Dear Ms Durand,\n\nplease find enclosed the signed agreement with its two annexes. \
         Could you confirm by return that all pages are readable, and tell us on which day \
         the delivery can be expected?\n\nThe invoice follows by post; for questions about it \
         please ask our accounts department (direct line +33 1 23 45 67 80).\n\n\
         Kind regards,\nÉlodie Lefèvre\n-- \nAtelier Lumière, 12 rue de l’Échiquier, 75010 Paris",
    );
    if language == Language::Fr {
        message = String::from(
            "Madame,\n\nveuillez trouver ci-joint le contrat signé, accompagné de ses deux \
             annexes. Pourriez-vous nous confirmer par retour que toutes les pages sont lisibles \
             et nous indiquer à quelle date la livraison aura lieu ?\n\nVoilà l’été, dès Noël \
             passé : ça reste « œuvre » à façon, où qu’il fût, 250 €.\n\nCordialement,\n\
             Élodie Lefèvre",
        );
        for i in 0..60 {
            let _ = write!(
                message,
                "\nLigne n° {i} d’une liste qui remplit la page suivante"
            );
        }
    }
    Cover {
        organisation: "Atelier Lumière".into(),
        from_name: "Élodie Lefèvre".into(),
        from_number: "+33 1 23 45 67 89".into(),
        to_name: "Ms Marie Durand, Transports du Nord".into(),
        to_number: "+33 3 20 11 22 33".into(),
        date: "21 November 2026, 21:40".into(),
        subject: "Signed agreement no. 2026-114 and annexes".into(),
        message,
        document_pages: 3,
        footer: "This fax is meant for the recipient named above. If it reached you by mistake, \
                 please tell the sender and destroy it."
            .into(),
        language,
        ..Cover::default()
    }
}

fn write(path: &str, page: &FaxPage) -> Result<(), Box<dyn std::error::Error>> {
    let bitmap = page.decode()?;
    let mut file = format!("P4\n{} {}\n", bitmap.width(), bitmap.height()).into_bytes();
    file.extend_from_slice(bitmap.data());
    Ok(std::fs::write(path, file)?)
}
