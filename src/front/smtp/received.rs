//! The trace line that we put before a message (RFC 5321 §4.4).

use std::net::IpAddr;

use jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};

/// What a trace line says.
pub struct Trace<'a> {
    /// What the client called itself.
    pub greeting: &'a str,
    /// Its address, when it is known.
    pub peer: Option<IpAddr>,
    /// Our name.
    pub hostname: &'a str,
    /// The transaction's id, as in the log.
    pub id: &'a str,
    /// It came by LMTP.
    pub lmtp: bool,
    /// It said EHLO.
    pub extended: bool,
    /// It said SMTPUTF8.
    pub utf8: bool,
    /// It is under TLS.
    pub tls: bool,
    /// It logged in.
    pub login: bool,
}

/// The line with its CRLF. Recipients are not in it: they are other people's numbers.
pub fn line(trace: &Trace<'_>) -> String {
    let peer = match trace.peer.map(|peer| peer.to_canonical()) {
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        // RFC 5321 §4.1.3
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        None => "unknown".to_owned(),
    };
    // RFC 3848 and RFC 6531 §4.3
    let protocol = match (trace.lmtp, trace.extended, trace.utf8) {
        (true, _, true) => "UTF8LMTP",
        (true, _, false) => "LMTP",
        (false, _, true) => "UTF8SMTP",
        (false, true, false) => "ESMTP",
        (false, false, false) => "SMTP",
    };
    let tls = if trace.tls { "S" } else { "" };
    let login = if trace.login { "A" } else { "" };
    // A name is shown only as far as it can't end the line or open a comment.
    let greeting: String = trace
        .greeting
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(*c))
        .take(255)
        .collect();
    let greeting = if greeting.is_empty() {
        "unknown"
    } else {
        &greeting
    };
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let date = rfc2822::to_string(&now).unwrap_or_else(|_| "Thu, 1 Jan 1970 00:00:00 +0000".into());
    format!(
        "Received: from {greeting} ({peer})\r\n\tby {} with {protocol}{tls}{login} id {};\r\n\t{date}\r\n",
        trace.hostname, trace.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(greeting: &str) -> Trace<'_> {
        Trace {
            greeting,
            peer: Some("::ffff:192.0.2.1".parse().unwrap()),
            hostname: "fax.example.com",
            id: "01J",
            lmtp: false,
            extended: true,
            utf8: false,
            tls: true,
            login: true,
        }
    }

    #[test]
    fn it_is_a_header_that_says_how_the_mail_came() {
        let line = line(&trace("mail.example.org"));
        assert!(
            line.starts_with(
                "Received: from mail.example.org ([192.0.2.1])\r\n\tby fax.example.com with ESMTPSA id 01J;\r\n\t"
            ),
            "{line}"
        );
        assert!(line.ends_with("+0000\r\n"), "{line}");
    }

    #[test]
    fn a_greeting_cannot_add_headers() {
        let line = line(&trace("x)\r\nFrom: eve@example.net (é"));
        assert!(
            line.starts_with("Received: from xFrom:eveexample.net ("),
            "{line}"
        );
        assert_eq!(line.matches("\r\n").count(), 3);
    }
}
