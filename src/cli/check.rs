//! `faxpost check`: what is wrong, where, and what to do.

use std::path::Path;

use anyhow::bail;

use crate::{
    config,
    policy::Policies,
    store::Store,
    vault::Custody,
    worker::{self, Kind, Program},
};

pub(super) async fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    println!("ok       {}", path.display());
    let mut faults = 0;
    let mut say = |what: &str, result: anyhow::Result<String>| match result {
        Ok(note) => println!(
            "ok       {what}{}{note}",
            if note.is_empty() { "" } else { ": " }
        ),
        Err(error) => {
            faults += 1;
            println!("WRONG    {what}: {error:#}");
        }
    };
    say(
        "policies",
        Policies::load(config.policies_dir.as_deref())
            .map(|_| String::new())
            .map_err(Into::into),
    );
    say(
        "database",
        Store::open(&config.database_url())
            .await
            .map(|_| String::new())
            .map_err(Into::into),
    );
    say(
        "custody and keys",
        Custody::start(&config.custody_dir(), &config.keys_dir())
            .map(|_| String::new())
            .map_err(Into::into),
    );
    for kind in [Kind::Paper, Kind::Line] {
        let tried = worker::try_sandbox(&Program::this(), kind).await;
        say(
            &format!("sandbox of {} workers", kind.word()),
            tried.map(|report| told(&report)).map_err(Into::into),
        );
    }
    if faults > 0 {
        bail!("{faults} to mend");
    }
    Ok(())
}

/// What the sandbox holds, or which parts this kernel or container forbids and what that means.
fn told(report: &worker::SandboxReport) -> String {
    if report.is_whole() {
        return "whole".into();
    }
    let parts: Vec<_> = report.missing.iter().map(ToString::to_string).collect();
    parts.join("; ")
}
