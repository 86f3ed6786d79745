//! x

pub mod line;
