//! `docs/dependencies.md` has a line for every crate that a manifest names, and no other.

use std::{collections::BTreeSet, fs, path::Path};

const MANIFESTS: &[&str] = &[
    "Cargo.toml",
    "crates/t4/Cargo.toml",
    "crates/paper/Cargo.toml",
    "crates/fax/Cargo.toml",
    "fuzz/Cargo.toml",
];

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The crates in the tables of dependencies of a manifest, our own left out.
fn named(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(toml::Table::keys)
        .filter(|name| name.split('-').next() != Some("faxpost"))
        .cloned()
        .collect()
}

/// The rows of the page's tables: crate, why, licence.
fn rows(page: &str) -> Vec<[&str; 3]> {
    page.lines()
        .filter_map(|line| {
            let cells: Vec<_> = line
                .strip_prefix("| `")?
                .split('|')
                .map(str::trim)
                .collect();
            let [name, why, licence, ""] = cells[..] else {
                panic!("a row has three cells: {line}");
            };
            Some([name.trim_end_matches('`'), why, licence])
        })
        .collect()
}

#[test]
fn every_direct_dependency_has_its_line_and_no_line_is_stale() {
    let named: BTreeSet<String> = MANIFESTS
        .iter()
        .flat_map(|path| named(&text(path)))
        .collect();
    assert!(named.len() > 40, "{named:?}");
    let page = text("docs/dependencies.md");
    let rows = rows(&page);
    let told: BTreeSet<String> = rows.iter().map(|[name, ..]| (*name).to_owned()).collect();
    let untold: Vec<_> = named.difference(&told).collect();
    let stale: Vec<_> = told.difference(&named).collect();
    assert!(untold.is_empty(), "without a line: {untold:?}");
    assert!(stale.is_empty(), "no manifest names: {stale:?}");
    assert_eq!(told.len(), rows.len(), "a crate has two lines");
    for [name, why, licence] in rows {
        assert!(
            !why.is_empty() && !licence.is_empty(),
            "{name}: {why:?}, {licence:?}"
        );
    }
}

#[test]
fn what_is_absent_stays_absent() {
    let page = text("docs/dependencies.md");
    for absent in ["samotop", "pdf"] {
        assert!(
            page.contains(&format!("**`{absent}`**")),
            "{absent}: the evidence"
        );
        for path in MANIFESTS {
            assert!(
                !named(&text(path)).contains(absent),
                "{path} names {absent}"
            );
        }
    }
}
