//! The command language: one line is one command, the same through every door.
//!
//! Today the door is the server's shell, so authority is the right to read the configuration; the
//! verbs are those that bring a gateway into service.

mod directory;
mod grammar;

pub use grammar::{Mistake, words};

use crate::{store::Store, trouble::Trouble};

/// What every command is, for `help`.
const HELP: &str = "\
add tenant NAME domain DOMAIN [language en|fr] [zone Europe/Paris]
add user ADDRESS [name NAME] [tenant DOMAIN] [caller +NUMBER] [role operator|tenant|user] [plan send-receive|send-only]
add address ADDRESS to ADDRESS
add number +NUMBER [title TITLE] [tenant DOMAIN] to ADDRESS [ADDRESS ...]
add trunk NAME host HOST [port PORT] [channels N] [format e164|plain] [t38 offer|wait|never] [priority N]
set password ADDRESS PASSWORD        the mail password, for SMTP AUTH
set trunk NAME on|off
show users | numbers | trunks
help";

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The words are no command.
    #[error(transparent)]
    Mistake(#[from] Mistake),
    /// A name that does not exist, or exists already: a sentence.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl CommandError {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Mistake(_) | Self::Refused(_) => Trouble::Permanent,
            Self::Store(error) => error.trouble(),
        }
    }
}

/// Carries out one command, wholly or not at all; the reply says the new state.
///
/// # Errors
/// [`CommandError`], for a person to read.
pub async fn run(store: &Store, words: &[String]) -> Result<String, CommandError> {
    let mut line = grammar::Line::new(words);
    match line.word("a verb: add, set, show or help")?.as_str() {
        "help" => Ok(HELP.to_owned()),
        "add" => directory::add(store, &mut line).await,
        "set" => directory::set(store, &mut line).await,
        "show" => directory::show(store, &mut line).await,
        other => Err(line
            .mistake(&format!("{other:?} is no verb"), "add, set, show or help")
            .into()),
    }
}
