//! Numbers and trunks.
//!
//! A number (DID) belongs to one group; faxes for it are mailed to its recipients, to each in their form. A trunk carries
//! calls of all tenants.

#[macro_use]
mod words;
mod did;
mod recipient;
mod trunk;
mod trunk_state;

pub use did::{
    NewNumber, Number, add_number, add_recipient, all_numbers, first_of_group, number_by_e164,
    of_group, recipients_of,
};
pub use recipient::{
    Form, Large, Recipient, change_recipient, recipient, recipients, remove_recipient,
};
pub use trunk::{
    MediaFrom, NumberFormat, Route, T38Policy, Transport, Trunk, add_trunk, change_trunk, network,
    remove_trunk, trunk_by_name, trunks, trunks_for,
};
pub use trunk_state::{Reach, ToldState, TrunkState, ago, state_words, tell_state, told_states};

#[cfg(test)]
mod tests;
