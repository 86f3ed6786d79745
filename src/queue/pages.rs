//! The pages of one call: cover and rendition from the first page that is not confirmed, each with its
//! header line.

use faxpost_paper::{
    Fit, HeaderLine, Language as PaperLanguage, PageSetup, Paper, header_line, stamp,
};
use faxpost_t4::{FaxPage, tiff};
use jiff::{Timestamp, tz::TimeZone};
use mail_parser::MessageParser;
use sqlx::Row;

use super::{asked, claim::Job};
use crate::{
    clock::Millis,
    dial::{self, Password},
    line::Verdict,
    people::{self, Language, Settings},
    store::Store,
    vault::{Clear, Custody},
};

/// The page set-up that a user's settings ask for.
pub(super) fn setup(settings: &Settings) -> PageSetup {
    PageSetup {
        width: 1728, // T.4 §2.1: A4, Letter and Legal
        paper: match settings.paper {
            people::Paper::A4 => Paper::A4,
            people::Paper::Letter => Paper::Letter,
            people::Paper::Legal => Paper::Legal,
        },
        resolution: settings.resolution,
        fit: Fit::default(),
        ..PageSetup::a4_fine()
    }
}

/// The language of what is drawn.
pub(super) fn language(settings: &Settings) -> PaperLanguage {
    match settings.language {
        Language::En => PaperLanguage::En,
        Language::Fr => PaperLanguage::Fr,
    }
}

/// Date and time where the user is, in the user's language.
pub(super) fn local_date(at: Millis, settings: &Settings) -> String {
    let zoned = zoned(at, settings);
    match settings.language {
        Language::En => zoned.strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Language::Fr => zoned.strftime("%d/%m/%Y %H:%M %Z").to_string(),
    }
}

fn zoned(at: Millis, settings: &Settings) -> jiff::Zoned {
    let zone = TimeZone::get(&settings.time_zone).unwrap_or(TimeZone::UTC);
    Timestamp::from_millisecond(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(zone)
}

/// What a call carries.
pub(super) struct CallPages {
    /// From the first page that is not confirmed, header lines drawn.
    pub pages: Vec<FaxPage>,
    /// TSI.
    pub ident: String,
    /// Caller identity, E.164.
    pub from: String,
    /// What the far machine is to be told, from the sealed mail.
    pub password: Option<Password>,
}

/// Reads the job's pages out of custody and draws the header lines of this call.
///
/// `at` is when the call is placed: the same moment draws the same pages again.
pub(super) async fn for_call(
    store: &Store,
    custody: &Custody,
    job: &Job,
    verdicts: &[Verdict],
    at: Millis,
) -> anyhow::Result<CallPages> {
    let mut kept = Vec::new();
    if let Some(cover) = &job.cover_custody_id {
        kept.push(custody.open(store, &job.tenant_id, cover).await?);
    }
    if let Some(rendition) = &job.rendition_id {
        let custody_id: String = sqlx::query_scalar(
            "SELECT custody_id FROM rendition WHERE tenant_id = $1 AND rendition_id = $2",
        )
        .bind(&job.tenant_id)
        .bind(rendition)
        .fetch_one(store.reader())
        .await?;
        kept.push(custody.open(store, &job.tenant_id, &custody_id).await?);
    }
    let settings = people::settings_for(store, &job.tenant_id, &job.user_id).await?;
    let settings = asked::settings(&settings, &job.options);
    let user = people::user(store, &job.tenant_id, &job.user_id)
        .await?
        .ok_or_else(|| anyhow::anyhow!("the job's user is gone"))?;
    let sender = job.options.header.clone().unwrap_or(user.name);
    let from = settings.caller_number.clone().unwrap_or_default();
    let tsi = from.clone();
    let verdicts = verdicts.to_vec();
    // Tens of milliseconds a page: not on a thread that others wait for.
    let pages =
        tokio::task::spawn_blocking(move || stamped(&kept, &settings, sender, tsi, &verdicts, at))
            .await??;
    Ok(CallPages {
        pages,
        ident: ident(&from),
        from,
        password: password(store, custody, job).await?,
    })
}

/// The password that the job's mail gives. It is nowhere but there.
async fn password(store: &Store, custody: &Custody, job: &Job) -> anyhow::Result<Option<Password>> {
    if !job.password {
        return Ok(None);
    }
    let custody_id: String = sqlx::query_scalar(
        "SELECT custody_id FROM submission WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(&job.tenant_id)
    .bind(&job.submission_id)
    .fetch_one(store.reader())
    .await?;
    let mail = custody.open(store, &job.tenant_id, &custody_id).await?;
    let head = MessageParser::default().parse_headers(&mail[..]);
    let head = head.ok_or_else(|| anyhow::anyhow!("the mail has no header any more"))?;
    let password = dial::password_of(head.headers())?;
    // Without it nothing may go out.
    anyhow::ensure!(password.is_some(), "the mail's password is gone");
    Ok(password)
}

/// The pages of `kept` (TIFF-F each) from the first that is not confirmed, header lines drawn.
fn stamped(
    kept: &[Clear],
    settings: &Settings,
    sender: String,
    tsi: String,
    verdicts: &[Verdict],
    at: Millis,
) -> anyhow::Result<Vec<FaxPage>> {
    let mut pages = Vec::new();
    for bytes in kept {
        pages.extend(tiff::read(bytes)?);
    }
    let first = verdicts
        .iter()
        .position(|verdict| *verdict != Verdict::Confirmed)
        .unwrap_or(0);
    let total = u32::try_from(pages.len())?;
    let mut header = HeaderLine {
        date: local_date(at, settings),
        sender,
        tsi,
        remark: String::new(),
        page: 0,
        pages: Some(total),
    };
    let setup = setup(settings);
    let mut stamped = Vec::new();
    for (index, page) in pages.iter().enumerate().skip(first) {
        header.page = u32::try_from(index + 1).unwrap_or(u32::MAX);
        header.remark = remark(
            index == first && first > 0,
            verdicts.get(index) == Some(&Verdict::Unknown),
            settings.language,
        );
        let strip = PageSetup {
            width: u32::try_from(page.width).unwrap_or(1728),
            resolution: page.resolution,
            ..setup
        };
        stamped.push(stamp(page, &header_line(&header, &strip))?);
    }
    Ok(stamped)
}

/// What the header line says of a page: that the pages before it came in an earlier call, and that nobody
/// knows whether it came itself.
fn remark(continued: bool, possible_repeat: bool, language: Language) -> String {
    let (en, fr) = match (continued, possible_repeat) {
        (false, false) => ("", ""),
        (true, false) => ("continued", "suite"),
        (false, true) => ("possible repeat", "répétition possible"),
        (true, true) => ("continued, possible repeat", "suite, répétition possible"),
    };
    match language {
        Language::En => en.to_owned(),
        Language::Fr => fr.to_owned(),
    }
}

/// TSI or CSI: at most 20 of digits, `+` and space (T.30 §5.3.6.2.4).
pub(crate) fn ident(number: &str) -> String {
    number
        .chars()
        .filter(|c| c.is_ascii_digit() || matches!(c, '+' | ' '))
        .take(20)
        .collect()
}

/// The pages that the latest outgoing call had to send, as they were put on the line, leg behind leg: drawn again
/// from custody, which holds them until its day is over.
///
/// # Errors
/// There was no call, or its pages are no longer in custody.
pub async fn pages_of_last_call(store: &Store, custody: &Custody) -> anyhow::Result<Vec<FaxPage>> {
    let rows = sqlx::query(
        "SELECT leg.tenant_id, leg.job_id, leg.first_page, call.placed_at
         FROM leg JOIN call ON call.call_id = leg.call_id AND call.tenant_id = leg.tenant_id
         WHERE call.call_id = (SELECT call_id FROM call WHERE direction = 'out'
                               ORDER BY placed_at DESC, call_id DESC LIMIT 1)
         ORDER BY leg.place",
    )
    .fetch_all(store.reader())
    .await?;
    anyhow::ensure!(!rows.is_empty(), "no call was placed");
    let mut pages = Vec::new();
    for row in rows {
        let tenant_id: String = row.try_get("tenant_id")?;
        let job_id: String = row.try_get("job_id")?;
        let first: usize = usize::try_from(row.try_get::<i64, _>("first_page")?)?;
        let job = super::claim::by_id(store, &tenant_id, &job_id).await?;
        let mut verdicts = vec![Verdict::Unsent; job.pages_total.unwrap_or(0) as usize];
        verdicts
            .iter_mut()
            .take(first)
            .for_each(|verdict| *verdict = Verdict::Confirmed);
        let placed_at = row.try_get("placed_at")?;
        let call = for_call(store, custody, &job, &verdicts, placed_at).await?;
        pages.extend(call.pages);
    }
    Ok(pages)
}
