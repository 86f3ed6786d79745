//! A list of options, and the elements of an address that are options.
//!
//! ```text
//! fine, nocover, at 18:00, code 4711, header "Smith, Jones & Co"       items with commas or semicolons between
//! +33123456789/resolution=fine/cover=none@fax.example.com              as RFC 3192 §2 has its own elements
//! ```

use super::{
    Fault, MOST, Place, Wishes,
    table::{self, Row, Set},
};

/// Characters of what somebody wrote that an answer repeats.
const SHOWN: usize = 40;

/// One item, read.
pub(super) struct Item {
    pub row: &'static Row,
    pub value: String,
    /// It tells a bracket of a subject as a list of options.
    pub opens: bool,
}

/// The items of a list; what is in quotes has no separators.
pub(super) fn items(list: &str) -> Vec<&str> {
    let (mut items, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in list.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    items
        .into_iter()
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect()
}

/// In small letters, with a hyphen between words.
fn dense(name: &str) -> String {
    let words = name.split(|c: char| c.is_whitespace() || c == '_' || c == '-');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inside = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    inside.unwrap_or(value).trim().to_owned()
}

/// What an item means; `None`: nothing that is known.
pub(super) fn item(text: &str) -> Option<Item> {
    // "name=value" and "name: value"; in "at 18:00" the colon belongs to the value.
    if let Some((name, value)) = text.split_once(['=', ':'])
        && let Some(row) = table::named(&dense(name))
    {
        return Some(Item {
            row,
            value: unquoted(value),
            opens: true,
        });
    }
    if let Some((row, word)) = table::word(&dense(text)) {
        return Some(Item {
            row,
            value: word.value.to_owned(),
            opens: word.opens,
        });
    }
    // "not after 18:00": the longest name that it begins with.
    let ends = text
        .match_indices(char::is_whitespace)
        .map(|(at, _)| at)
        .take(8);
    let ends: Vec<usize> = ends.chain([text.len()]).collect();
    let found = ends.into_iter().rev().find_map(|end| {
        let row = table::named(&dense(&text[..end]))?;
        Some((row, unquoted(&text[end..])))
    });
    let (row, value) = found?;
    let mut probe = Wishes::default();
    let sound = !value.is_empty() && matches!((row.set)(&mut probe, &value), Set::Done);
    Some(Item {
        row,
        opens: row.opens && sound,
        value,
    })
}

/// Sets one option.
pub(super) fn set(wishes: &mut Wishes, item: &Item, place: Place) -> Result<(), Fault> {
    let name = item.row.name;
    // A row is one number's, as an address is.
    let like = if place == Place::List {
        Place::Address
    } else {
        place
    };
    let wrong = item.row.not_in.iter().find(|(wrong, _)| *wrong == like);
    if let Some((_, instead)) = wrong {
        return Err(Fault::Misplaced {
            name,
            place,
            instead,
        });
    }
    match (item.row.set)(wishes, &item.value) {
        Set::Done => Ok(()),
        Set::Twice => Err(Fault::Twice { name, place }),
        Set::Wrong => Err(Fault::Value {
            name,
            place,
            expected: item.row.expected,
        }),
    }
}

pub(super) fn unknown(text: &str, place: Place) -> Fault {
    // What is behind a name may be a secret that was meant for another: answers are kept on the way.
    let end = |c: char| c.is_whitespace() || matches!(c, '=' | ':');
    let name = text.trim().split(end).next().unwrap_or_default();
    Fault::Unknown {
        name: name.chars().take(SHOWN).collect(),
        place,
    }
}

/// Reads a list of options.
///
/// # Errors
/// [`Fault`].
pub fn of_list(list: &str, place: Place) -> Result<Wishes, Fault> {
    let mut wishes = Wishes::default();
    add_list(&mut wishes, list, place)?;
    Ok(wishes)
}

pub(super) fn add_list(wishes: &mut Wishes, list: &str, place: Place) -> Result<(), Fault> {
    let items = items(list);
    if items.len() > MOST {
        return Err(Fault::TooMany(place));
    }
    for text in items {
        let item = item(text).ok_or_else(|| unknown(text, place))?;
        set(wishes, &item, place)?;
    }
    Ok(())
}

/// Takes the options out of a local part, or of an address: what is left, and what they ask. Elements that `dial`
/// knows stay. In a value `_` stands for a space.
///
/// # Errors
/// [`Fault`].
pub fn of_address(address: &str) -> Result<(String, Wishes), Fault> {
    let (local_part, domain) = match address.rfind('@') {
        Some(at) => address.split_at(at),
        None => (address, ""),
    };
    let (mut left, mut wishes) = (Vec::new(), Wishes::default());
    for (count, element) in local_part.split('/').enumerate() {
        let named = element
            .split_once('=')
            .map(|(name, value)| (dense(name), value));
        match named {
            Some((name, value)) if !["fax", "t33s"].contains(&name.as_str()) => {
                if count > MOST {
                    return Err(Fault::TooMany(Place::Address));
                }
                let row = table::named(&name).ok_or_else(|| unknown(element, Place::Address))?;
                let item = Item {
                    row,
                    value: unquoted(&value.replace('_', " ")),
                    opens: true,
                };
                set(&mut wishes, &item, Place::Address)?;
            }
            _ => left.push(element),
        }
    }
    Ok((format!("{}{domain}", left.join("/")), wishes))
}
