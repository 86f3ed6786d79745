//! The mail door: message data, messages, numbers, commands.

use faxpost::{
    command, dial, documents, front::fuzzing as front, front::imap::fuzzing as front_imap, options,
    relay, sender,
};

use crate::choice;

/// However the data is cut into pieces, the message and its end are the same.
pub fn smtp_data(data: &[u8]) {
    let Some((first, data)) = choice(data) else {
        return;
    };
    let whole = front::scan(data.chunks(data.len().max(1)));
    let cut = front::scan(data.chunks(first + 1));
    assert_eq!(whole.1, cut.1, "the end of the message moved");
    assert_eq!(whole.2, cut.2);
    if !whole.2 {
        assert_eq!(whole.0, cut.0);
    }
    if let (Some(end), false) = (whole.1, whole.2) {
        // RFC 5321 §4.1.1.4: nothing but a dot between two line ends is the end.
        assert!(data[..end].ends_with(b".\r\n"));
    }
    let (message, end, bare) = octet_by_octet(data);
    assert_eq!(whole.1, end);
    if end.is_some() {
        assert_eq!(whole.2, bare);
        if !bare {
            assert_eq!(whole.0, message);
        }
    }
}

/// What a message is, said as RFC 5321 §4.1.1.4 and §4.5.2 do, without a thought for speed.
fn octet_by_octet(data: &[u8]) -> (Vec<u8>, Option<usize>, bool) {
    let (mut message, mut bare, mut at, mut line_start) = (Vec::new(), false, 0, true);
    while at < data.len() {
        if line_start && data[at..].starts_with(b".\r\n") {
            return (message, Some(at + 3), bare);
        }
        if data[at..].starts_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
            line_start = true;
            at += 2;
            continue;
        }
        bare |= matches!(data[at], b'\r' | b'\n');
        if !(line_start && data[at] == b'.') {
            message.push(data[at]);
        }
        line_start = false;
        at += 1;
    }
    (message, None, bare)
}

/// However command lines are cut into pieces, they are the same, and no parser falls over one.
pub fn smtp_lines(data: &[u8]) {
    let Some((first, data)) = choice(data) else {
        return;
    };
    let whole = front::lines(data.chunks(data.len().max(1)));
    let cut = front::lines(data.chunks(first + 1));
    assert_eq!(whole, cut);
}

/// A message is read or refused; its parts too.
pub fn mail(data: &[u8]) {
    let _ = front::heading(data);
    let _ = documents::read(data, &documents::Options::default());
}

/// `winmail.dat` is read or refused.
pub fn tnef(data: &[u8]) {
    documents::fuzz_tnef(data);
}

/// A number that we take is E.164, and is kept as itself.
pub fn number(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let plan = dial::DialPlan::load(None).expect("the built-in plan");
    if let Ok(address) = dial::parse_address(text, &plan) {
        let again = dial::Destination::from_record(address.destination.as_str());
        assert_eq!(again.as_ref(), Some(&address.destination));
        // What is shown of it is read as the same.
        assert_eq!(
            dial::parse_address(&address.to_string(), &plan),
            Ok(address)
        );
    }
}

/// Options are read or refused wherever they stand; what is kept of them is read back the same.
pub fn options(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        options::fuzzing::read(text);
    }
}

/// The rows of a distribution list are read or named.
pub fn list(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let plan = dial::DialPlan::load(None).expect("the built-in plan");
        front::rows(text, &plan);
    }
}

/// A relay's Authentication-Results is read or not; what is read has its parts.
pub fn auth_results(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some((id, results)) = sender::read_results(text) {
        assert!(!id.is_empty() || text.contains("\"\""));
        for result in results {
            assert!(!result.method.is_empty() && !result.result.is_empty());
        }
    }
}

/// A secret is taken out of an address and a subject, or stays a part of neither.
pub fn secret(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let scrubbed = |secret: sender::Secret| {
        let message = format!("Subject: {}\r\n\r\nx", secret.text());
        let out = sender::secret::scrubbed(message.into_bytes(), &[secret], None);
        assert_eq!(out, b"Subject: \r\n\r\nx");
    };
    let subject = sender::secret::of_subject(text);
    assert!(subject.had_any() || subject.left == text);
    assert!(!sender::secret::of_subject(&subject.left).had_any());
    subject.secrets.into_iter().for_each(scrubbed);
    match sender::secret::of_address(text) {
        Ok((left, None)) => assert_eq!(left, text),
        Ok((_, Some(secret))) => scrubbed(secret),
        Err(_) => {}
    }
}

/// A line of a command falls into words.
pub fn command(data: &[u8]) {
    if let Ok(line) = std::str::from_utf8(data) {
        for word in command::words(line) {
            assert!(word.len() <= line.len());
        }
    }
}

/// What an IMAP server sends is bounded; what is let through is its beginning.
pub fn imap_wire(data: &[u8]) {
    let Some((first, data)) = choice(data) else {
        return;
    };
    let whole = front_imap::gauge([data]);
    assert_eq!(whole, front_imap::gauge(data.chunks(first + 1)));
    assert!(whole <= data.len());
}

/// A number at the beginning of a line stands there, digit by digit.
pub fn leading_number(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let plan = dial::DialPlan::load(None).expect("the built-in plan");
    if let Some(Ok(address)) = dial::leading(text, &plan) {
        let last = address.destination.as_str().chars().last();
        assert!(last.is_some_and(|digit| text.contains(digit)));
    }
}

/// What comes back is read; what is kept of it is a printable line, and a failure has a reason to be one.
pub fn bounce(data: &[u8]) {
    let read = relay::bounce::read(data);
    let words = read.words();
    assert!(words.len() < 300 && words.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
    if read.fate == relay::bounce::Fate::Delivered {
        // Only a machine's report says so.
        let text = String::from_utf8_lossy(data).to_ascii_lowercase();
        assert!(text.contains("multipart"));
    }
}
