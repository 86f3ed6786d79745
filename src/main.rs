//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    // Workers first: their sandbox must be on before anything else happens in the process.
    if args.get(1).is_some_and(|word| word == "worker") {
        return faxpost::worker::child_main(&args[2..], |_socket| {
            eprintln!("faxpost: this build has no line worker");
            ExitCode::FAILURE
        });
    }
    ExitCode::FAILURE
}
