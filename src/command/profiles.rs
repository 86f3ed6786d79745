//! Commands about profiles: what applies to the faxes of a group.

use faxpost_paper::{Blank, Dots, Landscape, Long, Tone};

use super::{
    CommandError, Gateway, covers,
    directory::{of_tenant, taken},
    grammar::Line,
};
use crate::{
    clock::now_ms,
    people::{self, BASIC, Profile, Rules, Tenant},
    policy::Sending,
    queue, recognition,
    store::{Store, Topic},
};

/// `add profile NAME [of TENANT] [VALUE ...]`
pub(super) async fn add(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    let (name, tenant) = name_and_tenant(gateway.store, line).await?;
    let mut tx = gateway.store.begin().await?;
    let added = people::add_profile(&mut tx, &tenant.tenant_id, &name).await;
    let mut profile = added.map_err(taken(format!(
        "{} has a profile {name} already: `set profile` changes it",
        tenant.name
    )))?;
    let basic = people::profile(gateway.store, &tenant.tenant_id, BASIC).await?;
    change(&mut profile, line)?;
    fits(gateway, &tenant, &profile, basic.as_ref())?;
    covers::known(gateway, &tenant, &profile).await?;
    approver(gateway, &tenant, &profile).await?;
    people::change_profile(&mut tx, &profile).await?;
    queue::hours_changed(&mut tx, &tenant.tenant_id).await?;
    tx.commit().await?;
    gateway.store.wake(Topic::Queue);
    Ok(words(gateway.sending, &tenant, &profile, basic.as_ref()))
}

/// `set profile NAME [of TENANT] VALUE ...`
pub(super) async fn set(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    let (mut profile, tenant) = named(gateway.store, line).await?;
    if line.peek().is_none() {
        return Err(line.mistake("nothing to set", &expected()).into());
    }
    change(&mut profile, line)?;
    let basic = people::profile(gateway.store, &tenant.tenant_id, BASIC).await?;
    fits(gateway, &tenant, &profile, basic.as_ref())?;
    covers::known(gateway, &tenant, &profile).await?;
    approver(gateway, &tenant, &profile).await?;
    let mut tx = gateway.store.begin().await?;
    people::change_profile(&mut tx, &profile).await?;
    // Faxes that wait for the old hours look at the new ones.
    queue::hours_changed(&mut tx, &tenant.tenant_id).await?;
    tx.commit().await?;
    gateway.store.wake(Topic::Queue);
    Ok(words(gateway.sending, &tenant, &profile, basic.as_ref()))
}

/// `remove profile NAME [of TENANT]`
pub(super) async fn remove(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let (profile, tenant) = named(gateway.store, line).await?;
    line.end()?;
    if profile.name == BASIC {
        return Err(CommandError::Refused(format!(
            "{BASIC} is what groups without a profile of their own use: set its values to `inherit` instead"
        )));
    }
    let mut tx = gateway.store.begin().await?;
    people::remove_profile(&mut tx, &profile).await?;
    queue::hours_changed(&mut tx, &tenant.tenant_id).await?;
    tx.commit().await?;
    gateway.store.wake(Topic::Queue);
    Ok(format!(
        "profile {} of {} is removed: the group {0} uses {BASIC}",
        profile.name, tenant.name
    ))
}

/// `show profile NAME [of TENANT]`, `show profiles [of TENANT]`
pub(super) async fn show(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    if line.peek() == Some("profiles") {
        line.next();
        let tenant = of_tenant(gateway.store, line).await?;
        line.end()?;
        let all = people::profiles(gateway.store, &tenant.tenant_id).await?;
        let rows: Vec<String> = all.iter().map(row).collect();
        return Ok(rows.join("\n"));
    }
    let (profile, tenant) = named(gateway.store, line).await?;
    line.end()?;
    let basic = people::profile(gateway.store, &tenant.tenant_id, BASIC).await?;
    Ok(words(gateway.sending, &tenant, &profile, basic.as_ref()))
}

fn expected() -> String {
    people::profile_keys().collect::<Vec<_>>().join(", ")
}

async fn named(store: &Store, line: &mut Line<'_>) -> Result<(Profile, Tenant), CommandError> {
    let (name, tenant) = name_and_tenant(store, line).await?;
    let profile = people::profile(store, &tenant.tenant_id, &name).await?;
    let profile = profile.ok_or_else(|| {
        CommandError::Refused(format!(
            "{} has no profile {name}: `show profiles` lists them, `add profile` makes one",
            tenant.name
        ))
    })?;
    Ok((profile, tenant))
}

async fn name_and_tenant(
    store: &Store,
    line: &mut Line<'_>,
) -> Result<(String, Tenant), CommandError> {
    line.literal("profile")?;
    let name = line.word("the profile's name: that of a group, or Basic")?;
    Ok((name, of_tenant(store, line).await?))
}

fn change(profile: &mut Profile, line: &mut Line<'_>) -> Result<(), CommandError> {
    while let Some(key) = line.next() {
        if !people::profile_keys().any(|known| known == key) {
            return Err(line.mistake(&format!("{key:?}"), &expected()).into());
        }
        let value = line.word(&format!("a value of {key}, or inherit"))?;
        if let Err(right) = profile.set(&key, &value) {
            let right = format!("{}, or inherit", right.unwrap_or(&key));
            return Err(line.mistake(&format!("{value:?}"), &right).into());
        }
        if key == "ocr" {
            languages(&value, line)?;
        }
    }
    Ok(())
}

/// The languages must be installed on this machine.
fn languages(value: &str, line: &Line<'_>) -> Result<(), CommandError> {
    if matches!(value, "off" | "inherit") {
        return Ok(());
    }
    let installed = recognition::installed();
    let unknown = value
        .split('+')
        .find(|wanted| !installed.iter().any(|known| known == wanted));
    match unknown {
        None => Ok(()),
        Some(_) if installed.is_empty() => Err(CommandError::Refused(
            "no language of tesseract's is installed here: on Debian, apt install tesseract-ocr tesseract-ocr-osd and \
             tesseract-ocr-fra or others"
                .to_owned(),
        )),
        Some(unknown) => {
            let expected = format!("off, or of {} those that are wanted, as eng+fra", installed.join(", "));
            Err(line.mistake(&format!("{unknown:?} is not installed"), &expected).into())
        }
    }
}

fn chain(profile: &Profile, basic: Option<&Profile>) -> Vec<Profile> {
    let basic = basic.filter(|basic| basic.name != profile.name);
    std::iter::once(profile).chain(basic).cloned().collect()
}

/// Who approves must be somebody who can be proven: a user of the tenant.
async fn approver(
    gateway: Gateway<'_>,
    tenant: &Tenant,
    profile: &Profile,
) -> Result<(), CommandError> {
    let Some(address) = profile.says("approver").filter(|address| address != "none") else {
        return Ok(());
    };
    let user = people::user_by_address(gateway.store, &address).await?;
    let own = |user: &people::User| {
        user.tenant_id == tenant.tenant_id && user.role != people::Role::Guest
    };
    if user.as_ref().is_some_and(own) {
        return Ok(());
    }
    Err(CommandError::Refused(format!(
        "{address} is no user of {}: `add user` enters who is to approve",
        tenant.name
    )))
}

/// Hours that never come would keep every fax until its time is over.
fn fits(
    gateway: Gateway<'_>,
    tenant: &Tenant,
    profile: &Profile,
    basic: Option<&Profile>,
) -> Result<(), CommandError> {
    let rules = Rules::of(gateway.sending, &chain(profile, basic), &tenant.time_zone)?;
    if rules.ever_open() {
        return Ok(());
    }
    Err(CommandError::Refused(
        "with these hours and quiet hours no fax could ever be called: leave some time of the week"
            .to_owned(),
    ))
}

/// Every value, and where it comes from.
fn words(sending: &Sending, tenant: &Tenant, profile: &Profile, basic: Option<&Profile>) -> String {
    let mut text = format!("profile {} of {}", profile.name, tenant.name);
    for key in people::profile_keys() {
        let own = profile
            .says(key)
            .map(|value| (value, profile.name.as_str()));
        let said = own.or_else(|| {
            let value = basic?.says(key)?;
            Some((value, BASIC))
        });
        let line = match said {
            Some((value, from)) => format!("{key}: {value}  ({from})"),
            None => format!("{key}: {}", inherited(sending, key)),
        };
        text += &format!("\n  {line}");
    }
    let rules = Rules::of(sending, &chain(profile, basic), &tenant.time_zone);
    let opens = rules.ok().and_then(|rules| rules.opens(now_ms()));
    let now = opens.is_some_and(|at| at <= now_ms());
    text += &format!(
        "\nhours are {}'s: faxes are {} now",
        tenant.time_zone,
        if now { "called" } else { "not called" }
    );
    text
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// What applies when no profile says otherwise.
fn inherited(sending: &Sending, key: &str) -> String {
    let waits = |row: &Vec<u32>| {
        let all: Vec<String> = row.iter().map(u32::to_string).collect();
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(",")
        }
    };
    let rows = &sending.wait_s;
    let value = match key {
        "resolution" => return "fine  (built in)".to_owned(),
        "paper" => return "a4  (built in)".to_owned(),
        "cover" => sending.cover.clone(),
        "body" => sending.body.name().to_owned(),
        "hours" => return "always  (built in)".to_owned(),
        "quiet" => return "never  (built in)".to_owned(),
        "allow" => return "all  (built in)".to_owned(),
        "deny" => return "none  (built in)".to_owned(),
        "code" => return "any  (built in)".to_owned(),
        "ocr" => return "off  (built in)".to_owned(),
        "landscape" => match sending.landscape {
            Landscape::Turn => "turn".to_owned(),
            Landscape::Shrink => "shrink".to_owned(),
        },
        "long" => match sending.long {
            Long::Split => "split".to_owned(),
            Long::Shrink => "shrink".to_owned(),
        },
        "blank" => match sending.blank {
            Blank::Keep => "keep".to_owned(),
            Blank::Drop => "drop".to_owned(),
        },
        "tone" => match sending.tone {
            Tone::Auto => "auto".to_owned(),
            Tone::Text => "text".to_owned(),
            Tone::Photo => "photo".to_owned(),
        },
        "dots" => match sending.dots {
            Dots::Diffused => "diffused".to_owned(),
            Dots::Clustered => "clustered".to_owned(),
        },
        "priority" => sending.priority.to_string(),
        "unreadable" => match sending.unreadable {
            crate::policy::Unreadable::Stop => "stop".to_owned(),
            crate::policy::Unreadable::LeaveOut => "leave-out".to_owned(),
        },
        "guard" if sending.guard.is_empty() => "none".to_owned(),
        "guard" => {
            let all: Vec<&str> = sending.guard.iter().map(|guard| guard.name()).collect();
            all.join(",")
        }
        "approver" => return "none  (built in)".to_owned(),
        "accepted" => sending.accepted.name().to_owned(),
        "discreet" => yes_or_no(sending.discreet),
        "receipt" => yes_or_no(sending.receipt),
        "json" => yes_or_no(sending.json),
        "calls" => sending.max_calls.to_string(),
        "tries" => sending.max_tries.to_string(),
        "batch" => sending.batch.to_string(),
        "busy" => waits(&rows.busy),
        "no-answer" => waits(&rows.no_answer),
        "protocol" => waits(&rows.protocol),
        "trunk" => waits(&rows.trunk),
        "no-fax" => waits(&rows.no_fax),
        _ => waits(&rows.interrupted),
    };
    format!("{value}  (sending.toml)")
}

/// A row of `show profiles`: what a profile says itself.
fn row(profile: &Profile) -> String {
    let said: Vec<String> = people::profile_keys()
        .filter_map(|key| Some(format!("{key} {}", profile.says(key)?)))
        .collect();
    let said = if said.is_empty() {
        "inherits everything".to_owned()
    } else {
        said.join(", ")
    };
    format!("{}  {said}", profile.name)
}

#[cfg(test)]
mod tests;
