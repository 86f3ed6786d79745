//! Appearances that are made here: borders, marks, and texts as the outlines of their letters, so that they
//! need no font of the file.

use std::fmt::Write as _;

use super::rewrite::{self, number_text};
use super::{Notes, tell};
use crate::typeset::{self, FieldText};
use crate::{Note, fonts};

/// How a field is to look.
pub(crate) struct Look {
    rect: [f64; 4],
    /// Degrees to the left.
    pub turned: i32,
    pub border: Option<Vec<f64>>,
    pub border_width: f64,
    pub ground: Option<Vec<f64>>,
    /// Border, ground and what is in it are round.
    pub round: bool,
    pub mark: Option<Mark>,
    pub text: Option<Text>,
    /// Lines from point to point, on the page.
    pub strokes: Vec<Vec<[f64; 2]>>,
}

/// What is in a box that is ticked.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    Check,
    Cross,
    Dot,
    Square,
}

/// The text of a field.
#[derive(Default)]
pub(crate) struct Text {
    pub text: String,
    /// 0: from the left; 1: in the middle; 2: to the right.
    pub quadding: i64,
    /// It may have several lines.
    pub lines: bool,
    /// As many cells of the same width, a character each; 0: none.
    pub cells: usize,
    /// Points; 0: as large as fits.
    size: f64,
    fixed_pitch: bool,
    colour: Option<Vec<f64>>,
}

impl Text {
    pub fn of(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// Reads a default appearance string, `/Helv 12 Tf 0 g` (ISO 32000-2 §12.7.4.3).
    pub fn style(&mut self, appearance: &[u8]) {
        let text = String::from_utf8_lossy(appearance);
        let mut operands: Vec<&str> = Vec::new();
        for word in text.split_ascii_whitespace().take(100) {
            let numbers = || -> Vec<f64> {
                let all = operands.iter().filter_map(|word| word.parse::<f64>().ok());
                all.map(|number| number.clamp(0.0, 1.0)).collect()
            };
            match word {
                "Tf" => {
                    let [.., font, size] = operands.as_slice() else {
                        continue;
                    };
                    self.fixed_pitch = ["Cour", "Mono", "Fixed"]
                        .iter()
                        .any(|name| font.contains(name));
                    self.size = size.parse().unwrap_or(0.0);
                }
                "g" | "rg" | "k" => self.colour = Some(numbers()),
                _ => {
                    operands.push(word);
                    continue;
                }
            }
            operands.clear();
        }
    }
}

impl Look {
    pub fn at(rect: [f64; 4]) -> Self {
        Self {
            rect,
            turned: 0,
            border: None,
            border_width: 1.0,
            ground: None,
            round: false,
            mark: None,
            text: None,
            strokes: Vec::new(),
        }
    }

    /// Width and height as its text is read.
    fn size(&self) -> [f64; 2] {
        let [left, bottom, right, top] = self.rect;
        let (width, height) = (right - left, top - bottom);
        if self.turned % 180 == 90 {
            [height, width]
        } else {
            [width, height]
        }
    }

    fn draw(&self, letters: &str) -> rewrite::Made {
        let [width, height] = self.size();
        let matrix = match self.turned {
            90 => [0.0, 1.0, -1.0, 0.0, height, 0.0],
            180 => [-1.0, 0.0, 0.0, -1.0, width, height],
            270 => [0.0, -1.0, 1.0, 0.0, 0.0, width],
            _ => [1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        };
        let mut out = String::new();
        if let Some(ground) = &self.ground {
            colour(&mut out, ground, ["g", "rg", "k"]);
            outline(&mut out, width, height, 0.0, self.round);
            out.push_str("f\n");
        }
        if let Some(border) = self.border.as_ref().filter(|_| self.border_width > 0.0) {
            colour(&mut out, border, ["G", "RG", "K"]);
            put(&mut out, &[self.border_width], "w");
            outline(&mut out, width, height, self.border_width / 2.0, self.round);
            out.push_str("S\n");
        }
        if let Some(drawn) = self.mark {
            mark(&mut out, drawn, width, height);
        }
        if let Some(text) = &self.text {
            let black = vec![0.0];
            colour(
                &mut out,
                text.colour.as_ref().unwrap_or(&black),
                ["g", "rg", "k"],
            );
            out.push_str(letters);
        }
        self.draw_strokes(&mut out);
        rewrite::Made {
            rect: self.rect,
            size: [width, height],
            matrix,
            content: out.into_bytes(),
        }
    }

    fn draw_strokes(&self, out: &mut String) {
        if self.strokes.is_empty() {
            return;
        }
        put(out, &[self.border_width.max(0.7)], "w");
        for stroke in &self.strokes {
            for (index, [x, y]) in stroke.iter().enumerate() {
                let operator = if index == 0 { "m" } else { "l" };
                put(out, &[x - self.rect[0], y - self.rect[1]], operator);
            }
            out.push_str("S\n");
        }
    }
}

/// Operands and their operator.
fn put(out: &mut String, numbers: &[f64], operator: &str) {
    for &number in numbers {
        out.push_str(&number_text(number));
        out.push(' ');
    }
    out.push_str(operator);
    out.push('\n');
}

fn colour(out: &mut String, parts: &[f64], operators: [&str; 3]) {
    match parts.len() {
        1 => put(out, parts, operators[0]),
        3 => put(out, parts, operators[1]),
        4 => put(out, parts, operators[2]),
        _ => put(out, &[0.0], operators[0]),
    }
}

/// A box or, when it is round, the ellipse in it.
fn outline(out: &mut String, width: f64, height: f64, inset: f64, round: bool) {
    if !round {
        let sides = [inset, inset, width - 2.0 * inset, height - 2.0 * inset];
        return put(out, &sides, "re");
    }
    ellipse(
        out,
        [width / 2.0, height / 2.0],
        [width / 2.0 - inset, height / 2.0 - inset],
    );
}

fn ellipse(out: &mut String, [x, y]: [f64; 2], [rx, ry]: [f64; 2]) {
    // What makes a quarter of a circle of a Bézier curve.
    const K: f64 = 0.552_285;
    put(out, &[x + rx, y], "m");
    for (from, to) in [
        ([1.0, 0.0], [0.0, 1.0]),
        ([0.0, 1.0], [-1.0, 0.0]),
        ([-1.0, 0.0], [0.0, -1.0]),
        ([0.0, -1.0], [1.0, 0.0]),
    ] {
        let at = |a: [f64; 2], b: [f64; 2], k: f64| {
            [x + rx * (a[0] + k * b[0]), y + ry * (a[1] + k * b[1])]
        };
        let (first, second, end) = (at(from, to, K), at(to, from, K), at(to, from, 0.0));
        put(
            out,
            &[first[0], first[1], second[0], second[1], end[0], end[1]],
            "c",
        );
    }
}

fn mark(out: &mut String, mark: Mark, width: f64, height: f64) {
    let side = width.min(height);
    let centre = [width / 2.0, height / 2.0];
    let at = |x: f64, y: f64| [centre[0] + (x - 0.5) * side, centre[1] + (y - 0.5) * side];
    out.push_str("0 g 0 G\n");
    put(out, &[side * 0.13], "w");
    let mut line = |points: &[[f64; 2]]| {
        for (index, point) in points.iter().enumerate() {
            put(out, point, if index == 0 { "m" } else { "l" });
        }
        out.push_str("S\n");
    };
    match mark {
        Mark::Check => line(&[at(0.2, 0.5), at(0.42, 0.25), at(0.82, 0.8)]),
        Mark::Cross => {
            line(&[at(0.2, 0.2), at(0.8, 0.8)]);
            line(&[at(0.2, 0.8), at(0.8, 0.2)]);
        }
        Mark::Dot => {
            ellipse(out, centre, [side * 0.27, side * 0.27]);
            out.push_str("f\n");
        }
        Mark::Square => {
            let [left, bottom] = at(0.25, 0.25);
            put(out, &[left, bottom, side / 2.0, side / 2.0], "re");
            out.push_str("f\n");
        }
    }
}

/// The looks of a document, drawn together.
#[derive(Default)]
pub(crate) struct Made {
    looks: Vec<Look>,
}

impl Made {
    pub fn add(&mut self, look: Look) {
        self.looks.push(look);
    }

    /// Draws them, in order; `None` for one that could not be.
    pub fn draw(self, notes: &Notes) -> Vec<Option<rewrite::Made>> {
        let texts: Vec<FieldText<'_>> = self
            .looks
            .iter()
            .filter_map(|look| {
                let text = look.text.as_ref()?;
                let [width, height] = look.size();
                Some(FieldText {
                    width,
                    height,
                    text: &text.text,
                    size: text.size,
                    quadding: text.quadding,
                    lines: text.lines,
                    cells: text.cells,
                    fixed_pitch: text.fixed_pitch,
                })
            })
            .collect();
        let composed = if texts.is_empty() {
            None
        } else {
            typeset::fields(&texts).ok()
        };
        if let Some(note) =
            (composed.as_ref()).and_then(|composed| Note::missing(composed.missing()))
        {
            tell(notes, note);
        }
        let mut sheet = 0;
        self.looks
            .iter()
            .map(|look| {
                let mut letters = String::new();
                if look.text.is_some() {
                    let Some(composed) = &composed else {
                        tell(notes, Note::AnnotationMissing);
                        return None;
                    };
                    let [_, height] = look.size();
                    let inside = composed.letters(sheet, |glyph| {
                        fonts::outline(glyph, height, &mut |numbers, operator| {
                            put(&mut letters, numbers, operator);
                        });
                    });
                    let _ = writeln!(letters);
                    sheet += 1;
                    if !inside {
                        tell(notes, Note::FieldCut);
                    }
                }
                Some(look.draw(&letters))
            })
            .collect()
    }
}
