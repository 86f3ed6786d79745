//! The words that stand on covers, in each language.

use serde::{Deserialize, Serialize};
use typst::foundations::{Dict, IntoValue, Value};

/// The language of a cover's labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

/// The labels of a language, by the names that templates call them.
pub(super) struct Labels {
    pub language: &'static str,
    words: [(&'static str, &'static str); 10],
}

impl Labels {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &ENGLISH,
            Language::Fr => &FRENCH,
        }
    }

    /// As a template is given them.
    pub fn values(&self) -> Value {
        let mut dict = Dict::new();
        for (key, word) in self.words {
            dict.insert(key.into(), word.into_value());
        }
        Value::Dict(dict)
    }
}

static ENGLISH: Labels = Labels {
    language: "en",
    words: [
        ("fax", "Fax"),
        ("to", "To"),
        ("from", "From"),
        ("number", "Fax number"),
        ("date", "Date"),
        ("pages", "Pages"),
        ("with-cover", "including this cover"),
        ("subject", "Subject"),
        ("continued", "Continued on the next page"),
        ("cut", "The message is longer; the rest is not shown here."),
    ],
};

static FRENCH: Labels = Labels {
    language: "fr",
    words: [
        ("fax", "Télécopie"),
        ("to", "À"),
        ("from", "De"),
        ("number", "Numéro de fax"),
        ("date", "Date"),
        ("pages", "Pages"),
        ("with-cover", "page de garde comprise"),
        ("subject", "Objet"),
        ("continued", "Suite à la page suivante"),
        (
            "cut",
            "Le message est plus long ; la suite n’est pas reproduite ici.",
        ),
    ],
};
