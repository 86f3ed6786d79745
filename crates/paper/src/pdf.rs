//! PDF files: each page drawn in grey at the fax's own resolution, then made black and white.
//!
//! The drawing is anti-aliased (without, hayro is slower and the local threshold of `bilevel`
//! sees less), and non-square pixels come from the transform, not from resampling.

use std::sync::{Arc, Mutex, PoisonError};

use hayro::hayro_interpret::font::FontQuery;
use hayro::hayro_interpret::{InterpreterSettings, InterpreterWarning};
use hayro::hayro_syntax::page::Page;
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro::kurbo::Affine;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, hayro_interpret::TransformExt, render_into};

use crate::grey::Grey;
use crate::{Limits, Note, PageSetup, PaperError, Reason, Rendered, bilevel, code, fonts};

const MM_PER_POINT: f64 = 25.4 / 72.0;

/// Below this scale small print becomes hard to read, and the sender is told.
const TELL_SCALE: f64 = 0.75;

type Notes = Arc<Mutex<Vec<Note>>>;

pub(crate) fn render(
    name: &str,
    bytes: &[u8],
    password: Option<&str>,
    setup: &PageSetup,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Rendered, PaperError> {
    let pdf = open(name, bytes, password)?;
    let pages = pdf.pages();
    let total = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    if total == 0 {
        return Err(damaged(name, Reason::NoPage));
    }
    if total > limits.max_pages {
        return Err(PaperError::TooManyPages {
            name: name.to_owned(),
            limit: limits.max_pages,
        });
    }
    let notes = Notes::default();
    let settings = settings(&notes);
    let cache = RenderCache::new();
    let mut canvas = Canvas::new(setup);
    let mut rendered = Vec::with_capacity(pages.len());
    for (number, page) in (1..).zip(pages.iter()) {
        let grey = canvas
            .draw(page, number, &cache, &settings, &notes)
            .ok_or_else(|| damaged(name, Reason::PageSize { page: number }))?;
        rendered.push(code(&bilevel::to_bitmap(&grey, setup.resolution), setup));
        progress(number, total);
    }
    let notes = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Rendered {
        pages: rendered,
        notes,
    })
}

fn open(name: &str, bytes: &[u8], password: Option<&str>) -> Result<Pdf, PaperError> {
    if bytes.is_empty() {
        return Err(PaperError::Empty {
            name: name.to_owned(),
        });
    }
    Pdf::new_with_password(bytes.to_vec(), password.unwrap_or_default()).map_err(|e| match e {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => match password {
            None | Some("") => PaperError::PasswordNeeded {
                name: name.to_owned(),
            },
            Some(_) => PaperError::PasswordWrong {
                name: name.to_owned(),
            },
        },
        LoadPdfError::Decryption(DecryptionError::UnsupportedAlgorithm) => {
            PaperError::Unsupported {
                name: name.to_owned(),
                reason: Reason::EncryptionUnknown,
            }
        }
        LoadPdfError::Decryption(_) => damaged(name, Reason::EncryptionBroken),
        // Readers look for the mark in the first 1024 bytes, not only at the start.
        LoadPdfError::Invalid
            if !bytes[..bytes.len().min(1024)]
                .windows(5)
                .any(|w| w == b"%PDF-") =>
        {
            damaged(name, Reason::NotPdf)
        }
        LoadPdfError::Invalid => damaged(name, Reason::Broken),
    })
}

fn damaged(name: &str, reason: Reason) -> PaperError {
    PaperError::Damaged {
        name: name.to_owned(),
        reason,
    }
}

fn tell(notes: &Notes, note: Note) {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    if !notes.contains(&note) {
        notes.push(note);
    }
}

/// Says where fonts come from and collects what goes wrong on the way.
fn settings(notes: &Notes) -> InterpreterSettings {
    let (for_fonts, for_warnings) = (notes.clone(), notes.clone());
    InterpreterSettings {
        font_resolver: Arc::new(move |query| match query {
            // Every reader must have these 14; hayro has look-alikes of the same measures.
            FontQuery::Standard(font) => Some(font.get_font_data()),
            FontQuery::Fallback(wanted) => {
                let font = wanted
                    .post_script_name
                    .clone()
                    .or_else(|| wanted.font_name.clone())
                    .unwrap_or_else(|| "without a name".to_owned());
                // The look-alikes have no Han, Kana or Hangul: used for them, they draw a blank
                // page and warn of nothing.
                if wanted.character_collection.is_some() {
                    let Some((data, index)) = fonts::cjk() else {
                        tell(&for_fonts, Note::FontMissing { font });
                        return None;
                    };
                    tell(&for_fonts, Note::FontSubstituted { font });
                    return Some((data, index));
                }
                tell(&for_fonts, Note::FontSubstituted { font });
                Some(wanted.pick_standard_font().get_font_data())
            }
        }),
        warning_sink: Arc::new(move |warning| {
            let note = match warning {
                InterpreterWarning::UnsupportedFont => Note::FontUnreadable,
                InterpreterWarning::ImageDecodeFailure => Note::PictureMissing,
                InterpreterWarning::UnresolvedAnnotationAppearance => Note::AnnotationMissing,
                // The list may grow; an unknown warning has no plain words yet.
                _ => return,
            };
            tell(&for_warnings, note);
        }),
        ..InterpreterSettings::default()
    }
}

/// The drawing surface, kept from page to page: fresh pages of memory cost milliseconds.
struct Canvas {
    setup: PageSetup,
    context: RenderContext,
    pixmap: Pixmap,
    resources: Resources,
}

impl Canvas {
    fn new(setup: &PageSetup) -> Self {
        // The largest page is 2432 × 5476 (Legal, superfine).
        let (width, height) = (setup.width as u16, setup.height() as u16);
        Self {
            setup: *setup,
            context: RenderContext::new(width, height),
            pixmap: Pixmap::new(width, height),
            resources: Resources::default(),
        }
    }

    /// Draws a page; `None` when its size makes no sense.
    fn draw<'a>(
        &mut self,
        page: &'a Page<'a>,
        number: u32,
        cache: &RenderCache<'a>,
        settings: &InterpreterSettings,
        notes: &Notes,
    ) -> Option<Grey> {
        let (width, height) = page.render_dimensions();
        let (width, height) = (
            f64::from(width) * MM_PER_POINT,
            f64::from(height) * MM_PER_POINT,
        );
        if !(width.is_finite() && height.is_finite() && width > 0.0 && height > 0.0) {
            return None;
        }
        let placement = self.setup.place(width, height);
        if placement.scale < TELL_SCALE {
            tell(
                notes,
                Note::Reduced {
                    page: number,
                    percent: (placement.scale * 100.0).round() as u32,
                },
            );
        }
        let turn = if placement.turn {
            // A quarter to the left: (x, y) to (y, width - x), y downwards.
            Affine::new([0.0, -1.0, 1.0, 0.0, 0.0, width])
        } else {
            Affine::IDENTITY
        };
        let transform =
            Affine::scale_non_uniform(self.setup.columns_per_mm(), self.setup.rows_per_mm())
                * Affine::translate((placement.left_mm, 0.0))
                * Affine::scale(placement.scale)
                * turn
                * Affine::scale(MM_PER_POINT)
                * page.initial_transform(true).to_kurbo();

        self.context.reset();
        render_into(
            page,
            cache,
            settings,
            &RenderSettings::default(),
            &mut self.context,
            transform,
        );
        self.context.flush();
        self.context.render_with(
            &mut self.pixmap,
            &mut self.resources,
            RasterizerSettings {
                target_init: TargetInit::Clear(WHITE),
                ..RasterizerSettings::default()
            },
        );
        Some(Grey::from_rgba(
            usize::from(self.pixmap.width()),
            usize::from(self.pixmap.height()),
            self.pixmap.data_as_u8_slice(),
        ))
    }
}
