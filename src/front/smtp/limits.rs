//! What a session may take: time, octets, errors.

use std::{path::PathBuf, time::Duration};

use crate::{
    config::{Config, Network},
    vault::SpoolDir,
};

/// Every limit of the SMTP door.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of one message (RFC 1870).
    pub max_size: usize,
    /// Octets of all messages that are held in memory while they come: above it they go to the spool at once, and
    /// without a spool mail is put off with 452.
    pub data_budget: usize,
    /// Where large messages wait, sealed; None: in memory.
    pub spool: Option<SpoolDir>,
    /// Octets from which a message is spooled.
    pub spool_from: usize,
    /// Octets of spooled messages that are in memory at a time to be judged.
    pub read_budget: usize,
    /// How long one may wait for its turn.
    pub read_patience: Duration,
    /// Recipients of one mail.
    pub max_recipients: usize,
    /// Sessions at a time.
    pub max_sessions: usize,
    /// Sessions at a time from one address (an IPv6 /64 counts as one).
    pub max_sessions_per_address: usize,
    /// Bad commands after which the session ends.
    pub max_errors: usize,
    /// Commands in a row that bring no mail nearer, such as NOOP and RSET.
    pub max_chatter: usize,
    /// Wrong passwords after which the session ends.
    pub max_failed_logins: usize,
    /// Silence between commands, and the time that an answer may take to be read.
    pub command_timeout: Duration,
    /// From DATA to the end of the message.
    pub data_timeout: Duration,
    /// Octets a second of message data, over each [`rate_window`](Self::rate_window).
    pub min_data_rate: u64,
    /// Over what time the rate is measured.
    pub rate_window: Duration,
    /// How long a proxy may take to say whom it speaks for.
    pub proxy_patience: Duration,
    /// Between two looks at whether the certificate's files changed.
    pub look_at_certificate: Duration,
    /// Proxies whose connections begin with a PROXY header.
    pub proxy_from: Vec<Network>,
    /// Machines that may say by XCLIENT whom they speak for.
    pub xclient_from: Vec<Network>,
    /// How long sessions may take to end when the server stops.
    pub grace: Duration,
    /// The disk that must have room: a path on it, and octets.
    pub disk: Option<(PathBuf, u64)>,
    /// Clients are asked for a certificate under TLS: some rule lists one.
    pub ask_certificates: bool,
    /// Peers that may send a password without TLS: their packets never leave this machine.
    pub clear_passwords_from: Vec<Network>,
}

impl Limits {
    /// The limits that the configuration sets.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let smtp = &config.smtp;
        Self {
            max_size: smtp.max_size,
            data_budget: 32 << 20,
            spool: None,
            // Above a usual mail with a letter of some pages.
            spool_from: 64 << 10,
            read_budget: 24 << 20,
            // RFC 5321 §4.5.3.2.6: clients wait ten minutes for the answer.
            read_patience: Duration::from_secs(240),
            max_recipients: smtp.max_recipients,
            max_sessions: smtp.max_sessions,
            max_sessions_per_address: smtp.max_sessions_per_address,
            max_errors: smtp.max_errors,
            // As Postfix has it (smtpd_junk_command_limit).
            max_chatter: 100,
            max_failed_logins: 3,
            command_timeout: Duration::from_secs(smtp.command_timeout_s),
            data_timeout: Duration::from_secs(smtp.data_timeout_s),
            min_data_rate: smtp.min_data_rate,
            rate_window: Duration::from_secs(60),
            proxy_patience: Duration::from_secs(5),
            look_at_certificate: Duration::from_secs(60),
            proxy_from: smtp.proxy_from.clone(),
            xclient_from: smtp.xclient_from.clone(),
            grace: Duration::from_secs(30),
            disk: (smtp.min_free_disk > 0).then(|| (config.data_dir.clone(), smtp.min_free_disk)),
            ask_certificates: false,
            clear_passwords_from: ["127.0.0.0/8", "::1/128"]
                .iter()
                .filter_map(|network| network.parse().ok())
                .collect(),
        }
    }

    /// Whether the disk has room; a disk that can't be asked counts as having none.
    #[must_use]
    pub fn disk_has_room(&self) -> bool {
        let Some((path, octets)) = &self.disk else {
            return true;
        };
        rustix::fs::statvfs(path.as_path())
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= *octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut limits = Limits::of(&Config::for_testing(folder.path()));
        limits.disk = Some((folder.path().to_owned(), 1));
        assert!(limits.disk_has_room());
        limits.disk = Some((folder.path().to_owned(), u64::MAX));
        assert!(!limits.disk_has_room());
        limits.disk = Some((folder.path().join("gone"), 1));
        assert!(!limits.disk_has_room());
    }
}
