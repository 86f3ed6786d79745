//! One connection to the next MTA: lettre's commands on a stream of our own.

use std::{future::Future, net::SocketAddr, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error as SmtpError,
        client::AsyncSmtpConnection,
        commands::{Data, Ehlo, Mail, Rcpt, Rset},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
        response::{Response, Severity},
    },
};
use tokio::net::TcpStream;

use super::{pace, wire};

/// What became of one mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The relay has it; its words.
    Taken(String),
    /// Not now, or nobody knows: again, with the same Message-ID.
    PutOff(String),
    /// Never; why.
    Refused(String),
    /// Never as large as it is; how many octets it may try next, and why.
    TooLarge { limit: u64, answer: String },
    /// The connection had carried mails and was over before this one: to be sent over another.
    Stale,
}

impl Sent {
    /// What may be written next, when signatures of so many octets come to it.
    pub(super) fn less(self, signatures: u64) -> Self {
        match self {
            Self::TooLarge { limit, answer } => Self::TooLarge {
                limit: limit.saturating_sub(signatures),
                answer,
            },
            other => other,
        }
    }

    /// A refusal for good may be about the size alone: then half of it may do, where no limit was named.
    fn judged(self, octets: u64) -> Self {
        match self {
            Self::Refused(answer) if is_about_size(&answer) => Self::TooLarge {
                limit: octets / 2,
                answer,
            },
            other => other,
        }
    }
}

/// Whether an answer means that the mail is too large: by its enhanced code (RFC 3463 §3.3, X.2.3 and X.3.4), or
/// by 552 (RFC 1870 §6.1) where it isn't a full mailbox (X.2.2), which a smaller mail would not fit either.
fn is_about_size(answer: &str) -> bool {
    let mut words = answer.split([' ', '-']).filter(|word| !word.is_empty());
    let code = words.next().unwrap_or_default();
    let enhanced = words.next().filter(|word| word.starts_with("5."));
    match enhanced {
        Some("5.3.4" | "5.2.3") => true,
        Some("5.2.2") => false,
        _ => code == "552",
    }
}

/// A mail to send.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    /// Empty for `<>`.
    pub return_path: &'a str,
    pub recipient: &'a str,
    pub bytes: &'a [u8],
}

/// A connection that has said EHLO.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    /// It answers still, and expects MAIL.
    usable: bool,
    /// It has carried a mail before this one.
    reused: bool,
    /// What it says of sizes (RFC 1870 §4).
    size: Size,
}

/// The relay's word on how large mails may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    /// It wants to be told each mail's.
    declared: bool,
    /// Octets that it takes; `None`: it names no limit.
    limit: Option<u64>,
}

impl Size {
    /// From the lines of the answer to EHLO.
    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        for line in lines {
            let mut words = line.split_ascii_whitespace();
            if words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("SIZE"))
            {
                // RFC 1870 §4: 0 or no number is no limit.
                let limit = words.next().and_then(|word| word.parse().ok());
                let limit = limit.filter(|octets| *octets > 0);
                return Self {
                    declared: true,
                    limit,
                };
            }
        }
        Self::default()
    }
}

impl Session {
    /// Connects to the first of the host's addresses that answers.
    pub(super) async fn connect(host: &str, port: u16, hello: &str) -> Result<Self, String> {
        let stream = in_time(pace::CONNECT, TcpStream::connect((host, port)))
            .await?
            .map_err(|error| format!("the relay can't be reached: {error}"))?;
        // Commands are small and each awaits its answer: with Nagle's algorithm a mail takes 45 ms.
        stream
            .set_nodelay(true)
            .map_err(|error| format!("the relay can't be reached: {error}"))?;
        let hello = ClientId::Domain(hello.to_owned());
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello);
        let mut connection = in_time(2 * pace::COMMAND, connecting)
            .await?
            .map_err(|error| words(&error))?;
        // lettre does not hand on what EHLO said of sizes: it is asked once more (RFC 5321 §4.1.4 allows it).
        let again = in_time(pace::COMMAND, connection.command(Ehlo::new(hello))).await?;
        let size = match again {
            Ok(response) => Size::of(response.message()),
            Err(error) => return Err(words(&error)),
        };
        Ok(Self {
            connection,
            usable: true,
            reused: false,
            size,
        })
    }

    /// Whether another mail may go over it.
    pub(super) fn is_usable(&self) -> bool {
        self.usable
    }

    /// Sends one mail to one recipient: a second one's refusal would take the first with it.
    pub(super) async fn send(&mut self, mail: &Outgoing<'_>) -> Sent {
        // lettre stuffs dots (RFC 5321 §4.5.2) and appends the end of the data.
        let bytes = wire::normalised(mail.bytes);
        // With the line end that the dot brings; stuffed dots don't count (RFC 1870 §3).
        let octets = bytes.len() as u64 + 2;
        if let Some(limit) = self.size.limit.filter(|limit| octets > *limit) {
            let answer = format!("the relay takes mails of {limit} octets, this one has {octets}");
            return Sent::TooLarge { limit, answer };
        }
        let (from, to, parameters) = match self.envelope(mail, octets) {
            Ok(envelope) => envelope,
            Err(reason) => return Sent::Refused(reason),
        };
        let reused = std::mem::replace(&mut self.reused, true);
        self.dialog(from, to, parameters, &bytes, reused)
            .await
            .judged(octets)
    }

    async fn dialog(
        &mut self,
        from: Option<Address>,
        to: Address,
        parameters: Vec<MailParameter>,
        bytes: &[u8],
        reused: bool,
    ) -> Sent {
        if let Err(sent) = self.command(Mail::new(from, parameters)).await {
            // Servers end connections after some mails or seconds: that says nothing of this mail.
            return if reused && !self.usable {
                Sent::Stale
            } else {
                sent
            };
        }
        if let Err(sent) = self.command(Rcpt::new(to, Vec::new())).await {
            return sent;
        }
        if let Err(sent) = self.command(Data).await {
            return sent;
        }
        let answer = in_time(pace::DATA, self.connection.message(bytes)).await;
        match answer {
            Ok(Ok(response)) if response.code().severity == Severity::PositiveCompletion => {
                Sent::Taken(said(&response))
            }
            // An answer out of place, or none: the relay may have the mail.
            Ok(Ok(response)) => {
                self.usable = false;
                Sent::PutOff(said(&response))
            }
            Ok(Err(error)) => self.failed(&error).await,
            Err(late) => {
                self.usable = false;
                Sent::PutOff(late)
            }
        }
    }

    /// Says goodbye.
    pub(super) async fn quit(mut self) {
        // The mails are settled: what the relay answers no longer matters.
        let _ = tokio::time::timeout(pace::CONNECT, self.connection.quit()).await;
    }

    #[allow(clippy::type_complexity)]
    fn envelope(
        &self,
        mail: &Outgoing<'_>,
        octets: u64,
    ) -> Result<(Option<Address>, Address, Vec<MailParameter>), String> {
        let parse = |text: &str| {
            text.parse::<Address>()
                .map_err(|_| "the address can't be written in SMTP".to_owned())
        };
        let from = match mail.return_path {
            "" => None,
            path => Some(parse(path)?),
        };
        let to = parse(mail.recipient)?;
        let server = self.connection.server_info();
        let mut parameters = Vec::new();
        if self.size.declared {
            // RFC 1870 §6: so that it can say no before it has all of it.
            parameters.push(MailParameter::Size(
                usize::try_from(octets).unwrap_or(usize::MAX),
            ));
        }
        if !(mail.return_path.is_ascii() && mail.recipient.is_ascii()) {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err("the relay takes no addresses beyond ASCII (no SMTPUTF8)".into());
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !mail.bytes.is_ascii() {
            if !server.supports_feature(Extension::EightBitMime) {
                return Err("the relay takes no 8-bit mail (no 8BITMIME)".into());
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok((from, to, parameters))
    }

    async fn command<C: std::fmt::Display>(&mut self, command: C) -> Result<(), Sent> {
        match in_time(pace::COMMAND, self.connection.command(command)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.failed(&error).await),
            Err(late) => {
                self.usable = false;
                Err(Sent::PutOff(late))
            }
        }
    }

    async fn failed(&mut self, error: &SmtpError) -> Sent {
        let closing = error.status().is_none() || words(error).starts_with("421");
        if closing {
            // No answer, a broken one, or 421 (RFC 5321 §3.8): the connection is done for.
            self.usable = false;
        } else {
            let reset = in_time(pace::COMMAND, self.connection.command(Rset)).await;
            self.usable = matches!(reset, Ok(Ok(_)));
        }
        if error.is_permanent() {
            Sent::Refused(words(error))
        } else {
            Sent::PutOff(words(error))
        }
    }
}

/// Sends one mail over a connection of its own, and returns the server's last answer.
///
/// # Errors
/// The server can't be reached, or does not take the mail; its answer is the message.
pub async fn submit(
    server: SocketAddr,
    from: &str,
    to: &str,
    message: &[u8],
) -> anyhow::Result<String> {
    let mut session = Session::connect(&server.ip().to_string(), server.port(), "localhost")
        .await
        .map_err(anyhow::Error::msg)?;
    let sent = session
        .send(&Outgoing {
            return_path: from,
            recipient: to,
            bytes: message,
        })
        .await;
    if session.is_usable() {
        session.quit().await;
    }
    match sent {
        Sent::Taken(answer) => Ok(answer),
        Sent::PutOff(answer) | Sent::Refused(answer) | Sent::TooLarge { answer, .. } => {
            Err(anyhow::Error::msg(answer))
        }
        Sent::Stale => Err(anyhow::Error::msg("the connection was over")),
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| format!("the relay did not answer within {} s", limit.as_secs()))
}

/// `250 2.0.0 kept`.
fn said(response: &Response) -> String {
    let text: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), text.join(" "))
}

/// The server's words where it said any: `550 5.1.1 unknown`.
fn words(error: &SmtpError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    match (error.status(), source) {
        (Some(code), Some(text)) => {
            format!(
                "{code} {}",
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            )
        }
        (Some(code), None) => code.to_string(),
        (None, _) if error.is_response() => {
            format!("the relay broke off or answered out of order ({error})")
        }
        (None, _) => format!("the connection to the relay failed ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ehlo_tells_how_large_mails_may_be() {
        let of = |lines: &[&str]| Size::of(lines.iter().copied());
        let limit = |declared, limit| Size { declared, limit };
        assert_eq!(
            of(&["mx.example", "PIPELINING", "SIZE 10240000"]),
            limit(true, Some(10_240_000))
        );
        assert_eq!(of(&["mx.example", "size 5"]), limit(true, Some(5)));
        // RFC 1870 §4: no fixed maximum.
        assert_eq!(of(&["mx.example", "SIZE 0"]), limit(true, None));
        assert_eq!(of(&["mx.example", "SIZE"]), limit(true, None));
        assert_eq!(of(&["mx.example", "SIZE much"]), limit(true, None));
        assert_eq!(of(&["mx.example", "8BITMIME"]), limit(false, None));
    }

    #[test]
    fn an_answer_about_size_is_known() {
        for answer in [
            "552 5.3.4 Message size exceeds fixed limit",
            "552-5.3.4 Your message exceeded our limits",
            "552 message too large",
            "554 5.3.4 too big",
            "550 5.2.3 Message length exceeds administrative limit",
        ] {
            assert!(is_about_size(answer), "{answer}");
        }
        for answer in [
            "552 5.2.2 Mailbox full",
            "550 5.1.1 unknown",
            "554 5.7.1 no",
            "",
        ] {
            assert!(!is_about_size(answer), "{answer}");
        }
    }
}
