//! A fax that is too large for one mail, in several.

use crate::letter::Portion;

/// Octets that are left free of the limit: the letters of the parts differ by a few words.
const SLACK: usize = 1024;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mails {
    /// All in one.
    Whole(Vec<u8>),
    /// Several, in order.
    Parts(Vec<(Portion, Vec<u8>)>),
    /// One page alone is of too many octets, or all are and parts are not wanted.
    TooLarge,
    /// All pages are too much for one mail, and parts are not wanted.
    TooMany,
}

/// How much a mail may have.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// Octets.
    pub octets: usize,
    /// Whether the pages from the first to the last may be in one. A page alone may.
    pub fits: &'a dyn Fn(u32, u32) -> bool,
    /// Whether it may be several mails.
    pub parts: bool,
}

/// Writes the pages `first..=last` in as few mails as go, each within the bounds. `write` writes the mail of some
/// pages. `within`: they are themselves a part of the fax, whose label the new ones carry on.
pub(super) fn mails(
    (first, last): (u32, u32),
    within: Option<&Portion>,
    bounds: Bounds<'_>,
    mut write: impl FnMut(u32, u32, Option<&Portion>) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Mails> {
    let fits = |from: u32, to: u32| from == to || (bounds.fits)(from, to);
    if fits(first, last) {
        let whole = write(first, last, within)?;
        if whole.len() <= bounds.octets {
            return Ok(Mails::Whole(whole));
        }
        if !bounds.parts {
            return Ok(Mails::TooLarge);
        }
    } else if !bounds.parts {
        return Ok(Mails::TooMany);
    }
    let room = bounds.octets.saturating_sub(SLACK).max(1);
    let mut spans = Vec::new();
    let (mut from, mut fit) = (first, u32::MAX);
    while from <= last {
        // As many as fitted before, and at most half of the rest more: pages are alike.
        let mut count = fit.min(last - from + 1);
        while !fits(from, from + count - 1) {
            count -= 1;
        }
        loop {
            let octets = write(from, from + count - 1, within)?.len();
            if octets <= room {
                break;
            }
            if count == 1 {
                return Ok(Mails::TooLarge);
            }
            let share = u64::from(count) * room as u64 / octets as u64;
            count = u32::try_from(share).unwrap_or(u32::MAX).clamp(1, count - 1);
        }
        spans.push((from, from + count - 1));
        from += count;
        fit = count.saturating_add(count / 2 + 1);
    }
    let count = u32::try_from(spans.len()).unwrap_or(u32::MAX);
    let mut parts = Vec::with_capacity(spans.len());
    for (index, (first, last)) in (1u32..).zip(spans) {
        let portion = match within {
            None => Portion {
                label: index.to_string(),
                of: count,
                first,
                last,
            },
            Some(whole) => Portion {
                label: format!("{}.{index}", whole.label),
                of: whole.of,
                first,
                last,
            },
        };
        let mail = write(first, last, Some(&portion))?;
        parts.push((portion, mail));
    }
    Ok(Mails::Parts(parts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LETTER: usize = 3000;

    fn split(sizes: &[usize], within: Option<&Portion>, (octets, pages): (usize, u32)) -> Mails {
        let bounds = Bounds {
            octets,
            fits: &|first, last| last - first < pages,
            parts: true,
        };
        let first = within.map_or(1, |portion| portion.first);
        let last = first + u32::try_from(sizes.len()).unwrap() - 1;
        let write = |from: u32, to: u32, portion: Option<&Portion>| {
            let pages = &sizes[(from - first) as usize..=(to - first) as usize];
            let words = portion.map_or(0, |portion| 20 + portion.label.len());
            Ok(vec![0; LETTER + words + pages.iter().sum::<usize>()])
        };
        mails((first, last), within, bounds, write).unwrap()
    }

    #[test]
    fn what_fits_stays_whole_and_a_page_beyond_all_is_told() {
        let bounds = (10_000, 10);
        assert!(matches!(
            split(&[3000, 3000], None, bounds),
            Mails::Whole(_)
        ));
        assert_eq!(split(&[3000, 9000], None, bounds), Mails::TooLarge);
        let Mails::Parts(parts) = split(&[1; 25], None, bounds) else {
            panic!("parts")
        };
        let spans: Vec<_> = parts
            .iter()
            .map(|(portion, _)| (portion.first, portion.last))
            .collect();
        assert_eq!(spans, [(1, 10), (11, 20), (21, 25)]);
    }

    #[test]
    fn where_parts_are_not_wanted_nothing_is_written_that_can_not_be_sent() {
        for (octets, pages, wanted, tries) in [
            (10_000, 2, Mails::TooMany, 0),
            (10_000, 4, Mails::TooLarge, 1),
            (20_000, 4, Mails::Whole(vec![0; 12_000]), 1),
        ] {
            let bounds = Bounds {
                octets,
                fits: &|first, last| last - first < pages,
                parts: false,
            };
            let mut written = 0;
            let write = |first: u32, last: u32, _: Option<&Portion>| {
                written += 1;
                Ok(vec![0; (last + 1 - first) as usize * 4000])
            };
            assert_eq!(mails((1, 3), None, bounds, write).unwrap(), wanted);
            assert_eq!(written, tries);
        }
    }

    #[test]
    fn a_part_that_is_parted_again_keeps_its_place() {
        let part = Portion {
            label: "2".into(),
            of: 3,
            first: 4,
            last: 6,
        };
        let bounds = (10_000, 10);
        let Mails::Parts(parts) = split(&[4000, 4000, 4000], Some(&part), bounds) else {
            panic!("parts")
        };
        let told: Vec<_> = parts
            .iter()
            .map(|(p, _)| (p.label.as_str(), p.of, p.first, p.last))
            .collect();
        assert_eq!(told, [("2.1", 3, 4, 4), ("2.2", 3, 5, 5), ("2.3", 3, 6, 6)]);
    }

    proptest! {
        #[test]
        fn every_page_goes_once_in_order_and_within_the_bounds(
            sizes in proptest::collection::vec(1usize..20_000, 1..60),
            octets in 8000usize..100_000,
            pages in 1u32..20,
        ) {
            match split(&sizes, None, (octets, pages)) {
                Mails::TooMany => prop_assert!(false, "parts are wanted"),
                Mails::Whole(mail) => {
                    prop_assert!(mail.len() <= octets && sizes.len() <= pages as usize);
                }
                Mails::Parts(parts) => {
                    let mut next = 1;
                    for (index, (portion, mail)) in (1usize..).zip(&parts) {
                        prop_assert_eq!(&portion.label, &index.to_string());
                        prop_assert_eq!(portion.of as usize, parts.len());
                        prop_assert_eq!(portion.first, next);
                        prop_assert!((portion.last - portion.first) < pages);
                        prop_assert!(mail.len() <= octets);
                        next = portion.last + 1;
                    }
                    prop_assert_eq!(next as usize, sizes.len() + 1);
                    prop_assert!(parts.len() > 1);
                }
                Mails::TooLarge => {
                    let largest = sizes.iter().max().copied().unwrap_or(0);
                    prop_assert!(largest + LETTER + SLACK > octets);
                }
            }
        }
    }
}
