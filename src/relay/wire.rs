//! A mail's bytes as they may stand on the wire.

/// The mail with every line ended by CRLF and the last one by nothing: the end of the data brings
/// its own. A bare LF before a dot would end the mail at a lenient server and let the rest through as
/// commands; lettre sends what it is given.
pub(super) fn normalised(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 40);
    let mut bytes = mail.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            byte => out.push(byte),
        }
    }
    if out.ends_with(b"\r\n") {
        out.truncate(out.len() - 2);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_line_end_becomes_crlf() {
        assert_eq!(
            normalised(b"a\nb\rc\r\nd\n\r\n\n"),
            b"a\r\nb\r\nc\r\nd\r\n\r\n"
        );
        assert_eq!(normalised(b"a\r\r\nb"), b"a\r\n\r\nb");
        assert_eq!(
            normalised(b"x\n.\nMAIL FROM:<a@b>\n"),
            b"x\r\n.\r\nMAIL FROM:<a@b>"
        );
        assert_eq!(normalised(b""), b"");
    }

    proptest! {
        #[test]
        fn no_bare_cr_or_lf_is_left(mail in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..200,
        )) {
            let out = normalised(&mail);
            for (at, &byte) in out.iter().enumerate() {
                match byte {
                    b'\r' => prop_assert_eq!(out.get(at + 1), Some(&b'\n')),
                    b'\n' => prop_assert!(at > 0 && out[at - 1] == b'\r'),
                    _ => {}
                }
            }
            // What is between the line ends is untouched.
            let text = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect()
            };
            prop_assert_eq!(text(&out), text(&mail));
            // A line more, for the end that the data brings.
            let mut ended = out.clone();
            ended.extend_from_slice(b"\r\n");
            prop_assert_eq!(normalised(&ended), out);
        }
    }
}
