//! What is fuzzed: each target takes any bytes to a reader of what comes from outside, and holds the
//! reader to more than not crashing.
//!
//! `make fuzz` runs the fuzzer over every target; `tests/corpus.rs` replays what it kept.

mod engine;
mod mail;
mod media;
mod page;

/// A target: the name of its corpus, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("t4", page::t4),
    ("tiff", page::tiff),
    ("picture", page::picture),
    ("html", page::html),
    ("zip", page::zip),
    ("tesseract", page::tesseract),
    ("udptl", media::udptl),
    ("rtp", media::rtp),
    ("sdp", media::sdp),
    ("worker_frame", media::worker_frame),
    ("t38_sender", engine::t38_sender),
    ("t38_receiver", engine::t38_receiver),
    ("audio_sender", engine::audio_sender),
    ("audio_receiver", engine::audio_receiver),
    ("smtp_data", mail::smtp_data),
    ("smtp_lines", mail::smtp_lines),
    ("mail", mail::mail),
    ("tnef", mail::tnef),
    ("number", mail::number),
    ("options", mail::options),
    ("list", mail::list),
    ("auth_results", mail::auth_results),
    ("secret", mail::secret),
    ("bounce", mail::bounce),
    ("command", mail::command),
    ("imap_wire", mail::imap_wire),
    ("leading_number", mail::leading_number),
];

/// The first byte chooses, the rest is the input.
fn choice(data: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = data.split_first()?;
    Some((usize::from(first), rest))
}
