//! The fonts: a small family inside the program, and whatever the parent hands in as bytes.
//!
//! Liberation 2 (SIL Open Font License 1.1, `fonts/LICENSE-OFL.txt`; version 1, which some
//! distributions still install, is under the GPL). It covers Latin, Greek, Cyrillic and Hebrew.

use std::sync::{Arc, LazyLock, OnceLock};

use typst::foundations::Bytes;
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;

pub(crate) const SANS: &[u8] = include_bytes!("../fonts/LiberationSans-Regular.ttf");
pub(crate) const SANS_BOLD: &[u8] = include_bytes!("../fonts/LiberationSans-Bold.ttf");
const MONO: &[u8] = include_bytes!("../fonts/LiberationMono-Regular.ttf");

/// A font file that was handed in, shared by the two libraries that draw with it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

static EXTRA: OnceLock<Vec<Shared>> = OnceLock::new();

/// Fixes the fonts beyond the embedded ones; the first call decides.
pub(crate) fn install(extra: Vec<Vec<u8>>) {
    let _ = EXTRA.set(
        extra
            .into_iter()
            .map(|file| Shared(Arc::new(file)))
            .collect(),
    );
}

fn extra() -> &'static [Shared] {
    EXTRA.get_or_init(Vec::new)
}

/// A handed-in font file for a PDF's Chinese, Japanese or Korean text whose own font is missing:
/// the first that has a face with Han characters, and the number of that face.
pub(crate) fn cjk() -> Option<(Arc<Shared>, u32)> {
    extra().iter().find_map(|file| {
        Font::iter(Bytes::new(file.clone()))
            .find(|face| face.info().coverage.contains('中' as u32))
            .map(|face| (Arc::new(file.clone()), face.index()))
    })
}

/// What the typesetter chooses from.
pub(crate) struct Typefaces {
    pub book: LazyHash<FontBook>,
    pub fonts: Vec<Font>,
}

pub(crate) static TYPEFACES: LazyLock<Typefaces> = LazyLock::new(|| {
    let embedded = [SANS, SANS_BOLD, MONO].into_iter().map(Bytes::new);
    let handed = extra().iter().map(|file| Bytes::new(file.clone()));
    let fonts: Vec<Font> = embedded.chain(handed).flat_map(Font::iter).collect();
    Typefaces {
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
    }
});
