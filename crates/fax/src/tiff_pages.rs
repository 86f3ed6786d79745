//! How many pages a TIFF has.

/// More pages than any fax has: a chain of directories that turns back on itself ends there.
const MOST_PAGES: u32 = 10_000;

/// The number of image file directories in a TIFF (TIFF 6.0 §2), 0 when it isn't one. The pages
/// themselves are not looked at.
pub fn count(tiff: &[u8]) -> u32 {
    let little = match tiff.get(..4) {
        Some([b'I', b'I', 42, 0]) => true,
        Some([b'M', b'M', 0, 42]) => false,
        _ => return 0,
    };
    let u32_at = |at: usize| -> Option<usize> {
        let four: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(if little {
            u32::from_le_bytes(four)
        } else {
            u32::from_be_bytes(four)
        })
        .ok()
    };
    let u16_at = |at: usize| -> Option<usize> {
        let two: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(usize::from(if little {
            u16::from_le_bytes(two)
        } else {
            u16::from_be_bytes(two)
        }))
    };
    let mut pages = 0;
    let mut at = u32_at(4).unwrap_or(0);
    while at != 0 && pages < MOST_PAGES {
        let Some(next) = u16_at(at).and_then(|entries| u32_at(at + 2 + entries * 12)) else {
            break;
        };
        pages += 1;
        at = next;
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directories_are_counted() {
        let mut tiff = vec![b'I', b'I', 42, 0, 8, 0, 0, 0];
        tiff.extend([0, 0, 14, 0, 0, 0]);
        tiff.extend([0, 0, 0, 0, 0, 0]);
        assert_eq!(count(&tiff), 2);
        assert_eq!(count(b"%PDF-1.7"), 0);
        assert_eq!(count(&[]), 0);
    }

    #[test]
    fn a_ring_of_directories_ends() {
        let tiff = [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 0, 0, 0, 0, 8];
        assert_eq!(count(&tiff), MOST_PAGES);
    }

    proptest! {
        #[test]
        fn nothing_read_from_outside_panics(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut tiff = vec![b'I', b'I', 42, 0];
            tiff.extend(tail);
            prop_assert!(count(&tiff) <= MOST_PAGES);
        }
    }
}
