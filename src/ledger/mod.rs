//! Units: held when a job is accepted, settled once by the pages that the far end confirmed.

mod holds;

pub use crate::policy::tariffs::{Tariff, Tariffs};
pub use holds::{NewHold, Settlement, hold, hold_all, settle};

#[cfg(test)]
mod tests;
