//! `docs/flow.md` names files and functions; here it is held to the code.

use std::{fs, path::Path};

/// The texts between backticks, in order.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What a backticked text is.
enum Word<'a> {
    File(&'a str),
    Function(&'a str),
    Other,
}

fn word(text: &str) -> Word<'_> {
    let is_path = text.contains('/') && text.ends_with(".rs");
    let is_name = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_path {
        Word::File(text)
    } else if is_name && !STATES.contains(&text) {
        Word::Function(text)
    } else {
        Word::Other
    }
}

/// States of jobs and faxes: they look like functions.
const STATES: &[&str] = &[
    "parked",
    "queued",
    "rendering",
    "ready",
    "dialling",
    "sending",
    "receiving",
];

/// Whether `source` defines the function.
fn defines(source: &str, function: &str) -> bool {
    source
        .match_indices(&format!("fn {function}"))
        .any(|(at, found)| matches!(source[at + found.len()..].chars().next(), Some('(' | '<')))
}

/// Each file of the page with the functions named after it, and what is wrong with them.
fn faults(page: &str, root: &Path) -> (usize, Vec<String>) {
    let (mut steps, mut faults) = (0, Vec::new());
    let mut file: Option<(&str, String)> = None;
    for text in quoted(page) {
        match word(text) {
            Word::File(path) => match fs::read_to_string(root.join(path)) {
                Ok(source) => file = Some((path, source)),
                Err(error) => {
                    file = None;
                    faults.push(format!("{path}: {error}"));
                }
            },
            Word::Function(name) => {
                steps += 1;
                match &file {
                    Some((_, source)) if defines(source, name) => {}
                    Some((path, _)) => faults.push(format!("{path} has no `fn {name}`")),
                    None => faults.push(format!("`{name}` stands after no file")),
                }
            }
            Word::Other => {}
        }
    }
    (steps, faults)
}

#[test]
fn every_step_of_the_flow_is_in_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/flow.md")).expect("docs/flow.md");
    let (steps, faults) = faults(&page, root);
    assert!(faults.is_empty(), "docs/flow.md:\n{}", faults.join("\n"));
    assert!(steps > 60, "only {steps} steps are named");
}

#[test]
fn what_is_gone_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, gone) = faults("`tests/flow.rs` `quoted` and `no_such_step`", root);
    assert_eq!(gone, ["tests/flow.rs has no `fn no_such_step`"]);
    let (_, gone) = faults("`src/no_such_room.rs` `quoted`", root);
    assert_eq!(gone.len(), 2, "{gone:?}");
    // A longer name does not stand for a shorter one.
    assert!(!defines("fn placed_late(", "placed"));
}
