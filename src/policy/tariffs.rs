//! `tariffs.toml`: what a page costs.

use std::path::Path;

use serde::Deserialize;

use super::{PolicyError, parse, text};

/// The text that holds where the operator has none.
const BUILT_IN: &str = include_str!("../../policies/tariffs.toml");

/// The name of the file.
pub(super) const FILE: &str = "tariffs.toml";

/// All tariffs. One of them applies to any number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub struct Tariffs {
    held_pages: u32,
    /// The longest prefix first.
    tariffs: Vec<Tariff>,
}

/// What pages to some numbers cost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// As records name it.
    pub name: String,
    /// Of E.164 numbers with the plus sign; empty for all others.
    pub prefix: String,
    /// Thousandths of a unit for a confirmed page.
    pub page_price: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    held_pages: u32,
    tariff: Vec<Tariff>,
}

impl TryFrom<Text> for Tariffs {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        let mut tariffs = text.tariff;
        tariffs.sort_by(|a, b| {
            let length = b.prefix.len().cmp(&a.prefix.len());
            length.then_with(|| a.prefix.cmp(&b.prefix))
        });
        for tariff in &tariffs {
            let mut digits = tariff.prefix.chars();
            let fit = match digits.next() {
                None => true,
                Some(first) => first == '+' && digits.all(|c| c.is_ascii_digit()),
            };
            if !fit {
                return Err(format!(
                    "the prefix {:?} of the tariff {:?} must be empty, or a plus sign and digits",
                    tariff.prefix, tariff.name
                ));
            }
        }
        for pair in tariffs.windows(2) {
            if pair[0].prefix == pair[1].prefix {
                return Err(format!("two tariffs have the prefix {:?}", pair[0].prefix));
            }
        }
        if tariffs.last().is_none_or(|last| !last.prefix.is_empty()) {
            return Err("no tariff has the prefix \"\", for all other numbers".to_owned());
        }
        Ok(Self {
            held_pages: text.held_pages,
            tariffs,
        })
    }
}

impl Tariffs {
    /// The operator's tariffs, or the built-in ones where `folder` has none.
    ///
    /// # Errors
    /// [`PolicyError`] with the file, the line and what is wrong.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        parse(FILE, &text(folder, FILE, BUILT_IN)?)
    }

    /// The tariff of a number (E.164 with the plus sign).
    #[must_use]
    pub fn of(&self, e164: &str) -> &Tariff {
        self.tariffs
            .iter()
            .find(|tariff| e164.starts_with(&tariff.prefix))
            .expect("the last tariff has the empty prefix, with which every number begins")
    }

    /// Pages that units are held for when a job is accepted.
    #[must_use]
    pub fn held_pages(&self) -> u32 {
        self.held_pages
    }
}

impl Default for Tariffs {
    fn default() -> Self {
        toml::from_str(BUILT_IN).expect("the built-in text is read by a test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_tariff_is_free() {
        let tariffs = Tariffs::default();
        let tariff = tariffs.of("+33123456789");
        assert_eq!((tariff.name.as_str(), tariff.page_price), ("free", 0));
    }

    #[test]
    fn the_operators_file_takes_the_place_of_the_built_in_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            Tariffs::load(Some(folder.path())).unwrap(),
            Tariffs::default()
        );
        let text = "held_pages = 1\n[[tariff]]\nname = 'dear'\nprefix = ''\npage_price = 7\n";
        std::fs::write(folder.path().join(FILE), text).unwrap();
        let tariffs = Tariffs::load(Some(folder.path())).unwrap();
        assert_eq!(tariffs.of("+1").name, "dear");
        std::fs::write(folder.path().join(FILE), "held_pages = 1\ntarif = 3\n").unwrap();
        let error = Tariffs::load(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("tariffs.toml:2"), "{error}");
    }

    #[test]
    fn the_longest_prefix_applies() {
        let text = r#"
            held_pages = 5
            [[tariff]]
            name = "rest"
            prefix = ""
            page_price = 9
            [[tariff]]
            name = "France"
            prefix = "+33"
            page_price = 1
            [[tariff]]
            name = "premium"
            prefix = "+3389"
            page_price = 99
        "#;
        let tariffs: Tariffs = toml::from_str(text).unwrap();
        assert_eq!(tariffs.of("+33123").name, "France");
        assert_eq!(tariffs.of("+33891").name, "premium");
        assert_eq!(tariffs.of("+4930").name, "rest");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let one = |prefix: &str| {
            format!(
                "held_pages = 1\n[[tariff]]\nname = \"a\"\nprefix = \"{prefix}\"\npage_price = 0\n"
            )
        };
        let error = |text: &str| toml::from_str::<Tariffs>(text).unwrap_err().to_string();
        assert!(error(&one("+33")).contains("for all other numbers"));
        assert!(error(&one("0033x")).contains("plus sign and digits"));
        let twice = format!(
            "{}[[tariff]]\nname = \"b\"\nprefix = \"\"\npage_price = 0\n",
            one("")
        );
        assert!(error(&twice).contains("two tariffs"));
    }
}
