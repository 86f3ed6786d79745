//! Flat fills: shaded table heads, boxes, bars of charts. A fill has no contrast of its own, so
//! the threshold can't say what it is; what stands on it can.
//!
//! Under dark writing it is paper with a light tint that keeps away from the letters; light
//! writing makes it ink (else a white letter would keep a black rim on white), both leave it to
//! the threshold, and a fill that nothing stands on keeps its shade, in dots.

use crate::cells::{Cells, Group, groups};

/// Pixels this near to a fill's level belong to it.
pub(crate) const NEAR: u16 = 10;

/// Lightest to darkest pixel in a cell of a fill: drawn fills have no grain, slow gradients little.
const FLAT: u8 = 2;
/// Neighbouring cells of a fill differ by this at most; more than nothing for slow gradients.
const STEP: u8 = 6;
/// A fill lighter than this is paper.
const LIGHT: u8 = 235;
/// A fill without writing that is lighter than this is decoration.
const PALE: u8 = 205;
/// A fill darker than this is ink.
const DARK: u8 = 56;
/// Under white writing, a fill up to this is ink.
const MIDDLE: u8 = 170;
/// Writing differs by this from the fill.
const WRITING: u8 = 40;
/// Cells at least.
const LEAST: usize = 4;
/// Fills of one level this many cells apart, with nothing but writing between them, are one: 9 mm,
/// the height of large letters.
const APART: usize = 9;
/// A group of more levels than this is a gradient.
const GRADIENT: u8 = 24;
/// Cells looked at for writing, in multiples of the page's: a hostile page may have very many
/// fills that enclose each other.
const MOST_WORK: usize = 32;
/// Cells around writing that a tint keeps away from, across and down.
const AWAY: (usize, usize) = (2, 1);

/// What becomes of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not a fill, or undecided: the threshold decides.
    Open,
    Paper,
    Ink,
    /// Dots of its own shade.
    Screen,
    /// Few small dots, the same for all fills that writing stands on.
    Tint,
}

/// For each cell, the fill that it belongs to or touches.
pub(crate) struct Panels {
    pub fate: Vec<Fate>,
    /// The fill's grey.
    pub level: Vec<u8>,
}

/// `dots`: whether fills may have any.
pub(crate) fn find(cells: &Cells, tone: &[bool], dots: bool) -> Panels {
    let count = cells.across * cells.down;
    let mut panels = Panels {
        fate: vec![Fate::Open; count],
        level: vec![0; count],
    };
    // On a scan, even places are chance.
    if !cells.drawn(tone) {
        return panels;
    }
    let even = |cell: usize| !tone[cell] && cells.max[cell] - cells.min[cell] <= FLAT;
    let flat = |cell: usize| even(cell) && cells.max[cell] <= LIGHT;
    let same = |a: u8, b: u8| a.abs_diff(b) <= STEP;
    let next = |cell: usize, next: &mut Vec<usize>| {
        let level = cells.min[cell];
        for mut ray in cells.rays(cell, APART) {
            // Over letters, whose cells are of this level in part; not over other fills or paper.
            let hit = ray.find(|&other| {
                even(other) || !(cells.min[other]..=cells.max[other]).contains(&level)
            });
            next.extend(hit.filter(|&other| even(other) && same(cells.min[other], level)));
        }
    };
    let mut work = MOST_WORK * count;
    for group in groups(cells, flat, next) {
        let area = group.rows.len() * group.columns.len();
        if group.members.len() < LEAST {
            continue;
        }
        let Some(left) = work.checked_sub(area) else {
            break;
        };
        work = left;
        let level = cells.mean[group.members[0]];
        let writing: Vec<usize> = group
            .hull(cells, false)
            .into_iter()
            .filter(|&cell| !even(cell) && !tone[cell])
            .collect();
        // Cells at the fill's edge are half fill, half something else, like those of letters;
        // but then a whole cell of that is beside them.
        let edge = |cell: usize| {
            cells
                .around(cell)
                .any(|near| even(near) && !same(cells.min[near], level))
        };
        let letters: Vec<usize> = writing
            .iter()
            .copied()
            .filter(|&cell| (cells.min[cell]..=cells.max[cell]).contains(&level) && !edge(cell))
            .collect();
        let fate = match fate(cells, &group, level, &letters) {
            Fate::Screen if !dots && level >= 128 => Fate::Paper,
            Fate::Screen if !dots => Fate::Ink,
            fate => fate,
        };
        for &cell in &group.members {
            panels.fate[cell] = fate;
            panels.level[cell] = cells.min[cell];
        }
        if dots && fate == Fate::Paper && level <= PALE && !letters.is_empty() {
            tint(cells, &group, &writing, &mut panels);
        }
        // Only where nothing but writing stands on the fill; a fill may also be a frame around
        // white paper.
        for cell in writing {
            let on_fill = match fate {
                Fate::Paper => u16::from(cells.max[cell]) <= u16::from(level) + NEAR,
                Fate::Ink => u16::from(cells.min[cell]) + NEAR >= u16::from(level),
                Fate::Open | Fate::Screen | Fate::Tint => false,
            };
            if on_fill && panels.fate[cell] == Fate::Open {
                panels.fate[cell] = fate;
                panels.level[cell] = level;
            }
        }
    }
    touch(cells, &even, &mut panels);
    panels
}

/// Tints a fill where no writing is near.
fn tint(cells: &Cells, group: &Group, writing: &[usize], panels: &mut Panels) {
    for &cell in &group.members {
        panels.fate[cell] = Fate::Tint;
    }
    for &cell in writing {
        for near in cells.near(cell, AWAY.0, AWAY.1) {
            if panels.fate[near] == Fate::Tint {
                panels.fate[near] = Fate::Paper;
            }
        }
    }
}

/// Extends each fill to the cells that it shares with something else.
fn touch(cells: &Cells, even: &impl Fn(usize) -> bool, panels: &mut Panels) {
    let own: Vec<usize> = (0..panels.fate.len())
        .filter(|&cell| panels.fate[cell] != Fate::Open)
        .collect();
    for cell in own {
        for near in cells.around(cell) {
            if panels.fate[near] == Fate::Open && !even(near) {
                // A tint is no deeper than its fill, so not on the edge's cells.
                let tint = panels.fate[cell] == Fate::Tint;
                panels.fate[near] = if tint { Fate::Paper } else { panels.fate[cell] };
                panels.level[near] = panels.level[cell];
            }
        }
    }
}

fn fate(cells: &Cells, group: &Group, level: u8, letters: &[usize]) -> Fate {
    let lightest = group.members.iter().map(|&cell| cells.max[cell]).max();
    let darkest = group.members.iter().map(|&cell| cells.min[cell]).min();
    if lightest.unwrap_or(level) - darkest.unwrap_or(level) > GRADIENT {
        return Fate::Screen;
    }
    if level < DARK {
        return Fate::Ink;
    }
    let count = |is: &dyn Fn(usize) -> bool| letters.iter().filter(|&&cell| is(cell)).count();
    let darker = count(&|cell| cells.min[cell] < level.saturating_sub(WRITING));
    let lighter = count(&|cell| cells.max[cell] > level.saturating_add(WRITING));
    if (darker + lighter) * 100 < group.members.len() * 2 + 100 {
        return if level > PALE {
            Fate::Paper
        } else {
            Fate::Screen
        };
    }
    if lighter * 2 < darker {
        Fate::Paper
    } else if darker * 2 < lighter && level <= MIDDLE {
        Fate::Ink
    } else {
        Fate::Open
    }
}
