//! Typst, closed off: one template, values as its only data, our fonts, no files, no packages, no
//! clock.
//!
//! What people write reaches a template through `sys.inputs` as values whose strings print as they
//! are; nothing is ever pasted into source, where `#read` or `$` would mean something. Templates of
//! ours are constant; those of others ([`compose_foreign`]) may do whatever typst can without a file,
//! for as long as the process around them lets it.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Dict, Duration, Str, Value};
use typst::layout::{Abs, Frame, FrameItem, Point, Ratio, Size, Transform};
use typst::syntax::{FileId, Source};
use typst::text::{Font, FontBook};
use typst::utils::{LazyHash, Scalar};
use typst::visualize::Paint;
use typst::{Library, LibraryExt, World, WorldExt, comemo};
use typst_layout::PagedDocument;
use typst_render::RenderOptions;

use crate::error::TemplateFault;
use crate::fonts::TYPEFACES;
use crate::grey::{Grey, luma};
use crate::script::Missing;
use crate::{PageSetup, PaperError};

const POINT_PER_MM: f64 = 72.0 / 25.4;

/// A composed document, not yet drawn.
pub(crate) struct Composed {
    document: PagedDocument,
}

/// Composes `template` with `inputs`; the page's size is added as `width` and `height`.
///
/// # Errors
/// `Compose` when the template itself is faulty or runs out of its bounds.
pub(crate) fn compose(
    template: &Source,
    inputs: &[(&str, &str)],
    setup: &PageSetup,
) -> Result<Composed, PaperError> {
    let strings = inputs
        .iter()
        .map(|&(key, value)| (key, Value::Str(Str::from(value))));
    compose_values(template, strings, setup)
}

/// As [`compose`], with values of any kind.
///
/// # Errors
/// As [`compose`].
pub(crate) fn compose_values<'a>(
    template: &Source,
    inputs: impl IntoIterator<Item = (&'a str, Value)>,
    setup: &PageSetup,
) -> Result<Composed, PaperError> {
    compose_with(template, on_paper(inputs, setup))
}

/// Composes a template that is not ours. What it says of its faults is told with their places.
///
/// # Errors
/// The first fault of the template.
pub(crate) fn compose_foreign<'a>(
    template: &Source,
    inputs: impl IntoIterator<Item = (&'a str, Value)>,
    setup: &PageSetup,
) -> Result<(Composed, Vec<TemplateFault>), TemplateFault> {
    let desk = Desk::of(template, on_paper(inputs, setup));
    let compiled = alone(|| typst::compile::<PagedDocument>(&desk));
    comemo::evict(0);
    let fault = |said: &SourceDiagnostic| desk.fault(said);
    match compiled.output {
        Ok(document) => {
            let warnings = compiled.warnings.iter().map(fault).collect();
            Ok((Composed { document }, warnings))
        }
        Err(faults) => Err(faults.first().map(fault).unwrap_or_default()),
    }
}

fn on_paper<'a>(inputs: impl IntoIterator<Item = (&'a str, Value)>, setup: &PageSetup) -> Dict {
    let mut dict = Dict::new();
    for (key, value) in inputs {
        dict.insert(key.into(), value);
    }
    for (key, mm) in [
        ("width", setup.width_mm()),
        ("height", setup.paper.height_mm()),
    ] {
        dict.insert(key.into(), Value::Length(Abs::mm(mm).into()));
    }
    dict
}

/// The text of a form field; lengths in points.
pub(crate) struct FieldText<'a> {
    pub width: f64,
    pub height: f64,
    pub text: &'a str,
    /// 0: as large as fits.
    pub size: f64,
    /// 0: from the left; 1: in the middle; 2: to the right.
    pub quadding: i64,
    pub lines: bool,
    pub cells: usize,
    pub fixed_pitch: bool,
}

/// Composes the texts of form fields, a page each.
pub(crate) fn fields(texts: &[FieldText<'_>]) -> Result<Composed, PaperError> {
    static TEMPLATE: LazyLock<Source> =
        LazyLock::new(|| Source::detached(include_str!("../templates/fields.typ")));
    let length = |points: f64| {
        // The largest is that of a page of PDF.
        let points = if points.is_finite() {
            points.clamp(0.0, 14_400.0)
        } else {
            0.0
        };
        Value::Length(Abs::pt(points).into())
    };
    let all = texts.iter().map(|field| {
        let mut dict = Dict::new();
        let align = match field.quadding {
            1 => "center",
            2 => "right",
            _ => "left",
        };
        let cells = i64::try_from(field.cells).unwrap_or(0);
        for (key, value) in [
            ("width", length(field.width.max(1.0))),
            ("height", length(field.height.max(1.0))),
            ("size", length(field.size.min(200.0))),
            (
                "text",
                Value::Str(Str::from(crate::text::prepare(field.text))),
            ),
            ("align", Value::Str(Str::from(align))),
            ("lines", Value::Bool(field.lines)),
            ("cells", Value::Int(cells)),
            ("mono", Value::Bool(field.fixed_pitch)),
        ] {
            dict.insert(key.into(), value);
        }
        Value::Dict(dict)
    });
    let mut dict = Dict::new();
    dict.insert("fields".into(), Value::Array(all.collect()));
    compose_with(&TEMPLATE, dict)
}

fn compose_with(template: &Source, inputs: Dict) -> Result<Composed, PaperError> {
    let desk = Desk::of(template, inputs);
    let result = alone(|| typst::compile::<PagedDocument>(&desk).output);
    // Memory of earlier documents helps no later one here.
    comemo::evict(0);
    result
        .map(|document| Composed { document })
        .map_err(|errors| {
            PaperError::Compose(
                errors
                    .first()
                    .map_or_else(String::new, |e| e.message.to_string()),
            )
        })
}

impl Composed {
    pub fn pages(&self) -> usize {
        self.document.pages().len()
    }

    /// Characters that no font has.
    pub fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        for page in self.document.pages() {
            missing_in(&page.frame, &mut missing);
        }
        missing
    }

    /// Where the pictures of page `index` are drawn: columns and rows.
    pub fn pictures(&self, index: usize, setup: &PageSetup) -> Vec<(Range<usize>, Range<usize>)> {
        let mut all = Vec::new();
        let frame = &self.document.pages()[index].frame;
        pictures_in(frame, Transform::identity(), &mut all);
        let pixels = |from: Abs, to: Abs, a_mm: f64, most: u32| {
            let at = |length: Abs| length.to_pt() * a_mm / POINT_PER_MM;
            let most = most as usize;
            (at(from).floor().max(0.0) as usize).min(most)
                ..(at(to).ceil().max(0.0) as usize).min(most)
        };
        let placed = all.into_iter().map(|(from, to)| {
            (
                pixels(from.x, to.x, setup.columns_per_mm(), setup.width),
                pixels(from.y, to.y, setup.rows_per_mm(), setup.height()),
            )
        });
        placed.collect()
    }

    /// Whether page `index` is ink on paper alone, its pictures aside: nothing is neither black nor white.
    pub fn is_plain(&self, index: usize) -> bool {
        let page = &self.document.pages()[index];
        plain_frame(&page.frame) && page.fill_or_transparent().is_none_or(|fill| plain(&fill))
    }

    /// Hands each letter of page `index` to `take`, and says whether all of them are on the page.
    pub fn letters(&self, index: usize, mut take: impl FnMut(&Letter<'_>)) -> bool {
        let frame = &self.document.pages()[index].frame;
        let (width, height) = (frame.width().to_pt(), frame.height().to_pt());
        let mut inside = true;
        letters_in(frame, Transform::identity(), &mut |letter| {
            // Half an em: a letter's own size is not looked at.
            let room = letter.size / 2.0;
            inside &= letter.y <= height + room && letter.x <= width + room && letter.x >= -room;
            take(letter);
        });
        inside
    }

    /// Draws page `index` in grey at the set-up's size and resolution.
    pub fn draw(&self, index: usize, setup: &PageSetup) -> Grey {
        let mut page = self.document.pages()[index].clone();
        let pixel_per_point = setup.columns_per_mm() / POINT_PER_MM;
        // The renderer has square pixels only: squeeze the page, then draw it at the horizontal
        // resolution.
        let squeeze = setup.rows_per_mm() / setup.columns_per_mm();
        page.frame
            .transform(Transform::scale(Ratio::one(), Ratio::new(squeeze)));
        page.frame.set_size(Size::new(
            Abs::pt(f64::from(setup.width) / pixel_per_point),
            Abs::pt(f64::from(setup.height()) / pixel_per_point),
        ));
        let options = RenderOptions {
            pixel_per_pt: Scalar::new(pixel_per_point),
            render_bleed: false,
        };
        let pixmap = alone(|| typst_render::render(&page, &options));
        Grey::from_rgba(
            pixmap.width() as usize,
            pixmap.height() as usize,
            pixmap.data(),
        )
    }
}

/// A letter where it stands; points from the page's upper left corner.
pub(crate) struct Letter<'a> {
    pub font: &'a Font,
    pub glyph: u16,
    pub size: f64,
    pub x: f64,
    pub y: f64,
}

fn letters_in(frame: &Frame, to_page: Transform, take: &mut impl FnMut(&Letter<'_>)) {
    for (place, item) in frame.items() {
        let here = to_page.pre_concat(Transform::translate(place.x, place.y));
        match item {
            FrameItem::Group(group) => {
                letters_in(&group.frame, here.pre_concat(group.transform), take);
            }
            FrameItem::Text(text) => {
                let mut at = Abs::zero();
                for glyph in &text.glyphs {
                    let point = Point::new(
                        at + glyph.x_offset.at(text.size),
                        -glyph.y_offset.at(text.size),
                    )
                    .transform(here);
                    take(&Letter {
                        font: text.font.font(),
                        glyph: glyph.id,
                        size: text.size.to_pt(),
                        x: point.x.to_pt(),
                        y: point.y.to_pt(),
                    });
                    at += glyph.x_advance.at(text.size);
                }
            }
            _ => {}
        }
    }
}

fn plain_frame(frame: &Frame) -> bool {
    frame.items().all(|(_, item)| match item {
        FrameItem::Group(group) => plain_frame(&group.frame),
        FrameItem::Text(text) => {
            plain(&text.fill)
                && text
                    .stroke
                    .as_ref()
                    .is_none_or(|stroke| plain(&stroke.paint))
        }
        FrameItem::Shape(shape, _) => {
            shape.fill.as_ref().is_none_or(plain)
                && shape
                    .stroke
                    .as_ref()
                    .is_none_or(|stroke| plain(&stroke.paint))
        }
        _ => true,
    })
}

/// The corners of each picture, upper left and lower right, on the page.
fn pictures_in(frame: &Frame, to_page: Transform, all: &mut Vec<(Point, Point)>) {
    for (place, item) in frame.items() {
        let here = to_page.pre_concat(Transform::translate(place.x, place.y));
        match item {
            FrameItem::Group(group) => {
                pictures_in(&group.frame, here.pre_concat(group.transform), all);
            }
            FrameItem::Image(_, size, _) => {
                let corners = [
                    Point::zero(),
                    Point::with_x(size.x),
                    Point::with_y(size.y),
                    size.to_point(),
                ]
                .map(|corner| corner.transform(here));
                let (mut from, mut to) = (corners[0], corners[0]);
                for corner in corners {
                    from = Point::new(from.x.min(corner.x), from.y.min(corner.y));
                    to = Point::new(to.x.max(corner.x), to.y.max(corner.y));
                }
                all.push((from, to));
            }
            _ => {}
        }
    }
}

/// Whether a paint is black or white, as nearly as no one sees.
fn plain(paint: &Paint) -> bool {
    let Paint::Solid(color) = paint else {
        return false;
    };
    let color = color.to_rgb();
    let octet = |part: f32| (part * 255.0).round() as u8;
    let [r, g, b, alpha] = [color.red, color.green, color.blue, color.alpha].map(octet);
    let grey = luma([r, g, b]);
    alpha == 0 || alpha == 255 && !(8..248).contains(&grey)
}

fn missing_in(frame: &Frame, missing: &mut Missing) {
    for (_, item) in frame.items() {
        match item {
            FrameItem::Group(group) => missing_in(&group.frame, missing),
            FrameItem::Text(text) => {
                for glyph in text.glyphs.iter().filter(|glyph| glyph.id == 0) {
                    missing.add(text.text[glyph.range()].chars().next());
                }
            }
            _ => {}
        }
    }
}

/// Composes and draws a page, so that everything that is built once is built.
pub(crate) fn warm() {
    static BLANK: LazyLock<Source> = LazyLock::new(|| Source::detached("Aé"));
    let setup = PageSetup::a4_fine();
    if let Ok(composed) = compose(&BLANK, &[], &setup) {
        composed.draw(0, &setup);
    }
}

/// Runs typst on this thread alone: its pool of threads would be started inside the sandbox,
/// which forbids it, or ahead of it, which would leave threads outside.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread_local! {
        static POOL: OnceCell<Option<ThreadPool>> = const { OnceCell::new() };
    }
    POOL.with(|pool| {
        let pool = pool.get_or_init(|| {
            ThreadPoolBuilder::new()
                .num_threads(1)
                .use_current_thread()
                .build()
                .ok()
        });
        match pool {
            Some(pool) => pool.install(work),
            // The thread belongs to a pool of the caller's; then that one it is.
            None => work(),
        }
    })
}

/// All that a template can see.
struct Desk {
    library: LazyHash<Library>,
    main: Source,
}

impl Desk {
    fn of(template: &Source, inputs: Dict) -> Self {
        Self {
            library: LazyHash::new(Library::builder().with_inputs(inputs).build()),
            main: template.clone(),
        }
    }

    /// What typst says of the template, and where: the fault's own place, or that of the call which led to it.
    fn fault(&self, said: &SourceDiagnostic) -> TemplateFault {
        let calls = said.trace.iter().map(|call| self.range(call.span));
        let ranges = std::iter::once(self.range(said.span)).chain(calls);
        let place = ranges.flatten().next().and_then(|range| {
            let (line, column) = self.main.lines().byte_to_line_column(range.start)?;
            Some((line as u32 + 1, column as u32 + 1))
        });
        let hints: Vec<&str> = said.hints.iter().map(|hint| hint.v.as_str()).collect();
        TemplateFault::new(place, &said.message, &hints)
    }
}

impl World for Desk {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &TYPEFACES.book
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() {
            Ok(self.main.clone())
        } else {
            Err(FileError::AccessDenied)
        }
    }

    fn file(&self, _: FileId) -> FileResult<Bytes> {
        Err(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        TYPEFACES.font(index)
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}
