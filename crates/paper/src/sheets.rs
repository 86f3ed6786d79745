//! The pages of one document as they are finished: counted, and the blank ones left out where the set-up
//! says so.

use faxpost_t4::{Bitmap, FaxPage};

use crate::{Blank, Limits, Note, PageSetup, PaperError, Rendered, code};

/// Black pixels of a page that nobody would miss: specks. A page number has more.
const SPECKS: u32 = 12;

/// What a page that goes on from another leaves free at its top: room for the header line.
pub(crate) const CONTINUED_MM: f64 = 6.0;

/// See the module.
pub(crate) struct Sheets<'a> {
    name: &'a str,
    setup: &'a PageSetup,
    limits: &'a Limits,
    pages: Vec<FaxPage>,
    /// Pages of the document, from 1, that were left out.
    blank: Vec<u32>,
    /// The first of them, coded: sent after all when there is no other.
    first_blank: Option<FaxPage>,
}

impl<'a> Sheets<'a> {
    pub fn new(name: &'a str, setup: &'a PageSetup, limits: &'a Limits) -> Self {
        Self {
            name,
            setup,
            limits,
            pages: Vec::new(),
            blank: Vec::new(),
            first_blank: None,
        }
    }

    /// Takes a page; `number` is that of the document's page that it is, or is a part of. One that is blank
    /// only because something on it could not be drawn is not `may_be_blank`.
    ///
    /// # Errors
    /// [`PaperError::TooManyPages`]
    pub fn take(
        &mut self,
        bitmap: &Bitmap,
        number: u32,
        may_be_blank: bool,
    ) -> Result<(), PaperError> {
        if may_be_blank && self.setup.fit.blank == Blank::Drop && is_blank(bitmap) {
            if self.blank.last() != Some(&number) {
                self.blank.push(number);
            }
            if self.first_blank.is_none() {
                self.first_blank = Some(code(bitmap, self.setup));
            }
            return Ok(());
        }
        if self.pages.len() >= self.limits.max_pages as usize {
            return Err(PaperError::TooManyPages {
                name: self.name.to_owned(),
                limit: self.limits.max_pages,
            });
        }
        self.pages.push(code(bitmap, self.setup));
        Ok(())
    }

    /// The document, with what else is to be told of it.
    pub fn finish(mut self, mut notes: Vec<Note>) -> Rendered {
        match self.first_blank {
            // A fax of nothing is what was asked for then.
            Some(page) if self.pages.is_empty() => self.pages.push(page),
            Some(_) => notes.push(Note::BlankLeftOut { pages: self.blank }),
            None => {}
        }
        Rendered {
            pages: self.pages,
            notes,
        }
    }
}

fn is_blank(bitmap: &Bitmap) -> bool {
    let mut black = 0;
    bitmap.data().iter().all(|octet| {
        black += octet.count_ones();
        black <= SPECKS
    })
}

/// Where a page that is cut ends: after the last of its rows that are white for a while, so that no line of
/// text is cut in two; where there is none within its last quarter, at its end.
pub(crate) fn cut_at(width: usize, rows: &[u8], gap: usize) -> usize {
    let height = rows.len() / width;
    let white = |y: usize| rows[y * width..(y + 1) * width].iter().all(|&v| v >= 243);
    let mut run = 0;
    for y in (height * 3 / 4..height).rev() {
        run = if white(y) { run + 1 } else { 0 };
        if run >= gap {
            return y + run;
        }
    }
    height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_made_between_lines() {
        let (width, height) = (4, 100);
        let mut rows = vec![255; width * height];
        assert_eq!(cut_at(width, &rows, 5), height);
        // Black from row 80 to 83 and from 92 on.
        rows[80 * width..84 * width].fill(0);
        rows[92 * width..].fill(0);
        assert_eq!(cut_at(width, &rows, 5), 92);
        rows[74 * width..].fill(0);
        assert_eq!(cut_at(width, &rows, 5), height);
    }

    #[test]
    fn blank_pages_are_left_out_but_not_all() {
        let mut setup = PageSetup::a4_fine();
        let limits = Limits::default();
        let blank = Bitmap::new(1728, setup.height() as usize);
        let mut marked = blank.clone();
        (0..40).for_each(|x| marked.set_black(x, 9));
        let run = |setup: &PageSetup, pages: &[&Bitmap]| {
            let mut sheets = Sheets::new("a", setup, &limits);
            for (number, page) in (1..).zip(pages) {
                sheets.take(page, number, true).expect("room");
            }
            sheets.finish(Vec::new())
        };
        assert_eq!(run(&setup, &[&blank, &marked]).pages.len(), 2);
        setup.fit.blank = Blank::Drop;
        let left = run(&setup, &[&blank, &marked, &blank]);
        assert_eq!(left.pages.len(), 1);
        assert_eq!(left.notes, [Note::BlankLeftOut { pages: vec![1, 3] }]);
        let all = run(&setup, &[&blank, &blank]);
        assert_eq!((all.pages.len(), all.notes.len()), (1, 0));
    }
}
