//! How large a page is, in millimetres and in pixels, and how a document's page is laid on it.
//!
//! The rule: a fax page is as wide as the scan line (215 mm at 1728 pixels) and exactly as long as
//! its paper. A document's page is put at the top, centred, at its own size, and made smaller
//! (never larger) when it doesn't fit; a landscape page is turned when that makes it larger.

use faxpost_t4::Resolution;
use serde::{Deserialize, Serialize};

use crate::PaperError;

/// The paper that pages are made for; decides their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Paper {
    /// 210 × 297 mm.
    A4,
    /// 8.5 × 11 inches.
    Letter,
    /// 8.5 × 14 inches.
    Legal,
}

impl Paper {
    /// Length in millimetres.
    #[must_use]
    pub fn height_mm(self) -> f64 {
        match self {
            Self::A4 => 297.0,
            Self::Letter => 279.4,
            Self::Legal => 355.6,
        }
    }
}

/// How pages that are not as the paper are laid on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fit {
    /// Pages that are wider than long.
    pub landscape: Landscape,
    /// Pages that are much longer than the paper.
    pub long: Long,
    /// Pages without a mark.
    pub blank: Blank,
}

/// What becomes of pages that are wider than long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Landscape {
    /// Turned a quarter to the left when that makes them larger.
    #[default]
    Turn,
    /// Left upright, as small as that makes them.
    Shrink,
}

/// What becomes of pages that are much longer than the paper: a till receipt, a picture of a whole web page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Long {
    /// Cut into as many pages of paper as they fill.
    #[default]
    Split,
    /// Made as small as one page takes.
    Shrink,
}

/// What becomes of pages without a mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blank {
    /// They are sent.
    #[default]
    Keep,
    /// They are left out, and the sender is told.
    Drop,
}

/// A page is cut only where shrinking would take more than a quarter off the size that its width allows:
/// Legal on A4 is shrunk.
const CUT: f64 = 0.75;
/// Nothing is cut into more pages than this.
const MOST_PARTS: f64 = 40.0;

/// What becomes dots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Photographs, shadings and fills, as the document and its pixels say; the rest is black or
    /// white.
    #[default]
    Auto,
    /// Nothing: each pixel is black or white by what is around it.
    Text,
    /// Everything but letters that a document names as such.
    Photo,
}

/// What dots photographs are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dots {
    /// Error diffusion with output feedback: most detail for its bytes.
    #[default]
    Diffused,
    /// Round dots on a grid: they survive when the page is copied or faxed again.
    Clustered,
}

/// What pages are made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PageSetup {
    /// Pixels across: 1728 (215 mm), 2048 (255 mm) or 2432 (303 mm), T.4 §2.1.
    pub width: u32,
    /// The paper.
    pub paper: Paper,
    /// Rows a millimetre.
    pub resolution: Resolution,
    /// How other pages are laid on it.
    pub fit: Fit,
    /// What becomes dots.
    #[serde(default)]
    pub tone: Tone,
    /// What dots.
    #[serde(default)]
    pub dots: Dots,
}

impl PageSetup {
    /// A4 at fine resolution, 1728 pixels wide.
    #[must_use]
    pub fn a4_fine() -> Self {
        Self {
            width: 1728,
            paper: Paper::A4,
            resolution: Resolution::Fine,
            fit: Fit::default(),
            tone: Tone::Auto,
            dots: Dots::Diffused,
        }
    }

    /// Length of a scan line in millimetres (T.4 §2.1).
    #[must_use]
    pub fn width_mm(&self) -> f64 {
        match self.width {
            2048 => 255.0,
            2432 => 303.0,
            _ => 215.0,
        }
    }

    /// Rows of a page: A4 has 1143, 2287 or 4574.
    #[must_use]
    pub fn height(&self) -> u32 {
        (self.paper.height_mm() * self.rows_per_mm()).round() as u32
    }

    /// Pixels a millimetre, across.
    #[must_use]
    pub fn columns_per_mm(&self) -> f64 {
        f64::from(self.width) / self.width_mm()
    }

    /// Pixels a millimetre, down (T.4 §2.2).
    #[must_use]
    pub fn rows_per_mm(&self) -> f64 {
        match self.resolution {
            Resolution::Standard => 3.85,
            Resolution::Fine => 7.7,
            Resolution::Superfine => 15.4,
        }
    }

    pub(crate) fn check(&self) -> Result<(), PaperError> {
        match self.width {
            1728 | 2048 | 2432 => Ok(()),
            other => Err(PaperError::Setup(format!(
                "{other} pixels is no width of a fax page"
            ))),
        }
    }

    /// How a document's page of `width` × `height` millimetres is laid on this paper.
    pub(crate) fn place(&self, width: f64, height: f64) -> Placement {
        let fit = |w: f64, h: f64| {
            (self.width_mm() / w)
                .min(self.paper.height_mm() / h)
                .min(1.0)
        };
        let (straight, turned) = (fit(width, height), fit(height, width));
        // A per cent is not worth a page that reads sideways.
        let turn =
            self.fit.landscape == Landscape::Turn && width > height && turned > straight * 1.01;
        let shrunk = if turn { turned } else { straight };
        let (across, down) = if turn {
            (height, width)
        } else {
            (width, height)
        };
        let by_width = (self.width_mm() / across).min(1.0);
        let parts = down * by_width / self.paper.height_mm();
        let cut = self.fit.long == Long::Split && shrunk < by_width * CUT && parts < MOST_PARTS;
        let scale = if cut { by_width } else { shrunk };
        Placement {
            turn,
            scale,
            left_mm: (self.width_mm() - across * scale) / 2.0,
            cut_mm: cut.then_some(down * scale),
        }
    }
}

/// See [`PageSetup::place`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// Turned a quarter to the left: its top is at the paper's left edge.
    pub turn: bool,
    /// At most 1.
    pub scale: f64,
    /// From the paper's left edge to the page's.
    pub left_mm: f64,
    /// It is cut into pages of paper: its whole length on paper.
    pub cut_mm: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_lengths_in_rows() {
        let rows = |paper, resolution| {
            PageSetup {
                width: 1728,
                paper,
                resolution,
                ..PageSetup::a4_fine()
            }
            .height()
        };
        assert_eq!(rows(Paper::A4, Resolution::Standard), 1143);
        assert_eq!(rows(Paper::A4, Resolution::Fine), 2287);
        assert_eq!(rows(Paper::A4, Resolution::Superfine), 4574);
        assert_eq!(rows(Paper::Letter, Resolution::Fine), 2151);
        assert_eq!(rows(Paper::Legal, Resolution::Fine), 2738);
    }

    #[test]
    fn pages_keep_their_size_or_shrink() {
        let setup = PageSetup::a4_fine();
        let a4 = setup.place(210.0, 297.0);
        assert_eq!((a4.turn, a4.scale, a4.left_mm), (false, 1.0, 2.5));
        let a6 = setup.place(105.0, 148.0);
        assert_eq!((a6.turn, a6.scale), (false, 1.0));
        let a3 = setup.place(297.0, 420.0);
        assert!(!a3.turn && (a3.scale - 297.0 / 420.0).abs() < 1e-9);
    }

    #[test]
    fn landscape_is_turned_only_when_it_gains() {
        let setup = PageSetup::a4_fine();
        let a4 = setup.place(297.0, 210.0);
        assert_eq!((a4.turn, a4.scale), (true, 1.0));
        let a5 = setup.place(210.0, 148.0);
        assert_eq!((a5.turn, a5.scale), (false, 1.0));
    }

    #[test]
    fn long_pages_are_cut_and_posters_shrink() {
        let mut setup = PageSetup::a4_fine();
        let receipt = setup.place(80.0, 1000.0);
        assert_eq!((receipt.scale, receipt.cut_mm), (1.0, Some(1000.0)));
        let banner = setup.place(1000.0, 80.0);
        assert_eq!((banner.turn, banner.cut_mm), (true, Some(1000.0)));
        for (width, height) in [(216.0, 356.0), (841.0, 1189.0), (1189.0, 841.0)] {
            assert_eq!(setup.place(width, height).cut_mm, None, "{width}");
        }
        // Longer than anybody wants to have.
        assert_eq!(setup.place(80.0, 100_000.0).cut_mm, None);
        setup.fit.long = Long::Shrink;
        let receipt = setup.place(80.0, 1000.0);
        assert!(receipt.cut_mm.is_none() && (receipt.scale - 0.297).abs() < 1e-9);
        setup.fit.landscape = Landscape::Shrink;
        let a4 = setup.place(297.0, 210.0);
        assert!(!a4.turn && (a4.scale - 215.0 / 297.0).abs() < 1e-9);
    }

    #[test]
    fn odd_widths_are_refused() {
        let mut setup = PageSetup::a4_fine();
        assert!(setup.check().is_ok());
        setup.width = 1700;
        assert!(matches!(setup.check(), Err(PaperError::Setup(_))));
    }
}
