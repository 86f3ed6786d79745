//! The commented sample that `faxpost init` writes.

/// Lines that begin with `#: ` are settings at their defaults.
pub const SAMPLE: &str = include_str!("../../deploy/faxpost.toml");
