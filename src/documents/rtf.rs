//! The compressed RTF of Outlook's mails (MS-OXRTFCP).

use super::Reason;

/// MS-OXRTFCP §2.1.3.1.2: "LZFu", and "MELA" for text that is not compressed; little endian.
const COMPRESSED: u32 = 0x7546_5A4C;
const PLAIN: u32 = 0x414C_454D;
/// What the text may become: more is no mail's.
const MOST: usize = 32 << 20;
/// Octets of the dictionary, which is a ring (§2.1.2.1).
const RING: usize = 4096;
/// What it begins with (§2.1.2.1).
const BEGINNING: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \
    \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\
    \r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// Unpacks it. The check sum is left alone: writers get it wrong, and what is cut is seen without.
///
/// # Errors
/// `Broken`: it can't be followed.
pub(super) fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let word = |at: usize| {
        let octets = bytes
            .get(at..at + 4)
            .and_then(|octets| octets.try_into().ok());
        octets.map(u32::from_le_bytes).ok_or(Reason::Broken)
    };
    let (raw, kind) = (word(4)? as usize, word(8)?);
    let body = bytes.get(16..).ok_or(Reason::Broken)?;
    // Two octets become 17 at most: more is not what it says.
    if raw > MOST.min(body.len() * 9) {
        return Err(Reason::Broken);
    }
    match kind {
        PLAIN => Ok(body.get(..raw).ok_or(Reason::Broken)?.to_vec()),
        COMPRESSED => inflated(body, raw),
        _ => Err(Reason::Broken),
    }
}

/// §2.2.2.1: runs of eight tokens, each run with an octet that says which of them are references.
fn inflated(body: &[u8], raw: usize) -> Result<Vec<u8>, Reason> {
    let mut ring = [0; RING];
    ring[..BEGINNING.len()].copy_from_slice(BEGINNING);
    let mut at = BEGINNING.len();
    let mut out = Vec::with_capacity(raw);
    let mut octets = body.iter().copied();
    let mut next = || octets.next().ok_or(Reason::Broken);
    loop {
        let references = next()?;
        for bit in 0..8 {
            if references >> bit & 1 == 0 {
                // The end may be the text's own, where the writer left out the last reference.
                let octet = match next() {
                    Err(_) if out.len() == raw => return Ok(out),
                    octet => octet?,
                };
                put(octet, &mut ring, &mut at, &mut out, raw)?;
                continue;
            }
            let reference = usize::from(u16::from_be_bytes([next()?, next()?]));
            let (mut from, length) = (reference >> 4, (reference & 15) + 2);
            // A reference to where we write is the end.
            if from == at {
                return if out.len() == raw {
                    Ok(out)
                } else {
                    Err(Reason::Broken)
                };
            }
            for _ in 0..length {
                let octet = ring[from];
                from = (from + 1) % RING;
                put(octet, &mut ring, &mut at, &mut out, raw)?;
            }
        }
    }
}

fn put(
    octet: u8,
    ring: &mut [u8; RING],
    at: &mut usize,
    out: &mut Vec<u8>,
    raw: usize,
) -> Result<(), Reason> {
    if out.len() >= raw {
        return Err(Reason::Broken);
    }
    out.push(octet);
    ring[*at] = octet;
    *at = (*at + 1) % RING;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The examples of MS-OXRTFCP §3.1.1 and §3.1.2.
    #[test]
    fn the_standards_examples_come_out() {
        let simple = b"\x2d\x00\x00\x00\x2b\x00\x00\x00\x4c\x5a\x46\x75\xf1\xc5\xc7\xa7\x03\x00\x0a\x00\
            \x72\x63\x70\x67\x31\x32\x35\x42\x32\x0a\xf3\x20\x68\x65\x6c\x09\x00\x20\x62\x77\x05\xb0\x6c\x64\x7d\
            \x0a\x80\x0f\xa0";
        assert_eq!(
            String::from_utf8(unpacked(simple).unwrap()).unwrap(),
            "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
        );
        let across =
            b"\x1a\x00\x00\x00\x1c\x00\x00\x00\x4c\x5a\x46\x75\xe2\xd4\x4b\x51\x41\x00\x04\x20\
            \x57\x58\x59\x5a\x0d\x6e\x7d\x01\x0e\xb0";
        assert_eq!(
            String::from_utf8(unpacked(across).unwrap()).unwrap(),
            "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
        );
    }

    #[test]
    fn the_dictionary_has_its_length() {
        assert_eq!(BEGINNING.len(), 207);
    }

    #[test]
    fn what_is_not_compressed_is_taken_as_it_is() {
        let packed = [&[9, 0, 0, 0, 4, 0, 0, 0][..], b"MELA", &[0; 4], b"text"].concat();
        assert_eq!(unpacked(&packed).unwrap(), b"text");
        assert_eq!(unpacked(&packed[..19]), Err(Reason::Broken));
    }

    proptest! {
        #[test]
        fn any_octets_end(body in proptest::collection::vec(any::<u8>(), 0..200), raw in 0u32..100_000_000) {
            let packed = [&[0; 4][..], &raw.to_le_bytes(), b"LZFu", &[0; 4], &body].concat();
            if let Ok(text) = unpacked(&packed) {
                prop_assert_eq!(text.len(), raw as usize);
            }
        }
    }
}
