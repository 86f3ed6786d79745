//! faxpost: a mail to fax and fax to mail gateway.
//!
//! The rooms of the house, in the order a message passes them. A room owns its types, tables and
//! SQL and shows a small face in its `mod.rs`; calls go downward in this list only, which
//! `tests/rooms.rs` holds.
//!
//! A mail becomes a fax: [`front`] takes the mail, [`sender`] and [`dial`] say who sent it and where
//! to, [`options`] what is asked of its fax, [`submission`] commits it before the answer, [`documents`] takes it apart, [`queue`] renders it
//! in a [`worker`] and places the call through [`mod@line`], [`ledger`] settles, [`letter`] writes the report and [`relay`] mails it.
//! A fax becomes a mail: [`mod@line`] answers, [`inbox`] keeps each page before it is confirmed and mails
//! the whole, its words read by [`recognition`]. `docs/flow.md` walks both, function by function.
#![forbid(unsafe_code)]

pub mod cli;
pub mod demo;

pub mod front;
pub mod web;

pub mod command;
pub mod submission;

pub mod queue;

pub mod line;

pub mod inbox;

pub mod relay;

pub mod letter;

pub mod books;
pub mod numbers;
pub mod people;

pub mod ledger;

pub mod recognition;

pub mod conversion;
pub mod documents;

pub mod options;

pub mod dial;
pub mod sender;

pub mod tokens;

pub mod vault;

pub mod outcome;

pub mod config;
pub mod policy;
pub mod store;
pub mod worker;

pub mod clock;
pub mod language;
pub mod trouble;
