//! The promises, held against the real daemon: its own process, real sockets, a far end and a mail sink.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod asked;
mod batch;
mod carriers;
mod covers;
mod endings;
mod fallback;
mod forms;
mod journeys;
mod mailboxes;
mod ocr;
mod options;
mod paper;
mod parts;
mod password;
mod promise_1;
mod promise_2;
mod promise_3;
mod promise_3_evidence;
mod promise_4;
mod promise_7;
mod promise_8;
mod queue;
mod returns;
mod sub_address;
mod tenants;
mod too_large;
mod trunk_restarts;
mod trunks;
