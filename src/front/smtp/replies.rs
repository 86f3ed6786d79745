//! The protocol's own answers, each a small named function with its whole sentence.

use super::listen::Role;
use crate::front::Answer;

/// A command that worked.
pub fn ok() -> Answer {
    Answer::new(250, "2.0.0", "ok")
}

pub fn greeting(hostname: &str, role: Role) -> Answer {
    // RFC 2033 §4.1
    let protocol = if role == Role::Lmtp { "LMTP" } else { "ESMTP" };
    Answer::new(220, "", format!("{hostname} {protocol} faxpost"))
}

/// RFC 2033 §4.1
pub fn greet_as_lmtp() -> Answer {
    Answer::new(500, "5.5.1", "this is LMTP: say LHLO")
}

/// RFC 6409 §4.3
pub fn log_in_first() -> Answer {
    Answer::new(
        530,
        "5.7.0",
        "log in first: this port is for people's mail programs, with address and mail password",
    )
}

/// RFC 3030 §2
pub fn chunk_ok(octets: usize) -> Answer {
    Answer::new(250, "2.0.0", format!("{octets} octets read"))
}

pub fn message_is_open() -> Answer {
    Answer::new(
        503,
        "5.5.1",
        "the message comes by BDAT: end it with BDAT LAST, or say RSET",
    )
}

pub fn goodbye() -> Answer {
    Answer::new(221, "2.0.0", "goodbye")
}

pub fn sender_ok() -> Answer {
    Answer::new(250, "2.1.0", "the sender is known")
}

pub fn stranger_ok() -> Answer {
    Answer::new(
        250,
        "2.1.0",
        "you are not known here: mail to postmaster is all that is taken from you",
    )
}

pub fn reporter_ok() -> Answer {
    let words = "reports on our mails are taken, where they went out from, and mail to postmaster";
    Answer::new(250, "2.1.0", words)
}

pub fn return_path_ok() -> Answer {
    Answer::new(250, "2.1.5", "a report on that mail is taken")
}

pub fn postmaster_ok() -> Answer {
    Answer::new(250, "2.1.5", "the postmaster will read it")
}

pub fn reply_ok() -> Answer {
    Answer::new(250, "2.1.5", "your reply will be read")
}

pub fn recipient_ok(number: &str) -> Answer {
    Answer::new(250, "2.1.5", format!("{number} will be faxed"))
}

pub fn recipient_twice(number: &str) -> Answer {
    Answer::new(
        250,
        "2.1.5",
        format!("{number} is a recipient already: it is faxed once"),
    )
}

pub fn go_ahead() -> Answer {
    Answer::new(354, "", "send the message; end it with <CRLF>.<CRLF>")
}

pub fn go_ahead_tls() -> Answer {
    Answer::new(220, "2.0.0", "begin TLS")
}

/// RFC 4954 §4: the challenge is base64, and an empty one is a space.
pub fn challenge(base64: &str) -> Answer {
    Answer::new(334, "", base64.to_owned())
}

/// RFC 4954 §6. One sentence for both faults, so that nobody can try out addresses.
pub fn wrong_password() -> Answer {
    Answer::new(
        535,
        "5.7.8",
        "the address or the mail password is wrong: the mail password is the one your administrator gave \
         you, not the archive passphrase",
    )
}

pub fn no_randomness() -> Answer {
    Answer::new(
        454,
        "4.7.0",
        "no challenge can be made just now: try again in a few minutes",
    )
}

pub fn logged_in() -> Answer {
    Answer::new(235, "2.7.0", "logged in")
}

pub fn help() -> Answer {
    Answer::new(
        214,
        "2.0.0",
        "mail a document to number@fax-domain, as in +33123456789@fax.example.com; commands: EHLO HELO \
         STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
    )
}

/// RFC 5321 §3.5.3: nothing is told of who is known here.
pub fn cannot_verify() -> Answer {
    Answer::new(252, "2.1.5", "addresses are told at RCPT, not here")
}

pub fn unknown_command() -> Answer {
    Answer::new(500, "5.5.1", "no such command here: HELP lists them")
}

pub fn not_offered(command: &str) -> Answer {
    Answer::new(502, "5.5.1", format!("{command} is not offered here"))
}

pub fn syntax(expected: &str) -> Answer {
    Answer::new(501, "5.5.4", format!("the command is written {expected}"))
}

pub fn malformed_line() -> Answer {
    Answer::new(
        500,
        "5.5.2",
        "a command ends with CRLF and holds no control characters",
    )
}

pub fn line_too_long() -> Answer {
    Answer::new(500, "5.5.2", "the command is longer than 4096 octets")
}

pub fn bad_sender_address() -> Answer {
    Answer::new(
        501,
        "5.1.7",
        "the sender is no mail address: write MAIL FROM:<you@example.com>",
    )
}

pub fn bad_recipient_address() -> Answer {
    Answer::new(
        501,
        "5.1.3",
        "the recipient is no mail address: write RCPT TO:<+33123456789@fax.example.com>",
    )
}

/// RFC 6531 §3.5
pub fn needs_smtputf8() -> Answer {
    Answer::new(
        553,
        "5.6.7",
        "an address with letters beyond ASCII needs the SMTPUTF8 parameter at MAIL",
    )
}

/// RFC 5321 §4.1.1.11
pub fn unknown_parameter(name: &str) -> Answer {
    Answer::new(
        555,
        "5.5.4",
        format!("the parameter {name} is not known here"),
    )
}

pub fn greet_first() -> Answer {
    Answer::new(503, "5.5.1", "say EHLO first")
}

pub fn mail_first() -> Answer {
    Answer::new(503, "5.5.1", "say MAIL first")
}

pub fn recipients_first() -> Answer {
    Answer::new(
        503,
        "5.5.1",
        "no recipient was taken: say RCPT with a fax number first",
    )
}

pub fn mail_is_open() -> Answer {
    Answer::new(
        503,
        "5.5.1",
        "a mail is open already: finish it, or say RSET",
    )
}

pub fn logged_in_already() -> Answer {
    Answer::new(503, "5.5.1", "you are logged in already")
}

pub fn tls_already() -> Answer {
    Answer::new(503, "5.5.1", "the connection is under TLS already")
}

/// RFC 4954 §6
pub fn needs_tls() -> Answer {
    Answer::new(
        538,
        "5.7.11",
        "a password is not taken over a connection that others can read: say STARTTLS first",
    )
}

pub fn mechanism() -> Answer {
    Answer::new(
        504,
        "5.5.4",
        "AUTH knows SCRAM-SHA-256, PLAIN and LOGIN here",
    )
}

pub fn auth_cancelled() -> Answer {
    Answer::new(501, "5.7.0", "the login was called off")
}

pub fn auth_not_base64() -> Answer {
    Answer::new(
        501,
        "5.5.2",
        "what AUTH sends must be base64, and what its mechanism asks for",
    )
}

pub fn auth_as_another() -> Answer {
    Answer::new(
        535,
        "5.7.8",
        "nobody can log in as another here: leave the authorization identity empty",
    )
}

pub fn too_many_recipients(most: usize) -> Answer {
    // RFC 5321 §4.5.3.1.10
    Answer::new(
        452,
        "4.5.3",
        format!("a mail takes {most} numbers: send the rest in another"),
    )
}

pub fn too_large(most: usize) -> Answer {
    // RFC 1870 §6.1
    Answer::new(
        552,
        "5.3.4",
        format!(
            "the mail is larger than the {most} octets that are taken: send fewer or smaller documents"
        ),
    )
}

pub fn too_large_for_postmaster(most: usize) -> Answer {
    Answer::new(
        552,
        "5.3.4",
        format!("mail to postmaster may have {most} octets: write without attachments"),
    )
}

pub fn disk_low() -> Answer {
    Answer::new(
        452,
        "4.3.1",
        "there is no room to keep mail just now: try again later",
    )
}

pub fn memory_low() -> Answer {
    Answer::new(
        452,
        "4.3.1",
        "too many large mails are coming in just now: try again in a few minutes",
    )
}

pub fn many_large_mails() -> Answer {
    Answer::new(
        451,
        "4.3.2",
        "too many large mails are waiting to be read: try again in a few minutes",
    )
}

pub fn unread() -> Answer {
    Answer::new(
        451,
        "4.3.0",
        "the message could not be read: try again in a few minutes",
    )
}

pub fn empty_message() -> Answer {
    Answer::new(
        554,
        "5.6.0",
        "the message is empty: there is nothing to fax",
    )
}

pub fn bare_line_end() -> Answer {
    Answer::new(
        550,
        "5.5.2",
        "the message holds a CR or an LF that stands alone, and RFC 5321 allows them only as a pair: \
         have your mail program or server corrected",
    )
}

pub fn spoke_early() -> Answer {
    Answer::new(554, "5.5.0", "you spoke before the greeting")
}

pub fn out_of_step(command: &str) -> Answer {
    // RFC 2920 §3.1
    Answer::new(
        554,
        "5.5.0",
        format!("{command} must be the last command before you wait for the answer"),
    )
}

pub fn too_many_errors() -> Answer {
    Answer::new(421, "4.7.0", "too many bad commands: goodbye")
}

pub fn no_mail() -> Answer {
    Answer::new(421, "4.7.0", "you talk and send no mail: goodbye")
}

pub fn too_many_logins() -> Answer {
    Answer::new(421, "4.7.0", "too many wrong passwords: goodbye")
}

pub fn too_many_sessions() -> Answer {
    Answer::new(
        421,
        "4.7.0",
        "too many connections: try again in a few minutes",
    )
}

pub fn too_many_from_you() -> Answer {
    Answer::new(
        421,
        "4.7.0",
        "too many connections from your address: close some, or try again in a few minutes",
    )
}

pub fn timed_out() -> Answer {
    Answer::new(421, "4.4.2", "nothing came for too long: goodbye")
}

pub fn too_slow() -> Answer {
    Answer::new(421, "4.4.2", "the message came too slowly: goodbye")
}

pub fn stopping() -> Answer {
    Answer::new(
        421,
        "4.3.2",
        "the server is stopping: try again in a few minutes",
    )
}
