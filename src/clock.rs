//! The wall clock, in the unit of every table.

/// Unix time in milliseconds.
pub type Millis = i64;

/// Now, in Unix milliseconds.
#[must_use]
pub fn now_ms() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}
