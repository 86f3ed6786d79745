//! What lies where on a page, as far as grey pixels don't say it: pictures, shadings, and what
//! stands on top of them.
//!
//! Each pixel has an owner. Pictures and shadings take theirs in the order in which they are
//! painted; what is painted over them and is opaque takes it back, and letters take it for
//! themselves. `painter` fills this in while a PDF page is interpreted a second time.

use hayro::kurbo::{BezPath, Rect};

use crate::cells::{CELL, Cells};
use crate::grey::Grey;
use crate::shapes::{Brush, Span, fill};

/// Nobody's: text, lines and fills on paper.
pub(crate) const NOBODY: u8 = 0;
/// What `tone` found by the look of the pixels, before anything was known of the page.
pub(crate) const FOUND: u8 = 250;
/// Letters on a picture, and the rim that sets them off from it.
pub(crate) const DARK: u8 = 255;
pub(crate) const LIGHT: u8 = 254;
const DARK_RIM: u8 = 253;
const LIGHT_RIM: u8 = 252;
/// The last owner that is a picture or a shading; later ones share it.
const LAST: u8 = 249;

/// Pixels of the rim of letters on a picture.
const RIM: usize = 2;

/// What a picture or shading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of pixels: a photograph, a scan or a drawing.
    Picture,
    /// Slow changes of grey, by its nature.
    Shading,
}

/// Something that has pixels of its own.
#[derive(Debug)]
pub(crate) struct Item {
    pub kind: Kind,
    pub span: Span,
}

/// The owners of a page's pixels.
pub(crate) struct Layers {
    pub width: usize,
    pub height: usize,
    owners: Vec<u8>,
    /// Owner 1 is the first.
    pub items: Vec<Item>,
    /// Where tone was found before.
    found: Option<Span>,
    /// Where letters stand on tone.
    letters: Vec<Span>,
    /// Pixels and crossings that may still be looked at: a hostile page paints without end.
    pub budget: usize,
}

impl Layers {
    /// A page where `tone` has been found in those cells.
    pub fn new(grey: &Grey, cells: &Cells, tone: &[bool]) -> Self {
        let (width, height) = (grey.width, grey.height);
        let mut layers = Self {
            width,
            height,
            owners: vec![NOBODY; width * height],
            items: Vec::new(),
            found: None,
            letters: Vec::new(),
            budget: 64 * width * height,
        };
        for (cell, _) in tone.iter().enumerate().filter(|&(_, &tone)| tone) {
            let (x, y) = (
                cell % cells.across * CELL,
                cell / cells.across * cells.height,
            );
            let span = Span {
                columns: x..(x + CELL).min(width),
                rows: y..(y + cells.height).min(height),
            };
            for y in span.rows.clone() {
                layers.owners[y * width..][span.columns.clone()].fill(FOUND);
            }
            layers.found = Some(match layers.found.take() {
                Some(all) => all.union(&span),
                None => span,
            });
        }
        layers
    }

    /// The same page with a picture there.
    pub fn with_picture(mut self, span: Span) -> Self {
        let owner = self.owner(Kind::Picture, span.clone());
        for y in span.rows {
            self.give(owner, y, span.columns.clone());
        }
        self
    }

    pub fn page(&self) -> Span {
        Span {
            columns: 0..self.width,
            rows: 0..self.height,
        }
    }

    pub fn row(&self, y: usize) -> &[u8] {
        &self.owners[y * self.width..][..self.width]
    }

    /// Whether a row may have an owner.
    pub fn is_owned(&self, y: usize) -> bool {
        let items = self.items.iter().map(|item| &item.span);
        items.chain(&self.found).any(|tone| tone.rows.contains(&y))
    }

    /// Whether a box may meet a picture, a shading, or tone that was found.
    pub fn has_tone(&self, span: &Span) -> bool {
        let items = self.items.iter().map(|item| &item.span);
        items.chain(&self.found).any(|tone| tone.meets(span))
    }

    /// Whether tone was found before anything was known of the page.
    pub fn has_found(&self) -> bool {
        self.found.is_some()
    }

    /// The owner for a picture or shading of that box: its own, or that of the picture beside it
    /// of which it is the next strip.
    pub fn owner(&mut self, kind: Kind, span: Span) -> u8 {
        let next = |item: &Item| {
            let (a, b) = (&item.span, &span);
            let near = |a: usize, b: usize| a.abs_diff(b) <= 3;
            let same = |a: &std::ops::Range<usize>, b: &std::ops::Range<usize>| {
                near(a.start, b.start) && near(a.end, b.end)
            };
            let beside = |a: &std::ops::Range<usize>, b: &std::ops::Range<usize>| {
                near(a.end, b.start) || near(b.end, a.start)
            };
            item.kind == kind
                && (same(&a.columns, &b.columns) && beside(&a.rows, &b.rows)
                    || same(&a.rows, &b.rows) && beside(&a.columns, &b.columns))
        };
        let full = self.items.len() >= usize::from(LAST);
        let at = match self.items.iter().rposition(next) {
            Some(at) => at,
            None if full => self.items.len() - 1,
            None => {
                self.items.push(Item { kind, span });
                return self.items.len() as u8;
            }
        };
        let old = &mut self.items[at].span;
        old.columns =
            old.columns.start.min(span.columns.start)..old.columns.end.max(span.columns.end);
        old.rows = old.rows.start.min(span.rows.start)..old.rows.end.max(span.rows.end);
        at as u8 + 1
    }

    /// Gives a picture's or shading's pixels to it.
    pub fn give(&mut self, owner: u8, y: usize, columns: std::ops::Range<usize>) {
        self.owners[y * self.width..][columns].fill(owner);
    }

    /// Takes pixels from pictures and shadings: something opaque is on top. What was found by its
    /// look stays: it looks so with everything on top of it.
    pub fn cover(&mut self, y: usize, columns: std::ops::Range<usize>) {
        for owner in &mut self.owners[y * self.width..][columns] {
            if *owner != FOUND {
                *owner = NOBODY;
            }
        }
    }

    /// Gives pixels of pictures and shadings to letters, `DARK` or `LIGHT` ones.
    pub fn letter(&mut self, owner: u8, y: usize, columns: std::ops::Range<usize>) {
        for old in &mut self.owners[y * self.width..][columns] {
            if *old != NOBODY {
                *old = owner;
            }
        }
    }

    /// Notes where letters were given pixels.
    pub fn letters_at(&mut self, span: Span) {
        self.letters.push(span);
    }

    /// The grey of the pictures in a box, whatever stands on them: the middle one, since letters
    /// cover less than half. `None`: there are none.
    pub fn ground(&mut self, grey: &Grey, span: &Span) -> Option<u8> {
        // A word's box is looked at closely, a line's here and there.
        let step = match span.area() {
            0..2500 => 1,
            2500..10_000 => 2,
            _ => 4,
        };
        self.budget = self.budget.checked_sub(span.area() / (step * step))?;
        let (mut histogram, mut count) = ([0u32; 256], 0);
        for y in span.rows.clone().step_by(step) {
            let (greys, owners) = (grey.row(y), self.row(y));
            for x in span.columns.clone().step_by(step) {
                if is_tone(owners[x]) {
                    histogram[usize::from(greys[x])] += 1;
                    count += 1;
                }
            }
        }
        let mut below = 0;
        let middle = histogram.iter().position(|&pixels| {
            below += pixels;
            below * 2 > count
        });
        middle.map(|grey| grey as u8)
    }

    /// Fills a path's pixels within `clip`.
    pub fn paint(
        &mut self,
        path: &BezPath,
        brush: Brush,
        clip: &Span,
        mut give: impl FnMut(&mut Self, usize, std::ops::Range<usize>),
    ) {
        let mut budget = std::mem::take(&mut self.budget);
        fill(path, brush, clip, &mut budget, |y, columns| {
            give(self, y, columns);
        });
        self.budget = budget;
    }

    /// Sets letters off from the picture under them: a rim of the other colour, so that they can
    /// be read whatever the picture's dots are.
    pub fn rim(&mut self) {
        let page = self.page();
        for span in &mut self.letters {
            for y in span.rows.clone() {
                for x in span.columns.clone() {
                    let rim = match self.owners[y * self.width + x] {
                        DARK => DARK_RIM,
                        LIGHT => LIGHT_RIM,
                        _ => continue,
                    };
                    let columns = x.saturating_sub(RIM)..(x + RIM + 1).min(self.width);
                    for y in y.saturating_sub(RIM)..(y + RIM + 1).min(self.height) {
                        for owner in &mut self.owners[y * self.width..][columns.clone()] {
                            if is_tone(*owner) {
                                *owner = rim;
                            }
                        }
                    }
                }
            }
            *span = span.wider(RIM, page.columns.end, page.rows.end);
        }
    }

    /// The rows where letters stand on tone.
    pub fn lettered(&self) -> impl Iterator<Item = &Span> {
        self.letters.iter()
    }
}

/// Whether a pixel is a picture's, a shading's, or was found to be tone.
pub(crate) fn is_tone(owner: u8) -> bool {
    (1..=FOUND).contains(&owner)
}

/// What a letter's or rim's pixel becomes, whatever its grey: black or white.
pub(crate) fn is_black(owner: u8) -> Option<bool> {
    match owner {
        DARK | LIGHT_RIM => Some(true),
        LIGHT | DARK_RIM => Some(false),
        _ => None,
    }
}

/// A rectangle, larger by `by` pixels.
pub(crate) fn larger(rect: Rect, by: f64) -> Rect {
    rect.inflate(by, by)
}
