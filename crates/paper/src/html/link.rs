//! Links on paper: the address stands behind the words when it is short enough to be typed.

/// The longest address that anybody types.
const LONGEST: usize = 60;

/// What to tell of where a link goes, when its words don't.
pub(super) fn worth_telling(href: &str, words: &str) -> Option<String> {
    let lower = href.to_ascii_lowercase();
    let words = words.to_lowercase();
    let address = if lower.starts_with("mailto:") {
        href[7..].split('?').next()?.to_owned()
    } else if lower.starts_with("tel:") {
        let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
        let number = &href[4..];
        if digits(&words).ends_with(tail(&digits(number))) {
            return None;
        }
        number.to_owned()
    } else {
        let after = lower.find("://").filter(|_| lower.starts_with("http"))? + 3;
        let address = href[after..].trim_end_matches('/');
        // What follows a question mark is for machines.
        if address.contains(['?', '%']) {
            return None;
        }
        address.strip_prefix("www.").unwrap_or(address).to_owned()
    };
    let told = words.contains(&address.to_lowercase());
    let typed = address
        .chars()
        .all(|c| c.is_alphanumeric() || "@.-_/+:#~()".contains(c));
    (!told && typed && !address.is_empty() && address.chars().count() <= LONGEST).then_some(address)
}

/// The last digits of a number, which are the same with and without a country code.
fn tail(digits: &str) -> &str {
    &digits[digits.len().saturating_sub(6)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_addresses_that_the_words_lack_are_told() {
        let told = |href, words| worth_telling(href, words);
        assert_eq!(
            told("https://www.example.com/offer/", "our offer").as_deref(),
            Some("example.com/offer")
        );
        assert_eq!(told("https://example.com", "www.Example.com"), None);
        assert_eq!(
            told("mailto:a@x.example?subject=x", "write").as_deref(),
            Some("a@x.example")
        );
        assert_eq!(told("mailto:a@x.example", "a@x.example"), None);
        assert_eq!(told("tel:+49301234567", "030 / 123 45 67"), None);
        assert_eq!(
            told("tel:+49301234567", "call us").as_deref(),
            Some("+49301234567")
        );
        assert_eq!(told("https://t.example/c?id=99", "here"), None);
        assert_eq!(told("javascript:alert(1)", "here"), None);
        assert_eq!(told("https://x.example/é💥", "here"), None);
        assert_eq!(told("ＨＴＴＰ", "here"), None);
    }
}
