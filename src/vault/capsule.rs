//! The sealed format; `docs/capsule.md` is its page.
//!
//! ```text
//! header   "FXP1" version kind alg item[16] tenant[16] day[4] prefix[7]      50 octets
//! wrap     nonce[12] AES-256-GCM(transit key, data key, aad = header)[48]    60 octets, custody only
//! chunks   STREAM-BE32(AES-256-GCM, data key, prefix, aad = header), 64 KB clear each
//! ```

use std::{io, path::Path};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use thiserror::Error;
use ulid::Ulid;
use zeroize::Zeroizing;

use super::{
    Clear, Day, Signer,
    keys::{KEY, TransitKeys},
};
use crate::trouble::Trouble;

const MAGIC: [u8; 4] = *b"FXP1";
const VERSION: u8 = 1;
/// Kinds: custody is sealed with a transit key, archive (2) to people's public keys.
const KIND_CUSTODY: u8 = 1;
/// AES-256-GCM in STREAM-BE32, chunks of 64 KB.
const ALG_AES_256_GCM_STREAM: u8 = 1;
const ID: usize = 16;
const NONCE: usize = 12;
const PREFIX: usize = 7;
const TAG: usize = 16;
const HEADER: usize = 4 + 3 + ID + ID + 4 + PREFIX;
const WRAP: usize = NONCE + KEY + TAG;
/// Clear octets of each chunk but the last.
const CHUNK: usize = 64 * 1024;

/// What can go wrong with sealing and opening.
#[derive(Debug, Error)]
pub enum VaultError {
    /// An id is not a ULID.
    #[error("{0:?} is not a ULID")]
    BadId(String),
    /// The key of the day was destroyed, or never was on this machine.
    #[error("there is no transit key of day {0}")]
    NoKey(Day),
    /// Not this format, or a version, kind or algorithm that is not known.
    #[error("not a sealed item: {0}")]
    Format(&'static str),
    /// The item is another one's, or is damaged, cut off or put together from others.
    #[error("the sealed item is damaged or is not the one asked for")]
    Damaged,
    /// Sealing failed: more than 2^32 chunks.
    #[error("too large to seal")]
    TooLarge,
    /// The folder of the keys or the system's randomness failed.
    #[error("the keys: {0}")]
    Keys(#[from] io::Error),
}

impl VaultError {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Keys(_) => Trouble::Temporary,
            _ => Trouble::Permanent,
        }
    }
}

/// Sealed bytes. Made only by [`Vault::seal`] and by reading blobs, so clear bytes can't pass for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes bytes that were read back from where sealed ones are kept.
    ///
    /// # Errors
    /// [`VaultError::Format`] when they don't begin as sealed ones do.
    pub fn from_stored(bytes: Vec<u8>) -> Result<Self, VaultError> {
        Header::read(&bytes)?;
        Ok(Self(bytes))
    }

    /// The octets to store.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// How many octets.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} octets)", self.0.len())
    }
}

/// The first octets of every sealed item, authenticated with all that follows.
struct Header {
    item: [u8; ID],
    tenant: [u8; ID],
    day: Day,
    prefix: [u8; PREFIX],
}

impl Header {
    fn write(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let parts: [&[u8]; 6] = [
            &MAGIC,
            &[VERSION, KIND_CUSTODY, ALG_AES_256_GCM_STREAM],
            &self.item,
            &self.tenant,
            &self.day.to_be_bytes(),
            &self.prefix,
        ];
        let mut at = 0;
        for part in parts {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        out
    }

    fn read(bytes: &[u8]) -> Result<Self, VaultError> {
        let (head, _) = bytes
            .split_first_chunk::<HEADER>()
            .ok_or(VaultError::Format("it is too short"))?;
        let (magic, rest) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(VaultError::Format("it does not begin with FXP1"));
        }
        let (says, rest) = rest.split_at(3);
        match says {
            [VERSION, KIND_CUSTODY, ALG_AES_256_GCM_STREAM] => {}
            [VERSION, KIND_CUSTODY, _] => return Err(VaultError::Format("unknown algorithm")),
            [VERSION, ..] => return Err(VaultError::Format("it is not of the kind custody")),
            _ => return Err(VaultError::Format("unknown version")),
        }
        let (item, rest) = rest.split_at(ID);
        let (tenant, rest) = rest.split_at(ID);
        let (day, prefix) = rest.split_at(4);
        let wrong = |_| VaultError::Format("its header is wrong");
        Ok(Self {
            item: item.try_into().map_err(wrong)?,
            tenant: tenant.try_into().map_err(wrong)?,
            day: Day::from_be_bytes(day.try_into().map_err(wrong)?),
            prefix: prefix.try_into().map_err(wrong)?,
        })
    }
}

/// Everything of an item that is drawn by lot.
struct Lot {
    data_key: Zeroizing<[u8; KEY]>,
    prefix: [u8; PREFIX],
    wrap_nonce: [u8; NONCE],
}

impl Lot {
    fn draw() -> Result<Self, VaultError> {
        let mut lot = Self {
            data_key: Zeroizing::new([0; KEY]),
            prefix: [0; PREFIX],
            wrap_nonce: [0; NONCE],
        };
        // One call to the system for all three.
        let mut octets = Zeroizing::new([0; KEY + PREFIX + NONCE]);
        getrandom::fill(&mut *octets).map_err(io::Error::other)?;
        lot.data_key.copy_from_slice(&octets[..KEY]);
        lot.prefix.copy_from_slice(&octets[KEY..KEY + PREFIX]);
        lot.wrap_nonce.copy_from_slice(&octets[KEY + PREFIX..]);
        Ok(lot)
    }
}

/// Seals with the transit keys of a folder.
pub struct Vault(TransitKeys);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Opens the folder of keys, and makes it (mode 0700) if there is none.
    ///
    /// # Errors
    /// [`VaultError::Keys`].
    pub fn open(keys_dir: &Path) -> Result<Self, VaultError> {
        Ok(Self(TransitKeys::open(keys_dir)?))
    }

    /// Seals `clear` as the item `item_id` of `tenant_id` (both ULIDs) with the key of `day`, which
    /// is made if there is none. About 0.6 µs a KB.
    ///
    /// # Errors
    /// [`VaultError::BadId`], [`VaultError::TooLarge`], [`VaultError::Keys`].
    pub fn seal(
        &self,
        item_id: &str,
        tenant_id: &str,
        day: Day,
        clear: &[u8],
    ) -> Result<Sealed, VaultError> {
        let transit = self.0.of_day(day)?;
        let (item, tenant) = (id(item_id)?, id(tenant_id)?);
        seal_with(&transit, item, tenant, day, &Lot::draw()?, clear)
    }

    /// Opens a sealed item, if it is the one that is asked for and nothing in it was changed.
    ///
    /// # Errors
    /// [`VaultError::NoKey`], [`VaultError::Damaged`], [`VaultError::Format`], [`VaultError::BadId`],
    /// [`VaultError::Keys`].
    pub fn unseal(
        &self,
        item_id: &str,
        tenant_id: &str,
        sealed: &Sealed,
    ) -> Result<Clear, VaultError> {
        let header = Header::read(&sealed.0)?;
        // A place that points at another item's bytes must not open as this item.
        if header.item != id(item_id)? || header.tenant != id(tenant_id)? {
            return Err(VaultError::Damaged);
        }
        let transit = self
            .0
            .existing(header.day)?
            .ok_or(VaultError::NoKey(header.day))?;
        unseal_with(&transit, &header, &sealed.0)
    }

    /// What signs for `purpose` (a name of ours, letters), with a key of its own that lasts.
    ///
    /// # Errors
    /// [`VaultError::Keys`].
    pub fn signer(&self, purpose: &str) -> Result<Signer, VaultError> {
        Ok(Signer::new(self.0.named(purpose)?))
    }

    /// The days that have keys, sorted; the standing one is 0.
    ///
    /// # Errors
    /// [`VaultError::Keys`].
    pub fn days(&self) -> Result<Vec<Day>, VaultError> {
        Ok(self.0.days()?)
    }

    /// Destroys the key of `day`: what it sealed is unreadable from now on, in every copy. Returns
    /// whether there was one.
    ///
    /// # Errors
    /// [`VaultError::Keys`].
    pub fn destroy(&self, day: Day) -> Result<bool, VaultError> {
        Ok(self.0.shred(day)?)
    }
}

fn id(text: &str) -> Result<[u8; ID], VaultError> {
    Ulid::from_string(text)
        .map(|id| id.to_bytes())
        .map_err(|_| VaultError::BadId(text.to_owned()))
}

fn seal_with(
    transit: &Aes256Gcm,
    item: [u8; ID],
    tenant: [u8; ID],
    day: Day,
    lot: &Lot,
    clear: &[u8],
) -> Result<Sealed, VaultError> {
    let header = Header {
        item,
        tenant,
        day,
        prefix: lot.prefix,
    }
    .write();
    let chunks = clear.len().div_ceil(CHUNK).max(1);
    let mut out = Vec::with_capacity(HEADER + WRAP + clear.len() + chunks * TAG);
    out.extend_from_slice(&header);
    out.extend_from_slice(&lot.wrap_nonce);
    let wrapped = transit
        .encrypt(
            &lot.wrap_nonce.into(),
            Payload {
                msg: &*lot.data_key,
                aad: &header,
            },
        )
        .map_err(|_| VaultError::TooLarge)?;
    out.extend_from_slice(&wrapped);
    let data = Aes256Gcm::new((&*lot.data_key).into());
    let mut stream = EncryptorBE32::from_aead(data, &lot.prefix.into());
    let mut rest = clear;
    while rest.len() > CHUNK {
        let (chunk, after) = rest.split_at(CHUNK);
        let payload = Payload {
            msg: chunk,
            aad: &header,
        };
        let sealed = stream.encrypt_next(payload);
        out.extend_from_slice(&sealed.map_err(|_| VaultError::TooLarge)?);
        rest = after;
    }
    let payload = Payload {
        msg: rest,
        aad: &header,
    };
    let sealed = stream.encrypt_last(payload);
    out.extend_from_slice(&sealed.map_err(|_| VaultError::TooLarge)?);
    Ok(Sealed(out))
}

fn unseal_with(transit: &Aes256Gcm, header: &Header, sealed: &[u8]) -> Result<Clear, VaultError> {
    let aad = &sealed[..HEADER];
    let (wrap, mut rest) = sealed[HEADER..]
        .split_first_chunk::<WRAP>()
        .ok_or(VaultError::Damaged)?;
    let (nonce, wrapped) = wrap
        .split_first_chunk::<NONCE>()
        .ok_or(VaultError::Damaged)?;
    let data_key = transit
        .decrypt(&(*nonce).into(), Payload { msg: wrapped, aad })
        .map(Zeroizing::new)
        .map_err(|_| VaultError::Damaged)?;
    let data = Aes256Gcm::new_from_slice(&data_key).map_err(|_| VaultError::Damaged)?;
    let mut stream = DecryptorBE32::from_aead(data, &header.prefix.into());
    // The whole size at once: growing would leave copies behind that nobody overwrites.
    let mut clear = Clear::new(Vec::with_capacity(rest.len()));
    while rest.len() > CHUNK + TAG {
        let (chunk, after) = rest.split_at(CHUNK + TAG);
        let opened = stream.decrypt_next(Payload { msg: chunk, aad });
        clear.extend_from_slice(&Zeroizing::new(opened.map_err(|_| VaultError::Damaged)?));
        rest = after;
    }
    let opened = stream.decrypt_last(Payload { msg: rest, aad });
    clear.extend_from_slice(&Zeroizing::new(opened.map_err(|_| VaultError::Damaged)?));
    Ok(clear)
}

#[cfg(test)]
mod tests;
