//! What the doors decide: who sent it, where to, is it fit; then the house keeps it.
//!
//! Every refusal is an [`Answer`] that names the rule and what to do (promise 2).

use std::sync::Arc;

use super::{
    Answer,
    house::{FaxRecipient, House, Kept, Mail, NotTaken, PostmasterMail},
    message, smtp,
};
use crate::{
    dial::{self, DialPlan},
    people::Verifier,
    sender::{Claim, DirectoryDown, Peer, Person, Prover, Refusal, Secret, Shown, secret},
    trouble::Trouble,
};

/// Messages above this many octets are read on a thread of their own, so that no session waits.
const READ_APART: usize = 1 << 20;

/// The decisions of every mail door.
pub struct Intake {
    house: Arc<dyn House>,
    prover: Prover,
    plan: DialPlan,
}

/// A mail whose envelope is complete.
#[derive(Debug)]
pub struct Envelope {
    /// Who says to have sent it, proven for the envelope or to be proven by the message; or the answer that a
    /// stranger gets who wants to send anywhere but to postmaster.
    pub claim: Result<Claim, Answer>,
    /// Whose fax domain the numbers are at; none before the first of them.
    pub tenant: Option<String>,
    /// The secrets that were in the numbers' addresses.
    pub secrets: Vec<Secret>,
    /// The address in MAIL, as it was given.
    pub reverse_path: String,
    /// DSN ENVID.
    pub envid: Option<String>,
    /// DSN RET.
    pub ret: Option<&'static str>,
    /// The numbers taken so far.
    pub recipients: Vec<FaxRecipient>,
    /// Postmaster is a recipient.
    pub postmaster: bool,
}

/// Whom an address in RCPT means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A fax number.
    Number(Numbered),
    /// Who runs this.
    Postmaster,
}

/// A fax number that was read of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The number.
    pub address: dial::Address,
    /// Whose fax domain it is at.
    pub tenant: String,
    /// The address without a secret.
    pub given: String,
    /// The secret that was in it.
    pub secret: Option<Secret>,
}

impl Intake {
    /// Decides by the operator's rules, on the rooms behind.
    #[must_use]
    pub fn new(house: Arc<dyn House>, prover: Prover, plan: DialPlan) -> Self {
        Self {
            house,
            prover,
            plan,
        }
    }

    /// Whether a client's certificate (its SHA-256) is in some rule.
    #[must_use]
    pub fn lists(&self, certificate: &[u8; 32]) -> bool {
        self.prover.lists(certificate)
    }

    /// Checks a login's password.
    ///
    /// # Errors
    /// The answer to give.
    pub async fn login(&self, login: &str, password: &str) -> Result<Person, Answer> {
        match self.house.login(login, password).await {
            Ok(Some(person)) => Ok(person),
            Ok(None) => Err(smtp::wrong_password()),
            Err(DirectoryDown) => Err(passwords_unchecked()),
        }
    }

    /// What SCRAM checks a login's password by, and whose it is; of nobody's login too.
    ///
    /// # Errors
    /// The answer to give.
    pub async fn scram(&self, login: &str) -> Result<(Option<Person>, Verifier), Answer> {
        let found = self.house.scram(login).await;
        found.map_err(|DirectoryDown| passwords_unchecked())
    }

    /// Judges the envelope sender, at MAIL. A stranger is let in only where somebody reads mail to
    /// postmaster, which is taken from everybody (RFC 5321 §4.5.1), and hears the refusal at RCPT.
    ///
    /// # Errors
    /// The answer to give.
    pub async fn sender(
        &self,
        peer: Peer<'_>,
        reverse_path: &str,
    ) -> Result<Result<Claim, Answer>, Answer> {
        let claim = self.prover.claim(peer, reverse_path, &*self.house).await;
        match claim {
            Ok(claim) => Ok(Ok(claim)),
            Err(refusal) if refusal.trouble() == Trouble::Permanent => {
                match self.house.postmaster().await {
                    Ok(Some(_)) => Ok(Err(refused_sender(refusal))),
                    _ => Err(refused_sender(refusal)),
                }
            }
            Err(refusal) => Err(refused_sender(refusal)),
        }
    }

    /// Reads a recipient, at RCPT. Whether the sender may fax it is told here where they are known already, else
    /// after DATA.
    ///
    /// # Errors
    /// The answer to give.
    pub async fn recipient(&self, envelope: &Envelope, address: &str) -> Result<Recipient, Answer> {
        let (given, secret) = secret::of_address(address)
            .map_err(|fault| Answer::new(550, "5.1.3", fault.to_string()))?;
        let (local_part, domain) = parts(&given);
        let tenant = match &domain {
            Some(domain) => self.house.tenant_of_domain(domain).await,
            None => Ok(None),
        };
        let tenant = tenant.map_err(|down| later(&down))?;
        // RFC 5321 §4.5.1: whatever its case, with one of our domains or with none.
        if local_part.eq_ignore_ascii_case("postmaster") && (domain.is_none() || tenant.is_some()) {
            match self.house.postmaster().await {
                Ok(Some(_)) => return Ok(Recipient::Postmaster),
                Ok(None) => {}
                Err(down) => return Err(later(&down)),
            }
        }
        let claim = envelope.claim.as_ref().map_err(Answer::clone)?;
        let Some(domain) = domain else {
            return Err(Answer::new(
                550,
                "5.1.3",
                "the recipient has no domain: write number@ and the fax domain of your organisation",
            ));
        };
        // A stranger's fax domain is none of the sender's business: the same sentence for both.
        let own = |tenant: &String| {
            let known = claim.person();
            known.is_none_or(|person| person.tenant_id == *tenant)
        };
        let tenant = tenant.filter(own).ok_or_else(|| relaying_denied(&domain))?;
        if envelope
            .tenant
            .as_ref()
            .is_some_and(|before| *before != tenant)
        {
            // RFC 5321 §4.5.3.1.10: what a client sends again in another transaction.
            return Err(Answer::new(
                452,
                "4.5.3",
                "a mail goes to the fax domains of one organisation: send this number in another",
            ));
        }
        let number = self.number(local_part)?;
        if let Some(person) = claim.person() {
            self.allowed(person, &number.destination).await?;
        }
        Ok(Recipient::Number(Numbered {
            address: number,
            tenant,
            given: given.clone(),
            secret,
        }))
    }

    fn number(&self, local_part: &str) -> Result<dial::Address, Answer> {
        let read = dial::parse_address(local_part, &self.plan)
            .and_then(|address| dial::possible(&address.destination).map(|()| address));
        read.map_err(|error| {
            let shown: String = local_part.chars().take(64).collect();
            Answer::new(
                550,
                "5.1.3",
                format!("{shown} is not a fax number: {error}"),
            )
        })
    }

    /// Whether their profile lets a person fax a number.
    async fn allowed(&self, person: &Person, number: &dial::Destination) -> Result<(), Answer> {
        let (tenant, user) = (&person.tenant_id, &person.user_id);
        let refusal = self.house.not_allowed(tenant, user, number).await;
        match refusal.map_err(|down| later(&down))? {
            None => Ok(()),
            Some(why) => Err(Answer::new(550, "5.7.1", format!("{number}: {why}"))),
        }
    }

    /// Reads the message, proves its sender and has it kept. `each`: what fails for the numbers is no
    /// reason to keep nothing for postmaster, since each recipient gets an answer.
    pub async fn message(&self, envelope: Envelope, message: Vec<u8>, each: bool) -> Verdict {
        let copy = envelope.postmaster.then(|| PostmasterMail {
            reverse_path: envelope.reverse_path.clone(),
            message: secret::scrubbed(message.clone(), &envelope.secrets, None),
        });
        // RFC 5321 §6.3: whatever else it is, a loop must end.
        if copy.is_some() && message::read(&message) == Err(message::Unfit::Loop) {
            let refused = unfit(message::Unfit::Loop);
            return Verdict {
                numbers: (!envelope.recipients.is_empty()).then(|| Err(refused.clone())),
                postmaster: Some(Err(refused)),
            };
        }
        // The fax first: when the copy for postmaster fails then, the client sends the mail again, and the
        // fax is known to be the same.
        let numbers = match envelope.recipients.is_empty() {
            true => None,
            false => Some(self.keep(envelope, message).await),
        };
        let refused = numbers.as_ref().and_then(|kept| kept.as_ref().err());
        let postmaster = match (copy, refused) {
            (None, _) => None,
            (Some(_), Some(answer)) if !each => Some(Err(answer.clone())),
            (Some(copy), _) => Some(self.house.hand_on(copy).await.map_err(not_taken)),
        };
        Verdict {
            numbers,
            postmaster,
        }
    }

    /// What RCPT would have said, had the sender been known by then. One refused number refuses the mail: there is
    /// one answer for all.
    async fn afterwards(
        &self,
        person: &Person,
        tenant: Option<&str>,
        recipients: &[FaxRecipient],
    ) -> Result<(), Answer> {
        for recipient in recipients {
            if tenant != Some(person.tenant_id.as_str()) {
                let (_, domain) = parts(&recipient.address);
                return Err(relaying_denied(&domain.unwrap_or_default()));
            }
            self.allowed(person, &recipient.destination).await?;
        }
        Ok(())
    }

    /// The numbers that no address in To or Cc is. Both are read by the dial plan, so that a number may be written
    /// in one way there and in another in the envelope; the domain must be the same.
    fn unnamed(&self, recipients: &[FaxRecipient], to: &[String]) -> Vec<String> {
        let named: Vec<(dial::Address, String)> = to
            .iter()
            .filter_map(|address| {
                let (address, _) = secret::of_address(address).ok()?;
                let (local_part, domain) = parts(&address);
                // RFC 5322 §3.4.1: a number with spaces or brackets stands in quotes there.
                let local_part = local_part.trim_matches('"').replace('\\', "");
                let number = dial::parse_address(&local_part, &self.plan).ok()?;
                Some((number, domain?))
            })
            .collect();
        let is_named = |recipient: &&FaxRecipient| {
            let (_, domain) = parts(&recipient.address);
            named.iter().any(|(number, at)| {
                number.destination == recipient.destination
                    && number.sub_address == recipient.sub_address
                    && domain.as_ref() == Some(at)
            })
        };
        let unnamed = recipients.iter().filter(|recipient| !is_named(recipient));
        unnamed
            .map(|recipient| recipient.destination.to_string())
            .collect()
    }

    async fn keep(&self, envelope: Envelope, message: Vec<u8>) -> Result<Kept, Answer> {
        let (message, heading) = if message.len() > READ_APART {
            tokio::task::spawn_blocking(move || {
                let heading = message::read(&message);
                (message, heading)
            })
            .await
            .map_err(|_| later(&"the message could not be read"))?
        } else {
            let heading = message::read(&message);
            (message, heading)
        };
        let heading = heading.map_err(unfit)?;
        let (subject, in_subject) = secret::of_subject(&heading.subject);
        let new_subject = in_subject.is_some().then_some(subject.as_str());
        let mut secrets = envelope.secrets;
        secrets.extend(in_subject);
        let message = Arc::new(message);
        let settled = envelope
            .claim
            .as_ref()
            .is_ok_and(|claim| claim.person().is_some());
        let shown = Shown {
            message: &message,
            from: &heading.from,
            unnamed: &self.unnamed(&envelope.recipients, &heading.to),
            secrets: &secrets,
        };
        let sender = self
            .prover
            .prove(envelope.claim?, shown, &*self.house)
            .await;
        let sender = sender.map_err(refused_sender)?;
        if !settled {
            self.afterwards(
                sender.user(),
                envelope.tenant.as_deref(),
                &envelope.recipients,
            )
            .await?;
        }
        // Nothing that is kept has them: not the message, its subject or its recipients.
        let message = secret::scrubbed(Arc::unwrap_or_clone(message), &secrets, new_subject);
        self.house
            .accept(Mail {
                sender,
                reverse_path: envelope.reverse_path,
                envid: envelope.envid,
                ret: envelope.ret,
                recipients: envelope.recipients,
                message_id: heading.message_id,
                subject,
                password: heading.password,
                message,
            })
            .await
            .map_err(not_taken)
    }
}

/// What became of a message, for each kind of recipient that it has.
#[derive(Clone, Debug)]
pub struct Verdict {
    numbers: Option<Result<Kept, Answer>>,
    postmaster: Option<Result<String, Answer>>,
}

impl Verdict {
    /// One answer for all (RFC 5321 §3.3): 250 only when it is kept for all.
    #[must_use]
    pub fn as_one(&self) -> Answer {
        match (&self.numbers, &self.postmaster) {
            (Some(Err(answer)), _) | (_, Some(Err(answer))) => answer.clone(),
            (Some(Ok(kept)), Some(Ok(_))) => {
                kept_answer(format!("{}; the postmaster gets it too", kept_words(kept)))
            }
            (Some(Ok(kept)), None) => kept_answer(kept_words(kept)),
            (None, Some(Ok(_))) => self.of_postmaster(),
            (None, None) => nobody(),
        }
    }

    /// The answer for a number (RFC 2033 §4.2).
    #[must_use]
    pub fn of_numbers(&self) -> Answer {
        match &self.numbers {
            Some(Ok(kept)) => kept_answer(kept_words(kept)),
            Some(Err(answer)) => answer.clone(),
            None => nobody(),
        }
    }

    /// The answer for postmaster.
    #[must_use]
    pub fn of_postmaster(&self) -> Answer {
        match &self.postmaster {
            Some(Ok(id)) => kept_answer(format!("{id} is kept and goes to the postmaster")),
            Some(Err(answer)) => answer.clone(),
            None => nobody(),
        }
    }
}

fn kept_answer(words: String) -> Answer {
    Answer::new(250, "2.0.0", words)
}

/// No door asks for a verdict without recipients.
fn nobody() -> Answer {
    Answer::new(503, "5.5.1", "the mail has no recipient")
}

/// The local part, and the domain in lower case.
fn parts(address: &str) -> (&str, Option<String>) {
    match address.rsplit_once('@') {
        Some((local_part, domain)) => (
            local_part,
            Some(domain.trim_end_matches('.').to_lowercase()),
        ),
        None => (address, None),
    }
}

fn relaying_denied(domain: &str) -> Answer {
    Answer::new(
        550,
        "5.7.1",
        format!(
            "relaying denied: {domain} is not a fax domain of your organisation; mail for \
             people goes through your own mail server"
        ),
    )
}

fn kept_words(kept: &Kept) -> String {
    let id = &kept.submission;
    match (kept.faxed, kept.again) {
        (_, 0) => format!("{id} is kept and will be faxed"),
        (0, _) => format!("{id} is kept since this mail came before: it is not faxed again"),
        (faxed, again) => format!(
            "{id} is kept and will be faxed to {faxed} of {}: the others had this mail before",
            faxed + again
        ),
    }
}

fn passwords_unchecked() -> Answer {
    Answer::new(
        454,
        "4.7.0",
        "passwords can't be checked just now: try again in a few minutes",
    )
}

fn refused_sender(refusal: Refusal) -> Answer {
    let (code, status) = match &refusal {
        // RFC 4954 §6: what a client needs to hear to try with a login.
        Refusal::Unproven => (530, "5.7.0"),
        // RFC 3463 §3.5: the directory that is down is the DNS.
        Refusal::Dns(_) => (451, "4.4.3"),
        refusal if refusal.trouble() == Trouble::Temporary => (451, "4.3.0"),
        refusal if refusal.is_malformed() => (550, "5.6.0"),
        _ => (550, "5.7.1"),
    };
    Answer::new(code, status, refusal.to_string())
}

fn unfit(fault: message::Unfit) -> Answer {
    let (code, status) = match fault {
        message::Unfit::Loop => (554, "5.4.6"),
        message::Unfit::AutomaticReply => (550, "5.7.1"),
        message::Unfit::Encrypted(_) => (550, "5.7.5"),
        _ => (554, "5.6.0"),
    };
    Answer::new(code, status, fault.to_string())
}

fn not_taken(error: NotTaken) -> Answer {
    match error.trouble {
        Trouble::Temporary => Answer::new(451, "4.3.0", error.sentence),
        Trouble::Permanent => Answer::new(554, "5.3.0", error.sentence),
    }
}

fn later(what: &dyn std::fmt::Display) -> Answer {
    Answer::new(451, "4.3.0", format!("{what}: try again in a few minutes"))
}
