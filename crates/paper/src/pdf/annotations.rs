//! Which annotations a fax has: those that a print of the page would have (ISO 32000-2 §12.5.3), form fields
//! whose appearance the file leaves to its reader among them.

use std::collections::HashMap;

use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, Rect, Stream};
use hayro::hayro_syntax::page::Page;

use super::fields::{self, Form};
use super::rewrite::{Annotation, rewrite};
use super::{Notes, tell};
use crate::Note;

// Annotation flags, table 167.
const HIDDEN: u32 = 1 << 1;
const PRINT: u32 = 1 << 2;
const NO_VIEW: u32 = 1 << 5;

/// Annotations of a page that are looked at; no honest page has as many.
const MOST: usize = 10_000;

/// The file with the annotations that its pages are to have, and with these names of fonts; `None`: hayro draws the right ones as it is.
pub(super) fn prepared(
    pdf: &Pdf,
    renamed: &HashMap<ObjectIdentifier, String>,
    notes: &Notes,
) -> Option<Vec<u8>> {
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())?;
    // ISO 32000-1 §12.7.8: a form whose pages only a program with XFA makes.
    if catalog.get::<bool>(b"NeedsRendering") == Some(true) {
        tell(notes, Note::FormUnsupported);
    }
    let form = Form::of(&catalog);
    let mut changed = HashMap::new();
    let mut made = fields::Made::default();
    for (number, page) in (1..).zip(pdf.pages().iter()) {
        if let Some((id, plan)) = plan(pdf, page, number, &form, &mut made, notes) {
            changed.insert(id, plan);
        }
    }
    if changed.is_empty() && renamed.is_empty() {
        return None;
    }
    // The texts of all fields are set at once: the typesetter's start costs more than a field.
    let mut drawn = made.draw(notes).into_iter();
    let pages = changed
        .into_iter()
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_iter();
    let mut all = HashMap::new();
    let mut waiting: Vec<_> = pages.collect();
    // In the order in which they were asked for.
    waiting.sort_by_key(|(_, plan)| plan.number);
    for (id, plan) in waiting {
        let annotations = plan
            .annotations
            .into_iter()
            .filter_map(|planned| match planned {
                Planned::Kept(kept) => Some(kept),
                Planned::Made => drawn.next().flatten().map(Annotation::Made),
            });
        all.insert(id, annotations.collect());
    }
    Some(rewrite(pdf, all, renamed))
}

struct Plan<'a> {
    number: u32,
    annotations: Vec<Planned<'a>>,
}

enum Planned<'a> {
    Kept(Annotation<'a>),
    /// The next of those that are made.
    Made,
}

/// What a page's annotations become; `None`: they may stay as they are.
fn plan<'a>(
    pdf: &'a Pdf,
    page: &Page<'a>,
    number: u32,
    form: &Form<'a>,
    made: &mut fields::Made,
    notes: &Notes,
) -> Option<(ObjectIdentifier, Plan<'a>)> {
    let annotations = page.raw().get::<Array<'_>>(b"Annots")?;
    let mut plan = Plan {
        number,
        annotations: Vec::new(),
    };
    let mut changed = false;
    for dict in annotations.iter::<Dict<'_>>().take(MOST) {
        let flags = dict.get::<u32>(b"F").unwrap_or(0);
        let drawn_by_hayro =
            flags & (HIDDEN | NO_VIEW) == 0 && dict.get::<Dict<'_>>(b"AP").is_some();
        let kind = dict.get::<Name<'_>>(b"Subtype");
        let kind = kind.as_deref().unwrap_or_default();
        // A link is a place to click on, a popup the window of another's note: neither is ever on paper.
        if matches!(kind, b"Link" | b"Popup") || flags & HIDDEN != 0 {
            changed |= drawn_by_hayro;
            continue;
        }
        let wanted = wanted(&dict, kind, form);
        if flags & PRINT == 0 {
            changed |= drawn_by_hayro;
            if !matches!(wanted, Wanted::Nothing) && !fields::is_button(&dict) {
                tell(notes, Note::NotPrinted { page: number });
            }
            continue;
        }
        match wanted {
            Wanted::Nothing => {}
            Wanted::Unknown => tell(notes, Note::AnnotationMissing),
            Wanted::Own { state } => {
                changed |= !drawn_by_hayro || state.is_some();
                let kept = Annotation::Kept { dict, state };
                plan.annotations.push(Planned::Kept(kept));
            }
            Wanted::Make(look) => {
                changed = true;
                made.add(*look);
                plan.annotations.push(Planned::Made);
            }
        }
    }
    // A page within another object has no number of its own to be replaced by.
    let id = page.raw().obj_id()?;
    let is_it = pdf.xref().get::<Dict<'_>>(id).as_ref() == Some(page.raw());
    (changed && is_it).then_some((id, plan))
}

enum Wanted {
    Nothing,
    /// Its own appearance, in another state than it says.
    Own {
        state: Option<Vec<u8>>,
    },
    Make(Box<fields::Look>),
    /// There is something to show, and how can't be said.
    Unknown,
}

fn wanted(dict: &Dict<'_>, kind: &[u8], form: &Form<'_>) -> Wanted {
    let normal = dict
        .get::<Dict<'_>>(b"AP")
        .and_then(|appearance| appearance.get::<Object<'_>>(b"N"));
    let own = match &normal {
        Some(Object::Stream(_)) => Some(None),
        Some(Object::Dict(states)) => {
            let state = dict.get::<Name<'_>>(b"AS");
            let value = fields::inherited::<Name<'_>>(dict, b"V");
            // Without a state of its own a box has that which is its field's value.
            match (state, value) {
                (Some(_), _) => Some(None),
                (None, Some(value)) if states.get::<Stream<'_>>(&*value).is_some() => {
                    Some(Some(value.to_vec()))
                }
                (None, _) => Some(None),
            }
        }
        _ => None,
    };
    let rect = dict.get::<Rect>(b"Rect");
    let empty = rect.is_none_or(|rect| rect.width() < 1.0 || rect.height() < 1.0);
    if kind == b"Widget" {
        match fields::look(dict, form, own.is_some()) {
            _ if empty => return Wanted::Nothing,
            fields::Answer::Look(look) => return Wanted::Make(look),
            fields::Answer::Unknown => return Wanted::Unknown,
            fields::Answer::Nothing => {}
        }
    }
    match own {
        Some(state) => Wanted::Own { state },
        None if kind == b"Widget" || empty => Wanted::Nothing,
        None => match fields::markup(dict, kind, form) {
            fields::Answer::Look(look) => Wanted::Make(look),
            fields::Answer::Unknown => Wanted::Unknown,
            fields::Answer::Nothing => Wanted::Nothing,
        },
    }
}
