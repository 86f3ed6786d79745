//! Tokens: what stands in a mail of ours, comes back in an answer to it, and says which mail that was.
//!
//! A token is a nonce and an HMAC-SHA-256 over tenant, action, subject, the address that it was mailed to, nonce and
//! expiry. The table has all of these but the key: whoever reads it can make no token, and whoever writes a row in it has
//! none that fits. It is 48 letters of base32 (RFC 4648 §6), whose case says nothing, since mail programs change that of
//! addresses; with a word and a sign before it, it stands in a local part (RFC 5321 §4.5.3.1.1: 64 octets).
//!
//! **A token says which mail is answered, not who answers**: mails are forwarded, quoted and archived. Whoever acts on one
//! proves the sender besides and holds them against [`Token::address`].
//!
//! It serves once: [`Tokens::consume`] writes that in the transaction of what it lets be done, by one conditional update,
//! so that of two answers at once, on two nodes too, one does it.
//!
//! [`Tokens::tag`] signs without a row, for what may come back many times: a return path.

mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use data_encoding::BASE32_NOPAD;

use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx},
    vault::{Signer, Vault, VaultError},
};
pub use table::{revoke, sweep};

/// Octets of a nonce, and of the code behind it: 16 letters and 32.
const NONCE: usize = 10;
const CODE: usize = 20;
/// Letters of a token.
pub const LETTERS: usize = (NONCE + CODE) * 8 / 5;
/// Octets of a tag: 16 letters. Forging one takes 2^79 tries at a door that answers each.
const TAG: usize = 10;

/// Makes and knows tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Signer>);

/// What a token is to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Whose.
    pub tenant_id: String,
    /// What it lets be done; a word of the caller's.
    pub action: String,
    /// To what: an id, or the exact text of a command.
    pub subject: String,
    /// Who alone may use it: a mail address, whatever its case.
    pub address: String,
    /// Until when, Unix milliseconds.
    pub expires_at: Millis,
}

/// A token that was drawn and is not on record: nobody can use it before [`Tokens::record`] is committed.
#[derive(Clone, PartialEq, Eq)]
pub struct Drawn {
    text: String,
    token: Token,
}

impl Drawn {
    /// The token: [`LETTERS`] small letters and digits from 2 to 7.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A token that is ours, unused and not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    nonce: String,
    /// Whose.
    pub tenant_id: String,
    /// What it lets be done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Who alone may use it, lower case.
    pub address: String,
    /// Until when.
    pub expires_at: Millis,
}

impl Token {
    /// What is this token's alone.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }
}

/// Why a token lets nothing be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not one of ours, or one that was over long ago.
    #[error(
        "the code in this address is none of ours: reply to the mail as it is, without changing its address"
    )]
    Unknown,
    /// It has served.
    #[error("this mail was answered already, and an answer counts once")]
    Used,
    /// Its time is over.
    #[error("the time in which this mail could be answered is over")]
    Expired,
}

impl Tokens {
    /// Signs with the vault's key for tokens, which is made at the first time.
    ///
    /// # Errors
    /// The folder of keys can't be read or written.
    pub fn open(vault: &Vault) -> Result<Self, VaultError> {
        Ok(Self(Arc::new(vault.signer("tokens")?)))
    }

    /// Draws a token. It counts once [`Self::record`] is committed, best with the mail that it stands in.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn draw(&self, new: NewToken) -> std::io::Result<Drawn> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
        let token = Token {
            nonce: letters(&nonce),
            tenant_id: new.tenant_id,
            action: new.action,
            subject: new.subject,
            address: new.address.to_lowercase(),
            expires_at: new.expires_at,
        };
        let code: [u8; CODE] = self
            .0
            .sign(&fields(&token, &token.expires_at.to_be_bytes()));
        let text = format!("{}{}", token.nonce, letters(&code));
        Ok(Drawn { text, token })
    }

    /// Puts a token on record.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record(&self, tx: &mut Tx, drawn: &Drawn) -> Result<(), StoreError> {
        table::insert(tx, &drawn.token).await
    }

    /// Reads a token, in letters of any case: it is ours, unused and not over, or why not. What is not ours is told
    /// nothing of what is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn read(
        &self,
        store: &Store,
        text: &str,
    ) -> Result<Result<Token, Invalid>, StoreError> {
        if text.len() != LETTERS || !text.is_ascii() {
            return Ok(Err(Invalid::Unknown));
        }
        let (nonce, code) = text.split_at(NONCE * 8 / 5);
        let Ok(code) = BASE32_NOPAD.decode(code.to_ascii_uppercase().as_bytes()) else {
            return Ok(Err(Invalid::Unknown));
        };
        let Some((token, used)) = table::find(store, &nonce.to_ascii_lowercase()).await? else {
            return Ok(Err(Invalid::Unknown));
        };
        let expires_at = token.expires_at.to_be_bytes();
        Ok(if !self.0.signed(&fields(&token, &expires_at), &code) {
            Err(Invalid::Unknown)
        } else if used {
            Err(Invalid::Used)
        } else if token.expires_at <= now_ms() {
            Err(Invalid::Expired)
        } else {
            Ok(token)
        })
    }

    /// Uses a token up, in the transaction of what it lets be done; `false` when it has served or is over: then nothing
    /// may be done.
    ///
    /// # Errors
    /// What the database says.
    pub async fn consume(&self, tx: &mut Tx, token: &Token) -> Result<bool, StoreError> {
        table::consume(tx, token).await
    }

    /// Signs a text for a purpose, without a record: 16 letters and digits for a local part. There is no end to it, so
    /// put a day into the text where there should be one.
    #[must_use]
    pub fn tag(&self, purpose: &str, text: &str) -> String {
        let code: [u8; TAG] = self.0.sign(&[b"tag", purpose.as_bytes(), text.as_bytes()]);
        letters(&code)
    }

    /// Whether a tag, in letters of any case, is that of this text for this purpose.
    #[must_use]
    pub fn verify(&self, purpose: &str, text: &str, tag: &str) -> bool {
        let code = BASE32_NOPAD.decode(tag.to_ascii_uppercase().as_bytes());
        let fields: [&[u8]; 3] = [b"tag", purpose.as_bytes(), text.as_bytes()];
        code.is_ok_and(|code| code.len() == TAG && self.0.signed(&fields, &code))
    }
}

/// What is signed.
fn fields<'a>(token: &'a Token, expires_at: &'a [u8; 8]) -> [&'a [u8]; 7] {
    [
        b"token",
        token.tenant_id.as_bytes(),
        token.action.as_bytes(),
        token.subject.as_bytes(),
        token.address.as_bytes(),
        token.nonce.as_bytes(),
        expires_at,
    ]
}

fn letters(octets: &[u8]) -> String {
    BASE32_NOPAD.encode(octets).to_ascii_lowercase()
}
