//! Profiles: what the operator's rules and the tenant say of sending, for the users of a group.
//!
//! A group uses the profile with its own name; what that leaves open is `Basic`'s, and what that leaves open
//! is the operator's, from `policies/sending.toml`.

use std::collections::BTreeMap;

use faxpost_paper::{Blank, Dots, Landscape, Long, Tone};
use sqlx::{Row as _, any::AnyRow};

use super::{BASIC, hours::Hours};
use crate::{
    language::Told,
    policy::{
        Guard, Sending, covers,
        sending::{BATCHES, PRIORITIES},
    },
    store::{Store, StoreError, Tx, new_id},
};

/// A value that a profile may have.
struct Value {
    /// As people write it.
    key: &'static str,
    column: &'static str,
    number: bool,
    /// What is right there.
    expected: &'static str,
}

const fn text(key: &'static str, column: &'static str, expected: &'static str) -> Value {
    Value {
        key,
        column,
        number: false,
        expected,
    }
}

const fn number(key: &'static str, column: &'static str, expected: &'static str) -> Value {
    Value {
        key,
        column,
        number: true,
        expected,
    }
}

const SECONDS: &str = "none, or seconds as 60,120,300";
const COUNT: &str = "a whole number from 1 to 100";

const VALUES: [Value; 32] = [
    text("resolution", "resolution", "standard, fine or superfine"),
    text("paper", "paper", "a4, letter or legal"),
    text("landscape", "landscape", "turn or shrink"),
    text("long", "long_pages", "split or shrink"),
    text("blank", "blank_pages", "keep or drop"),
    text("tone", "tone", "auto, text or photo"),
    text("dots", "dots", "diffused or clustered"),
    text(
        "cover",
        "cover",
        "none, plain, business, confidential, or another cover's name",
    ),
    text("body", "body", "cover, page or ignore"),
    number(
        "priority",
        "priority",
        "a whole number from 0 (first) to 9 (last)",
    ),
    number("calls", "max_calls", COUNT),
    number("tries", "max_tries", COUNT),
    number(
        "batch",
        "batch",
        "how many faxes a call carries at most, from 1 to 20",
    ),
    text("busy", "wait_busy", SECONDS),
    text("no-answer", "wait_no_answer", SECONDS),
    text("protocol", "wait_protocol", SECONDS),
    text("trunk", "wait_trunk", SECONDS),
    text("no-fax", "wait_no_fax", SECONDS),
    text("interrupted", "wait_interrupted", SECONDS),
    text(
        "hours",
        "hours",
        "always, or days and times as \"mon-fri 08:00-18:00; sat 09:00-12:00\"",
    ),
    text(
        "quiet",
        "quiet",
        "never, or days and times as \"22:00-06:00; sun 00:00-24:00\"",
    ),
    text("allow", "allow", "all, or beginnings of numbers as +33,+44"),
    text(
        "deny",
        "deny",
        "none, or beginnings of numbers as +339,+44870",
    ),
    text("unreadable", "unreadable", "stop or leave-out"),
    text("ocr", "ocr", "off, or languages as eng or eng+fra"),
    text(
        "code",
        "codes",
        "any, needed, or billing codes as 4711,47##,AB-* (# is a digit, * at the end anything)",
    ),
    text(
        "guard",
        "guard",
        "none, or some of first, near and pages as first,near",
    ),
    text(
        "approver",
        "approver",
        "none, or the mail address of a user",
    ),
    text("accepted", "accepted", "slow, always or never"),
    text("discreet", "discreet", "yes or no"),
    text("receipt", "receipt", "yes or no"),
    text("json", "json", "yes or no"),
];

/// The most waits of a row, and the longest, seconds: a day is all the time that a fax has.
const MOST_WAITS: usize = 100;
const LONGEST_WAIT: u32 = 86_400;

/// The keys of all values, in the order in which they are shown.
pub fn profile_keys() -> impl Iterator<Item = &'static str> {
    VALUES.iter().map(|value| value.key)
}

/// What a profile says; what it does not say is inherited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Whose.
    pub tenant_id: String,
    /// One of a kind in the tenant.
    pub name: String,
    /// Its values as they are stored, by key.
    values: BTreeMap<&'static str, String>,
}

impl Profile {
    /// What it says itself of a value, as people write it.
    #[must_use]
    pub fn says(&self, key: &str) -> Option<String> {
        let stored = self.values.get(key)?.as_str();
        Some(match (key, stored) {
            ("hours", "") => "always".to_owned(),
            ("quiet", "") => "never".to_owned(),
            ("allow", "") => "all".to_owned(),
            (_, "") => "none".to_owned(),
            (_, list) if is_list(key) => list.replace(' ', ","),
            (_, other) => other.to_owned(),
        })
    }

    /// What it says itself of a value, as it is stored.
    pub(super) fn said(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Sets a value as people write it; `inherit` takes it away.
    ///
    /// # Errors
    /// What would be right there; or, for a key that there is none of, `None`.
    pub fn set(&mut self, key: &str, written: &str) -> Result<(), Option<&'static str>> {
        let value = VALUES.iter().find(|value| value.key == key).ok_or(None)?;
        if written == "inherit" {
            self.values.remove(key);
            return Ok(());
        }
        let stored = stored(key, written).ok_or(Some(value.expected))?;
        self.values.insert(value.key, stored);
        Ok(())
    }
}

fn is_list(key: &str) -> bool {
    [
        "busy",
        "no-answer",
        "protocol",
        "trunk",
        "no-fax",
        "interrupted",
        "allow",
        "deny",
        "code",
        "guard",
    ]
    .contains(&key)
}

/// A value as it is stored; `None`: it can't be read.
fn stored(key: &str, written: &str) -> Option<String> {
    let whole = |range: std::ops::RangeInclusive<i64>| {
        let number: i64 = written.parse().ok()?;
        range.contains(&number).then(|| number.to_string())
    };
    let one_of = |words: &[&str]| words.contains(&written).then(|| written.to_owned());
    let hours = |none: &str| match written {
        _ if written == none => Some(String::new()),
        _ => Hours::read(written).map(|_| written.trim().to_owned()),
    };
    match key {
        "resolution" => one_of(&["standard", "fine", "superfine"]),
        "paper" => one_of(&["a4", "letter", "legal"]),
        "landscape" => one_of(&["turn", "shrink"]),
        "long" => one_of(&["split", "shrink"]),
        "blank" => one_of(&["keep", "drop"]),
        "unreadable" => one_of(&["stop", "leave-out"]),
        "ocr" => (written == "off" || are_languages(written)).then(|| written.to_owned()),
        "code" => codes(written),
        "tone" => one_of(&["auto", "text", "photo"]),
        "dots" => one_of(&["diffused", "clustered"]),
        "cover" => match written {
            "on" => Some(covers::PLAIN.to_owned()),
            "off" | covers::NONE => Some(covers::NONE.to_owned()),
            name => covers::is_cover_name(name).then(|| name.to_owned()),
        },
        "guard" => {
            let all = list(written, "none");
            let known = |word: &&str| word.parse::<Guard>().is_ok();
            all.iter().all(known).then(|| all.join(" "))
        }
        "approver" if written == "none" => Some(String::new()),
        "approver" => {
            let (local_part, domain) = written.rsplit_once('@')?;
            let sound = |c: char| c.is_whitespace() || c.is_control() || "<>,;".contains(c);
            let fits = !local_part.is_empty() && !domain.is_empty() && !written.contains(sound);
            fits.then(|| super::folded(written))
        }
        "accepted" => one_of(&["slow", "always", "never"]),
        "discreet" | "receipt" | "json" => one_of(&["yes", "no"]),
        "body" => one_of(&["cover", "page", "ignore"]),
        "priority" => whole(PRIORITIES),
        "calls" | "tries" => whole(1..=100),
        "batch" => whole((*BATCHES.start()).into()..=(*BATCHES.end()).into()),
        "hours" => hours("always"),
        "quiet" => hours("never"),
        "allow" | "deny" => {
            let none = if key == "allow" { "all" } else { "none" };
            let all = list(written, none);
            all.iter()
                .all(|prefix| is_prefix(prefix))
                .then(|| all.join(" "))
        }
        _ => {
            let all = list(written, "none");
            let fit = |s: &&str| s.parse::<u32>().is_ok_and(|s| s <= LONGEST_WAIT);
            (all.len() <= MOST_WAITS && all.iter().all(fit)).then(|| all.join(" "))
        }
    }
}

fn list<'a>(written: &'a str, none: &str) -> Vec<&'a str> {
    if written == none {
        return Vec::new();
    }
    written.split(',').map(str::trim).collect()
}

/// Billing codes with spaces between, or a word in their place.
fn codes(written: &str) -> Option<String> {
    let all = list(written, "");
    let fits = |code: &&str| {
        (1..=40).contains(&code.chars().count())
            && !code.contains(|c: char| c.is_whitespace() || c.is_control())
            && !["any", "needed"].contains(code)
    };
    let sound = ["any", "needed"].contains(&written) || all.len() <= 1000 && all.iter().all(fits);
    (sound && !written.is_empty()).then(|| all.join(" "))
}

/// Languages as tesseract has them: `eng`, `chi_sim`, with a plus sign between.
fn are_languages(text: &str) -> bool {
    let fits = |name: &str| {
        (2..=20).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    text.split('+').count() <= 8 && text.split('+').all(fits)
}

fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+');
    digits.is_some_and(|d| (1..16).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
}

/// The numbers that somebody may fax.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Beginnings of numbers; empty: every number.
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Allowed {
    /// Why a number may not be faxed: a sentence without its full stop. Of two beginnings that match the
    /// longest decides, so that `deny +33 allow +33199` means what it says.
    #[must_use]
    pub fn refusal(&self, number: &str) -> Option<Told> {
        let longest = |list: &[String]| {
            let fit = list.iter().filter(|prefix| number.starts_with(*prefix));
            fit.max_by_key(|prefix| prefix.len()).cloned()
        };
        let (allow, deny) = (longest(&self.allow), longest(&self.deny));
        match (allow, deny) {
            (None, Some(prefix)) => Some(denied(&prefix)),
            (Some(allow), Some(deny)) if deny.len() >= allow.len() => Some(denied(&deny)),
            (None, None) if !self.allow.is_empty() => Some(allowed_alone(&self.allow.join(", "))),
            _ => None,
        }
    }
}

fn denied(prefix: &str) -> Told {
    Told {
        en: format!(
            "your organisation does not let you fax numbers that begin with {prefix}: ask your administrator"
        ),
        fr: format!(
            "votre organisation ne vous permet pas de faxer les numéros qui commencent par {prefix}\u{a0}: adressez-vous \
             à votre administrateur"
        ),
    }
}

fn allowed_alone(prefixes: &str) -> Told {
    Told {
        en: format!(
            "your organisation lets you fax numbers only that begin with {prefixes}: ask your administrator"
        ),
        fr: format!(
            "votre organisation ne vous permet de faxer que les numéros qui commencent par {prefixes}\u{a0}: \
             adressez-vous à votre administrateur"
        ),
    }
}

/// What applies to the faxes of a user.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Priority, waits, calls and tries.
    pub sending: Sending,
    /// The numbers that may be faxed.
    pub numbers: Allowed,
    hours: Hours,
    time_zone: String,
}

impl Rules {
    /// When faxes may be called from `at` on: `at` itself, or later; `None`: never.
    #[must_use]
    pub fn opens(&self, at: crate::clock::Millis) -> Option<crate::clock::Millis> {
        self.hours.next(at, &self.time_zone)
    }

    /// Whether faxes may be called at any time of the week.
    #[must_use]
    pub fn ever_open(&self) -> bool {
        self.hours.ever()
    }

    /// The operator's rules, changed by what `profiles` say, the last first.
    ///
    /// # Errors
    /// [`StoreError::Unknown`]: a value that this version can't read.
    pub fn of(
        sending: &Sending,
        profiles: &[Profile],
        time_zone: &str,
    ) -> Result<Self, StoreError> {
        let mut sending = sending.clone();
        let said = |key: &str| profiles.iter().find_map(|profile| profile.values.get(key));
        if let Some(priority) = said("priority") {
            sending.priority = read("priority", priority)?;
        }
        if let Some(cover) = said("cover") {
            sending.cover.clone_from(cover);
        }
        if let Some(body) = said("body") {
            sending.body = read("body", body)?;
        }
        if let Some(unreadable) = said("unreadable") {
            sending.unreadable = read("unreadable", unreadable)?;
        }
        if let Some(guard) = said("guard") {
            let all = guard.split_whitespace().map(|word| read("guard", word));
            sending.guard = all.collect::<Result<_, _>>()?;
        }
        if let Some(approver) = said("approver") {
            sending.approver = Some(approver.clone()).filter(|address| !address.is_empty());
        }
        if let Some(accepted) = said("accepted") {
            sending.accepted = read("accepted", accepted)?;
        }
        for (key, value) in [
            ("discreet", &mut sending.discreet),
            ("receipt", &mut sending.receipt),
            ("json", &mut sending.json),
        ] {
            if let Some(word) = said(key) {
                *value = word == "yes";
            }
        }
        if let Some(calls) = said("calls") {
            sending.max_calls = read("calls", calls)?;
        }
        if let Some(tries) = said("tries") {
            sending.max_tries = read("tries", tries)?;
        }
        lay(&mut sending, said)?;
        if let Some(batch) = said("batch") {
            sending.batch = read("batch", batch)?;
        }
        let rows = &mut sending.wait_s;
        for (key, row) in [
            ("busy", &mut rows.busy),
            ("no-answer", &mut rows.no_answer),
            ("protocol", &mut rows.protocol),
            ("trunk", &mut rows.trunk),
            ("no-fax", &mut rows.no_fax),
            ("interrupted", &mut rows.interrupted),
        ] {
            if let Some(waits) = said(key) {
                let waits = waits.split_whitespace().map(|wait| read(key, wait));
                *row = waits.collect::<Result<_, _>>()?;
            }
        }
        let hours = |key| match said(key).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(text) => Hours::read(text)
                .map(Some)
                .ok_or_else(|| unknown(key, text)),
        };
        let mut open = hours("hours")?.unwrap_or_else(Hours::always);
        if let Some(quiet) = hours("quiet")? {
            open = open.without(&quiet);
        }
        Ok(Self {
            sending,
            numbers: allowed(profiles),
            hours: open,
            time_zone: time_zone.to_owned(),
        })
    }
}

/// How pages are laid on the paper, and made black and white.
fn lay<'a>(
    sending: &mut Sending,
    said: impl Fn(&str) -> Option<&'a String>,
) -> Result<(), StoreError> {
    if let Some(text) = said("landscape") {
        sending.landscape = match text.as_str() {
            "turn" => Landscape::Turn,
            "shrink" => Landscape::Shrink,
            _ => return Err(unknown("landscape", text)),
        };
    }
    if let Some(text) = said("long") {
        sending.long = match text.as_str() {
            "split" => Long::Split,
            "shrink" => Long::Shrink,
            _ => return Err(unknown("long_pages", text)),
        };
    }
    if let Some(text) = said("blank") {
        sending.blank = match text.as_str() {
            "keep" => Blank::Keep,
            "drop" => Blank::Drop,
            _ => return Err(unknown("blank_pages", text)),
        };
    }
    if let Some(text) = said("tone") {
        sending.tone = match text.as_str() {
            "auto" => Tone::Auto,
            "text" => Tone::Text,
            "photo" => Tone::Photo,
            _ => return Err(unknown("tone", text)),
        };
    }
    if let Some(text) = said("dots") {
        sending.dots = match text.as_str() {
            "diffused" => Dots::Diffused,
            "clustered" => Dots::Clustered,
            _ => return Err(unknown("dots", text)),
        };
    }
    Ok(())
}

fn allowed(profiles: &[Profile]) -> Allowed {
    let list = |key: &str| {
        let said = profiles.iter().find_map(|profile| profile.values.get(key));
        let words = said.map(|text| text.split_whitespace().map(str::to_owned).collect());
        words.unwrap_or_default()
    };
    Allowed {
        allow: list("allow"),
        deny: list("deny"),
    }
}

fn read<T: std::str::FromStr>(key: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| unknown(key, text))
}

fn unknown(column: &'static str, text: &str) -> StoreError {
    StoreError::Unknown {
        table: "profile",
        column,
        value: text.to_owned(),
    }
}

fn columns() -> String {
    let column = |value: &Value| match value.number {
        true => format!("CAST({0} AS TEXT) AS {0}", value.column),
        false => value.column.to_owned(),
    };
    let all: Vec<String> = VALUES.iter().map(column).collect();
    all.join(", ")
}

fn profile_of(row: &AnyRow) -> Result<Profile, StoreError> {
    let mut values = BTreeMap::new();
    for value in &VALUES {
        if let Some(text) = row.try_get::<Option<String>, _>(value.column)? {
            values.insert(value.key, text);
        }
    }
    Ok(Profile {
        tenant_id: row.try_get("tenant_id")?,
        name: row.try_get("name")?,
        values,
    })
}

/// The profiles that apply to a user, the nearest first, and the tenant's time zone.
pub(super) async fn of_user(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
) -> Result<(Vec<Profile>, String), StoreError> {
    let row = sqlx::query(
        "SELECT user_group.name AS group_name, tenant.time_zone
         FROM fax_user JOIN tenant ON tenant.tenant_id = fax_user.tenant_id
         JOIN user_group ON user_group.tenant_id = fax_user.tenant_id AND user_group.group_id = fax_user.group_id
         WHERE fax_user.tenant_id = $1 AND fax_user.user_id = $2",
    )
    .bind(tenant_id)
    .bind(user_id)
    .fetch_optional(store.reader())
    .await?
    .ok_or(StoreError::Missing("user"))?;
    let group: String = row.try_get("group_name")?;
    let mut all = profiles(store, tenant_id).await?;
    all.retain(|profile| profile.name == group || profile.name == BASIC);
    all.sort_by_key(|profile| profile.name == BASIC);
    Ok((all, row.try_get("time_zone")?))
}

/// What applies to the faxes of a user.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such user.
pub async fn rules_for(
    store: &Store,
    sending: &Sending,
    tenant_id: &str,
    user_id: &str,
) -> Result<Rules, StoreError> {
    let (profiles, zone) = of_user(store, tenant_id, user_id).await?;
    Rules::of(sending, &profiles, &zone)
}

/// The languages in which the received faxes of a group are read, as `eng+fra`; `None`: they are not.
///
/// # Errors
/// What the database says.
pub async fn ocr_for(
    store: &Store,
    tenant_id: &str,
    group_id: &str,
) -> Result<Option<String>, StoreError> {
    let group: Option<String> =
        sqlx::query_scalar("SELECT name FROM user_group WHERE tenant_id = $1 AND group_id = $2")
            .bind(tenant_id)
            .bind(group_id)
            .fetch_optional(store.reader())
            .await?;
    let all = profiles(store, tenant_id).await?;
    let said = |name: &str| {
        let profile = all.iter().find(|profile| profile.name == name)?;
        profile.values.get("ocr").cloned()
    };
    let languages = group.as_deref().and_then(said).or_else(|| said(BASIC));
    Ok(languages.filter(|languages| languages != "off"))
}

/// The numbers that a user may fax.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such user.
pub async fn allowed_for(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
) -> Result<Allowed, StoreError> {
    let (profiles, _) = of_user(store, tenant_id, user_id).await?;
    Ok(allowed(&profiles))
}

/// The profiles of a tenant, by name.
///
/// # Errors
/// What the database says.
pub async fn profiles(store: &Store, tenant_id: &str) -> Result<Vec<Profile>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT tenant_id, name, {} FROM profile WHERE tenant_id = $1 ORDER BY name",
        columns()
    )))
    .bind(tenant_id)
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(profile_of).collect()
}

/// A profile by its name.
///
/// # Errors
/// What the database says.
pub async fn profile(
    store: &Store,
    tenant_id: &str,
    name: &str,
) -> Result<Option<Profile>, StoreError> {
    let all = profiles(store, tenant_id).await?;
    Ok(all.into_iter().find(|profile| profile.name == name))
}

/// Makes a profile that says nothing yet.
///
/// # Errors
/// A unique violation when the name is taken.
pub async fn add_profile(tx: &mut Tx, tenant_id: &str, name: &str) -> Result<Profile, StoreError> {
    sqlx::query("INSERT INTO profile (profile_id, tenant_id, name) VALUES ($1, $2, $3)")
        .bind(new_id())
        .bind(tenant_id)
        .bind(name)
        .execute(tx.conn())
        .await?;
    Ok(Profile {
        tenant_id: tenant_id.to_owned(),
        name: name.to_owned(),
        values: BTreeMap::new(),
    })
}

/// Records everything that a profile says.
///
/// # Errors
/// [`StoreError::Missing`] when it is gone.
pub async fn change_profile(tx: &mut Tx, profile: &Profile) -> Result<(), StoreError> {
    let sets: Vec<String> = (VALUES.iter().enumerate())
        .map(|(index, value)| format!("{} = ${}", value.column, index + 3))
        .collect();
    let text = format!(
        "UPDATE profile SET {} WHERE tenant_id = $1 AND name = $2",
        sets.join(", ")
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(&profile.tenant_id)
        .bind(&profile.name);
    for value in &VALUES {
        let said = profile.values.get(value.key);
        query = if value.number {
            let number: Option<i64> = said.map(|text| read(value.key, text)).transpose()?;
            query.bind(number)
        } else {
            query.bind(said.cloned())
        };
    }
    let done = query.execute(tx.conn()).await?;
    if done.rows_affected() != 1 {
        return Err(StoreError::Missing("profile"));
    }
    Ok(())
}

/// Removes a profile.
///
/// # Errors
/// What the database says.
pub async fn remove_profile(tx: &mut Tx, profile: &Profile) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM profile WHERE tenant_id = $1 AND name = $2")
        .bind(&profile.tenant_id)
        .bind(&profile.name)
        .execute(tx.conn())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
