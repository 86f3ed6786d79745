//! An HTML tree to blocks: what a reader would see, and nothing else.

use html5ever::{
    Attribute, ParseOpts, parse_document, tendril::TendrilSink, tree_builder::TreeBuilderOpts,
};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::{
    link,
    model::{Align, Block, Line, Piece, Style},
    pictures::Pictures,
    style::{self, Sheet},
    table,
};
use crate::Reason;

/// Nodes of a text, and elements within each other, at most: a long newsletter has 5,000, and 60.
const MOST_NODES: usize = 100_000;
const DEEPEST: usize = 500;
/// Lists and quotations within each other that are laid out as such; deeper ones only as text.
const MOST_NESTED: usize = 8;

/// The blocks of a text.
///
/// # Errors
/// It has more nodes or deeper ones than are laid out.
pub(super) fn blocks(html: &str, pictures: &mut Pictures<'_>) -> Result<Vec<Block>, Reason> {
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            // What stands in <noscript> is for us.
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let dom = parse_document(RcDom::default(), options).one(html);
    let mut reader = Reader {
        sheet: Sheet::default(),
        pictures,
        nodes: 0,
    };
    reader.measure(&dom.document)?;
    let mut flow = Flow::default();
    reader.children(&dom.document, Around::default(), &mut flow);
    Ok(flow.finish())
}

/// What surrounds a node.
#[derive(Clone, Copy, Default)]
pub(super) struct Around {
    pub style: Style,
    pub align: Align,
    pub leftward: Option<bool>,
    /// Line ends stand.
    pub fixed: bool,
    /// Lists and quotations around.
    pub nested: usize,
}

impl Around {
    pub fn nested(self) -> Self {
        Self {
            nested: self.nested + 1,
            ..self
        }
    }

    fn too_nested(self) -> bool {
        self.nested >= MOST_NESTED
    }
}

/// Blocks as they grow: those that are done, and the line that is open.
#[derive(Default)]
pub(super) struct Flow {
    pub blocks: Vec<Block>,
    line: Line,
}

impl Flow {
    /// Ends the open line.
    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if let Some(Piece::Text(text, _)) = line.pieces.last_mut() {
            text.truncate(text.trim_end_matches(' ').len());
        }
        // The last break of a line is its end.
        if line.pieces.len() > 1 && line.pieces.last() == Some(&Piece::Break) {
            line.pieces.pop();
        }
        if line.pieces.is_empty() {
            return;
        }
        self.blocks.push(match line.pieces.as_slice() {
            [Piece::Picture(shown)] => Block::Picture(*shown, line.align),
            _ if line.is_blank() => Block::Gap,
            _ => Block::Paragraph(line),
        });
    }

    fn gap(&mut self) {
        self.end_line();
        self.blocks.push(Block::Gap);
    }

    fn push(&mut self, block: Block) {
        self.end_line();
        self.blocks.push(block);
    }

    fn piece(&mut self, piece: Piece, around: Around) {
        if self.line.pieces.is_empty() {
            self.line.align = around.align;
            self.line.leftward = around.leftward.unwrap_or(false);
        }
        self.line.pieces.push(piece);
    }

    fn text(&mut self, text: &str, around: Around) {
        if around.fixed {
            for (at, line) in text.split('\n').enumerate() {
                if at > 0 {
                    self.piece(Piece::Break, around);
                }
                self.plain(line.trim_end_matches('\r'), around);
            }
            return;
        }
        let mut folded = String::with_capacity(text.len());
        let at_start = match self.line.pieces.last() {
            None | Some(Piece::Break) => true,
            Some(Piece::Text(before, _)) => before.ends_with(' '),
            Some(Piece::Picture(_)) => false,
        };
        let mut blank = at_start;
        for c in text.chars() {
            // HTML §4.3: ASCII white space folds, a no-break space does not.
            if matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}') {
                if !blank {
                    folded.push(' ');
                }
                blank = true;
            } else {
                folded.push(c);
                blank = false;
            }
        }
        self.plain(&folded, around);
    }

    fn plain(&mut self, text: &str, around: Around) {
        if text.is_empty() {
            return;
        }
        if let Some(Piece::Text(before, style)) = self.line.pieces.last_mut()
            && *style == around.style
        {
            before.push_str(text);
            return;
        }
        if around.leftward.is_none() && self.line.pieces.iter().all(|p| !has_strong(p)) {
            self.line.leftward = first_strong(text) == Some(true);
        }
        let leftward = self.line.leftward;
        self.piece(Piece::Text(text.to_owned(), around.style), around);
        if around.leftward.is_none() {
            self.line.leftward = leftward;
        }
    }

    /// The blocks, without blank lines at their ends, and never two together.
    pub fn finish(mut self) -> Vec<Block> {
        self.end_line();
        tidy(self.blocks)
    }
}

/// Blank lines are single, and neither first nor last.
pub(super) fn tidy(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.dedup_by(|a, b| *a == Block::Gap && *b == Block::Gap);
    if blocks.last() == Some(&Block::Gap) {
        blocks.pop();
    }
    if blocks.first() == Some(&Block::Gap) {
        blocks.remove(0);
    }
    blocks
}

fn has_strong(piece: &Piece) -> bool {
    matches!(piece, Piece::Text(text, _) if first_strong(text).is_some())
}

/// Whether the first letter with a direction runs to the left (UAX #9, P2).
fn first_strong(text: &str) -> Option<bool> {
    let c = text.chars().find(|c| c.is_alphabetic())?;
    Some(matches!(c as u32,
        0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFF | 0x10800..=0x10FFF | 0x1E800..=0x1EFFF))
}

pub(super) struct Reader<'a, 'b> {
    sheet: Sheet,
    pictures: &'a mut Pictures<'b>,
    nodes: usize,
}

impl Reader<'_, '_> {
    /// Looks at the whole tree, without recursion, before any work on it, and reads its style sheets.
    fn measure(&mut self, root: &Handle) -> Result<(), Reason> {
        let mut left = vec![(root.clone(), 0)];
        while let Some((node, depth)) = left.pop() {
            self.nodes += 1;
            if self.nodes > MOST_NODES || depth > DEEPEST {
                return Err(Reason::TooMuch);
            }
            if let NodeData::Element { name, .. } = &node.data
                && &*name.local == "style"
            {
                self.sheet.read(&text_of(&node));
            }
            left.extend(
                node.children
                    .borrow()
                    .iter()
                    .map(|child| (child.clone(), depth + 1)),
            );
        }
        Ok(())
    }

    pub fn children(&mut self, node: &Handle, around: Around, flow: &mut Flow) {
        for child in node.children.borrow().iter() {
            self.node(child, around, flow);
        }
    }

    fn node(&mut self, node: &Handle, around: Around, flow: &mut Flow) {
        match &node.data {
            NodeData::Text { contents } => flow.text(&contents.borrow(), around),
            NodeData::Element { name, attrs, .. } => {
                let attributes = attrs.borrow();
                self.element(node, &name.local, &attributes, around, flow);
            }
            // Comments, doctypes: nobody sees them.
            _ => {}
        }
    }

    /// What surrounds the children of an element; `None`: it is not seen.
    pub fn inside(&self, name: &str, attributes: &[Attribute], around: Around) -> Option<Around> {
        let style = style::declarations(attributes);
        if never_seen(name) || style::hidden(attributes, &style) || self.sheet.hides(attributes) {
            return None;
        }
        let mut inner = around;
        inner.style = style::letters(name, &style, around.style);
        inner.align = style::align(name, attributes, &style, around.align);
        match style::attribute(attributes, "dir")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("rtl") => inner.leftward = Some(true),
            Some("ltr") => inner.leftward = Some(false),
            Some("auto") => inner.leftward = None,
            _ => {}
        }
        if let Some((_, value)) = style.iter().rfind(|(name, _)| name == "white-space") {
            inner.fixed = value.starts_with("pre") || value == "break-spaces";
        }
        Some(inner)
    }

    fn element(
        &mut self,
        node: &Handle,
        name: &str,
        attributes: &[Attribute],
        around: Around,
        flow: &mut Flow,
    ) {
        let Some(mut inner) = self.inside(name, attributes, around) else {
            return;
        };
        match name {
            "br" => flow.piece(Piece::Break, around),
            "hr" => flow.push(Block::Rule),
            "img" => self.picture(attributes, around, flow),
            "a" => self.link(node, attributes, inner, flow),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = name.as_bytes()[1] - b'0';
                inner.style.bold = false;
                let blocks = self.apart(node, inner);
                flow.gap();
                flow.blocks
                    .extend(blocks.into_iter().map(|block| match block {
                        Block::Paragraph(line) => Block::Heading(level, line),
                        other => other,
                    }));
            }
            "ul" | "ol" | "menu" | "dir" if !around.too_nested() => {
                let list = self.list(node, name, attributes, inner.nested());
                if around.nested == 0 {
                    flow.gap();
                }
                flow.push(list);
                if around.nested == 0 {
                    flow.gap();
                }
            }
            "blockquote" if !around.too_nested() => {
                let inside = self.apart(node, inner.nested());
                if !inside.is_empty() {
                    flow.push(Block::Quote(inside));
                }
            }
            "pre" | "xmp" | "listing" | "plaintext" => {
                let text = self.fixed(node);
                if !text.trim().is_empty() {
                    flow.gap();
                    flow.push(Block::Fixed(text.trim_matches('\n').to_owned()));
                    flow.gap();
                }
            }
            "table" => {
                flow.end_line();
                let blocks = table::read(self, node, attributes, inner);
                flow.blocks.extend(blocks);
            }
            "q" => {
                flow.text("“", inner);
                self.children(node, inner, flow);
                flow.text("”", inner);
            }
            "input" | "button" | "textarea" => {
                let typed = style::attribute(attributes, "type").unwrap_or("text");
                if name == "input"
                    && matches!(typed, "text" | "submit" | "button" | "email" | "number")
                {
                    flow.text(
                        style::attribute(attributes, "value").unwrap_or_default(),
                        inner,
                    );
                }
                self.children(node, inner, flow);
            }
            "p" | "dl" | "figure" if !is_tight(attributes) => {
                flow.gap();
                self.children(node, inner, flow);
                flow.gap();
            }
            _ if is_block(name) => {
                flow.end_line();
                self.children(node, inner, flow);
                flow.end_line();
            }
            _ => self.children(node, inner, flow),
        }
    }

    /// The blocks within an element, by themselves.
    pub fn apart(&mut self, node: &Handle, inside: Around) -> Vec<Block> {
        let mut flow = Flow::default();
        self.children(node, inside, &mut flow);
        flow.finish()
    }

    fn list(
        &mut self,
        node: &Handle,
        name: &str,
        attributes: &[Attribute],
        inside: Around,
    ) -> Block {
        let start = || style::attribute(attributes, "start").and_then(|first| first.parse().ok());
        let mut items: Vec<Vec<Block>> = Vec::new();
        for child in node.children.borrow().iter() {
            let mut flow = Flow::default();
            let is_item = match &child.data {
                NodeData::Element { name, attrs, .. } if &*name.local == "li" => {
                    if let Some(inner) = self.inside("li", &attrs.borrow(), inside) {
                        self.children(child, inner, &mut flow);
                    }
                    true
                }
                _ => {
                    self.node(child, inside, &mut flow);
                    false
                }
            };
            let mut blocks = flow.finish();
            // A list directly within a list belongs to the item before.
            match items.last_mut() {
                _ if blocks.is_empty() => {}
                Some(last) if !is_item => last.append(&mut blocks),
                _ => items.push(blocks),
            }
        }
        let first = (name == "ol").then(|| start().unwrap_or(1i64).clamp(0, 1_000_000));
        Block::List { first, items }
    }

    fn picture(&mut self, attributes: &[Attribute], around: Around, flow: &mut Flow) {
        let said = |name: &str| style::attribute(attributes, name);
        let style = style::declarations(attributes);
        let px = |name: &str| {
            let of_style = style
                .iter()
                .rfind(|(n, _)| n == name)
                .and_then(|(_, v)| style::length(v));
            of_style.or_else(|| style::attribute(attributes, name).and_then(style::length))
        };
        let (width, height) = (px("width"), px("height"));
        let dot = |side: Option<f64>| side.is_some_and(|px| px <= 3.0);
        let found = self.pictures.find(said("src").unwrap_or_default());
        if dot(width) || dot(height) {
            return;
        }
        match found {
            Some(picture) => {
                let shown = super::model::Shown { picture, width };
                flow.piece(Piece::Picture(shown), around);
            }
            None => {
                let alt = said("alt").unwrap_or_default();
                if !alt.is_empty() && alt.chars().count() <= 120 {
                    flow.text(&format!("[{alt}]"), around);
                }
            }
        }
    }

    fn link(
        &mut self,
        node: &Handle,
        attributes: &[Attribute],
        mut inner: Around,
        flow: &mut Flow,
    ) {
        let Some(href) = style::attribute(attributes, "href") else {
            return self.children(node, inner, flow);
        };
        inner.style.underline = true;
        let before = flow.blocks.len();
        self.children(node, inner, flow);
        let visible = text_of(node);
        // An address behind a link of several blocks would stand in none of them.
        if flow.blocks.len() == before
            && !visible.trim().is_empty()
            && let Some(address) = link::worth_telling(href, &visible)
        {
            inner.style.underline = false;
            flow.text(&format!(" ({address})"), inner);
        }
    }

    /// The text of an element whose line ends stand.
    fn fixed(&self, node: &Handle) -> String {
        let mut out = String::new();
        let mut left = vec![node.clone()];
        while let Some(node) = left.pop() {
            match &node.data {
                NodeData::Text { contents } => out.push_str(&contents.borrow()),
                NodeData::Element { name, attrs, .. } => {
                    if self
                        .inside(&name.local, &attrs.borrow(), Around::default())
                        .is_none()
                    {
                        continue;
                    }
                    if matches!(&*name.local, "br" | "p" | "div") && !out.ends_with('\n') {
                        out.push('\n');
                    }
                }
                _ => {}
            }
            left.extend(node.children.borrow().iter().rev().cloned());
        }
        out
    }
}

/// All text within a node, hidden or not.
pub(super) fn text_of(node: &Handle) -> String {
    let mut out = String::new();
    let mut left = vec![node.clone()];
    while let Some(node) = left.pop() {
        if let NodeData::Text { contents } = &node.data {
            out.push_str(&contents.borrow());
        }
        left.extend(node.children.borrow().iter().rev().cloned());
    }
    out
}

/// Elements whose content is no text of the mail.
fn never_seen(name: &str) -> bool {
    matches!(
        name,
        "head"
            | "script"
            | "style"
            | "title"
            | "template"
            | "object"
            | "embed"
            | "applet"
            | "iframe"
            | "svg"
            | "math"
            | "video"
            | "audio"
            | "canvas"
            | "map"
            | "select"
            | "datalist"
            | "noembed"
            | "noframes"
            | "meter"
            | "progress"
            | "dialog"
            | "link"
            | "meta"
            | "base"
            | "xml"
    ) || ["v:", "w:", "m:"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "html"
            | "body"
            | "div"
            | "p"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "main"
            | "nav"
            | "aside"
            | "center"
            | "address"
            | "figure"
            | "figcaption"
            | "form"
            | "fieldset"
            | "legend"
            | "dl"
            | "dt"
            | "dd"
            | "details"
            | "summary"
            | "hgroup"
            | "li"
            | "ul"
            | "ol"
            | "menu"
            | "dir"
            | "blockquote"
            | "tr"
            | "td"
            | "th"
            | "tbody"
            | "thead"
            | "tfoot"
            | "caption"
    )
}

/// Paragraphs without space around them: Word's, and those that say so.
fn is_tight(attributes: &[Attribute]) -> bool {
    let class = style::attribute(attributes, "class").unwrap_or_default();
    let word = class
        .split_whitespace()
        .any(|c| c.starts_with("Mso") || c.starts_with('p') && c.len() == 2);
    let margins = style::declarations(attributes);
    let zero = |name: &str| {
        let said = margins
            .iter()
            .rfind(|(n, _)| n == name)
            .map(|(_, v)| v.as_str());
        said.is_some_and(|v| v.split_whitespace().next().and_then(style::length) == Some(0.0))
    };
    word || zero("margin") || zero("margin-top") && zero("margin-bottom")
}
