//! A number at the beginning of a line, as of a subject.
//!
//! ```text
//! +33123456789                       fax: +33 1 23 45 67 89
//! +33123456789 Offer of June         a number without spaces, then words
//! +33 1 23 45 67 89: Offer of June   a number with spaces, then a colon (comma, semicolon, dash)
//! ```

use super::{Address, NotANumber, grammar::parse_address};
use crate::policy::dial::DialPlan;

/// Characters of a line that are looked at: no number is longer.
const LONGEST: usize = 80;

/// Reads the number that a line begins with; nothing where it begins with something else.
///
/// # Errors
/// [`NotANumber`]: what is there is none, or nobody can say where it ends. A wrong number is somebody else's.
#[must_use]
pub fn leading(line: &str, plan: &DialPlan) -> Option<Result<Address, NotANumber>> {
    let line = without_word(line.trim_start());
    let is_part = |c: char| c.is_ascii_digit() || "+-./() ".contains(c);
    let end = line
        .char_indices()
        .find(|(at, c)| *at >= LONGEST || !is_part(*c))
        .map_or(line.len(), |(at, _)| at);
    let run = line[..end].trim_end_matches([' ', '-', '.', '/', '(', '+']);
    if !run.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '(')
        || !run.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let rest = &line[run.len()..];
    let words = rest.trim_start();
    let closed = words.is_empty()
        || words.starts_with([':', ';', ','])
        || ["- ", "\u{2013} ", "\u{2014} "]
            .iter()
            .any(|dash| words.starts_with(dash));
    let is_word = rest.starts_with(' ') && !run.contains(' ');
    let followed_by_digit = words
        .trim_start_matches('(')
        .starts_with(|c: char| c.is_ascii_digit());
    if !closed && (!is_word || followed_by_digit) {
        let reason =
            "nobody can say where it ends: put a colon behind it, as in +33 1 23 45 67 89: Offer";
        return Some(Err(NotANumber {
            reason: reason.to_owned(),
        }));
    }
    Some(parse_address(run, plan))
}

/// `fax`, `Fax:` and `FAX=` before a number are passed over.
fn without_word(line: &str) -> &str {
    let Some(rest) = line
        .get(..3)
        .filter(|word| word.eq_ignore_ascii_case("fax"))
        .map(|_| &line[3..])
    else {
        return line;
    };
    match rest.trim_start().strip_prefix([':', '=']) {
        Some(number) => number.trim_start(),
        None if rest.starts_with(' ') => rest.trim_start(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Option<Result<String, String>> {
        let plan = DialPlan::load(None).unwrap();
        let read = leading(line, &plan)?;
        Some(
            read.map(|address| address.to_string())
                .map_err(|error| error.reason),
        )
    }

    #[test]
    fn a_line_that_begins_with_a_number_names_it() {
        for line in [
            "+33123456789",
            "  +33123456789  ",
            "+33 1 23 45 67 89",
            "Fax: +33 1 23 45 67 89",
            "fax +33123456789",
            "FAX=+33123456789",
            "+33123456789 Offer of June",
            "+33-1-23.45.67.89 Offer",
            "+33 1 23 45 67 89: Offer 2026",
            "+33 1 23 45 67 89, 2 pages",
            "+33 1 23 45 67 89 - Offer",
            "+33 1 23 45 67 89 \u{2013} Offer",
            "+33 (0)1 23 45 67 89; x",
        ] {
            assert_eq!(read(line), Some(Ok("+33123456789".into())), "{line}");
        }
    }

    #[test]
    fn promise_3_a_number_whose_end_is_in_doubt_is_refused() {
        for line in [
            "+33123456789 2 pages",
            "+33123456789 (2 pages)",
            "+33 1 23 45 67 89 Offer",
            "+33123456789x",
            "+33123456789/x",
            "2 pages for you",
            "+33 1 23 45 67 8\u{669}",
        ] {
            assert!(
                matches!(read(line), Some(Err(_))),
                "{line}: {:?}",
                read(line)
            );
        }
    }

    #[test]
    fn other_lines_name_none() {
        for line in [
            "",
            "Offer +33123456789",
            "Re: +33123456789",
            "faxes",
            "- 1",
            "fax",
            "Fax from Bob",
            "( )",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    proptest! {
        /// What is read stands at the beginning of the line, digit by digit.
        #[test]
        fn a_number_is_what_stands_there(line in "[fax:= ]{0,5}[+0-9 ()./-]{0,24}[ :;,a-z0-9\u{e9}-]{0,12}") {
            if let Some(Ok(number)) = read(&line) {
                let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
                let number = digits(&number);
                let shown = digits(&line);
                let tail = &number[2.min(number.len())..];
                prop_assert!(shown.contains(tail), "{} of {}", number, line);
            }
        }
    }
}
