//! Units: held when a job is accepted, settled once by the pages that the far end confirmed;
//! and what was sent in a day.

mod holds;
mod usage;

pub use crate::policy::tariffs::{Tariff, Tariffs};
pub use holds::{NewHold, Settlement, hold, hold_all, settle};
pub use usage::{
    Counter, Day, Subject, count, counted, forget_counts, pages_since, pages_until_now,
};

#[cfg(test)]
mod tests;
