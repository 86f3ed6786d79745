//! `#fax` lines: the first lines of a mail's own text, before anything else.
//!
//! ```text
//! #fax fine, nocover, at 18:00
//! #fax code 4711,
//!   header "Smith, Jones & Co"       a line that ends in a comma goes on
//!
//! Dear Mr Doe,
//! ```
//!
//! "Fax:" stands in many a letterhead, `#fax` in none. Quoted text never begins so: what is quoted has `>` before it, or
//! is in a `blockquote`, or stands below other text.

/// Lines that are looked at.
const LINES: usize = 20;
/// Octets of one line: no list is that long.
const LINE: usize = 4_000;
/// Octets of a character reference, to its semicolon.
const REFERENCE: usize = 10;
const MARK: &str = "#fax";

/// The lists of options that a plain text begins with, and the text behind them.
#[must_use]
pub fn of_text(text: &str) -> (Vec<String>, String) {
    let (mut lists, mut rest, mut open) = (Vec::new(), text, false);
    for _ in 0..LINES {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if !blank(line) || open {
            let Some(list) = list_of(line, open) else {
                break;
            };
            open = list.ends_with(',');
            lists.push(list.to_owned());
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    match lists.is_empty() {
        true => (lists, text.to_owned()),
        false => (joined(lists), first_line_on(rest).to_owned()),
    }
}

/// Lists of which one that ends in a comma goes on in the next.
fn joined(lists: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for list in lists {
        match all.last_mut() {
            Some(last) if last.ends_with(',') => last.push_str(&list),
            _ => all.push(list),
        }
    }
    all
}

/// Without the empty lines before it.
fn first_line_on(text: &str) -> &str {
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n')
        && blank(line)
    {
        rest = after;
    }
    rest
}

fn blank(line: &str) -> bool {
    line.trim_matches(['\u{feff}', '\u{200b}'])
        .trim()
        .is_empty()
}

/// What a `#fax` line lists, or one that a comma continues.
fn list_of(line: &str, goes_on: bool) -> Option<&str> {
    let line = line.trim_matches(['\u{feff}', '\u{200b}']).trim();
    let marked = line
        .get(..MARK.len())
        .filter(|mark| mark.eq_ignore_ascii_case(MARK))
        .map(|_| &line[MARK.len()..]);
    match marked {
        Some(list) if list.is_empty() || list.starts_with([' ', '\t', ':', '\u{a0}']) => {
            Some(list.trim_start_matches([' ', '\t', ':', '\u{a0}']))
        }
        _ => (goes_on && !line.is_empty()).then_some(line),
    }
}

/// A line of an HTML text as it is gathered: its words, and where they stand in the source.
#[derive(Default)]
struct Line {
    text: String,
    ranges: Vec<(usize, usize)>,
    /// In the source.
    length: usize,
}

/// The lists of options that an HTML text begins with, and the text without them.
#[must_use]
pub fn of_html(html: &str) -> (Vec<String>, String) {
    let (mut lists, mut cut): (Vec<String>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    let (mut line, mut lines, mut at) = (Line::default(), 0, 0);
    // Whether a list goes on in the next line.
    let open = |lists: &[String]| lists.last().is_some_and(|list| list.ends_with(','));
    let mut end_line = |line: &mut Line| {
        let Line { text, ranges, .. } = std::mem::take(line);
        if blank(&text) {
            return true;
        }
        lines += 1;
        match list_of(&text, open(&lists)) {
            Some(list) if lines <= LINES => {
                lists.push(list.to_owned());
                cut.extend(ranges);
                true
            }
            _ => false,
        }
    };
    while at < html.len() {
        let (token, end) = token(html, at);
        let goes_on = match token {
            Token::Text => {
                // The mail may be a stranger's, and of any size: what is too long for a list is not read.
                line.length += end - at;
                if line.length <= LINE {
                    line.text.push_str(&decoded(&html[at..end]));
                    line.ranges.push((at, end));
                }
                line.length <= LINE
            }
            Token::Nothing => true,
            Token::Break => end_line(&mut line),
            // What is quoted is another's.
            Token::Quote => {
                end_line(&mut line);
                false
            }
        };
        at = end;
        if !goes_on {
            break;
        }
    }
    if at >= html.len() {
        end_line(&mut line);
    }
    let mut left = String::with_capacity(html.len());
    let mut kept = 0;
    for (start, end) in cut {
        left.push_str(&html[kept..start]);
        kept = end;
    }
    left.push_str(&html[kept..]);
    (joined(lists), left)
}

enum Token {
    Text,
    /// A tag within a line, a comment, a style sheet.
    Nothing,
    /// A tag that ends a line.
    Break,
    /// The beginning of what somebody else wrote.
    Quote,
}

/// What stands at `at`, and where it ends.
fn token(html: &str, at: usize) -> (Token, usize) {
    let rest = &html[at..];
    if !rest.starts_with('<') {
        return (Token::Text, at + rest.find('<').unwrap_or(rest.len()));
    }
    if rest.starts_with("<!--") {
        return (
            Token::Nothing,
            at + rest.find("-->").map_or(rest.len(), |end| end + 3),
        );
    }
    let end = rest.find('>').map_or(rest.len(), |end| end + 1);
    let name: String = rest[1..]
        .chars()
        .skip_while(|c| *c == '/')
        .take_while(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let opening = !rest.starts_with("</");
    let token = match name.as_str() {
        "script" | "style" | "title" | "template" if opening => {
            let close = format!("</{name}");
            let mut windows = rest.as_bytes().windows(close.len());
            let found = windows.position(|window| window.eq_ignore_ascii_case(close.as_bytes()));
            return (Token::Nothing, at + found.unwrap_or(rest.len()));
        }
        "blockquote" => Token::Quote,
        _ if opening && is_quote(&rest[..end]) => Token::Quote,
        "br" | "p" | "div" | "li" | "ul" | "ol" | "td" | "th" | "tr" | "table" | "hr" | "h1"
        | "h2" | "h3" | "h4" | "h5" | "h6" | "pre" | "body" | "section" | "article" | "header"
        | "dd" | "dt" => Token::Break,
        _ => Token::Nothing,
    };
    (token, at + end)
}

/// Elements in which mail programs put what they quote.
fn is_quote(tag: &str) -> bool {
    let tag = tag.to_ascii_lowercase();
    [
        "gmail_quote",
        "gmail_attr",
        "moz-cite",
        "moz-forward",
        "yahoo_quoted",
        "divrplyfwdmsg",
        "type=\"cite\"",
    ]
    .iter()
    .any(|mark| tag.contains(mark))
}

/// Text with its character references read: those that mail programs write.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(REFERENCE + 1).position(|c| c == b';');
        let found = end.and_then(|end| {
            let c = match &rest[1..end] {
                "nbsp" => ' ',
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                "lt" => '<',
                "gt" => '>',
                number => {
                    let number = number.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, end + 1))
        });
        let (c, length) = found.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out.push_str(rest);
    // In the source a line's end is a space (HTML has no other).
    out.replace(['\r', '\n', '\u{a0}'], " ")
}
