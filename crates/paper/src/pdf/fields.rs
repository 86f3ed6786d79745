//! What a form field or a comment says, where the file has no drawing of it (ISO 32000-2 §12.7.4.3).

use hayro::hayro_syntax::object::{Array, Dict, Name, Object, Rect, Stream};

pub(super) use super::looks::{Look, Made};
use super::looks::{Mark, Text};

// Field flags, tables 226 to 233.
const MULTILINE: u32 = 1 << 12;
const PASSWORD: u32 = 1 << 13;
const RADIO: u32 = 1 << 15;
const PUSH_BUTTON: u32 = 1 << 16;
const COMBO: u32 = 1 << 17;
const COMB: u32 = 1 << 24;

/// Fields above a field.
const MOST_PARENTS: usize = 32;
/// Characters of a field that are drawn.
const MOST_CHARACTERS: usize = 20_000;

/// What the whole form says of its fields.
#[derive(Default)]
pub(super) struct Form<'a> {
    dict: Option<Dict<'a>>,
    /// Appearances of texts are not to be trusted: the values have changed since they were made.
    stale: bool,
}

impl<'a> Form<'a> {
    pub fn of(catalog: &Dict<'a>) -> Self {
        let dict = catalog.get::<Dict<'_>>(b"AcroForm");
        let stale = dict
            .as_ref()
            .and_then(|dict| dict.get::<bool>(b"NeedAppearances"));
        Self {
            stale: stale.unwrap_or(false),
            dict,
        }
    }
}

pub(super) enum Answer {
    /// Nothing to show, or nothing but what the file has.
    Nothing,
    /// Something to show, and how can't be said.
    Unknown,
    Look(Box<Look>),
}

/// A field's value, its own or that of the nearest field above it.
pub(super) fn inherited<'a, T>(dict: &Dict<'a>, key: &[u8]) -> Option<T>
where
    T: TryFrom<Object<'a>>,
{
    let mut dict = dict.clone();
    for _ in 0..MOST_PARENTS {
        if let Some(object) = dict.get::<Object<'_>>(key) {
            return T::try_from(object).ok();
        }
        dict = dict.get::<Dict<'_>>(b"Parent")?;
    }
    None
}

/// Whether it is something to press, which means nothing on paper.
pub(super) fn is_button(dict: &Dict<'_>) -> bool {
    inherited::<Name<'_>>(dict, b"FT").as_deref() == Some(b"Btn") && flags(dict) & PUSH_BUTTON != 0
}

fn flags(dict: &Dict<'_>) -> u32 {
    inherited::<Object<'_>>(dict, b"Ff")
        .and_then(Object::into_number)
        .map_or(0, |flags| flags.as_i64() as u32)
}

/// How a field without an appearance, or with one that is out of date, is to look.
pub(super) fn look(dict: &Dict<'_>, form: &Form<'_>, has_own: bool) -> Answer {
    let flags = flags(dict);
    match inherited::<Name<'_>>(dict, b"FT").as_deref() {
        Some(b"Tx") if !has_own || form.stale => text_field(dict, form, flags),
        Some(b"Ch") if !has_own || form.stale => choice(dict, form, flags),
        Some(b"Btn") if !has_own => button(dict, flags),
        _ => Answer::Nothing,
    }
}

fn text_field(dict: &Dict<'_>, form: &Form<'_>, flags: u32) -> Answer {
    let Some(value) = inherited::<Object<'_>>(dict, b"V").and_then(text_of) else {
        return bare(dict);
    };
    let value = if flags & PASSWORD != 0 {
        "*".repeat(value.chars().count())
    } else {
        value
    };
    let cells = inherited::<Object<'_>>(dict, b"MaxLen")
        .and_then(Object::into_number)
        .map_or(0, |cells| cells.as_i64().clamp(0, 1000) as usize);
    let mut text = text(dict, form, value);
    text.lines = flags & MULTILINE != 0;
    if flags & COMB != 0 && flags & (MULTILINE | PASSWORD) == 0 {
        text.cells = cells;
    }
    with_text(dict, text)
}

/// The values that are chosen; of a list box those alone, one below the other.
fn choice(dict: &Dict<'_>, form: &Form<'_>, flags: u32) -> Answer {
    let value = inherited::<Object<'_>>(dict, b"V");
    let chosen: Vec<String> = match value {
        Some(Object::Array(all)) => all.iter::<Object<'_>>().filter_map(text_of).collect(),
        Some(one) => text_of(one).into_iter().collect(),
        None => return bare(dict),
    };
    let options = inherited::<Array<'_>>(dict, b"Opt");
    let shown: Vec<String> = chosen
        .into_iter()
        .map(|value| shown(options.as_ref(), value))
        .collect();
    let mut text = text(dict, form, shown.join("\n"));
    text.lines = flags & COMBO == 0;
    with_text(dict, text)
}

/// What is shown of an option: its second text where it has two.
fn shown(options: Option<&Array<'_>>, value: String) -> String {
    let pairs = options.into_iter().flat_map(|all| all.iter::<Object<'_>>());
    for option in pairs.take(10_000) {
        if let Some(pair) = option.into_array() {
            let mut pair = pair.iter::<Object<'_>>().filter_map(text_of);
            if pair.next().as_ref() == Some(&value)
                && let Some(text) = pair.next()
            {
                return text;
            }
        }
    }
    value
}

fn button(dict: &Dict<'_>, flags: u32) -> Answer {
    let looks = dict.get::<Dict<'_>>(b"MK").unwrap_or_default();
    let caption = looks.get::<Object<'_>>(b"CA").and_then(text_of);
    if flags & PUSH_BUTTON != 0 {
        return Answer::Nothing;
    }
    let state = dict.get::<Name<'_>>(b"AS");
    let on = match state.as_deref() {
        Some(state) => state != b"Off",
        None => match inherited::<Name<'_>>(dict, b"V").as_deref() {
            None | Some(b"Off") => false,
            // Which of several buttons is meant, only their appearances would say.
            Some(_) if flags & RADIO != 0 => return Answer::Unknown,
            Some(_) => true,
        },
    };
    let mut look = frame(dict);
    // The caption is a character of ZapfDingbats, table 192.
    let drawn = match caption.as_deref() {
        Some("l") => Mark::Dot,
        Some("8") => Mark::Cross,
        Some("u" | "n" | "H") => Mark::Square,
        Some(_) => Mark::Check,
        None if flags & RADIO != 0 => Mark::Dot,
        None => Mark::Check,
    };
    look.round = flags & RADIO != 0;
    look.mark = on.then_some(drawn);
    Answer::Look(Box::new(look))
}

/// A field without a value: its border and its ground, if it has any.
fn bare(dict: &Dict<'_>) -> Answer {
    let look = frame(dict);
    if look.border.is_none() && look.ground.is_none() {
        return Answer::Nothing;
    }
    Answer::Look(Box::new(look))
}

fn with_text(dict: &Dict<'_>, text: Text) -> Answer {
    if text.text.trim().is_empty() {
        return bare(dict);
    }
    let mut look = frame(dict);
    look.text = Some(text);
    Answer::Look(Box::new(look))
}

/// Place, border and ground, by the annotation's `MK` and `BS`.
fn frame(dict: &Dict<'_>) -> Look {
    let rect = dict.get::<Rect>(b"Rect").unwrap_or(Rect::ZERO);
    let looks = dict.get::<Dict<'_>>(b"MK").unwrap_or_default();
    let style = dict.get::<Dict<'_>>(b"BS").unwrap_or_default();
    let mut look = Look::at([rect.x0, rect.y0, rect.x1, rect.y1]);
    look.turned = looks.get::<i32>(b"R").unwrap_or(0).rem_euclid(360);
    look.border = looks.get::<Array<'_>>(b"BC").and_then(|c| colour(&c));
    look.ground = looks.get::<Array<'_>>(b"BG").and_then(|c| colour(&c));
    look.border_width = f64::from(style.get::<f32>(b"W").unwrap_or(1.0)).clamp(0.0, 20.0);
    look
}

/// A colour as the operands of its operator, table 167: as many numbers as its space has.
fn colour(array: &Array<'_>) -> Option<Vec<f64>> {
    let parts: Vec<f64> = array
        .iter::<Object<'_>>()
        .filter_map(Object::into_number)
        .map(|part| part.as_f64().clamp(0.0, 1.0))
        .take(5)
        .collect();
    matches!(parts.len(), 1 | 3 | 4).then_some(parts)
}

fn text(dict: &Dict<'_>, form: &Form<'_>, text: String) -> Text {
    let of_form = |key: &[u8]| form.dict.as_ref()?.get::<Object<'_>>(key);
    let appearance = inherited::<Object<'_>>(dict, b"DA").or_else(|| of_form(b"DA"));
    let quadding = inherited::<Object<'_>>(dict, b"Q").or_else(|| of_form(b"Q"));
    let mut text = Text::of(text.chars().take(MOST_CHARACTERS).collect());
    text.quadding = quadding
        .and_then(Object::into_number)
        .map_or(0, |quadding| quadding.as_i64());
    if let Some(Object::String(appearance)) = appearance {
        text.style(appearance.as_bytes());
    }
    text
}

/// How a comment without an appearance is to look.
pub(super) fn markup(dict: &Dict<'_>, kind: &[u8], form: &Form<'_>) -> Answer {
    let contents = || dict.get::<Object<'_>>(b"Contents").and_then(text_of);
    match kind {
        b"FreeText" => {
            let Some(contents) = contents() else {
                return Answer::Nothing;
            };
            let mut text = text(dict, form, contents);
            text.lines = true;
            let mut look = frame(dict);
            look.ground = dict.get::<Array<'_>>(b"C").and_then(|c| colour(&c));
            look.text = Some(text);
            Answer::Look(Box::new(look))
        }
        b"Square" | b"Circle" => {
            let mut look = frame(dict);
            look.round = kind == b"Circle";
            look.border = dict
                .get::<Array<'_>>(b"C")
                .and_then(|c| colour(&c))
                .or(Some(vec![0.0]));
            look.ground = dict.get::<Array<'_>>(b"IC").and_then(|c| colour(&c));
            Answer::Look(Box::new(look))
        }
        b"Highlight" | b"Underline" | b"Squiggly" | b"StrikeOut" | b"Line" | b"Ink"
        | b"Polygon" | b"PolyLine" | b"Caret" => lines(dict, kind),
        b"Stamp" => stamp(dict),
        // Their words are in a window of their own, which no print has.
        b"Text" | b"FileAttachment" | b"Redact" => Answer::Unknown,
        _ => Answer::Nothing,
    }
}

/// A stamp's name in a frame; the names are table 184's, and others are words written together as well.
fn stamp(dict: &Dict<'_>) -> Answer {
    let name = dict.get::<Name<'_>>(b"Name");
    let name = decoded(name.as_deref().unwrap_or(b"Draft"));
    let mut words = String::new();
    // Some programs put a mark of their own before the name: `SBApproved`, `#Approved`.
    let name = name.trim_start_matches('#');
    let name = name
        .strip_prefix("SB")
        .or_else(|| name.strip_prefix("SH"))
        .unwrap_or(name);
    let mut before = ' ';
    for c in name.chars().take(60) {
        if c.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        words.extend(c.to_uppercase());
        before = c;
    }
    let mut look = frame(dict);
    look.border = Some(vec![0.0]);
    look.border_width = 2.0;
    let mut text = Text::of(words);
    text.quadding = 1;
    look.text = Some(text);
    Answer::Look(Box::new(look))
}

type Stroke = Vec<[f64; 2]>;

/// Strokes from point to point, on the page.
fn lines(dict: &Dict<'_>, kind: &[u8]) -> Answer {
    let points = |array: Array<'_>| -> Stroke {
        let numbers: Vec<f64> = array
            .iter::<Object<'_>>()
            .filter_map(Object::into_number)
            .map(|number| number.as_f64())
            .take(20_000)
            .collect();
        numbers.as_chunks::<2>().0.to_vec()
    };
    let of = |key: &[u8]| dict.get::<Array<'_>>(key).map(points).unwrap_or_default();
    let mut look = frame(dict);
    look.strokes = match kind {
        b"Line" => vec![of(b"L")],
        b"Ink" => dict
            .get::<Array<'_>>(b"InkList")
            .map(|all| all.iter::<Array<'_>>().take(2000).map(points).collect())
            .unwrap_or_default(),
        b"PolyLine" => vec![of(b"Vertices")],
        b"Polygon" => {
            let mut corners = of(b"Vertices");
            corners.extend(corners.first().copied());
            vec![corners]
        }
        b"Caret" => {
            let rect = dict.get::<Rect>(b"Rect").unwrap_or(Rect::ZERO);
            let top = [(rect.x0 + rect.x1) / 2.0, rect.y1];
            vec![vec![[rect.x0, rect.y0], top, [rect.x1, rect.y0]]]
        }
        // Upper left, upper right, lower left, lower right: as programs write them, not as §12.5.6.10 has it.
        _ => {
            let corners = of(b"QuadPoints");
            let quads = corners.as_chunks::<4>().0;
            if kind == b"Highlight" {
                // Its light colour would be lost, or dots around the letters: a thick line below them is neither.
                let height = quads.first().map_or(0.0, |&[a, _, c, _]| between(c, a));
                look.border_width = (height / 10.0).clamp(1.2, 3.0);
            }
            quads.iter().map(|quad| beside(kind, quad)).collect()
        }
    };
    if look.strokes.iter().all(|stroke| stroke.len() < 2) {
        return Answer::Unknown;
    }
    Answer::Look(Box::new(look))
}

/// The stroke under or through a piece of text.
fn beside(kind: &[u8], &[a, b, c, d]: &[[f64; 2]; 4]) -> Stroke {
    let at =
        |low: [f64; 2], high: [f64; 2], up: f64| [0, 1].map(|i| low[i] + (high[i] - low[i]) * up);
    let up = match kind {
        b"StrikeOut" => 0.45,
        b"Highlight" => 0.06,
        _ => 0.1,
    };
    if kind != b"Squiggly" {
        return vec![at(c, a, up), at(d, b, up)];
    }
    let steps = between(c, d) / (between(c, a) / 6.0).max(1.0);
    let steps = steps.clamp(2.0, 2000.0) as usize;
    let point = |step: usize| {
        let along = step as f64 / steps as f64;
        let (low, high) = (at(c, d, along), at(a, b, along));
        at(low, high, if step.is_multiple_of(2) { 0.03 } else { 0.14 })
    };
    (0..=steps).map(point).collect()
}

fn between(one: [f64; 2], other: [f64; 2]) -> f64 {
    (one[0] - other[0]).hypot(one[1] - other[1])
}

/// A text string, or a stream that holds one (ISO 32000-2 §7.9.2.2).
fn text_of(object: Object<'_>) -> Option<String> {
    match object {
        Object::String(string) => Some(decoded(string.as_bytes())),
        Object::Stream(stream) => stream_text(&stream),
        Object::Name(name) => Some(decoded(&name)),
        _ => None,
    }
}

fn stream_text(stream: &Stream<'_>) -> Option<String> {
    let data = stream.decoded_data().ok()?;
    Some(decoded(&data[..data.len().min(4 * MOST_CHARACTERS)]))
}

fn decoded(octets: &[u8]) -> String {
    match octets {
        [0xFE, 0xFF, rest @ ..] => encoding_rs::UTF_16BE.decode(rest).0.into_owned(),
        [0xFF, 0xFE, rest @ ..] => encoding_rs::UTF_16LE.decode(rest).0.into_owned(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => octets.iter().map(|&octet| pdf_doc(octet)).collect(),
    }
}

/// PDFDocEncoding, annex D.2: Latin-1 with these in the gaps.
fn pdf_doc(octet: u8) -> char {
    const LOW: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    const HIGH: [char; 32] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚',
        '™', 'ﬁ', 'ﬂ', 'Ł', 'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', '\u{fffd}',
    ];
    match octet {
        0x18..=0x1F => LOW[usize::from(octet - 0x18)],
        0x80..=0x9F => HIGH[usize::from(octet - 0x80)],
        0xA0 => '€',
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_strings_in_every_encoding() {
        assert_eq!(decoded(b"\xFE\xFF\x04\x16\xD8\x3D\xDE\x00"), "Ж😀");
        assert_eq!(decoded(b"\xEF\xBB\xBF\xC3\xA9"), "é");
        assert_eq!(decoded(b"caf\xE9 \x80 \xA0"), "café • €");
    }
}
