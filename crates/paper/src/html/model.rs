//! What of an HTML text is laid out: a few kinds of blocks, nothing that could act.

/// A block of text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    /// A heading, from 1 (largest) to 6.
    Heading(u8, Line),
    Paragraph(Line),
    /// Text whose blanks and line ends stand as they are.
    Fixed(String),
    List {
        /// The number of the first item; `None`: bullets.
        first: Option<i64>,
        items: Vec<Vec<Block>>,
    },
    /// What is quoted of another text.
    Quote(Vec<Block>),
    Rule,
    /// A blank line.
    Gap,
    Table(Table),
    /// A picture that stands by itself.
    Picture(Shown, Align),
}

/// The pieces of a paragraph.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub pieces: Vec<Piece>,
    pub align: Align,
    /// Its text runs from right to left.
    pub leftward: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Align {
    #[default]
    Start,
    Center,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String, Style),
    Break,
    Picture(Shown),
}

/// How letters look; colours and families are not for paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub bold: bool,
    pub italic: bool,
    pub underline: bool,
    pub strike: bool,
    pub mono: bool,
    /// -1 below the line, 1 above it.
    pub shift: i8,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub columns: usize,
    /// Row by row, each from the left; none covers another or goes beyond the columns and rows.
    pub cells: Vec<Cell>,
    /// Its cells have lines around them.
    pub ruled: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub blocks: Vec<Block>,
    /// Its column and row, from 0.
    pub column: usize,
    pub row: usize,
    /// Columns and rows that it spans, at least 1.
    pub across: usize,
    pub down: usize,
}

/// A picture where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shown {
    /// Which of the document's pictures.
    pub picture: usize,
    /// Its width on a screen, pixels of 1/96 inch, when the text says one.
    pub width: Option<f64>,
}

impl Line {
    pub fn is_blank(&self) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Text(text, _) => text.trim().is_empty(),
            Piece::Break => true,
            Piece::Picture(_) => false,
        })
    }
}

/// The words of blocks, as plain text: for covers.
pub(super) fn words(blocks: &[Block]) -> String {
    let mut out = String::new();
    write(blocks, "", &mut out);
    out.trim_end().to_owned()
}

fn write(blocks: &[Block], indent: &str, out: &mut String) {
    for block in blocks {
        match block {
            Block::Heading(_, line) | Block::Paragraph(line) => {
                lines(&line_words(line), indent, out);
            }
            Block::Fixed(text) => lines(text, indent, out),
            Block::List { first, items } => {
                for (number, item) in (first.unwrap_or(0)..).zip(items) {
                    let mut inner = String::new();
                    write(item, "", &mut inner);
                    let mark = first.map_or("- ".to_owned(), |_| format!("{number}. "));
                    let mut lines = inner.lines().filter(|line| !line.trim().is_empty());
                    let blank = " ".repeat(mark.len());
                    push(
                        &format!("{indent}{mark}{}", lines.next().unwrap_or_default()),
                        out,
                    );
                    lines.for_each(|line| push(&format!("{indent}{blank}{line}"), out));
                }
            }
            Block::Quote(inner) => write(inner, &format!("{indent}> "), out),
            Block::Rule => push(&format!("{indent}----"), out),
            Block::Table(table) => {
                for row in table.cells.chunk_by(|a, b| a.row == b.row) {
                    let cells: Vec<String> = row.iter().map(|cell| words(&cell.blocks)).collect();
                    push(&format!("{indent}{}", cells.join("\t")), out);
                }
            }
            Block::Gap => push("", out),
            Block::Picture(..) => {}
        }
    }
}

fn lines(text: &str, indent: &str, out: &mut String) {
    for line in text.lines() {
        push(&format!("{indent}{line}"), out);
    }
}

/// A line; of blank ones that follow each other only the first.
fn push(line: &str, out: &mut String) {
    let line = line.trim_end();
    if line.is_empty() && (out.is_empty() || out.ends_with("\n\n")) {
        return;
    }
    out.push_str(line);
    out.push('\n');
}

pub(super) fn line_words(line: &Line) -> String {
    let mut out = String::new();
    for piece in &line.pieces {
        match piece {
            Piece::Text(text, _) => out.push_str(text),
            Piece::Break => out.push('\n'),
            Piece::Picture(_) => {}
        }
    }
    out
}
