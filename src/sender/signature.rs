//! DKIM (RFC 6376) as proof: signatures are sifted by what they cover before the DNS is asked for their keys.
//!
//! A signature proves that its domain wrote what it covers, and nothing of the envelope. So it must cover whom the mail
//! is to, and a mail must be fresh and count once: else a copy of it could be sent to a number of somebody's choice,
//! or as often as somebody likes.

use std::sync::Arc;

use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, Error, Txt,
    common::{
        cache::NoCache,
        crypto::Algorithm,
        verify::{DomainKey, VerifySignature as _},
    },
    dkim::{DkimError, Signature},
};
use mail_parser::MessageParser;
use sha2::{Digest as _, Sha256};

use super::{
    Dns,
    alignment::{self, Aligned, domain_of},
};
use crate::clock::Millis;

/// Lines that say who sends what to whom: as many as there are must be signed, or another could be added.
const COVERED: [&str; 5] = ["From", "To", "Cc", "Date", "Subject"];
/// Lines that tell us what to do with the mail begin so.
const ORDERS: &str = "x-fax-";
/// Clocks differ by so much.
const SKEW: Millis = 600_000;
/// Signatures whose keys are asked for: others of the mail are not looked at.
const MOST: usize = 5;
/// `t=y` of a key record, as mail-auth has it: mail signed with a key in testing is as if it were not signed
/// (RFC 6376 §3.6.1).
const TESTING: u64 = 0x10;
/// Of an RSA key.
const LEAST_BITS: usize = 1024;

/// A mail that is proven by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// Tells copies of it.
    pub mark: [u8; 32],
}

/// Why no signature of a mail proves its sender: a phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// There is none.
    #[error("it has no DKIM signature of {0}")]
    Missing(String),
    /// It can't be read.
    #[error("its DKIM signature is malformed")]
    Malformed,
    /// `l=` (RFC 6376 §8.2).
    #[error(
        "its DKIM signature leaves the end of the body open (l=): have your mail server sign all of it"
    )]
    Length,
    /// RFC 8301 §3.1.
    #[error(
        "its DKIM signature is made with SHA-1, which proves nothing any more: have your mail server use SHA-256"
    )]
    Sha1,
    /// A line that it must cover.
    #[error(
        "its DKIM signature does not cover every {0} line: have your mail server sign From, To, Cc, Date and Subject"
    )]
    Uncovered(String),
    /// No Date, or several.
    #[error("it has not one Date line: nobody can say whether it is fresh")]
    Date,
    /// Older than it may be.
    #[error("it was signed or dated too long ago: send it anew")]
    Old,
    /// Newer than now.
    #[error(
        "its date or its signature lies in the future: set the clock of the machine that sent it"
    )]
    Future,
    /// `x=` has passed.
    #[error("its DKIM signature has expired: send it anew")]
    Expired,
    /// There is no such key, or none that can be used.
    #[error(
        "{0} publishes no key for its DKIM signature that can be used (RSA keys have 1024 bits at least)"
    )]
    NoKey(String),
    /// `t=y`.
    #[error("{0} marks the key of its DKIM signature as a test (t=y)")]
    Testing(String),
    /// What is signed is not what came.
    #[error(
        "its DKIM signature does not hold: the mail was changed on its way, or signed by another"
    )]
    Broken,
    /// Another domain's.
    #[error("its DKIM signature is of {signer}, which does not speak for {domain}")]
    Misaligned {
        /// Who signed.
        signer: String,
        /// The From address's domain.
        domain: String,
    },
}

/// What became of a mail's signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Signed(Signed),
    Fault(SignatureFault),
    /// The DNS does not answer.
    Unknown,
}

/// Looks for a signature that proves `from` (lower case, the mail's one From address).
pub(super) async fn check(
    dns: Dns,
    message: Arc<Vec<u8>>,
    from: String,
    now: Millis,
    fresh: Millis,
) -> Found {
    let Some(parsed) = MessageParser::default().parse(message.as_slice()) else {
        return Found::Fault(SignatureFault::Malformed);
    };
    let mut mail = AuthenticatedMessage::from_parsed(&parsed, &message, true);
    // Whom DMARC judges and whom we map must be one address.
    if mail.from != [from.as_str()] {
        return Found::Fault(SignatureFault::Malformed);
    }
    let age = Age { now, fresh };
    let dates: Vec<_> = (parsed.headers().iter())
        .filter(|header| header.name == mail_parser::HeaderName::Date)
        .map(|header| {
            header
                .value
                .as_datetime()
                .map(mail_parser::DateTime::to_timestamp)
        })
        .collect();
    let dated = match dates.as_slice() {
        [Some(seconds)] => age.fault(seconds.saturating_mul(1000)),
        _ => Some(SignatureFault::Date),
    };
    if let Some(fault) = sift(&mut mail, domain_of(&from), age).or(dated) {
        return Found::Fault(fault);
    }
    let outputs = dns.0.verify_dkim(&mail).await;
    let (sound, fault) = match judge(&dns, outputs).await {
        Ok(judged) => judged,
        Err(Down) => return Found::Unknown,
    };
    if sound.is_empty() {
        return Found::Fault(fault.unwrap_or(SignatureFault::Broken));
    }
    match alignment::by_dkim(&dns, &from, &sound).await {
        Aligned::Yes => Found::Signed(Signed { mark: mark(&mail) }),
        Aligned::Unknown => Found::Unknown,
        Aligned::No => Found::Fault(fault.unwrap_or_else(|| {
            SignatureFault::Misaligned {
                signer: sound[0]
                    .signature()
                    .map(|signature| signature.d.clone())
                    .unwrap_or_default(),
                domain: domain_of(&from).to_owned(),
            }
        })),
    }
}

/// When a mail is fresh.
#[derive(Clone, Copy)]
struct Age {
    now: Millis,
    fresh: Millis,
}

impl Age {
    fn fault(self, at: Millis) -> Option<SignatureFault> {
        if at > self.now.saturating_add(SKEW) {
            Some(SignatureFault::Future)
        } else if at < self.now - self.fresh {
            Some(SignatureFault::Old)
        } else {
            None
        }
    }
}

/// How long after `now` a copy of a mail that is fresh now could be fresh: until then it is told.
pub(super) fn outlived_by(now: Millis, fresh: Millis) -> Millis {
    now + fresh + SKEW
}

/// Leaves the signatures that could prove the mail; when there is none, says why. Of several the one of the From
/// domain, or the first, is told of.
fn sift(mail: &mut AuthenticatedMessage<'_>, domain: &str, age: Age) -> Option<SignatureFault> {
    let mut fault = None;
    let mut tell = |found: SignatureFault| {
        if fault.is_none() || matches!(fault, Some(SignatureFault::Misaligned { .. })) {
            fault = Some(found);
        }
    };
    for error in &mail.errors {
        match &error.header {
            Error::Dkim(DkimError::SignatureLength) => tell(SignatureFault::Length),
            _ if error.name.eq_ignore_ascii_case(b"dkim-signature") => {
                tell(SignatureFault::Malformed)
            }
            _ => {}
        }
    }
    let signatures = std::mem::take(&mut mail.dkim_headers);
    let mut sound = Vec::new();
    for header in signatures {
        match signature_fault(&header.header, &mail.headers, domain, age) {
            None if sound.len() < MOST => sound.push(header),
            None => {}
            Some(found) => tell(found),
        }
    }
    mail.dkim_headers = sound;
    if !mail.dkim_headers.is_empty() {
        return None;
    }
    Some(fault.unwrap_or_else(|| SignatureFault::Missing(domain.to_owned())))
}

fn signature_fault(
    signature: &Signature,
    headers: &[(&[u8], &[u8])],
    domain: &str,
    age: Age,
) -> Option<SignatureFault> {
    if !may_be_aligned(&signature.d, domain) {
        return Some(SignatureFault::Misaligned {
            signer: signature.d.clone(),
            domain: domain.to_owned(),
        });
    }
    if signature.a == Algorithm::RsaSha1 {
        return Some(SignatureFault::Sha1);
    }
    if signature.atps.is_some() {
        // RFC 6541 lets a third party sign: that is another's word.
        return Some(SignatureFault::Misaligned {
            signer: signature.d.clone(),
            domain: domain.to_owned(),
        });
    }
    if let Some(name) = uncovered(&signature.h, headers) {
        return Some(SignatureFault::Uncovered(name));
    }
    let seconds = |tag: u64| {
        Millis::try_from(tag)
            .unwrap_or(Millis::MAX)
            .saturating_mul(1000)
    };
    if signature.x != 0 && seconds(signature.x) <= age.now {
        return Some(SignatureFault::Expired);
    }
    if signature.t != 0 {
        return age.fault(seconds(signature.t));
    }
    None
}

/// Whether two names could be one organisation's: they end alike. It keeps strangers' keys from being asked for; DMARC
/// decides.
fn may_be_aligned(signer: &str, domain: &str) -> bool {
    use mail_auth::common::to_a_label;
    let end = |name: &str| -> Vec<String> {
        let labels: Vec<String> = to_a_label(name)
            .to_ascii_lowercase()
            .split('.')
            .map(str::to_owned)
            .collect();
        let from = labels.len().saturating_sub(2);
        labels[from..].to_vec()
    };
    end(signer) == end(domain)
}

/// The first line that a signature with these names must cover and does not. Those of one name are signed from the
/// last to the first (RFC 6376 §5.4.2), so that as many names as lines cover all.
fn uncovered(signed: &[String], headers: &[(&[u8], &[u8])]) -> Option<String> {
    let names = |name: &str| {
        signed
            .iter()
            .filter(|signed| signed.trim().eq_ignore_ascii_case(name))
            .count()
    };
    let mut found: Vec<(String, usize)> = COVERED.map(|name| (name.to_owned(), 0)).into();
    for (name, _) in headers {
        let written = String::from_utf8_lossy(name);
        let name = written.trim();
        let is_order = name
            .get(..ORDERS.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(ORDERS));
        match found
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            // Readers of mail take "To :" for To; a signature can't name it.
            Some((name, _)) if written.len() != name.len() => return Some(name.clone()),
            Some((_, count)) => *count += 1,
            None if is_order => found.push((name.to_owned(), 1)),
            None => {}
        }
    }
    let lacks =
        |(name, count): &&(String, usize)| names(name) < *count || (name == "From" && *count == 0);
    // Who it is to must be said, and signed.
    found.iter().find(lacks).map(|(name, _)| name.clone())
}

struct Down;

/// The signatures that hold, and what is wrong with the others.
async fn judge<'x>(
    dns: &Dns,
    outputs: Vec<DkimOutput<'x>>,
) -> Result<(Vec<DkimOutput<'x>>, Option<SignatureFault>), Down> {
    let (mut sound, mut fault, mut down) = (Vec::new(), None, false);
    for output in outputs {
        let Some(signature) = output.signature() else {
            continue;
        };
        let signer = signature.d.clone();
        let found = match output.result() {
            DkimResult::Pass => match record(dns, signature).await {
                Some(record) if record.f & TESTING == 0 => {
                    sound.push(output);
                    continue;
                }
                _ => SignatureFault::Testing(signer),
            },
            DkimResult::TempError(_) => {
                down = true;
                continue;
            }
            DkimResult::PermError(_) => SignatureFault::NoKey(signer),
            // RFC 8301 §3.2: the crypto library takes no RSA key below 1024 bits.
            DkimResult::Fail(_)
                if (record(dns, signature).await)
                    .is_some_and(|record| record.p.public_key_bits() < LEAST_BITS) =>
            {
                SignatureFault::NoKey(signer)
            }
            DkimResult::Neutral(Error::Dkim(DkimError::SignatureExpired)) => {
                SignatureFault::Expired
            }
            _ => SignatureFault::Broken,
        };
        fault.get_or_insert(found);
    }
    if sound.is_empty() && down {
        return Err(Down);
    }
    Ok((sound, fault))
}

/// The key's record, once more: the answer was just asked for, and is remembered.
async fn record(dns: &Dns, signature: &Signature) -> Option<Arc<DomainKey>> {
    let no_cache = None::<&NoCache<Box<str>, Txt>>;
    dns.0
        .txt_lookup::<DomainKey>(signature.domain_key(), no_cache)
        .await
        .ok()
}

/// Tells copies of a mail, whoever of its signers they are proven by: a hash of what each signature must cover, without
/// the white space that a canonicalisation may pass over (RFC 6376 §3.4).
fn mark(mail: &AuthenticatedMessage<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for name in COVERED {
        for (written, value) in &mail.headers {
            if written.eq_ignore_ascii_case(name.as_bytes()) {
                hash.update(name.as_bytes());
                hash.update([0]);
                dense(value, &mut hash);
                hash.update([0]);
            }
        }
    }
    dense(mail.raw_body(), &mut hash);
    hash.finalize().into()
}

fn dense(text: &[u8], hash: &mut Sha256) {
    for run in text.split(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')) {
        hash.update(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(names: &str) -> Vec<String> {
        names.split(':').map(str::to_owned).collect()
    }

    #[test]
    fn every_line_that_counts_must_be_covered_as_often_as_it_is_there() {
        let lines = |names: &[&'static str]| -> Vec<(&'static [u8], &'static [u8])> {
            names
                .iter()
                .map(|name| (name.as_bytes(), &b" x\r\n"[..]))
                .collect()
        };
        let usual = ["From", "To", "Date", "Subject", "Received"];
        assert_eq!(
            uncovered(&signed("from:to:date:subject"), &lines(&usual)),
            None
        );
        assert_eq!(
            uncovered(&signed("from:date:subject"), &lines(&usual)),
            Some("To".into())
        );
        assert_eq!(
            uncovered(&signed("to:date:subject"), &lines(&usual)),
            Some("From".into())
        );
        // A line put in by another.
        let more = ["To", "From", "To", "Date", "Subject"];
        assert_eq!(
            uncovered(&signed("from:to:date:subject"), &lines(&more)),
            Some("To".into())
        );
        assert_eq!(
            uncovered(&signed("from:to:to:date:subject"), &lines(&more)),
            None
        );
        let copy = ["From", "To", "Date", "Subject", "Cc"];
        assert_eq!(
            uncovered(&signed("from:to:date:subject"), &lines(&copy)),
            Some("Cc".into())
        );
        let order = ["From", "To", "Date", "X-Fax-Password"];
        assert_eq!(
            uncovered(&signed("from:to:date"), &lines(&order)),
            Some("X-Fax-Password".into())
        );
        let spaced = ["From", "To", "Date", "To "];
        assert_eq!(
            uncovered(&signed("from:to:to:date"), &lines(&spaced)),
            Some("To".into())
        );
        assert_eq!(
            uncovered(&signed("from:to:date"), &lines(&["To", "Date"])),
            Some("From".into())
        );
    }

    #[test]
    fn only_names_that_end_alike_may_be_one_organisations() {
        assert!(may_be_aligned("example.com", "example.com"));
        assert!(may_be_aligned("Mail.Example.com", "example.com"));
        assert!(may_be_aligned("example.com", "a.example.com"));
        assert!(!may_be_aligned("example.org", "example.com"));
        assert!(!may_be_aligned("com", "example.com"));
    }

    fn marked(text: &str) -> [u8; 32] {
        let parsed = MessageParser::default().parse(text.as_bytes()).unwrap();
        mark(&AuthenticatedMessage::from_parsed(
            &parsed,
            text.as_bytes(),
            true,
        ))
    }

    #[test]
    fn a_mark_stands_for_what_is_signed() {
        let mail = "From: a@x\r\nTo: b@y\r\nDate: now\r\nSubject: s\r\n\r\nbody text\r\n";
        let one = marked(mail);
        assert_eq!(one, marked(&mail.replace("To: b", "X-New: 1\r\nto:  b")));
        assert_eq!(one, marked(&mail.replace("body text", "body \t text  ")));
        for (from, to) in [
            ("a@x", "c@x"),
            ("b@y", "c@y"),
            ("now", "then"),
            (": s", ": t"),
            ("body", "bodi"),
        ] {
            assert_ne!(one, marked(&mail.replace(from, to)), "{from}");
        }
    }
}
