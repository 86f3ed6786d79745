//! `X-Fax-…` lines: an option each, and `X-Fax-Options` with a list of them.

use mail_parser::{Header, parsers::MessageStream};

use super::{
    Fault, Place, Wishes,
    grammar::{self, Item},
    table,
};

const PREFIX: &str = "x-fax-";

/// The options of a message's header lines. `message` is the whole of which they are.
///
/// # Errors
/// [`Fault`]; a line that is no option is one, since its sender meant something by it.
pub fn of_headers(headers: &[Header<'_>], message: &[u8]) -> Result<Wishes, Fault> {
    let mut wishes = Wishes::default();
    for header in headers {
        let name = header.name.as_str().to_ascii_lowercase();
        let Some(name) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let raw = message.get(header.offset_start as usize..header.offset_end as usize);
        // RFC 2047: the parser decodes no words of lines that no standard knows.
        let decoded = MessageStream::new(raw.unwrap_or_default()).parse_unstructured();
        let value = decoded.as_text().unwrap_or_default().trim();
        if name == "options" {
            grammar::add_list(&mut wishes, value, Place::Header)?;
            continue;
        }
        let row = table::named(name)
            .ok_or_else(|| grammar::unknown(header.name.as_str(), Place::Header))?;
        let item = Item {
            row,
            value: value.to_owned(),
            opens: true,
        };
        grammar::set(&mut wishes, &item, Place::Header)?;
    }
    Ok(wishes)
}
