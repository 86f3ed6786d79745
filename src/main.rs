//! The command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    // A worker gives up its rights before anything else happens: no thread, no file, no clap.
    if args.get(1).is_some_and(|word| word == "worker") {
        return faxpost::worker::child_main(&args[2..], faxpost::line::child::run);
    }
    faxpost::cli::run()
}
