//! Blocks as values for the template.

use typst::foundations::{Array, Bytes, Dict, IntoValue, Value};

use super::{
    model::{Align, Block, Cell, Line, Piece, Shown, Table},
    pictures::Ready,
};
use crate::{PageSetup, text};

/// Pixels of a screen's inch, and points of it.
const POINT_PER_PIXEL: f64 = 72.0 / 96.0;
const POINT_PER_MM: f64 = 72.0 / 25.4;
/// From the paper's edges to the text, both together, mm; as the template has them.
const SIDES_MM: f64 = 36.0;
const ENDS_MM: f64 = 34.0;

/// A picture with as many pixels as a scan or a photo is shown as large as the page allows, whatever the text
/// says: programs show it small and let it be clicked, and on paper it could not be read.
const LARGE: (usize, usize) = (900, 600);

/// What text and pictures have on a page, points.
#[derive(Clone, Copy)]
pub(super) struct Room {
    width: f64,
    height: f64,
}

impl Room {
    pub fn of(setup: &PageSetup) -> Self {
        Self {
            width: (setup.width_mm() - SIDES_MM) * POINT_PER_MM,
            // A picture as tall as the page would leave the line that introduces it alone on the page before.
            height: (setup.paper.height_mm() - ENDS_MM) * POINT_PER_MM * 0.93,
        }
    }

    /// The room within a column of a table.
    fn column(self, columns: usize) -> Self {
        Self {
            width: (self.width / columns.max(1) as f64 - 8.0).max(20.0),
            ..self
        }
    }
}

fn dict<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let mut dict = Dict::new();
    for (key, value) in entries {
        dict.insert(key.into(), value);
    }
    Value::Dict(dict)
}

fn number(number: usize) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into_value()
}

fn points(points: f64) -> Value {
    Value::Length(typst::layout::Abs::pt(points).into())
}

/// A picture's pixels.
pub(super) fn picture(ready: &Ready) -> Value {
    dict([
        ("data", Value::Bytes(Bytes::new(ready.grey.data.clone()))),
        ("width", number(ready.grey.width)),
        ("height", number(ready.grey.height)),
    ])
}

pub(super) fn blocks(blocks: &[Block], pictures: &[Ready], room: Room) -> Value {
    each(blocks, &|one| block(one, pictures, room, text::LONG_WORD))
}

fn each<T>(all: &[T], one: &dyn Fn(&T) -> Value) -> Value {
    all.iter().map(one).collect::<Array>().into_value()
}

fn block(block: &Block, pictures: &[Ready], room: Room, long: usize) -> Value {
    let within = |inner: &[Block]| each(inner, &|one| self::block(one, pictures, room, long));
    let kind = |kind: &str| ("kind", kind.into_value());
    match block {
        Block::Heading(level, one) => dict([
            kind("heading"),
            ("level", number(usize::from(*level))),
            ("line", line(one, pictures, room, long)),
        ]),
        Block::Paragraph(one) => {
            dict([kind("paragraph"), ("line", line(one, pictures, room, long))])
        }
        Block::Fixed(fixed) => {
            let lines: Vec<&str> = fixed.lines().collect();
            let prepared = |line: &&str| text::prepare_words(line, long).into_value();
            dict([kind("fixed"), ("lines", each(&lines, &prepared))])
        }
        Block::List { first, items } => dict([
            kind("list"),
            ("first", first.map_or(Value::None, Value::Int)),
            ("items", each(items, &|item| within(item))),
        ]),
        Block::Quote(inner) => dict([kind("quote"), ("blocks", within(inner))]),
        Block::Rule => dict([kind("rule")]),
        Block::Gap => dict([kind("gap")]),
        Block::Table(table) => self::table(table, pictures, room),
        Block::Picture(shown, align) => dict([
            kind("figure"),
            ("align", self::align(*align)),
            ("picture", self::shown(*shown, pictures, room)),
        ]),
    }
}

fn table(table: &Table, pictures: &[Ready], room: Room) -> Value {
    let room = room.column(table.columns);
    // Narrow columns break words that others need not.
    let long = (120 / table.columns.max(1)).clamp(8, text::LONG_WORD);
    let cell = |cell: &Cell| {
        dict([
            ("x", number(cell.column)),
            ("y", number(cell.row)),
            ("across", number(cell.across)),
            ("down", number(cell.down)),
            (
                "blocks",
                each(&cell.blocks, &|one| block(one, pictures, room, long)),
            ),
        ])
    };
    dict([
        ("kind", "table".into_value()),
        ("columns", number(table.columns)),
        ("ruled", table.ruled.into_value()),
        ("cells", each(&table.cells, &cell)),
    ])
}

fn line(line: &Line, pictures: &[Ready], room: Room, long: usize) -> Value {
    dict([
        ("align", align(line.align)),
        ("leftward", line.leftward.into_value()),
        (
            "pieces",
            each(&line.pieces, &|one| piece(one, pictures, room, long)),
        ),
    ])
}

fn align(align: Align) -> Value {
    let word = match align {
        Align::Start => "start",
        Align::Center => "center",
        Align::End => "end",
    };
    word.into_value()
}

fn piece(piece: &Piece, pictures: &[Ready], room: Room, long: usize) -> Value {
    match piece {
        Piece::Break => dict([("kind", "break".into_value())]),
        Piece::Picture(shown) => self::shown(*shown, pictures, room),
        Piece::Text(words, style) => dict([
            ("kind", "text".into_value()),
            ("text", text::prepare_words(words, long).into_value()),
            ("bold", style.bold.into_value()),
            ("italic", style.italic.into_value()),
            ("underline", style.underline.into_value()),
            ("strike", style.strike.into_value()),
            ("mono", style.mono.into_value()),
            ("shift", i64::from(style.shift).into_value()),
        ]),
    }
}

fn shown(shown: Shown, pictures: &[Ready], room: Room) -> Value {
    let (width, height) = pictures
        .get(shown.picture)
        .map_or((1, 1), |ready| ready.size);
    let (wide, tall) = (width as f64, height as f64);
    let large = width >= LARGE.0 && height >= LARGE.1 || height >= LARGE.0 && width >= LARGE.1;
    let wanted = match shown.width {
        _ if large => room.width,
        Some(pixels) => pixels * POINT_PER_PIXEL,
        None => wide * POINT_PER_PIXEL,
    };
    let width = wanted
        .min(room.width)
        .min(room.height * wide / tall)
        .max(1.0);
    dict([
        ("kind", "picture".into_value()),
        ("picture", number(shown.picture)),
        ("width", points(width)),
        ("height", points(width * tall / wide)),
    ])
}
