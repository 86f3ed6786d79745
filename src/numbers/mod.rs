//! Numbers, trunks and mailboxes.
//!
//! A number (DID) belongs to one group; faxes for it are mailed to its recipients, to each in their form. A trunk carries
//! calls of all tenants. A mailbox is one tenant's: the mails in it are faxed.

#[macro_use]
mod words;
mod did;
mod mailbox;
mod mailbox_state;
mod recipient;
mod trunk;
mod trunk_state;

pub use did::{
    NewNumber, Number, add_number, add_recipient, all_numbers, first_of_group, number_by_e164,
    of_group, recipients_of,
};
pub use mailbox::{
    Credentials, Mailbox, NumbersIn, OAuth, Security, add_mailbox, change_mailbox, mailbox_by_name,
    mailboxes, remove_mailbox, renew_credentials,
};
pub use mailbox_state::{
    MailboxState, lease_mailbox, mailbox_alerted, mailbox_digested, mailbox_failed, mailbox_polled,
    mailbox_states, mailbox_words, release_mailbox,
};
pub use recipient::{
    Form, Large, Recipient, change_recipient, is_confined, recipient, recipients, remove_recipient,
};
pub use trunk::{
    MediaFrom, NumberFormat, Route, T38Policy, Transport, Trunk, add_trunk, change_trunk, network,
    remove_trunk, trunk_by_name, trunks, trunks_for,
};
pub use trunk_state::{Reach, ToldState, TrunkState, ago, state_words, tell_state, told_states};

#[cfg(test)]
mod tests;
