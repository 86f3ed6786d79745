//! Holds who says to send against the operator's rules.

use std::{net::IpAddr, sync::Arc};

use mail_parser::MessageParser;

use super::{
    Claim, Directory, Dns, FromLine, Once, Open, Peer, Person, Proof, Refusal, SenderRules,
    Settled, Shown, State, VerifiedSender, Why,
    alignment::{self, Aligned, domain_of, same_name},
    copies::{self, Age},
    dns::BUDGET,
    results::{self, Word},
    signature::{self, Found},
};
use crate::{
    clock::{Millis, now_ms},
    policy::{
        ClientCertificate,
        senders::{Becomes, Listed, ProofKind, Rule},
    },
};

/// Messages above this many octets are hashed on a thread of their own, so that no session waits.
const HASH_APART: usize = 1 << 20;

type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Believes senders by the operator's rules.
#[derive(Clone)]
pub struct Prover {
    rules: Arc<SenderRules>,
    /// None where the system's configuration can't be read.
    dns: Option<Dns>,
    clock: Clock,
}

/// What proved a message, and whether a copy of it, in other hands, would show the same.
type Evidence = (Proof, bool);

impl Prover {
    /// Believes by `rules`, asking `dns`.
    #[must_use]
    pub fn new(rules: SenderRules, dns: Option<Dns>) -> Self {
        Self {
            rules: rules.into(),
            dns,
            clock: Arc::new(now_ms),
        }
    }

    /// The same at another time, for mails that were signed long ago.
    #[must_use]
    pub fn at(mut self, clock: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Whether a certificate is enough for some rule.
    #[must_use]
    pub fn lists(&self, certificate: &ClientCertificate) -> bool {
        self.rules.lists(certificate, (self.clock)())
    }

    /// Whether some rule lists an address, as a network or a relay.
    #[must_use]
    pub fn knows(&self, peer: IpAddr) -> bool {
        self.rules.knows(peer)
    }

    /// Judges the envelope sender: `reverse_path` is the address in MAIL, empty for `<>`. A peer that proves it must
    /// prove it for a user (the very user, after SMTP AUTH). Otherwise the claim stays open where some rule takes what a
    /// message can show.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn claim(
        &self,
        peer: Peer<'_>,
        reverse_path: &str,
        directory: &dyn Directory,
    ) -> Result<Claim, Refusal> {
        // RFC 5321 §4.5.5: only reports of mail systems come from <>, and they are no documents.
        if reverse_path.is_empty() {
            return Err(Refusal::NullReversePath);
        }
        let reverse_path = reverse_path.to_lowercase();
        match self.settle(peer, &reverse_path, directory).await {
            Ok(settled) => Ok(Claim(State::Settled(settled))),
            Err(refusal)
                if peer.login.is_none()
                    && !matches!(refusal, Refusal::Directory(_))
                    && self.rules.message_may_prove(peer.address) =>
            {
                Ok(Claim(State::Open(Open {
                    peer: peer.address,
                    greeting: peer.greeting.to_owned(),
                    reverse_path,
                    believes: None,
                    refusal,
                })))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The claim of a mail that was fetched from a mailbox: there was no envelope and no client, so that the message
    /// alone can prove it. `believes` is the authserv-id (lower case) of the mailbox's own server, where it is believed.
    #[must_use]
    pub fn fetched(&self, believes: Option<&str>) -> Claim {
        Claim(State::Open(Open {
            peer: None,
            greeting: String::new(),
            reverse_path: String::new(),
            believes: believes.map(str::to_owned),
            refusal: Refusal::Fetched,
        }))
    }

    /// What the connection alone proves.
    async fn settle(
        &self,
        peer: Peer<'_>,
        reverse_path: &str,
        directory: &dyn Directory,
    ) -> Result<Settled, Refusal> {
        let rule = self.rules.rule_for(reverse_path);
        let trusted = peer
            .address
            .filter(|peer| rule.is_some_and(|rule| rule.trusts(*peer)));
        let shown = peer
            .certificate
            .zip(rule)
            .and_then(|(shown, rule)| rule.shown(shown, (self.clock)()));
        let proof = match (peer.login, shown, trusted) {
            (Some(_), ..) => Proof::Password,
            (None, Some(Listed::Itself(digest)), _) => Proof::Certificate(digest),
            (None, Some(Listed::Name(name)), _) => Proof::Authority(name),
            (None, None, Some(peer)) => Proof::Network(peer.to_canonical()),
            (None, None, None) => return Err(Refusal::Unproven),
        };
        let Some(rule) = rule.filter(|rule| rule.takes(kind_of(&proof))) else {
            return Err(Refusal::NotEnough(reverse_path.to_owned()));
        };
        let known = known(rule, reverse_path, directory).await;
        let is = |person: &Option<Person>, login: &Person| {
            (person.as_ref()).is_some_and(|person| person.user_id == login.user_id)
        };
        let person = match (known, peer.login) {
            (Ok(person), Some(login)) if !is(&person, login) => {
                return Err(Refusal::NotTheLogins(reverse_path.to_owned()));
            }
            (Err(Refusal::Unknown(address)), Some(_)) => {
                return Err(Refusal::NotTheLogins(address));
            }
            (person, _) => person?,
        };
        Ok(Settled {
            person,
            proof,
            certificate: peer.certificate.cloned(),
            reverse_path: reverse_path.to_owned(),
        })
    }

    /// Holds the message against the claim: there must be one From line with one address (RFC 5322 §3.6.2 allows more,
    /// but then nobody can say who sent it), and the first rule that matches it decides.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn prove(
        &self,
        claim: Claim,
        shown: Shown<'_>,
        directory: &dyn Directory,
    ) -> Result<VerifiedSender, Refusal> {
        let from = one_address(shown.from)?;
        let rule = self.rules.rule_for(&from);
        let rule = rule.ok_or_else(|| Refusal::NoRule(from.clone()))?;
        let (known, proof, replayable) = match claim.0 {
            State::Settled(settled) => {
                let now = (self.clock)();
                let (person, proof) = by_settled(settled, rule, &from, directory, now).await?;
                (person, proof, false)
            }
            State::Open(open) => {
                let (proof, replayable) =
                    self.by_message(open, rule, &from, shown, directory).await?;
                (None, proof, replayable)
            }
        };
        // Only now, when they are who they say: strangers can't try out who is known here, and make no guests.
        let person = match known {
            Some(person) => person,
            None => becomes(rule, &from, directory).await?,
        };
        let once = self.once(shown.message, replayable).await;
        Ok(VerifiedSender {
            person,
            proof,
            once,
        })
    }

    /// How copies of a message are told, whatever proved it: one may come that has another proof.
    async fn once(&self, message: &Arc<Vec<u8>>, replayable: bool) -> Option<Once> {
        let copy = Arc::clone(message);
        let print = match message.len() > HASH_APART {
            true => tokio::task::spawn_blocking(move || copies::print(&copy)).await,
            false => Ok(copies::print(message)),
        };
        let print = print.ok()??;
        Some(Once {
            mark: print.mark,
            until: self.age().outlived_by(print.dated),
            replayable,
        })
    }

    fn age(&self) -> Age {
        Age {
            now: (self.clock)(),
            fresh: Millis::from(self.rules.fresh_s) * 1000,
        }
    }

    /// The first proof that holds of those that the rule takes; those that need no DNS go first.
    async fn by_message(
        &self,
        open: Open,
        rule: &Rule,
        from: &str,
        shown: Shown<'_>,
        directory: &dyn Directory,
    ) -> Result<Evidence, Refusal> {
        let (mut whys, mut down) = (Vec::new(), false);
        if rule.takes(ProofKind::Secret) && !shown.secrets.is_empty() {
            if by_secret(rule, from, shown, directory).await? {
                return Ok((Proof::Secret, false));
            }
            whys.push(Why::Secret);
        }
        if let Some(peer) = open.peer
            && rule.takes(ProofKind::Relay)
            && let Some(name) = self.rules.relay_at(peer)
        {
            match by_results(Vouching::Relay(name), from, shown, self.age()) {
                Ok(evidence) => return Ok(evidence),
                Err(why) => whys.push(why),
            }
        }
        if let Some(name) = &open.believes
            && rule.takes(ProofKind::Mailbox)
        {
            match by_results(Vouching::Mailbox(name), from, shown, self.age()) {
                Ok(evidence) => return Ok(evidence),
                Err(why) => whys.push(why),
            }
        }
        if let Some(peer) = open.peer
            && rule.takes(ProofKind::Spf)
        {
            match self.by_spf(peer, &open, from, shown).await {
                Ok(proof) => return Ok((proof, true)),
                Err(Some(why)) => whys.push(why),
                Err(None) => down = true,
            }
        }
        if rule.takes(ProofKind::Dkim) {
            match self.by_dkim(from, shown).await {
                Ok(evidence) => return Ok(evidence),
                Err(Some(why)) => whys.push(why),
                Err(None) => down = true,
            }
        }
        if down {
            return Err(Refusal::Dns(domain_of(from).to_owned()));
        }
        if whys.is_empty() {
            // The rule takes nothing that this message could have shown.
            return Err(open.refusal);
        }
        let from = from.to_owned();
        Err(Refusal::NotProven { from, whys })
    }

    /// An error without a reason: the DNS does not answer.
    async fn by_spf(
        &self,
        peer: IpAddr,
        open: &Open,
        from: &str,
        shown: Shown<'_>,
    ) -> Result<Proof, Option<Why>> {
        named(shown)?;
        let dns = self.dns.as_ref().ok_or(None)?;
        let peer = peer.to_canonical();
        let found = alignment::by_spf(dns, from, peer, &open.greeting, &open.reverse_path);
        match tokio::time::timeout(BUDGET, found).await {
            Ok(Aligned::Yes) => Ok(Proof::Spf(peer, domain_of(from).to_owned())),
            Ok(Aligned::No) => Err(Some(Why::Spf(domain_of(from).to_owned()))),
            Ok(Aligned::Unknown) | Err(_) => Err(None),
        }
    }

    /// As [`Self::by_spf`].
    async fn by_dkim(&self, from: &str, shown: Shown<'_>) -> Result<Evidence, Option<Why>> {
        let dns = self.dns.clone().ok_or(None)?;
        let message = Arc::clone(shown.message);
        let apart = message.len() > HASH_APART;
        let check = signature::check(dns, message, from.to_owned(), self.age());
        let check = async move {
            tokio::time::timeout(BUDGET, check)
                .await
                .unwrap_or(Found::Unknown)
        };
        let found = if apart {
            let thread = tokio::task::spawn_blocking(move || {
                tokio::runtime::Handle::current().block_on(check)
            });
            thread.await.unwrap_or(Found::Unknown)
        } else {
            check.await
        };
        match found {
            Found::Signed => {
                named(shown)?;
                Ok((Proof::Dkim(domain_of(from).to_owned()), true))
            }
            Found::Fault(fault) => Err(Some(fault.into())),
            Found::Unknown => Err(None),
        }
    }
}

/// Holds the From line against what the connection settled: who is known to send, and what proved them.
async fn by_settled(
    settled: Settled,
    rule: &Rule,
    from: &str,
    directory: &dyn Directory,
    now: Millis,
) -> Result<(Option<Person>, Proof), Refusal> {
    if from != settled.reverse_path {
        match (known(rule, from, directory).await, &settled.person) {
            (Ok(Some(other)), Some(person)) if other.user_id == person.user_id => {}
            (Err(refusal @ Refusal::Directory(_)), _) => return Err(refusal),
            _ => return Err(Refusal::FromDiffers(from.to_owned())),
        }
        let enough = match &settled.proof {
            Proof::Network(peer) => rule.trusts(*peer),
            Proof::Certificate(_) | Proof::Authority(_) => {
                (settled.certificate.as_ref()).is_some_and(|shown| rule.shown(shown, now).is_some())
            }
            proof => rule.takes(kind_of(proof)),
        };
        if !enough {
            return Err(Refusal::NotEnough(from.to_owned()));
        }
    }
    Ok((settled.person, settled.proof))
}

/// Whether a secret is that of the very user whom the From address becomes.
async fn by_secret(
    rule: &Rule,
    from: &str,
    shown: Shown<'_>,
    directory: &dyn Directory,
) -> Result<bool, Refusal> {
    for secret in shown.secrets {
        let Some(owner) = directory.person_by_secret(secret).await? else {
            continue;
        };
        match known(rule, from, directory).await {
            Ok(Some(person)) if person.user_id == owner.user_id => return Ok(true),
            Err(refusal @ Refusal::Directory(_)) => return Err(refusal),
            _ => {}
        }
    }
    Ok(false)
}

/// Every number must be in To or Cc where the envelope is not the sender's own word.
fn named(shown: Shown<'_>) -> Result<(), Why> {
    match shown.unnamed {
        [] => Ok(()),
        numbers => Err(Why::Unnamed(numbers.to_vec())),
    }
}

/// Whose Authentication-Results are read.
#[derive(Clone, Copy)]
enum Vouching<'a> {
    Relay(&'a str),
    Mailbox(&'a str),
}

impl Vouching<'_> {
    fn words(self, message: &mail_parser::Message<'_>) -> Vec<Word> {
        match self {
            Self::Relay(name) => results::word_of(name, message),
            Self::Mailbox(name) => results::word_in_mailbox(name, message),
        }
    }

    fn proof(self) -> Proof {
        match self {
            Self::Relay(name) => Proof::Relay(name.to_owned()),
            Self::Mailbox(name) => Proof::Mailbox(name.to_owned()),
        }
    }

    fn silent(self) -> Why {
        match self {
            Self::Relay(name) => Why::Relay(name.to_owned()),
            Self::Mailbox(name) => Why::Mailbox(name.to_owned()),
        }
    }
}

/// A server at which the user logged in heard the mail from them; DMARC says nothing of its envelope, and a copy of a
/// signed mail passes it too.
fn by_results(by: Vouching<'_>, from: &str, shown: Shown<'_>, age: Age) -> Result<Evidence, Why> {
    let parsed = MessageParser::default().parse_headers(shown.message.as_slice());
    let parsed = parsed.ok_or_else(|| by.silent())?;
    let words = by.words(&parsed);
    if words
        .iter()
        .any(|word| matches!(word, Word::LoggedIn(user) if user == from))
    {
        return Ok((by.proof(), false));
    }
    if words
        .iter()
        .any(|word| matches!(word, Word::Dmarc(domain) if same_name(domain, domain_of(from))))
    {
        if let Some(fault) = age.fault_of(copies::date(parsed.headers())) {
            return Err(fault.into());
        }
        // DMARC passes with a signature that covers none of these lines, and anybody may add them to a copy.
        let order = |header: &&mail_parser::Header| signature::is_order(header.name());
        if let Some(order) = parsed.headers().iter().find(order) {
            return Err(Why::Order(order.name().to_owned()));
        }
        return named(shown).map(|()| (by.proof(), true));
    }
    Err(by.silent())
}

fn kind_of(proof: &Proof) -> ProofKind {
    match proof {
        Proof::Network(_) => ProofKind::Network,
        Proof::Password => ProofKind::Password,
        Proof::Dkim(_) => ProofKind::Dkim,
        Proof::Spf(..) => ProofKind::Spf,
        Proof::Relay(_) => ProofKind::Relay,
        Proof::Mailbox(_) => ProofKind::Mailbox,
        Proof::Secret => ProofKind::Secret,
        Proof::Certificate(_) | Proof::Authority(_) => ProofKind::Certificate,
    }
}

/// The message's one From address, lower case.
fn one_address(from: &[FromLine]) -> Result<String, Refusal> {
    let [line] = from else {
        return Err(Refusal::FromLines(from.len()));
    };
    match line {
        FromLine::Group => Err(Refusal::FromGroup),
        FromLine::Doubtful => Err(Refusal::FromDoubtful),
        FromLine::Mailboxes(addresses) => match addresses.as_slice() {
            [address] => Ok(address.to_lowercase()),
            more => Err(Refusal::FromAddresses(more.len())),
        },
    }
}

/// Whom an address is by its rule; nobody yet where that would be a new guest. Nothing is made.
async fn known(
    rule: &Rule,
    address: &str,
    directory: &dyn Directory,
) -> Result<Option<Person>, Refusal> {
    let person = match &rule.becomes {
        Becomes::Own => {
            let person = directory.person_by_address(address).await?;
            person.ok_or_else(|| Refusal::Unknown(address.to_owned()))?
        }
        Becomes::User(user) => {
            let person = directory.person_by_address(user).await?;
            person.ok_or_else(|| Refusal::NoSuchUser(address.to_owned()))?
        }
        Becomes::Guest { .. } => return Ok(directory.known_guest(address).await?),
    };
    Ok(Some(person))
}

/// Whom a proven address becomes by its rule: a guest is made.
async fn becomes(rule: &Rule, address: &str, directory: &dyn Directory) -> Result<Person, Refusal> {
    let person = match &rule.becomes {
        Becomes::Guest { tenant, group } => directory.guest(tenant, group, address).await?,
        _ => known(rule, address, directory).await?,
    };
    person.ok_or_else(|| Refusal::NoSuchUser(address.to_owned()))
}
