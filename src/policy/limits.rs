//! `limits.toml`: how much may come from one source, user or tenant, and go to one number.

use std::path::Path;

use serde::Deserialize;

use super::PolicyError;

pub(super) const FILE: &str = "limits.toml";
const BUILT_IN: &str = include_str!("../../policies/limits.toml");

/// All limits. 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// By the client's address.
    pub source: Source,
    /// Who proved to be a user.
    pub user: User,
    /// A guest.
    pub guest: Day,
    /// All of a tenant.
    pub tenant: Tenant,
    /// One number, for each tenant.
    pub number: Number,
}

/// What one address may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// At the connection.
    pub connections_per_minute: u32,
    /// Of clients that have not proven who they are before the message.
    pub mails_per_minute: u32,
    /// Wrong passwords.
    pub failed_logins_per_hour: u32,
    /// Mails of strangers to postmaster.
    pub postmaster_per_hour: u32,
    /// The size of one.
    pub postmaster_octets: usize,
}

/// What one user may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Mails.
    pub mails_per_minute: u32,
    /// Faxes that are accepted.
    pub faxes_per_day: u32,
    /// Pages that the far ends confirmed.
    pub pages_per_day: u32,
}

/// What may be sent in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// Faxes that are accepted.
    pub faxes_per_day: u32,
    /// Pages that the far ends confirmed.
    pub pages_per_day: u32,
}

/// What one tenant may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Mails.
    pub mails_per_minute: u32,
    /// Faxes that are accepted.
    pub faxes_per_day: u32,
    /// Pages that the far ends confirmed.
    pub pages_per_day: u32,
}

/// What may go to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Faxes that are accepted.
    pub faxes_per_day: u32,
}

/// What a day may hold for each who sends, and each number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Daily {
    /// A user.
    pub user: Day,
    /// A guest.
    pub guest: Day,
    /// All of a tenant.
    pub tenant: Day,
    /// Faxes to one number.
    pub number: u32,
}

impl Limits {
    /// The limits in `folder`, or the built-in ones.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        Self::parse(&super::text(folder, FILE, BUILT_IN)?)
    }

    /// The limits of this text.
    ///
    /// # Errors
    /// As [`Limits::load`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        super::parse(FILE, text)
    }

    /// What a day may hold.
    #[must_use]
    pub fn daily(&self) -> Daily {
        Daily {
            user: Day {
                faxes_per_day: self.user.faxes_per_day,
                pages_per_day: self.user.pages_per_day,
            },
            guest: self.guest,
            tenant: Day {
                faxes_per_day: self.tenant.faxes_per_day,
                pages_per_day: self.tenant.pages_per_day,
            },
            number: self.number.faxes_per_day,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        toml::from_str(BUILT_IN).expect("the built-in text is read by a test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_text_is_read_and_the_operators_takes_its_place() {
        let built_in = Limits::load(None).unwrap();
        assert_eq!(built_in, Limits::default());
        let guest = built_in.daily().guest;
        assert_eq!((guest.faxes_per_day, guest.pages_per_day), (20, 100));
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(FILE), text).unwrap();
        write(&BUILT_IN.replace("faxes_per_day = 20\n", "faxes_per_day = 3\n"));
        let own = Limits::load(Some(folder.path())).unwrap();
        assert_eq!(own.guest.faxes_per_day, 3);
        write(&BUILT_IN.replace("[guest]", "[guest]\nfaxes_per_hour = 1"));
        let error = Limits::load(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("limits.toml:"), "{error}");
        assert!(error.contains("faxes_per_hour"), "{error}");
        write(&BUILT_IN.replace("faxes_per_day = 20\n", "faxes_per_day = -1\n"));
        assert!(Limits::load(Some(folder.path())).is_err());
    }
}
