//! Many rows in one statement.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{Any, AssertSqlSafe, any::AnyRow, query::Query};

use super::{StoreError, Tx};

/// A value of a row. A NULL says which type it has none of: PostgreSQL wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// TEXT.
    Text(String),
    /// TEXT or NULL.
    OptText(Option<String>),
    /// BIGINT.
    Int(i64),
    /// BIGINT or NULL.
    OptInt(Option<i64>),
    /// BLOB, BYTEA.
    Blob(Vec<u8>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        Self::OptText(text)
    }
}
impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        Self::OptInt(number)
    }
}
impl From<Vec<u8>> for Cell {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

/// An insert of a fixed list of columns: declare it as a `static`, so that its SQL is written once.
#[derive(Debug)]
pub struct Insert {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: Mutex<Option<HashMap<usize, Arc<str>>>>,
}

/// The most rows of one statement; lots are powers of two, so that few texts are prepared.
const LOT: usize = 32;

impl Insert {
    /// `head` is the statement up to VALUES, `INSERT INTO custody (custody_id, tenant_id)`;
    /// `columns` counts the names in it.
    #[must_use]
    pub const fn new(head: &'static str, columns: usize) -> Self {
        Self::with_tail(head, columns, "")
    }

    /// With what follows the values: `ON CONFLICT … RETURNING …`.
    #[must_use]
    pub const fn with_tail(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self {
            head,
            columns,
            tail,
            texts: Mutex::new(None),
        }
    }

    /// Inserts all rows, each with as many cells as the head has columns.
    ///
    /// # Errors
    /// What the database says; then the transaction is lost.
    pub async fn rows(&'static self, tx: &mut Tx, rows: Vec<Vec<Cell>>) -> Result<(), StoreError> {
        self.returning(tx, rows).await.map(drop)
    }

    /// As [`Insert::rows`], with the rows that the tail returns.
    ///
    /// # Errors
    /// What the database says; then the transaction is lost.
    pub async fn returning(
        &'static self,
        tx: &mut Tx,
        rows: Vec<Vec<Cell>>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut returned = Vec::new();
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let lot = LOT.min(1 << rows.len().ilog2());
            let mut query = sqlx::query(AssertSqlSafe(self.text(lot)));
            for row in rows.by_ref().take(lot) {
                debug_assert_eq!(row.len(), self.columns, "{}", self.head);
                for cell in row {
                    query = bind(query, cell);
                }
            }
            returned.extend(query.fetch_all(tx.conn()).await?);
        }
        Ok(returned)
    }

    fn text(&self, rows: usize) -> Arc<str> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = texts.get_or_insert_default();
        texts
            .entry(rows)
            .or_insert_with(|| self.write(rows).into())
            .clone()
    }

    fn write(&self, rows: usize) -> String {
        let mut text = format!("{} VALUES ", self.head);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns {
                let comma = if column == 0 { "" } else { ", " };
                let number = row * self.columns + column + 1;
                // Writing to a String does not fail.
                let _ = write!(text, "{comma}${number}");
            }
            text.push(')');
        }
        text.push_str(self.tail);
        text
    }
}

type AnyQuery = Query<'static, Any, sqlx::any::AnyArguments>;

fn bind(query: AnyQuery, cell: Cell) -> AnyQuery {
    match cell {
        Cell::Text(text) => query.bind(text),
        Cell::OptText(text) => query.bind(text),
        Cell::Int(number) => query.bind(number),
        Cell::OptInt(number) => query.bind(number),
        Cell::Blob(bytes) => query.bind(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_numbers_its_cells() {
        let insert = Insert::new("INSERT INTO t (a, b)", 2);
        assert_eq!(
            &*insert.text(2),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)"
        );
        assert!(Arc::ptr_eq(&insert.text(2), &insert.text(2)));
    }
}
