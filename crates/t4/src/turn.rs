//! Pages that came lying on their side or on their head.

use crate::{Bitmap, DecodeError, FaxPage, Resolution};

/// The widest page of TIFF-F, A3 (RFC 3949 §3.2.1).
const WIDEST: usize = 2432;

/// How a page is to be turned, clockwise, to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It stands upright.
    #[default]
    None,
    /// By a quarter.
    Right,
    /// It stands on its head.
    Over,
    /// By three quarters.
    Left,
}

impl Turn {
    /// Degrees clockwise.
    #[must_use]
    pub fn degrees(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Right => 90,
            Self::Over => 180,
            Self::Left => 270,
        }
    }

    /// The turn of so many degrees clockwise, if it is one by quarters.
    #[must_use]
    pub fn of_degrees(degrees: u16) -> Option<Self> {
        [Self::None, Self::Right, Self::Over, Self::Left]
            .into_iter()
            .find(|turn| turn.degrees() == degrees)
    }
}

impl FaxPage {
    /// The page turned by pixels, in its own coding, as large on paper as before. A page on its side becomes one
    /// of A3's width and of fine resolution; one that is too long for that stays as it is.
    ///
    /// # Errors
    /// The first row that isn't right: see [`decode`](fn@crate::decode).
    pub fn turned(&self, turn: Turn) -> Result<Self, DecodeError> {
        match turn {
            Turn::None => Ok(self.clone()),
            Turn::Over => {
                let over = self.decode()?.turned(turn);
                Ok(Self::encode(&over, self.resolution, self.coding))
            }
            Turn::Right | Turn::Left => {
                let square = self.decode()?.to_square(self.resolution).turned(turn);
                if square.width() > WIDEST {
                    return Ok(self.clone());
                }
                let mut page = Bitmap::new(WIDEST, square.height());
                page.blit(&square, (WIDEST - square.width()) / 2, 0);
                let fine = page.square_to_fine();
                Ok(Self::encode(&fine, Resolution::Fine, self.coding))
            }
        }
    }
}

impl Bitmap {
    /// The picture turned.
    #[must_use]
    pub fn turned(self, turn: Turn) -> Self {
        let (width, height) = (self.width(), self.height());
        let mut to = match turn {
            Turn::None => return self,
            Turn::Over => Self::new(width, height),
            Turn::Right | Turn::Left => Self::new(height, width),
        };
        for y in 0..height {
            for (at, &byte) in self.row(y).iter().enumerate() {
                let mut left = byte;
                // Most of a page is white: only what is black is carried over.
                while left != 0 {
                    let bit = left.leading_zeros() as usize;
                    left &= !(0x80 >> bit);
                    let x = at * 8 + bit;
                    match turn {
                        Turn::None => {}
                        Turn::Right => to.set_black(height - 1 - y, x),
                        Turn::Over => to.set_black(width - 1 - x, height - 1 - y),
                        Turn::Left => to.set_black(y, width - 1 - x),
                    }
                }
            }
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_top_goes_where_it_is_turned_to() {
        // An L, its foot at the lower right.
        let mut map = Bitmap::new(9, 5);
        (0..5).for_each(|y| map.set_black(0, y));
        map.set_black(1, 4);
        let right = map.clone().turned(Turn::Right);
        assert_eq!((right.width(), right.height()), (5, 9));
        assert!((0..5).all(|x| right.is_black(x, 0)) && right.is_black(0, 1));
        let over = map.clone().turned(Turn::Over);
        assert!((0..5).all(|y| over.is_black(8, y)) && over.is_black(7, 0));
        let left = map.turned(Turn::Left);
        assert!((0..5).all(|x| left.is_black(x, 8)) && left.is_black(4, 7));
    }

    #[test]
    fn a_page_on_its_side_is_as_large_when_it_stands() {
        for resolution in [
            Resolution::Standard,
            Resolution::Fine,
            Resolution::Superfine,
        ] {
            // An inch down the left edge of an A4 page.
            let down = resolution.dpi().1 as usize;
            let mut map = Bitmap::new(1728, 1169 * down / 100);
            (0..down).for_each(|y| map.set_black(0, y));
            let page = FaxPage::encode(&map, resolution, crate::Coding::Mmr);
            let turned = page.turned(Turn::Right).unwrap();
            assert_eq!((turned.width, turned.resolution), (2432, Resolution::Fine));
            assert_eq!(turned.height, (1728.0_f64 * 196.0 / 204.0).round() as usize);
            let turned = turned.decode().unwrap();
            let black = (0..2432).filter(|x| turned.is_black(*x, 0)).count();
            assert!((203..=205).contains(&black), "{black}");
            let long =
                FaxPage::encode(&Bitmap::new(1728, 20 * down), resolution, crate::Coding::Mh);
            assert_eq!(long.turned(Turn::Left).unwrap(), long);
        }
    }

    proptest! {
        #[test]
        fn four_quarters_are_nothing(map in crate::testing::bitmaps(40, 9)) {
            let quarters = |count: usize| (0..count).fold(map.clone(), |map, _| map.turned(Turn::Right));
            prop_assert_eq!(&quarters(2), &map.clone().turned(Turn::Over));
            prop_assert_eq!(&quarters(3), &map.clone().turned(Turn::Left));
            prop_assert_eq!(quarters(4), map);
        }
    }
}
