//! The receipt that goes with a report: a page that a paper worker draws, as a PDF.

use faxpost_paper::{Enclosed, Input, Limits, PageSetup};
use faxpost_t4::pdf;

use super::{Inner, pages};
use crate::{
    letter::{self, Report},
    people::Settings,
    worker::paper::PaperRequest,
};

/// Pages of a receipt: a submission of thousands of numbers has a list of them.
const MOST_PAGES: u32 = 50;

/// Draws the receipt of a report; none where it can't be drawn: the report is owed without.
pub(super) async fn draw(queue: &Inner, report: &Report, settings: &Settings) -> Option<Vec<u8>> {
    let drawn = try_draw(queue, report, settings).await;
    drawn
        .inspect_err(|error| {
            let submission = report.submission_id.as_str();
            tracing::warn!(
                submission,
                error = format!("{error:#}"),
                "no receipt for a report"
            );
        })
        .ok()
}

async fn try_draw(queue: &Inner, report: &Report, settings: &Settings) -> anyhow::Result<Vec<u8>> {
    let pictures = report.first_page_png.iter().map(|bytes| Enclosed {
        id: letter::PICTURE.to_owned(),
        bytes: bytes.clone(),
    });
    let request = PaperRequest::Render {
        input: Input::Html {
            name: "receipt".to_owned(),
            html: letter::receipt(report)?,
            pictures: pictures.collect(),
        },
        setup: PageSetup {
            resolution: faxpost_t4::Resolution::Fine,
            ..pages::setup(settings)
        },
        limits: Limits {
            max_pages: MOST_PAGES,
            ..Limits::default()
        },
    };
    let done = queue.paper.render(&request, queue.paper_deadline).await?;
    anyhow::ensure!(!done.pages.is_empty(), "it has no page");
    let info = pdf::PdfInfo {
        creator: "faxpost".into(),
        ..pdf::PdfInfo::default()
    };
    Ok(pdf::wrap(&done.pages, &info))
}
