//! A script's text, line by line.

use faxpost_fax::Verdict;
use faxpost_t4::Resolution;

/// A script as it was read.
#[derive(Debug, Default)]
pub struct Script {
    /// We send these pages; without any we receive.
    pub pages: Vec<Resolution>,
    pub ecm: bool,
    pub sub_address: Option<String>,
    pub password: Option<String>,
    /// Seconds until a received page is kept.
    pub keep_after: Option<f64>,
    pub steps: Vec<(usize, Step)>,
    pub ending: Option<String>,
    pub cause: Option<String>,
    pub verdicts: Vec<(Verdict, String)>,
    pub kept: Option<u32>,
    pub asked_for: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// The far end sends.
    Send(Vec<Word>),
    /// It expects this, within so many seconds.
    Expect(Vec<Word>, f64),
    /// Nothing comes for so many seconds.
    Nothing(f64),
    Wait(f64),
    HangUp,
    Times(usize, Vec<(usize, Step)>),
}

/// `DCS=14400,ecm` or `MCF!`.
#[derive(Clone, Debug)]
pub struct Word {
    pub name: String,
    pub says: Vec<String>,
    pub spoilt: bool,
}

/// A frame is awaited no longer than this unless the script says so: T4 three times, and its page.
const PATIENCE: f64 = 40.0;

/// Reads a script.
pub fn read(text: &str) -> Script {
    let mut script = Script {
        ecm: true,
        ..Script::default()
    };
    // The loops that are open: how often, and what stands before.
    let mut open: Vec<(usize, Vec<(usize, Step)>)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let step = match words.as_slice() {
            [] => continue,
            [">", rest @ ..] => Step::Send(rest.iter().map(|w| word(w)).collect()),
            ["<", "nothing", seconds] => Step::Nothing(number_of(seconds)),
            ["<", rest @ .., "within", seconds] => {
                Step::Expect(rest.iter().map(|w| word(w)).collect(), number_of(seconds))
            }
            ["<", rest @ ..] => Step::Expect(rest.iter().map(|w| word(w)).collect(), PATIENCE),
            ["wait", seconds] => Step::Wait(number_of(seconds)),
            ["hang", "up"] => Step::HangUp,
            [count, "times"] => {
                open.push((count.parse().unwrap(), std::mem::take(&mut script.steps)));
                continue;
            }
            ["end"] => {
                let (count, before) = open.pop().expect("a loop to end");
                let within = std::mem::replace(&mut script.steps, before);
                Step::Times(count, within)
            }
            words => {
                head_or_end(&mut script, words, line);
                continue;
            }
        };
        script.steps.push((number, step));
    }
    assert!(open.is_empty(), "a loop without its end");
    assert!(script.ending.is_some(), "a script says how its call ends");
    script
}

fn head_or_end(script: &mut Script, words: &[&str], line: &str) {
    match words {
        ["we", "send", count, "pages" | "page"] => {
            script.pages = vec![Resolution::Standard; count.parse().unwrap()];
        }
        ["we", "receive"] => script.pages.clear(),
        ["without", "ecm"] => script.ecm = false,
        ["of", resolutions] => {
            script.pages = resolutions
                .split(',')
                .map(|name| match name {
                    "standard" => Resolution::Standard,
                    "fine" => Resolution::Fine,
                    "superfine" => Resolution::Superfine,
                    other => panic!("what resolution is {other}?"),
                })
                .collect();
        }
        ["to", sub_address] => script.sub_address = Some((*sub_address).to_owned()),
        ["password", password] => script.password = Some((*password).to_owned()),
        ["keeping", "takes", seconds] => script.keep_after = Some(number_of(seconds)),
        ["=", name] => script.ending = Some((*name).to_owned()),
        ["=", name, "cause", cause] => {
            script.ending = Some((*name).to_owned());
            script.cause = Some((*cause).to_owned());
        }
        ["kept", count] => script.kept = Some(count.parse().unwrap()),
        ["asked", "for", sub_address] => script.asked_for = Some((*sub_address).to_owned()),
        ["page", number, verdict, ..] => {
            let verdict = match verdict.trim_end_matches(':') {
                "confirmed" => Verdict::Confirmed,
                "refused" => Verdict::Refused,
                "unknown" => Verdict::Unknown,
                "unsent" => Verdict::Unsent,
                other => panic!("what verdict is {other}?"),
            };
            let evidence = line.split_once(':').map_or("", |(_, said)| said).trim();
            script.verdicts.push((verdict, evidence.to_owned()));
            assert_eq!(number.parse(), Ok(script.verdicts.len()), "{line}");
        }
        _ => panic!("what does it say? {line}"),
    }
}

fn number_of(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

fn word(text: &str) -> Word {
    let (text, spoilt) = match text.strip_suffix('!') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (name, says) = text.split_once('=').unwrap_or((text, ""));
    Word {
        name: name.to_owned(),
        says: says
            .split(',')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect(),
        spoilt,
    }
}
