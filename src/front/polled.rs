//! What is decided of a mail that was fetched from a mailbox: there is no envelope, no client and nobody who waits for
//! an answer.
//!
//! Its recipients are the numbers in To and Cc at our fax domains, else, where the mailbox has it so, the one that its
//! subject or its text begins with. What proves its sender stands in the mail alone ([`Prover::fetched`]); a number
//! that is in neither To nor Cc needs these to name the mailbox, so that no mail to somebody else is one for us.
//!
//! [`Prover::fetched`]: crate::sender::Prover::fetched

use mail_parser::{MessageParser, PartType};

use super::{
    Answer, asked,
    house::{FaxRecipient, Kept, Mail},
    intake::{
        Denied, Intake, asked_otherwise, later, not_taken, not_your_domain, parts, refused_sender,
        too_many_secrets, unfit, unsound_secret,
    },
    message::{self, Heading},
    reading::{Read, apart, examined},
};
use crate::{
    dial,
    language::Told,
    letter::{Part, Refused},
    numbers::{Mailbox, NumbersIn},
    options::{self, Options, Wishes},
    sender::{Person, Secret, Shown, VerifiedSender, secret},
    submission::{Door, ToldBy},
    trouble::Trouble,
};

/// Numbers of one mail.
const NUMBERS: usize = 100;
/// Secrets that may come with a mail, as by SMTP.
const SECRETS: usize = 3;

/// What became of a fetched mail.
#[derive(Debug)]
pub(super) enum Polled {
    /// It is kept, and where it is refused for some of its numbers, so is the letter that tells its sender.
    Kept(Kept),
    /// Its sender is proven, and nothing of it is faxed.
    Refused {
        /// Who sent it.
        sender: Box<VerifiedSender>,
        /// What was refused, and why.
        refused: Vec<Refused>,
    },
    /// We wrote it.
    Own,
    /// Nobody proven sent it, or nobody can say.
    Unproven(Answer),
    /// Nothing can be said now: it is looked at again.
    Later(Answer),
}

/// The numbers that a mail names.
#[derive(Default)]
struct Named {
    recipients: Vec<FaxRecipient>,
    refused: Vec<Refused>,
    secrets: Vec<Secret>,
    /// The number is in neither To nor Cc.
    elsewhere: bool,
}

impl Intake {
    /// Reads a fetched mail, proves its sender and has it kept. `told_by` tells it when it is fetched again.
    pub(super) async fn polled(
        &self,
        mailbox: &Mailbox,
        message: Vec<u8>,
        told_by: Vec<ToldBy>,
    ) -> Polled {
        let read = match apart(message, |message| examined(message, Vec::new())).await {
            Ok(read) => read,
            Err(answer) => return Polled::Later(answer),
        };
        let heading = match &read.heading {
            Ok(heading) => heading,
            Err(fault) => return Polled::Unproven(unfit(fault.clone())),
        };
        let id = heading.message_id.as_deref();
        if id.is_some_and(|id| message::is_own(id, &self.hostname)) {
            return Polled::Own;
        }
        let named = match self.named(mailbox, heading, &read).await {
            Ok(named) => named,
            Err(answer) => return Polled::Later(answer),
        };
        let mut read = read;
        for secret in &named.secrets {
            if !read.scrub.secrets.contains(secret) {
                read.scrub.secrets.push(secret.clone());
            }
        }
        let sender = match self.proven(mailbox, &read, &named).await {
            Ok(sender) => Box::new(sender),
            Err(answer) if answer.code < 500 => return Polled::Later(answer),
            Err(answer) => return Polled::Unproven(answer),
        };
        // Who has sent too much for now: it waits in the mailbox.
        if let Err(answer) = self.rates.known(sender.user()) {
            return Polled::Later(answer);
        }
        self.faxed(mailbox, sender, read, named, told_by).await
    }

    /// The answer is one that says "later".
    async fn named(
        &self,
        mailbox: &Mailbox,
        heading: &Heading,
        read: &Read,
    ) -> Result<Named, Answer> {
        let mut named = Named::default();
        for address in &heading.to {
            self.addressed(mailbox, address, &mut named).await?;
        }
        let line = match mailbox.numbers {
            _ if !named.recipients.is_empty() || !named.refused.is_empty() => None,
            NumbersIn::Address => None,
            NumbersIn::Subject => Some(read.subject.clone()),
            NumbersIn::Body => first_line(&read.message),
        };
        if let Some(line) = line
            && let Some(found) = dial::leading(&line, &self.plan)
        {
            named.elsewhere = true;
            let shown: String = line.chars().take(64).collect();
            let found =
                found.and_then(|address| dial::possible(&address.destination).map(|()| address));
            match found {
                Ok(address) => {
                    let wishes = Wishes::default();
                    named.recipients.push(recipient(address, wishes, shown));
                }
                Err(fault) => {
                    named.refused.push(number_refused(shown, &fault));
                }
            }
        }
        Ok(named)
    }

    /// An address of To or Cc: a number of ours, something of ours that is none, or somebody else's.
    async fn addressed(
        &self,
        mailbox: &Mailbox,
        address: &str,
        named: &mut Named,
    ) -> Result<(), Answer> {
        let (given, secret) = match secret::of_address(address) {
            Ok(found) => found,
            Err(fault) => {
                let (_, domain) = parts(address);
                if let Some(domain) = domain
                    && self.ours(&domain).await?.is_some()
                {
                    // What may be a secret written wrong is in no letter.
                    named
                        .refused
                        .push(number_refused(format!("…@{domain}"), &fault));
                }
                return Ok(());
            }
        };
        let (local_part, domain) = parts(&given);
        let Some(domain) = domain else { return Ok(()) };
        let Some(tenant) = self.ours(&domain).await? else {
            return Ok(());
        };
        // RFC 5322 §3.4.1: a number with spaces or brackets stands in quotes there.
        let local_part = local_part.trim_matches('"').replace('\\', "");
        if given.to_lowercase() == mailbox.address
            || !local_part.contains(|c: char| c.is_ascii_digit())
        {
            // The mailbox's own name, or a person's at the same domain: nobody meant a number.
            return Ok(());
        }
        if tenant != mailbox.tenant_id {
            named
                .refused
                .extend(denied(given, not_your_domain(&domain)));
            return Ok(());
        }
        if let Some(secret) = secret
            && !named.secrets.contains(&secret)
        {
            named.secrets.push(secret);
        }
        let (plain, wishes) = match options::of_address(&local_part) {
            Ok(found) => found,
            Err(fault) => {
                named.refused.push(number_refused(given, &fault));
                return Ok(());
            }
        };
        match self.number(&plain) {
            Err(answer) => named.refused.push(number_refused(given, &answer.text)),
            Ok(_) if named.recipients.len() >= NUMBERS => {
                let why = Told {
                    en: format!(
                        "a mail goes to {NUMBERS} numbers at most: send this one in another"
                    ),
                    fr: format!(
                        "un message part vers {NUMBERS} numéros au plus\u{a0}: envoyez celui-ci dans un autre"
                    ),
                };
                named.refused.push(refusal(given, why));
            }
            Ok(number) => {
                let known = named.recipients.iter().find(|known| {
                    (&known.destination, &known.sub_address)
                        == (&number.destination, &number.sub_address)
                });
                match known.map(|known| known.wishes == wishes) {
                    None => named.recipients.push(recipient(number, wishes, given)),
                    Some(true) => {}
                    Some(false) => {
                        let why = asked_otherwise(&number).text;
                        named.refused.push(number_refused(given, &why));
                    }
                }
            }
        }
        Ok(())
    }

    async fn ours(&self, domain: &str) -> Result<Option<String>, Answer> {
        let tenant = self.house.tenant_of_domain(domain).await;
        tenant.map_err(|down| later(&down))
    }

    async fn proven(
        &self,
        mailbox: &Mailbox,
        read: &Read,
        named: &Named,
    ) -> Result<VerifiedSender, Answer> {
        let heading = read
            .heading
            .as_ref()
            .map_err(|fault| unfit(fault.clone()))?;
        let secrets = &read.scrub.secrets;
        if secrets.len() > SECRETS {
            return Err(too_many_secrets());
        }
        let to_mailbox = || {
            let is = |address: &String| address.to_lowercase() == mailbox.address;
            heading.to.iter().any(is)
        };
        let missing = match named.elsewhere {
            true if to_mailbox() => Vec::new(),
            true => vec![mailbox.address.clone()],
            false => self.unnamed((&named.recipients, &[]), &heading.to),
        };
        let shown = Shown {
            message: &read.message,
            from: &heading.from,
            unnamed: &missing,
            secrets,
        };
        let claim = self.prover.fetched(mailbox.authserv_id.as_deref());
        let proven = self.prover.prove(claim, shown, &*self.house).await;
        proven.map_err(refused_sender)
    }

    /// Has a proven mail kept for the numbers that its sender may fax.
    async fn faxed(
        &self,
        mailbox: &Mailbox,
        sender: Box<VerifiedSender>,
        read: Read,
        named: Named,
        told_by: Vec<ToldBy>,
    ) -> Polled {
        let mut refused = named.refused;
        let person = sender.user().clone();
        if read.unsound {
            refused.push(number_refused(read.subject, &unsound_secret().text));
            return Polled::Refused { sender, refused };
        }
        let said = self
            .allowed_numbers(mailbox, &person, &named.recipients)
            .await;
        let mut recipients = Vec::new();
        for (recipient, said) in std::iter::zip(named.recipients, said) {
            match said {
                Ok(()) => recipients.push(recipient),
                Err(Denied { answer, why: None }) => return Polled::Later(answer),
                Err(why) => refused.extend(denied(recipient.address, why)),
            }
        }
        if recipients.is_empty() {
            if refused.is_empty() {
                refused.push(refusal(read.subject, no_number(mailbox)));
            }
            return Polled::Refused { sender, refused };
        }
        let heading = match read.heading {
            Ok(heading) => heading,
            Err(fault) => return Polled::Unproven(unfit(fault)),
        };
        let wishes = match read.wishes {
            Ok(wishes) => wishes,
            Err(fault) => {
                refused.push(option_refused(&fault));
                return Polled::Refused { sender, refused };
            }
        };
        let settled = asked::settle(&*self.house, &self.plan, &person, wishes, &mut recipients);
        let options = match settled.await {
            Ok(options) => options,
            Err(answer) if answer.code < 500 => return Polled::Later(answer),
            Err(answer) => {
                refused.push(option_refused(&answer.text));
                return Polled::Refused { sender, refused };
            }
        };
        let (message, scrub) = (std::sync::Arc::unwrap_or_clone(read.message), read.scrub);
        let message = match apart(message, move |message| scrub.of(message)).await {
            Ok(message) => message,
            Err(answer) => return Polled::Later(answer),
        };
        let kept = self.house.accept(Mail {
            door: Door::Imap,
            told_by,
            sender: (*sender).clone(),
            reverse_path: person.address,
            envid: None,
            ret: None,
            recipients,
            refused,
            message_id: heading.message_id,
            subject: read.subject,
            options,
            password: heading.password,
            message,
        });
        match kept.await {
            Ok(kept) => {
                if kept.faxed > 0 {
                    self.rates.sent(sender.user());
                }
                Polled::Kept(kept)
            }
            Err(fault) if fault.trouble == Trouble::Temporary => Polled::Later(not_taken(fault)),
            Err(fault) => {
                let refused = vec![number_refused(String::new(), &fault)];
                Polled::Refused { sender, refused }
            }
        }
    }

    async fn allowed_numbers(
        &self,
        mailbox: &Mailbox,
        person: &Person,
        recipients: &[FaxRecipient],
    ) -> Vec<Result<(), Denied>> {
        self.afterwards(person, Some(&mailbox.tenant_id), recipients)
            .await
    }
}

fn recipient(number: dial::Address, wishes: Wishes, given: String) -> FaxRecipient {
    FaxRecipient {
        wishes,
        options: Options::default(),
        destination: number.destination,
        sub_address: number.sub_address,
        address: given,
        name: None,
        notify: None,
        orcpt: None,
    }
}

fn refusal(name: String, why: Told) -> Refused {
    Refused {
        part: Part::Recipient,
        name,
        why,
    }
}

/// Why something is no number is said in English alone, as by SMTP.
fn number_refused(name: String, why: &impl ToString) -> Refused {
    let (en, fr) = (why.to_string(), why.to_string());
    refusal(name, Told { en, fr })
}

fn option_refused(why: &impl ToString) -> Refused {
    Refused {
        part: Part::Option,
        ..number_refused(String::new(), why)
    }
}

fn denied(name: String, denied: Denied) -> Option<Refused> {
    denied.why.map(|why| refusal(name, why))
}

fn no_number(mailbox: &Mailbox) -> Told {
    let (en, fr) = match mailbox.numbers {
        NumbersIn::Address => ("", ""),
        NumbersIn::Subject => (
            ", or put the number first in the subject",
            ", ou commencez l'objet par le numéro",
        ),
        NumbersIn::Body => (
            ", or put the number first in the text",
            ", ou commencez le texte par le numéro",
        ),
    };
    Told {
        en: format!(
            "the mail names no fax number: write number@ and the fax domain of your organisation in To or Cc{en}"
        ),
        fr: format!(
            "le message ne nomme aucun numéro de fax\u{a0}: écrivez numéro@ et le domaine de fax de votre organisation dans \
             À ou Cc{fr}"
        ),
    }
}

/// The first line of a mail's plain text that says something, behind its `#fax` lines. Of HTML none: it may hide what is first.
fn first_line(message: &[u8]) -> Option<String> {
    let parsed = MessageParser::default().parse(message)?;
    let id = parsed.text_body.first()?;
    let PartType::Text(text) = &parsed.parts.get(*id as usize)?.body else {
        return None;
    };
    let (_, text) = options::of_text(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.to_owned())
}
