//! Keys, custody and capsules.
//!
//! [`Vault`] seals bytes with the transit key of the day and opens them again; [`Custody`] keeps
//! sealed items in the blobs and the table `custody`, and destroys a day's key when its last item is
//! done and the bounce window is over. `docs/capsule.md` is the format.
//!
//! A mail that is still coming in waits in a [`Spool`], whose key nobody keeps.
//!
//! There is a key for each day, so that destroying one ends what that day kept. What must be
//! readable for as long as it exists (trunk passwords) is sealed with the standing key, day 0,
//! lest it pin the day on which it was written. A [`Signer`] has a key of its own that lasts as long.

mod capsule;
mod custody;
mod keys;
mod signer;
mod spool;

pub use capsule::{Sealed, Vault, VaultError};
pub use custody::{Custody, CustodyError, KeptItem, NewItem, SealedItem, Swept, What};
pub use signer::Signer;
pub use spool::{SPOOL_CHUNK, Spool, SpoolDir, Spooled};

/// Days since 1970-01-01: which transit key.
pub type Day = u32;

/// The day of the standing key.
pub const STANDING: Day = 0;

/// Opened bytes: overwritten when dropped.
pub type Clear = zeroize::Zeroizing<Vec<u8>>;
