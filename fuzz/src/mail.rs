//! The mail door: message data, messages, numbers, commands.

use faxpost::{command, dial, documents, front::fuzzing as front, sender};

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
