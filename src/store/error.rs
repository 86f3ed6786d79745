//! What can go wrong with the database, and whether trying again can help.

use thiserror::Error;

use crate::trouble::Trouble;

/// A failure of the database.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database's address is not one that we can use.
    #[error("the database's address can't be used: {0}")]
    Address(String),
    /// The database could not be brought to this version's tables.
    #[error("the database's tables could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The connection broke while a commit was on its way: it may or may not have happened.
    #[error("the database did not say whether the transaction was committed: {0}")]
    CommitUnknown(#[source] sqlx::Error),
    /// A row holds a value that this version doesn't know.
    #[error("{table} holds a value that is not known: {column} = {value:?}")]
    Unknown {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
    /// A row that must be there is not.
    #[error("no such {0}")]
    Missing(&'static str),
    /// Everything else that the database says.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::CommitUnknown(_) => Trouble::Temporary,
            Self::Address(_) | Self::Migrate(_) | Self::Unknown { .. } | Self::Missing(_) => {
                Trouble::Permanent
            }
            Self::Database(error) => trouble_of(error),
        }
    }

    /// A row with the same key is there already.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// The database gave this transaction up for the sake of another; the same again may pass.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| is_conflict_code(&code))
            }
            _ => false,
        }
    }
}

/// SQLITE_BUSY with its extended codes; PostgreSQL serialization_failure and deadlock_detected.
fn is_conflict_code(code: &str) -> bool {
    matches!(code, "5" | "261" | "517" | "773" | "40001" | "40P01")
}

fn trouble_of(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Trouble::Temporary,
        sqlx::Error::Database(error) => match error.code() {
            Some(code) if is_temporary_code(&code) => Trouble::Temporary,
            _ => Trouble::Permanent,
        },
        _ => Trouble::Permanent,
    }
}

fn is_temporary_code(code: &str) -> bool {
    if is_conflict_code(code) {
        return true;
    }
    // PostgreSQL's codes have five characters, SQLite's are numbers below 10000.
    if code.len() == 5 {
        // connection, resources, operator intervention, system error
        return ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // SQLITE_LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL: the low byte is the class.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 6..=10 | 13..=15))
}

/// Whether SQLite's (extended) result code of a commit says that reading, writing or flushing the
/// file failed, after which nothing about the file is known.
pub(super) fn is_failed_flush(code: &str) -> bool {
    // SQLITE_IOERR is 10, SQLITE_IOERR_FSYNC 1034, SQLITE_IOERR_DIR_FSYNC 1290 and so on.
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == 10)
}

/// Whether a failed commit may have happened all the same.
pub(super) fn is_commit_unknown(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // PostgreSQL: connection exceptions, shutdowns, statement_completion_unknown
            code.len() == 5
                && (code.starts_with("08") || code.starts_with("57P0") || code == "40003")
        }),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        assert!(is_conflict_code("5") && is_conflict_code("40001"));
        assert!(is_temporary_code("13"), "SQLITE_FULL");
        assert!(is_temporary_code("53100"), "PostgreSQL disk_full");
        assert!(!is_temporary_code("2067"), "SQLITE_CONSTRAINT_UNIQUE");
        assert!(!is_temporary_code("23505"), "PostgreSQL unique_violation");
        assert!(is_failed_flush("1034") && is_failed_flush("1290") && is_failed_flush("10"));
        assert!(!is_failed_flush("13") && !is_failed_flush("58030"));
    }

    #[test]
    fn a_lost_connection_leaves_a_commit_unknown() {
        let lost = sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(is_commit_unknown(&lost));
        assert!(!is_commit_unknown(&sqlx::Error::RowNotFound));
    }
}
