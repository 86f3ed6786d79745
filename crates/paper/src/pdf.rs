//! PDF files: each page drawn in grey at the fax's own resolution, then made black and white.
//!
//! The drawing is anti-aliased (without, hayro is slower and the local threshold of `bilevel`
//! sees less), and non-square pixels come from the transform, not from resampling.

mod annotations;
mod fields;
mod lettering;
mod looks;
mod rewrite;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use hayro::hayro_interpret::font::GlyphRun;
use hayro::hayro_interpret::{DrawMode, InterpreterCache, InterpreterSettings, InterpreterWarning};
use hayro::hayro_syntax::page::Page;
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro::kurbo::Affine;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, hayro_interpret::TransformExt, render_into};

use self::lettering::{Asked, Scripts};
use crate::grey::Grey;
use crate::pencil::{Pencil, Seen, Watch};
use crate::script::Missing;
use crate::setup::Placement;
use crate::sheets::{CONTINUED_MM, Sheets, cut_at};
use crate::{Limits, Note, PageSetup, PaperError, Reason, Rendered, bilevel, painter};

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
    let notes = Notes::default();
    let mut pdf = open(name, bytes, password)?;
    let total = u32::try_from(pdf.pages().len()).unwrap_or(u32::MAX);
    if total == 0 {
        return Err(damaged(name, Reason::NoPage));
    }
    if total > limits.max_pages {
        return Err(PaperError::TooManyPages {
            name: name.to_owned(),
            limit: limits.max_pages,
        });
    }
    let scripts = lettering::scripts(&pdf);
    if let Some(prepared) = annotations::prepared(&pdf, &scripts.renamed, &notes) {
        // What is written here can be read here; else the file stays as it is.
        match Pdf::new(prepared) {
            Ok(read) if read.pages().len() == pdf.pages().len() => pdf = read,
            _ => tell(&notes, Note::AnnotationMissing),
        }
    }
    let asked = Asked::default();
    let settings = settings(&notes, scripts, &asked);
    let mut missing = Missing::default();
    let (cache, looks) = (RenderCache::new(), InterpreterCache::new());
    let mut canvas = Canvas::new(setup);
    let mut sheets = Sheets::new(name, setup, limits);
    for (number, page) in (1..).zip(pdf.pages().iter()) {
        let laid = Laid::of(page, setup)
            .ok_or_else(|| damaged(name, Reason::PageSize { page: number }))?;
        laid.tell(number, &notes);
        let mut top_mm = 0.0;
        let mut parts = 0;
        loop {
            let margin_mm = if parts == 0 { 0.0 } else { CONTINUED_MM };
            let from_mm = top_mm - margin_mm;
            let transform = laid.transform(setup, from_mm);
            let lacking = RefCell::new(Missing::default());
            let watch = |run: &GlyphRun<'_, '_>, mode: &DrawMode| {
                // A page that is cut is drawn several times.
                if parts == 0 && asked.any() {
                    lettering::count(run, mode, &mut lacking.borrow_mut());
                }
            };
            let seen = canvas.draw(page, transform, &looks, &cache, &settings, &watch);
            let mut lacking = lacking.into_inner();
            // What the page before has is not drawn again.
            let margin = (margin_mm * setup.rows_per_mm()) as usize * canvas.grey.width;
            canvas.grey.data[..margin].fill(255);
            // hayro doesn't say which letters it drew.
            if parts == 0 && seen.is_none() && asked.any() {
                lacking = lettering::missing_on(page, &looks, &settings);
            }
            missing.append(&lacking);
            let rest = laid.cut(&mut canvas.grey, setup, from_mm);
            let grey = &canvas.grey;
            let bitmap = bilevel::to_bitmap(grey, setup, |layers| {
                // Without tone there is nothing that other things could stand on, unless it was found.
                if seen.is_some_and(|seen| !seen.tone) && !layers.has_found() {
                    return layers;
                }
                painter::look(page, transform, &looks, &settings, grey, layers)
            });
            sheets.take(&bitmap, number, lacking.count == 0)?;
            parts += 1;
            match rest {
                Some(next) => top_mm = next,
                None => break,
            }
        }
        if parts > 1 {
            tell(
                &notes,
                Note::Cut {
                    page: number,
                    parts,
                },
            );
        }
        progress(number, total);
    }
    if let Some(note) = Note::missing(missing) {
        tell(&notes, note);
    }
    let notes = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(sheets.finish(notes))
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
fn settings(notes: &Notes, scripts: Scripts, asked: &Asked) -> InterpreterSettings {
    let for_warnings = notes.clone();
    InterpreterSettings {
        font_resolver: lettering::resolver(notes, scripts, asked),
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

/// Where on the paper a page is.
struct Laid {
    placement: Placement,
    /// From the page's own user space to millimetres on the paper, before any cut.
    on_paper: Affine,
}

impl Laid {
    /// `None` when the page's size makes no sense.
    fn of(page: &Page<'_>, setup: &PageSetup) -> Option<Self> {
        let (width, height) = page.render_dimensions();
        // ISO 32000-2 §14.11.2, table 31: the unit of user space, in 1/72 inch.
        let unit = page.raw().get::<f32>(b"UserUnit").unwrap_or(1.0);
        let mm = f64::from(if unit > 0.0 { unit } else { 1.0 }) * MM_PER_POINT;
        let (width, height) = (f64::from(width) * mm, f64::from(height) * mm);
        if !(width.is_finite() && height.is_finite() && width > 0.0 && height > 0.0) {
            return None;
        }
        let placement = setup.place(width, height);
        let turn = if placement.turn {
            // A quarter to the left: (x, y) to (y, width - x), y downwards.
            Affine::new([0.0, -1.0, 1.0, 0.0, 0.0, width])
        } else {
            Affine::IDENTITY
        };
        let on_paper = Affine::translate((placement.left_mm, 0.0))
            * Affine::scale(placement.scale)
            * turn
            * Affine::scale(mm)
            * page.initial_transform(true).to_kurbo();
        Some(Self {
            placement,
            on_paper,
        })
    }

    /// To the pixels of a sheet that begins `top_mm` down the page.
    fn transform(&self, setup: &PageSetup, top_mm: f64) -> Affine {
        Affine::scale_non_uniform(setup.columns_per_mm(), setup.rows_per_mm())
            * Affine::translate((0.0, -top_mm))
            * self.on_paper
    }

    /// Ends a sheet of a page that is cut between two lines. The sheet begins `from_mm` down the page; where more
    /// of the page follows, where that begins.
    fn cut(&self, grey: &mut Grey, setup: &PageSetup, from_mm: f64) -> Option<f64> {
        let length = self.placement.cut_mm?;
        // What is less than a hair's breadth is the rounding of the page's size.
        if from_mm + setup.paper.height_mm() >= length - 0.5 {
            return None;
        }
        let row = cut_at(grey.width, &grey.data, setup.rows_per_mm() as usize);
        grey.data[row * grey.width..].fill(255);
        Some(from_mm + row as f64 / setup.rows_per_mm())
    }

    fn tell(&self, number: u32, notes: &Notes) {
        if self.placement.scale < TELL_SCALE {
            tell(
                notes,
                Note::Reduced {
                    page: number,
                    percent: ((self.placement.scale * 100.0).round() as u32).max(1),
                },
            );
        }
    }
}

/// The drawing surface, kept from page to page: fresh pages of memory cost milliseconds.
struct Canvas {
    pencil: Pencil,
    /// What only some pages need.
    colours: Option<Colours>,
    grey: Grey,
}

/// Where hayro draws.
struct Colours {
    context: RenderContext,
    pixmap: Pixmap,
    resources: Resources,
}

impl Canvas {
    fn new(setup: &PageSetup) -> Self {
        Self {
            pencil: Pencil::default(),
            colours: None,
            grey: Grey::white(setup.width as usize, setup.height() as usize),
        }
    }

    /// Draws a page, in `grey`. What was seen of it, if that is known.
    fn draw<'a>(
        &mut self,
        page: &'a Page<'a>,
        transform: Affine,
        looks: &InterpreterCache<'a>,
        cache: &RenderCache<'a>,
        settings: &InterpreterSettings,
        watch: &Watch<'_>,
    ) -> Option<Seen> {
        self.grey.data.fill(255);
        let grey = &mut self.grey;
        let seen = self
            .pencil
            .draw(page, transform, looks, settings, grey, watch);
        if seen.is_some() {
            return seen;
        }
        let colours = self.colours.get_or_insert_with(|| {
            // The largest page is 2432 × 5476 (Legal, superfine).
            let (width, height) = (grey.width as u16, grey.height as u16);
            Colours {
                context: RenderContext::new(width, height),
                pixmap: Pixmap::new(width, height),
                resources: Resources::default(),
            }
        });
        colours.draw(page, transform, cache, settings);
        grey.set_rgba(colours.pixmap.data_as_u8_slice());
        None
    }
}

impl Colours {
    fn draw<'a>(
        &mut self,
        page: &'a Page<'a>,
        transform: Affine,
        cache: &RenderCache<'a>,
        settings: &InterpreterSettings,
    ) {
        self.context.reset();
        render_into(
            page,
            cache,
            settings,
            &RenderSettings {
                // Enlarged pixels are blocks, which no dots make a face of.
                force_image_interpolation: true,
                ..RenderSettings::default()
            },
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
    }
}
