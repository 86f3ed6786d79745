//! Whether a number can exist: its country code is one, and it has as many digits as numbers there have.
//!
//! "Possible", not "valid": which ranges of a country are in use changes every week, and metadata that is a year
//! old must not refuse a number that was given out since. Lengths and country codes change once in years.

use std::{collections::HashMap, sync::LazyLock};

use phonenumber::metadata::{DATABASE, Descriptors};

use super::{Destination, NotANumber};

/// For each country code the lengths that numbers behind it may have, a bit each. Only these are kept in use:
/// the library's patterns are neither compiled nor asked.
static LENGTHS: LazyLock<HashMap<u16, u32>> = LazyLock::new(|| {
    let mut lengths = HashMap::new();
    for code in 1..1000_u16 {
        // Countries that share a code share their entry: which of them it is does not matter here.
        for country in DATABASE.by_code(&code).unwrap_or_default() {
            *lengths.entry(code).or_default() |= bits(country.descriptors());
        }
    }
    for (code, lengths) in &mut lengths {
        // E.164 §6: fifteen digits at most. The source has longer ones, which are dialled within a country only.
        let digits = u32::from(*code > 9) + u32::from(*code > 99) + 1;
        *lengths &= (1 << (16 - digits)) - 1;
    }
    lengths
});

/// The lengths of every kind of number that can be called from abroad. Short codes can't, and the general
/// entry of the source has no lengths of its own.
fn bits(kinds: &Descriptors) -> u32 {
    let kinds = [
        Some(kinds.general()),
        kinds.fixed_line(),
        kinds.mobile(),
        kinds.toll_free(),
        kinds.premium_rate(),
        kinds.shared_cost(),
        kinds.personal_number(),
        kinds.voip(),
        kinds.pager(),
        kinds.uan(),
        kinds.voicemail(),
    ];
    let lengths = kinds
        .into_iter()
        .flatten()
        .flat_map(|kind| kind.possible_length());
    lengths.fold(0, |bits, length| {
        bits | 1_u32.checked_shl(u32::from(*length)).unwrap_or(0)
    })
}

/// Refuses a number that can't exist.
///
/// # Errors
/// [`NotANumber`].
pub fn possible(destination: &Destination) -> Result<(), NotANumber> {
    let digits = destination.as_str().trim_start_matches('+');
    // E.164 §6.2.1: one to three digits, and none of them begins with another.
    let found = (1..=3).find_map(|length| {
        let (code, rest) = digits.split_at_checked(length)?;
        Some((code, rest, *LENGTHS.get(&code.parse().ok()?)?))
    });
    let Some((code, rest, lengths)) = found else {
        return Err(NotANumber {
            reason: format!("no country has the code that +{digits} begins with"),
        });
    };
    // A code without lengths tells nothing.
    if lengths == 0 || (rest.len() < 32 && lengths & (1 << rest.len()) != 0) {
        return Ok(());
    }
    let (shortest, longest) = (lengths.trailing_zeros(), 31 - lengths.leading_zeros());
    let have = match rest.len() {
        length if length < shortest as usize => "is too short",
        length if length > longest as usize => "is too long",
        _ => "has a wrong number of digits",
    };
    Err(NotANumber {
        reason: format!(
            "+{digits} {have}: numbers behind +{code} have {} digits after it",
            words(lengths)
        ),
    })
}

/// `9`, `6 or 9`, `5 to 15`.
fn words(lengths: u32) -> String {
    let all: Vec<u32> = (0..32).filter(|n| lengths & (1 << n) != 0).collect();
    match all.as_slice() {
        [first, .., last] if all.len() > 2 && (last - first) as usize == all.len() - 1 => {
            format!("{first} to {last}")
        }
        [rest @ .., last] if !rest.is_empty() => {
            let rest: Vec<String> = rest.iter().map(u32::to_string).collect();
            format!("{} or {last}", rest.join(", "))
        }
        _ => all.iter().map(u32::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: &str) -> Result<(), String> {
        possible(&Destination::from_record(number).unwrap()).map_err(|error| error.reason)
    }

    #[test]
    fn a_number_of_a_wrong_length_can_not_exist() {
        for (number, why) in [
            (
                "+3312345678",
                "+3312345678 is too short: numbers behind +33 have",
            ),
            ("+331234567890", "too long"),
            (
                "+1212555010",
                "has a wrong number of digits: numbers behind +1 have 7 or 10",
            ),
            ("+121255501000", "too long"),
            ("+442", "too short"),
            (
                "+9991234567",
                "no country has the code that +9991234567 begins with",
            ),
            ("+2101234567", "no country has the code"),
        ] {
            let reason = check(number).unwrap_err();
            assert!(reason.contains(why), "{number}: {reason}");
        }
    }

    #[test]
    fn ranges_that_nobody_knows_yet_are_possible() {
        // Neither was given out when the metadata was made: their lengths are right.
        for number in [
            "+33123456789",
            "+33099999999",
            "+12125550100",
            "+15005550100",
            "+4930123456",
            "+49123456",
            "+390612345678",
            "+442071234567",
            "+41441234567",
            "+4312345",
            "+35312345678",
            "+85212345678",
            "+80012345678",
            "+33199001122",
        ] {
            assert_eq!(check(number), Ok(()), "{number}");
        }
    }

    #[test]
    fn every_country_has_lengths_within_e164() {
        assert!(LENGTHS.len() > 200);
        for (code, lengths) in &*LENGTHS {
            let longest = 31 - lengths.leading_zeros() as usize;
            assert!(code.to_string().len() + longest <= 15, "+{code}: {longest}");
        }
    }

    #[test]
    fn lengths_are_told_in_words() {
        let bits = |all: &[u32]| all.iter().fold(0, |bits, n| bits | 1 << n);
        assert_eq!(words(bits(&[9])), "9");
        assert_eq!(words(bits(&[6, 9])), "6 or 9");
        assert_eq!(words(bits(&[4, 6, 9])), "4, 6 or 9");
        assert_eq!(words(bits(&[5, 6, 7])), "5 to 7");
    }
}
