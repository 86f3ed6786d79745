//! What the tables of both databases must have in common.

use std::{collections::BTreeMap, fs, path::Path};

fn folder(name: &str) -> BTreeMap<String, String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(name);
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The text without its comments.
fn bare(sql: &str) -> String {
    sql.lines()
        .map(|line| line.split("--").next().unwrap_or_default().trim_end())
        .filter(|line| !line.trim().is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Each `CREATE TABLE`: its name and its lines of columns and constraints.
fn tables(sql: &str) -> Vec<(String, Vec<String>)> {
    bare(sql)
        .split(';')
        .filter_map(|statement| {
            let (head, body) = statement
                .trim()
                .strip_prefix("CREATE TABLE ")?
                .split_once('(')?;
            let body = body.trim_end().strip_suffix(')')?;
            let lines = body.lines().map(|line| line.trim().to_owned());
            Some((
                head.trim().to_owned(),
                lines.filter(|l| !l.is_empty()).collect(),
            ))
        })
        .collect()
}

#[test]
fn the_folders_differ_in_blob_and_bytea_only() {
    let (sqlite, postgres) = (folder("sqlite"), folder("postgres"));
    assert!(sqlite.keys().eq(postgres.keys()), "the same files in both");
    for (name, text) in &sqlite {
        assert!(!bare(text).contains("BYTEA"), "sqlite/{name}");
        assert!(!bare(&postgres[name]).contains("BLOB"), "postgres/{name}");
        let words = |sql: &str| {
            bare(sql)
                .replace("BYTEA", "BLOB")
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(text), words(&postgres[name]), "{name}");
    }
}

#[test]
fn columns_are_portable_and_every_table_names_its_tenant() {
    let mut seen = 0;
    for (file, text) in folder("sqlite") {
        for (table, lines) in tables(&text) {
            seen += 1;
            assert!(
                lines.iter().any(|line| line.starts_with("tenant_id ")),
                "{file}: {table} has no tenant_id"
            );
            for line in lines {
                let mut words = line.trim_end_matches(',').split_whitespace();
                let (name, kind) = (words.next().unwrap(), words.next().unwrap_or_default());
                if matches!(name, "UNIQUE" | "PRIMARY" | "FOREIGN" | "CHECK") {
                    continue;
                }
                assert!(
                    matches!(kind, "TEXT" | "BIGINT" | "BLOB"),
                    "{file}: {table}.{name} is {kind:?}"
                );
            }
        }
    }
    assert!(seen >= 20, "the lint reads the tables: {seen}");
}
