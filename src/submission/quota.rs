//! What a day may hold (`policies/limits.toml`): faxes are counted in the transaction that accepts them, so that all
//! nodes count together, and a mail that is refused has counted nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{NewSubmission, batch::Rows, repeats::Claimed};
use crate::{
    clock::{Millis, now_ms},
    ledger::{self, Counter, Day, Subject},
    people::{self, Standing},
    policy::{Daily, limits},
    store::{Store, StoreError, Tx},
    trouble::Trouble,
};

/// A mail that would go beyond what a day may hold. Says so to its sender, without the full stop.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.words())]
pub struct OverLimit {
    /// Whose limit.
    pub subject: Subject,
    /// They are a guest.
    pub guest: bool,
    /// Of what.
    pub unit: Unit,
    /// How many a day may hold.
    pub limit: u32,
    /// How many are left.
    pub left: u32,
    /// How many the mail has.
    pub wanted: u32,
    /// When the next day begins.
    pub again_at: Millis,
    /// Where.
    pub time_zone: String,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Accepted faxes.
    Faxes,
    /// Confirmed pages.
    Pages,
}

impl OverLimit {
    /// Whether another day can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self.wanted > self.limit && self.unit == Unit::Faxes {
            true => Trouble::Permanent,
            false => Trouble::Temporary,
        }
    }

    /// Until the next day.
    #[must_use]
    pub fn wait(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.again_at - now_ms()).unwrap_or(0))
    }

    /// What is limited: "a guest may send 20 faxes a day".
    fn rule(&self) -> String {
        let limit = match (self.unit, self.limit) {
            (Unit::Faxes, 1) => "1 fax".to_owned(),
            (Unit::Faxes, many) => format!("{many} faxes"),
            (Unit::Pages, 1) => "1 page".to_owned(),
            (Unit::Pages, many) => format!("{many} pages"),
        };
        match (&self.subject, self.guest) {
            (Subject::User(_), true) => format!("a guest may send {limit} a day"),
            (Subject::User(_), false) => format!("a user may send {limit} a day"),
            (Subject::Tenant, _) => format!("your organisation may send {limit} a day"),
            (Subject::Number(number), _) => {
                format!("your organisation may send {limit} a day to {number}")
            }
        }
    }

    fn words(&self) -> String {
        let (rule, wanted, left) = (self.rule(), self.wanted, self.left);
        if self.trouble() == Trouble::Permanent {
            return format!("{rule}, and this mail has {wanted}: send fewer in a mail");
        }
        let zone = &self.time_zone;
        match self.left {
            0 => format!("{rule}, and none is left until 00:00 {zone}"),
            1 => format!("{rule}, and 1 is left until 00:00 {zone}, while this mail has {wanted}"),
            _ => format!(
                "{rule}, and {left} are left until 00:00 {zone}, while this mail has {wanted}"
            ),
        }
    }
}

/// Limits of which nothing is left, as they were met: that stays so until the day is over.
#[derive(Debug, Default)]
pub(super) struct UsedUp(Mutex<HashMap<(String, Subject), OverLimit>>);

impl UsedUp {
    const MOST: usize = 10_000;

    pub fn remember(&self, tenant_id: &str, over: &OverLimit) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if over.left > 0 {
            return;
        }
        if known.len() >= Self::MOST {
            let now = now_ms();
            known.retain(|_, over| over.again_at > now);
        }
        if known.len() < Self::MOST {
            let key = (tenant_id.to_owned(), over.subject.clone());
            known.insert(key, over.clone());
        }
    }

    /// The limit that a mail would meet.
    pub fn of(&self, new: &NewSubmission) -> Option<Box<OverLimit>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return None;
        }
        let (now, tenant_id) = (now_ms(), new.sender.tenant_id());
        let numbers = new
            .recipients
            .iter()
            .map(|to| Subject::Number(to.destination.clone()));
        let user = Subject::User(new.sender.user().user_id.clone());
        [user, Subject::Tenant]
            .into_iter()
            .chain(numbers)
            .find_map(|subject| {
                let is_number = matches!(subject, Subject::Number(_));
                let over = known.get(&(tenant_id.to_owned(), subject))?;
                let wanted = match is_number {
                    true => 1,
                    false => u32::try_from(new.recipients.len()).unwrap_or(u32::MAX),
                };
                let over = OverLimit {
                    wanted,
                    ..over.clone()
                };
                (over.again_at > now).then(|| Box::new(over))
            })
    }
}

/// What is left of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What the limit is; 0: there is none.
    pub limit: u32,
    /// How much of it was used.
    pub used: u32,
}

impl Left {
    fn of(limit: u32, used: i64) -> Self {
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        Self { limit, used }
    }
}

/// What a user has used of the day's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Today {
    /// Their own faxes.
    pub faxes: Left,
    /// Their own pages.
    pub pages: Left,
    /// Their tenant's faxes.
    pub tenant_faxes: Left,
    /// Their tenant's pages.
    pub tenant_pages: Left,
    /// When the next day begins.
    pub again_at: Millis,
}

/// What is left of today's limits to a user.
///
/// # Errors
/// What the database says.
pub async fn left_today(
    store: &Store,
    daily: &Daily,
    tenant_id: &str,
    user_id: &str,
) -> Result<Today, StoreError> {
    let standing = people::standing(store, tenant_id, user_id).await?;
    let standing = standing.unwrap_or_else(unknown);
    let day = Day::at(now_ms(), &standing.time_zone);
    let own = own_limits(daily, &standing);
    let counter = |subject| Counter {
        tenant_id: tenant_id.to_owned(),
        subject,
        day: day.number,
    };
    let user = counter(Subject::User(user_id.to_owned()));
    let pages = |user| ledger::pages_until_now(store, tenant_id, user, day.starts);
    Ok(Today {
        faxes: Left::of(own.faxes_per_day, ledger::counted(store, &user).await?),
        pages: Left::of(own.pages_per_day, pages(Some(user_id)).await?),
        tenant_faxes: Left::of(
            daily.tenant.faxes_per_day,
            ledger::counted(store, &counter(Subject::Tenant)).await?,
        ),
        tenant_pages: Left::of(daily.tenant.pages_per_day, pages(None).await?),
        again_at: day.ends,
    })
}

fn own_limits(daily: &Daily, standing: &Standing) -> limits::Day {
    match standing.guest {
        true => daily.guest,
        false => daily.user,
    }
}

/// Somebody whom the directory has lost since they were proven.
fn unknown() -> Standing {
    Standing {
        guest: false,
        time_zone: "UTC".to_owned(),
    }
}

/// How users stand, remembered for a while: it is asked for with every mail and changes hardly ever.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<HashMap<String, (Arc<Standing>, Instant)>>);

impl Standings {
    const LASTS: Duration = Duration::from_secs(10);
    const MOST: usize = 10_000;

    async fn of(
        &self,
        store: &Store,
        tenant_id: &str,
        user_id: &str,
    ) -> Result<Arc<Standing>, StoreError> {
        let now = Instant::now();
        let known = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(user_id).cloned()
        };
        if let Some((standing, asked)) = known
            && now.duration_since(asked) < Self::LASTS
        {
            return Ok(standing);
        }
        let found = people::standing(store, tenant_id, user_id).await?;
        let standing = Arc::new(found.unwrap_or_else(unknown));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(user_id.to_owned(), (Arc::clone(&standing), now));
        Ok(standing)
    }
}

/// A mail in its day.
pub(super) struct Dated {
    standing: Arc<Standing>,
    day: Day,
}

/// The day of each mail: before the transaction, which others wait for.
pub(super) async fn dated(
    store: &Store,
    standings: &Standings,
    all: &[&Rows],
) -> Result<Vec<Dated>, StoreError> {
    let mut dated = Vec::with_capacity(all.len());
    for rows in all {
        let sender = &rows.submission.sender;
        let (tenant, user) = (sender.tenant_id(), &sender.user().user_id);
        let standing = standings.of(store, tenant, user).await?;
        let day = Day::at(rows.submission.accepted_at, &standing.time_zone);
        dated.push(Dated { standing, day });
    }
    Ok(dated)
}

/// Counts the faxes of all mails, and says which of them go beyond a limit. When one does, the transaction must be
/// given up: it counted that one too.
pub(super) async fn count(
    tx: &mut Tx,
    daily: &Daily,
    all: &[&Rows],
    claimed: &[Claimed],
    dated: &[Dated],
) -> Result<Vec<Option<OverLimit>>, StoreError> {
    let mut wanted: Vec<BTreeMap<Counter, i64>> = Vec::with_capacity(all.len());
    let mut sums: BTreeMap<Counter, i64> = BTreeMap::new();
    for ((rows, claimed), dated) in all.iter().zip(claimed).zip(dated) {
        let mail = counters(daily, rows, claimed, dated);
        for (counter, faxes) in &mail {
            *sums.entry(counter.clone()).or_default() += faxes;
        }
        wanted.push(mail);
    }
    let mut used = ledger::count(tx, &sums).await?;
    for (counter, faxes) in &sums {
        if let Some(used) = used.get_mut(counter) {
            *used -= faxes;
        }
    }
    let mut pages = HashMap::new();
    let mut said = Vec::with_capacity(all.len());
    for (index, mail) in wanted.into_iter().enumerate() {
        let (rows, claimed, dated) = (all[index], &claimed[index], &dated[index]);
        let makes_jobs = !claimed.written && rows.own_jobs(&claimed.owners).next().is_some();
        let over = match beyond(daily, &mail, &used, dated) {
            None if makes_jobs => beyond_pages(tx, daily, rows, dated, &mut pages).await?,
            over => over,
        };
        if over.is_none() {
            for (counter, faxes) in mail {
                *used.entry(counter).or_default() += faxes;
            }
        }
        said.push(over);
    }
    Ok(said)
}

/// What a mail counts as: its own jobs, where it makes any, against each limit that there is.
fn counters(
    daily: &Daily,
    rows: &Rows,
    claimed: &Claimed,
    dated: &Dated,
) -> BTreeMap<Counter, i64> {
    let mut counters = BTreeMap::new();
    if claimed.written {
        return counters;
    }
    let sender = &rows.submission.sender;
    let mut add = |subject| {
        let counter = Counter {
            tenant_id: sender.tenant_id().to_owned(),
            subject,
            day: dated.day.number,
        };
        *counters.entry(counter).or_default() += 1;
    };
    for job in rows.own_jobs(&claimed.owners) {
        if own_limits(daily, &dated.standing).faxes_per_day > 0 {
            add(Subject::User(sender.user().user_id.clone()));
        }
        if daily.tenant.faxes_per_day > 0 {
            add(Subject::Tenant);
        }
        if daily.number > 0 {
            add(Subject::Number(job.destination.clone()));
        }
    }
    counters
}

fn beyond(
    daily: &Daily,
    mail: &BTreeMap<Counter, i64>,
    used: &HashMap<Counter, i64>,
    dated: &Dated,
) -> Option<OverLimit> {
    mail.iter().find_map(|(counter, wanted)| {
        let limit = match counter.subject {
            Subject::User(_) => own_limits(daily, &dated.standing).faxes_per_day,
            Subject::Tenant => daily.tenant.faxes_per_day,
            Subject::Number(_) => daily.number,
        };
        let left = i64::from(limit) - used.get(counter).copied().unwrap_or(0);
        let over = dated.over(counter.subject.clone(), Unit::Faxes, limit);
        (left < *wanted).then(|| OverLimit {
            left: u32::try_from(left).unwrap_or(0),
            wanted: u32::try_from(*wanted).unwrap_or(u32::MAX),
            ..over
        })
    })
}

/// Pages are known when a fax is over: a day's limit stops the mails after it was reached.
async fn beyond_pages(
    tx: &mut Tx,
    daily: &Daily,
    rows: &Rows,
    dated: &Dated,
    known: &mut HashMap<(String, Subject), i64>,
) -> Result<Option<OverLimit>, StoreError> {
    let sender = &rows.submission.sender;
    let user = &sender.user().user_id;
    let own = own_limits(daily, &dated.standing).pages_per_day;
    for (subject, limit) in [
        (Subject::User(user.clone()), own),
        (Subject::Tenant, daily.tenant.pages_per_day),
    ] {
        if limit == 0 {
            continue;
        }
        let key = (sender.tenant_id().to_owned(), subject.clone());
        let used = match known.get(&key) {
            Some(used) => *used,
            None => {
                let user = matches!(subject, Subject::User(_)).then_some(user.as_str());
                let starts = dated.day.starts;
                let used = ledger::pages_since(tx, sender.tenant_id(), user, starts).await?;
                known.insert(key, used);
                used
            }
        };
        if used >= i64::from(limit) {
            return Ok(Some(dated.over(subject, Unit::Pages, limit)));
        }
    }
    Ok(None)
}

impl Dated {
    fn over(&self, subject: Subject, unit: Unit, limit: u32) -> OverLimit {
        OverLimit {
            subject,
            guest: self.standing.guest,
            unit,
            limit,
            left: 0,
            wanted: 0,
            again_at: self.day.ends,
            time_zone: self.standing.time_zone.clone(),
        }
    }
}

/// Forgets the counts of days that are over everywhere; what can't be forgotten now is the next time.
pub(super) async fn tidy(store: &Store) {
    let yesterday = Day::at(now_ms(), "UTC").number - 1;
    if let Err(error) = ledger::forget_counts(store, yesterday).await {
        tracing::warn!(%error, "the counts of past days can't be forgotten; trying again");
    }
}
