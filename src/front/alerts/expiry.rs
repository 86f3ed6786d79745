//! When a certificate ends: as much of X.509 as that takes (RFC 5280 §4.1).

use crate::clock::Millis;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The certificate's notAfter; nothing where it can't be read.
pub(super) fn not_after(certificate: &[u8]) -> Option<Millis> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // The version is left out of version 1.
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // serialNumber, signature, issuer; then validity.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (kind, validity, _) = element(fields)?;
    if kind != SEQUENCE {
        return None;
    }
    let (_, _, after) = element(validity)?;
    let (kind, text, _) = element(after)?;
    time(kind, std::str::from_utf8(text).ok()?)
}

/// Tag, content and what follows of the first element (X.690 §8.1, lengths of four octets at most).
fn element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(first) {
        short @ 0..=127 => (short, rest),
        long @ 0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(long - 0x80)?;
            let length = length
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` of 1950 to 2049, or with four digits of the year (RFC 5280 §4.1.2.5).
fn time(kind: u8, text: &str) -> Option<Millis> {
    let text = text.strip_suffix('Z')?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let at = jiff::civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0);
    let at = at.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time_are_read_and_rubbish_is_none() {
        assert_eq!(time(UTC_TIME, "261120120000Z"), Some(1_795_176_000_000));
        assert_eq!(
            time(GENERALIZED_TIME, "20261120120000Z"),
            Some(1_795_176_000_000)
        );
        assert_eq!(time(UTC_TIME, "500101000000Z"), Some(-631_152_000_000));
        for wrong in [
            "",
            "Z",
            "2611201200Z",
            "261320120000Z",
            "261120120000",
            "é61120120000Z",
        ] {
            assert_eq!(time(UTC_TIME, wrong), None, "{wrong}");
        }
        for octets in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 255, 255, 255, 255],
            &[0x30, 2, 0x30, 0],
        ] {
            assert_eq!(not_after(octets), None);
        }
    }
}
