//! The database and the blobs.
//!
//! [`Store`] is one SQL text over SQLite and PostgreSQL. Writes go through [`Tx`], reads through
//! [`Store::reader`], and [`Store::wake`] tells the others that there is work. [`blobs`] keeps what
//! is too large for a row, in append-only segments, flushed before anybody is told that it is kept.
//!
//! The rules that make one SQL text hold: `$n` placeholders; only TEXT, BIGINT and BLOB/BYTEA; truth
//! is 0 or 1; `SUM`, `MAX` and the like are wrapped in `CAST(… AS BIGINT)`; a NULL is bound as the
//! `None` of its column's type; every query names `tenant_id`. `migrations.rs` lints the tables.

pub mod blobs;
mod database;
mod end;
mod error;
mod ids;
mod look;
#[cfg(test)]
mod migrations;
mod node;
mod rows;
#[cfg(test)]
pub(crate) mod testing;
mod wake;

pub use database::{Kind, Store, Tries, Tx};
pub use end::end_process;
pub use error::StoreError;
pub use ids::new_id;
pub use look::{Found, look};
pub use node::Node;
pub use rows::{Cell, Insert};
pub use wake::{Listener, Topic};
