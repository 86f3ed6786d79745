//! The log: to standard error, `FAXPOST_LOG` sets the detail (`info`, `faxpost::line=debug`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::line::sip::LOG_FILTER;

/// Starts the log. A second call in one process changes nothing.
pub(super) fn start(default: &str) {
    let directives = std::env::var("FAXPOST_LOG").unwrap_or_else(|_| default.to_owned());
    // The SIP stack writes whole messages, numbers included, at INFO: its directive comes last and wins.
    // The IMAP library writes every command at TRACE, passwords included.
    let filter = EnvFilter::try_new(format!("{directives},{LOG_FILTER},async_imap=off"))
        .unwrap_or_else(|_| EnvFilter::new(format!("info,{LOG_FILTER},async_imap=off")));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are for people; a file or a journal gets none.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
    if started.is_err() {
        tracing::debug!("the log runs already");
    }
}
