//! `faxpost admin …`: one command of the administrator's language, at the server's shell.

use crate::{command, config::Config, policy::Policies, store::Store};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The command: `help` lists them.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<()> {
    let store = Store::open(&config.database_url()).await?;
    let mut words = args.words;
    for at in 1..words.len() {
        // What stands on a command line is seen by everybody on this machine.
        if words[at] == "-" && words[at - 1] == "password" {
            words[at] = first_line(std::io::stdin().lock())?;
        }
    }
    let policies = Policies::load(config.policies_dir.as_deref())?;
    let gateway = command::Gateway {
        store: &store,
        keys: &config.keys_dir(),
        hostname: &config.hostname,
        sending: &policies.sending,
    };
    let reply = command::run(gateway, &words).await?;
    println!("{reply}");
    Ok(())
}

fn first_line(mut input: impl std::io::BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!line.is_empty(), "standard input gave no password");
    Ok(line.to_owned())
}
