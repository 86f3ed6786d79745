//! Scripts, as far as a font has them or has them not.

use serde::{Deserialize, Serialize};

macro_rules! scripts {
    ($($name:ident $sample:literal $english:literal $french:literal [$($range:expr),*];)*) => {
        /// A script, or a kind of signs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Script {
            $(#[doc = $english] $name,)*
            /// Anything else.
            Other,
        }

        impl Script {
            /// All that have a name.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The script that a character belongs to.
            #[must_use]
            pub fn of(character: char) -> Self {
                match character as u32 {
                    $($(code if ($range).contains(&code) => Self::$name,)*)*
                    _ => Self::Other,
                }
            }

            /// A character of it: a font that has it has the script.
            #[must_use]
            pub fn sample(self) -> char {
                match self {
                    $(Self::$name => $sample,)*
                    Self::Other => '\u{fffd}',
                }
            }

            /// Its name in English.
            #[must_use]
            pub fn english(self) -> &'static str {
                match self {
                    $(Self::$name => $english,)*
                    Self::Other => "other signs",
                }
            }

            /// Its name in French.
            #[must_use]
            pub fn french(self) -> &'static str {
                match self {
                    $(Self::$name => $french,)*
                    Self::Other => "autres signes",
                }
            }
        }
    };
}

// The Unicode Standard, Blocks.txt; the commonest first.
scripts! {
    Latin 'a' "Latin" "latin" [0x20..=0x24F, 0x1E00..=0x1EFF, 0x2000..=0x206F, 0x20A0..=0x20CF];
    Greek 'α' "Greek" "grec" [0x370..=0x3FF, 0x1F00..=0x1FFF];
    Cyrillic 'я' "Cyrillic" "cyrillique" [0x400..=0x52F];
    Hebrew 'ש' "Hebrew" "hébreu" [0x590..=0x5FF, 0xFB1D..=0xFB4F];
    Arabic 'ع' "Arabic" "arabe" [0x600..=0x6FF, 0x750..=0x77F, 0x8A0..=0x8FF, 0xFB50..=0xFDFF, 0xFE70..=0xFEFE];
    Han '中' "Chinese characters" "caractères chinois" [0x2E80..=0x303F, 0x3400..=0x4DBF, 0x4E00..=0x9FFF, 0xF900..=0xFAFF, 0xFF00..=0xFFEF, 0x20000..=0x323AF];
    Kana 'あ' "Japanese" "japonais" [0x3040..=0x30FF, 0x31F0..=0x31FF];
    Hangul '한' "Korean" "coréen" [0x1100..=0x11FF, 0x3130..=0x318F, 0xAC00..=0xD7FF];
    Thai 'ก' "Thai" "thaï" [0xE00..=0xE7F];
    Devanagari 'क' "Devanagari" "dévanagari" [0x900..=0x97F, 0xA8E0..=0xA8FF];
    Bengali 'ক' "Bengali" "bengali" [0x980..=0x9FF];
    Gurmukhi 'ਕ' "Gurmukhi" "gourmoukhî" [0xA00..=0xA7F];
    Gujarati 'ક' "Gujarati" "goudjarati" [0xA80..=0xAFF];
    Tamil 'க' "Tamil" "tamoul" [0xB80..=0xBFF];
    Telugu 'క' "Telugu" "télougou" [0xC00..=0xC7F];
    Kannada 'ಕ' "Kannada" "kannada" [0xC80..=0xCFF];
    Malayalam 'ക' "Malayalam" "malayalam" [0xD00..=0xD7F];
    Sinhala 'ක' "Sinhala" "cingalais" [0xD80..=0xDFF];
    Lao 'ກ' "Lao" "lao" [0xE80..=0xEFF];
    Khmer 'ក' "Khmer" "khmer" [0x1780..=0x17FF];
    Myanmar 'က' "Burmese" "birman" [0x1000..=0x109F];
    Georgian 'ა' "Georgian" "géorgien" [0x10A0..=0x10FF];
    Armenian 'ա' "Armenian" "arménien" [0x530..=0x58F];
    Ethiopic 'አ' "Ethiopic" "éthiopien" [0x1200..=0x139F];
    Signs '☎' "signs" "signes" [0x2100..=0x2BFF, 0x1F000..=0x1FAFF];
}

/// Counts of characters that no font has, by script.
#[derive(Default)]
pub(crate) struct Missing {
    pub count: u32,
    pub scripts: Vec<Script>,
}

impl Missing {
    pub fn add(&mut self, character: Option<char>) {
        self.count += 1;
        let script = character.map_or(Script::Other, Script::of);
        if let Err(at) = self.scripts.binary_search(&script) {
            self.scripts.insert(at, script);
        }
    }

    pub fn append(&mut self, other: &Self) {
        self.count += other.count;
        for &script in &other.scripts {
            if let Err(at) = self.scripts.binary_search(&script) {
                self.scripts.insert(at, script);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_of_its_script() {
        for &script in Script::ALL {
            assert_eq!(Script::of(script.sample()), script);
        }
        assert_eq!(Script::of('é'), Script::Latin);
        assert_eq!(Script::of('\u{e000}'), Script::Other);
    }
}
