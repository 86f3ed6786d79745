//! The fonts that a PDF names and does not have: what is drawn instead, and what can't be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hayro::hayro_interpret::font::{FallbackFontQuery, FontQuery, Glyph, GlyphId, GlyphRun};
use hayro::hayro_interpret::hayro_cmap::{BfString, CidFamily};
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, FontResolverFn, Image,
    ImageDrawProps, InterpreterCache, InterpreterSettings, SoftMask, interpret_page,
};
use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::object::{Array, Dict, Name, ObjectIdentifier, Stream};
use hayro::hayro_syntax::page::Page;
use hayro::kurbo::{Affine, BezPath, Rect};

use super::{Notes, tell};
use crate::script::{Missing, Script};
use crate::{Note, fonts};

/// Forms within forms whose fonts are looked at.
const DEPTH: usize = 4;
/// Characters of a font that are looked at to know its script.
const MOST_CODES: usize = 4_000;

/// The composite fonts that a file names and has not, whose text is of a script of its own. A file with a font
/// that is missing says which only in the table from its codes to Unicode.
#[derive(Default)]
pub(super) struct Scripts {
    /// By the name that the font has once it is renamed: its script, and the name that people know.
    known: HashMap<String, (Script, String)>,
    /// The names that they must have: under one like Arial hayro takes the look-alike of Helvetica, which is
    /// Latin, and asks for nothing.
    pub renamed: HashMap<ObjectIdentifier, String>,
}

/// Looks for them.
pub(super) fn scripts(pdf: &Pdf) -> Scripts {
    let mut found = Scripts::default();
    let mut seen = HashSet::new();
    for page in pdf.pages().iter() {
        if let Some(resources) = page.raw().get::<Dict<'_>>(b"Resources") {
            in_resources(pdf, &resources, DEPTH, &mut seen, &mut found);
        }
    }
    found
}

fn in_resources(
    pdf: &Pdf,
    resources: &Dict<'_>,
    depth: usize,
    seen: &mut HashSet<ObjectIdentifier>,
    found: &mut Scripts,
) {
    let fonts = resources.get::<Dict<'_>>(b"Font").unwrap_or_default();
    for key in fonts.keys() {
        let Some(font) = fonts.get::<Dict<'_>>(&*key) else {
            continue;
        };
        let Some(id) = font.obj_id().filter(|id| seen.insert(*id)) else {
            continue;
        };
        // A font within another object has that one's number.
        let is_it = pdf.xref().get::<Dict<'_>>(id).as_ref() == Some(&font);
        if let Some((name, script)) = of_font(&font)
            && is_it
            && script != Script::Latin
        {
            let bold = if name.contains("Bold") { "-Bold" } else { "" };
            let renamed = format!("Substitute{}{bold}", found.known.len());
            found.known.insert(renamed.clone(), (script, name));
            found.renamed.insert(id, renamed);
        }
    }
    if depth == 0 {
        return;
    }
    let forms = resources.get::<Dict<'_>>(b"XObject").unwrap_or_default();
    for key in forms.keys() {
        let Some(form) = forms.get::<Stream<'_>>(&*key) else {
            continue;
        };
        if seen.insert(form.obj_id())
            && let Some(resources) = form.dict().get::<Dict<'_>>(b"Resources")
        {
            in_resources(pdf, &resources, depth - 1, seen, found);
        }
    }
}

/// Name and script of a composite font without a font file.
fn of_font(font: &Dict<'_>) -> Option<(String, Script)> {
    if font.get::<Name<'_>>(b"Subtype").as_deref() != Some(b"Type0") {
        return None;
    }
    let below = font.get::<Array<'_>>(b"DescendantFonts")?;
    let below = below.iter::<Dict<'_>>().next()?;
    let descriptor = below.get::<Dict<'_>>(b"FontDescriptor").unwrap_or_default();
    let files = [&b"FontFile"[..], b"FontFile2", b"FontFile3"];
    if files.iter().any(|file| descriptor.contains_key(file)) {
        return None;
    }
    let name = font.get::<Name<'_>>(b"BaseFont")?;
    let table = font.get::<Stream<'_>>(b"ToUnicode")?.decoded_data().ok()?;
    Some((plain(name.as_str()).to_owned(), script_in(&table)?))
}

/// A font's name without the mark of a subset, `ABCDEF+`.
fn plain(name: &str) -> &str {
    match name.split_once('+') {
        Some((mark, rest)) if mark.len() == 6 => rest,
        _ => name,
    }
}

/// The script that most of a table's characters have (ISO 32000-2 §9.10.3). Every hexadecimal string of two or
/// more octets counts; the codes among them are rarely characters of one script.
fn script_in(table: &[u8]) -> Option<Script> {
    let text = String::from_utf8_lossy(table);
    let mut counts: HashMap<Script, usize> = HashMap::new();
    // Within `beginbfchar` and `beginbfrange` a code stands first, and a character last on its line.
    for string in text.lines().take(MOST_CODES).filter_map(|line| {
        let line = line.trim_end();
        let hex = line.strip_suffix('>')?.rsplit_once('<')?.1;
        (hex.len() >= 4).then_some(hex)
    }) {
        let code = u32::from_str_radix(string.get(..4)?, 16).ok();
        if let Some(script) = code.and_then(char::from_u32).map(Script::of) {
            *counts.entry(script).or_default() += 1;
        }
    }
    // Signs and spaces are in all fonts: what else there is says more.
    let common = |script: &Script| matches!(script, Script::Latin | Script::Other | Script::Signs);
    let best = |rare: bool| {
        counts
            .iter()
            .filter(|(script, _)| common(script) != rare)
            .max_by_key(|(script, count)| (**count, std::cmp::Reverse(**script)))
            .map(|(&script, _)| script)
    };
    best(true).or_else(|| best(false))
}

/// Whether anything was asked for that the file has not: only then its letters are worth a look.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says what is drawn for fonts that the file has not.
pub(super) fn resolver(notes: &Notes, scripts: Scripts, asked: &Asked) -> FontResolverFn {
    let (notes, asked) = (notes.clone(), asked.clone());
    Arc::new(move |query| {
        asked.0.store(true, Ordering::Relaxed);
        let wanted = match query {
            // Every reader must have these 14; hayro has look-alikes of the same measures.
            FontQuery::Standard(font) => return Some(font.get_font_data()),
            FontQuery::Fallback(wanted) => wanted,
        };
        let named = [&wanted.post_script_name, &wanted.font_name];
        let known = named
            .iter()
            .copied()
            .flatten()
            .find_map(|name| scripts.known.get(name));
        let (script, family) = match known {
            Some((script, _)) => (*script, "Sans"),
            None => sought(wanted),
        };
        let own = || named.iter().copied().flatten().next().cloned();
        let font = known
            .map(|(_, name)| name.clone())
            .or_else(own)
            .unwrap_or_else(|| "without a name".to_owned());
        let fixed = wanted.is_fixed_pitch
            || ["Cour", "Mono", "Typewriter"]
                .iter()
                .any(|n| font.contains(n));
        match fonts::substitute(script, family, wanted.is_bold, fixed) {
            Some(substitute) => {
                tell(&notes, Note::FontSubstituted { font });
                Some((substitute.data, substitute.index))
            }
            // Without one the text would be left out without a word.
            None => {
                tell(&notes, Note::FontMissing { font, script });
                None
            }
        }
    })
}

/// The script that a font is wanted for by its collection of characters, and a part of the best family's name.
fn sought(wanted: &FallbackFontQuery) -> (Script, &'static str) {
    let family = wanted.character_collection.as_ref().map(|all| &all.family);
    match family {
        Some(CidFamily::AdobeJapan1) => (Script::Han, "JP"),
        Some(CidFamily::AdobeGB1) => (Script::Han, "SC"),
        Some(CidFamily::AdobeCNS1) => (Script::Han, "TC"),
        Some(CidFamily::AdobeKorea1) => (Script::Hangul, "KR"),
        _ => (Script::Latin, "Sans"),
    }
}

/// Looks through a page for characters that are drawn with no shape of their own.
pub(super) fn missing_on<'a>(
    page: &'a Page<'a>,
    cache: &InterpreterCache<'a>,
    settings: &InterpreterSettings,
) -> Missing {
    let mut letters = Letters::default();
    let everything = Rect::new(-1e9, -1e9, 1e9, 1e9);
    let settings = settings.clone();
    let mut context = Context::new(Affine::IDENTITY, everything, cache, page.xref(), settings);
    interpret_page(page, &mut context, &mut letters);
    letters.missing
}

#[derive(Default)]
struct Letters {
    missing: Missing,
}

/// Counts the characters of a run that are drawn with no shape of their own.
pub(super) fn count(run: &GlyphRun<'_, '_>, mode: &DrawMode, missing: &mut Missing) {
    // Invisible text lies under a scan, for searching.
    if matches!(mode, DrawMode::Invisible) {
        return;
    }
    for glyph in run.glyphs() {
        let Glyph::Outline(outline) = &**glyph else {
            continue;
        };
        let data = outline.font_data();
        let ours = data
            .as_ref()
            .is_some_and(|font| fonts::substitute_has((*font.data).as_ref(), 'a').is_some());
        // Most are of the file's own fonts, and have their shape.
        if outline.glyph_id() != GlyphId::NOTDEF && !ours {
            continue;
        }
        let character = match outline.as_unicode() {
            Some(BfString::Char(character)) => Some(character),
            Some(BfString::String(text)) => text.chars().next(),
            None => None,
        };
        if character.is_some_and(|c| c.is_whitespace() || c.is_control() || c == '\u{ad}') {
            continue;
        }
        let has = data.and_then(|font| {
            fonts::substitute_has((*font.data).as_ref(), character.unwrap_or('\u{ffff}'))
        });
        let lacks = match has {
            // Of a font that is missing, codes without a meaning become letters at random.
            Some(has) => !has,
            None => outline.glyph_id() == GlyphId::NOTDEF && character.is_some(),
        };
        if lacks {
            missing.add(character);
        }
    }
}

impl<'a> Device<'a> for Letters {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, _: DrawProps<'a>, mode: &DrawMode) {
        count(run, mode, &mut self.missing);
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_script_is_known() {
        let arabic = b"3 beginbfchar\n<0003> <0020>\n<0350> <0627>\n<0351> <0628>\nendbfchar";
        assert_eq!(script_in(arabic), Some(Script::Arabic));
        let latin = b"1 beginbfrange\n<0003> <0005> <0041>\nendbfrange";
        assert_eq!(script_in(latin), Some(Script::Latin));
        assert_eq!(script_in(b"<"), None);
    }

    #[test]
    fn a_subset_is_known_by_its_fonts_name() {
        assert_eq!(plain("ABCDEF+Mangal"), "Mangal");
        assert_eq!(plain("Man+gal"), "Man+gal");
    }
}
