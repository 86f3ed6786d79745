//! The command line: what each subcommand is for, and the words of its `--help`.

mod admin;
mod answer;
mod check;
mod cover;
mod demo;
mod init;
mod log;
mod serve;
mod signalling;
mod status;
mod trunks;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::config::{self, Config};

/// A mail to fax and fax to mail gateway.
///
/// A document mailed to +33123456789@fax.example.com goes out as a fax; a fax that arrives on a
/// number comes back as a PDF by mail. Begin with `faxpost init`, then `faxpost check` and
/// `faxpost serve`; `faxpost demo` shows both ways on this machine alone.
#[derive(Parser)]
#[command(name = "faxpost", version, about, long_about)]
struct Args {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        default_value = "/etc/faxpost/faxpost.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a commented configuration, make the database and the first operator.
    Init(init::Args),
    /// Read the configuration and policies, try the parts, and say what is wrong and what to do.
    Check,
    /// Run the gateway.
    Serve(serve::Args),
    /// Run one command of the administrator's language: `faxpost admin help` lists them.
    Admin(admin::Args),
    /// Draw a cover's template, with sample values, to a PDF or PNG file to look at.
    Cover(cover::Args),
    /// Be a fax machine at the far end of a SIP line: receive into a folder, send a document.
    Answer(answer::Args),
    /// Show on this machine alone how a mail becomes a fax and a fax becomes a mail.
    Demo(demo::Args),
    /// Print what the status page shows.
    Status(status::Args),
}

/// Runs the command line; the exit code is 0 when all went well, 1 when it didn't, 2 for wrong words.
#[must_use]
pub fn run() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("faxpost: the runtime can't be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match args.command {
            Command::Init(init) => init::run(&args.config, init).await,
            Command::Check => check::run(&args.config).await,
            Command::Serve(serve) => serve::run(load(&args.config)?, serve).await,
            Command::Admin(admin) => admin::run(load(&args.config)?, admin).await,
            Command::Cover(cover) => cover::run(cover).await,
            Command::Answer(answer) => answer::run(answer).await,
            Command::Demo(demo) => demo::run(demo).await,
            Command::Status(status) => status::run(load(&args.config)?, status).await,
        }
    });
    // What still runs in the background must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faxpost: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn load(path: &std::path::Path) -> anyhow::Result<Config> {
    Ok(config::load(path)?)
}
