//! `policies/senders.toml`: who may send, and what proves that it is them.

use std::{net::IpAddr, path::Path};

use serde::Deserialize;
use toml::Spanned;

use super::{
    ClientCertificate, PolicyError,
    authority::{self, Authority},
};
use crate::{clock::Millis, config::Network};

pub(super) const FILE: &str = "senders.toml";
const BUILT_IN: &str = include_str!("../../policies/senders.toml");

/// Seconds that a signed mail may be old, at least and at most.
const FRESH_S: std::ops::RangeInclusive<u32> = 60..=604_800;

/// Who may send. Nobody else does: deny by default.
#[derive(Clone, Debug)]
pub struct SenderRules {
    /// Seconds that a mail may be old that DKIM proves.
    pub fresh_s: u32,
    relays: Vec<Relay>,
    rules: Vec<Rule>,
}

/// What the first rule that matches a From address says.
#[derive(Clone, Debug)]
pub struct Rule {
    who: Vec<Pattern>,
    proof: Vec<ProofKind>,
    networks: Vec<Network>,
    certificates: Vec<Fingerprint>,
    authority: Option<Authority>,
    /// Whom its senders become.
    pub becomes: Becomes,
}

/// Whom a proven sender becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// The user who has the address.
    Own,
    /// The user who has this address (lower case).
    User(String),
    /// A guest of a group.
    Guest {
        /// The tenant's name.
        tenant: String,
        /// The group's.
        group: String,
    },
}

/// What can prove a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofKind {
    /// SMTP AUTH (RFC 4954).
    Password,
    /// The peer is in one of the rule's networks.
    Network,
    /// The client showed one of the rule's certificates (TLS).
    Certificate,
    /// A listed relay's Authentication-Results (RFC 8601).
    Relay,
    /// The Authentication-Results of a polled mailbox's server, where the mailbox believes it.
    Mailbox,
    /// A DKIM signature that is aligned (RFC 6376, RFC 7489 §3.1.1).
    Dkim,
    /// SPF that is aligned (RFC 7208, RFC 7489 §3.1.2).
    Spf,
    /// A secret of the user's, in the address or the subject.
    Secret,
}

/// By what a rule takes a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// It is listed itself, by its SHA-256.
    Itself([u8; 32]),
    /// The rule's authority made it for this name.
    Name(String),
}

/// The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Fingerprint([u8; 32]);

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fault = || {
            format!(
                "{text:?} is no fingerprint: `openssl x509 -in FILE -noout -fingerprint -sha256` shows it"
            )
        };
        let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
        let mut octets = [0; 32];
        if digits.len() != 2 * octets.len() {
            return Err(fault());
        }
        for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| {
                pair[at]
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            };
            *octet = digit(0).ok_or_else(fault)? << 4 | digit(1).ok_or_else(fault)?;
        }
        Ok(Self(octets))
    }
}

/// A mail server whose Authentication-Results are believed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Relay {
    networks: Vec<Network>,
    authserv_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fresh_s: Spanned<u32>,
    #[serde(default)]
    relay: Vec<Spanned<Relay>>,
    #[serde(default)]
    rule: Vec<Spanned<Written>>,
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    who: Vec<String>,
    proof: Vec<ProofKind>,
    #[serde(default)]
    networks: Vec<Network>,
    #[serde(default)]
    certificates: Vec<Fingerprint>,
    authority: Option<authority::Written>,
    as_user: Option<String>,
    as_guest_of: Option<String>,
}

impl SenderRules {
    /// The rules in `folder`, or the built-in ones.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        Self::parse(&super::text(folder, FILE, BUILT_IN)?)
    }

    /// The rules in a text.
    ///
    /// # Errors
    /// [`PolicyError`] with the line.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: File = super::parse(FILE, text)?;
        let fault = |start: usize, message: String| PolicyError::Rule {
            file: FILE,
            line: super::line_at(text, start),
            message,
        };
        let fresh_s = *file.fresh_s.get_ref();
        if !FRESH_S.contains(&fresh_s) {
            let (least, most) = (FRESH_S.start(), FRESH_S.end());
            let what = format!("fresh_s is from {least} to {most} seconds, not {fresh_s}");
            return Err(fault(file.fresh_s.span().start, what));
        }
        let mut relays = Vec::new();
        for relay in file.relay {
            let start = relay.span().start;
            let mut relay = relay.into_inner();
            if relay.networks.is_empty() || relay.authserv_id.is_empty() {
                let what = "a relay has networks and an authserv_id, its name in what it writes";
                return Err(fault(start, what.to_owned()));
            }
            relay.authserv_id.make_ascii_lowercase();
            relays.push(relay);
        }
        let mut rules: Vec<Rule> = Vec::new();
        for written in file.rule {
            let start = written.span().start;
            if rules.iter().any(Rule::matches_everybody) {
                let what = "this rule is never reached: one before it matches everybody. Put it before that";
                return Err(fault(start, what.to_owned()));
            }
            let rule = rule(written.into_inner(), !relays.is_empty());
            rules.push(rule.map_err(|what| fault(start, what))?);
        }
        Ok(Self {
            fresh_s,
            relays,
            rules,
        })
    }

    /// The rule that decides for this From address (lower case).
    #[must_use]
    pub fn rule_for(&self, address: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matches(address))
    }

    /// The authserv-id (lower case) of the relay that `peer` is.
    #[must_use]
    pub fn relay_at(&self, peer: IpAddr) -> Option<&str> {
        let relay = self
            .relays
            .iter()
            .find(|relay| holds(&relay.networks, peer));
        relay.map(|relay| relay.authserv_id.as_str())
    }

    /// Whether an address is listed, as a network of some rule or as a relay.
    #[must_use]
    pub fn knows(&self, peer: IpAddr) -> bool {
        self.rules.iter().any(|rule| rule.trusts(peer)) || self.relay_at(peer).is_some()
    }

    /// Whether a certificate that a client shows is enough for some rule.
    #[must_use]
    pub fn lists(&self, shown: &ClientCertificate, now: Millis) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.shown(shown, now).is_some())
    }

    /// Whether clients are to be asked for a certificate.
    #[must_use]
    pub fn asks_certificates(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.takes(ProofKind::Certificate))
    }

    /// Whether some rule takes a proof that the DNS decides.
    #[must_use]
    pub fn asks_dns(&self) -> bool {
        let asks = |rule: &Rule| rule.takes(ProofKind::Dkim) || rule.takes(ProofKind::Spf);
        self.rules.iter().any(asks)
    }

    /// Whether a message from `peer` could prove its sender by what it shows: some rule takes such a proof.
    #[must_use]
    pub fn message_may_prove(&self, peer: Option<IpAddr>) -> bool {
        self.rules
            .iter()
            .flat_map(|rule| &rule.proof)
            .any(|kind| match kind {
                ProofKind::Password | ProofKind::Network | ProofKind::Certificate => false,
                // Of mails that were fetched, whose claim is open in any case.
                ProofKind::Mailbox => false,
                ProofKind::Relay => peer.is_some_and(|peer| self.relay_at(peer).is_some()),
                ProofKind::Spf => peer.is_some(),
                ProofKind::Dkim | ProofKind::Secret => true,
            })
    }
}

impl Rule {
    /// Whether this proof is enough.
    #[must_use]
    pub fn takes(&self, kind: ProofKind) -> bool {
        self.proof.contains(&kind)
    }

    /// Whether the peer alone is enough: it is in one of the rule's networks.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.takes(ProofKind::Network) && holds(&self.networks, peer)
    }

    /// What makes a certificate enough at `now`, if it is.
    #[must_use]
    pub fn shown(&self, certificate: &ClientCertificate, now: Millis) -> Option<Listed> {
        let digest = Fingerprint(*certificate.digest());
        if self.certificates.contains(&digest) {
            return Some(Listed::Itself(digest.0));
        }
        let name = self.authority.as_ref()?.name_of(certificate, now)?;
        Some(Listed::Name(name.to_owned()))
    }

    fn matches(&self, address: &str) -> bool {
        self.who.iter().any(|pattern| pattern.matches(address))
    }

    fn matches_everybody(&self) -> bool {
        self.who.iter().any(|pattern| pattern.text == "*")
    }
}

fn holds(networks: &[Network], peer: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(peer))
}

/// Makes a rule of a written one. The error is a sentence.
fn rule(written: Written, has_relays: bool) -> Result<Rule, String> {
    let takes = |kind| written.proof.contains(&kind);
    if written.who.is_empty() {
        return Err("the rule matches nobody: give addresses, domains or patterns in `who`".into());
    }
    if written.proof.is_empty() {
        return Err(
            "the rule lists no proof: leave it out, since who matches no rule is refused".into(),
        );
    }
    if takes(ProofKind::Network) && written.networks.is_empty() {
        return Err("the proof \"network\" needs `networks` in the same rule".into());
    }
    if !takes(ProofKind::Network) && !written.networks.is_empty() {
        return Err(
            "`networks` without the proof \"network\" has no effect: add it, or take them away"
                .into(),
        );
    }
    let has_certificates = !written.certificates.is_empty() || written.authority.is_some();
    if takes(ProofKind::Certificate) != has_certificates {
        let what = "the proof \"certificate\" and `certificates`, or an `authority`, go together in a rule";
        return Err(what.into());
    }
    let authority = written
        .authority
        .as_ref()
        .map(Authority::read)
        .transpose()?;
    if takes(ProofKind::Relay) && !has_relays {
        return Err(
            "the proof \"relay\" needs a [[relay]] with networks and an authserv_id".into(),
        );
    }
    let who: Result<Vec<Pattern>, String> = written.who.iter().map(|text| pattern(text)).collect();
    let becomes = match (&written.as_user, &written.as_guest_of) {
        (None, None) => Becomes::Own,
        (Some(address), None) if address.contains('@') => Becomes::User(address.to_lowercase()),
        (Some(other), None) => {
            return Err(format!(
                "as_user is the mail address of a user, not {other:?}"
            ));
        }
        (None, Some(group)) => guests(group, &written)?,
        (Some(_), Some(_)) => return Err("a rule has as_user or as_guest_of, not both".into()),
    };
    Ok(Rule {
        who: who?,
        proof: written.proof,
        networks: written.networks,
        certificates: written.certificates,
        authority,
        becomes,
    })
}

/// Whom a rule with `as_guest_of` makes its senders. The error is a sentence.
fn guests(group: &str, written: &Written) -> Result<Becomes, String> {
    if written.who.iter().any(|who| who.trim() == "*") {
        return Err("guests are of domains that you name in `who`: with \"*\" everybody could fax at the group's expense".into());
    }
    if let Some(kind) = [ProofKind::Password, ProofKind::Secret]
        .iter()
        .find(|kind| written.proof.contains(kind))
    {
        let kind = format!("{kind:?}").to_lowercase();
        return Err(format!("guests have no {kind}: take it out of `proof`"));
    }
    match group.split_once('/') {
        Some((tenant, group)) if !tenant.trim().is_empty() && !group.trim().is_empty() => {
            Ok(Becomes::Guest {
                tenant: tenant.trim().to_owned(),
                group: group.trim().to_owned(),
            })
        }
        _ => Err(format!("as_guest_of is \"TENANT/GROUP\", not {group:?}")),
    }
}

/// An address, a domain or a pattern, lower case.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let text = text.trim().to_lowercase();
    // "@example.com" is how other programs write the domain.
    let text = match text.strip_prefix('@') {
        Some(domain) => domain.to_owned(),
        None => text,
    };
    if text.is_empty() || text.contains(char::is_whitespace) || text.matches('@').count() > 1 {
        return Err(format!(
            "{text:?} in `who` is no address, domain or pattern"
        ));
    }
    Ok(Pattern { text })
}

impl Pattern {
    /// A pattern with `@` is held against the address, one without against its domain.
    fn matches(&self, address: &str) -> bool {
        let (_, domain) = address.rsplit_once('@').unwrap_or(("", address));
        let subject = if self.text.contains('@') {
            address
        } else {
            domain
        };
        glob(&self.text, subject)
    }
}

/// Whether `text` is as `pattern`, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    // Each piece at its first place leaves most for those behind it.
    while let Some((piece, more)) = rest.split_once('*') {
        let Some(at) = text.find(piece) else {
            return false;
        };
        text = &text[at + piece.len()..];
        rest = more;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(text: &str) -> SenderRules {
        SenderRules::parse(&format!("fresh_s = 86400\n{text}")).unwrap()
    }

    fn fault(text: &str) -> (usize, String) {
        match SenderRules::parse(text).unwrap_err() {
            PolicyError::Rule { line, message, .. } => (line, message),
            error => panic!("{error}"),
        }
    }

    #[test]
    fn the_built_in_rules_trust_passwords_and_loopback_only() {
        let rules = SenderRules::load(None).unwrap();
        let rule = rules.rule_for("ada@example.com").unwrap();
        assert!(rule.takes(ProofKind::Password));
        assert!(rule.trusts("127.0.0.1".parse().unwrap()));
        assert!(rule.trusts("::1".parse().unwrap()));
        assert!(!rule.trusts("10.0.0.1".parse().unwrap()));
        assert!(!rules.message_may_prove(Some("127.0.0.1".parse().unwrap())));
        assert_eq!(rule.becomes, Becomes::Own);
    }

    #[test]
    fn fingerprints_are_read_as_openssl_writes_them() {
        let colons = vec!["aB"; 32].join(":");
        for text in [colons.clone(), colons.replace(':', "")] {
            let rules = rules(&format!(
                "[[rule]]\nwho = ['*']\nproof = ['certificate']\ncertificates = ['{text}']\n"
            ));
            assert!(rules.asks_certificates());
            let listed = |octet| {
                rules.rules[0]
                    .certificates
                    .contains(&Fingerprint([octet; 32]))
            };
            assert!(listed(0xab) && !listed(0xac));
        }
        assert!(Fingerprint::try_from("é".repeat(64)).is_err());
        assert!(!SenderRules::load(None).unwrap().asks_certificates());
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = rules(
            "[[rule]]\nwho = ['ada@example.com']\nproof = ['dkim']\n\
             [[rule]]\nwho = ['@Example.com', '*.example.com']\nproof = ['password']\nas_user = 'Desk@x.example'\n",
        );
        assert!(
            rules
                .rule_for("ada@example.com")
                .unwrap()
                .takes(ProofKind::Dkim)
        );
        for address in ["bob@example.com", "bob@a.example.com"] {
            let rule = rules.rule_for(address).unwrap();
            assert!(rule.takes(ProofKind::Password) && !rule.takes(ProofKind::Dkim));
            assert_eq!(rule.becomes, Becomes::User("desk@x.example".into()));
        }
        for stranger in [
            "ada@example.org",
            "ada@badexample.com",
            "ada@example.com.org",
        ] {
            assert!(rules.rule_for(stranger).is_none(), "{stranger}");
        }
        assert!(rules.message_may_prove(None));
    }

    #[test]
    fn patterns_match_whole_addresses_or_domains() {
        let matches = |text: &str, address: &str| pattern(text).unwrap().matches(address);
        assert!(matches("*", "a@b"));
        assert!(matches("scan-*@example.com", "scan-7@example.com"));
        assert!(!matches("scan-*@example.com", "scan-7@example.com.org"));
        assert!(!matches("scan-*@example.com", "x-scan-7@example.com"));
        assert!(matches("*@*.example.com", "a@b.example.com"));
        assert!(!matches("*.example.com", "a@example.com"));
        // What stands before the last @ is no domain.
        assert!(!matches("example.com", "\"a@example.com\"@example.org"));
        assert!(matches("a*b*c", "x@aXbYbZc"));
        assert!(!matches("ab*bc", "x@abc"));
    }

    #[test]
    fn faults_name_their_line_and_what_would_be_right() {
        let cases = [
            ("fresh_s = 5\n", 1, "fresh_s is from 60"),
            (
                "fresh_s = 60\n[[rule]]\nwho = []\nproof = ['dkim']",
                2,
                "matches nobody",
            ),
            (
                "fresh_s = 60\n\n[[rule]]\nwho = ['*']\nproof = []",
                3,
                "lists no proof",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['network']",
                2,
                "needs `networks`",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['relay']",
                2,
                "needs a [[relay]]",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['dkim']\nnetworks = ['::1']",
                2,
                "has no effect",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['dkmi']",
                4,
                "dkmi",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['a b']\nproof = ['dkim']",
                2,
                "is no address",
            ),
            ("networks = []\n", 1, "networks"),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['certificate']",
                2,
                "go together",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['certificate']\ncertificates = ['AB:CD']",
                5,
                "is no fingerprint",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['dkim']\nas_guest_of = 'North/Guests'",
                2,
                "domains that you name",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['x.example']\nproof = ['secret']\nas_guest_of = 'North/Guests'",
                2,
                "guests have no secret",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['x.example']\nproof = ['dkim']\nas_guest_of = 'Guests'",
                2,
                "TENANT/GROUP",
            ),
            (
                "fresh_s = 60\n[[rule]]\nwho = ['*']\nproof = ['dkim']\n[[rule]]\nwho = ['x.example']\nproof = ['dkim']",
                5,
                "never reached",
            ),
        ];
        for (text, line, words) in cases {
            let (found, message) = fault(text);
            assert!(message.contains(words), "{message}");
            assert_eq!(found, line, "{message}");
        }
    }

    proptest! {
        /// Against the definition, letter by letter.
        #[test]
        fn globs_match_as_defined(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
                    Some((letter, rest)) => text.split_first().is_some_and(|(l, t)| l == letter && slow(rest, t)),
                }
            }
            prop_assert_eq!(glob(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
