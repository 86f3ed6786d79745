//! A mail's commands: MAIL, RCPT, DATA (RFC 5321 §4.1.1.2 to §4.1.1.4).

use smtp_proto::{
    MAIL_BODY_BINARYMIME, MAIL_BY_NOTIFY, MAIL_BY_RETURN, MAIL_BY_TRACE, MAIL_CONPERM,
    MAIL_REQUIRETLS, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8, MailFrom, RCPT_CONNEG,
    RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS,
    RCPT_RRVS_CONTINUE, RCPT_RRVS_REJECT, RcptTo,
};

use super::{Gone, Next, Open, Session, Taken};
use crate::{
    dial,
    front::{
        Answer, ByName, Envelope, FaxRecipient, Named, Numbered, Recipient, Replies,
        smtp::{
            data::{self, Data},
            listen::Role,
            readings::Reading,
            received::{self, Trace},
            replies,
        },
    },
    options::Options,
    policy::ClientCertificate,
    sender::{Claim, Peer, secret},
};

impl Session {
    pub(super) async fn mail(&mut self, from: MailFrom<String>) -> Result<Next, Gone> {
        if self.greeting.is_none() {
            return Ok(self.refuse(replies::greet_first()));
        }
        if self.open.is_some() {
            return Ok(self.refuse(replies::mail_is_open()));
        }
        // A listed certificate is as good as a login.
        let shown = |shown: &ClientCertificate| self.shared.intake.lists(shown);
        let is_known = self.login.is_some() || self.certificate.as_ref().is_some_and(shown);
        if self.role.wants_login() && !is_known {
            return Ok(self.refuse(replies::log_in_first()));
        }
        if let Some(parameter) = foreign_mail_parameter(&from) {
            return Ok(self.refuse(replies::unknown_parameter(parameter)));
        }
        if from.env_id.as_deref().is_some_and(hides_something) {
            return Ok(self.refuse(replies::syntax("ENVID=xtext, of printable ASCII")));
        }
        let utf8 = from.flags & MAIL_SMTPUTF8 != 0;
        if !utf8 && !from.address.is_ascii() {
            return Ok(self.refuse(replies::needs_smtputf8()));
        }
        if from.size > self.shared.limits.max_size {
            return Ok(self.answer(&replies::too_large(self.shared.limits.max_size)));
        }
        if !self.shared.limits.disk_has_room() {
            tracing::warn!(session = %self.id, "mail put off: the disk has less room than min_free_disk");
            return Ok(self.answer(&replies::disk_low()));
        }
        let greeting = self.greeting.as_ref().map_or("", |greeting| &greeting.name);
        let peer = Peer {
            address: self.peer,
            greeting,
            login: self.login.as_ref(),
            certificate: self.certificate.as_ref(),
        };
        match self.shared.intake.sender(peer, &from.address).await {
            Ok(claim) => {
                let answer = match &claim {
                    Ok(_) => replies::sender_ok(),
                    Err(_) if from.address.is_empty() => replies::reporter_ok(),
                    Err(_) => replies::stranger_ok(),
                };
                self.open = Some(Open {
                    envelope: Envelope {
                        claim,
                        tenant: None,
                        secrets: Vec::new(),
                        reverse_path: from.address,
                        envid: from.env_id,
                        ret: match from.flags {
                            flags if flags & MAIL_RET_FULL != 0 => Some("FULL"),
                            flags if flags & MAIL_RET_HDRS != 0 => Some("HDRS"),
                            _ => None,
                        },
                        recipients: Vec::new(),
                        named: Vec::new(),
                        postmaster: false,
                        reply: None,
                        returned: Vec::new(),
                    },
                    utf8,
                    declared: from.size,
                    taken: Vec::new(),
                    chunks: None,
                });
                Ok(self.answer(&answer))
            }
            Err(answer) => {
                tracing::info!(session = %self.id, code = answer.code, "sender refused");
                // Somebody who tries out addresses runs into the limit of errors.
                Ok(self.refuse(answer))
            }
        }
    }

    pub(super) async fn rcpt(&mut self, to: RcptTo<String>) -> Result<Next, Gone> {
        let counted = self.counted();
        let Some(open) = &mut self.open else {
            return Ok(self.refuse(replies::mail_first()));
        };
        if open.chunks.is_some() {
            return Ok(self.refuse(replies::message_is_open()));
        }
        if to.flags & (RCPT_CONNEG | RCPT_RRVS_CONTINUE | RCPT_RRVS_REJECT) != 0 || to.rrvs != 0 {
            return Ok(self.refuse(replies::unknown_parameter("CONNEG or RRVS")));
        }
        if to.orcpt.as_deref().is_some_and(hides_something) {
            return Ok(self.refuse(replies::syntax("ORCPT=rfc822;xtext, of printable ASCII")));
        }
        if !open.utf8 && !to.address.is_ascii() {
            return Ok(self.refuse(replies::needs_smtputf8()));
        }
        let most = self.shared.limits.max_recipients;
        // Those that were named twice count: each costs memory, and by LMTP an answer.
        if open.taken.len() >= most {
            return Ok(self.answer(&replies::too_many_recipients(most)));
        }
        let envelope = &mut open.envelope;
        let intake = &self.shared.intake;
        let found = match intake.recipient(envelope, &to.address).await {
            Ok(Recipient::Postmaster) if !envelope.postmaster && is_stranger(envelope) => {
                let counted = counted.map_or(Ok(()), |peer| intake.rates().postmaster(peer));
                counted.map(|()| Recipient::Postmaster)
            }
            found => found,
        };
        let answer = match found {
            Ok(Recipient::Postmaster) => {
                envelope.postmaster = true;
                open.taken.push(Taken::Postmaster);
                replies::postmaster_ok()
            }
            Ok(Recipient::Reply(token)) => {
                let address = to.address;
                envelope.reply = Some(Replies { token, address });
                open.taken.push(Taken::Reply);
                replies::reply_ok()
            }
            Ok(Recipient::Name(by_name)) => {
                let ByName {
                    name,
                    tenant,
                    given,
                    secret,
                    wishes,
                } = *by_name;
                envelope.tenant = Some(tenant);
                envelope.secrets.extend(secret);
                let named = &mut envelope.named;
                let before = named.iter().position(|before| before.name == name);
                open.taken.push(Taken::Name(before.unwrap_or(named.len())));
                if before.is_some() {
                    replies::recipient_twice(&name)
                } else {
                    let ok = replies::recipient_ok(&name);
                    named.push(Named {
                        name,
                        wishes,
                        address: given,
                        notify: notify(to.flags),
                        orcpt: to.orcpt.map(|address| without_secret(&address)),
                    });
                    ok
                }
            }
            Ok(Recipient::Returned(mail)) => {
                let before = envelope.returned.iter().position(|other| *other == mail);
                let index = before.unwrap_or(envelope.returned.len());
                open.taken.push(Taken::Returned(index));
                if before.is_none() {
                    envelope.returned.push(mail);
                }
                replies::return_path_ok()
            }
            Ok(Recipient::Number(number)) => {
                let Numbered {
                    address: number,
                    tenant,
                    given,
                    secret,
                    wishes,
                } = *number;
                envelope.tenant = Some(tenant);
                envelope.secrets.extend(secret);
                let shown = number.to_string();
                let dial::Address {
                    destination,
                    sub_address,
                } = number;
                let before = envelope.recipients.iter().position(|recipient| {
                    recipient.destination == destination && recipient.sub_address == sub_address
                });
                let index = before.unwrap_or(envelope.recipients.len());
                open.taken.push(Taken::Number(index));
                if before.is_some() {
                    replies::recipient_twice(&shown)
                } else {
                    envelope.recipients.push(FaxRecipient {
                        destination,
                        sub_address,
                        address: given,
                        name: None,
                        wishes,
                        options: Options::default(),
                        notify: notify(to.flags),
                        // The parser takes no other address type and drops this one's name.
                        orcpt: to.orcpt.map(|address| without_secret(&address)),
                    });
                    replies::recipient_ok(&shown)
                }
            }
            Err(answer) => {
                tracing::info!(session = %self.id, code = answer.code, "recipient refused");
                if !is_known(envelope) {
                    // A stranger who tries out addresses runs into the limit of errors.
                    return Ok(self.refuse(answer));
                }
                answer
            }
        };
        Ok(self.answer(&answer))
    }

    pub(super) async fn data(&mut self) -> Result<Next, Gone> {
        // Before anything else: a refused DATA must not turn the message into commands.
        if let Some(next) = self.out_of_step("DATA") {
            return Ok(next);
        }
        if self.greeting.is_none() {
            return Ok(self.refuse(replies::greet_first()));
        }
        let open = match self.open.take() {
            None => return Ok(self.refuse(replies::mail_first())),
            // RFC 3030 §3: the two ways are not mixed.
            Some(open) if open.chunks.is_some() => {
                self.open = Some(open);
                return Ok(self.refuse(replies::message_is_open()));
            }
            Some(open) if open.taken.is_empty() => {
                self.open = Some(open);
                return Ok(self.refuse(replies::recipients_first()));
            }
            Some(open) => open,
        };
        let utf8 = open.utf8;
        let trace = self.trace_of(utf8);
        self.say(&replies::go_ahead());
        self.flush().await?;
        let Some(wire) = &mut self.wire else {
            return Err(Gone);
        };
        let shared = &self.shared;
        let found = data::read(
            wire,
            &mut self.input,
            &shared.limits,
            &shared.budget,
            &trace,
            open.declared,
        )
        .await;
        self.judge(open, found).await
    }

    /// The trace line of the mail that is open.
    pub(super) fn trace(&self) -> String {
        self.trace_of(self.open.as_ref().is_some_and(|open| open.utf8))
    }

    fn trace_of(&self, utf8: bool) -> String {
        let greeting = self.greeting.as_ref();
        received::line(&Trace {
            greeting: greeting.map_or("", |greeting| &greeting.name),
            peer: self.peer,
            hostname: &self.shared.hostname,
            id: &self.id,
            lmtp: self.role == Role::Lmtp,
            extended: greeting.is_some_and(|greeting| greeting.extended),
            utf8,
            tls: self.under_tls,
            login: self.login.is_some(),
        })
    }

    /// Has a whole message judged, and says what became of it.
    pub(super) async fn judge(&mut self, open: Open, found: Data) -> Result<Next, Gone> {
        self.chatter = 0;
        match found {
            Data::Message(held)
                if let Some(most) = self.too_large_for_postmaster(&open, held.len()) =>
            {
                tracing::info!(session = %self.id, "message refused: too large for postmaster");
                Ok(self.say_for_each(&open.taken, &replies::too_large_for_postmaster(most)))
            }
            Data::Message(held) => {
                let octets = held.len();
                let numbers = open.envelope.recipients.len();
                let known = !is_stranger(&open.envelope);
                let Reading { message, place } = match self.shared.readings.read(held, known).await
                {
                    Ok(reading) => reading,
                    Err(answer) => {
                        tracing::info!(session = %self.id, octets, code = answer.code, "message put off");
                        return Ok(self.say_for_each(&open.taken, &answer));
                    }
                };
                let each = self.role == Role::Lmtp;
                let verdict = self
                    .shared
                    .intake
                    .message(open.envelope, message, each)
                    .await;
                drop(place);
                if !each {
                    let answer = verdict.as_one();
                    tracing::info!(session = %self.id, octets, code = answer.code, "message read");
                    return Ok(self.answer(&answer));
                }
                // RFC 2033 §4.2
                for taken in open.taken {
                    let answer = match taken {
                        Taken::Number(index) => verdict.of_number(index),
                        Taken::Name(index) => verdict.of_number(numbers + index),
                        Taken::Postmaster => verdict.of_postmaster(),
                        Taken::Reply => verdict.of_reply(),
                        Taken::Returned(index) => verdict.of_returned(index),
                    };
                    tracing::info!(session = %self.id, octets, code = answer.code, "message read");
                    self.say(&answer);
                }
                Ok(Next::Command)
            }
            Data::Refused(answer) => {
                tracing::info!(session = %self.id, code = answer.code, "message refused");
                Ok(self.say_for_each(&open.taken, &answer))
            }
            Data::Broken(answer) => {
                tracing::info!(session = %self.id, "message broken off: too slow");
                Ok(self.end(&answer))
            }
            Data::Gone => Err(Gone),
        }
    }

    /// The most that a stranger may write to postmaster, when this is more and goes to nobody else.
    fn too_large_for_postmaster(&self, open: &Open, octets: usize) -> Option<usize> {
        let most = self.shared.intake.rates().postmaster_octets()?;
        let envelope = &open.envelope;
        let numbers = envelope.recipients.len() + envelope.named.len();
        let only = numbers == 0 && is_stranger(envelope);
        (only && octets > most).then_some(most)
    }

    /// One answer for the whole message: once, or by LMTP for each recipient that was taken.
    pub(super) fn say_for_each(&mut self, taken: &[Taken], answer: &Answer) -> Next {
        let times = if self.role == Role::Lmtp {
            taken.len()
        } else {
            1
        };
        for _ in 0..times {
            self.say(answer);
        }
        Next::Command
    }
}

/// Who sends is known before the message.
fn is_known(envelope: &Envelope) -> bool {
    (envelope.claim.as_ref()).is_ok_and(|claim| claim.person().is_some())
}

/// Who sends has proven nothing yet, and may never.
fn is_stranger(envelope: &Envelope) -> bool {
    envelope.claim.as_ref().map_or(true, Claim::is_open)
}

/// A parameter of MAIL that belongs to an extension that isn't offered (RFC 5321 §4.1.1.11).
fn foreign_mail_parameter(from: &MailFrom<String>) -> Option<&'static str> {
    let flags = from.flags;
    [
        (flags & MAIL_BODY_BINARYMIME != 0, "BODY=BINARYMIME"),
        (flags & MAIL_REQUIRETLS != 0, "REQUIRETLS"),
        (flags & MAIL_CONPERM != 0, "CONPERM"),
        (
            flags & (MAIL_BY_NOTIFY | MAIL_BY_RETURN | MAIL_BY_TRACE) != 0 || from.by != 0,
            "BY",
        ),
        (from.hold_for != 0, "HOLDFOR"),
        (from.hold_until != 0, "HOLDUNTIL"),
        (from.mt_priority != 0, "MT-PRIORITY"),
        (from.trans_id.is_some(), "TRANSID"),
        (from.solicit.is_some(), "SOLICIT"),
        (from.mtrk.is_some(), "MTRK"),
    ]
    .into_iter()
    .find_map(|(given, name)| given.then_some(name))
}

/// RFC 3461 §4.2 and §4.4: xtext may carry any octet, but what it decodes to stands in the lines of a
/// report, where a CRLF would begin another.
fn hides_something(decoded: &str) -> bool {
    !decoded.chars().all(|c| (' '..='~').contains(&c))
}

/// ORCPT as it is kept and told: what the address was before, but for a secret in it.
fn without_secret(address: &str) -> String {
    match secret::of_address(address) {
        Ok((address, _)) => format!("rfc822;{address}"),
        Err(_) => "rfc822;unknown".to_owned(),
    }
}

/// NOTIFY as on the wire (RFC 3461 §4.1).
fn notify(flags: u64) -> Option<String> {
    let words: Vec<&str> = [
        (RCPT_NOTIFY_NEVER, "NEVER"),
        (RCPT_NOTIFY_SUCCESS, "SUCCESS"),
        (RCPT_NOTIFY_FAILURE, "FAILURE"),
        (RCPT_NOTIFY_DELAY, "DELAY"),
    ]
    .into_iter()
    .filter_map(|(flag, word)| (flags & flag != 0).then_some(word))
    .collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// RFC 5321 §4.1.1.3: `RCPT TO:<Postmaster>`, whatever its case. The parser takes this one address without
/// a domain, and gives it like the null path.
pub(super) fn named(mut to: RcptTo<String>, line: &[u8]) -> RcptTo<String> {
    let postmaster = b"<postmaster>";
    let line = line.to_ascii_lowercase();
    if to.address.is_empty()
        && line
            .windows(postmaster.len())
            .any(|window| window == postmaster)
    {
        to.address = "postmaster".into();
    }
    to
}
