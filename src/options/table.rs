//! The table: each option with its names, its values and what it is for.

use faxpost_paper::{Paper, Tone};
use faxpost_t4::Resolution;

use super::{DocumentPassword, Place, ReportWish, Wishes, time::When};
use crate::{
    language::{Language, Say, say},
    policy::{Body, covers, sending::PRIORITIES},
};

/// What came of setting an option.
pub(super) enum Set {
    Done,
    /// It has another value already.
    Twice,
    /// That is no value of it.
    Wrong,
}

/// An option.
pub struct Row {
    /// Its name, as the profiles have it where they have the same.
    pub name: &'static str,
    /// Other names, English and French.
    pub aliases: &'static [&'static str],
    /// Words that stand for the option with a value. Those that open a list tell a bracket of a subject as ours; the
    /// others are too common for that.
    pub(super) words: &'static [Word],
    /// Where it can't stand, and what to do instead.
    pub(super) not_in: &'static [(Place, &'static str)],
    /// Whether its name and a value, with a space between, tell a bracket of a subject as ours.
    pub(super) opens: bool,
    /// What is right as its value.
    pub expected: &'static str,
    /// What it does.
    pub help: Say,
    pub(super) set: fn(&mut Wishes, &str) -> Set,
}

/// A word that stands for an option with a value.
pub(super) struct Word {
    pub word: &'static str,
    pub value: &'static str,
    pub opens: bool,
}

const fn opens(word: &'static str, value: &'static str) -> Word {
    Word {
        word,
        value,
        opens: true,
    }
}

const fn common(word: &'static str, value: &'static str) -> Word {
    Word {
        word,
        value,
        opens: false,
    }
}

fn put<T: PartialEq>(slot: &mut Option<T>, value: Option<T>) -> Set {
    match (slot.as_ref(), value) {
        (_, None) => Set::Wrong,
        (Some(before), Some(value)) if *before != value => Set::Twice,
        (_, value) => {
            *slot = value;
            Set::Done
        }
    }
}

fn number<T: std::str::FromStr + PartialOrd>(
    text: &str,
    range: &std::ops::RangeInclusive<T>,
) -> Option<T> {
    let number = text.parse().ok()?;
    range.contains(&number).then_some(number)
}

fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "" | "yes" | "on" | "1" | "true" | "oui" => Some(true),
        "no" | "off" | "0" | "false" | "non" => Some(false),
        _ => None,
    }
}

/// Characters of a code or of a header text, at most.
const LONGEST: usize = 40;

/// A line that may stand on paper: no control character, nothing that turns the direction of writing or is not seen.
fn line(text: &str, longest: usize) -> Option<String> {
    let text = text.trim();
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                          | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                          | '\u{e0000}'..='\u{e007f}')
    };
    let fits = (1..=longest).contains(&text.chars().count()) && !text.contains(unseen);
    fits.then(|| text.to_owned())
}

fn resolution(text: &str) -> Option<Resolution> {
    match text.to_lowercase().as_str() {
        "standard" | "normal" | "normale" => Some(Resolution::Standard),
        "fine" => Some(Resolution::Fine),
        "superfine" | "super-fine" => Some(Resolution::Superfine),
        _ => None,
    }
}

fn paper(text: &str) -> Option<Paper> {
    match text.to_lowercase().as_str() {
        "a4" => Some(Paper::A4),
        "letter" => Some(Paper::Letter),
        "legal" => Some(Paper::Legal),
        _ => None,
    }
}

fn cover(text: &str) -> Option<String> {
    match text.to_lowercase().as_str() {
        "on" | "yes" | "oui" => Some(covers::PLAIN.to_owned()),
        "off" | "no" | "non" | "aucune" | covers::NONE => Some(covers::NONE.to_owned()),
        name => covers::is_cover_name(name).then(|| name.to_owned()),
    }
}

fn body(text: &str) -> Option<Body> {
    match text.to_lowercase().as_str() {
        "none" | "no" | "off" | "aucun" => Some(Body::Ignore),
        other => other.parse().ok(),
    }
}

fn tone(text: &str) -> Option<Tone> {
    match text.to_lowercase().as_str() {
        "auto" => Some(Tone::Auto),
        "text" | "texte" => Some(Tone::Text),
        "photo" => Some(Tone::Photo),
        _ => None,
    }
}

fn priority(text: &str) -> Option<i64> {
    match text.to_lowercase().as_str() {
        "urgent" => Some(0),
        "high" | "haute" => Some(2),
        "normal" | "normale" => Some(5),
        "low" | "basse" => Some(8),
        digits => number(digits, &PRIORITIES),
    }
}

fn report(text: &str) -> Option<ReportWish> {
    match text.to_lowercase().as_str() {
        "always" | "yes" | "toujours" => Some(ReportWish::Always),
        "failed" | "failure" | "échec" | "echec" => Some(ReportWish::Failed),
        "none" | "never" | "no" | "jamais" | "aucun" => Some(ReportWish::None),
        _ => None,
    }
}

/// T.30 §5.3.6.2.8: 1 to 20 of digits, `#` and `*`.
fn sub_address(text: &str) -> Option<String> {
    let sound = |octet: u8| octet.is_ascii_digit() || matches!(octet, b'#' | b'*');
    let fits = (1..=20).contains(&text.len()) && text.bytes().all(sound);
    fits.then(|| text.to_owned())
}

/// Written as a number; which numbers may be dialled from is not for this room to say.
fn caller(text: &str) -> Option<String> {
    let sound = |c: char| c.is_ascii_digit() || "+-. ()/".contains(c);
    let fits = text.len() <= 40 && text.contains(|c: char| c.is_ascii_digit());
    (fits && text.chars().all(sound)).then(|| text.to_owned())
}

const WHOLE_MAIL: &str = "it is for the whole mail: write it in the subject";
const COUNT: &str = "a whole number from 1 to 100";
const YES_NO: &str = "yes or no";
const TIME: &str =
    "a time as 18:00, \"tomorrow 08:00\", \"mon 08:00\", \"2026-11-30 08:00\" or +2h";

/// Every option, in the order in which they are told.
static ROWS: &[Row] = &[
    Row {
        name: "resolution",
        aliases: &["res", "résolution"],
        words: &[
            common("standard", "standard"),
            opens("fine", "fine"),
            opens("superfine", "superfine"),
            opens("super-fine", "superfine"),
        ],
        not_in: &[],
        opens: true,
        expected: "standard, fine or superfine",
        help: say("lines an inch", "lignes par pouce"),
        set: |wishes, text| put(&mut wishes.options.resolution, resolution(text)),
    },
    Row {
        name: "paper",
        aliases: &["papier"],
        words: &[
            opens("a4", "a4"),
            common("letter", "letter"),
            common("legal", "legal"),
        ],
        not_in: &[],
        opens: true,
        expected: "a4, letter or legal",
        help: say("what the pages are laid out for", "format des pages"),
        set: |wishes, text| put(&mut wishes.options.paper, paper(text)),
    },
    Row {
        name: "cover",
        aliases: &["couverture", "page-de-garde"],
        words: &[
            common("cover", "on"),
            opens("nocover", "none"),
            opens("no-cover", "none"),
            opens("sans-couverture", "none"),
        ],
        not_in: &[],
        opens: false,
        expected: "none, or a cover's name as plain, business or confidential",
        help: say("the page that goes first", "la page de garde"),
        set: |wishes, text| put(&mut wishes.options.cover, cover(text)),
    },
    Row {
        name: "body",
        aliases: &["corps"],
        words: &[opens("nobody", "ignore"), opens("no-body", "ignore")],
        not_in: &[],
        opens: false,
        expected: "cover, page or ignore",
        help: say(
            "where the text of the mail goes: on the cover, on pages of its own, nowhere",
            "où va le texte du message\u{a0}: sur la page de garde, sur ses propres pages, nulle part",
        ),
        set: |wishes, text| put(&mut wishes.options.body, body(text)),
    },
    Row {
        name: "tone",
        aliases: &["ton"],
        words: &[
            opens("photo", "photo"),
            common("text", "text"),
            common("texte", "text"),
        ],
        not_in: &[],
        opens: true,
        expected: "auto, text or photo",
        help: say(
            "what is drawn in dots: what looks like a photo, nothing, all",
            "ce qui est tramé\u{a0}: ce qui ressemble à une photo, rien, tout",
        ),
        set: |wishes, text| put(&mut wishes.options.tone, tone(text)),
    },
    Row {
        name: "priority",
        aliases: &["prio", "priorité"],
        words: &[opens("urgent", "urgent")],
        not_in: &[],
        opens: true,
        expected: "a whole number from 0 (first) to 9 (last), or urgent, high, normal, low",
        help: say(
            "which of your organisation's faxes go first",
            "l'ordre des fax de votre organisation",
        ),
        set: |wishes, text| put(&mut wishes.options.priority, priority(text)),
    },
    Row {
        name: "at",
        aliases: &["send-at", "à", "envoyer-à"],
        words: &[],
        not_in: &[],
        opens: true,
        expected: TIME,
        help: say("not called before", "pas d'appel avant"),
        set: |wishes, text| put(&mut wishes.at, When::read(text)),
    },
    Row {
        name: "not-after",
        aliases: &["until", "pas-après", "jusqu'à"],
        words: &[],
        not_in: &[],
        opens: true,
        expected: TIME,
        help: say(
            "given up when it was not sent by then",
            "abandonné s'il n'est pas parti à temps",
        ),
        set: |wishes, text| put(&mut wishes.not_after, When::read(text)),
    },
    Row {
        name: "calls",
        aliases: &["appels"],
        words: &[],
        not_in: &[],
        opens: true,
        expected: COUNT,
        help: say("calls that it may cost in all", "nombre d'appels, au plus"),
        set: |wishes, text| put(&mut wishes.options.calls, number(text, &(1..=100))),
    },
    Row {
        name: "tries",
        aliases: &["essais"],
        words: &[],
        not_in: &[],
        opens: true,
        expected: COUNT,
        help: say(
            "calls of these in which pages go out",
            "nombre d'appels où des pages partent, au plus",
        ),
        set: |wishes, text| put(&mut wishes.options.tries, number(text, &(1..=100))),
    },
    Row {
        name: "code",
        aliases: &["billing-code", "billing", "code-client"],
        words: &[],
        not_in: &[],
        opens: true,
        expected: "up to 40 characters",
        help: say("whom the fax is billed to", "à qui le fax est facturé"),
        set: |wishes, text| put(&mut wishes.options.code, line(text, LONGEST)),
    },
    Row {
        name: "header",
        aliases: &["header-text", "en-tête"],
        words: &[],
        not_in: &[],
        opens: false,
        expected: "up to 40 characters that can be seen",
        help: say(
            "in the line above each page, in place of your name",
            "dans la ligne d'en-tête, à la place de votre nom",
        ),
        set: |wishes, text| put(&mut wishes.options.header, line(text, LONGEST)),
    },
    Row {
        name: "caller",
        aliases: &["caller-id", "appelant"],
        words: &[],
        not_in: &[],
        opens: true,
        expected: "one of your own numbers, as +33123456789",
        help: say(
            "which of your own numbers calls",
            "lequel de vos numéros appelle",
        ),
        set: |wishes, text| put(&mut wishes.options.caller, caller(text)),
    },
    Row {
        name: "sub-address",
        aliases: &["sub", "sous-adresse"],
        words: &[],
        not_in: &[(
            Place::Address,
            "an address has T33S= for it, as in FAX=+33123456789/T33S=12@",
        )],
        opens: true,
        expected: "1 to 20 digits, # and *",
        help: say(
            "whom behind the number (T.33)",
            "à qui derrière le numéro (T.33)",
        ),
        set: |wishes, text| put(&mut wishes.options.sub_address, sub_address(text)),
    },
    Row {
        name: "report",
        aliases: &["rapport"],
        words: &[opens("noreport", "none"), opens("no-report", "none")],
        not_in: &[(Place::Address, WHOLE_MAIL)],
        opens: true,
        expected: "always, failed or none",
        help: say("when you get a report", "quand vous recevez un rapport"),
        set: |wishes, text| put(&mut wishes.options.report, report(text)),
    },
    Row {
        name: "receipt",
        aliases: &["reçu"],
        words: &[common("receipt", "yes"), opens("noreceipt", "no")],
        not_in: &[(Place::Address, WHOLE_MAIL)],
        opens: false,
        expected: YES_NO,
        help: say(
            "a receipt as PDF with the report",
            "un reçu en PDF avec le rapport",
        ),
        set: |wishes, text| put(&mut wishes.options.receipt, flag(text)),
    },
    Row {
        name: "accepted",
        aliases: &["accepté"],
        words: &[common("accepted", "yes"), opens("noaccepted", "no")],
        not_in: &[(Place::Address, WHOLE_MAIL)],
        opens: false,
        expected: YES_NO,
        help: say(
            "a mail that says that it was accepted",
            "un message qui dit qu'il est accepté",
        ),
        set: |wishes, text| put(&mut wishes.options.accepted, flag(text)),
    },
    Row {
        name: "preview",
        aliases: &["aperçu"],
        words: &[opens("preview", "yes"), opens("nopreview", "no")],
        not_in: &[(Place::Address, WHOLE_MAIL)],
        opens: false,
        expected: YES_NO,
        help: say("that mail shows the pages", "ce message montre les pages"),
        set: |wishes, text| put(&mut wishes.options.preview, flag(text)),
    },
    Row {
        name: "confirm",
        aliases: &["confirmer"],
        words: &[common("confirm", "yes"), opens("noconfirm", "no")],
        not_in: &[(Place::Address, WHOLE_MAIL)],
        opens: false,
        expected: YES_NO,
        help: say(
            "it waits until you confirm it",
            "il attend votre confirmation",
        ),
        set: |wishes, text| put(&mut wishes.options.confirm, flag(text)),
    },
    Row {
        name: "document-password",
        aliases: &["mot-de-passe-document"],
        words: &[],
        not_in: &[(
            Place::Address,
            "addresses are written to logs on the way: give it in an X-Fax-Document-Password line, or in a #fax line that \
             the text begins with",
        )],
        opens: true,
        expected: "what opens the documents, 200 characters at most",
        help: say(
            "what opens the documents of the mail",
            "ce qui ouvre les documents du message",
        ),
        set: |wishes, text| {
            let text = text.trim();
            let fits = !text.is_empty() && text.chars().count() <= 200;
            let password = fits.then(|| DocumentPassword(text.to_owned()));
            put(&mut wishes.document_password, password)
        },
    },
    Row {
        name: "password",
        aliases: &["mot-de-passe"],
        words: &[],
        not_in: &[
            (Place::Address, PASSWORD),
            (Place::Subject, PASSWORD),
            (Place::Body, PASSWORD),
        ],
        opens: false,
        expected: "1 to 20 digits, # and *",
        help: say(
            "what the far fax machine is told (T.30 SID)",
            "ce qui est dit au télécopieur appelé (T.30 SID)",
        ),
        // Read by `dial`, where it is needed, of the sealed mail.
        set: |_, _| Set::Done,
    },
];

const PASSWORD: &str =
    "the password for the far fax machine is given in an X-Fax-Password line alone";

/// Every option.
#[must_use]
pub fn rows() -> &'static [Row] {
    ROWS
}

/// The names of all options, with commas between.
#[must_use]
pub fn known_names() -> String {
    let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    names.join(", ")
}

/// A line for each option, for who asks.
#[must_use]
pub fn help(language: Language) -> Vec<String> {
    let line = |row: &Row| {
        let colon = match language {
            Language::En => ":",
            Language::Fr => "\u{a0}:",
        };
        format!(
            "{} ({}){colon} {}",
            row.name,
            row.expected,
            row.help.to(language)
        )
    };
    ROWS.iter().map(line).collect()
}

/// The option with this name, in small letters with hyphens between words.
pub(super) fn named(name: &str) -> Option<&'static Row> {
    ROWS.iter()
        .find(|row| row.name == name || row.aliases.contains(&name))
}

/// The option that a word stands for, and its value.
pub(super) fn word(word: &str) -> Option<(&'static Row, &'static Word)> {
    ROWS.iter().find_map(|row| {
        let found = row.words.iter().find(|known| known.word == word)?;
        Some((row, found))
    })
}
