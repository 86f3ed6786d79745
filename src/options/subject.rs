//! Brackets at the subject's ends.
//!
//! A bracket is a list of options when it begins with `fax:`, or when one of its items is an option that no other
//! bracket would hold by accident. `[EXTERNAL]`, `[ticket 123]`, `[LEGAL]` and `[cover letter]` stay in the subject.
//!
//! Behind `Re:` or `Fwd:` a subject is somebody else's, and so may its options be: they are refused there, aloud.

use super::{Fault, Place, Wishes, grammar};

/// A subject, and what of it was for us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// What is left.
    pub left: String,
    /// What was asked.
    pub wishes: Wishes,
}

/// Octets of a subject that is looked at: nobody writes a longer one.
const LONGEST: usize = 4_000;

/// What mail programs write before the subject of a reply or of what they pass on.
const PREFIXES: [&str; 35] = [
    "re",
    "fw",
    "fwd",
    "aw",
    "wg",
    "tr",
    "rép",
    "réf",
    "rv",
    "sv",
    "vs",
    "vb",
    "antw",
    "doorst",
    "rif",
    "r",
    "i",
    "inoltra",
    "enc",
    "res",
    "odp",
    "pd",
    "vl",
    "回复",
    "答复",
    "转发",
    "轉寄",
    "回覆",
    "轉發",
    "ynt",
    "ilt",
    "vá",
    "továbbítás",
    "bls",
    "trs",
];

/// Takes the options out of a subject.
///
/// # Errors
/// [`Fault`].
pub fn of_subject(subject: &str) -> Result<Subject, Fault> {
    let mut wishes = Wishes::default();
    if subject.len() > LONGEST {
        return Ok(Subject {
            left: subject.to_owned(),
            wishes,
        });
    }
    let (lead, rest) = leading(subject.trim());
    let (middle, trail) = trailing(rest);
    let mut words: Vec<&str> = Vec::new();
    for bracket in &lead {
        take(&mut wishes, &mut words, bracket)?;
    }
    let mut end: Vec<&str> = Vec::new();
    if is_anothers(middle) {
        let (inner, _) = leading(behind_prefixes(middle));
        let theirs = inner.iter().chain(&trail);
        if let Some(list) = theirs.filter_map(|bracket| list(bracket)).next() {
            // Not as it was written: it may hold a secret.
            let known = grammar::items(list).into_iter().find_map(grammar::item);
            return Err(Fault::Forwarded(known.map_or("fax:", |item| item.row.name)));
        }
        end.extend(&trail);
    } else {
        for bracket in &trail {
            take(&mut wishes, &mut end, bracket)?;
        }
    }
    let found = lead.len() + trail.len();
    if words.len() + end.len() == found {
        // Nothing was ours: it stays as it was written.
        return Ok(Subject {
            left: subject.to_owned(),
            wishes,
        });
    }
    words.extend(Some(middle).filter(|middle| !middle.is_empty()));
    words.extend(end);
    Ok(Subject {
        left: words.join(" "),
        wishes,
    })
}

/// Reads a bracket's options, or keeps it.
fn take<'s>(wishes: &mut Wishes, kept: &mut Vec<&'s str>, bracket: &'s str) -> Result<(), Fault> {
    match list(bracket) {
        Some(list) => grammar::add_list(wishes, list, Place::Subject),
        None => {
            kept.push(bracket);
            Ok(())
        }
    }
}

/// What is in a bracket, if that is a list of options.
fn list(bracket: &str) -> Option<&str> {
    let inside = bracket.strip_prefix('[')?.strip_suffix(']')?.trim();
    let marked = inside
        .split_once(':')
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("fax"));
    if let Some((_, list)) = marked {
        return Some(list);
    }
    let opens = |text: &&str| grammar::item(text).is_some_and(|item| item.opens);
    let items = grammar::items(inside);
    items.iter().any(opens).then_some(inside)
}

/// The brackets that a subject begins with, and the rest.
fn leading(subject: &str) -> (Vec<&str>, &str) {
    let (mut brackets, mut rest) = (Vec::new(), subject);
    while rest.starts_with('[')
        && let Some(end) = rest.find(']')
    {
        brackets.push(&rest[..=end]);
        rest = rest[end + 1..].trim_start();
    }
    (brackets, rest)
}

/// The brackets that a subject ends with, in order, and what is before them.
fn trailing(subject: &str) -> (&str, Vec<&str>) {
    let (mut brackets, mut rest) = (Vec::new(), subject);
    while rest.ends_with(']')
        && let Some(start) = rest.rfind('[')
    {
        brackets.push(&rest[start..]);
        rest = rest[..start].trim_end();
    }
    brackets.reverse();
    (rest, brackets)
}

/// Whether a subject is a reply's, or of what is passed on: `Re: …`, `Fwd: …`, `Re[2]: …`, `RE (2): …`, and
/// `… (fwd)` (RFC 5256 §5, rule 2).
fn is_anothers(subject: &str) -> bool {
    let forwarded = subject.to_lowercase().ends_with("(fwd)");
    forwarded || prefix_end(subject).is_some()
}

/// Where what stands behind a prefix begins.
fn prefix_end(subject: &str) -> Option<usize> {
    let (head, _) = subject.split_once([':', '\u{ff1a}'])?;
    let word: String = head
        .chars()
        .take_while(|c| c.is_alphabetic())
        .flat_map(char::to_lowercase)
        .collect();
    let letters: usize = head
        .chars()
        .take_while(|c| c.is_alphabetic())
        .map(char::len_utf8)
        .sum();
    let counted = |c: char| c.is_ascii_digit() || c.is_whitespace() || "[]()^*".contains(c);
    let is_prefix = PREFIXES.contains(&word.as_str()) && head[letters..].chars().all(counted);
    let colon = subject[head.len()..].chars().next()?;
    is_prefix.then_some(head.len() + colon.len_utf8())
}

fn behind_prefixes(subject: &str) -> &str {
    let mut rest = subject;
    while let Some(end) = prefix_end(rest) {
        rest = rest[end..].trim_start();
    }
    rest
}
