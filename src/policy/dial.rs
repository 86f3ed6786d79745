//! `policies/dial.toml`: how numbers are read, and which are never dialled.

use std::path::Path;

use serde::Deserialize;

use super::PolicyError;

pub(super) const FILE: &str = "dial.toml";
const BUILT_IN: &str = include_str!("../../policies/dial.toml");

/// The dial plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialPlan {
    /// Country code of national numbers, digits only; unset: they are refused.
    #[serde(default)]
    pub country_code: Option<String>,
    /// What is dialled before a national number; may be empty.
    pub national_prefix: String,
    /// What is dialled before a country code.
    pub international_prefixes: Vec<String>,
    /// How a number with neither plus sign nor prefix is read.
    pub bare_numbers: BareNumbers,
    /// Digits that are never dialled, compared whole and as written.
    pub emergency: Vec<String>,
    /// Ranges that are not dialled.
    #[serde(default)]
    pub refused: Vec<RefusedRange>,
}

/// How a number with neither plus sign nor prefix is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BareNumbers {
    /// With a sentence that asks for the country code.
    Refuse,
    /// A plus sign is put before it.
    International,
    /// The plan's country code is put before it.
    National,
}

/// Numbers that are not dialled.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedRange {
    /// First characters in E.164, plus sign included.
    pub prefixes: Vec<String>,
    /// What the user reads after "is not dialled here: ".
    pub why: String,
}

impl DialPlan {
    /// The plan in `folder`, or the built-in one.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        Self::read(&super::text(folder, FILE, BUILT_IN)?)
    }

    /// Reads a plan's text.
    ///
    /// # Errors
    /// [`PolicyError::Rule`].
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let plan: Self = super::parse(FILE, text)?;
        match plan.fault() {
            None => Ok(plan),
            Some(message) => Err(PolicyError::Rule {
                file: FILE,
                line: 0,
                message,
            }),
        }
    }

    fn fault(&self) -> Option<String> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(code) = &self.country_code
            && (code.is_empty() || code.len() > 3 || !digits(code) || code.starts_with('0'))
        {
            return Some(format!(
                "country_code {code:?} is none; write it as \"33\", without the plus sign"
            ));
        }
        if self.bare_numbers == BareNumbers::National && self.country_code.is_none() {
            return Some("bare_numbers = \"national\" needs a country_code".into());
        }
        if !digits(&self.national_prefix) {
            return Some("national_prefix may hold digits only".into());
        }
        if let Some(prefix) = self
            .international_prefixes
            .iter()
            .find(|prefix| prefix.is_empty() || !digits(prefix))
        {
            return Some(format!(
                "the international prefix {prefix:?} must be digits"
            ));
        }
        self.refused
            .iter()
            .flat_map(|range| &range.prefixes)
            .find(|prefix| {
                prefix
                    .strip_prefix('+')
                    .is_none_or(|rest| rest.is_empty() || !digits(rest))
            })
            .map(|prefix| format!("the refused prefix {prefix:?} must be a plus sign and digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_plan_is_sound() {
        let plan = DialPlan::load(None).unwrap();
        assert_eq!(plan.bare_numbers, BareNumbers::Refuse);
        assert!(plan.country_code.is_none());
        assert!(plan.emergency.iter().any(|number| number == "112"));
    }

    #[test]
    fn a_plan_that_cannot_work_is_named() {
        let plan = |lines: &str| {
            DialPlan::read(&format!(
                "{lines}\nnational_prefix = \"0\"\ninternational_prefixes = [\"00\"]\nemergency = []\n"
            ))
            .map(|_| ())
            .unwrap_err()
            .to_string()
        };
        assert!(plan("bare_numbers = \"national\"").contains("needs a country_code"));
        assert!(
            plan("bare_numbers = \"refuse\"\ncountry_code = \"+33\"").contains("without the plus")
        );
        assert!(plan("bare_numbers = \"maybe\"").starts_with("dial.toml:1: "));
    }
}
