//! What the doors decide: who sent it, where to, is it fit; then the house keeps it.
//!
//! Every refusal is an [`Answer`] that names the rule and what to do (promise 2).

use std::{net::IpAddr, sync::Arc};

use super::{
    Answer, asked,
    house::{FaxRecipient, House, Kept, Mail, NotTaken, PostmasterMail},
    message,
    named::{self, Found, Named},
    rates::{self, Rates},
    reading::{Read, Scrub, apart, examined},
    replies::{self, Reply},
    smtp,
    verdict::Verdict,
};
use crate::{
    books,
    dial::{self, DialPlan},
    documents,
    language::Told,
    letter::{Part, Refused},
    options::{self, Wishes},
    people::Verifier,
    policy::{ClientCertificate, Limits},
    relay::{ReturnPaths, bounce},
    sender::{Claim, DirectoryDown, Peer, Person, Prover, Refusal, Secret, Shown, secret},
    submission::Door,
    tokens::{Invalid, Token},
    trouble::Trouble,
};

/// Secrets that may come with a mail: each is looked up before anything is proven.
const SECRETS: usize = 3;

/// The decisions of every mail door.
pub struct Intake {
    pub(super) house: Arc<dyn House>,
    pub(super) prover: Prover,
    pub(super) plan: DialPlan,
    pub(super) rates: Rates,
    /// Our name in Message-IDs.
    pub(super) hostname: String,
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
    /// The names taken so far: whom they stand for is looked up when it is known who sends.
    pub named: Vec<Named>,
    /// Postmaster is a recipient.
    pub postmaster: bool,
    /// It replies to this mail of ours, and goes nowhere else.
    pub reply: Option<Replies>,
    /// Mails of ours to whose return paths it goes.
    pub returned: Vec<String>,
}

/// A mail of ours that is replied to.
#[derive(Clone, Debug)]
pub struct Replies {
    /// Which.
    pub token: Token,
    /// The address as it was given.
    pub address: String,
}

/// Whom an address in RCPT means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A fax number.
    Number(Box<Numbered>),
    /// A contact, a contact group, or the list that comes with the mail.
    Name(Box<ByName>),
    /// Who runs this.
    Postmaster,
    /// Us, as a reply to this mail of ours.
    Reply(Token),
    /// A return path of ours, by the mail that went out with it.
    Returned(String),
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
    /// The options that were in it.
    pub wishes: Wishes,
}

/// A name that was read of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByName {
    /// As phone books have it.
    pub name: String,
    /// Whose fax domain it is at.
    pub tenant: String,
    /// The address without a secret.
    pub given: String,
    /// The secret that was in it.
    pub secret: Option<Secret>,
    /// The options that were in it.
    pub wishes: Wishes,
}

impl Intake {
    /// Decides by the operator's rules, on the rooms behind.
    #[must_use]
    pub fn new(house: Arc<dyn House>, prover: Prover, plan: DialPlan) -> Self {
        Self {
            house,
            prover,
            plan,
            rates: Rates::new(Limits::default()),
            hostname: String::new(),
        }
    }

    /// The same on a host of this name, whose own mails are known by it.
    #[must_use]
    pub fn on_host(mut self, hostname: &str) -> Self {
        hostname.clone_into(&mut self.hostname);
        self
    }

    /// The same with other limits than the built-in ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.rates = Rates::new(limits);
        self
    }

    /// Who may bring how much.
    #[must_use]
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Whether some rule lists this address: such a host is not counted as a source.
    #[must_use]
    pub fn is_listed(&self, peer: IpAddr) -> bool {
        self.prover.knows(peer)
    }

    /// Whether a client's certificate is enough for some rule.
    #[must_use]
    pub fn lists(&self, certificate: &ClientCertificate) -> bool {
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
        let address = peer.address;
        let claim = self.prover.claim(peer, reverse_path, &*self.house).await;
        match &claim {
            Ok(claim) if !claim.is_open() => {
                if let Some(person) = claim.person() {
                    self.rates.known(person)?;
                }
            }
            // Of a client behind a proxy that does not say where it is, nobody knows whose share it is.
            _ => {
                if let Some(address) = address.filter(|address| !self.is_listed(*address)) {
                    self.rates.stranger(address)?;
                }
            }
        }
        match claim {
            Ok(claim) => Ok(Ok(claim)),
            // Mail systems report on our mails to return paths of ours.
            Err(refusal) if reverse_path.is_empty() => Ok(Err(refused_sender(refusal))),
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
        if ReturnPaths::is_one(local_part) {
            return self.return_path(envelope, local_part);
        }
        let tenant = match &domain {
            Some(domain) => self.house.tenant_of_domain(domain).await,
            None => Ok(None),
        };
        let tenant = tenant.map_err(|down| later(&down))?;
        // RFC 5321 §4.5.1: whatever its case, with one of our domains or with none.
        if local_part.eq_ignore_ascii_case("postmaster") && (domain.is_none() || tenant.is_some()) {
            if envelope.reply.is_some() {
                return Err(reply_alone());
            }
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
        // The same in each address is one.
        let secret = secret.filter(|secret| !envelope.secrets.contains(secret));
        if secret.is_some() && envelope.secrets.len() >= SECRETS {
            return Err(too_many_secrets());
        }
        if let Some(text) = replies::token_of(local_part) {
            let numbers = envelope.recipients.len() + envelope.named.len();
            let taken = numbers > 0 || envelope.postmaster;
            return self
                .replied_to(text, &tenant, taken || envelope.reply.is_some())
                .await;
        }
        if envelope.reply.is_some() {
            return Err(reply_alone());
        }
        let (plain, wishes) = options::of_address(local_part).map_err(unfit_address)?;
        if let Some(name) = name_of(&plain) {
            let by_name = ByName {
                name,
                tenant,
                given: given.clone(),
                secret,
                wishes,
            };
            return self.by_name(envelope, claim.person(), by_name).await;
        }
        let number = self.number(&plain)?;
        let before = envelope.recipients.iter().find(|before| {
            (&before.destination, &before.sub_address) == (&number.destination, &number.sub_address)
        });
        if before.is_some_and(|before| before.wishes != wishes) {
            return Err(asked_otherwise(&number));
        }
        if let Some(person) = claim.person() {
            let allowed = self.allowed(person, &number.destination).await;
            allowed.map_err(|denied| denied.answer)?;
        }
        Ok(Recipient::Number(Box::new(Numbered {
            address: number,
            tenant,
            given: given.clone(),
            secret,
            wishes,
        })))
    }

    /// The mail of ours that an address stands for.
    async fn replied_to(&self, text: &str, tenant: &str, mixed: bool) -> Result<Recipient, Answer> {
        if mixed {
            return Err(reply_alone());
        }
        let token = self.house.token(text).await.map_err(|down| later(&down))?;
        // Another tenant's is told as one that is nobody's.
        let token = match token {
            Ok(token) if token.tenant_id != tenant => Err(Invalid::Unknown),
            token => token,
        };
        match token {
            Ok(token) => Ok(Recipient::Reply(token)),
            Err(why) => Err(Answer::new(550, "5.1.1", why.to_string())),
        }
    }

    /// Proves who replies, and has done what they say.
    async fn reply(&self, envelope: Envelope, read: Read, to: Replies) -> Result<String, Answer> {
        let heading = read.heading.map_err(unfit)?;
        // As a number's, so that a signature proves the reply only where it covers whom it is for.
        let named = heading
            .to
            .iter()
            .any(|to_line| to_line.eq_ignore_ascii_case(&to.address));
        let unnamed = if named { Vec::new() } else { vec![to.address] };
        let shown = Shown {
            message: &read.message,
            from: &heading.from,
            unnamed: &unnamed,
            secrets: &read.scrub.secrets,
        };
        let sender = self
            .prover
            .prove(envelope.claim?, shown, &*self.house)
            .await;
        let sender = sender.map_err(refused_sender)?;
        self.rates.known(sender.user())?;
        self.rates.sent(sender.user());
        let message = Arc::unwrap_or_clone(read.message);
        let word = apart(message, |message| replies::word_of(&message)).await?;
        let word = word.ok_or_else(replies::no_word)?;
        let reply = Reply {
            sender,
            token: to.token,
            said: word,
        };
        self.house.reply(reply).await
    }

    /// Whether there is such a name, where it is known who asks: nobody else hears whom a phone book has.
    async fn by_name(
        &self,
        envelope: &Envelope,
        person: Option<&Person>,
        by_name: ByName,
    ) -> Result<Recipient, Answer> {
        let name = &by_name.name;
        let before = envelope.named.iter().find(|before| before.name == *name);
        if before.is_some_and(|before| before.wishes != by_name.wishes) {
            return Err(asked_otherwise(name));
        }
        if let (Some(person), true) = (person, name != documents::LIST) {
            let (tenant, user) = (&person.tenant_id, &person.user_id);
            let found = self.house.contacts(tenant, user, name).await;
            if found.map_err(|down| later(&down))?.is_none() {
                return Err(named::nobody(name));
            }
        }
        Ok(Recipient::Name(Box::new(by_name)))
    }

    /// A return path of ours takes what mail systems say of the mail that it went out with (RFC 5321 §4.5.5), and
    /// nothing else: automatic answers with a sender of their own would be heard by nobody.
    fn return_path(&self, envelope: &Envelope, local_part: &str) -> Result<Recipient, Answer> {
        let Some(mail) = self.house.returned_mail(local_part) else {
            let words = "no mail of ours went out with this address";
            return Err(Answer::new(550, "5.1.1", words));
        };
        if !envelope.reverse_path.is_empty() {
            let words =
                "this address takes the reports of mail systems alone (sender <>): nobody reads it";
            return Err(Answer::new(550, "5.7.1", words));
        }
        Ok(Recipient::Returned(mail))
    }

    pub(super) fn number(&self, local_part: &str) -> Result<dial::Address, Answer> {
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
    pub(super) async fn allowed(
        &self,
        person: &Person,
        number: &dial::Destination,
    ) -> Result<(), Denied> {
        let (tenant, user) = (&person.tenant_id, &person.user_id);
        let refusal = self.house.not_allowed(tenant, user, number).await;
        match refusal.map_err(|down| later(&down))? {
            None => Ok(()),
            Some(why) => Err(Denied {
                answer: Answer::new(550, "5.7.1", format!("{number}: {}", why.en)),
                why: Some(why),
            }),
        }
    }

    /// Reads the message, proves its sender and has it kept. `each`: what fails for some recipients is no
    /// reason to keep nothing for the others, since each gets an answer.
    pub async fn message(&self, envelope: Envelope, message: Vec<u8>, each: bool) -> Verdict {
        let numbers = envelope.recipients.len() + envelope.named.len();
        let returns = envelope.returned.len();
        let of_all = |answer: &Answer, postmaster: bool| Verdict {
            numbers: vec![Err(answer.clone()); numbers],
            postmaster: postmaster.then(|| Err(answer.clone())),
            reply: envelope.reply.as_ref().map(|_| Err(answer.clone())),
            returned: vec![Err(answer.clone()); returns],
        };
        let known = envelope.secrets.clone();
        let read = apart(message, move |message| examined(message, known)).await;
        let read = match read {
            Ok(read) => read,
            Err(answer) => return of_all(&answer, envelope.postmaster),
        };
        let id = read
            .heading
            .as_ref()
            .ok()
            .and_then(|heading| heading.message_id.as_deref());
        if id.is_some_and(|id| message::is_own(id, &self.hostname)) {
            return of_all(&unfit(message::Unfit::Own), envelope.postmaster);
        }
        // RFC 5321 §6.3: whatever else it is, a loop must end.
        if read.heading == Err(message::Unfit::Loop) {
            return of_all(&unfit(message::Unfit::Loop), envelope.postmaster);
        }
        if let Some(to) = envelope.reply.clone() {
            return Verdict {
                numbers: Vec::new(),
                postmaster: None,
                returned: Vec::new(),
                reply: Some(self.reply(envelope, read, to).await),
            };
        }
        let returned = self.returned(&envelope.returned, &read.message).await;
        let note = envelope.postmaster.then(|| {
            let (reverse_path, message) =
                (envelope.reverse_path.clone(), Arc::clone(&read.message));
            (reverse_path, message, read.scrub.clone())
        });
        // The fax first: when the copy for postmaster fails then, the client sends the mail again, and the
        // fax is known to be the same.
        let kept = match numbers {
            0 => Vec::new(),
            _ => match self.keep(envelope, read, each).await {
                Ok(kept) => kept,
                Err(answer) => vec![Err(answer); numbers],
            },
        };
        // Where some are kept, a letter tells of the others.
        let none = !kept.iter().any(Result::is_ok);
        let refused = kept.iter().find_map(|kept| kept.as_ref().err());
        let refused = refused.filter(|_| none);
        let postmaster = match (note, refused) {
            (None, _) => None,
            (Some(_), Some(answer)) if !each => Some(Err(answer.clone())),
            (Some((reverse_path, message, scrub)), _) => {
                Some(self.hand_on(reverse_path, message, scrub).await)
            }
        };
        Verdict {
            numbers: kept,
            postmaster,
            reply: None,
            returned,
        }
    }

    /// What a mail system says of mails of ours. It is no fax, and nobody is answered.
    async fn returned(&self, mails: &[String], message: &Arc<Vec<u8>>) -> Vec<Result<(), Answer>> {
        if mails.is_empty() {
            return Vec::new();
        }
        let message = Arc::clone(message);
        let read = tokio::task::spawn_blocking(move || bounce::read(&message)).await;
        let Ok(read) = read else {
            let words = "the report could not be read: try again in a few minutes";
            return vec![Err(Answer::new(451, "4.3.0", words)); mails.len()];
        };
        let mut said = Vec::new();
        for mail in mails {
            let done = self.house.returned(mail, &read).await;
            said.push(done.map_err(not_taken));
        }
        said
    }

    async fn hand_on(
        &self,
        reverse_path: String,
        message: Arc<Vec<u8>>,
        scrub: Scrub,
    ) -> Result<String, Answer> {
        let message = Arc::unwrap_or_clone(message);
        let message = apart(message, move |message| scrub.of(message)).await?;
        let mail = PostmasterMail {
            reverse_path,
            message,
        };
        self.house.hand_on(mail).await.map_err(not_taken)
    }

    /// What RCPT would have said of each number, had the sender been known by then.
    pub(super) async fn afterwards(
        &self,
        person: &Person,
        tenant: Option<&str>,
        recipients: &[FaxRecipient],
    ) -> Vec<Result<(), Denied>> {
        let mut said = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            said.push(if tenant == Some(person.tenant_id.as_str()) {
                self.allowed(person, &recipient.destination).await
            } else {
                let (_, domain) = parts(&recipient.address);
                Err(not_your_domain(&domain.unwrap_or_default()))
            });
        }
        said
    }

    /// The numbers that no address in To or Cc is. Both are read by the dial plan, so that a number may be written
    /// in one way there and in another in the envelope; the domain must be the same.
    pub(super) fn unnamed(
        &self,
        (numbered, called): (&[FaxRecipient], &[Named]),
        to: &[String],
    ) -> Vec<String> {
        let (mut numbers, mut names) = (Vec::new(), Vec::new());
        for address in to {
            let Ok((address, _)) = secret::of_address(address) else {
                continue;
            };
            let (local_part, Some(domain)) = parts(&address) else {
                continue;
            };
            // RFC 5322 §3.4.1: a number with spaces or brackets stands in quotes there.
            let local_part = local_part.trim_matches('"').replace('\\', "");
            let Ok((plain, wishes)) = options::of_address(&local_part) else {
                continue;
            };
            if let Some(name) = name_of(&plain) {
                names.push((name, wishes, domain));
            } else if let Ok(number) = dial::parse_address(&plain, &self.plan) {
                numbers.push((number, wishes, domain));
            }
        }
        // Who proves the line proves what it asks, and nothing more.
        let is_named = |recipient: &&FaxRecipient| {
            let (_, domain) = parts(&recipient.address);
            numbers.iter().any(|(number, wishes, at)| {
                number.destination == recipient.destination
                    && number.sub_address == recipient.sub_address
                    && *wishes == recipient.wishes
                    && domain.as_ref() == Some(at)
            })
        };
        let has_name = |named: &&Named| {
            let (_, domain) = parts(&named.address);
            names.iter().any(|(name, wishes, at)| {
                *name == named.name && *wishes == named.wishes && domain.as_ref() == Some(at)
            })
        };
        let asking = |wishes: &Wishes, plain: &str, address: &str| match wishes.is_empty() {
            true => plain.to_owned(),
            false => format!("{address} with what it asks"),
        };
        let numbers = (numbered.iter())
            .filter(|recipient| !is_named(recipient))
            .map(|one| asking(&one.wishes, one.destination.as_str(), &one.address));
        let names = (called.iter())
            .filter(|named| !has_name(named))
            .map(|one| asking(&one.wishes, &one.name, &one.address));
        numbers.chain(names).collect()
    }

    /// What became of each number. Where there is one answer for all and some numbers are taken, the others are told
    /// by a letter that is owed with them; what may go better later refuses the mail for now.
    async fn keep(
        &self,
        envelope: Envelope,
        read: Read,
        each: bool,
    ) -> Result<Vec<Result<Kept, Answer>>, Answer> {
        let heading = read.heading.map_err(unfit)?;
        if read.unsound {
            return Err(unsound_secret());
        }
        if read.scrub.secrets.len() > SECRETS {
            return Err(too_many_secrets());
        }
        let settled = envelope
            .claim
            .as_ref()
            .is_ok_and(|claim| claim.person().is_some());
        let shown = Shown {
            message: &read.message,
            from: &heading.from,
            unnamed: &self.unnamed((&envelope.recipients, &envelope.named), &heading.to),
            secrets: &read.scrub.secrets,
        };
        let sender = self
            .prover
            .prove(envelope.claim?, shown, &*self.house)
            .await;
        let sender = sender.map_err(refused_sender)?;
        self.rates.known(sender.user())?;
        let person = sender.user().clone();
        let mut said: Vec<Result<(), Denied>> =
            envelope.recipients.iter().map(|_| Ok(())).collect();
        if !settled {
            let tenant = envelope.tenant.as_deref();
            said = self
                .afterwards(sender.user(), tenant, &envelope.recipients)
                .await;
        }
        let names = if envelope.named.is_empty() {
            (Found::default(), Vec::new())
        } else if envelope.tenant.as_deref() == Some(sender.user().tenant_id.as_str()) {
            let (person, taken) = (sender.user(), &envelope.recipients);
            named::all(self, person, &envelope.named, taken, &read.message).await?
        } else {
            // A stranger's fax domain, which RCPT could not know yet.
            let (_, domain) = parts(&envelope.named[0].address);
            return Err(not_your_domain(&domain.unwrap_or_default()).answer);
        };
        let (found, names_said) = names;
        if let (false, Some(answer)) =
            (each, names_said.iter().find_map(|said| said.as_ref().err()))
        {
            return Err(answer.clone());
        }
        let later = |denied: &&Denied| denied.why.is_none();
        let denials = || said.iter().filter_map(|said| said.as_ref().err());
        if let (false, Some(denied)) = (each, denials().find(later)) {
            return Err(denied.answer.clone());
        }
        if said.iter().all(Result::is_err) && found.recipients.is_empty() {
            let mut all = refusals(said);
            let again = names_said
                .into_iter()
                .map(|said| said.and_then(|()| Err(nothing_new())));
            all.extend(again);
            return Ok(all);
        }
        let wishes = read
            .wishes
            .map_err(|fault| unfit(message::Unfit::Options(fault)))?;
        let mut refused = found.refused;
        let mut recipients = Vec::new();
        for (recipient, said) in std::iter::zip(envelope.recipients, &said) {
            match said {
                Ok(()) => recipients.push(recipient),
                Err(Denied { why: Some(why), .. }) if !each => refused.push(Refused {
                    part: Part::Recipient,
                    name: recipient.address,
                    why: why.clone(),
                }),
                Err(_) => {}
            }
        }
        recipients.extend(found.recipients);
        let options = asked::settle(
            &*self.house,
            &self.plan,
            sender.user(),
            wishes,
            &mut recipients,
        )
        .await?;
        // Nothing that is kept has them: not the message, its subject or its recipients.
        let (message, scrub) = (Arc::unwrap_or_clone(read.message), read.scrub);
        let message = apart(message, move |message| scrub.of(message)).await?;
        let kept = self.house.accept(Mail {
            door: Door::Smtp,
            told_by: Vec::new(),
            sender,
            reverse_path: envelope.reverse_path,
            envid: envelope.envid,
            ret: envelope.ret,
            recipients,
            refused,
            message_id: heading.message_id,
            subject: read.subject,
            options,
            password: heading.password,
            message,
        });
        let kept = kept.await.map_err(not_taken);
        if kept.as_ref().is_ok_and(|kept| kept.faxed > 0) {
            self.rates.sent(&person);
        }
        let each = said.into_iter().map(told).chain(names_said);
        Ok(each.map(|said| said.and_then(|()| kept.clone())).collect())
    }
}

/// Why a number is not taken.
pub(super) struct Denied {
    pub answer: Answer,
    /// For good; `None`: it may go better later.
    pub why: Option<Told>,
}

impl From<Answer> for Denied {
    fn from(answer: Answer) -> Self {
        Self { answer, why: None }
    }
}

fn told(said: Result<(), Denied>) -> Result<(), Answer> {
    said.map_err(|denied| denied.answer)
}

/// The name that a local part is, where it is none of a number.
fn name_of(local_part: &str) -> Option<String> {
    let list = local_part.eq_ignore_ascii_case(documents::LIST);
    list.then(|| documents::LIST.to_owned())
        .or_else(|| books::entry_name(local_part))
}

fn refusals(said: Vec<Result<(), Denied>>) -> Vec<Result<Kept, Answer>> {
    let refused = said.into_iter().filter_map(Result::err);
    refused.map(|denied| Err(denied.answer)).collect()
}

pub(super) fn not_your_domain(domain: &str) -> Denied {
    Denied {
        answer: relaying_denied(domain),
        why: Some(Told {
            en: format!(
                "{domain} is not a fax domain of your organisation; mail for people goes through your own mail server"
            ),
            fr: format!(
                "{domain} n'est pas un domaine de fax de votre organisation\u{a0}; le courrier destiné à des personnes \
                 passe par votre propre serveur de messagerie"
            ),
        }),
    }
}

/// The local part, and the domain in lower case.
pub(super) fn parts(address: &str) -> (&str, Option<String>) {
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

fn reply_alone() -> Answer {
    // RFC 5321 §4.5.3.1.10: what a client sends again in another transaction.
    Answer::new(
        452,
        "4.5.3",
        "a reply to a mail of ours goes in a mail of its own: send it in another",
    )
}

pub(super) fn too_many_secrets() -> Answer {
    let words = format!(
        "a mail has {SECRETS} secrets at most: one is enough, in one address or the subject"
    );
    Answer::new(550, "5.7.1", words)
}

fn unfit_address(fault: options::Fault) -> Answer {
    Answer::new(550, "5.1.3", fault.to_string())
}

pub(super) fn asked_otherwise(number: &dyn std::fmt::Display) -> Answer {
    let words =
        format!("{number} is a recipient already, with other options: it is faxed once a mail");
    Answer::new(550, "5.1.3", words)
}

/// Of a name all of whose numbers were refused under their own addresses.
fn nothing_new() -> Answer {
    Answer::new(
        550,
        "5.7.1",
        "none of its numbers can be faxed: see the answers before",
    )
}

pub(super) fn unsound_secret() -> Answer {
    let words = "the [secret …] in the subject is not as it was given: 26 letters and digits from 2 to 7, in brackets behind \
                 the word and a space; put it right, or take it out";
    Answer::new(550, "5.7.1", words.replace('…', "..."))
}

fn passwords_unchecked() -> Answer {
    Answer::new(
        454,
        "4.7.0",
        "passwords can't be checked just now: try again in a few minutes",
    )
}

pub(super) fn refused_sender(refusal: Refusal) -> Answer {
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

pub(super) fn unfit(fault: message::Unfit) -> Answer {
    let (code, status) = match fault {
        message::Unfit::Loop => (554, "5.4.6"),
        message::Unfit::AutomaticReply | message::Unfit::Bulk(_) => (550, "5.7.1"),
        message::Unfit::Own => (554, "5.4.6"),
        message::Unfit::Encrypted(_) => (550, "5.7.5"),
        _ => (554, "5.6.0"),
    };
    Answer::new(code, status, fault.to_string())
}

pub(super) fn not_taken(error: NotTaken) -> Answer {
    match (error.trouble, error.limited) {
        (Trouble::Temporary, Some(limited)) => {
            rates::later(451, "4.7.1", &error.sentence, limited.wait)
        }
        (Trouble::Temporary, None) => Answer::new(451, "4.3.0", error.sentence),
        (Trouble::Permanent, Some(_)) => Answer::new(550, "5.7.1", error.sentence),
        (Trouble::Permanent, None) => Answer::new(554, "5.3.0", error.sentence),
    }
}

pub(super) fn later(what: &dyn std::fmt::Display) -> Answer {
    Answer::new(451, "4.3.0", format!("{what}: try again in a few minutes"))
}
