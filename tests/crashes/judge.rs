//! What must be true when all is over: first by what everybody outside was told and got, then by the
//! database.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use faxpost_t4::tiff;
use sqlx::Row as _;

use super::{
    marks::{self, Mark},
    traffic::{Handover, Sending},
};
use crate::support::{Rig, fax, letters::Letter};

/// Judges a rig at rest; panics with everything that is wrong, else tells what happened.
pub async fn judge(rig: &Rig, handed: &[Handover], calls: &[Sending]) -> String {
    let mut wrong = Vec::new();
    reports(rig, handed, &mut wrong);
    received(rig, calls, &mut wrong);
    let arrived = arrived(rig, &mut wrong);
    sent_once(handed, &arrived, &mut wrong);
    told_truly(rig, &arrived, &mut wrong).await;
    submissions(rig, handed, &mut wrong).await;
    ended(rig, &mut wrong).await;
    holds(rig, &mut wrong).await;
    custody(rig, &mut wrong).await;
    assert!(
        wrong.is_empty(),
        "{} things are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    summary(rig, handed, calls).await
}

/// Promise 1: who got a 250 gets one report, and nobody gets two.
fn reports(rig: &Rig, handed: &[Handover], wrong: &mut Vec<String>) {
    let mut by_submission: HashMap<String, BTreeMap<String, Vec<Letter>>> = HashMap::new();
    for mail in rig.mails().all() {
        if let Some(submission) = mail.header("X-Faxpost-Submission") {
            let letter = Letter::of(&mail);
            by_submission
                .entry(submission)
                .or_default()
                .entry(letter.message_id.clone())
                .or_default()
                .push(letter);
        }
    }
    for (submission, ids) in &by_submission {
        if ids.len() != 1 {
            wrong.push(format!("submission {submission} has {} reports", ids.len()));
        }
        for copies in ids.values() {
            if copies.iter().any(|copy| copy.raw != copies[0].raw) {
                wrong.push(format!("two mails with one Message-ID: {submission}"));
            }
        }
    }
    for handover in handed {
        let Some(submission) = &handover.submission else {
            continue;
        };
        let subject = format!("Mail {} handed over {}", handover.mail, handover.attempt);
        match by_submission.get(submission) {
            None => wrong.push(format!("{subject}: 250 named {submission}, no report came")),
            Some(ids) => {
                let letter = &ids.values().next().unwrap()[0];
                if !letter.subject.contains(&format!("{subject} (")) {
                    wrong.push(format!("{subject}: its report is {:?}", letter.subject));
                }
            }
        }
    }
}

/// Promise 1: what was confirmed to a caller is in a delivered mail, dot by dot, once.
fn received(rig: &Rig, calls: &[Sending], wrong: &mut Vec<String>) {
    let mut mails: BTreeMap<String, Vec<Mark>> = BTreeMap::new();
    for letter in rig.faxes() {
        let mut found = Vec::new();
        for page in fax::pdf_pages(&letter.pdf()) {
            let bitmap = page.picture.decode().unwrap();
            match marks::read(&bitmap) {
                Some(mark) if marks::page(mark).decode().unwrap() == bitmap => found.push(mark),
                mark => wrong.push(format!("a delivered page is damaged: {mark:?}")),
            }
        }
        if mails
            .insert(letter.message_id.clone(), found.clone())
            .is_some_and(|earlier| earlier != found)
        {
            wrong.push(format!(
                "two faxes with one Message-ID {}",
                letter.message_id
            ));
        }
    }
    let mut delivered: HashMap<Mark, usize> = HashMap::new();
    for mark in mails.values().flatten() {
        *delivered.entry(*mark).or_default() += 1;
    }
    for (mark, times) in &delivered {
        if *times > 1 {
            wrong.push(format!("{mark:?} was delivered {times} times"));
        }
    }
    for call in calls {
        for mark in &call.confirmed {
            if !delivered.contains_key(mark) {
                wrong.push(format!("{mark:?} was confirmed and is in no mail"));
            }
        }
    }
    let sent: HashSet<&Mark> = calls.iter().flat_map(|call| &call.pages).collect();
    for mark in delivered.keys().filter(|mark| !sent.contains(mark)) {
        wrong.push(format!("{mark:?} was delivered and never sent"));
    }
}

/// Whether every page that the far end took is in a file.
pub fn far_end_is_idle(rig: &Rig) -> bool {
    let log = rig.far_log();
    let kept = log.lines().filter(|line| line.starts_with("page ")).count();
    let written: usize = faxes(&log).iter().map(|fax| fax.2).sum();
    kept == written
}

/// The far end's faxes: number, destination, pages.
fn faxes(log: &str) -> Vec<(u32, String, usize)> {
    log.lines()
        .filter_map(|line| {
            let (number, rest) = line.strip_prefix("fax ")?.split_once(" from ")?;
            let (_, rest) = rest.split_once(" to ")?;
            let (to, rest) = rest.split_once(": ")?;
            let (pages, _) = rest.split_once(" pages in ")?;
            Some((number.parse().ok()?, to.to_owned(), pages.parse().ok()?))
        })
        .collect()
}

/// What arrived at each destination: the cover as no mark.
type Arrived = BTreeMap<String, Vec<Option<Mark>>>;

fn arrived(rig: &Rig, wrong: &mut Vec<String>) -> Arrived {
    let mut arrived = Arrived::new();
    for (number, to, pages) in faxes(&rig.far_log()) {
        let file = rig.far_folder().join(format!("fax-{number}.tif"));
        let fax = tiff::read(&std::fs::read(file).unwrap()).unwrap();
        if fax.len() != pages {
            wrong.push(format!(
                "the far end's fax {number} has {} pages",
                fax.len()
            ));
        }
        arrived
            .entry(to)
            .or_default()
            .extend(fax.iter().map(|page| marks::read(&page.decode().unwrap())));
    }
    arrived
}

/// Promise 3: no page arrives twice, none where it does not belong.
fn sent_once(handed: &[Handover], arrived: &Arrived, wrong: &mut Vec<String>) {
    let by_destination: HashMap<&str, &Handover> = handed
        .iter()
        .flat_map(|handover| {
            let destinations = handover.destinations.iter();
            destinations.map(move |to| (to.as_str(), handover))
        })
        .collect();
    for (to, pages) in arrived {
        let Some(handover) = by_destination.get(to.as_str()) else {
            wrong.push(format!("{to} got a fax that nobody sent"));
            continue;
        };
        let distinct: HashSet<_> = pages.iter().collect();
        if distinct.len() != pages.len() {
            wrong.push(format!("{to} got a page twice: {pages:?}"));
        }
        for mark in pages.iter().flatten() {
            if (mark.document, mark.attempt) != (handover.mail, handover.attempt)
                || mark.page >= handover.pages
            {
                wrong.push(format!("{to} got {mark:?}, which is not its own"));
            }
        }
    }
}

/// Promise 3: a page that counts as confirmed has arrived; one that arrived is confirmed or unknown.
async fn told_truly(rig: &Rig, arrived: &Arrived, wrong: &mut Vec<String>) {
    for job in rig.jobs().await {
        let mut verdicts: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        for (_, page, verdict) in rig.page_reports(&job.job_id).await {
            verdicts.entry(page).or_default().insert(verdict);
        }
        let has = |page: i64, word: &str| verdicts.get(&page).is_some_and(|all| all.contains(word));
        let nothing = Vec::new();
        let got: BTreeSet<i64> = arrived
            .get(&job.destination)
            .unwrap_or(&nothing)
            .iter()
            .map(|mark| mark.map_or(0, |mark| mark.page as i64 + 1))
            .collect();
        for page in 0..job.pages_total.unwrap_or(0) {
            let name = format!("{} page {page} of {}", job.destination, job.job_id);
            if has(page, "confirmed") && !got.contains(&page) {
                wrong.push(format!("{name} is confirmed and did not arrive"));
            }
            if got.contains(&page) && !has(page, "confirmed") && !has(page, "unknown") {
                wrong.push(format!(
                    "{name} arrived and is told as {:?}",
                    verdicts.get(&page)
                ));
            }
        }
        let confirmed = verdicts.values().filter(|all| all.contains("confirmed"));
        if confirmed.count() as i64 != job.pages_confirmed {
            wrong.push(format!("{job:?} counts other pages than {verdicts:?}"));
        }
        let all = job.pages_total == Some(job.pages_confirmed);
        if (job.state == "sent") != all {
            wrong.push(format!("{job:?} is told wrongly"));
        }
    }
}

/// Promises 1 and 3: what a 250 named is there with a job for each recipient; no handover made two.
async fn submissions(rig: &Rig, handed: &[Handover], wrong: &mut Vec<String>) {
    let mut jobs: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for job in rig.jobs().await {
        jobs.entry(job.destination)
            .or_default()
            .push((job.job_id, job.submission_id));
    }
    for handover in handed {
        let mut of_each = BTreeSet::new();
        for to in &handover.destinations {
            let jobs = jobs.remove(to).unwrap_or_default();
            if jobs.len() > 1 {
                wrong.push(format!("{to} has {} jobs", jobs.len()));
            }
            of_each.insert(jobs.first().map(|(_, submission)| submission.clone()));
        }
        if of_each.len() != 1 {
            wrong.push(format!(
                "half of a mail was accepted: {handover:?}, {of_each:?}"
            ));
        }
        if handover.submission.is_some() && !of_each.contains(&handover.submission) {
            wrong.push(format!("what was accepted is not there: {handover:?}"));
        }
    }
    if !jobs.is_empty() {
        wrong.push(format!("jobs that nobody handed over: {jobs:?}"));
    }
}

/// Promise 7 as far as it goes here: nothing is left open.
async fn ended(rig: &Rig, wrong: &mut Vec<String>) {
    let none: [(&str, &'static str); 10] = [
        ("jobs past their deadline or not final",
         "SELECT COUNT(*) FROM job WHERE finished_at IS NULL OR lease_owner IS NOT NULL OR outcome IS NULL
             OR state NOT IN ('sent', 'partly', 'failed', 'cancelled', 'expired', 'unknown')"),
        ("submissions that are not closed",
         "SELECT COUNT(*) FROM submission WHERE closed_at IS NULL"),
        ("submissions without exactly one report",
         "SELECT COUNT(*) FROM submission WHERE 1 <> (SELECT COUNT(*) FROM outbox
             WHERE outbox.purpose = 'report:' || submission.submission_id)"),
        ("mails that were not sent",
         "SELECT COUNT(*) FROM outbox WHERE state <> 'sent'"),
        ("calls without an end",
         "SELECT COUNT(*) FROM call WHERE ended_at IS NULL"),
        ("calls placed for a job that was over",
         "SELECT COUNT(*) FROM leg JOIN call ON call.call_id = leg.call_id
             JOIN job ON job.job_id = leg.job_id WHERE call.placed_at > job.finished_at"),
        ("legs without an outcome",
         "SELECT COUNT(*) FROM leg WHERE outcome IS NULL"),
        ("received faxes that are not delivered, though they have pages",
         "SELECT COUNT(*) FROM received_fax WHERE ended_at IS NULL OR (pages > 0 AND state <> 'delivered')"),
        ("received faxes that count other pages than they have",
         "SELECT COUNT(*) FROM received_fax WHERE pages <> (SELECT COUNT(*) FROM received_page
             WHERE received_page.received_id = received_fax.received_id)"),
        ("renditions made twice",
         "SELECT COUNT(*) - COUNT(DISTINCT submission_id) FROM rendition"),
    ];
    for (what, sql) in none {
        let count = rig.count(sql).await;
        if count != 0 {
            wrong.push(format!("{count} {what}"));
        }
    }
}

/// Promise 8: each job has one hold, settled by the pages that were confirmed.
async fn holds(rig: &Rig, wrong: &mut Vec<String>) {
    let mut confirmed: HashMap<String, i64> = rig
        .jobs()
        .await
        .into_iter()
        .map(|job| (job.job_id, job.pages_confirmed))
        .collect();
    for (job_id, _, settled, pages) in rig.holds().await {
        match confirmed.remove(&job_id) {
            None => wrong.push(format!("a hold without a job, or a second one: {job_id}")),
            Some(count) if settled.is_none() || pages != Some(count) => wrong.push(format!(
                "job {job_id} has {count} pages confirmed; its hold says {pages:?}, settled {settled:?}"
            )),
            Some(_) => {}
        }
    }
    if !confirmed.is_empty() {
        wrong.push(format!("jobs without a hold: {confirmed:?}"));
    }
}

/// Everything that an open row names can be read; and with all work done, nothing is open.
async fn custody(rig: &Rig, wrong: &mut Vec<String>) {
    let custody = rig.custody();
    let rows = sqlx::query("SELECT tenant_id, custody_id, what FROM custody WHERE done_at IS NULL")
        .fetch_all(rig.store.reader())
        .await
        .unwrap();
    for row in rows {
        let (tenant, id, what): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        wrong.push(format!("custody {id} ({what}) is still open"));
        if let Err(error) = custody.open(&rig.store, &tenant, &id).await {
            wrong.push(format!("custody {id} ({what}) can't be read: {error}"));
        }
    }
}

async fn summary(rig: &Rig, handed: &[Handover], calls: &[Sending]) -> String {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    let jobs = rig.jobs().await;
    let tries: i64 = jobs.iter().map(|job| job.tries).sum();
    for job in &jobs {
        *states.entry(job.state.clone()).or_default() += 1;
    }
    let accepted = handed.iter().filter(|one| one.submission.is_some());
    let confirmed: usize = calls.iter().map(|call| call.confirmed.len()).sum();
    format!(
        "{} handovers, {} with 250; {} jobs {states:?} in {tries} calls; {} calls in, {confirmed} pages \
         confirmed; {} reports and {} faxes mailed",
        handed.len(),
        accepted.count(),
        jobs.len(),
        calls.len(),
        rig.reports().len(),
        rig.faxes().len()
    )
}
