//! The one final report of a submission.

use std::fmt::Write as _;

use super::{
    Detail, DocumentNote, Dsn, LetterError, dsn,
    layout::{Block, Layout, Tone},
    local,
    mail::{self, Attachment, Head},
    proof,
    receipt::report_json,
    words,
};
use crate::{
    clock::Millis,
    language::{Language, Say, say},
    outcome::{self, Verdict},
};

/// How much of the submission's subject is repeated, characters: the result stands around it.
const SUBJECT_CHARS: usize = 100;

const RECEIPT: Say = say("receipt.pdf", "recu.pdf");

/// What became of one submission, for the person who sent it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Our Message-ID, without brackets: fixed before the first try to mail it.
    pub message_id: String,
    /// Our address.
    pub from: String,
    /// The reader's address.
    pub to: String,
    /// The Date, Unix milliseconds.
    pub date_ms: Millis,
    /// The reader's language.
    pub language: Language,
    /// The reader's IANA time zone.
    pub time_zone: String,
    /// The submission's own Message-ID.
    pub in_reply_to: Option<String>,
    /// The submission's subject.
    pub subject: String,
    /// The submission.
    pub submission_id: String,
    /// What proved its sender, as the record has it: its kind, then of what.
    pub proof: String,
    /// One for each destination.
    pub jobs: Vec<ReportJob>,
    /// What happened when the document was drawn: attachments left out, fonts replaced.
    pub notes: Vec<DocumentNote>,
    /// The first page, PNG.
    pub first_page_png: Option<Vec<u8>>,
    /// It says nothing of what was sent, not even that it had no subject.
    pub discreet: bool,
    /// The receipt, a PDF.
    pub receipt: Option<Vec<u8>>,
    /// The same for programs goes with it.
    pub json: bool,
}

/// What became of one destination.
#[derive(Clone, Debug)]
pub struct ReportJob {
    /// E.164 with the plus sign.
    pub destination: String,
    /// Who behind it (T.33).
    pub sub_address: Option<String>,
    /// Whom it is billed to.
    pub code: Option<String>,
    /// The final state: `sent`, `partly`, `failed`, `cancelled`, `expired` or `unknown`.
    pub state: String,
    /// The key of its last outcome.
    pub outcome: String,
    /// What belongs to the outcome: the attachment's name, the reason.
    pub note: Option<Detail>,
    /// Pages in all, the cover counted; 0 when none was made.
    pub pages: u32,
    /// Pages that the far end confirmed.
    pub confirmed: u32,
    /// The verdict on each page, by all calls.
    pub verdicts: Vec<Verdict>,
    /// Pages (from 0, in order) that went out again though they may have arrived before.
    pub repeats: Vec<u32>,
    /// Calls placed.
    pub calls: u32,
    /// The last call.
    pub last: Option<Attempt>,
}

/// One call of a job.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// When it was placed: local time with its zone.
    pub started: String,
    /// From the answer to the end.
    pub duration_ms: Option<u32>,
    /// bit/s.
    pub rate: Option<u32>,
    /// Error correction mode.
    pub ecm: Option<bool>,
    /// CSI.
    pub remote_ident: Option<String>,
    /// `t38` or `g711`.
    pub media: Option<String>,
    /// spandsp's completion code.
    pub t30_code: Option<u32>,
    /// The final response to INVITE.
    pub sip_status: Option<u32>,
    /// Q.850 cause.
    pub q850: Option<u32>,
}

/// Writes the report.
///
/// # Errors
/// [`LetterError`].
pub fn report(report: &Report) -> Result<Vec<u8>, LetterError> {
    written(report, None)
}

/// Writes the report as a notification that the mail's sender asked for: one mail for people and for machines.
///
/// # Errors
/// [`LetterError`].
pub fn report_as_dsn(report: &Report, dsn: &Dsn) -> Result<Vec<u8>, LetterError> {
    written(report, Some(dsn))
}

fn written(report: &Report, dsn: Option<&Dsn>) -> Result<Vec<u8>, LetterError> {
    let language = report.language;
    let (verdict, tone) = verdict(&report.jobs);
    let subject = match mail::shortened(&report.subject, SUBJECT_CHARS) {
        subject if subject.is_empty() => words::NO_SUBJECT.to(language).to_owned(),
        subject => subject,
    };
    let title = if report.discreet {
        verdict.to(language).to_owned()
    } else {
        format!(
            "{}{} {subject}",
            verdict.to(language),
            local::colon(language)
        )
    };
    let mut blocks: Vec<Block> = report.jobs.iter().map(|job| block(job, language)).collect();
    if report.jobs.is_empty() {
        let mut block = Block::new(verdict.to(language));
        block.tone = Some(tone);
        blocks.push(block);
    }
    if !report.notes.is_empty() {
        let mut notes = Block::new(words::ON_THE_DOCUMENT.to(language));
        notes
            .list
            .extend(report.notes.iter().map(|note| note.to(language)));
        blocks.push(notes);
    }
    let mut technical = Block::new(words::TECHNICAL.to(language));
    technical.list.extend(report.jobs.iter().filter_map(codes));
    technical.list.push(report.submission_id.clone());
    technical.list.extend(proof::words(&report.proof, language));
    blocks.push(technical);

    let picture = report.first_page_png.as_deref();
    let layout = Layout {
        language,
        title: title.clone(),
        lead: Vec::new(),
        blocks,
        picture: picture.map(|_| {
            (
                format!("page1.{}", report.message_id),
                words::FIRST_PAGE.to(language),
            )
        }),
        foot: words::REPORT_FOOT.to(language),
    };
    let head = Head {
        message_id: &report.message_id,
        from: &report.from,
        from_name: words::FAX.to(language).to_owned(),
        to: &report.to,
        reply_to: None,
        date_ms: report.date_ms,
        subject: format!("{title} ({})", extent(&report.jobs, language)),
        in_reply_to: report.in_reply_to.as_deref(),
        reply: true,
        mark: Some(("X-Faxpost-Submission", &report.submission_id)),
    };
    let json = report.json.then(|| report_json(report));
    let mut files = Vec::new();
    if let Some(bytes) = &report.receipt {
        files.push(Attachment {
            media_type: "application/pdf",
            name: RECEIPT.to(language).to_owned(),
            bytes,
        });
    }
    if let Some(bytes) = &json {
        files.push(Attachment {
            media_type: "application/json",
            name: "report.json".to_owned(),
            bytes,
        });
    }
    match dsn {
        Some(dsn) => mail::write_report(&head, &layout, picture, files, dsn::parts(dsn)),
        None => mail::write(&head, &layout, picture, files),
    }
}

/// What became of the whole: never better than its worst destination.
fn verdict(jobs: &[ReportJob]) -> (Say, Tone) {
    let all = |state: &str| !jobs.is_empty() && jobs.iter().all(|job| job.state == state);
    let some_confirmed = jobs
        .iter()
        .any(|job| job.state == "sent" || job.confirmed > 0);
    // "Partly sent" would say that the rest was not: of an unknown page nobody can say that.
    let some_unknown = jobs
        .iter()
        .any(|job| job.state == "unknown" || job.verdicts.contains(&Verdict::Unknown));
    if all("sent") {
        (words::SENT, Tone::Good)
    } else if some_confirmed && some_unknown {
        (words::PARTLY_CONFIRMED, Tone::Doubtful)
    } else if some_confirmed {
        (words::PARTLY_SENT, Tone::Doubtful)
    } else if some_unknown {
        (words::NOT_CONFIRMED, Tone::Doubtful)
    } else if all("cancelled") {
        (words::CANCELLED, Tone::Bad)
    } else {
        (words::NOT_SENT, Tone::Bad)
    }
}

/// How much, in the subject: `3 pages, +331…`, or `2 of 3 numbers`.
fn extent(jobs: &[ReportJob], language: Language) -> String {
    match jobs {
        [job] => {
            let confirmed = match (job.pages, job.confirmed) {
                (0, _) | (_, 0) => String::new(),
                (total, confirmed) if total == confirmed => {
                    format!("{}, ", local::pages(total, language))
                }
                (total, confirmed) => format!("{}, ", of(confirmed, total, "pages", language)),
            };
            format!("{confirmed}{}", job.destination)
        }
        jobs => {
            let sent = jobs.iter().filter(|job| job.state == "sent").count();
            let numbers = match language {
                Language::En => "numbers",
                Language::Fr => "numéros",
            };
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            of(count(sent), count(jobs.len()), numbers, language)
        }
    }
}

/// `2 of 3 pages`.
fn of(part: u32, whole: u32, things: &str, language: Language) -> String {
    let (part, whole) = (local::count(part, language), local::count(whole, language));
    match language {
        Language::En => format!("{part} of {whole} {things}"),
        Language::Fr => format!("{part} sur {whole} {things}"),
    }
}

fn block(job: &ReportJob, language: Language) -> Block {
    let (result, tone) = match job.state.as_str() {
        "sent" => (words::RESULT_SENT, Tone::Good),
        "partly" => (words::RESULT_PARTLY, Tone::Doubtful),
        "unknown" if job.confirmed > 0 => (words::RESULT_PARTLY_CONFIRMED, Tone::Doubtful),
        "unknown" => (words::RESULT_UNKNOWN, Tone::Doubtful),
        "cancelled" => (words::RESULT_CANCELLED, Tone::Bad),
        _ => (words::RESULT_FAILED, Tone::Bad),
    };
    let mut block = Block::new(format!(
        "{}{} {}",
        job.destination,
        local::colon(language),
        result.to(language)
    ));
    block.tone = Some(tone);
    // A job that is sent has nothing to explain, whatever its last call ended with.
    if job.state != "sent"
        && let Some(outcome) = outcome::by_key(&job.outcome)
    {
        block.sentences.push(outcome.words(language));
    }
    if let Some(sub_address) = &job.sub_address {
        block.row(words::SUB_ADDRESS.to(language), sub_address);
    }
    if let Some(code) = &job.code {
        block.row(words::BILLING_CODE.to(language), code);
    }
    if let Some(note) = &job.note {
        block.row(words::DETAIL.to(language), note.to(language));
    }
    if job.pages > 0 {
        let confirmed = of(job.confirmed, job.pages, "", language);
        let word = words::CONFIRMED[usize::from(job.confirmed > 1)].to(language);
        block.row(words::PAGES.to(language), format!("{}{word}", confirmed));
        if job.confirmed < job.pages {
            block.row(
                words::PAGE_BY_PAGE.to(language),
                page_by_page(&job.verdicts, language),
            );
        }
    }
    if !job.repeats.is_empty() {
        let repeats = format!(
            "{} {}",
            runs(&job.repeats),
            words::MARKED_IN_THE_HEADER.to(language)
        );
        block.row(words::POSSIBLE_REPEATS.to(language), repeats);
    }
    if let Some(last) = &job.last {
        attempt_rows(&mut block, last, language);
    }
    if job.calls > 0 {
        block.row(words::CALLS.to(language), local::count(job.calls, language));
    }
    block
}

fn attempt_rows(block: &mut Block, last: &Attempt, language: Language) {
    block.row(
        words::REMOTE_IDENT.to(language),
        last.remote_ident.as_deref().unwrap_or_default().trim(),
    );
    block.row(words::STARTED.to(language), &last.started);
    if let Some(ms) = last.duration_ms {
        block.row(words::DURATION.to(language), local::duration(ms));
    }
    if let Some(rate) = last.rate.filter(|rate| *rate > 0) {
        let ecm = match last.ecm {
            Some(true) => format!(", {}", words::WITH_ECM.to(language)),
            Some(false) => format!(", {}", words::WITHOUT_ECM.to(language)),
            None => String::new(),
        };
        let rate = local::count(rate, language);
        block.row(words::SPEED.to(language), format!("{rate} bit/s{ecm}"));
    }
}

/// `1–3 confirmed; 4 unknown (…); 5–7 not sent`.
fn page_by_page(verdicts: &[Verdict], language: Language) -> String {
    let mut text = String::new();
    let mut first = 0;
    for run in verdicts.chunk_by(|a, b| a == b) {
        let (from, to) = (first + 1, first + run.len());
        first = to;
        let words = match run[0] {
            Verdict::Confirmed => words::CONFIRMED,
            Verdict::Refused => words::REFUSED,
            Verdict::Unknown => words::UNKNOWN,
            Verdict::Unsent => words::UNSENT,
        };
        let word = words[usize::from(run.len() > 1)].to(language);
        let mark = match language {
            _ if text.is_empty() => "",
            Language::En => "; ",
            Language::Fr => "\u{a0}; ",
        };
        let pages = match run.len() {
            1 => format!("{from}"),
            _ => format!("{from}–{to}"),
        };
        // Writing into a String can't fail.
        let _ = write!(text, "{mark}{pages} {word}");
    }
    text
}

/// `2, 4–6` of pages counted from 0.
fn runs(pages: &[u32]) -> String {
    let runs = pages.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [page] => format!("{}", page + 1),
        [first, .., last] => format!("{}–{}", first + 1, last + 1),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// `+331…: T.38, SIP 486, Q.850 17 (user busy), T.30 49 CALLDROPPED (…)`; English in every
/// language: it is for administrators and providers.
fn codes(job: &ReportJob) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(last) = &job.last {
        match last.media.as_deref() {
            Some("t38") => parts.push("T.38".to_owned()),
            Some("g711") => parts.push("G.711".to_owned()),
            _ => {}
        }
        if let Some(status) = last.sip_status {
            parts.push(format!("SIP {status}"));
        }
        if let Some(cause) = last.q850 {
            let name = u16::try_from(cause).ok().and_then(outcome::q850_name);
            parts.push(match name {
                Some(name) => format!("Q.850 {cause} ({name})"),
                None => format!("Q.850 {cause}"),
            });
        }
        if let Some(code) = last.t30_code {
            parts.push(match outcome::t30_code(code) {
                Some(row) if code == 0 => format!("T.30 0 {}", row.name),
                Some(row) => format!("T.30 {code} {} ({})", row.name, row.text),
                None => format!("T.30 {code}"),
            });
        }
    }
    if !job.outcome.is_empty() {
        parts.push(job.outcome.clone());
    }
    (!parts.is_empty()).then(|| format!("{}: {}", job.destination, parts.join(", ")))
}
