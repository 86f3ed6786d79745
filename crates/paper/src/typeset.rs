//! Typst, closed off: a constant template, strings as its only data, our fonts, no files, no
//! packages, no clock.
//!
//! What people write reaches a template through `sys.inputs` as strings, which print as they
//! are; nothing is ever pasted into source, where `#read` or `$` would mean something.

use std::cell::OnceCell;
use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Dict, Duration, Str, Value};
use typst::layout::{Abs, Frame, FrameItem, Ratio, Size, Transform};
use typst::syntax::{FileId, Source};
use typst::text::{Font, FontBook};
use typst::utils::{LazyHash, Scalar};
use typst::{Library, LibraryExt, World, comemo};
use typst_layout::PagedDocument;
use typst_render::RenderOptions;

use crate::fonts::TYPEFACES;
use crate::grey::Grey;
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
    let mut dict = Dict::new();
    for &(key, value) in inputs {
        dict.insert(key.into(), Value::Str(Str::from(value)));
    }
    for (key, mm) in [
        ("width", setup.width_mm()),
        ("height", setup.paper.height_mm()),
    ] {
        dict.insert(key.into(), Value::Length(Abs::mm(mm).into()));
    }
    let desk = Desk {
        library: LazyHash::new(Library::builder().with_inputs(dict).build()),
        main: template.clone(),
    };
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
    pub fn missing(&self) -> u32 {
        self.document
            .pages()
            .iter()
            .map(|page| missing_in(&page.frame))
            .sum()
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

fn missing_in(frame: &Frame) -> u32 {
    frame
        .items()
        .map(|(_, item)| match item {
            FrameItem::Group(group) => missing_in(&group.frame),
            FrameItem::Text(text) => text.glyphs.iter().filter(|g| g.id == 0).count() as u32,
            _ => 0,
        })
        .sum()
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
        TYPEFACES.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}
