//! Our side of `make bench-paper`: what `run.py` measures runs here, a process a job.
//!
//!   paper pages FILE [PREFIX]   a document's pages; their bytes, and with PREFIX the pages as PBM
//!   paper grey FILE PREFIX      the same pages in grey as PGM, before anything is black or white
//!   paper mmr SECONDS PBM...    milliseconds to encode all of them as MMR, and to decode them
//!   paper mailtext, paper cover milliseconds for a page of mail text, for a cover

use std::hint::black_box;
use std::time::{Duration, Instant};

use faxpost_paper::{Cover, Input, Limits, PageSetup, cover, is_picture, render, warm};
use faxpost_t4::{Bitmap, Coding, decode, encode};
use hayro::hayro_interpret::{InterpreterSettings, TransformExt as _};
use hayro::hayro_syntax::Pdf;
use hayro::kurbo::Affine;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, render_into};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["pages", file, prefix @ ..] => pages(file, prefix.first().copied()),
        ["grey", file, prefix] => grey(file, prefix),
        ["mmr", seconds, files @ ..] => mmr(seconds.parse()?, files),
        ["mailtext"] => mailtext(),
        ["cover"] => covers(),
        _ => {
            println!("make bench-paper runs this: see benches/paper/run.py");
            Ok(())
        }
    }
}

fn input(file: &str) -> Result<Input, std::io::Error> {
    let bytes = std::fs::read(file)?;
    let name = file.to_owned();
    Ok(if is_picture(&bytes) {
        Input::Picture {
            name,
            bytes,
            shown: false,
        }
    } else {
        Input::Pdf {
            name,
            bytes,
            password: None,
        }
    })
}

fn pages(file: &str, prefix: Option<&str>) -> Outcome {
    let limits = Limits {
        max_pages: 2000,
        ..Limits::default()
    };
    let rendered = render(
        &input(file)?,
        &PageSetup::a4_fine(),
        &limits,
        &mut |_, _| (),
    )?;
    for (number, page) in (1..).zip(&rendered.pages) {
        println!("{}", page.data.len());
        if let Some(prefix) = prefix {
            let bitmap = page.decode()?;
            let mut out = format!("P4\n{} {}\n", bitmap.width(), bitmap.height()).into_bytes();
            out.extend_from_slice(bitmap.data());
            std::fs::write(format!("{prefix}-{number}.pbm"), out)?;
        }
    }
    Ok(())
}

/// The pages as `render` lays them, straight ones no larger than the paper only.
fn grey(file: &str, prefix: &str) -> Outcome {
    let setup = PageSetup::a4_fine();
    let pdf = Pdf::new(std::fs::read(file)?).map_err(|e| format!("{e:?}"))?;
    let (width, height) = (setup.width as u16, setup.height() as u16);
    let cache = RenderCache::new();
    for (number, page) in (1..).zip(pdf.pages().iter()) {
        let mm = 25.4 / 72.0;
        let left = (setup.width_mm() - f64::from(page.render_dimensions().0) * mm) / 2.0;
        let transform = Affine::scale_non_uniform(setup.columns_per_mm(), setup.rows_per_mm())
            * Affine::translate((left, 0.0))
            * Affine::scale(mm)
            * page.initial_transform(true).to_kurbo();
        let mut context = RenderContext::new(width, height);
        let settings = InterpreterSettings::default();
        render_into(
            page,
            &cache,
            &settings,
            &RenderSettings::default(),
            &mut context,
            transform,
        );
        context.flush();
        let mut pixmap = Pixmap::new(width, height);
        let raster = RasterizerSettings {
            target_init: TargetInit::Clear(WHITE),
            ..RasterizerSettings::default()
        };
        context.render_with(&mut pixmap, &mut Resources::default(), raster);
        let mut out = format!("P5\n{width} {height}\n255\n").into_bytes();
        out.extend(
            pixmap
                .data_as_u8_slice()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&[r, g, b, _]| {
                    ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u8
                }),
        );
        std::fs::write(format!("{prefix}-{number}.pgm"), out)?;
    }
    Ok(())
}

fn read_pbm(file: &str) -> Result<Bitmap, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(file)?;
    let lines: Vec<&[u8]> = bytes.splitn(3, |&octet| octet == b'\n').collect();
    let [b"P4", size, data] = lines.as_slice() else {
        return Err(format!("{file} is no PBM file of ours").into());
    };
    let size: Vec<usize> = std::str::from_utf8(size)?
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Bitmap::from_packed(size[0], size[1], data.to_vec())
        .ok_or_else(|| format!("{file} is cut off").into())
}

fn mmr(seconds: f64, files: &[&str]) -> Outcome {
    let bitmaps: Vec<Bitmap> = files
        .iter()
        .map(|file| read_pbm(file))
        .collect::<Result<_, _>>()?;
    let coded: Vec<Vec<u8>> = bitmaps
        .iter()
        .map(|bitmap| encode(bitmap, Coding::Mmr))
        .collect();
    let limit = Duration::from_secs_f64(seconds);
    let encoding = median(limit, || {
        for bitmap in &bitmaps {
            black_box(encode(black_box(bitmap), Coding::Mmr));
        }
    });
    let decoding = median(limit, || {
        for (bitmap, coded) in bitmaps.iter().zip(&coded) {
            black_box(
                decode(
                    black_box(coded),
                    Coding::Mmr,
                    bitmap.width(),
                    Some(bitmap.height()),
                )
                .is_ok(),
            );
        }
    });
    for ((bitmap, coded), file) in bitmaps.iter().zip(&coded).zip(files) {
        let back = decode(coded, Coding::Mmr, bitmap.width(), Some(bitmap.height()))?;
        if back != *bitmap {
            return Err(format!("{file} did not come back").into());
        }
    }
    println!(
        "{encoding} {decoding} {}",
        coded.iter().map(Vec::len).sum::<usize>()
    );
    Ok(())
}

/// The median of the processor's milliseconds that `work` takes, over as many runs as fit in `limit`.
fn median(limit: Duration, mut work: impl FnMut()) -> f64 {
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || start.elapsed() < limit {
        let from = cpu_ms();
        work();
        times.push(cpu_ms() - from);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Milliseconds that this thread has had a processor: other programs on the machine don't count.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|first| first.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |ns| ns / 1e6)
}

fn mailtext() -> Outcome {
    let paragraph = "Dear Ms Durand,\n\nplease find enclosed the signed agreement with its two annexes. Could you \
        confirm by return that all pages are readable, and tell us on which day the delivery can be expected?\n\n";
    let text = paragraph.repeat(9);
    let input = Input::Text {
        name: "mail".into(),
        text,
    };
    let setup = PageSetup::a4_fine();
    warm();
    let mut pages = 0;
    let took = median(Duration::from_secs(3), || {
        pages = render(&input, &setup, &Limits::default(), &mut |_, _| ())
            .map_or(0, |done| done.pages.len());
    });
    if pages != 1 {
        return Err(format!("the text is {pages} pages long").into());
    }
    println!("{took}");
    Ok(())
}

fn covers() -> Outcome {
    let sheet = Cover {
        organisation: "Atelier Lumière".into(),
        from_name: "Élodie Lefèvre".into(),
        from_number: "+33 1 23 45 67 89".into(),
        to_name: "Ms Marie Durand, Transports du Nord".into(),
        to_number: "+33 3 20 11 22 33".into(),
        date: "21 November 2026, 21:40".into(),
        subject: "Signed agreement no. 2026-114 and annexes".into(),
        message: "Dear Ms Durand,\n\nplease find enclosed the signed agreement with its two annexes. Could you \
            confirm by return that all pages are readable?\n\nKind regards,\nÉlodie Lefèvre"
            .into(),
        document_pages: 3,
        footer: "This fax is meant for the recipient named above.".into(),
        ..Cover::default()
    };
    let setup = PageSetup::a4_fine();
    warm();
    let mut pages = 0;
    let took = median(Duration::from_secs(3), || {
        pages = cover(&sheet, &setup).map_or(0, |done| done.pages.len());
    });
    if pages == 0 {
        return Err("no cover was drawn".into());
    }
    println!("{took}");
    Ok(())
}
