//! Commands about covers: templates of a tenant's own. Each is drawn before it is kept.

use std::time::Duration;

use faxpost_paper::{PageSetup, PaperError, TEMPLATE_OCTETS, Template};

use super::{CommandError, Gateway, directory::of_tenant, grammar::Line};
use crate::{
    people::{self, Profile, Tenant},
    policy::covers,
    store::StoreError,
    trouble::Trouble,
    worker::paper::{PaperFailure, PaperRequest},
};

/// Clock time for drawing what is tried. What it may compute is bounded apart from this; a machine may be busy.
pub(super) const TRY_WITHIN: Duration = Duration::from_secs(30);

/// Templates that a tenant may have.
const MOST_COVERS: usize = 20;

/// `add cover NAME [of TENANT]`
pub(super) async fn add(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    let (name, tenant) = name_and_tenant(gateway, line).await?;
    if gateway.covers.names().any(|house| house == name) {
        return Err(CommandError::Refused(format!(
            "{name} is a cover of the house: give yours another name"
        )));
    }
    let template = template(gateway, &name)?;
    let own = people::own_covers(gateway.store, &tenant.tenant_id).await?;
    let replaced = own.iter().any(|one| one.name == name);
    if own.len() >= MOST_COVERS && !replaced {
        return Err(CommandError::Refused(format!(
            "{} has {MOST_COVERS} covers, which is the most: remove one first",
            tenant.name
        )));
    }
    let branding = people::branding(gateway.store, &tenant.tenant_id).await?;
    let request = PaperRequest::TryCover {
        template: template.clone(),
        logo: branding.logo,
        setup: PageSetup::a4_fine(),
    };
    let tried = gateway.paper.render(&request, TRY_WITHIN).await;
    let tried = tried.map_err(|failure| not_drawn("it is not kept", &failure))?;
    let mut tx = gateway.store.begin().await?;
    people::keep_cover(&mut tx, &tenant.tenant_id, &name, &template.source).await?;
    tx.commit().await?;
    let mut said = format!(
        "cover {name} of {} is {}: `set profile Basic cover {name}` uses it",
        tenant.name,
        if replaced { "replaced" } else { "kept" }
    );
    for note in tried.notes {
        said += &format!("\nnote: {note}");
    }
    Ok(said)
}

/// `remove cover NAME [of TENANT]`
pub(super) async fn remove(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let (name, tenant) = name_and_tenant(gateway, line).await?;
    let profiles = people::profiles(gateway.store, &tenant.tenant_id).await?;
    let using = profiles
        .iter()
        .filter(|profile| profile.says("cover").as_deref() == Some(&name));
    let using: Vec<&str> = using.map(|profile| profile.name.as_str()).collect();
    if !using.is_empty() && gateway.covers.get(&name).is_none() {
        return Err(CommandError::Refused(format!(
            "cover {name} is used by the profile {}: give it another first",
            using.join(", ")
        )));
    }
    let mut tx = gateway.store.begin().await?;
    match people::remove_cover(&mut tx, &tenant.tenant_id, &name).await {
        Ok(()) => {}
        Err(StoreError::Missing(_)) => return Err(no_cover(&tenant, &name)),
        Err(error) => return Err(error.into()),
    }
    tx.commit().await?;
    Ok(format!("cover {name} of {} is removed", tenant.name))
}

/// `show covers [of TENANT]`, `show cover NAME [of TENANT]`
pub(super) async fn show(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    if line.peek() == Some("cover") {
        let (name, tenant) = name_and_tenant(gateway, line).await?;
        let own = people::own_cover(gateway.store, &tenant.tenant_id, &name).await?;
        let house = || gateway.covers.get(&name).map(|template| template.source);
        return own.or_else(house).ok_or_else(|| no_cover(&tenant, &name));
    }
    line.literal("covers")?;
    let tenant = of_tenant(gateway.store, line).await?;
    line.end()?;
    let house = gateway
        .covers
        .names()
        .map(|name| format!("{name}  of the house"));
    let own = people::own_covers(gateway.store, &tenant.tenant_id).await?;
    let own = own.iter().map(|cover| {
        let octets = cover.octets;
        format!("{}  of {}, {octets} octets", cover.name, tenant.name)
    });
    Ok(house.chain(own).collect::<Vec<_>>().join("\n"))
}

/// Whether the cover that a profile names is there.
pub(super) async fn known(
    gateway: Gateway<'_>,
    tenant: &Tenant,
    profile: &Profile,
) -> Result<(), CommandError> {
    let Some(name) = profile.says("cover") else {
        return Ok(());
    };
    if name == covers::NONE || gateway.covers.get(&name).is_some() {
        return Ok(());
    }
    match people::own_cover(gateway.store, &tenant.tenant_id, &name).await? {
        Some(_) => Ok(()),
        None => Err(no_cover(tenant, &name)),
    }
}

fn no_cover(tenant: &Tenant, name: &str) -> CommandError {
    CommandError::Refused(format!(
        "{} has no cover {name}: `show covers` lists them, `add cover` keeps one",
        tenant.name
    ))
}

async fn name_and_tenant(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<(String, Tenant), CommandError> {
    line.literal("cover")?;
    let name = line.word("the cover's name")?;
    if !covers::is_cover_name(&name) {
        return Err(line
            .mistake(&format!("{name:?} can't be a cover's name"), covers::NAMES)
            .into());
    }
    let tenant = of_tenant(gateway.store, line).await?;
    line.end()?;
    Ok((name, tenant))
}

/// The template that came with the command.
fn template(gateway: Gateway<'_>, name: &str) -> Result<Template, CommandError> {
    let file = gateway.attachment("the template, a typst file,")?;
    let refused = |why: String| Err(CommandError::Refused(why));
    if file.bytes.len() > TEMPLATE_OCTETS {
        return refused(format!(
            "the template has {} KB, and {} KB are taken",
            file.bytes.len().div_ceil(1024),
            TEMPLATE_OCTETS / 1024
        ));
    }
    match std::str::from_utf8(&file.bytes) {
        // PostgreSQL's TEXT holds no NUL, and no template needs one.
        Ok(source) if !source.contains('\0') => Ok(Template {
            name: name.to_owned(),
            source: source.trim_start_matches('\u{feff}').to_owned(),
        }),
        _ => refused("the template is no UTF-8 text: save it as UTF-8".to_owned()),
    }
}

/// What is said when something that was tried can't be drawn.
pub(super) fn not_drawn(what: &str, failure: &PaperFailure) -> CommandError {
    match failure {
        PaperFailure::Unavailable(why) => CommandError::Later(why.clone()),
        failure => {
            debug_assert_eq!(failure.trouble(), Trouble::Permanent);
            let help = match failure {
                PaperFailure::Document(PaperError::Template { .. }) => {
                    "; `faxpost cover FILE.typ OUT.pdf` tries it, docs/covers.md says what it is given"
                }
                _ => "",
            };
            CommandError::Refused(format!("{what}: {failure}{help}"))
        }
    }
}

#[cfg(test)]
mod tests;
