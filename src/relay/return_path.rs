//! Return paths of our own: an address for each mail, so that what comes back says which one it was.
//!
//! `bounce+MAILTAG@domain`: the mail's id and a keyed tag, which only we can make. Who saw a mail of ours knows its
//! address; with it they can say, once, that this one mail failed, as any mail system on its way could.

use crate::{
    people,
    store::{Store, StoreError},
    tokens::Tokens,
};

/// For [`super::NewMail::return_path`]: one of our own, made when the mail is sent.
pub const OWN_PATH: &str = "bounce";

const PREFIX: &str = "bounce+";
const PURPOSE: &str = "return-path";
/// Characters of a mail's id (ULID) and of a tag.
const ID: usize = 26;
const TAG: usize = 16;

/// Makes and knows our return paths.
#[derive(Clone, Debug)]
pub struct ReturnPaths {
    tokens: Tokens,
    /// Where mail comes to us, whoever's it is.
    domain: Option<String>,
}

impl ReturnPaths {
    /// At `domain`, else at each tenant's first fax domain.
    #[must_use]
    pub fn new(tokens: Tokens, domain: Option<String>) -> Self {
        Self { tokens, domain }
    }

    /// What MAIL FROM is for a mail whose row says `return_path`; empty where no domain's mail comes to us.
    pub(super) async fn of(
        &self,
        store: &Store,
        tenant_id: &str,
        mail_id: &str,
        return_path: &str,
    ) -> Result<String, StoreError> {
        if return_path != OWN_PATH {
            return Ok(return_path.to_owned());
        }
        let domain = match &self.domain {
            Some(domain) => Some(domain.clone()),
            None => people::first_domain(store, tenant_id).await?,
        };
        Ok(domain.map_or_else(String::new, |domain| {
            format!("{}@{domain}", self.local_part(mail_id))
        }))
    }

    fn local_part(&self, mail_id: &str) -> String {
        let id = mail_id.to_ascii_lowercase();
        format!("{PREFIX}{id}{}", self.tokens.tag(PURPOSE, &id))
    }

    /// Whether this can be a return path of ours at all.
    #[must_use]
    pub fn is_one(local_part: &str) -> bool {
        local_part
            .get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// The mail whose return path this is; none of what we did not make. Case says nothing: some change it.
    #[must_use]
    pub fn mail_of(&self, local_part: &str) -> Option<String> {
        if !Self::is_one(local_part) {
            return None;
        }
        let rest = local_part.get(PREFIX.len()..)?.to_ascii_lowercase();
        if rest.len() != ID + TAG || !rest.is_ascii() {
            return None;
        }
        let (id, tag) = rest.split_at(ID);
        let ours = self.tokens.verify(PURPOSE, id, tag);
        ours.then(|| id.to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::new_id, vault::Vault};

    #[test]
    fn promise_4_a_return_path_is_known_by_its_tag_and_by_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&Vault::open(&dir.path().join("keys")).unwrap()).unwrap();
        let paths = ReturnPaths::new(tokens, None);
        let id = new_id();
        let ours = paths.local_part(&id);
        // RFC 5321 §4.5.3.1.1
        assert!(ours.len() <= 64, "{ours}");
        assert_eq!(paths.mail_of(&ours), Some(id.clone()));
        assert_eq!(paths.mail_of(&ours.to_ascii_uppercase()), Some(id.clone()));
        let other = paths.local_part(&new_id());
        let swapped = format!("{}{}", &ours[..33], &other[33..]);
        for forged in [
            swapped.as_str(),
            &ours[..ours.len() - 1],
            &format!("bounce+{}", id.to_ascii_lowercase()),
            "bounce+",
            "bounce+é",
            "",
            "+33123456789",
            &ours.replace("bounce+", "bounces"),
        ] {
            assert_eq!(paths.mail_of(forged), None, "{forged}");
        }
    }
}
