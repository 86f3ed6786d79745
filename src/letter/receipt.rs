//! The receipt of a submission: a page to file away, and the same for programs.
//!
//! The page is HTML that a paper worker draws; here is nothing but its text. Numbers, names of machines and subjects come
//! from outside: all are escaped by the template.

use askama::Template;
use serde_json::{Value, json};

use super::{LetterError, Report, ReportJob, local, words};
use crate::{
    language::{Language, Say, say},
    outcome::{self, Verdict},
};

/// Content-ID of the first page's picture.
pub const PICTURE: &str = "page1";

const TITLE: Say = say("Fax receipt", "Reçu de fax");
const SUBJECT: Say = say("Subject", "Objet");
const WRITTEN: Say = say("Written", "Établi");
const RESULT: Say = say("Result", "Résultat");
const NUMBER: Say = say("Number", "Numéro");
const CONFIRMED: Say = say("Pages confirmed", "Pages confirmées");
const IDENT: Say = say("Submission", "Envoi");

struct Row {
    number: String,
    result: String,
    pages: String,
    started: String,
    duration: String,
    machine: String,
}

#[derive(Template)]
#[template(path = "receipt.html")]
struct Page<'a> {
    title: &'a str,
    facts: Vec<(&'a str, String)>,
    heads: [&'a str; 6],
    rows: Vec<Row>,
    foot: &'a str,
    picture: Option<&'static str>,
}

/// The page.
///
/// # Errors
/// [`LetterError`].
pub fn receipt(report: &Report) -> Result<String, LetterError> {
    let language = report.language;
    let mut facts = vec![(
        WRITTEN.to(language),
        local::time(report.date_ms, &report.time_zone, language),
    )];
    if !report.subject.is_empty() {
        facts.push((
            SUBJECT.to(language),
            super::mail::shortened(&report.subject, 200),
        ));
    }
    facts.push((IDENT.to(language), report.submission_id.clone()));
    let heads = [
        NUMBER,
        RESULT,
        CONFIRMED,
        words::STARTED,
        words::DURATION,
        words::REMOTE_IDENT,
    ];
    Ok(Page {
        title: TITLE.to(language),
        facts,
        heads: heads.map(|head| head.to(language)),
        rows: report.jobs.iter().map(|job| row(job, language)).collect(),
        foot: words::REPORT_FOOT.to(language),
        picture: report.first_page_png.as_ref().map(|_| PICTURE),
    }
    .render()?)
}

fn row(job: &ReportJob, language: Language) -> Row {
    let last = job.last.as_ref();
    let result = match job.state.as_str() {
        "sent" => words::RESULT_SENT,
        "partly" => words::RESULT_PARTLY,
        "unknown" if job.confirmed > 0 => words::RESULT_PARTLY_CONFIRMED,
        "unknown" => words::RESULT_UNKNOWN,
        "cancelled" => words::RESULT_CANCELLED,
        _ => words::RESULT_FAILED,
    };
    let duration = last.and_then(|last| last.duration_ms);
    Row {
        number: job.destination.clone(),
        result: result.to(language).to_owned(),
        pages: format!("{} / {}", job.confirmed, job.pages),
        started: last.map_or_else(String::new, |last| last.started.clone()),
        duration: duration.map_or_else(String::new, local::duration),
        machine: last
            .and_then(|last| last.remote_ident.as_deref())
            .map_or_else(String::new, |ident| ident.trim().to_owned()),
    }
}

/// The report for programs: `report.json`. Fields are added, never changed in their meaning.
#[must_use]
pub fn report_json(report: &Report) -> Vec<u8> {
    let jobs: Vec<Value> = report.jobs.iter().map(job_json).collect();
    let value = json!({
        "submission": report.submission_id,
        "message_id": report.in_reply_to,
        "subject": Some(&report.subject).filter(|subject| !subject.is_empty()),
        "written_at_ms": report.date_ms,
        "faxes": jobs,
    });
    let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
    text.push(b'\n');
    text
}

fn job_json(job: &ReportJob) -> Value {
    let verdicts: Vec<&str> = job
        .verdicts
        .iter()
        .map(|verdict: &Verdict| verdict.as_str())
        .collect();
    let last = job.last.as_ref();
    json!({
        "number": job.destination,
        "sub_address": job.sub_address,
        "state": job.state,
        "outcome": job.outcome,
        "status": outcome::by_key(&job.outcome).map(|outcome| outcome.dsn),
        "pages": job.pages,
        "confirmed": job.confirmed,
        "verdicts": verdicts,
        "possible_repeats": job.repeats.iter().map(|page| page + 1).collect::<Vec<_>>(),
        "calls": job.calls,
        "last_call": last.map(|last| json!({
            "started": last.started,
            "duration_ms": last.duration_ms,
            "rate": last.rate,
            "ecm": last.ecm,
            "far_machine": last.remote_ident,
            "media": last.media,
            "t30_code": last.t30_code,
            "sip_status": last.sip_status,
            "q850": last.q850,
        })),
    })
}
