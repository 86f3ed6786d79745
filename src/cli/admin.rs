//! `faxpost admin …`: one command of the administrator's language, at the server's shell.

use crate::{command, config::Config, store::Store};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The command: `help` lists them.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<()> {
    let store = Store::open(&config.database_url()).await?;
    let reply = command::run(&store, &args.words).await?;
    println!("{reply}");
    Ok(())
}
