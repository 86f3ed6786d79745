//! `faxpost cover`: what a template makes, as a file to look at.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use faxpost_paper::{Cover, PageSetup, PaperError, TEMPLATE_OCTETS, Template, sample_covers};
use faxpost_t4::{FaxPage, pdf};

use super::admin::attachment;
use crate::{
    command::Attachment,
    letter::page_png,
    policy::Covers,
    worker::{
        Fonts, Kind, Limits, Program,
        paper::{PaperFailure, PaperPool, PaperRequest},
    },
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The template, a typst file, or the name of a built-in one: plain, business, confidential.
    template: String,
    /// Where to draw it: a .pdf file, or a .png one (further pages get their number before the ending).
    out: PathBuf,
    /// What stands on it: en and fr are covers as they come, long one with long values and a text of several
    /// pages, bare one without any.
    #[arg(long, value_parser = ["en", "fr", "long", "bare"], default_value = "en")]
    sample: String,
    /// A logo, PNG or JPEG.
    #[arg(long)]
    logo: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let template = template(&args.template)?;
    let limits = Limits::of(Kind::Paper);
    let fonts = tokio::task::spawn_blocking(|| Fonts::find(&[])).await?;
    let pool = PaperPool::on_demand(Program::this(), limits, Arc::new(fonts));
    let logo = match &args.logo {
        None => None,
        Some(path) => {
            let Attachment { name, bytes } = attachment(path)?;
            let request = PaperRequest::Logo { name, bytes };
            pool.render(&request, super::check::COVER_WITHIN)
                .await?
                .logo
        }
    };
    let [english, french, long, bare] = sample_covers(&template, logo.as_deref());
    let cover = match args.sample.as_str() {
        "fr" => french,
        "long" => long,
        "bare" => bare,
        _ => english,
    };
    // A long one has no logo among the samples; who names one wants to see it.
    let cover = Cover { logo, ..cover };
    let request = PaperRequest::Cover {
        cover: Box::new(cover),
        setup: PageSetup::a4_fine(),
    };
    let done = match pool.render(&request, super::check::COVER_WITHIN).await {
        Ok(done) => done,
        Err(failure) => bail!("{}", placed(&args.template, &failure)),
    };
    for note in &done.notes {
        eprintln!("note: {note}");
    }
    write(&args.out, &done.pages)?;
    println!("{}: {} page(s)", args.out.display(), done.pages.len());
    pool.shutdown(std::time::Duration::ZERO).await;
    Ok(())
}

fn template(given: &str) -> anyhow::Result<Template> {
    if let Some(built_in) = Covers::load(None)?.get(given) {
        return Ok(built_in);
    }
    let Attachment { name, bytes } = attachment(Path::new(given)).with_context(|| {
        format!("{given} is no built-in cover (plain, business, confidential), and no file")
    })?;
    if bytes.len() > TEMPLATE_OCTETS {
        bail!("{given}: a template may have {TEMPLATE_OCTETS} octets");
    }
    let source = String::from_utf8(bytes).with_context(|| format!("{given}: is no UTF-8 text"))?;
    Ok(Template { name, source })
}

/// What went wrong, as editors read it: `FILE:LINE:COLUMN: words`.
pub(super) fn placed(file: &str, failure: &PaperFailure) -> String {
    match failure {
        PaperFailure::Document(PaperError::Template { fault, .. }) => match fault.place {
            Some((line, column)) => format!("{file}:{line}:{column}: {}", fault.said),
            None => format!("{file}: {}", fault.said),
        },
        failure => format!("{file}: {failure}"),
    }
}

fn write(out: &Path, pages: &[FaxPage]) -> anyhow::Result<()> {
    let written = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).with_context(|| format!("{}: can't be written", path.display()))
    };
    match out.extension().and_then(|ending| ending.to_str()) {
        Some("pdf") => written(out, &pdf::wrap(pages, &pdf::PdfInfo::default())),
        Some("png") => {
            for (number, page) in (1..).zip(pages) {
                let path = match number {
                    1 => out.to_path_buf(),
                    _ => out.with_extension(format!("{number}.png")),
                };
                written(&path, &page_png(page)?)?;
            }
            Ok(())
        }
        _ => bail!("{}: name a .pdf or a .png file", out.display()),
    }
}
