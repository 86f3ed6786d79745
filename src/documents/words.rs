//! Which of a mail's texts is drawn.
//!
//! A mail says the same in plain text and in HTML (RFC 2046 §5.1.4). Plain text makes the better fax: letters
//! at one size, no colours, nothing small. HTML is drawn when it carries what plain text can't: a table of
//! two columns and two rows at least, or a picture that is no ornament. Looking for those takes no tree, only a
//! walk over the tags: the tree is built in a paper worker.

use faxpost_paper::Enclosed;

use crate::options;

/// The text of a mail, or of a part of it, in the forms that it comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub plain: Option<String>,
    pub html: Option<String>,
}

/// A `data:` picture with fewer characters is an ornament.
const SMALL_DATA: usize = 20_000;

/// What an HTML text has, as far as its tags tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    pub text: bool,
    /// Tables of data.
    pub tables: bool,
    /// A `data:` picture that is no ornament.
    pub drawn: bool,
    /// The Content-IDs of the pictures that it shows.
    pub shown: Vec<String>,
    /// Pictures that it would have from the web.
    pub remote: u32,
}

/// The text that all of these are together: HTML as soon as one exists in HTML alone, or all in both.
pub(super) fn together(all: Vec<Words>) -> Words {
    let all: Vec<Words> = all.into_iter().filter(|words| !is_blank(words)).collect();
    let plain: Option<Vec<String>> = all.iter().map(|words| words.plain.clone()).collect();
    let some_html = all.iter().any(|words| words.html.is_some());
    let html = all.iter().map(|words| match (&words.html, &words.plain) {
        (Some(html), _) => html.clone(),
        (None, plain) => escaped(plain.as_deref().unwrap_or_default()),
    });
    Words {
        html: some_html.then(|| html.collect::<Vec<_>>().join("\n")),
        plain: plain
            .map(|all| {
                all.iter()
                    .map(|one| one.trim())
                    .collect::<Vec<_>>()
                    .join("\n\n")
            })
            .filter(|text| !text.is_empty()),
    }
}

/// The text without the option lines that it begins with.
pub(super) fn without_options(words: Words) -> Words {
    let plain = words.plain.map(|text| options::of_text(&text).1);
    Words {
        plain: plain.filter(|text| !text.trim().is_empty()),
        html: words.html.map(|html| options::of_html(&html).1),
    }
}

fn is_blank(words: &Words) -> bool {
    let plain = words
        .plain
        .as_ref()
        .is_none_or(|text| text.trim().is_empty());
    plain && words.html.is_none()
}

/// Plain text as HTML that looks the same.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::from("<div style=\"white-space:pre-wrap\">");
    for c in text.trim().chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out.push_str("</div>");
    out
}

/// Whether HTML is drawn though there is plain text.
pub(super) fn is_rich(carried: &Carried, pictures: &[Enclosed]) -> bool {
    let wanted = |picture: &Enclosed| !faxpost_paper::is_ornament(&picture.bytes);
    carried.tables || carried.drawn || pictures.iter().any(wanted)
}

/// A table as its tags pass.
#[derive(Default)]
struct Open {
    /// Cells of the row with something in them, and whether the open one has.
    filled: usize,
    cell: bool,
    /// Rows with two such cells.
    rows: usize,
    holds_table: bool,
}

impl Open {
    fn end_cell(&mut self) {
        self.filled += usize::from(std::mem::take(&mut self.cell));
    }

    fn end_row(&mut self) {
        self.end_cell();
        self.rows += usize::from(std::mem::take(&mut self.filled) >= 2);
    }
}

/// Walks over the tags of an HTML text.
pub(super) fn look(html: &str) -> Carried {
    let mut carried = Carried::default();
    let mut tables: Vec<Open> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        saw_text(&rest[..at], &mut carried, &mut tables);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let end = tag_end(rest);
        let tag = &rest[1..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let name_end = tag
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '/'))
            .unwrap_or(tag.len());
        let name = tag[..name_end].to_ascii_lowercase();
        match name.as_str() {
            "script" | "style" | "title" | "template" => {
                let close = format!("</{name}");
                rest = find_ignoring_case(rest, &close).map_or("", |at| &rest[at..]);
            }
            "img" => {
                saw_picture(source(tag), &mut carried);
                if let Some(open) = tables.last_mut() {
                    open.cell = true;
                }
            }
            "table" => {
                if let Some(outer) = tables.last_mut() {
                    outer.holds_table = true;
                }
                tables.push(Open::default());
            }
            "td" | "th" => tables
                .iter_mut()
                .last()
                .into_iter()
                .for_each(Open::end_cell),
            "tr" | "/tr" => tables.iter_mut().last().into_iter().for_each(Open::end_row),
            "/table" => close(tables.pop(), &mut carried),
            _ => {}
        }
    }
    saw_text(rest, &mut carried, &mut tables);
    while let Some(open) = tables.pop() {
        close(Some(open), &mut carried);
    }
    carried
}

fn close(open: Option<Open>, carried: &mut Carried) {
    if let Some(mut open) = open {
        open.end_row();
        carried.tables |= open.rows >= 2 && !open.holds_table;
    }
}

fn saw_text(text: &str, carried: &mut Carried, tables: &mut [Open]) {
    let text = text.replace("&nbsp;", " ").replace("&#160;", " ");
    if text.trim().is_empty() {
        return;
    }
    carried.text = true;
    if let Some(open) = tables.last_mut() {
        open.cell = true;
    }
}

fn saw_picture(source: Option<&str>, carried: &mut Carried) {
    let Some(source) = source else { return };
    let lower = source.get(..5).unwrap_or(source).to_ascii_lowercase();
    if lower == "data:" {
        carried.drawn |= source.len() > SMALL_DATA;
    } else if lower == "http:" || lower == "https" || lower.starts_with("//") {
        carried.remote += 1;
    } else if lower.starts_with("cid:") {
        carried.shown.push(source[4..].trim().replace("%40", "@"));
    }
}

/// Where a tag ends; a `>` within quotes does not end it.
fn tag_end(tag: &str) -> usize {
    let mut quote = None;
    for (at, c) in tag.bytes().enumerate() {
        match (quote, c) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote that never ends: the next `>` it is.
    tag.find('>').unwrap_or(tag.len())
}

fn source(tag: &str) -> Option<&str> {
    let at = find_ignoring_case(tag, "src")? + 3;
    let value = tag.get(at..)?.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    Some(match quote {
        Some(quote) => value[1..].split(quote).next().unwrap_or_default(),
        None => value
            .split([' ', '\t', '\r', '\n', '>'])
            .next()
            .unwrap_or_default(),
    })
}

fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    let needle = needle.as_bytes();
    let windows = text.as_bytes().windows(needle.len());
    windows
        .into_iter()
        .position(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_data_and_pictures_are_seen_in_the_tags() {
        let data = look("<table><tr><td>a<td>b<tr><td>c</td><td>d</td></tr></table>");
        assert!(data.tables && data.text && !data.drawn);
        for layout in [
            "<table><tr><td>a</td><td>&nbsp;</td></tr><tr><td>b</td></tr></table>",
            "<table><tr><td><img src=cid:logo></td><td>Name</td></tr></table>",
            "<table><tr><td>a</td><td>b</td></tr><tr><td><table><tr><td>x</td></tr></table></td><td>y</td></tr></table>",
            "<!-- <table><tr><td>a<td>b<tr><td>c<td>d</table> -->",
            "<style><table><tr><td>a<td>b<tr><td>c<td>d</table></style>",
        ] {
            assert!(!look(layout).tables, "{layout}");
        }
        let shown = look(
            "<p title='a>b'><IMG alt=\"x\" SRC=\"cid:a%40b\"><img src=http://x/y><img src='CID:c@d'>",
        );
        assert_eq!(shown.shown, ["a@b", "c@d"]);
        assert_eq!((shown.text, shown.remote), (false, 1));
        assert!(
            look(&format!(
                "<img src='data:image/png;base64,{}'>",
                "A".repeat(30_000)
            ))
            .drawn
        );
        for odd in [
            "<",
            "<a href='",
            "<!--",
            "<style",
            "<img src",
            "<img src=",
            "é<ü>ß<img src=\"é",
        ] {
            look(odd);
        }
    }

    #[test]
    fn texts_are_joined_in_the_form_that_all_have() {
        let words = |plain: Option<&str>, html: Option<&str>| Words {
            plain: plain.map(str::to_owned),
            html: html.map(str::to_owned),
        };
        assert_eq!(
            together(vec![
                words(Some("a\n"), Some("<b>a</b>")),
                words(Some("<foot>"), None)
            ]),
            words(
                Some("a\n\n<foot>"),
                Some("<b>a</b>\n<div style=\"white-space:pre-wrap\">&lt;foot&gt;</div>")
            )
        );
        assert_eq!(
            together(vec![words(Some("a"), None), words(None, Some("<p>b"))]).plain,
            None
        );
        assert_eq!(together(vec![words(Some(" \r\n"), None)]), Words::default());
    }
}
