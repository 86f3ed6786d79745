//! The end of the process, when what is on the disk is no longer known.

/// Ends the process at once, saying why. For failed flushes only: after `fsync` has failed, the
/// kernel may have dropped the dirty pages and a second `fsync` would lie; a restart reads what is
/// really there.
pub fn end_process(sentence: &str) -> ! {
    tracing::error!("{sentence}");
    // The log may be buffered, and nothing runs after abort.
    eprintln!("faxpost ends: {sentence}");
    std::process::abort()
}
