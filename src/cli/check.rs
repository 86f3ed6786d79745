//! `faxpost check`: what is wrong, where, and what to do; and what the next start would make or change. It
//! looks and touches nothing.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::bail;
use faxpost_paper::PageSetup;
use rustix::fs::{Access, access};

use crate::{
    clock::now_ms,
    config::{self, Config},
    conversion::Converters,
    front, line, numbers,
    policy::{self, Covers, Sending},
    recognition::Reader,
    relay::dkim::{self, Published},
    sender::{Dns, SenderRules},
    store::{self, Found, Store},
    worker::{
        self, Kind, Program,
        paper::{PaperPool, PaperRequest},
    },
};

/// What was found, told line by line.
#[derive(Default)]
struct Report {
    faults: usize,
}

impl Report {
    fn say(&mut self, what: &str, result: Result<String, String>) {
        match result {
            Ok(note) if note.is_empty() => println!("ok       {what}"),
            Ok(note) => println!("ok       {what}: {note}"),
            Err(fault) => {
                self.faults += 1;
                println!("WRONG    {what}: {fault}");
            }
        }
    }
}

pub(super) async fn run(path: &Path) -> anyhow::Result<()> {
    let (config, faults) = config::look(path)?;
    let mut report = Report::default();
    if faults.is_empty() {
        report.say("configuration", Ok(path.display().to_string()));
    }
    for fault in faults {
        report.say("configuration", Err(fault.to_string()));
    }
    policies(&mut report, path, &config);
    senders(&mut report, path, &config);
    covers(&mut report, &config).await;
    report.say("database", database(path, &config).await);
    for (what, setting, folder) in [
        ("data", "data_dir", config.data_dir.clone()),
        ("custody", "data_dir", config.custody_dir()),
        ("keys", "keys.dir", config.keys_dir()),
    ] {
        let result = self::folder(&folder);
        let place = || config::place(path, setting);
        report.say(
            what,
            result.map_err(|fault| format!("{}: {fault}", place())),
        );
    }
    mailboxes(&mut report, &config).await;
    certificates(&mut report, path, &config);
    signatures(&mut report, &config).await;
    report.say("media ports", media_ports(path, &config));
    report.say("address for others", address(path, &config).await);
    report.say("fonts", fonts(path, &config));
    for kind in [Kind::Paper, Kind::Line] {
        let tried = worker::try_sandbox(&Program::this(), kind).await;
        report.say(
            &format!("sandbox of {} workers", kind.word()),
            tried
                .map(|report| told(&report))
                .map_err(|error| error.to_string()),
        );
    }
    conversions(&mut report, &config).await;
    report.say("text of received pages", Ok(reader(&config).await));
    if report.faults > 0 {
        bail!("{} to mend", report.faults);
    }
    Ok(())
}

/// Which documents other programs make PDFs of. None is no fault: they are refused by name.
async fn conversions(report: &mut Report, config: &Config) {
    if !config.paper.convert {
        report.say(
            "other documents",
            Ok("refused by name: paper.convert is false".into()),
        );
        return;
    }
    let (_, findings) = Converters::find(super::serve::conversion_limits(config), 1).await;
    for finding in findings {
        let note = finding
            .found
            .unwrap_or_else(|why| format!("refused by name: {why}"));
        report.say(finding.what, Ok(note));
    }
}

/// Whether received pages can be read, and in which languages. None is no fault: they are delivered as they came.
async fn reader(config: &Config) -> String {
    match Reader::find(super::serve::ocr_settings(config)).await {
        Ok(reader) => {
            let turns = if reader.turns() {
                "pages on their side are turned"
            } else {
                "pages on their side are not turned: install tesseract-ocr-osd"
            };
            format!(
                "{}, languages {}; {turns}; for numbers whose profile has it so (ocr)",
                config.ocr.tesseract.display(),
                reader.languages().join(", ")
            )
        }
        Err(why) => format!("not read: {why}"),
    }
}

/// The fonts that are found, and the scripts whose text they can't show.
fn fonts(path: &Path, config: &Config) -> Result<String, String> {
    for folder in &config.paper.fonts {
        if let Err(error) = std::fs::read_dir(folder) {
            return Err(format!(
                "{}: {}: {error}. Make it, or name another.",
                config::place(path, "paper.fonts"),
                folder.display()
            ));
        }
    }
    let fonts = worker::Fonts::find(&config.paper.fonts);
    let mut note = match fonts.families().as_slice() {
        [] => "the program's own alone".to_owned(),
        families => format!("the program's own, {}", families.join(", ")),
    };
    let lacking = fonts.lacking();
    if !lacking.is_empty() {
        let names: Vec<&str> = lacking.iter().map(|script| script.english()).collect();
        note += &format!(
            "; text in {} will be missing, and reports will say so: install fonts for them (on Debian \
             fonts-noto-core and fonts-noto-cjk), or name their folders in paper.fonts",
            names.join(", ")
        );
    }
    Ok(note)
}

/// Whether calls find a port each for audio and for T.38.
fn media_ports(path: &Path, config: &Config) -> Result<String, String> {
    let (min, max) = (config.sip.media_port_min, config.sip.media_port_max);
    let place = |setting| config::place(path, setting);
    // RFC 3550 §11: the even ones.
    let even: Vec<u16> = (min..=max).filter(|port| port % 2 == 0).collect();
    let calls = even.len() / 2;
    if calls == 0 {
        return Err(format!(
            "{}: from {min} to {max} there is no room for one call, which takes two even ports. Widen the range.",
            place("sip.media_port_max")
        ));
    }
    if (min..=max).contains(&config.sip.listen.port()) {
        return Err(format!(
            "{}: the range from {min} to {max} holds SIP's own port, {}. Move one of them.",
            place("sip.media_port_min"),
            config.sip.listen.port()
        ));
    }
    let ip = config.sip.listen.ip();
    let free = |port: &&u16| std::net::UdpSocket::bind((ip, **port)).is_ok();
    let free = even.iter().filter(free).count();
    if free == 0 {
        return Err(format!(
            "{}: none of the ports from {min} to {max} can be had on {ip}. Take others, or an address of this \
             machine as sip.listen.",
            place("sip.media_port_min")
        ));
    }
    let places = config.line.workers * line::CALLS_PER_WORKER;
    let mut note = format!("{min} to {max}, {calls} calls");
    if calls < places {
        note +=
            &format!(", fewer than the {places} of the line workers: more are refused with 503");
    }
    if free < even.len() {
        note += &format!("; {} of {} are in use now", even.len() - free, even.len());
    }
    Ok(note)
}

/// Whether others can reach what we tell them to reach us by.
async fn address(path: &Path, config: &Config) -> Result<String, String> {
    let listen = config.sip.listen.ip();
    let Some(name) = &config.sip.advertised else {
        return Ok(match kind(listen) {
            Some(kind) => {
                format!("{listen} ({kind}; if the provider is beyond a NAT, set sip.advertised)")
            }
            None => listen.to_string(),
        });
    };
    let place = || config::place(path, "sip.advertised");
    let resolver = line::Resolver::new(config.sip.dns, listen);
    let address = resolver.address(name).await.map_err(|error| {
        format!(
            "{}: {error}. Write the address itself, or mend the name.",
            place()
        )
    })?;
    if listen.is_loopback() && !address.is_loopback() {
        return Err(format!(
            "{}: others are told {address}, but SIP listens on {listen}, where nobody reaches it. Set sip.listen \
             to the address of this machine that the NAT forwards to.",
            place()
        ));
    }
    let named = if *name == address.to_string() {
        name.clone()
    } else {
        format!("{name}, now {address}")
    };
    Ok(match kind(address) {
        Some(kind) => format!("{named} ({kind})"),
        None => named,
    })
}

/// Whom an address can't be reached by.
fn kind(address: std::net::IpAddr) -> Option<&'static str> {
    let std::net::IpAddr::V4(address) = address else {
        return None;
    };
    // RFC 1918, RFC 6598.
    let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    if address.is_loopback() {
        Some("only programs on this machine reach it")
    } else if address.is_private() || shared || address.is_link_local() {
        Some("a private address: there is no way to it from the internet")
    } else {
        None
    }
}

/// What stands between us and a TLS handshake.
fn certificates(report: &mut Report, path: &Path, config: &Config) {
    let mut say = |what, setting, fault: Option<String>| {
        let place = || config::place(path, setting);
        report.say(
            what,
            fault.map_or(Ok(String::new()), |fault| {
                Err(format!(
                    "{}: {fault}. The files are PEM, and this user must be able to read them.",
                    place()
                ))
            }),
        );
    };
    if let (Some(certificate), Some(key)) = (&config.smtp.tls_certificate, &config.smtp.tls_key) {
        let fault = front::smtp::look_at_tls(certificate, key).err();
        say("certificate for STARTTLS", "smtp.tls_certificate", fault);
    }
    if let (Some(certificate), Some(key)) = (&config.sip.tls_certificate, &config.sip.tls_key) {
        let fault = line::sip::look_at_identity(certificate, key).err();
        say("certificate for SIP", "sip.tls_certificate", fault);
    }
    if let Some(file) = &config.sip.tls_ca {
        let fault = line::sip::look_at_ca(file).err();
        say("CAs of trunks", "sip.tls_ca", fault);
    }
}

/// Whether senders can be asked about, where a rule needs it.
fn senders(report: &mut Report, path: &Path, config: &Config) {
    let Ok(rules) = SenderRules::load(config.policies_dir.as_deref()) else {
        // Told with the policies.
        return;
    };
    if rules.asks_dns() {
        let dns = Dns::new(config.smtp.dns).map(|_| match config.smtp.dns {
            Some(server) => server.to_string(),
            None => "the system's".to_owned(),
        });
        let place = || config::place(path, "smtp.dns");
        report.say(
            "DNS for senders",
            dns.map_err(|why| format!("{}: {why}", place())),
        );
    }
}

/// The keys that sign our mails: who can read them, and whether the DNS has their records.
async fn signatures(report: &mut Report, config: &Config) {
    const WHAT: &str = "signatures (DKIM)";
    let keys = match dkim::keys(&config.keys_dir()) {
        Ok(keys) => keys,
        // Told with the keys: their folder is none.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return,
        Err(error) => return report.say(WHAT, Err(error.to_string())),
    };
    if keys.is_empty() {
        let note =
            "what we write goes out without one: `faxpost admin add dkim DOMAIN` makes a key";
        return report.say(WHAT, Ok(note.into()));
    }
    let dns = Dns::new(config.smtp.dns);
    for key in keys.iter().filter(|key| key.signs) {
        let what = format!("{WHAT} of {}", key.domain);
        if let Some(fault) = dkim::loose(key) {
            report.say(&what, Err(fault));
        }
        let found = match &dns {
            Ok(dns) => dns.txt(&key.name()).await,
            Err(why) => Err(why.clone()),
        };
        report.say(&what, published(key, found));
    }
}

/// Whether a record in the DNS has the key that signs.
fn published(key: &Published, found: Result<Option<String>, String>) -> Result<String, String> {
    let public = |record: &str| {
        let tags = record.split(';').map(str::trim);
        let mut keys = tags.filter_map(|tag| tag.strip_prefix("p="));
        keys.next().map(|key| key.replace(' ', ""))
    };
    let name = key.name();
    match found {
        Ok(Some(record)) if public(&record) == public(&key.record) => {
            Ok(format!("{name} has the key ({})", key.kind.name()))
        }
        Ok(Some(_)) => Err(format!(
            "{name} has another key in the DNS: others refuse our signatures. `faxpost admin show dkim` prints the record"
        )),
        Ok(None) => Err(format!(
            "{name} is not in the DNS: nobody can check our signatures. `faxpost admin show dkim` prints the record"
        )),
        Err(why) => Ok(format!("the DNS can't be asked for {name} ({why})")),
    }
}

fn policies(report: &mut Report, path: &Path, config: &Config) {
    let Some(folder) = &config.policies_dir else {
        return report.say("policies", Ok("built in".into()));
    };
    if !folder.is_dir() {
        let place = config::place(path, "policies_dir");
        return report.say(
            "policies",
            Err(format!(
                "{place}: there is no folder {}. Make it, or take the line out to go by the built-in rules.",
                folder.display()
            )),
        );
    }
    let faults = policy::look(folder);
    if faults.is_empty() {
        report.say("policies", Ok(folder.display().to_string()));
    }
    for fault in faults {
        report.say("policies", Err(fault));
    }
}

/// Clock time for drawing a cover that is tried; what it may compute is bounded apart from this.
pub(super) const COVER_WITHIN: Duration = Duration::from_secs(30);

/// Each cover of the operator's, by drawing it.
async fn covers(report: &mut Report, config: &Config) {
    // What can't be read is told with the other policies.
    let Ok(covers) = Covers::load(config.policies_dir.as_deref()) else {
        return;
    };
    let limits = super::serve::paper_limits(config);
    let pool = PaperPool::on_demand(Program::this(), limits, Arc::default());
    let mut sound = 0;
    for (file, template) in covers.files() {
        let request = PaperRequest::TryCover {
            template,
            logo: None,
            setup: PageSetup::a4_fine(),
        };
        match pool.render(&request, COVER_WITHIN).await {
            Ok(_) => sound += 1,
            Err(failure) => {
                let fault = super::cover::placed(&file.display().to_string(), &failure);
                let fault = format!("{fault}. Until it is mended, the plain cover goes out.");
                report.say("covers", Err(fault));
            }
        }
    }
    if sound > 0 {
        report.say("covers", Ok(format!("{sound} of your own")));
    }
    if let Ok(sending) = Sending::load(config.policies_dir.as_deref())
        && sending.cover != policy::covers::NONE
        && covers.get(&sending.cover).is_none()
    {
        report.say(
            "covers",
            Err(format!(
                "sending.toml: there is no cover {:?}. There are: {}, none.",
                sending.cover,
                covers.names().collect::<Vec<_>>().join(", ")
            )),
        );
    }
    pool.shutdown(Duration::ZERO).await;
}

async fn database(path: &Path, config: &Config) -> Result<String, String> {
    let place = || config::place(path, "database.url");
    match store::look(&config.database_url()).await {
        Ok(Found::NoFile(file)) => Ok(format!("{} would be created", file.display())),
        Ok(Found::At { version: 0, latest }) => {
            Ok(format!("its tables would be created (migration {latest})"))
        }
        Ok(Found::At { version, latest }) if version == latest => {
            Ok(format!("up to date (migration {latest})"))
        }
        Ok(Found::At { version, latest }) => {
            Ok(format!("would be migrated from {version} to {latest}"))
        }
        Ok(Found::Foreign { version }) => Err(format!(
            "{}: its migration {version} is of another version of faxpost. Run that version, or restore a \
             backup of this one.",
            place()
        )),
        Err(error) => Err(format!(
            "{}: {error}. Look whether the address is right, the server runs, and this user may read it.",
            place()
        )),
    }
}

/// Each polled mailbox: what the gateways recorded of it.
async fn mailboxes(report: &mut Report, config: &Config) {
    let url = config.database_url();
    let Ok(Found::At { version, latest }) = store::look(&url).await else {
        return;
    };
    // Of another version's tables nothing is read. What can't be read is told with the database.
    let Some(store) = (match version == latest {
        true => Store::open_to_look(&url).await.ok(),
        false => None,
    }) else {
        return;
    };
    let now = now_ms();
    let states = numbers::mailbox_states(&store, now)
        .await
        .unwrap_or_default();
    for mailbox in numbers::mailboxes(&store).await.unwrap_or_default() {
        let state = states
            .iter()
            .find(|state| state.mailbox_id == mailbox.mailbox_id);
        let state = state.cloned().unwrap_or_default();
        let words = numbers::mailbox_words(&state, now);
        let remedy = || {
            format!(
                "{words}. Look at `faxpost admin show mailbox {}`.",
                mailbox.name
            )
        };
        let told = match mailbox.active {
            false => Ok("off".to_owned()),
            true if state.failing_since.is_some() => Err(remedy()),
            true => Ok(words.clone()),
        };
        report.say(&format!("mailbox {}", mailbox.name), told);
    }
    store.close().await;
}

/// Whether a folder can be used, or would be made.
fn folder(folder: &Path) -> Result<String, String> {
    let shown = folder.display();
    let mut there: PathBuf = folder.to_owned();
    while !there.exists() {
        if !there.pop() || there.as_os_str().is_empty() {
            there = PathBuf::from(".");
        }
    }
    if !there.is_dir() {
        return Err(format!(
            "{} is no folder. Move it away, or name another.",
            there.display()
        ));
    }
    if access(&there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Err(format!(
            "{} can't be written by this user. Give it to the user that runs faxpost, or name another.",
            there.display()
        ));
    }
    if there != folder {
        return Ok(format!("{shown} would be created"));
    }
    let mode = std::fs::metadata(folder).map_or(0, |meta| meta.permissions().mode());
    // Keys and sealed documents: what others may list, they may copy.
    if mode & 0o007 != 0 {
        return Ok(format!(
            "{shown} (others may look into it: chmod o-rwx {shown})"
        ));
    }
    Ok(shown.to_string())
}

/// What the sandbox holds, or which parts this kernel or container forbids and what that means.
fn told(report: &worker::SandboxReport) -> String {
    if report.is_whole() {
        return "whole".into();
    }
    let parts: Vec<_> = report.missing.iter().map(ToString::to_string).collect();
    parts.join("; ")
}
