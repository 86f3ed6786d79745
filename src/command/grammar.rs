//! Words in, one by one; a mistake names its place and what would be right there.

/// Where a command's words go wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("word {place}: {what}; expected {expected}. `help` lists the commands")]
pub struct Mistake {
    /// 1-based word.
    pub place: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub expected: String,
}

/// Splits a line into words; double quotes hold a word together.
#[must_use]
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut any) = (false, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                any = true;
            }
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                    any = false;
                }
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

/// The words of one command, read from left to right.
pub(super) struct Line<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Line<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Self { words, at: 0 }
    }

    /// The next word.
    pub fn word(&mut self, expected: &str) -> Result<String, Mistake> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word.ok_or_else(|| self.mistake("the line ends here", expected))
    }

    /// The next word, if there is one.
    pub fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    /// The next word, left where it is.
    pub fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// The next word, which must be `literal`.
    pub fn literal(&mut self, literal: &str) -> Result<(), Mistake> {
        let word = self.word(literal)?;
        if word == literal {
            Ok(())
        } else {
            Err(self.mistake(&format!("{word:?}"), literal))
        }
    }

    /// No word may follow.
    pub fn end(&mut self) -> Result<(), Mistake> {
        match self.next() {
            None => Ok(()),
            Some(word) => {
                Err(self.mistake(&format!("{word:?} is too much"), "the end of the line"))
            }
        }
    }

    /// A mistake at the word that was read last.
    pub fn mistake(&self, what: &str, expected: &str) -> Mistake {
        Mistake {
            place: self.at.max(1),
            what: what.to_owned(),
            expected: expected.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_a_word_together() {
        assert_eq!(
            words(r#"add user a@x.example name "Alice Martin""#),
            ["add", "user", "a@x.example", "name", "Alice Martin"]
        );
        assert_eq!(words(r#"title """#), ["title", ""]);
    }

    #[test]
    fn a_mistake_names_its_place() {
        let words = words("add number");
        let mut line = Line::new(&words);
        line.word("a verb").expect("verb");
        line.literal("number").expect("number");
        let mistake = line.word("a number as +33123456789").expect_err("the end");
        assert_eq!(mistake.place, 3);
        assert!(mistake.to_string().contains("+33123456789"));
    }
}
