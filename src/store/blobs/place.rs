//! Where a blob lies.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Where a blob lies, as text `segment:offset:length`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    segment: String,
    offset: u64,
    length: u64,
}

/// A text that is no place.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a place of a blob: {0:?}")]
pub struct BadPlace(String);

impl Place {
    pub(super) fn new(segment: &str, offset: u64, length: u64) -> Self {
        Self {
            segment: segment.to_owned(),
            offset,
            length,
        }
    }

    /// The segment's name, `<day>-<ulid>`: digits, letters and one dash, never a path.
    #[must_use]
    pub fn segment(&self) -> &str {
        &self.segment
    }

    /// Octets before it in the segment.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Octets.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.segment, self.offset, self.length)
    }
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let bad = || BadPlace(text.to_owned());
        let mut parts = text.split(':');
        let (Some(segment), Some(offset), Some(length), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let (day, id) = segment.split_once('-').ok_or_else(bad)?;
        let plain = !day.is_empty()
            && day.bytes().all(|b| b.is_ascii_digit())
            && !id.is_empty()
            && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain {
            return Err(bad());
        }
        Ok(Self {
            segment: segment.to_owned(),
            offset: offset.parse().map_err(|_| bad())?,
            length: length.parse().map_err(|_| bad())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(day in any::<u32>(), id in "[0-9A-Z]{26}", offset: u64, length: u64) {
            let place = Place::new(&format!("{day}-{id}"), offset, length);
            prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
        }

        #[test]
        fn no_text_names_a_path(text in ".{0,40}") {
            if let Ok(place) = text.parse::<Place>() {
                prop_assert!(!place.segment().contains(['/', '.', '\0']));
            }
        }
    }

    #[test]
    fn paths_and_rests_are_refused() {
        for bad in [
            "",
            "1-A:0",
            "1-A:0:1:2",
            "../x-A:0:1",
            "1-../a:0:1",
            "1-A:-1:1",
            "A-1:0:1",
            "-:0:1",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
