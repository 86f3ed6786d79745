//! Names and strings as a command has them.

use base64::{
    Engine as _,
    alphabet::IMAP_MUTF7,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};

const BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// A folder's name in modified UTF-7, quoted: servers take UTF-8 only where it was agreed on (RFC 9051 §A.1,
/// RFC 3501 §5.1.3).
pub(super) fn folder(name: &str) -> String {
    let mut out = String::new();
    let mut other: Vec<u8> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            shift(&mut other, &mut out);
            match c {
                '&' => out.push_str("&-"),
                c => out.push(c),
            }
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                other.extend(unit.to_be_bytes());
            }
        }
    }
    shift(&mut other, &mut out);
    quoted(&out)
}

fn shift(other: &mut Vec<u8>, out: &mut String) {
    if !other.is_empty() {
        out.push('&');
        out.push_str(&BASE64.encode(&other));
        out.push('-');
        other.clear();
    }
}

/// A quoted string (RFC 9051 §4.3). The text has no control characters: it would be another command.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_written_as_servers_have_them() {
        for (name, written) in [
            ("INBOX", "\"INBOX\""),
            ("Fax Fehler", "\"Fax Fehler\""),
            ("Envoy\u{e9}s", "\"Envoy&AOk-s\""),
            ("Done & \"sent\"", "\"Done &- \\\"sent\\\"\""),
            // RFC 3501 §5.1.3
            (
                "~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}",
                "\"~peter/mail/&U,BTFw-/&ZeVnLIqe-\"",
            ),
            ("\u{1f4e0}", "\"&2D3c4A-\""),
        ] {
            assert_eq!(folder(name), written);
        }
    }

    proptest! {
        #[test]
        fn no_name_is_another_command(name in "\\PC{0,20}|[\\x00-\\x1f\"\\\\&a]{0,20}") {
            let written = folder(&name);
            prop_assert!(written.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            let inside = &written[1..written.len() - 1];
            let bare = inside.replace("\\\\", "").replace("\\\"", "");
            prop_assert!(!bare.contains('"') && !bare.contains('\\'));
        }
    }
}
