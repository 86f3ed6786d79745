//! What holds for the options of a user's mail: where its times are, which billing codes there are, which numbers are
//! theirs to call from.

use super::{
    directory::user,
    profile::{self, Profile},
    settings::settings_for,
};
use crate::{
    numbers,
    store::{Store, StoreError},
};

/// What holds for the options of a user's mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Where the user's times are: an IANA name.
    pub time_zone: String,
    /// Their billing codes.
    pub codes: Codes,
}

/// Which billing codes a fax may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Codes {
    /// Any, or none.
    #[default]
    Free,
    /// Any, but one.
    Needed,
    /// One of these: `#` is any digit, `*` at the end anything.
    Of(Vec<String>),
}

/// A code that a fax can't go out with: a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeFault {
    /// There is none.
    #[error(
        "your organisation wants a billing code for each fax: write [code 4711] at the end of the subject, with yours"
    )]
    Missing,
    /// Another would be right. Those that are are not told: a list of clients is nobody's but the organisation's.
    #[error("your organisation has no billing code {0:?}: ask your administrator which is right")]
    Unknown(String),
}

impl Codes {
    /// As a profile has them: `any`, `needed`, or codes with spaces between.
    pub(super) fn read(text: &str) -> Self {
        match text {
            "any" => Self::Free,
            "needed" => Self::Needed,
            list => Self::Of(list.split(' ').map(str::to_owned).collect()),
        }
    }

    /// Refuses a code.
    ///
    /// # Errors
    /// [`CodeFault`].
    pub fn check(&self, code: Option<&str>) -> Result<(), CodeFault> {
        match (self, code) {
            (Self::Free, _) | (Self::Needed, Some(_)) => Ok(()),
            (_, None) => Err(CodeFault::Missing),
            (Self::Of(all), Some(code)) => match all.iter().any(|known| fits(known, code)) {
                true => Ok(()),
                false => Err(CodeFault::Unknown(code.to_owned())),
            },
        }
    }
}

fn fits(known: &str, code: &str) -> bool {
    let (known, open) = match known.strip_suffix('*') {
        Some(known) => (known, true),
        None => (known, false),
    };
    let same = |(known, c): (char, char)| match known {
        '#' => c.is_ascii_digit(),
        _ => known.to_lowercase().eq(c.to_lowercase()),
    };
    let (length, has) = (known.chars().count(), code.chars().count());
    (has == length || open && has > length) && known.chars().zip(code.chars()).all(same)
}

/// What holds for the options of a user's mail.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such user.
pub async fn terms_for(store: &Store, tenant_id: &str, user_id: &str) -> Result<Terms, StoreError> {
    let (profiles, time_zone) = profile::of_user(store, tenant_id, user_id).await?;
    let said = |profile: &Profile| profile.said("code").map(Codes::read);
    let codes = profiles.iter().find_map(said).unwrap_or_default();
    Ok(Terms { time_zone, codes })
}

/// The numbers that a user may call from, E.164: their group's, and the one that is set for them.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such user.
pub async fn callers_for(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
) -> Result<Vec<String>, StoreError> {
    let user = user(store, tenant_id, user_id).await?;
    let group = user.ok_or(StoreError::Missing("user"))?.group_id;
    let mut all = numbers::of_group(store, tenant_id, &group).await?;
    let own = settings_for(store, tenant_id, user_id).await?.caller_number;
    if let Some(own) = own.filter(|own| !all.contains(own)) {
        all.push(own);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_checked_by_pattern() {
        let codes = Codes::read("4711 47## AB-*");
        for good in ["4711", "4799", "ab-1", "AB-x y"] {
            assert_eq!(codes.check(Some(good)), Ok(()), "{good}");
        }
        for bad in ["471", "47111", "47a1", "AB", "XAB-1", "47##", "47#1", ""] {
            let fault = Err(CodeFault::Unknown(bad.to_owned()));
            assert_eq!(codes.check(Some(bad)), fault, "{bad}");
        }
        assert_eq!(codes.check(None), Err(CodeFault::Missing));
        assert_eq!(Codes::Needed.check(None), Err(CodeFault::Missing));
        assert_eq!(Codes::Needed.check(Some("x")), Ok(()));
        assert_eq!(Codes::default().check(None), Ok(()));
    }
}
