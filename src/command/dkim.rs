//! Commands of the keys that sign our mails.

use super::{CommandError, Gateway, grammar::Line};
use crate::relay::dkim::{self, KeyKind, Published};

/// Octets of one string of a TXT record (RFC 1035 §3.3.14).
const STRING: usize = 255;

/// `add dkim DOMAIN [kind rsa|ed25519] [selector NAME]`
pub(super) fn add(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    line.literal("dkim")?;
    let domain = line.word("the domain of the From line of what we write")?;
    let (mut kind, mut selector) = (KeyKind::Rsa, None);
    loop {
        match line.peek() {
            Some("kind") => {
                line.literal("kind")?;
                kind = match line.word("rsa or ed25519")?.as_str() {
                    "rsa" => KeyKind::Rsa,
                    "ed25519" => KeyKind::Ed25519,
                    other => {
                        let what = format!("{other:?} is no kind of key");
                        return Err(line.mistake(&what, "rsa or ed25519").into());
                    }
                };
            }
            Some("selector") => {
                line.literal("selector")?;
                selector = Some(line.word("a name of letters, digits and hyphens")?);
            }
            _ => break,
        }
    }
    line.end()?;
    let selector = selector.unwrap_or_else(|| {
        let day = jiff::Timestamp::now().strftime("%Y%m%d");
        format!("fax-{}-{day}", kind.name())
    });
    let made = dkim::make(gateway.keys, &domain, &selector, kind);
    let made = made.map_err(CommandError::Refused)?;
    Ok(format!(
        "mails from {} are signed with this key within a minute. Publish it first:\n{}\nThe key is {}; back it up apart from \
         the database, or make another when it is lost. `faxpost check` compares the record with it. When a new key takes \
         its place, leave its record for a week: mails that are under way have its signature.",
        made.domain,
        record(&made),
        made.file.display()
    ))
}

/// `show dkim`
pub(super) fn show(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    line.literal("dkim")?;
    line.end()?;
    let keys = dkim::keys(gateway.keys);
    let keys = keys.map_err(|error| CommandError::Refused(error.to_string()))?;
    if keys.is_empty() {
        return Ok(
            "there is no key: what we write goes out without a DKIM signature (`add dkim DOMAIN`)"
                .to_owned(),
        );
    }
    let lines = keys.iter().map(|key| {
        let signs = if key.signs {
            "signs"
        } else {
            "was replaced: remove its file and its record when a week has passed"
        };
        format!("{} {signs}\n{}", key.domain, record(key))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The record as a zone file has it.
fn record(key: &Published) -> String {
    let strings: Vec<String> = key
        .record
        .as_bytes()
        .chunks(STRING)
        .map(|chunk| format!("\"{}\"", String::from_utf8_lossy(chunk)))
        .collect();
    format!("{}. IN TXT ( {} )", key.name(), strings.join(" "))
}
