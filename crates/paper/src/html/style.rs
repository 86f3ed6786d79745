//! What an element's attributes say of how it looks, and whether it is seen at all.

use html5ever::Attribute;

use super::model::{Align, Style};

/// The value of an attribute.
pub(super) fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|a| &*a.name.local == name);
    found.map(|attribute| attribute.value.trim())
}

/// The declarations of a `style` attribute, names and values in small letters.
pub(super) fn declarations(attributes: &[Attribute]) -> Vec<(String, String)> {
    attribute(attributes, "style").map_or_else(Vec::new, declared)
}

fn declared(text: &str) -> Vec<(String, String)> {
    let each = text.split(';').filter_map(|one| one.split_once(':'));
    each.map(|(name, value)| {
        let value = value.trim().to_ascii_lowercase();
        let value = value.trim_end_matches("!important").trim_end().to_owned();
        (name.trim().to_ascii_lowercase(), value)
    })
    .collect()
}

/// Whether a reader is not to see it: preheaders, variants for other screens, traps.
pub(super) fn hidden(attributes: &[Attribute], style: &[(String, String)]) -> bool {
    if attribute(attributes, "hidden").is_some() {
        return true;
    }
    let said = |name: &str| {
        style
            .iter()
            .rfind(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    let nothing = |name: &str| said(name).and_then(length).is_some_and(|px| px <= 0.0);
    said("display") == Some("none")
        || matches!(said("visibility"), Some("hidden" | "collapse"))
        || said("mso-hide") == Some("all")
        || said("opacity").is_some_and(|v| v.parse() == Ok(0.0))
        || said("font-size")
            .and_then(length)
            .is_some_and(|px| px <= 1.5)
        || (nothing("max-height") || nothing("height") || nothing("width") || nothing("max-width"))
            && said("overflow") == Some("hidden")
}

/// A CSS length as pixels; relative ones are none.
pub(super) fn length(value: &str) -> Option<f64> {
    let end = value
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(value.len());
    let number: f64 = value[..end].parse().ok()?;
    let factor = match value[end..].trim() {
        "" | "px" => 1.0,
        "pt" => 96.0 / 72.0,
        "in" => 96.0,
        "cm" => 96.0 / 2.54,
        "mm" => 96.0 / 25.4,
        _ if number == 0.0 => 1.0,
        _ => return None,
    };
    Some(number * factor)
}

/// The style within an element that has `outer` around it.
pub(super) fn letters(name: &str, style: &[(String, String)], outer: Style) -> Style {
    let mut inner = outer;
    match name {
        "b" | "strong" | "th" => inner.bold = true,
        "i" | "em" | "cite" | "dfn" | "var" | "address" => inner.italic = true,
        "u" | "ins" => inner.underline = true,
        "s" | "strike" | "del" => inner.strike = true,
        "tt" | "code" | "kbd" | "samp" => inner.mono = true,
        "sub" => inner.shift = -1,
        "sup" => inner.shift = 1,
        _ => {}
    }
    for (name, value) in style {
        match (name.as_str(), value.as_str()) {
            ("font-weight", "bold" | "bolder" | "600" | "700" | "800" | "900") => inner.bold = true,
            ("font-weight", "normal" | "300" | "400" | "500") => inner.bold = false,
            ("font-style", "italic" | "oblique") => inner.italic = true,
            ("font-style", "normal") => inner.italic = false,
            ("text-decoration" | "text-decoration-line", value) => {
                inner.underline |= value.contains("underline");
                inner.strike |= value.contains("line-through");
                if value.contains("none") {
                    inner.underline = false;
                }
            }
            ("font-family", value) if value.contains("mono") || value.contains("courier") => {
                inner.mono = true;
            }
            _ => {}
        }
    }
    inner
}

/// Where lines stand within an element.
pub(super) fn align(
    name: &str,
    attributes: &[Attribute],
    style: &[(String, String)],
    outer: Align,
) -> Align {
    let said = style
        .iter()
        .rfind(|(n, _)| n == "text-align")
        .map(|(_, v)| v.as_str());
    let said = said.map(str::to_owned);
    let of_itself = attribute(attributes, "align")
        // Of a table or a picture it says where that stands, not its text.
        .filter(|_| !matches!(name, "table" | "img"))
        .map(str::to_ascii_lowercase);
    match said.or(of_itself).as_deref() {
        Some("center") => Align::Center,
        Some("right" | "end") => Align::End,
        Some("left" | "start" | "justify") => Align::Start,
        _ if name == "center" => Align::Center,
        _ => outer,
    }
}

/// The classes and ids that style sheets hide on every screen. Of a sheet only rules of one class or id are
/// read, and none within `@media`: those are for other screens.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    hidden: Vec<String>,
}

impl Sheet {
    pub fn read(&mut self, css: &str) {
        let css = without_comments(css);
        let mut rest = css.as_str();
        while let Some(open) = rest.find('{') {
            let selectors = rest[..open]
                .rsplit(['}', ';'])
                .next()
                .unwrap_or_default()
                .trim();
            let Some(close) = rest[open..].find('}') else {
                return;
            };
            if selectors.starts_with('@') {
                rest = behind_block(&rest[open..]);
                continue;
            }
            let rules = declared(&rest[open + 1..open + close]);
            if hidden(&[], &rules) {
                for selector in selectors.split(',') {
                    self.hide(selector.trim());
                }
            }
            rest = &rest[open + close + 1..];
        }
    }

    fn hide(&mut self, selector: &str) {
        const MOST: usize = 200;
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let name = selector.find(['.', '#']).map(|at| &selector[at..]);
        if let Some(name) = name
            && name.len() > 1
            && name[1..].chars().all(plain)
            && selector[..selector.len() - name.len()].chars().all(plain)
            && self.hidden.len() < MOST
        {
            self.hidden.push(name.to_owned());
        }
    }

    pub fn hides(&self, attributes: &[Attribute]) -> bool {
        if self.hidden.is_empty() {
            return false;
        }
        let is = |mark: char, name: &str| {
            let all = self.hidden.iter();
            all.filter_map(|hidden| hidden.strip_prefix(mark))
                .any(|hidden| hidden == name)
        };
        let classes = attribute(attributes, "class").unwrap_or_default();
        classes.split_whitespace().any(|class| is('.', class))
            || attribute(attributes, "id").is_some_and(|id| is('#', id))
    }
}

fn without_comments(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(open) = rest.find("/*") {
        out.push_str(&rest[..open]);
        let Some(close) = rest[open + 2..].find("*/") else {
            return out;
        };
        rest = &rest[open + 2 + close + 2..];
    }
    out.push_str(rest);
    out
}

/// What follows a block that begins with `{`.
fn behind_block(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_is_what_no_reader_sees() {
        for style in [
            "display:none",
            "color: red; DISPLAY : None !important",
            "mso-hide:all",
            "max-height:0px;overflow:hidden",
            "font-size:1px;line-height:1px",
            "font-size:0",
            "visibility:hidden",
            "opacity: 0",
        ] {
            assert!(hidden(&[], &declared(style)), "{style}");
        }
        for style in [
            "display:block",
            "font-size:9pt",
            "max-height:0",
            "opacity:0.9",
            "font-size:small",
        ] {
            assert!(!hidden(&[], &declared(style)), "{style}");
        }
    }

    #[test]
    fn style_sheets_hide_classes() {
        let mut sheet = Sheet::default();
        sheet.read(
            "/* .a{display:none} */ @import url(x); p{color:red} .preheader, span.pre { display: none !important; }
             @media (max-width:600px) { .big { display:none } .b{color:red} } #trap{display:none} .x .y{display:none}",
        );
        assert_eq!(sheet.hidden, [".preheader", ".pre", "#trap"]);
        sheet.read("} { @media { .q{display:none");
    }

    #[test]
    fn lengths() {
        assert_eq!(length("12px"), Some(12.0));
        assert_eq!(length("72pt"), Some(96.0));
        assert_eq!(length("0"), Some(0.0));
        assert_eq!(length("50%"), None);
        assert_eq!(length("auto"), None);
    }
}
