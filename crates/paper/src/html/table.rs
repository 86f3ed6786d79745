//! Tables: those of data stay tables; those that newsletters lay pages out with become what they hold, in
//! reading order.

use html5ever::Attribute;
use markup5ever_rcdom::{Handle, NodeData};

use super::{
    model::{Align, Block, Cell, Line, Piece, Style, Table},
    read::{Around, Reader, tidy},
    style,
};

/// More columns than this are no table that a fax can show: its rows become lines.
const MOST_COLUMNS: usize = 20;
/// A cell with more than this, in a table without lines, is a column of a layout.
const LONG_CELL: usize = 300;

/// Lists, quotations and tables within each other in a cell, for which a table is too small.
const MOST_WITHIN: usize = 3;

/// A cell as it is written.
struct Written {
    blocks: Vec<Block>,
    across: usize,
    down: usize,
    ruled: bool,
}

#[derive(Default)]
struct Source {
    rows: Vec<Vec<Written>>,
    caption: Vec<Block>,
    ruled: bool,
}

/// What a table becomes.
pub(super) fn read(
    reader: &mut Reader<'_, '_>,
    node: &Handle,
    attributes: &[Attribute],
    around: Around,
) -> Vec<Block> {
    let mut source = Source {
        ruled: style::attribute(attributes, "border")
            .is_some_and(|v| !matches!(v, "" | "0" | "0px")),
        ..Source::default()
    };
    // What is centred is the table: its text begins anew at the left (HTML §15.3.10).
    let style = style::declarations(attributes);
    let mut inner = around;
    inner.align = style::align("table", attributes, &style, Align::Start);
    rows(reader, node, inner, &mut source);
    source
        .rows
        .retain(|row| row.iter().any(|cell| !cell.blocks.is_empty()));
    let ruled_cells = source
        .rows
        .iter()
        .flatten()
        .filter(|cell| cell.ruled)
        .count();
    source.ruled |= ruled_cells >= 2;
    let mut blocks = std::mem::take(&mut source.caption);
    if is_layout(&source) {
        for cell in source.rows.into_iter().flatten() {
            blocks.push(Block::Gap);
            blocks.extend(cell.blocks);
        }
        return tidy_keeping_ends(blocks);
    }
    let ruled = source.ruled;
    let table = place(source);
    blocks.push(Block::Gap);
    if table.columns > MOST_COLUMNS {
        blocks.extend(lines(table));
    } else {
        blocks.push(Block::Table(Table { ruled, ..table }));
    }
    blocks.push(Block::Gap);
    blocks
}

fn tidy_keeping_ends(blocks: Vec<Block>) -> Vec<Block> {
    let mut blocks = tidy(blocks);
    blocks.insert(0, Block::Gap);
    blocks.push(Block::Gap);
    blocks
}

fn rows(reader: &mut Reader<'_, '_>, node: &Handle, around: Around, source: &mut Source) {
    for child in node.children.borrow().iter() {
        let NodeData::Element { name, attrs, .. } = &child.data else {
            continue;
        };
        let attributes = attrs.borrow();
        let Some(inner) = reader.inside(&name.local, &attributes, around) else {
            continue;
        };
        match &*name.local {
            "thead" | "tbody" | "tfoot" => rows(reader, child, inner, source),
            "tr" => {
                let row = row(reader, child, inner);
                source.rows.push(row);
            }
            "caption" => source.caption = reader.apart(child, inner),
            _ => {}
        }
    }
}

fn row(reader: &mut Reader<'_, '_>, node: &Handle, around: Around) -> Vec<Written> {
    let mut cells = Vec::new();
    for child in node.children.borrow().iter() {
        let NodeData::Element { name, attrs, .. } = &child.data else {
            continue;
        };
        let attributes = attrs.borrow();
        let Some(inner) = reader.inside(&name.local, &attributes, around) else {
            continue;
        };
        if !matches!(&*name.local, "td" | "th") {
            continue;
        }
        let span = |name| {
            let said = style::attribute(&attributes, name).and_then(|v| v.parse::<usize>().ok());
            said.unwrap_or(1).max(1)
        };
        cells.push(Written {
            blocks: reader.apart(child, inner),
            across: span("colspan").min(MOST_COLUMNS + 1),
            down: span("rowspan"),
            ruled: &*name.local == "th" || has_border(&attributes),
        });
    }
    cells
}

fn has_border(attributes: &[Attribute]) -> bool {
    style::declarations(attributes).iter().any(|(name, value)| {
        name.starts_with("border")
            && [
                "solid", "dotted", "dashed", "double", "inset", "outset", "groove", "ridge",
            ]
            .iter()
            .any(|line| value.contains(line))
            && !value.starts_with("0")
            && !value.contains(" 0px")
            && !value.starts_with("none")
    })
}

/// Whether a table only says where things stand.
fn is_layout(source: &Source) -> bool {
    let filled = |row: &Vec<Written>| row.iter().filter(|cell| !cell.blocks.is_empty()).count();
    let widest = source.rows.iter().map(filled).max().unwrap_or(0);
    let cells = || source.rows.iter().flatten();
    let holds = |block: fn(&Block) -> bool| cells().any(|cell| cell.blocks.iter().any(block));
    let data = source.ruled && source.rows.len() >= 2;
    widest < 2
        || cells().any(|cell| depth(&cell.blocks) >= MOST_WITHIN)
        || !data
            && (holds(|b| matches!(b, Block::Table(_) | Block::Picture(..) | Block::Heading(..)))
                || cells().any(|cell| letters(&cell.blocks) > LONG_CELL))
}

/// Blocks within each other.
fn depth(blocks: &[Block]) -> usize {
    let of = |block: &Block| match block {
        Block::Quote(inner) => 1 + depth(inner),
        Block::List { items, .. } => 1 + items.iter().map(|item| depth(item)).max().unwrap_or(0),
        Block::Table(table) => {
            1 + table
                .cells
                .iter()
                .map(|cell| depth(&cell.blocks))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    };
    blocks.iter().map(of).max().unwrap_or(0)
}

fn letters(blocks: &[Block]) -> usize {
    super::model::words(blocks).chars().count()
}

/// Gives each cell its place (HTML §4.9.12.1), with spans cut where they would cover another cell or leave
/// the table; empty columns go.
fn place(source: Source) -> Table {
    let down = source.rows.len();
    let mut taken: Vec<Vec<bool>> = vec![Vec::new(); down];
    let mut cells: Vec<Cell> = Vec::new();
    for (y, row) in source.rows.into_iter().enumerate() {
        let mut x = 0;
        for written in row {
            while taken[y].get(x) == Some(&true) {
                x += 1;
            }
            let free = |x: usize| taken[y].get(x) != Some(&true);
            let across = (1..written.across)
                .take_while(|&more| free(x + more))
                .count()
                + 1;
            let deep = written.down.min(down - y);
            for line in &mut taken[y..y + deep] {
                if line.len() < x + across {
                    line.resize(x + across, false);
                }
                line[x..x + across].fill(true);
            }
            cells.push(Cell {
                blocks: flattened(written.blocks),
                column: x,
                row: y,
                across,
                down: deep,
            });
            x += across;
        }
    }
    let columns = cells
        .iter()
        .map(|cell| cell.column + cell.across)
        .max()
        .unwrap_or(0);
    without_empty_columns(Table {
        columns,
        cells,
        ruled: false,
    })
}

fn without_empty_columns(mut table: Table) -> Table {
    let kept: Vec<bool> = (0..table.columns)
        .map(|x| {
            let mut starting = table.cells.iter().filter(|cell| cell.column == x);
            starting.any(|cell| !cell.blocks.is_empty())
        })
        .collect();
    let before = |x: usize| kept[..x].iter().filter(|&&kept| kept).count();
    table
        .cells
        .retain(|cell| before(cell.column + cell.across) > before(cell.column));
    for cell in &mut table.cells {
        let (from, to) = (before(cell.column), before(cell.column + cell.across));
        (cell.column, cell.across) = (from, to - from);
    }
    table.columns = before(table.columns);
    table
}

/// Tables within a cell become their cells, one below the other.
fn flattened(blocks: Vec<Block>) -> Vec<Block> {
    let mut out = Vec::new();
    for block in blocks {
        match block {
            Block::Table(table) => {
                out.extend(
                    table
                        .cells
                        .into_iter()
                        .flat_map(|cell| flattened(cell.blocks)),
                );
            }
            other => out.push(other),
        }
    }
    out
}

fn lines(table: Table) -> Vec<Block> {
    let rows = table.cells.chunk_by(|a, b| a.row == b.row).map(|row| {
        let cells = row.iter().map(|cell| super::model::words(&cell.blocks));
        let text = cells.collect::<Vec<_>>().join(" | ");
        Block::Paragraph(Line {
            pieces: vec![Piece::Text(text, Style::default())],
            ..Line::default()
        })
    });
    rows.collect()
}
