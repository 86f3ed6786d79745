//! Who sent it: proof, and the user it maps to.
//!
//! The From line alone proves nothing (promise 4). [`claim`] judges the envelope while the client can
//! still be told at MAIL; [`Claim::prove`] then holds the From line against it and makes a
//! [`VerifiedSender`], which is made nowhere else.

mod refusal;

use std::net::IpAddr;

use async_trait::async_trait;

pub use crate::policy::sender::SenderRules;
pub use refusal::Refusal;

/// A user, as far as proof is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Whose customer they are.
    pub tenant_id: String,
    /// The user.
    pub user_id: String,
    /// Their group, which pays.
    pub group_id: String,
    /// Their primary mail address: reports go there.
    pub address: String,
}

/// Who has which mail address.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The user that `address` belongs to, whatever its case.
    ///
    /// # Errors
    /// [`DirectoryDown`]: nothing can be said now.
    async fn person_by_address(&self, address: &str) -> Result<Option<Person>, DirectoryDown>;
}

/// The directory can't be asked now; trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory of users can't be read just now")]
pub struct DirectoryDown;

/// What proved a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The peer is in a listed network.
    Network(IpAddr),
    /// SMTP AUTH as this user (RFC 4954).
    Password,
}

/// A user who was proven to have sent a message. Its fields are private so that only
/// [`Claim::prove`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSender {
    person: Person,
    proof: Proof,
}

impl VerifiedSender {
    /// The sender's tenant.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.person.tenant_id
    }

    /// The sender.
    #[must_use]
    pub fn user(&self) -> &Person {
        &self.person
    }

    /// What proved them.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The proof in words for the record: `network 127.0.0.1`, `password`.
    #[must_use]
    pub fn proof_words(&self) -> String {
        match &self.proof {
            Proof::Network(peer) => format!("network {peer}"),
            Proof::Password => "password".into(),
        }
    }
}

/// What the connection says of the sender before any mail.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// The peer's address.
    pub address: IpAddr,
    /// Who gave a right password on this connection.
    pub login: Option<&'a Person>,
}

/// A sender whose envelope is proven and whose From line is still to be read.
#[derive(Clone, Debug)]
pub struct Claim {
    person: Person,
    proof: Proof,
    /// Lower case.
    reverse_path: String,
}

impl Claim {
    /// Whose customer the sender is.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.person.tenant_id
    }

    /// Who the sender says to be, proven for the envelope.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.person.user_id
    }

    /// Holds the message's From addresses against the envelope: there must be one From line with one
    /// address (RFC 5322 §3.6.2 allows more, but then nobody can say who sent it), and it must belong
    /// to the same user. `from` holds the addresses of each From line.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn prove(
        self,
        from: &[Vec<String>],
        directory: &dyn Directory,
    ) -> Result<VerifiedSender, Refusal> {
        let [line] = from else {
            return Err(Refusal::FromLines(from.len()));
        };
        let [address] = line.as_slice() else {
            return Err(Refusal::FromAddresses(line.len()));
        };
        let address = address.to_lowercase();
        if address != self.reverse_path {
            match directory.person_by_address(&address).await? {
                Some(person) if person.user_id == self.person.user_id => {}
                _ => return Err(Refusal::FromDiffers(address)),
            }
        }
        Ok(VerifiedSender {
            person: self.person,
            proof: self.proof,
        })
    }
}

/// Judges the envelope sender: the peer must prove it, and it must be an address of a user (of the
/// very user, after SMTP AUTH). `reverse_path` is the address in MAIL, empty for `<>`.
///
/// # Errors
/// [`Refusal`].
pub async fn claim(
    rules: &SenderRules,
    peer: Peer<'_>,
    reverse_path: &str,
    directory: &dyn Directory,
) -> Result<Claim, Refusal> {
    // RFC 5321 §4.5.5: only reports of mail systems come from <>, and they are no documents.
    if reverse_path.is_empty() {
        return Err(Refusal::NullReversePath);
    }
    let reverse_path = reverse_path.to_lowercase();
    let proof = match peer.login {
        Some(_) => Proof::Password,
        None if rules.trusts(peer.address) => Proof::Network(peer.address.to_canonical()),
        None => return Err(Refusal::Unproven),
    };
    let person = match (
        directory.person_by_address(&reverse_path).await?,
        peer.login,
    ) {
        (Some(person), None) => person,
        (Some(person), Some(login)) if person.user_id == login.user_id => person,
        (_, Some(_)) => return Err(Refusal::NotTheLogins(reverse_path)),
        (None, None) => return Err(Refusal::Unknown(reverse_path)),
    };
    Ok(Claim {
        person,
        proof,
        reverse_path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Town;

    #[async_trait]
    impl Directory for Town {
        async fn person_by_address(&self, address: &str) -> Result<Option<Person>, DirectoryDown> {
            let user_id = match address {
                "ada@example.com" | "ada.l@example.com" => "ada",
                "bob@example.com" => "bob",
                "down@example.com" => return Err(DirectoryDown),
                _ => return Ok(None),
            };
            Ok(Some(person(user_id)))
        }
    }

    fn person(user_id: &str) -> Person {
        Person {
            tenant_id: "t".into(),
            user_id: user_id.into(),
            group_id: "g".into(),
            address: format!("{user_id}@example.com"),
        }
    }

    async fn try_all(
        address: &str,
        login: Option<&str>,
        reverse_path: &str,
        from: &[&[&str]],
    ) -> Result<VerifiedSender, Refusal> {
        let rules = SenderRules::load(None).unwrap();
        let login = login.map(person);
        let peer = Peer {
            address: address.parse().unwrap(),
            login: login.as_ref(),
        };
        let from: Vec<Vec<String>> = from
            .iter()
            .map(|line| line.iter().map(|address| (*address).to_owned()).collect())
            .collect();
        claim(&rules, peer, reverse_path, &Town)
            .await?
            .prove(&from, &Town)
            .await
    }

    const HERE: &str = "127.0.0.1";
    const AWAY: &str = "203.0.113.5";

    #[tokio::test]
    async fn a_listed_network_or_a_password_proves() {
        let ada: &[&[&str]] = &[&["ada@example.com"]];
        let sender = try_all(HERE, None, "Ada@Example.com", ada).await.unwrap();
        assert_eq!(sender.user().user_id, "ada");
        assert_eq!(sender.proof_words(), "network 127.0.0.1");
        let sender = try_all(AWAY, Some("ada"), "ada@example.com", ada)
            .await
            .unwrap();
        assert_eq!(sender.proof(), &Proof::Password);
        // Another address of the same user is theirs too.
        assert!(
            try_all(HERE, None, "ada@example.com", &[&["Ada.L@example.com"]])
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn nobody_sends_as_another() {
        use Refusal as R;
        let bob: &[&[&str]] = &[&["bob@example.com"]];
        let refused = |result: Result<VerifiedSender, R>| result.expect_err("must be refused");
        assert_eq!(
            refused(try_all(AWAY, None, "bob@example.com", bob).await),
            R::Unproven
        );
        assert_eq!(
            refused(try_all(HERE, None, "ada@example.com", bob).await),
            R::FromDiffers("bob@example.com".into())
        );
        assert_eq!(
            refused(try_all(HERE, Some("ada"), "bob@example.com", bob).await),
            R::NotTheLogins("bob@example.com".into())
        );
        assert_eq!(
            refused(try_all(HERE, Some("ada"), "ada@example.com", bob).await),
            R::FromDiffers("bob@example.com".into())
        );
        assert_eq!(
            refused(try_all(HERE, None, "eve@example.net", bob).await),
            R::Unknown("eve@example.net".into())
        );
        assert_eq!(
            refused(try_all(HERE, None, "", bob).await),
            R::NullReversePath
        );
        assert_eq!(
            refused(try_all(HERE, None, "down@example.com", bob).await),
            R::Directory(DirectoryDown)
        );
    }

    #[tokio::test]
    async fn there_is_one_from_line_with_one_address() {
        let ada = "ada@example.com";
        let lines = |from: &'static [&'static [&'static str]]| async move {
            try_all(HERE, None, ada, from)
                .await
                .expect_err("must be refused")
        };
        assert_eq!(lines(&[]).await, Refusal::FromLines(0));
        assert_eq!(
            lines(&[&["bob@example.com"], &["ada@example.com"]]).await,
            Refusal::FromLines(2)
        );
        assert_eq!(
            lines(&[&["ada@example.com"], &["ada@example.com"]]).await,
            Refusal::FromLines(2)
        );
        assert_eq!(
            lines(&[&["ada@example.com", "bob@example.com"]]).await,
            Refusal::FromAddresses(2)
        );
        assert_eq!(lines(&[&[]]).await, Refusal::FromAddresses(0));
    }
}
