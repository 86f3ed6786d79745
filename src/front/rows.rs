//! The rows of a distribution list.
//!
//! ```text
//! number;name;options                a first line may name the columns, in any order
//! +33123456789;Jo Doe;nocover
//! 01 23 45 67 80
//! ```
//! Commas, semicolons or tabs stand between the columns; `#` begins a remark.

use crate::{
    dial::{self, DialPlan},
    options::{self, Place, Wishes},
};

/// Rows of a list: each is a fax.
pub(super) const MOST_ROWS: usize = 1_000;
/// Octets of a list.
pub(super) const LARGEST: usize = 1 << 20;
/// Characters of a name.
const LONGEST_NAME: usize = 100;

/// A row that can be faxed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// In the file, from 1.
    pub line: u64,
    pub address: dial::Address,
    /// For the cover; empty when the list does not say.
    pub name: String,
    pub wishes: Wishes,
}

/// A row that can't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub line: u64,
    /// Why: a phrase.
    pub why: String,
}

/// Where the columns are.
struct Columns {
    number: usize,
    name: usize,
    options: usize,
}

/// Reads a list; `None`: it has more than [`MOST_ROWS`], or is larger than [`LARGEST`].
pub(super) fn read(text: &str, plan: &DialPlan) -> Option<(Vec<Row>, Vec<BadRow>)> {
    if text.len() > LARGEST {
        return None;
    }
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(text))
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns = Columns {
        number: 0,
        name: 1,
        options: 2,
    };
    let (mut rows, mut bad) = (Vec::new(), Vec::<BadRow>::new());
    let mut lines = Lines { at: 0, line: 1 };
    for (index, record) in reader.records().enumerate() {
        let Ok(record) = record else {
            // The text is UTF-8, and rows may have any length: there is nothing else to go wrong in it.
            continue;
        };
        let start = record.position().map_or(0, csv::Position::byte);
        let line = lines.of(
            text.as_bytes(),
            usize::try_from(start).unwrap_or(usize::MAX),
        );
        if record.iter().all(str::is_empty) {
            continue;
        }
        if index == 0
            && let Some(named) = heading(&record)
        {
            columns = named;
            continue;
        }
        if rows.len() + bad.len() >= MOST_ROWS {
            return None;
        }
        match row(&record, &columns, plan, line) {
            Ok(row) => rows.push(row),
            Err(why) => bad.push(BadRow { line, why }),
        }
    }
    Some((rows, bad))
}

/// Where the reader is in the text. It says itself where a record begins, but counts what is before it (line ends, empty
/// lines, remarks) to it.
struct Lines {
    at: usize,
    line: u64,
}

impl Lines {
    /// The line of the record that begins at an octet, or behind what is passed over there.
    fn of(&mut self, text: &[u8], start: usize) -> u64 {
        while let Some(&octet) = text.get(self.at) {
            let remark = octet == b'#' && (self.at == 0 || text[self.at - 1] == b'\n');
            if self.at >= start && !remark && !matches!(octet, b'\r' | b'\n') {
                break;
            }
            let next = if remark && self.at >= start {
                memchr::memchr(b'\n', &text[self.at..]).map_or(text.len(), |end| self.at + end)
            } else {
                self.at
            };
            self.line += u64::from(text.get(next) == Some(&b'\n'));
            self.at = next + 1;
        }
        self.line
    }
}

/// What stands between the columns: of what the lines have, that which no number is written with comes first.
fn delimiter(text: &str) -> u8 {
    let has = |delimiter: char| text.lines().any(|line| line.contains(delimiter));
    match () {
        () if has('\t') => b'\t',
        () if has(';') => b';',
        () => b',',
    }
}

/// The columns that a first row names; a row with a number names none.
fn heading(record: &csv::StringRecord) -> Option<Columns> {
    let at = |names: &[&str]| {
        let mut cells = record.iter();
        cells.position(|cell| names.contains(&cell.to_lowercase().as_str()))
    };
    let number = at(&[
        "number",
        "fax",
        "fax number",
        "numéro",
        "numero",
        "télécopie",
    ])?;
    Some(Columns {
        number,
        name: at(&["name", "nom", "recipient", "destinataire"]).unwrap_or(usize::MAX),
        options: at(&["options", "option"]).unwrap_or(usize::MAX),
    })
}

fn row(
    record: &csv::StringRecord,
    columns: &Columns,
    plan: &DialPlan,
    line: u64,
) -> Result<Row, String> {
    let cell = |column: usize| record.get(column).unwrap_or_default().trim();
    let written = cell(columns.number);
    let shown: String = written.chars().take(40).collect();
    let address = dial::parse_address(written, plan)
        .and_then(|address| dial::possible(&address.destination).map(|()| address))
        .map_err(|fault| format!("{shown:?} is not a fax number: {fault}"))?;
    let wishes =
        options::of_list(cell(columns.options), Place::List).map_err(|fault| fault.to_string())?;
    let name = cell(columns.name).chars().filter(|c| !c.is_control());
    Ok(Row {
        line,
        address,
        name: name.take(LONGEST_NAME).collect(),
        wishes,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan() -> DialPlan {
        DialPlan {
            country_code: Some("33".into()),
            ..DialPlan::load(None).unwrap()
        }
    }

    fn short(text: &str) -> (Vec<String>, Vec<u64>) {
        let (rows, bad) = read(text, &plan()).unwrap();
        let rows = rows
            .iter()
            .map(|row| format!("{} {} {}", row.line, row.address, row.name));
        (
            rows.map(|row| row.trim_end().to_owned()).collect(),
            bad.iter().map(|bad| bad.line).collect(),
        )
    }

    #[test]
    fn lists_are_read_as_programs_write_them() {
        let rows = vec![
            "1 +33123456789 Jo Doe".to_owned(),
            "3 +33123456780".to_owned(),
        ];
        for text in [
            "+33123456789,Jo Doe\r\n\r\n0123456780\r\n",
            "\u{feff}+33123456789;\"Jo Doe\";nocover\n# the second\n01 23 45 67 80",
            "+33 1 23 45 67 89\tJo Doe\n\n+33(0)123456780\t\n",
        ] {
            assert_eq!(short(text), (rows.clone(), vec![]), "{text}");
        }
        let named = "Nom;Options;Numéro\nJo Doe;nocover, code 4711;+33123456789\n";
        let (rows, _) = read(named, &plan()).unwrap();
        assert_eq!(rows[0].name, "Jo Doe");
        assert_eq!(rows[0].wishes.options.code.as_deref(), Some("4711"));
    }

    #[test]
    fn promise_2_a_bad_line_is_named_and_the_others_stand() {
        let text = "number,name\n+33123456789,a\nnobody,b\n3.31235E+10,c\n+33123456780,d\n112\n";
        let (rows, bad) = read(text, &plan()).unwrap();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(
            bad.iter().map(|bad| bad.line).collect::<Vec<_>>(),
            [3, 4, 6]
        );
        assert!(
            bad[0].why.starts_with("\"nobody\" is not a fax number: "),
            "{bad:?}"
        );
        assert!(bad[2].why.contains("emergency"), "{bad:?}");
        let (_, bad) = read("+33123456789;x;report none", &plan()).unwrap();
        assert!(bad[0].why.contains("write it in the subject"), "{bad:?}");
    }

    #[test]
    fn promise_7_a_list_has_an_end() {
        let rows = "+33123456789\n".repeat(MOST_ROWS);
        assert_eq!(read(&rows, &plan()).unwrap().0.len(), MOST_ROWS);
        assert_eq!(read(&format!("{rows}0"), &plan()), None);
        assert_eq!(read(&" ".repeat(LARGEST + 1), &plan()), None);
        assert_eq!(short(""), (vec![], vec![]));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,200}") {
            let _ = read(&text, &plan());
        }
    }
}
