//! The command language: one line is one command, the same through every door.
//!
//! Today the door is the server's shell, so authority is the right to read the configuration; the
//! verbs are those that bring a gateway into service.

mod books;
mod branding;
mod covers;
mod directory;
mod dkim;
mod faxes;
mod grammar;
mod mailboxes;
mod profiles;
mod recipients;
mod secrets;
#[cfg(test)]
mod testing;
mod trunks;

pub use grammar::{Mistake, words};

use std::path::Path;

use crate::{
    policy::{Covers, Sending},
    store::Store,
    trouble::Trouble,
    worker::paper::PaperPool,
};

const VERBS: &str = "add, set, remove, show, cancel, deliver or help";

/// What every command is, for `help`.
const HELP: &str = "\
add tenant NAME domain DOMAIN [language en|fr] [zone Europe/Paris]
add user ADDRESS [name NAME] [tenant DOMAIN] [caller +NUMBER] [role operator|tenant|user] [plan send-receive|send-only]
add address ADDRESS to ADDRESS
add number +NUMBER [title TITLE] [tenant DOMAIN] to ADDRESS [ADDRESS ...]
add recipient ADDRESS to +NUMBER [FORM ...]  faxes for the number are mailed there too
set recipient ADDRESS of +NUMBER FORM ...
remove recipient ADDRESS of +NUMBER  faxes that are on their way still reach it, as notices
deliver FAX to ADDRESS [form pdf|pdfa|tiff|t37|png|jpeg]  mails the pages of a kept fax to a recipient of its number
add trunk NAME host HOST [OPTION ...]       a SIP trunk
add trunk NAME hylafax HOST [OPTION ...]    the modems of a HylaFAX server
set password ADDRESS PASSWORD        the mail password, for SMTP AUTH
add secret to ADDRESS [days N]       proves a machine's mails where senders.toml takes it; shown once. Those before go
                                     on for a week
show secrets of ADDRESS              when they end
remove secrets of ADDRESS            at once
set trunk NAME on|off | OPTION ...
remove trunk NAME                    calls that it carries go on
add mailbox NAME host HOST login LOGIN [of TENANT] [OPTION ...]   its mails are faxed (docs/mailboxes.md)
set mailbox NAME on|off | OPTION ...
remove mailbox NAME                  its mails stay on its server
show mailboxes                       and how they are
show mailbox NAME                    its settings, and how it is
add dkim DOMAIN [kind rsa|ed25519] [selector NAME]   a key that signs what we write; prints its DNS record
show dkim                            the keys that sign, and their records
add profile NAME [of TENANT] [VALUE ...]     for the group of that name; groups without one use Basic
set profile NAME [of TENANT] VALUE ...       TENANT: its name or a mail domain; without: the first
remove profile NAME [of TENANT]              its group uses Basic again
show users | numbers | trunks | profiles [of TENANT]
show number +NUMBER                  to whom its faxes are mailed, and how
show trunk NAME                      its settings, and how it is
show profile NAME [of TENANT]        its values, and where each comes from
set tenant TENANT [name NAME] [company NAME|none] [footer TEXT|none]    what its covers say
set logo [of TENANT], remove logo [of TENANT]   the picture is attached: PNG or JPEG, 512 KB at most
add cover NAME [of TENANT]           the template is attached; it is tried, and replaces one of that name
remove cover NAME [of TENANT]
show covers [of TENANT]              the house's and the tenant's own
show cover NAME [of TENANT]          its template, to begin one's own with
show tenant TENANT
add contact NAME +NUMBER [title TITLE] [sub-address DIGITS] [of TENANT|for ADDRESS]   NAME@ the fax domain faxes it;
                                     for ADDRESS: that user's own, else for all users of the tenant
set contact NAME [number +NUMBER] [title TITLE] [sub-address DIGITS|none] [of TENANT|for ADDRESS]
add contact-group NAME [CONTACT ...] [of TENANT|for ADDRESS]         NAME@ faxes all of them
set contact-group NAME add|remove CONTACT [CONTACT ...] [of TENANT|for ADDRESS]
remove contact|contact-group NAME [of TENANT|for ADDRESS]
show contacts|contact-groups, show contact|contact-group NAME [of TENANT|for ADDRESS]
cancel JOB|SUBMISSION                before the call at once, during it after the page in progress
help

FORM of a recipient:
  form pdf|pdfa|tiff|t37|png|jpeg            what faxes are mailed as: one file (pdfa: PDF/A-2b, for archives; t37: the
                                             file alone, for internet fax machines), or
                                             a picture of each page
  form notice                                a letter without the pages, which are kept for a while
  password PASSWORD|-|none                   PDFs are encrypted with it (AES-256); - reads it from standard input
  large split|notice                         a fax that the relay does not take in one mail: in several, or a notice

OPTIONS of a trunk:
  host HOST, port PORT, transport udp|tcp|tls
  user USER|none, password PASSWORD|-|none   digest; - reads it from standard input; none: known by address
  modem MODEM|none                           of a HylaFAX server; none: any that is free
  register on|off|SECONDS                    register with the trunk, for so long at a time
  from NETWORK[,NETWORK ...]|none            where its calls come from beside its host
  channels N, per-minute N                   calls at a time; calls placed in a minute, 0 for any
  caller +NUMBER|none                        who calls, whoever sends; of a HylaFAX server also the number
                                             whose faxes its modems receive; none: they are left there
  format e164|plain, prefix DIGITS|none      how it writes numbers: +33... or 33..., behind a prefix
  t38 offer|wait|never                       in the INVITE, once the call stands, or not at all
  priority N                                 lower is tried first
  route +PREFIX COST, no-route +PREFIX       what it takes, + for every number; none: every number.
                                             The longest prefix goes first, then cost, then priority

OPTIONS of a mailbox:
  port PORT|none, security tls|starttls|none none: on this machine alone
  ca FILE|none                               PEM certificates of CAs beside the system's
  password PASSWORD|-|none                   - reads it from standard input, as of the secrets below
  oauth ENDPOINT client ID|none              XOAUTH2, with access tokens of that endpoint
  secret SECRET|-|none, token TOKEN|-|none   the client's secret; the refresh token
  scope SCOPE|none
  address ADDRESS                            its own; its login, where that is one
  folder NAME, faxed NAME, refused NAME      whose mails are faxed, and where they go
  numbers address|subject|body               in To and Cc alone; or else first in the subject, or in the text
  believes AUTHSERV-ID|none                  whose Authentication-Results prove a sender, where a rule takes \"mailbox\"
  owner ADDRESS|none                         who hears what nobody proven sent; none: the operator
  every SECONDS|none, idle on|off            when it is looked at

VALUES of a profile; `inherit` in the place of each gives it back to Basic, then to policies/sending.toml:
  resolution standard|fine|superfine, paper a4|letter|legal
  cover none|plain|business|confidential|NAME  what goes first: none, or a cover of the house or of the tenant
  body cover|page|ignore                     the mail's text: on the cover, on pages of its own, or not faxed
  landscape turn|shrink, long split|shrink, blank keep|drop   pages that are not as the paper, or empty
  tone auto|text|photo                       what of a page becomes dots: by its looks, nothing, or all but letters
  dots diffused|clustered                    most detail; or what survives copying and faxing again
  priority N                                 0 first, 9 last, among the faxes of the tenant
  ocr off|LANGUAGE[+LANGUAGE ...]            received faxes of the group's numbers are read: their PDFs can be
                                             searched, and pages on their side are turned
  unreadable stop|leave-out                  what an attachment does that can't be drawn: nothing is sent, or the rest
  calls N, tries N                           calls that one fax may cost; of these, with page data
  batch N                                    faxes of one user to one number that a call carries at most, 1 to 20
  busy, no-answer, protocol, trunk, no-fax, interrupted SECONDS[,SECONDS ...]|none
                                             waits before the next call, by what ended the last one
  hours always|\"mon-fri 08:00-18:00; sat 09:00-12:00\"   when faxes may be called, in the tenant's time zone
  quiet never|\"22:00-06:00; sun 00:00-24:00\" when they may not, whatever the hours
  allow all|+PREFIX[,+PREFIX ...]            numbers that may be faxed
  deny none|+PREFIX[,+PREFIX ...]            numbers that may not; of two that match the longest decides
  code any|needed|CODE[,CODE ...]            billing codes: whether each fax needs one, and which there are; in one # is
                                             a digit, and * at its end anything
";

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The words are no command.
    #[error(transparent)]
    Mistake(#[from] Mistake),
    /// A name that does not exist, or exists already: a sentence.
    #[error("{0}")]
    Refused(String),
    /// What it needs is not to be had just now: a sentence.
    #[error("{0}: try again in a few minutes")]
    Later(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl CommandError {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Mistake(_) | Self::Refused(_) => Trouble::Permanent,
            Self::Later(_) => Trouble::Temporary,
            Self::Store(error) => error.trouble(),
        }
    }
}

/// A file that came with a command. Whichever door it came through has read it: a command opens none.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What its sender calls it.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({} octets)", self.bytes.len())
    }
}

/// What commands work with.
#[derive(Clone, Copy, Debug)]
pub struct Gateway<'a> {
    /// The directory and the queue.
    pub store: &'a Store,
    /// The folder of the vault's keys, for commands that seal a password.
    pub keys: &'a Path,
    /// Our name, for the Message-IDs of reports.
    pub hostname: &'a str,
    /// The operator's rules of sending, which profiles inherit.
    pub sending: &'a Sending,
    /// The house's covers, which profiles may name.
    pub covers: &'a Covers,
    /// Draws what is to be tried.
    pub paper: &'a PaperPool,
    /// The files that came with the command.
    pub attached: &'a [Attachment],
}

impl<'a> Gateway<'a> {
    /// The one file that came with the command.
    fn attachment(&self, what: &str) -> Result<&'a Attachment, CommandError> {
        match self.attached {
            [one] => Ok(one),
            [] => Err(CommandError::Refused(format!(
                "attach {what} to the command: at the shell with --attach FILE"
            ))),
            _ => Err(CommandError::Refused(format!(
                "{} files are attached: attach {what} alone",
                self.attached.len()
            ))),
        }
    }
}

/// Carries out one command, wholly or not at all; the reply says the new state.
///
/// # Errors
/// [`CommandError`], for a person to read.
pub async fn run(gateway: Gateway<'_>, words: &[String]) -> Result<String, CommandError> {
    let Gateway { store, keys, .. } = gateway;
    let mut line = grammar::Line::new(words);
    match line.word(&format!("a verb: {VERBS}"))?.as_str() {
        "help" => Ok(HELP.to_owned()),
        "add" if books::is_ours(line.peek()) => books::add(gateway, &mut line).await,
        "set" if books::is_ours(line.peek()) => books::set(gateway, &mut line).await,
        "remove" if books::is_ours(line.peek()) => books::remove(gateway, &mut line).await,
        "show" if books::is_ours(line.peek()) => books::show(gateway, &mut line).await,
        "add" if line.peek() == Some("profile") => profiles::add(gateway, &mut line).await,
        "set" if line.peek() == Some("profile") => profiles::set(gateway, &mut line).await,
        "remove" if line.peek() == Some("profile") => profiles::remove(gateway, &mut line).await,
        "show" if matches!(line.peek(), Some("profile" | "profiles")) => {
            profiles::show(gateway, &mut line).await
        }
        "add" if line.peek() == Some("recipient") => recipients::add(gateway, &mut line).await,
        "set" if line.peek() == Some("recipient") => recipients::set(gateway, &mut line).await,
        "remove" if line.peek() == Some("recipient") => recipients::remove(store, &mut line).await,
        "show" if line.peek() == Some("number") => recipients::show(store, &mut line).await,
        "deliver" => recipients::deliver(gateway, &mut line).await,
        "add" if line.peek() == Some("dkim") => dkim::add(gateway, &mut line),
        "show" if line.peek() == Some("dkim") => dkim::show(gateway, &mut line),
        "add" if line.peek() == Some("secret") => secrets::add(gateway, &mut line).await,
        "show" if line.peek() == Some("secrets") => secrets::show(gateway, &mut line).await,
        "remove" if line.peek() == Some("secrets") => secrets::remove(gateway, &mut line).await,
        "add" if line.peek() == Some("cover") => covers::add(gateway, &mut line).await,
        "remove" if line.peek() == Some("cover") => covers::remove(gateway, &mut line).await,
        "show" if matches!(line.peek(), Some("cover" | "covers")) => {
            covers::show(gateway, &mut line).await
        }
        "set" if line.peek() == Some("tenant") => branding::set(gateway, &mut line).await,
        "show" if line.peek() == Some("tenant") => branding::show(gateway, &mut line).await,
        "set" if line.peek() == Some("logo") => branding::set_logo(gateway, &mut line).await,
        "remove" if line.peek() == Some("logo") => branding::remove_logo(gateway, &mut line).await,
        "add" if line.peek() == Some("mailbox") => mailboxes::add(gateway, &mut line).await,
        "set" if line.peek() == Some("mailbox") => mailboxes::set(gateway, &mut line).await,
        "remove" if line.peek() == Some("mailbox") => mailboxes::remove(gateway, &mut line).await,
        "show" if matches!(line.peek(), Some("mailbox" | "mailboxes")) => {
            mailboxes::show(gateway, &mut line).await
        }
        "add" => directory::add(store, keys, &mut line).await,
        "set" => directory::set(store, keys, &mut line).await,
        "remove" => directory::remove(store, &mut line).await,
        "show" => directory::show(store, &mut line).await,
        "cancel" => faxes::cancel(gateway, &mut line).await,
        other => Err(line.mistake(&format!("{other:?} is no verb"), VERBS).into()),
    }
}
