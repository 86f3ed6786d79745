//! Times, durations and counts as people of a language write them.

use jiff::{Timestamp, tz::TimeZone};

use crate::{clock::Millis, language::Language};

const MONTHS: [[&str; 2]; 12] = [
    ["January", "janvier"],
    ["February", "février"],
    ["March", "mars"],
    ["April", "avril"],
    ["May", "mai"],
    ["June", "juin"],
    ["July", "juillet"],
    ["August", "août"],
    ["September", "septembre"],
    ["October", "octobre"],
    ["November", "novembre"],
    ["December", "décembre"],
];

/// A time in an IANA time zone; UTC where the zone is not known here, and it says so.
pub(super) fn zoned(ms: Millis, zone: &str) -> jiff::Zoned {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    Timestamp::from_millisecond(ms)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(zone)
}

/// `1 October 2026, 14:03:05 CEST`.
pub(super) fn time(ms: Millis, zone: &str, language: Language) -> String {
    let at = zoned(ms, zone);
    let month = MONTHS[usize::from(at.month().unsigned_abs()) - 1][language as usize];
    let (year, day, clock) = (at.year(), at.day(), at.strftime("%H:%M:%S %Z"));
    match language {
        Language::En => format!("{day} {month} {year}, {clock}"),
        Language::Fr if day == 1 => format!("1er {month} {year} à {clock}"),
        Language::Fr => format!("{day} {month} {year} à {clock}"),
    }
}

/// `1 min 12 s`.
pub(super) fn duration(ms: u32) -> String {
    let seconds = (u64::from(ms) + 500) / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, s) => format!("{h} h {m} min {s} s"),
    }
}

/// `14,400`, `14 400`.
pub(super) fn count(n: u32, language: Language) -> String {
    let mark = match language {
        Language::En => ",",
        Language::Fr => "\u{a0}",
    };
    let digits = n.to_string();
    let head = (digits.len() - 1) % 3 + 1;
    let mut text = digits[..head].to_owned();
    for group in digits.as_bytes()[head..].chunks(3) {
        text.push_str(mark);
        text.extend(group.iter().map(|&digit| char::from(digit)));
    }
    text
}

/// The colon as the language sets it.
pub(super) fn colon(language: Language) -> &'static str {
    match language {
        Language::En => ":",
        Language::Fr => "\u{a0}:",
    }
}

/// `1 page`, `3 pages`; French says `0 page`.
pub(super) fn pages(n: u32, language: Language) -> String {
    let one = match language {
        Language::En => n == 1,
        Language::Fr => n < 2,
    };
    format!(
        "{} {}",
        count(n, language),
        if one { "page" } else { "pages" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!(count(2400, Language::En), "2,400");
        assert_eq!(count(14_400, Language::Fr), "14\u{a0}400");
        assert_eq!(count(1_234_567, Language::En), "1,234,567");
        assert_eq!(count(96, Language::En), "96");
        assert_eq!(pages(0, Language::En), "0 pages");
        assert_eq!(pages(0, Language::Fr), "0 page");
        assert_eq!(pages(1, Language::En), "1 page");
        assert_eq!(duration(400), "0 s");
        assert_eq!(duration(71_600), "1 min 12 s");
        assert_eq!(duration(3_600_000), "1 h 0 min 0 s");
    }

    #[test]
    fn times_are_local_and_name_their_zone() {
        let ms = 1_790_856_185_000; // 2026-10-01 12:03:05 UTC
        assert_eq!(
            time(ms, "UTC", Language::En),
            "1 October 2026, 12:03:05 UTC"
        );
        assert_eq!(
            time(ms, "Europe/Paris", Language::Fr),
            "1er octobre 2026 à 14:03:05 CEST"
        );
        assert_eq!(
            time(ms, "Mars/Olympus", Language::En),
            "1 October 2026, 12:03:05 UTC"
        );
    }
}
