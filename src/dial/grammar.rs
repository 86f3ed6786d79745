//! The part of an address before the `@`.
//!
//! ```text
//! +4930123456   +49(30)123-456   +49.30.123456     with the country code
//! 004930123456                                     after an international prefix
//! 030/123456                                       national, where the dial plan has a country code
//! FAX=+49-30-123456                                RFC 3191 §2, RFC 3192 §2
//! Jo.Doe/fax=+4930123456                           the same among other elements
//! +4930123456/T33S=1234                            with a sub-address (RFC 3192 §2)
//! ```

use super::{Address, Destination, NotANumber, SubAddress};
use crate::policy::dial::{BareNumbers, DialPlan};

/// Shown when the country code is missing.
const EXAMPLE: &str = "write it with a plus sign and the country code, as in +33123456789";

/// The digits of a sub-address at most (T.30 §5.3.6.2.8).
const LONGEST_SUB_ADDRESS: usize = 20;

/// Reads the local part of a recipient, already without quotes.
///
/// # Errors
/// [`NotANumber`]: it is no number, or one that the plan doesn't dial.
pub fn parse_address(local_part: &str, plan: &DialPlan) -> Result<Address, NotANumber> {
    let (telephone, sub_address) = elements(local_part)?;
    Ok(Address {
        destination: destination(&telephone, plan)?,
        sub_address: sub_address.map(self::sub_address).transpose()?,
    })
}

/// Reads a number that has no sub-address.
///
/// # Errors
/// [`NotANumber`], as [`parse_address`].
pub fn parse(local_part: &str, plan: &DialPlan) -> Result<Destination, NotANumber> {
    let address = parse_address(local_part, plan)?;
    match address.sub_address {
        None => Ok(address.destination),
        Some(_) => Err(no("it has a sub-address, where a number alone is meant")),
    }
}

fn destination(telephone: &str, plan: &DialPlan) -> Result<Destination, NotANumber> {
    let (international, digits) = digits_of(telephone)?;
    if plan.is_emergency(&digits) {
        return Err(no("emergency and service numbers are never dialled"));
    }
    let digits = if international {
        digits
    } else {
        plan.expand(&digits)?
    };
    if digits.starts_with('0') {
        return Err(no(format!("no country code begins with 0; {EXAMPLE}")));
    }
    // E.164 §6: fifteen digits at most.
    match digits.len() {
        0..3 => return Err(no(format!("it is too short; {EXAMPLE}"))),
        3..=15 => {}
        _ => return Err(no("it has more than 15 digits")),
    }
    if let Some(code) = &plan.country_code
        && digits
            .strip_prefix(code.as_str())
            .is_some_and(|national| plan.is_emergency(national))
    {
        return Err(no("emergency and service numbers are never dialled"));
    }
    let e164 = format!("+{digits}");
    if let Some(why) = plan.refusal(&e164) {
        return Err(no(format!("{e164} is not dialled here: {why}")));
    }
    Ok(Destination(e164))
}

impl DialPlan {
    fn is_emergency(&self, digits: &str) -> bool {
        self.emergency.iter().any(|number| number == digits)
    }

    /// Why a range of E.164 is not dialled.
    fn refusal(&self, e164: &str) -> Option<&str> {
        self.refused
            .iter()
            .find(|range| {
                range
                    .prefixes
                    .iter()
                    .any(|prefix| e164.starts_with(prefix.as_str()))
            })
            .map(|range| range.why.as_str())
    }

    /// Puts the country code before digits that came without a plus sign.
    fn expand(&self, digits: &str) -> Result<String, NotANumber> {
        if let Some(rest) = self
            .international_prefixes
            .iter()
            .find_map(|prefix| digits.strip_prefix(prefix.as_str()))
        {
            return Ok(rest.to_owned());
        }
        let national = |rest: &str| match &self.country_code {
            Some(code) => Ok(format!("{code}{rest}")),
            None => Err(no(format!("its country is missing; {EXAMPLE}"))),
        };
        if !self.national_prefix.is_empty()
            && let Some(rest) = digits.strip_prefix(self.national_prefix.as_str())
        {
            return national(rest);
        }
        match self.bare_numbers {
            BareNumbers::International => Ok(digits.to_owned()),
            BareNumbers::National => national(digits),
            BareNumbers::Refuse => Err(no(format!("its country is missing; {EXAMPLE}"))),
        }
    }
}

/// The element that holds the number, and that of the sub-address. The number is in the element named
/// `fax`; without one, it is what has no name.
fn elements(local_part: &str) -> Result<(String, Option<&str>), NotANumber> {
    let (mut telephone, mut sub_address) = (None, None);
    let mut unnamed = Vec::new();
    for element in local_part.split('/') {
        let Some((name, value)) = element.split_once('=') else {
            unnamed.push(element);
            continue;
        };
        if name.eq_ignore_ascii_case("fax") {
            if telephone.replace(value).is_some() {
                return Err(no("it holds two numbers; give each its own recipient"));
            }
        } else if name.eq_ignore_ascii_case("t33s") {
            if sub_address.replace(value).is_some() {
                return Err(no(
                    "it holds two sub-addresses (T33S=); give each its own recipient",
                ));
            }
        } else {
            return Err(no(
                "of the address elements only FAX= and T33S= are known here",
            ));
        }
    }
    let Some(telephone) = telephone else {
        // A number may itself hold slashes: 030/123456.
        return Ok((unnamed.join("/"), sub_address));
    };
    // Half a number is somebody else's.
    let is_digits = |element: &&str| element.starts_with(|c: char| c.is_ascii_digit());
    if unnamed.iter().any(is_digits) {
        return Err(no("write its number without slashes behind FAX="));
    }
    Ok((telephone.to_owned(), sub_address))
}

pub(super) fn sub_address(text: &str) -> Result<SubAddress, NotANumber> {
    // RFC 3192 §2 has digits; T.30 Table 3 for SUB # and * as well.
    let sound = |octet: u8| octet.is_ascii_digit() || matches!(octet, b'#' | b'*');
    match text.len() {
        0 => Err(no("its sub-address (T33S=) is empty")),
        1..=LONGEST_SUB_ADDRESS if text.bytes().all(sound) => Ok(SubAddress(text.to_owned())),
        1..=LONGEST_SUB_ADDRESS => Err(no("its sub-address (T33S=) may hold digits, # and * only")),
        _ => Err(no("its sub-address (T33S=) has more than 20 digits")),
    }
}

/// The digits without their separators, and whether a plus sign stood before them.
fn digits_of(text: &str) -> Result<(bool, String), NotANumber> {
    let mut digits = String::with_capacity(16);
    let mut plus = false;
    for character in text.trim().chars() {
        match character {
            '0'..='9' => digits.push(character),
            '+' if digits.is_empty() && !plus => plus = true,
            // RFC 3191 §2 written-sep, and what people write besides.
            '-' | '.' | ' ' | '(' | ')' | '/' => {}
            '*' | '#' => return Err(no("* and # can't be dialled")),
            _ => {
                return Err(no(format!(
                    "it may hold digits and - . ( ) / only; {EXAMPLE}"
                )));
            }
        }
    }
    if digits.is_empty() {
        return Err(no(format!("it holds no digits; {EXAMPLE}")));
    }
    // "+49 (0)30 …" is written by many: the zero is for callers inside the country.
    if plus && let Some(at) = text.find("(0)") {
        let before = text[..at].bytes().filter(u8::is_ascii_digit).count();
        // Italy's zero belongs to the number.
        if before > 0 && !digits.starts_with("39") {
            digits.remove(before);
        }
    }
    Ok((plus, digits))
}

fn no(reason: impl Into<String>) -> NotANumber {
    NotANumber {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(country_code: Option<&str>, bare_numbers: BareNumbers) -> DialPlan {
        DialPlan {
            country_code: country_code.map(str::to_owned),
            bare_numbers,
            ..DialPlan::load(None).unwrap()
        }
    }

    fn german(text: &str) -> Result<String, String> {
        parse_address(text, &plan(Some("49"), BareNumbers::Refuse))
            .map(|address| address.to_string())
            .map_err(|error| error.reason)
    }

    #[test]
    fn every_written_form_is_one_number() {
        for text in [
            "+4930123456",
            "+49-30-123456",
            "+49.30.123.456",
            "+49 (30) 123456",
            "+49 (0)30 123456",
            "+49(30)123-456",
            "004930123456",
            "030123456",
            "030/123456",
            "(030) 12 34 56",
            "FAX=+4930123456",
            "fax=+49-30-123456",
            "Fax=030.123456",
            "Jo.Doe/fax=+4930123456",
        ] {
            assert_eq!(german(text).as_deref(), Ok("+4930123456"), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        for (text, why) in [
            ("", "holds no digits"),
            ("info", "digits and - . ( ) / only"),
            ("+", "holds no digits"),
            ("++4930", "digits and - . ( ) / only"),
            ("49+30", "digits and - . ( ) / only"),
            ("+49", "too short"),
            ("+1234567890123456", "more than 15"),
            ("+0123456", "no country code begins with 0"),
            ("4930123", "country is missing"),
            ("+49*30", "* and #"),
            ("+4930123/T33S=", "sub-address (T33S=) is empty"),
            ("+4930123/T33S=1x", "digits, # and * only"),
            ("+4930123/T33S=123456789012345678901", "more than 20"),
            ("+4930123/T33S=1/t33s=2", "two sub-addresses"),
            ("T33S=1", "holds no digits"),
            ("+4930123/x", "digits and - . ( ) / only"),
            ("FAX/T33=", "only FAX="),
            ("FAX=+4930123/ATTN=Jo", "only FAX="),
            ("FAX=+4930123/fax=+4930124", "two numbers"),
            ("FAX=030/123456", "without slashes"),
            ("voice=+4930123", "only FAX="),
            ("FAX=", "holds no digits"),
            ("+٤٩٣٠١٢٣", "digits and - . ( ) / only"),
        ] {
            let reason = german(text).unwrap_err();
            assert!(reason.contains(why), "{text}: {reason}");
        }
    }

    #[test]
    fn a_sub_address_stands_beside_its_number() {
        for (text, read) in [
            ("+4930123456/T33S=1234", "+4930123456/T33S=1234"),
            ("/FAX=+4930123456/T33S=1234/", "+4930123456/T33S=1234"),
            ("Jo.Doe/t33s=12#*3/fax=030123456", "+4930123456/T33S=12#*3"),
            ("030/123456/T33S=7", "+4930123456/T33S=7"),
            ("T33S=7/030/123456", "+4930123456/T33S=7"),
            (
                "+4930123456/T33S=12345678901234567890",
                "+4930123456/T33S=12345678901234567890",
            ),
        ] {
            assert_eq!(german(text).as_deref(), Ok(read), "{text}");
        }
        // Where a number alone is meant, a sub-address must not get lost.
        let plan = plan(Some("49"), BareNumbers::Refuse);
        assert!(parse("+4930123456/T33S=1", &plan).is_err());
        assert!(parse("+4930123456", &plan).is_ok());
    }

    #[test]
    fn the_plan_reads_numbers_without_a_plus_sign() {
        let read = |text, code, bare| parse(text, &plan(code, bare)).map(|d| d.to_string());
        assert!(read("030123456", None, BareNumbers::Refuse).is_err());
        assert_eq!(
            read("4930123456", None, BareNumbers::International).unwrap(),
            "+4930123456"
        );
        assert_eq!(
            read("30123456", Some("49"), BareNumbers::National).unwrap(),
            "+4930123456"
        );
        let italian = DialPlan {
            national_prefix: String::new(),
            ..plan(Some("39"), BareNumbers::National)
        };
        assert_eq!(
            parse("0612345678", &italian).unwrap().as_str(),
            "+390612345678"
        );
    }

    #[test]
    fn emergency_and_premium_numbers_are_never_dialled() {
        for text in ["112", "911", "+112", "1-1-2", "+49112", "0049110", "0110"] {
            let reason = german(text).unwrap_err();
            assert!(
                reason.contains("emergency") || reason.contains("service"),
                "{text}: {reason}"
            );
        }
        let premium = german("+49900123456").unwrap_err();
        assert!(premium.contains("premium-rate"), "{premium}");
        assert!(german("+8816123456").unwrap_err().contains("satellite"));
        assert!(german("+491121234567").is_ok());
        assert_eq!(german("+39 (0)6 12345678").as_deref(), Ok("+390612345678"));
    }

    proptest! {
        #[test]
        fn anything_parses_to_e164_or_to_a_reason(text in "\\PC{0,40}") {
            match parse(&text, &plan(Some("33"), BareNumbers::National)) {
                Ok(destination) => prop_assert_eq!(
                    Destination::from_record(destination.as_str()),
                    Some(destination)
                ),
                Err(error) => prop_assert!(!error.reason.is_empty()),
            }
        }

        #[test]
        fn separators_change_nothing(digits in "[1-9][0-9]{5,13}", cuts in prop::collection::vec((0usize..14, "[-. ]"), 0..4)) {
            let bare = plan(None, BareNumbers::Refuse);
            let plain = format!("+{digits}");
            let mut written = plain.clone();
            for (at, separator) in cuts {
                written.insert_str(1 + at.min(written.len() - 1), &separator);
            }
            prop_assert_eq!(parse(&plain, &bare), parse(&written, &bare));
        }
    }
}
