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

use super::{
    Dns,
    alignment::{self, Aligned, domain_of},
    copies::{self, Age, COVERED},
};
use crate::clock::Millis;

/// Lines that tell us what to do with the mail begin so.
const ORDERS: &str = "x-fax-";

/// Whether a header line of that name tells us what to do with the mail.
pub(super) fn is_order(name: &str) -> bool {
    let head = name.get(..ORDERS.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(ORDERS))
}

/// Signatures whose keys are asked for: others of the mail are not looked at.
const MOST: usize = 5;
/// `t=y` of a key record, as mail-auth has it: mail signed with a key in testing is as if it were not signed
/// (RFC 6376 §3.6.1).
const TESTING: u64 = 0x10;
/// Of an RSA key.
const LEAST_BITS: usize = 1024;

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
    /// RFC 5322 §2.2: what some programs read as another field's name, no signature can name.
    #[error(
        "its header has a field named \"{0}\", which programs read differently: have your mail program corrected"
    )]
    FieldName(String),
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
    Signed,
    Fault(SignatureFault),
    /// The DNS does not answer.
    Unknown,
}

/// Looks for a signature that proves `from` (lower case, the mail's one From address).
pub(super) async fn check(dns: Dns, message: Arc<Vec<u8>>, from: String, age: Age) -> Found {
    let Some(parsed) = MessageParser::default().parse(message.as_slice()) else {
        return Found::Fault(SignatureFault::Malformed);
    };
    let mut mail = AuthenticatedMessage::from_parsed(&parsed, &message, true);
    // Whom DMARC judges and whom we map must be one address.
    if mail.from != [from.as_str()] {
        return Found::Fault(SignatureFault::Malformed);
    }
    let names = (parsed.headers().iter()).map(|header| copies::raw_name(header, &message));
    if let Some(name) = odd_name(names) {
        return Found::Fault(SignatureFault::FieldName(name));
    }
    let dated = age.fault_of(copies::date(parsed.headers()));
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
        Aligned::Yes => Found::Signed,
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

/// The first name that is not of printable characters alone (RFC 5322 §3.6.8). The parser passes over white space in it
/// and over colons before it, so that `T o` and `:To` would be To lines that are signed by nobody.
fn odd_name<'m>(names: impl IntoIterator<Item = &'m [u8]>) -> Option<String> {
    let is_ftext = |octet: &u8| matches!(octet, 33..=57 | 59..=126);
    let odd = |name: &&[u8]| name.is_empty() || !name.iter().all(is_ftext);
    let name = names.into_iter().find(odd)?;
    let shown = name.escape_ascii().to_string();
    Some(shown.chars().take(64).collect())
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
        let name = &*String::from_utf8_lossy(name);
        match found
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            Some((_, count)) => *count += 1,
            None if is_order(name) => found.push((name.to_owned(), 1)),
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

    #[test]
    fn promise_4_names_that_programs_read_differently_are_told() {
        for odd in [
            "T o",
            "C\tc",
            ":Cc",
            ":X-Fax-Password",
            "Sub ject",
            "To ",
            "",
            "T\u{e9}",
        ] {
            let names = [b"From".as_slice(), odd.as_bytes(), b"Date"];
            assert!(odd_name(names).is_some(), "{odd:?}");
        }
        assert_eq!(odd_name([b"From".as_slice(), b"X-A_b.c!", b"x"]), None);
    }

    proptest::proptest! {
        /// Whatever name the parser takes for one that must be covered is that name, or is refused.
        #[test]
        fn promise_4_no_line_hides_behind_its_name(name in "[ToCcSubject: \t]{1,8}") {
            let text = format!("X: y\r\n{name}: z\r\n\r\nx");
            let parsed = MessageParser::default().parse(text.as_bytes()).unwrap();
            let header = parsed.headers().iter().filter(|header| COVERED.contains(&header.name.as_str()));
            for header in header {
                let raw = copies::raw_name(header, text.as_bytes());
                let plain = raw.eq_ignore_ascii_case(header.name.as_str().as_bytes());
                proptest::prop_assert!(plain || odd_name([raw]).is_some(), "{:?}", name);
            }
        }
    }
}
