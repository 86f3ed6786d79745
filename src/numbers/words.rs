//! Values that have a word, as the tables and the commands have them.

use crate::store::StoreError;

/// The word of each value.
macro_rules! words {
    ($table:literal, $kind:ident, $column:literal, $($word:literal => $value:ident),+) => {
        impl $kind {
            /// As the table has it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }

        impl FromStr for $kind {
            type Err = StoreError;

            fn from_str(text: &str) -> Result<Self, StoreError> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err(unknown($table, $column, text)),
                }
            }
        }
    };
}

/// A value that another version wrote.
pub(super) fn unknown(
    table: &'static str,
    column: &'static str,
    value: impl ToString,
) -> StoreError {
    StoreError::Unknown {
        table,
        column,
        value: value.to_string(),
    }
}
