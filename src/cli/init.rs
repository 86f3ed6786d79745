//! `faxpost init`: a commented configuration, the database, the first operator.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::{
    config::{self, SAMPLE},
    people::{self, NewTenant, NewUser, Plan, Role},
    store::Store,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The operator's mail address.
    #[arg(long, value_name = "ADDRESS")]
    operator: String,
    /// The mail domain of faxes: number@DOMAIN.
    #[arg(long, default_value = "fax.localhost")]
    domain: String,
    /// The name of the first tenant.
    #[arg(long, default_value = "Main")]
    tenant: String,
    /// The language of what users read: en or fr.
    #[arg(long, default_value = "en")]
    language: String,
    /// The time zone of header lines and mails, as `Europe/Paris`.
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// Where everything durable lies, when it isn't /var/lib/faxpost.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

pub(super) async fn run(path: &Path, args: Args) -> anyhow::Result<()> {
    if jiff::tz::TimeZone::get(&args.time_zone).is_err() {
        bail!(
            "{:?} is no time zone: give one as Europe/Paris",
            args.time_zone
        );
    }
    let language = args
        .language
        .parse::<people::Language>()
        .map_err(|_| anyhow::anyhow!("{:?} is no language: give en or fr", args.language))?;
    if path.exists() {
        println!("{} stands already and is left as it is", path.display());
    } else {
        write_config(path, args.data_dir.as_deref())?;
        println!("{} written", path.display());
    }
    let config = config::load(path)?;
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("{}: can't be made", config.data_dir.display()))?;
    let store = Store::open(&config.database_url()).await?;
    if people::tenant_by_domain(&store, &args.domain)
        .await?
        .is_some()
    {
        bail!(
            "the domain {} has its tenant already: the gateway is initialised",
            args.domain
        );
    }
    let mut tx = store.begin().await?;
    let tenant_id = people::create_tenant(
        &mut tx,
        &NewTenant {
            name: args.tenant.clone(),
            language,
            time_zone: args.time_zone,
        },
    )
    .await?;
    people::add_domain(&mut tx, &tenant_id, &args.domain).await?;
    people::add_user(
        &mut tx,
        &NewUser {
            tenant_id,
            address: args.operator.clone(),
            name: args
                .operator
                .split('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
            group_id: None,
            role: Role::Operator,
            plan: Plan::SendReceive,
            language: None,
            caller_number: None,
        },
    )
    .await?;
    tx.commit().await?;
    // Nothing is left beside the file that a reader would need.
    store.close().await;
    println!(
        "tenant {} with the domain {} and the operator {}",
        args.tenant, args.domain, args.operator
    );
    println!(
        "Next: faxpost admin add trunk …, faxpost admin add number …, then faxpost check and faxpost serve."
    );
    Ok(())
}

fn write_config(path: &Path, data_dir: Option<&Path>) -> anyhow::Result<()> {
    let mut text = SAMPLE.to_owned();
    if let Some(dir) = data_dir {
        text = text.replace(
            "#: data_dir = \"/var/lib/faxpost\"",
            &format!("data_dir = {:?}", dir.display().to_string()),
        );
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}: can't be made", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("{}: can't be written", path.display()))
}
