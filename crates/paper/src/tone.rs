//! Photographs and shadings: where they are.
//!
//! What a document says of itself decides (`layers`): shadings are tone, and images are when they
//! look like photographs. What nobody says, as where the photograph in a scan is, is found by
//! what the pixels look like: many small steps, few large ones, over an area.

use faxpost_t4::Bitmap;

use crate::cells::{CELL, Cells, Group, groups};
use crate::grey::Grey;
use crate::layers::{FOUND, Item, Kind, Layers, NOBODY};

/// Cells at least; fewer are 7 × 7 mm, too small to be a picture and as likely to be smooth text.
const LEAST: usize = 49;
/// Cells across or down at least.
const NARROW: usize = 4;
/// Lightest to darkest pixel of a cell that has no grain: photographs have hardly any of them.
const EVEN: u8 = 3;
/// Cells that strokes of writing are narrower than twice of.
const REACH: usize = 3;
/// Jumps of the paper's grey in writing that was photographed, in a thousand, at most; a photograph
/// jumps at every edge.
const JUMPS: usize = 10;
/// Greys of a drawing.
const FEW: usize = 8;
/// A picture with more such cells than this, in per cent, is drawn.
const DRAWN: usize = 50;
/// A shading all lighter than this is paper, all darker than `INK` is ink.
const PAPER: u8 = 238;
const INK: u8 = 40;

/// The pixels of a page that become dots.
pub(crate) struct Tone {
    /// Those pixels; `None`: there are none.
    pub mask: Option<Bitmap>,
    /// The cells that have any of them.
    pub cells: Vec<bool>,
    /// The cells of pictures of writing.
    pub scanned: Vec<bool>,
}

impl Tone {
    /// What was found by its look, when nothing else is known.
    pub fn none(cells: &Cells) -> Self {
        Self {
            mask: None,
            cells: vec![false; cells.across * cells.down],
            scanned: vec![false; cells.across * cells.down],
        }
    }

    /// The cells where flat fills are chance, if there are any.
    pub fn apart(&self) -> Vec<bool> {
        let both = self.cells.iter().zip(&self.scanned);
        both.map(|(&tone, &scanned)| tone || scanned).collect()
    }

    /// What the layers of a page and the look of its pictures say. `all`: whatever it looks like.
    pub fn of(grey: &Grey, cells: &Cells, layers: &Layers, found: &[bool], all: bool) -> Self {
        if layers.items.is_empty() && !found.contains(&true) {
            return Self::none(cells);
        }
        let mut members = vec![Vec::new(); layers.items.len()];
        for cell in 0..cells.across * cells.down {
            let (x, y) = (
                cell % cells.across * CELL,
                cell / cells.across * cells.height,
            );
            let (x, y) = (
                (x + CELL / 2).min(grey.width - 1),
                (y + cells.height / 2).min(grey.height - 1),
            );
            let owner = layers.row(y)[x];
            if owner != NOBODY && usize::from(owner) <= members.len() {
                members[usize::from(owner) - 1].push(cell);
            }
        }
        // By owner: always, where found, never.
        let mut always = [false; 256];
        let mut where_found = [false; 256];
        always[usize::from(FOUND)] = true;
        let mut tone = Self::none(cells);
        for ((item, members), owner) in layers.items.iter().zip(&members).zip(1..) {
            where_found[owner] = true;
            match Look::of(item, grey, cells, members) {
                Look::Tone => always[owner] = true,
                Look::Writing if !all => {
                    // Its grain and its shadows look like tone, and are none; a photograph on it is.
                    let soft = members.iter().copied().filter(|&cell| found[cell]);
                    let jumps = jumps(cells, &cells.paper(REACH), &soft.collect::<Vec<_>>());
                    where_found[owner] = jumps > 3 * JUMPS;
                    members.iter().for_each(|&cell| tone.scanned[cell] = true);
                }
                _ => {
                    // Enlarged, a drawing's edges are soft, but of few greys: those of paper and ink.
                    let soft = members.iter().copied().filter(|&cell| found[cell]);
                    let shades = Shades::of(grey, cells, &soft.collect::<Vec<_>>());
                    where_found[owner] = shades.few * 2 < shades.total;
                    always[owner] = all;
                }
            }
        }
        let mut mask = Bitmap::new(grey.width, grey.height);
        for y in 0..grey.height {
            let owners = layers.row(y);
            if !layers.is_owned(y) || owners.iter().fold(0, |a, &b| a | b) == NOBODY {
                continue;
            }
            let from = y / cells.height * cells.across;
            let row = mask.row_mut(y);
            for (i, owners) in owners.chunks(CELL).enumerate() {
                let of = if found[from + i] {
                    &where_found
                } else {
                    &always
                };
                let first = owners[0];
                let one = owners.iter().fold(0, |all, &owner| all | (owner ^ first)) == 0;
                let is_tone = |owner: u8| of[usize::from(owner)] || always[usize::from(owner)];
                let bits = if one {
                    // Nearly always all have one owner, and that is nobody.
                    if first == NOBODY || !is_tone(first) {
                        continue;
                    }
                    (0xFF00u16 >> owners.len()) as u8
                } else {
                    owners.iter().enumerate().fold(0, |bits, (i, &owner)| {
                        bits | u8::from(is_tone(owner)) << (7 - i)
                    })
                };
                row[i] = bits;
                tone.cells[from + i] |= bits != 0;
            }
        }
        tone.mask = tone.cells.contains(&true).then_some(mask);
        tone
    }
}

/// What is visible of a picture or shading.
enum Look {
    /// A photograph or a shading: dots.
    Tone,
    /// Writing on paper, in whatever light.
    Writing,
    /// A drawing, or a page with photographs in it: what its pixels say.
    Other,
}

impl Look {
    fn of(item: &Item, grey: &Grey, cells: &Cells, members: &[usize]) -> Self {
        match item.kind {
            Kind::Shading => {
                let light = members.iter().all(|&cell| cells.min[cell] >= PAPER);
                let dark = members.iter().all(|&cell| cells.max[cell] <= INK);
                if light || dark {
                    Self::Other
                } else {
                    Self::Tone
                }
            }
            Kind::Picture if is_writing(grey, cells, members) => Self::Writing,
            Kind::Picture if is_photograph(grey, cells, members) => Self::Tone,
            Kind::Picture => Self::Other,
        }
    }
}

/// Whether a picture of those cells is writing that was photographed: paper that changes slowly
/// from light to shadow, with strokes that are much darker than it.
fn is_writing(grey: &Grey, cells: &Cells, members: &[usize]) -> bool {
    let mut inside = vec![false; cells.across * cells.down];
    members.iter().for_each(|&cell| inside[cell] = true);
    // At the picture's edge its paper meets the page's.
    let inner = members
        .iter()
        .copied()
        .filter(|&cell| cells.around(cell).all(|near| inside[near]));
    let inner: Vec<usize> = inner.collect();
    if inner.len() < LEAST {
        return false;
    }
    let paper = cells.paper(REACH);
    let shaded = inner.iter().filter(|&&cell| paper[cell] < 80).count();
    // Strokes are narrow: hardly a cell is dark all over.
    let dark = |v: u8, cell: usize| u16::from(v) * 10 < u16::from(paper[cell]) * 6;
    let some = inner
        .iter()
        .filter(|&&cell| dark(cells.min[cell], cell))
        .count();
    let whole = inner
        .iter()
        .filter(|&&cell| dark(cells.max[cell], cell))
        .count();
    if jumps(cells, &paper, &inner) > JUMPS || shaded * 33 > inner.len() || whole * 8 > some {
        return false;
    }
    let (mut all, mut light, mut ink) = (0usize, 0, 0);
    for &cell in &inner {
        let (x, y) = (
            cell % cells.across * CELL,
            cell / cells.across * cells.height,
        );
        let level = u16::from(paper[cell]) * 17;
        for y in (y..(y + cells.height).min(grey.height)).step_by(2) {
            for &v in grey.row(y)[x..].iter().take(CELL).step_by(2) {
                all += 1;
                light += usize::from(u16::from(v) * 20 > level);
                ink += usize::from(dark(v, cell));
            }
        }
    }
    light * 10 > all * 7 && (3..40).contains(&(ink * 100 / all))
}

/// How often the paper's grey jumps from one cell to the next, in a thousand.
fn jumps(cells: &Cells, paper: &[u8], members: &[usize]) -> usize {
    let steps = members.iter().flat_map(|&cell| {
        let next = [cell + 1, cell + cells.across];
        next.map(|next| paper[cell].abs_diff(*paper.get(next).unwrap_or(&paper[cell])))
    });
    steps.filter(|&step| step > 16).count() * 500 / members.len().max(1)
}

/// Marks the cells that belong to a picture.
pub(crate) fn find(grey: &Grey, cells: &Cells) -> Vec<bool> {
    let pixels = (cells.height * CELL) as u32;
    // An edge that runs through a cell has soft pixels too, but no more than two rows of them.
    let smooth = |cell: usize| {
        let (soft, hard) = (u32::from(cells.soft[cell]), u32::from(cells.hard[cell]));
        soft * 100 > pixels * 30 && soft > 2 * hard && (24..=235).contains(&cells.mean[cell])
    };
    let beside = |cell: usize, next: &mut Vec<usize>| next.extend(cells.around(cell));
    let mut tone = vec![false; cells.across * cells.down];
    for group in groups(cells, smooth, beside) {
        // Two edges side by side may be soft too, over all their length.
        let narrow = group.rows.len().min(group.columns.len()) < NARROW;
        if group.members.len() >= LEAST && !narrow && !is_scan(grey, cells, &group) {
            fill(&mut tone, cells, &group);
        }
    }
    tone
}

/// Whether a picture of those cells is a photograph: soft all over, and neither mostly paper with some ink, as
/// a scan is, nor mostly even, as a drawing or a picture of a screen is.
fn is_photograph(grey: &Grey, cells: &Cells, members: &[usize]) -> bool {
    let even = |&cell: &usize| cells.max[cell] - cells.min[cell] <= EVEN;
    let evens = members.iter().copied().filter(|cell| even(cell)).count();
    if members.len() < LEAST {
        return false;
    }
    let shades = Shades::of(grey, cells, members);
    // Enlarged a lot, a photograph is even too, but of many greys.
    if evens * 100 > members.len() * DRAWN && shades.few * 4 > shades.total * 3 {
        return false;
    }
    // A night has more ink than paper.
    !(shades.like_writing() && shades.paper > shades.dark)
}

/// Whether the group is text on paper that a scanner saw: mostly one light level, the rest dark.
fn is_scan(grey: &Grey, cells: &Cells, group: &Group) -> bool {
    let shades = Shades::of(grey, cells, &group.members);
    // A plain sky has as much of one level, but then hardly any dark, and rarely fills the page.
    let page = cells.across * cells.down;
    let like_paper = shades.dark * 50 > shades.total || group.members.len() * 10 > page * 3;
    like_paper && shades.like_writing()
}

/// How the pixels of some cells spread over the greys.
struct Shades {
    total: usize,
    /// Near the most frequent of the light greys.
    paper: usize,
    dark: usize,
    /// Of the most frequent greys: a drawing has hardly any others.
    few: usize,
}

impl Shades {
    fn of(grey: &Grey, cells: &Cells, members: &[usize]) -> Self {
        let mut histogram = [0usize; 256];
        for &cell in members {
            let (x, y) = (
                cell % cells.across * CELL,
                cell / cells.across * cells.height,
            );
            for y in (y..(y + cells.height).min(grey.height)).step_by(2) {
                for &v in grey.row(y)[x..].iter().take(CELL).step_by(2) {
                    histogram[usize::from(v)] += 1;
                }
            }
        }
        let light = 150;
        let peak = (light..256)
            .max_by_key(|&level| histogram[level])
            .unwrap_or(255);
        let mut counts = histogram;
        counts.sort_unstable();
        Self {
            few: counts[counts.len() - FEW..].iter().sum(),
            total: histogram.iter().sum(),
            paper: histogram[peak.saturating_sub(24).max(light)..(peak + 25).min(256)]
                .iter()
                .sum(),
            dark: histogram[..90].iter().sum(),
        }
    }

    /// Mostly paper of one grey, the rest ink.
    fn like_writing(&self) -> bool {
        (self.paper + self.dark) * 100 > self.total * 72
    }
}

/// Marks a group with what it encloses and a cell around: a picture has flat places and an edge
/// that shares its cells with the paper.
fn fill(tone: &mut [bool], cells: &Cells, group: &Group) {
    let area = group.rows.len() * group.columns.len();
    let inside = if group.members.len() * 10 > area * 6 {
        let columns = group.columns.clone();
        let rows = group.rows.clone();
        rows.flat_map(|y| columns.clone().map(move |x| y * cells.across + x))
            .collect()
    } else {
        group.hull(cells, true)
    };
    for cell in inside {
        for near in cells.around(cell) {
            tone[near] = true;
        }
    }
}
