//! The order of the rooms: a room calls downward only, and never into another room's files.

use std::{collections::HashMap, fs, path::Path};

/// From the doors to the ground floor; rooms of one line may not call each other.
const FLOORS: &[&[&str]] = &[
    &["cli"],
    &["demo"],
    &["front", "web"],
    &["command"],
    &["submission"],
    &["queue"],
    &["inbox"],
    &["line"],
    &["relay"],
    &["letter"],
    &["people"],
    &["numbers", "books"],
    &["ledger"],
    &["recognition"],
    &["conversion"],
    &["documents"],
    &["options"],
    &["sender", "dial"],
    &["tokens"],
    &["vault"],
    &["outcome"],
    &["policy"],
    &["store", "worker", "config"],
    &["clock", "trouble", "language"],
];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

/// Every `crate::room::…` path in a source text, comments left out.
fn rooms_named(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            rooms.extend(group_heads(group));
        } else {
            let room: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            rooms.push(room);
        }
    }
    rooms
}

/// The first names in `{a::b, c::{d, e}, f}`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut head, mut heads, mut open) = (1, String::new(), Vec::new(), true);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ',' if depth == 1 => {
                heads.push(std::mem::take(&mut head));
                open = true;
                continue;
            }
            _ => {}
        }
        if depth == 1 && open {
            if c.is_alphanumeric() || c == '_' {
                head.push(c);
            } else if !head.is_empty() {
                open = false;
            }
        }
    }
    heads.push(head);
    heads.retain(|head| !head.is_empty());
    heads
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn rooms_call_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("below src");
        let first = inside
            .components()
            .next()
            .expect("a name")
            .as_os_str()
            .to_string_lossy();
        let room = first.trim_end_matches(".rs").to_owned();
        // A room's tests may call whom they need to try it.
        if room == "lib" || room == "main" || file.ends_with("tests.rs") {
            continue;
        }
        let own = floor_of(&room).unwrap_or_else(|| panic!("{room} has no place in FLOORS"));
        *seen.entry(room.clone()).or_default() += 1;
        let text = fs::read_to_string(&file).expect("a source");
        for called in rooms_named(&text) {
            if called == room {
                continue;
            }
            // Items of the crate's root (macros) have no room.
            let Some(floor) = floor_of(&called) else {
                continue;
            };
            if floor <= own {
                wrong.push(format!("{} calls {called}", inside.display()));
            }
        }
    }
    assert!(seen.len() > 15, "only {} rooms were found", seen.len());
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "upward calls:\n{}", wrong.join("\n"));
}

#[test]
fn a_group_of_uses_is_taken_apart() {
    assert_eq!(
        rooms_named(
            "use crate::{\n clock::now_ms,\n line::{Verdict, sip::Event},\n store::Store };"
        ),
        ["clock", "line", "store"]
    );
    assert_eq!(
        rooms_named("let x = crate::vault::open(); // crate::front"),
        ["vault"]
    );
}
