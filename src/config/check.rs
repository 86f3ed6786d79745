//! Reading the file: every error names file, line and remedy.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::{Config, Sip};

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: can't be read: {source}. Make one with `faxpost init`, or name another with --config.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or holds an unknown or unfit setting.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: usize,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A setting has a value that can't work.
    #[error("{}:{line}: {setting}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// 1-based line; 0 when the setting is not in the file.
        line: usize,
        /// `section.name`.
        setting: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// Reads and checks the configuration at `path`.
///
/// # Errors
/// [`ConfigError`], for a person to read.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

/// Every fault of the configuration at `path`; with the configuration when it can be read at all.
///
/// # Errors
/// [`ConfigError`] when it can't be read.
pub fn look(path: &Path) -> Result<(Config, Vec<ConfigError>), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    read(path, &text)
}

/// Where a setting stands, for a person: `faxpost.toml:12: keys.dir`.
#[must_use]
pub fn place(path: &Path, setting: &'static str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match line_of_setting(&text, setting) {
        0 => format!("{}: {setting} (at its default)", path.display()),
        line => format!("{}:{line}: {setting}", path.display()),
    }
}

fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let (config, faults) = read(path, text)?;
    faults.into_iter().next().map_or(Ok(config), Err)
}

fn read(path: &Path, text: &str) -> Result<(Config, Vec<ConfigError>), ConfigError> {
    let config: Config = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: error.message().to_owned(),
    })?;
    let faults = faults(&config)
        .into_iter()
        .map(|(setting, message)| ConfigError::Value {
            path: path.to_owned(),
            line: line_of_setting(text, setting),
            setting,
            message,
        });
    let faults = faults.collect();
    Ok((config, faults))
}

fn faults(config: &Config) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if config.hostname.is_empty() || config.hostname.contains(char::is_whitespace) {
        faults.push((
            "hostname",
            "is no host name. Set the name that other mail servers know this one by.".into(),
        ));
    }
    if config.sip.media_port_min > config.sip.media_port_max {
        faults.push((
            "sip.media_port_min",
            format!(
                "is above media_port_max ({}). Give a range with two ports for each call.",
                config.sip.media_port_max
            ),
        ));
    }
    faults.extend(sip_addresses(&config.sip));
    if config.sip.probe_s > 0 && !(5..=300).contains(&config.sip.probe_s) {
        faults.push((
            "sip.probe_s",
            "is no sensible pause between OPTIONS. Set 30 to 60 seconds, or 0 for none.".into(),
        ));
    }
    if !(1..=1740).contains(&config.imap.poll_s) {
        faults.push((
            "imap.poll_s",
            "is no interval that servers bear. Set 60 to 300 seconds; 1740 is the most.".into(),
        ));
    }
    if config.imap.timeout_s == 0 {
        faults.push(("imap.timeout_s", "is 0. Set 30 to 120 seconds.".into()));
    }
    if config.line.speed == 0 {
        faults.push(("line.speed", "is 0. Set 1 for real lines.".into()));
    }
    if config.line.workers == 0 {
        faults.push(("line.workers", "is 0. Set 1 at least.".into()));
    }
    if config.paper.workers == 0 {
        faults.push(("paper.workers", "is 0. Set 1 at least.".into()));
    }
    if !(1..=600).contains(&config.ocr.page_s) {
        faults.push((
            "ocr.page_s",
            "is no time for a page. Set 10 to 60 seconds; 600 is the most.".into(),
        ));
    }
    if config.ocr.fax_s > 3600 {
        faults.push((
            "ocr.fax_s",
            "is longer than an hour, and people wait for their fax. Set 300, or 3600 at most."
                .into(),
        ));
    }
    if config.smtp.tls_certificate.is_some() != config.smtp.tls_key.is_some() {
        faults.push((
            "smtp.tls_certificate",
            "and smtp.tls_key go together. Set both, or none.".into(),
        ));
    }
    if !config.smtp.submissions.is_empty() && config.smtp.tls_certificate.is_none() {
        faults.push((
            "smtp.submissions",
            "needs a certificate. Set smtp.tls_certificate and smtp.tls_key too.".into(),
        ));
    }
    if let Some(address) = &config.relay.postmaster
        && !address.contains('@')
    {
        faults.push((
            "relay.postmaster",
            "is no mail address. Write one as admin@example.com.".into(),
        ));
    }
    if let Some(url) = &config.database.url
        && !url.starts_with("sqlite:")
        && !url.starts_with("postgres:")
        && !url.starts_with("postgresql:")
    {
        faults.push((
            "database.url",
            "is neither sqlite://… nor postgres://…".into(),
        ));
    }
    faults
}

/// What others are told of us, and TLS.
fn sip_addresses(sip: &Sip) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let listen = sip.listen.ip();
    match &sip.advertised {
        None if listen.is_unspecified() => faults.push((
            "sip.listen",
            "is every address, so nobody can be told which one is ours. Set sip.advertised too.".into(),
        )),
        None => {}
        Some(name) => match name.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => faults.push((
                "sip.advertised",
                "is no address that others can reach. Set the one that your provider sees, as 203.0.113.7.".into(),
            )),
            Ok(address) if address.is_ipv4() != listen.is_ipv4() => faults.push((
                "sip.advertised",
                format!("is of another kind than sip.listen ({listen}): set both to IPv4, or both to IPv6."),
            )),
            Ok(_) => {}
            Err(_) if !is_host_name(name) => faults.push((
                "sip.advertised",
                "is neither an address nor a host name. Write 203.0.113.7 or gateway.example.com, without a port."
                    .into(),
            )),
            Err(_) => {}
        },
    }
    if sip.tls_certificate.is_some() != sip.tls_key.is_some() {
        faults.push((
            "sip.tls_certificate",
            "and sip.tls_key go together. Set both, or none.".into(),
        ));
    }
    if let Some(over_tls) = sip.tls_listen {
        if sip.tls_certificate.is_none() && sip.tls_key.is_none() {
            faults.push((
                "sip.tls_listen",
                "needs a certificate. Set sip.tls_certificate and sip.tls_key too.".into(),
            ));
        }
        if sip.tcp && over_tls == sip.listen && over_tls.port() != 0 {
            faults.push((
                "sip.tls_listen",
                "is where SIP over TCP listens. Give TLS a port of its own, as 5061.".into(),
            ));
        }
    }
    faults
}

fn is_host_name(name: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    !name.is_empty() && name.bytes().all(fit)
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

/// The line that sets `section.name`, or 0.
fn line_of_setting(text: &str, setting: &str) -> usize {
    let (section, name) = setting.rsplit_once('.').unwrap_or(("", setting));
    let mut current = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            current = header.trim().to_owned();
        } else if current == section
            && line
                .split_once('=')
                .is_some_and(|(key, _)| key.trim() == name)
        {
            return index + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Path::new("faxpost.toml"), text)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn an_empty_file_runs() {
        let config = parse(Path::new("x"), "").expect("defaults");
        assert_eq!(config.smtp.listen[0].port(), 2525);
    }

    #[test]
    fn the_sample_is_accepted_and_says_the_defaults() {
        let sample = parse(Path::new("x"), super::super::SAMPLE).expect("the sample");
        let bare: String = super::super::SAMPLE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n");
        let spelled = parse(Path::new("x"), &bare).expect("the sample with every setting on");
        assert_eq!(spelled.smtp.max_size, sample.smtp.max_size);
        assert_eq!(format!("{:?}", spelled.smtp), format!("{:?}", sample.smtp));
        assert_eq!(format!("{:?}", spelled.imap), format!("{:?}", sample.imap));
        assert_eq!(format!("{:?}", spelled.sip), format!("{:?}", sample.sip));
        assert_eq!(format!("{:?}", spelled.line), format!("{:?}", sample.line));
        assert_eq!(
            format!("{:?}", spelled.paper),
            format!("{:?}", sample.paper)
        );
    }

    #[test]
    fn errors_name_file_line_and_remedy() {
        let unknown = error("hostname = \"a\"\n[smtp]\nmax_sise = 3\n");
        assert!(unknown.starts_with("faxpost.toml:3: "), "{unknown}");
        assert!(unknown.contains("max_size"), "{unknown}");
        let range = error("[sip]\nlisten = \"127.0.0.1:5060\"\nmedia_port_min = 50000\n");
        assert!(
            range.starts_with("faxpost.toml:3: sip.media_port_min"),
            "{range}"
        );
        assert!(range.contains("two ports for each call"), "{range}");
        for (text, words) in [
            (
                "advertised = \"0.0.0.0\"",
                "sip.advertised: is no address that others can reach",
            ),
            (
                "advertised = \"2001:db8::1\"",
                "sip.advertised: is of another kind than sip.listen",
            ),
            ("advertised = \"203.0.113.7:5060\"", "without a port"),
            (
                "tls_certificate = \"a.pem\"",
                "sip.tls_certificate: and sip.tls_key go together",
            ),
            (
                "tls_listen = \"127.0.0.1:5061\"",
                "sip.tls_listen: needs a certificate",
            ),
            (
                "tls_certificate = \"a\"\ntls_key = \"b\"\ntls_listen = \"127.0.0.1:5060\"",
                "a port of its own",
            ),
        ] {
            let fault = error(&format!("[sip]\n{text}\n"));
            assert!(fault.contains(words), "{fault}");
        }
        let bare = error("[smtp]\nsubmissions = [\"127.0.0.1:465\"]\n");
        assert!(
            bare.contains("smtp.submissions: needs a certificate"),
            "{bare}"
        );
        let nowhere = error("[smtp]\nlmtp = [\"lmtp.sock\"]\n");
        assert!(nowhere.starts_with("faxpost.toml:2: "), "{nowhere}");
        let long = error("[ocr]\nfax_s = 260000\n");
        assert!(
            long.starts_with("faxpost.toml:2: ocr.fax_s: is longer"),
            "{long}"
        );
        let none = error("[ocr]\npage_s = 0\n");
        assert!(none.contains("ocr.page_s: is no time"), "{none}");
        let nobody = error("[sip]\nlisten = \"0.0.0.0:5060\"\n");
        assert!(nobody.contains("Set sip.advertised too"), "{nobody}");
    }
}
