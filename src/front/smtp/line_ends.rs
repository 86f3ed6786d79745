//! Whether a message that comes in chunks has sound line ends.
//!
//! BDAT counts octets, so nothing in a chunk ends the message. But what we keep goes out as mail again some
//! day, and a bare CR or LF (RFC 5321 §2.3.8) is what smuggling is made of: it is refused here as after DATA.

use memchr::memchr2;

/// Reads a message in pieces of any size.
#[derive(Debug, Default)]
pub struct LineEnds {
    after_cr: bool,
    bare: bool,
}

impl LineEnds {
    /// Reads the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && !self.bare {
            if self.after_cr {
                self.bare = rest[0] != b'\n';
                self.after_cr = false;
                rest = &rest[1..];
                continue;
            }
            let Some(at) = memchr2(b'\r', b'\n', rest) else {
                return;
            };
            self.bare = rest[at] == b'\n';
            self.after_cr = rest[at] == b'\r';
            rest = &rest[at + 1..];
        }
    }

    /// Whether a CR or an LF stood alone; a CR at the very end does.
    pub fn saw_bare(&self) -> bool {
        self.bare || self.after_cr
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pairs_are_sound_however_they_are_cut(
            pieces in prop::collection::vec("[a\r\n]{0,5}|(\r\n){0,3}", 0..8),
        ) {
            let whole = pieces.concat();
            let sound = !whole.replace("\r\n", "").contains(['\r', '\n']);
            let mut line_ends = LineEnds::default();
            for piece in &pieces {
                line_ends.feed(piece.as_bytes());
            }
            prop_assert_eq!(line_ends.saw_bare(), !sound);
        }
    }
}
