//! SMTP (RFC 5321) with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, DSN, STARTTLS and
//! AUTH.
//!
//! [`Door::open`] listens; `session` is one connection, from greeting to goodbye; `scanner` finds
//! the end of a message and nothing else does. Commands are parsed by `smtp-proto`; its reader of
//! data is not used, because it takes more than CRLF.CRLF for an end.

mod auth;
mod budget;
mod data;
mod input;
mod limits;
mod received;
mod replies;
mod scanner;
mod server;
mod session;
mod tls;
mod wire;

pub use limits::Limits;
pub use server::{Door, DoorError};
