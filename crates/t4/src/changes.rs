//! A row as the list of its changing elements (T.4 §4.2.1.1).

/// The columns where a row's colour changes, from the imaginary white before its first pixel on.
///
/// Even places turn black, odd ones white. Behind the last stand four more at the row's width, the
/// imaginary changing elements that two-dimensional coding looks at.
pub(crate) struct Changes {
    at: Vec<i32>,
    len: usize,
    width: usize,
}

impl Changes {
    /// A white row of `width` pixels.
    pub fn new(width: usize) -> Self {
        // Whole words are searched, so a word's worth of padding may hold changes for a moment.
        let mut new = Self {
            at: vec![0; width.next_multiple_of(64) + 4],
            len: 0,
            width,
        };
        new.close();
        new
    }

    /// The changing elements, and the four at the row's end.
    #[inline]
    pub fn all(&self) -> &[i32] {
        &self.at[..self.len + 4]
    }

    /// How many real ones there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Forgets all.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends the end of a run. A run of no pixels takes back the change before it; one that ends
    /// the row is none.
    ///
    /// `at` must not be below the one pushed last.
    #[inline]
    pub fn push(&mut self, at: i32) {
        if self.len > 0 && self.at[self.len - 1] == at {
            self.len -= 1;
        } else if (at as usize) < self.width {
            self.at[self.len] = at;
            self.len += 1;
        }
    }

    /// Puts the imaginary elements behind the last.
    #[inline]
    pub fn close(&mut self) {
        self.at[self.len..self.len + 4].fill(self.width as i32);
    }

    /// Becomes the changes of a packed row.
    pub fn find(&mut self, row: &[u8]) {
        let at = &mut self.at[..];
        let mut len = 0;
        let mut last = 0;
        let mut base = 0;
        let mut search = |word: u64| {
            let mut changes = word ^ (word >> 1 | last);
            last = word << 63;
            while changes != 0 {
                let zeros = changes.leading_zeros();
                at[len] = base + zeros as i32;
                len += 1;
                changes ^= 1 << 63 >> zeros;
            }
            base += 64;
        };
        let (words, rest) = row.as_chunks::<8>();
        for word in words {
            search(u64::from_be_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            search(u64::from_be_bytes(word));
        }
        while len > 0 && self.at[len - 1] as usize >= self.width {
            len -= 1;
        }
        self.len = len;
        self.close();
    }

    /// Blackens a white packed row between the changes.
    pub fn paint(&self, row: &mut [u8]) {
        for run in self.at[..self.len.next_multiple_of(2)].as_chunks::<2>().0 {
            blacken(row, run[0] as usize, run[1] as usize);
        }
    }
}

/// Makes the pixels from `from` up to `to` black; both are in the row.
#[inline]
fn blacken(row: &mut [u8], from: usize, to: usize) {
    let (first, last) = (from / 8, (to - 1) / 8);
    let left = 0xFF >> (from % 8);
    let right = 0xFFu8 << (7 - (to - 1) % 8);
    if first == last {
        row[first] |= left & right;
    } else {
        row[first] |= left;
        row[first + 1..last].fill(0xFF);
        row[last] |= right;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_of_no_pixels_are_no_changes() {
        let mut changes = Changes::new(16);
        for at in [0, 0, 5, 9, 9, 16] {
            changes.push(at);
        }
        changes.close();
        assert_eq!(changes.all(), [5, 16, 16, 16, 16]);
    }

    proptest! {
        #[test]
        fn found_changes_paint_the_row(
            row in prop::collection::vec(prop_oneof![Just(0), Just(255), any::<u8>()], 1..40),
            short in 0usize..8,
        ) {
            let width = row.len() * 8 - short;
            let mut changes = Changes::new(width);
            changes.find(&row);
            let real = &changes.all()[..changes.len()];
            prop_assert!(real.is_sorted_by(|a, b| a < b));
            let mut painted = vec![0; row.len()];
            changes.paint(&mut painted);
            let mut clean = row;
            let last = clean.len() - 1;
            clean[last] &= 0xFF << short;
            prop_assert_eq!(painted, clean);
        }
    }
}
