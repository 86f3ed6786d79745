//! `faxpost admin …`: one command of the administrator's language, at the server's shell.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;

use crate::{
    command::{self, Attachment},
    config::Config,
    policy::Policies,
    store::Store,
    worker::{Program, paper::PaperPool},
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The command: `help` lists them. `--attach FILE` among its words is a file that goes with it.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<()> {
    let store = Store::open(&config.database_url()).await?;
    let mut words = args.words;
    for at in 1..words.len() {
        // What stands on a command line is seen by everybody on this machine.
        if words[at] == "-" && matches!(words[at - 1].as_str(), "password" | "secret" | "token") {
            words[at] = first_line(std::io::stdin().lock())?;
        }
    }
    let attached = take_attachments(&mut words)?;
    let policies = Policies::load(config.policies_dir.as_deref())?;
    let limits = super::serve::paper_limits(&config);
    let paper = PaperPool::on_demand(Program::this(), limits, Arc::default());
    let gateway = command::Gateway {
        store: &store,
        keys: &config.keys_dir(),
        hostname: &config.hostname,
        sending: &policies.sending,
        covers: &policies.covers,
        paper: &paper,
        attached: &attached,
    };
    let reply = command::run(gateway, &words).await?;
    println!("{reply}");
    Ok(())
}

/// Octets of a file that goes with a command, at most: more is no logo and no template.
const MOST_OCTETS: u64 = 16 << 20;

/// Takes each `--attach FILE` out of the words, and reads the file.
fn take_attachments(words: &mut Vec<String>) -> anyhow::Result<Vec<Attachment>> {
    let mut attached = Vec::new();
    while let Some(at) = words.iter().position(|word| word == "--attach") {
        words.remove(at);
        anyhow::ensure!(
            at < words.len(),
            "--attach needs the name of a file behind it"
        );
        attached.push(attachment(Path::new(&words.remove(at)))?);
    }
    Ok(attached)
}

/// A file that goes with a command.
pub(super) fn attachment(path: &Path) -> anyhow::Result<Attachment> {
    let unreadable = || format!("{}: can't be read", path.display());
    let octets = std::fs::metadata(path).with_context(unreadable)?.len();
    anyhow::ensure!(
        octets <= MOST_OCTETS,
        "{}: {} MB are too much",
        path.display(),
        octets >> 20
    );
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Attachment {
        name: name.into_owned(),
        bytes: std::fs::read(path).with_context(unreadable)?,
    })
}

fn first_line(mut input: impl std::io::BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!line.is_empty(), "standard input gave no password");
    Ok(line.to_owned())
}
