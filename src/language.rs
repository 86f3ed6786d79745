//! The languages that people read, and phrases that exist in all of them.

/// A language that letters are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

impl Language {
    /// Every language, in the order of the fields of [`Say`].
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// The language with this ISO 639-1 code, as the tables hold it; English when it is unknown.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        match code {
            "fr" => Self::Fr,
            _ => Self::En,
        }
    }

    /// Its ISO 639-1 code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }
}

/// A code of no language that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no language that is written here: en or fr")]
pub struct UnknownLanguage;

impl std::str::FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(code: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
            .ok_or(UnknownLanguage)
    }
}

/// One phrase in every language: the words stand side by side, so none can be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Say {
    /// English.
    pub en: &'static str,
    /// French.
    pub fr: &'static str,
}

impl Say {
    /// The phrase in `language`.
    #[must_use]
    pub fn to(self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::Fr => self.fr,
        }
    }
}

/// A phrase, English first.
#[must_use]
pub const fn say(en: &'static str, fr: &'static str) -> Say {
    Say { en, fr }
}

/// A sentence with names in it, in every language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// English.
    pub en: String,
    /// French.
    pub fr: String,
}

impl Told {
    /// The sentence in `language`.
    #[must_use]
    pub fn to(&self, language: Language) -> &str {
        match language {
            Language::En => &self.en,
            Language::Fr => &self.fr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_leads_back_to_its_language() {
        for language in Language::ALL {
            assert_eq!(Language::from_code(language.code()), language);
        }
        assert_eq!(Language::from_code("tlh"), Language::En);
    }
}
