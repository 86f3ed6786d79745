//! Commands about what a tenant's covers have of its own: company, footer, logo.

use faxpost_paper::LOGO_OCTETS;

use super::{
    CommandError, Gateway,
    covers::{TRY_WITHIN, not_drawn},
    directory::{named_tenant, of_tenant, taken},
    grammar::Line,
};
use crate::{
    people::{self, Branding, Tenant},
    store::Store,
    worker::paper::PaperRequest,
};

const VALUES: &str = "name, company or footer";
/// Characters of a company's name, and of a footer.
const MOST_IN_NAME: usize = 200;
const MOST_IN_FOOTER: usize = 400;

/// `set tenant TENANT [name NAME] [company NAME|none] [footer TEXT|none]`
pub(super) async fn set(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    line.literal("tenant")?;
    let mut tenant = named_tenant(gateway.store, line).await?;
    if line.peek().is_none() {
        return Err(line.mistake("nothing to set", VALUES).into());
    }
    let mut branding = people::branding(gateway.store, &tenant.tenant_id).await?;
    let mut tx = gateway.store.begin().await?;
    while let Some(key) = line.next() {
        match key.as_str() {
            "name" => {
                let name = short(line, "the tenant's new name", MOST_IN_NAME)?;
                people::rename_tenant(&mut tx, &tenant.tenant_id, &name)
                    .await
                    .map_err(taken(format!("there is a tenant {name} already")))?;
                tenant.name = name;
            }
            "company" => branding.company = optional(line, "the company's name", MOST_IN_NAME)?,
            "footer" => branding.footer = optional(line, "the footer's text", MOST_IN_FOOTER)?,
            other => return Err(line.mistake(&format!("{other:?}"), VALUES).into()),
        }
    }
    let (company, footer) = (branding.company.as_deref(), branding.footer.as_deref());
    people::set_branding(&mut tx, &tenant.tenant_id, company, footer).await?;
    tx.commit().await?;
    Ok(words(&tenant, &branding))
}

/// `show tenant TENANT`
pub(super) async fn show(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    line.literal("tenant")?;
    let tenant = named_tenant(gateway.store, line).await?;
    line.end()?;
    let branding = people::branding(gateway.store, &tenant.tenant_id).await?;
    Ok(words(&tenant, &branding))
}

/// `set logo [of TENANT]`
pub(super) async fn set_logo(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let tenant = after_logo(gateway.store, line).await?;
    let file = gateway.attachment("the logo, a PNG or JPEG picture,")?;
    if file.bytes.len() > LOGO_OCTETS {
        return Err(CommandError::Refused(format!(
            "the logo has {} KB, and {} KB are taken: make the picture smaller, 1000 pixels across are plenty",
            file.bytes.len().div_ceil(1024),
            LOGO_OCTETS / 1024
        )));
    }
    let request = PaperRequest::Logo {
        name: file.name.clone(),
        bytes: file.bytes.clone(),
    };
    let made = gateway.paper.render(&request, TRY_WITHIN).await;
    let made = made.map_err(|failure| not_drawn("the logo is not taken", &failure))?;
    let mut tx = gateway.store.begin().await?;
    people::set_logo(&mut tx, &tenant.tenant_id, made.logo).await?;
    tx.commit().await?;
    Ok(format!("{} has a new logo on its covers", tenant.name))
}

/// `remove logo [of TENANT]`
pub(super) async fn remove_logo(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let tenant = after_logo(gateway.store, line).await?;
    let mut tx = gateway.store.begin().await?;
    people::set_logo(&mut tx, &tenant.tenant_id, None).await?;
    tx.commit().await?;
    Ok(format!("{} has no logo on its covers", tenant.name))
}

async fn after_logo(store: &Store, line: &mut Line<'_>) -> Result<Tenant, CommandError> {
    line.literal("logo")?;
    let tenant = of_tenant(store, line).await?;
    line.end()?;
    Ok(tenant)
}

fn short(line: &mut Line<'_>, expected: &str, most: usize) -> Result<String, CommandError> {
    let word = line.word(expected)?;
    let word = word.trim();
    // PostgreSQL's TEXT holds no NUL.
    if word.is_empty() || word.chars().count() > most || word.contains('\0') {
        let what = "it is empty or too long";
        let expected = format!("{expected}, in up to {most} characters");
        return Err(line.mistake(what, &expected).into());
    }
    Ok(word.to_owned())
}

fn optional(
    line: &mut Line<'_>,
    expected: &str,
    most: usize,
) -> Result<Option<String>, CommandError> {
    let word = short(line, &format!("{expected}, or none"), most)?;
    Ok((word != "none").then_some(word))
}

fn words(tenant: &Tenant, branding: &Branding) -> String {
    let company = match &branding.company {
        Some(company) => company.clone(),
        None => format!("{}  (its name)", tenant.name),
    };
    let footer = branding.footer.as_deref().unwrap_or("none");
    let logo = match &branding.logo {
        Some(logo) => format!("{} KB", logo.len().div_ceil(1024)),
        None => "none".to_owned(),
    };
    format!(
        "tenant {}\n  company on covers: {company}\n  footer on covers: {footer}\n  logo on covers: {logo}",
        tenant.name
    )
}
