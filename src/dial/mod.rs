//! The number grammar and the dial plan.
//!
//! [`parse_address`] turns the part of an address before the `@` into an [`Address`], [`parse`] a number alone
//! into a [`Destination`]; [`NotANumber`] says in words what a user should write instead. [`possible`] refuses
//! what can't exist anywhere, [`password_of`] reads the password that a mail gives; whether a number that can exist does is for the trunk to say.

mod countries;
mod grammar;
mod leading;
mod password;

use std::fmt;

pub use crate::policy::dial::DialPlan;
pub use countries::possible;
pub use grammar::{parse, parse_address};
pub use leading::leading;
pub use password::{NotAPassword, PASSWORD_HEADER, Password, password_of};

/// A number that may be dialled, in E.164 with the plus sign. Made by [`parse`], or read back by
/// [`Destination::from_record`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(String);

impl Destination {
    /// `+33123456789`: a plus sign and 3 to 15 digits (E.164 §6).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A destination that was stored: its form is checked, the dial plan is not asked again.
    #[must_use]
    pub fn from_record(e164: &str) -> Option<Self> {
        let digits = e164.strip_prefix('+')?;
        let sound = (3..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        sound.then(|| Self(e164.to_owned()))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a fax goes: a number, and who behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The number.
    pub destination: Destination,
    /// Who or what behind the number's fax machine.
    pub sub_address: Option<SubAddress>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.destination.fmt(f)?;
        match &self.sub_address {
            Some(sub_address) => write!(f, "/T33S={sub_address}"),
            None => Ok(()),
        }
    }
}

/// A sub-address (T.33): 1 to 20 of digits, `#` and `*`, as a SUB frame has them (T.30 §5.3.6.2.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAddress(String);

impl SubAddress {
    /// A sub-address that was stored, or read elsewhere: its form is checked.
    #[must_use]
    pub fn from_record(text: &str) -> Option<Self> {
        grammar::sub_address(text).ok()
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something is no number that faxes can be sent to. Trying again never helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotANumber {
    /// What the user reads after "… is not a fax number: "; no full stop at its end.
    pub reason: String,
}
