//! What of a text is seen, block by block; how pages look is tested in `tests/html.rs`.

use super::{
    model::{Align, Block, Piece, Table, words},
    pictures::Pictures,
    read,
};
use crate::{Limits, Reason};
use proptest::prelude::*;

fn blocks(html: &str) -> Vec<Block> {
    let limits = Limits::default();
    read::blocks(html, &mut Pictures::new(&[], &limits)).expect("it is laid out")
}

fn seen(html: &str) -> String {
    words(&blocks(html))
}

fn table(html: &str) -> Table {
    let found = blocks(html).into_iter().find_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    });
    found.expect("a table")
}

#[test]
fn paragraphs_lists_and_quotations_read_as_they_look() {
    assert_eq!(
        seen("<p>One\n  <b>two</b></p><p>three<br>four</p><ul><li>a<ol start=3><li>x<li>y</ol><li>b</ul><hr>
              <blockquote>said<blockquote>before</blockquote></blockquote><pre>a  b\n  c</pre>"),
        "One two\n\nthree\nfour\n\n- a\n  3. x\n  4. y\n- b\n\n----\n> said\n> > before\n\na  b\n  c"
    );
    assert_eq!(
        seen("<p class=MsoNormal>a</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>b</p>"),
        "a\n\nb"
    );
    assert_eq!(
        seen("<div>a</div><div><br></div><div><br></div><div>b</div>"),
        "a\n\nb"
    );
}

#[test]
fn hidden_elements_leave_no_trace() {
    let html = "<head><title>T</title><style>.pre{display:none}</style></head><body><!-- c -->
        <div style='display:none;font-size:1px'>Preheader</div><span class=pre>also</span>
        <script>alert(1)</script><div hidden>h</div><p>Seen</p><noscript>plain</noscript>
        <select><option>o</select><svg><text>s</text></svg><!--[if mso]><p>word</p><![endif]-->
        <template>t</template><textarea style='display:none'>x</textarea><o:p></o:p></body>";
    assert_eq!(seen(html), "Seen\n\nplain");
}

#[test]
fn styles_come_from_elements_and_attributes() {
    let all = blocks(
        "<p align=right>a<b>b</b><span style='font-weight:bold;font-style:italic'>c</span><u>d</u>e<sup>2</sup></p>",
    );
    let Block::Paragraph(line) = &all[0] else {
        panic!("{all:?}")
    };
    assert_eq!(line.align, Align::End);
    let styles: Vec<_> = line
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text, s) => (text.as_str(), s.bold, s.italic, s.underline, s.shift),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        styles,
        [
            ("a", false, false, false, 0),
            ("b", true, false, false, 0),
            ("c", true, true, false, 0),
            ("d", false, false, true, 0),
            ("e", false, false, false, 0),
            ("2", false, false, false, 1),
        ]
    );
}

#[test]
fn the_direction_is_said_or_that_of_the_first_letter() {
    let leftward = |html| match &blocks(html)[0] {
        Block::Paragraph(line) => line.leftward,
        other => panic!("{other:?}"),
    };
    assert!(leftward("<p>1. مرحبا hello</p>"));
    assert!(leftward("<p><b>שלום</b> hello</p>"));
    assert!(!leftward("<p>hello שלום</p>"));
    assert!(leftward("<div dir=rtl><p>hello</p></div>"));
}

#[test]
fn tables_of_data_stay_and_layouts_are_read_in_order() {
    let data = table(
        "<table border=1><tr><th>Item<th>Price<tr><td>Paper<td>3.50<tr><td colspan=2>Sum</table>",
    );
    assert_eq!((data.columns, data.cells.len(), data.ruled), (2, 5, true));
    assert_eq!(data.cells[4].across, 2);
    // One column, a table within a table, a spacer column: newsletters.
    let news = "<table><tr><td><table><tr><td>Head</td></tr></table></td></tr><tr><td>
        <table><tr><td>Left</td><td width=20></td><td>Right</td></tr></table></td></tr></table>";
    let Block::Table(inner) = &blocks(news)[2] else {
        panic!("{:?}", blocks(news))
    };
    assert_eq!((inner.columns, inner.ruled), (2, false));
    assert_eq!(seen(news), "Head\n\nLeft\tRight");
    // However many layouts are around a list and a table of data, they are what they are.
    let deep = format!(
        "{}<ul><li>a<li>b</ul><table border=1><tr><td>c<td>d<tr><td>e<td>f</table>",
        "<table><tr><td>".repeat(15)
    );
    let kinds: Vec<bool> = blocks(&deep)
        .iter()
        .map(|b| matches!(b, Block::List { .. } | Block::Table(_)))
        .collect();
    assert_eq!(
        kinds.iter().filter(|&&kept| kept).count(),
        2,
        "{:?}",
        blocks(&deep)
    );
    // A span beyond the table is cut.
    let spans = table(
        "<table border=1><tr><td rowspan=99>a<td colspan=3>b<tr><td>c<td rowspan=5>d</table>",
    );
    assert_eq!(spans.cells[0].down, 2);
    assert_eq!(spans.columns, 3);
}

#[test]
fn links_tell_where_they_go_and_pictures_what_they_are() {
    assert_eq!(
        seen(
            "<a href='https://www.example.com/a'>here</a> <a href=mailto:x@y.example>x@y.example</a> <img src='http://t.example/o.gif' alt='Logo'><img src=http://t.example/p.gif width=1 height=1>"
        ),
        "here (example.com/a) x@y.example [Logo]"
    );
    let limits = Limits::default();
    let mut pictures = Pictures::new(&[], &limits);
    read::blocks(
        "<img src=http://a/1><img src=https://a/2 width=1><img src=cid:gone>",
        &mut pictures,
    )
    .expect("blocks");
    assert_eq!((pictures.remote, pictures.missing), (2, 1));
}

#[test]
fn depth_and_size_are_bounded() {
    let limits = Limits::default();
    let read = |html: &str| read::blocks(html, &mut Pictures::new(&[], &limits));
    assert_eq!(read(&"<div>".repeat(2000)), Err(Reason::TooMuch));
    assert_eq!(read(&"<p>x</p>".repeat(60_000)), Err(Reason::TooMuch));
    assert_eq!(
        words(&read(&("<blockquote>".repeat(300) + "deep")).expect("quotations"))
            .lines()
            .last()
            .map(str::trim),
        Some("> > > > > > > > deep")
    );
}

/// No cell of a table covers another or leaves it.
fn sound(blocks: &[Block]) -> bool {
    blocks.iter().all(|block| match block {
        Block::Quote(inner) => sound(inner),
        Block::List { items, .. } => items.iter().all(|item| sound(item)),
        Block::Table(table) => {
            let rows = table.cells.iter().map(|cell| cell.row).max().unwrap_or(0) + 1;
            let mut seen = std::collections::HashSet::new();
            table.cells.iter().all(|cell| {
                let within = cell.column + cell.across <= table.columns
                    && cell.row + cell.down <= rows.max(cell.row + 1);
                let mut all = (cell.row..cell.row + cell.down)
                    .flat_map(|y| (cell.column..cell.column + cell.across).map(move |x| (x, y)));
                within && all.all(|place| seen.insert(place)) && sound(&cell.blocks)
            })
        }
        _ => true,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_becomes_sound_blocks(parts in prop::collection::vec(prop::sample::select(vec![
        "<table border=1>", "</table>", "<tr>", "<td>", "<td colspan=3>", "<td rowspan=2>", "<td rowspan=9 colspan=2>", "x", "<p>",
        "<ul>", "<li>", "</ul>", "<blockquote>", "<b>", "</b>", "<br>", "<a href=http://x.example/>", "</a>", "<div style='display:none'>", "</div>",
        "<pre>", "<th>", "<img src=cid:x>", "שלום", " ", "&nbsp;", "<h1>", "<!--", "-->", "<select>", "<math>", "<svg>",
    ]), 0..60)) {
        prop_assert!(sound(&blocks(&parts.concat())));
    }

    #[test]
    fn any_text_is_laid_out_or_refused_and_the_template_is_never_at_fault(parts in prop::collection::vec(prop::sample::select(vec![
        "<table border=1>", "</table>", "<tr>", "<td>", "<td colspan=3>", "<td rowspan=2>", "x", "<p align=right>", "word ",
        "<ul>", "<ol start=7>", "<li>", "</ul>", "</ol>", "<blockquote>", "</blockquote>", "<b>", "<i>", "<sup>", "<br>", "<hr>", "<pre>",
        "</pre>", "שלום", "$x$ #panic() ", "<h1>", "<h6>", "</h1>", "<center>", "<img src=data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7>",
    ]), 1..120)) {
        let limits = Limits { max_pages: 5, ..Limits::default() };
        let done = super::render("x", &parts.concat(), &[], &crate::PageSetup::a4_fine(), &limits, &mut |_, _| ());
        prop_assert!(!matches!(done, Err(crate::PaperError::Compose(_))), "{:?}", done.err());
    }
}
