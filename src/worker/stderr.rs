//! What a child writes to its standard error, told to the log without the document in it.
//!
//! A child writes there only when it is in trouble: the runtime's last words, or our panic hook's
//! place of the panic. Libraries may write more, and that may quote the document, so only lines of
//! a known shape are logged, and of the others how many bytes they had.

use std::io::{BufRead, BufReader, Read};

/// The longest line that is looked at; more of it is skipped.
const MAX_LINE: u64 = 512;

/// Why the runtime gave up, by its last words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastWords {
    /// An allocation failed.
    OutOfMemory,
    /// A thread's stack ran over.
    StackOverflow,
}

/// What a line of a child's standard error is.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Words(LastWords),
    /// File, line and column of a panic.
    Panic(&'a str),
    Other,
}

/// The start of the line that [`report_panics`] writes.
const PANIC: &str = "panic at ";

/// In a child: a panic writes where it happened, not its message, which may quote the document.
pub(super) fn report_panics() {
    std::panic::set_hook(Box::new(|info| match info.location() {
        Some(place) => eprintln!("{PANIC}{place}"),
        None => eprintln!("{PANIC}somewhere"),
    }));
}

/// Reads a child's standard error to its end and logs what may be logged. Returns the last words.
pub(super) fn follow(from: impl Read, kind: &'static str, child: u64) -> Option<LastWords> {
    let mut reader = BufReader::new(from);
    let mut last = None;
    let mut hidden = 0;
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        match classify(&String::from_utf8_lossy(&line)) {
            Line::Words(words) => {
                tracing::warn!(kind, child, ?words, "worker gave up");
                last = Some(words);
            }
            Line::Panic(place) => tracing::warn!(kind, child, place, "worker panicked"),
            Line::Other => hidden += line.len(),
        }
    }
    if hidden > 0 {
        tracing::debug!(
            kind,
            child,
            hidden_bytes = hidden,
            "worker wrote more, which is not shown"
        );
    }
    last
}

fn classify(line: &str) -> Line<'_> {
    let line = line.trim_end();
    // std's words: `memory allocation of 1024 bytes failed`, and
    // `thread 'name' (7) has overflowed its stack`.
    if line.starts_with("memory allocation of ") {
        return Line::Words(LastWords::OutOfMemory);
    }
    if line.starts_with("thread ") && line.ends_with("has overflowed its stack") {
        return Line::Words(LastWords::StackOverflow);
    }
    match line.strip_prefix(PANIC) {
        Some(place) if is_place(place) => Line::Panic(place),
        _ => Line::Other,
    }
}

/// Whether this looks like `crates/paper/src/pdf.rs:17:5`.
fn is_place(place: &str) -> bool {
    place.len() < 256
        && place
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-./:+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines_are_told_apart() {
        let memory = "memory allocation of 1073741824 bytes failed\n";
        assert_eq!(classify(memory), Line::Words(LastWords::OutOfMemory));
        let stack = "thread 'render' (4711) has overflowed its stack\n";
        assert_eq!(classify(stack), Line::Words(LastWords::StackOverflow));
        let panic = "panic at src/worker/paper.rs:17:5\n";
        assert_eq!(classify(panic), Line::Panic("src/worker/paper.rs:17:5"));
    }

    #[test]
    fn anything_else_is_hidden() {
        for line in [
            "Dear Dr Brown",
            "panic at the disco, he said",
            "",
            "\u{fffd}\u{fffd}",
        ] {
            assert_eq!(classify(line), Line::Other, "{line:?}");
        }
    }

    #[test]
    fn the_last_words_survive_noise_and_long_lines() {
        let mut text = b"some library: \xff\xfe warning\n".to_vec();
        text.extend([b'x'; 5000]);
        text.extend(b"\n\nmemory allocation of 7 bytes failed\nbye");
        assert_eq!(follow(&*text, "paper", 1), Some(LastWords::OutOfMemory));
        assert_eq!(follow(&b"all well\n"[..], "paper", 1), None);
    }
}
