//! `faxpost.toml`: how this machine runs. What people manage is in the database, rules are in `policies/`.
//!
//! One struct a concern; every field has a default, so an empty file runs on loopback.

mod check;
mod lmtp;
mod network;
pub mod pem;
mod sample;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use check::{ConfigError, load, look, place};
pub use lmtp::{LmtpAddress, SocketMode};
pub use network::Network;
pub use sample::SAMPLE;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Our name in banners, `Received` lines and Message-IDs.
    pub hostname: String,
    /// Where everything durable lies, unless said otherwise.
    pub data_dir: PathBuf,
    /// The operator's rules.
    pub policies_dir: Option<PathBuf>,
    /// The database.
    pub database: Database,
    /// Keys of custody.
    pub keys: Keys,
    /// The mail doors.
    pub smtp: Smtp,
    /// Polled mailboxes.
    pub imap: Imap,
    /// The next MTA for our mail.
    pub relay: Relay,
    /// SIP signalling and media.
    pub sip: Sip,
    /// Line workers.
    pub line: Line,
    /// Paper workers.
    pub paper: Paper,
    /// Text of received pages.
    pub ocr: Ocr,
    /// The status page.
    pub web: Web,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            data_dir: "/var/lib/faxpost".into(),
            policies_dir: None,
            database: Database::default(),
            keys: Keys::default(),
            smtp: Smtp::default(),
            imap: Imap::default(),
            relay: Relay::default(),
            sip: Sip::default(),
            line: Line::default(),
            paper: Paper::default(),
            ocr: Ocr::default(),
            web: Web::default(),
        }
    }
}

impl Config {
    /// The database's address: SQLite in `data_dir` unless one is set.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.database
            .url
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("faxpost.db").display()))
    }

    /// Where sealed blobs lie.
    #[must_use]
    pub fn custody_dir(&self) -> PathBuf {
        self.data_dir.join("custody")
    }

    /// Where the transit keys lie: outside the database and its backups.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        self.keys
            .dir
            .clone()
            .unwrap_or_else(|| self.data_dir.join("keys"))
    }

    /// Where the nodes that ran on this folder are remembered.
    #[must_use]
    pub fn nodes_dir(&self) -> PathBuf {
        self.data_dir.join("nodes")
    }

    /// A configuration for tests, everything under `dir`, every port chosen by the system.
    #[must_use]
    pub fn for_testing(dir: &Path) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            data_dir: dir.to_owned(),
            smtp: Smtp {
                listen: vec![any],
                ..Smtp::default()
            },
            sip: Sip {
                listen: any,
                tcp: false,
                ..Sip::default()
            },
            web: Web { listen: Some(any) },
            ..Self::default()
        }
    }
}

/// `[database]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://path` or `postgres://user@host/name`; SQLite in `data_dir` when unset.
    pub url: Option<String>,
}

/// `[keys]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Folder of the transit keys, mode 0700; `data_dir`/keys when unset.
    pub dir: Option<PathBuf>,
}

/// `[smtp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    /// Where SMTP listens.
    pub listen: Vec<SocketAddr>,
    /// Where submission listens (RFC 6409): a login is demanded, TLS by STARTTLS.
    pub submission: Vec<SocketAddr>,
    /// Where submission under TLS from the first octet listens (RFC 8314 §3.3).
    pub submissions: Vec<SocketAddr>,
    /// Where LMTP listens (RFC 2033).
    pub lmtp: Vec<LmtpAddress>,
    /// Who may use LMTP's Unix sockets.
    pub lmtp_socket_mode: SocketMode,
    /// Proxies whose connections begin with a PROXY header, version 2.
    pub proxy_from: Vec<Network>,
    /// Relays that may say by XCLIENT whom they speak for.
    pub xclient_from: Vec<Network>,
    /// The largest mail, octets (SIZE, RFC 1870).
    pub max_size: usize,
    /// Recipients of one mail (RFC 5321 §4.5.3.1.8 wants 100 at least).
    pub max_recipients: usize,
    /// Sessions at a time.
    pub max_sessions: usize,
    /// Sessions at a time from one address.
    pub max_sessions_per_address: usize,
    /// Bad commands after which the session ends with 421.
    pub max_errors: usize,
    /// Seconds without a command before 421 (RFC 5321 §4.5.3.2.7 wants 300).
    pub command_timeout_s: u64,
    /// Seconds that one message may take from DATA to its end.
    pub data_timeout_s: u64,
    /// The slowest rate of a message's data, octets a second, over each minute.
    pub min_data_rate: u64,
    /// Free disk below which mail is put off with 452, octets.
    pub min_free_disk: u64,
    /// PEM certificate chain for STARTTLS and `submissions`; read anew when the file changes.
    pub tls_certificate: Option<PathBuf>,
    /// PEM private key, read anew with it.
    pub tls_key: Option<PathBuf>,
    /// The DNS server that is asked about senders' domains; whom the system asks when unset.
    pub dns: Option<SocketAddr>,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 2525))],
            submission: Vec::new(),
            submissions: Vec::new(),
            lmtp: Vec::new(),
            lmtp_socket_mode: SocketMode::default(),
            proxy_from: Vec::new(),
            xclient_from: Vec::new(),
            max_size: 32 << 20,
            max_recipients: 100,
            max_sessions: 1000,
            max_sessions_per_address: 200,
            max_errors: 20,
            command_timeout_s: 300,
            data_timeout_s: 600,
            min_data_rate: 500,
            min_free_disk: 256 << 20,
            tls_certificate: None,
            tls_key: None,
            dns: None,
        }
    }
}

/// `[imap]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Imap {
    /// Seconds between two looks at a mailbox that has no interval of its own.
    pub poll_s: u64,
    /// Seconds that a server or a token endpoint may take for an answer.
    pub timeout_s: u64,
    /// Seconds between two letters to a mailbox's owner about what was refused.
    pub digest_s: u64,
    /// Seconds that a mailbox can't be polled until the operator is told.
    pub alert_s: u64,
}

impl Default for Imap {
    fn default() -> Self {
        Self {
            poll_s: 120,
            timeout_s: 60,
            digest_s: 86_400,
            alert_s: 3600,
        }
    }
}

/// `[relay]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// The next MTA.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The From of what we write, `fax@` our hostname when unset.
    pub from: Option<String>,
    /// Who reads mail to postmaster; the first operator when unset.
    pub postmaster: Option<String>,
    /// The domain of our return paths, whose mail comes to us; each tenant's first fax domain when unset.
    pub bounces: Option<String>,
    /// Connections at a time.
    pub connections: usize,
    /// Hours after which an undelivered mail is given up.
    pub give_up_h: u64,
    /// Octets of a received fax's mail at most; what the relay says when unset.
    pub max_size: Option<u64>,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 25,
            from: None,
            postmaster: None,
            bounces: None,
            connections: 4,
            give_up_h: 72,
            max_size: None,
        }
    }
}

/// `[sip]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// Where SIP listens, UDP.
    pub listen: SocketAddr,
    /// It listens there on TCP too, for trunks over TCP.
    pub tcp: bool,
    /// The address that SIP and SDP name to others, or a name that has it; the listening one when unset.
    pub advertised: Option<String>,
    /// Where SIP listens for TLS; nowhere when unset.
    pub tls_listen: Option<SocketAddr>,
    /// PEM certificate chain: who we are, for those who connect over TLS and for trunks that ask.
    pub tls_certificate: Option<PathBuf>,
    /// Its PEM private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub tls_key: Option<PathBuf>,
    /// PEM certificates of CAs that trunks' certificates may be of, beside the system's.
    pub tls_ca: Option<PathBuf>,
    /// The DNS server that knows the trunks' names; the system's when unset.
    pub dns: Option<SocketAddr>,
    /// First UDP port for media.
    pub media_port_min: u16,
    /// Last UDP port for media.
    pub media_port_max: u16,
    /// Seconds that a call may ring.
    pub ring_timeout_s: u64,
    /// RFC 3261 T1, milliseconds: the estimate of the round trip.
    pub t1_ms: u64,
    /// Seconds between OPTIONS to each trunk, which keep its way to us open; 0: none.
    pub probe_s: u64,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)),
            tcp: true,
            advertised: None,
            tls_listen: None,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            dns: None,
            media_port_min: 40000,
            media_port_max: 41999,
            ring_timeout_s: 60,
            t1_ms: 500,
            probe_s: 45,
        }
    }
}

/// `[line]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Line {
    /// Line workers, at most 32 calls each.
    pub workers: usize,
    /// Line time over clock time: 1 for real lines; more only when the far end runs as fast.
    pub speed: u32,
    /// Seconds that calls in progress may go on after SIGTERM; then they are hung up.
    pub drain_s: u64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            workers: 2,
            speed: 1,
            drain_s: 60,
        }
    }
}

/// `[paper]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paper {
    /// Paper workers started ahead.
    pub workers: usize,
    /// Seconds of clock that one document may take.
    pub wall_s: u64,
    /// Seconds of CPU that one document may take.
    pub cpu_s: u64,
    /// Seconds of CPU that one page of it may take.
    pub page_cpu_s: u64,
    /// Address space of one document, MiB.
    pub memory_mb: u64,
    /// Pages of one document.
    pub max_pages: u32,
    /// Office documents and PostScript are made PDFs, by what of LibreOffice and Ghostscript is installed.
    pub convert: bool,
    /// Folders with fonts for scripts that the program's own lack, looked through before the system's.
    pub fonts: Vec<PathBuf>,
}

impl Default for Paper {
    fn default() -> Self {
        Self {
            workers: 2,
            wall_s: 60,
            cpu_s: 14,
            page_cpu_s: 10,
            memory_mb: 1024,
            max_pages: 200,
            convert: true,
            fonts: Vec::new(),
        }
    }
}

/// `[ocr]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ocr {
    /// The program that reads received pages.
    pub tesseract: PathBuf,
    /// Pages that are read at a time, 1 or 2; each takes a processor.
    pub at_once: usize,
    /// Seconds that a page may take, clock and processor.
    pub page_s: u64,
    /// Seconds that a fax waits for its pages to be read; then it goes as far as they were.
    pub fax_s: u64,
}

impl Default for Ocr {
    fn default() -> Self {
        Self {
            tesseract: "/usr/bin/tesseract".into(),
            at_once: 1,
            page_s: 30,
            fax_s: 300,
        }
    }
}

/// `[web]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// Where the status page listens; none when unset.
    pub listen: Option<SocketAddr>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8025))),
        }
    }
}
