//! Commands of secrets that prove a sender.

use super::{CommandError, Gateway, directory, grammar::Line};
use crate::{clock::Millis, people};

/// `add secret to ADDRESS [days N]`
pub(super) async fn add(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    line.literal("secret")?;
    line.literal("to")?;
    let user = directory::user(gateway.store, &line.word("an address of the user")?).await?;
    let mut days = people::SECRET_LASTS_DAYS;
    if line.peek() == Some("days") {
        line.literal("days")?;
        days = directory::whole(line)?;
        if !(1..=3650).contains(&days) {
            return Err(line.mistake(&format!("{days} days"), "1 to 3650").into());
        }
    }
    line.end()?;
    if user.role == people::Role::Guest {
        return Err(CommandError::Refused("guests have no secrets".into()));
    }
    let mut tx = gateway.store.begin().await?;
    let secret = people::add_secret(&mut tx, &user.tenant_id, &user.user_id, days).await?;
    tx.commit().await?;
    let secret = secret.as_str();
    Ok(format!(
        "{secret} proves mails of {} for {days} days. It is not shown again. Put it into the address, as in \
         +33123456789/secret={secret}@fax.example.com, or into the subject: [secret {secret}]. Other secrets of theirs end \
         within a week.",
        user.address
    ))
}

/// `show secrets of ADDRESS`
pub(super) async fn show(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let user = whose(gateway, line).await?;
    let secrets = people::secrets_of(gateway.store, &user.tenant_id, &user.user_id).await?;
    if secrets.is_empty() {
        return Ok(format!("{} has no secret", user.address));
    }
    let lines = secrets.iter().map(|secret| {
        format!(
            "made {}, ends {}",
            time(secret.created_at),
            time(secret.expires_at)
        )
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// `remove secrets of ADDRESS`
pub(super) async fn remove(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let user = whose(gateway, line).await?;
    let mut tx = gateway.store.begin().await?;
    let ended = people::remove_secrets(&mut tx, &user.tenant_id, &user.user_id).await?;
    tx.commit().await?;
    Ok(format!(
        "{ended} secrets of {} prove nothing any more",
        user.address
    ))
}

/// The user in `secrets of ADDRESS`.
async fn whose(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<people::User, CommandError> {
    line.literal("secrets")?;
    line.literal("of")?;
    let user = directory::user(gateway.store, &line.word("an address of the user")?).await?;
    line.end()?;
    Ok(user)
}

fn time(at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at);
    at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
        .unwrap_or_default()
}
