//! Conformance scripts, one behaviour a file: see `script/mod.rs` for how they are written.

#![allow(clippy::unwrap_used)]

mod common;
mod script;

use std::{fs, path::PathBuf};

/// Plays all scripts whose name begins so.
fn all(prefix: &str, at_least: usize) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(prefix)
        })
        .collect();
    files.sort();
    // One of them alone: SCRIPT=name.
    if let Ok(wanted) = std::env::var("SCRIPT") {
        files.retain(|path| path.display().to_string().contains(&wanted));
    } else {
        assert!(files.len() >= at_least, "{} scripts {prefix}*", files.len());
    }
    let mut failed = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let played = std::panic::catch_unwind(|| script::play(&script::read(&text)));
        match played {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failed.push(format!("{name}: {why}")),
            Err(_) => failed.push(format!("{name}: see the panic above")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn what_we_send_without_error_correction() {
    all("send-plain-", 25);
}

#[test]
fn what_we_send_with_error_correction() {
    all("send-ecm-", 25);
}

#[test]
fn how_we_begin_to_send() {
    all("send-begin-", 25);
}

#[test]
fn what_we_receive() {
    all("receive-", 35);
}
