//! A list of numbers that comes with a mail to `list@domain`: it says where the fax goes, and is no page of it.

use mail_parser::{Message, MessagePart, MimeHeaders as _, PartType};

use crate::options;

/// The local part that asks for it.
pub const LIST: &str = "list";
/// What the file's name begins with.
const NAME: &str = "distribution-list";

/// Whether an address, as it was given, asks for the mail's list. Nothing else makes a list of an attachment: else
/// whoever wrote a mail that is passed on could say where it goes.
#[must_use]
pub fn asks_for_list(address: &str) -> bool {
    let left = options::of_address(address).map(|(left, _)| left);
    let left = left.as_deref().unwrap_or(address);
    let local_part = left
        .rsplit_once('@')
        .map_or(left, |(local_part, _)| local_part);
    local_part.eq_ignore_ascii_case(LIST)
}

/// Whether a file is called as a list is: `distribution-list.csv`, `Distribution-List 2026.txt`.
pub(super) fn is_list(name: &str) -> bool {
    let name = name.trim().to_lowercase().replace([' ', '_'], "-");
    name.starts_with(NAME) && (name.ends_with(".csv") || name.ends_with(".txt"))
}

/// The text of the list that a mail has with it. Those of a mail within the mail are not this one's.
#[must_use]
pub fn list(mail: &Message<'_>) -> Option<String> {
    let is_file = |part: &&MessagePart<'_>| {
        !matches!(part.body, PartType::Message(_) | PartType::Multipart(_))
            && part.attachment_name().is_some_and(is_list)
    };
    let part = mail.parts.iter().find(is_file)?;
    Some(super::parts::text_of_file(mail, part))
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    #[test]
    fn an_address_asks_for_the_list() {
        for good in ["list@x", "LIST/cover=none@x", "list"] {
            assert!(asks_for_list(good), "{good}");
        }
        for other in ["lists@x", "+331/code=list@x", "a.list@x", "@x", ""] {
            assert!(!asks_for_list(other), "{other}");
        }
        for (name, is) in [
            ("distribution-list.csv", true),
            ("Distribution_List 3.TXT", true),
            ("distribution-list.pdf", false),
            ("my-distribution-list.csv", false),
        ] {
            assert_eq!(is_list(name), is, "{name}");
        }
    }

    #[test]
    fn promise_4_the_list_of_a_forwarded_mail_is_not_this_mails() {
        let inner = "From: m@x\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: text/csv; \
                     name=distribution-list.csv\r\n\r\n+33899999999\r\n--i--\r\n";
        let mail = |own: &str| {
            format!(
                "From: a@x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
                 {inner}\r\n--b\r\n{own}\r\n--b--\r\n"
            )
        };
        let read = |text: &str| {
            let parsed = MessageParser::default().parse(text.as_bytes()).unwrap();
            list(&parsed)
        };
        assert_eq!(read(&mail("Content-Type: text/plain\r\n\r\nhi")), None);
        let own =
            "Content-Disposition: attachment; filename=distribution-list.txt\r\n\r\n+33123456789";
        assert_eq!(read(&mail(own)).as_deref(), Some("+33123456789"));
    }
}
