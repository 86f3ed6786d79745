//! Numbers and trunks.
//!
//! A number (DID) belongs to one group; faxes for it are mailed to its recipients. A trunk carries
//! calls of all tenants.

mod did;
mod trunk;

pub use did::{
    NewNumber, Number, add_number, add_recipient, all_numbers, first_of_group, number_by_e164,
    recipients_of,
};
pub use trunk::{NewTrunk, T38Policy, Trunk, add_trunk, set_trunk_active, trunk, trunks};

#[cfg(test)]
mod tests;
