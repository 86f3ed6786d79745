//! Which domain a proof speaks for: DMARC's alignment (RFC 7489 §3.1), and SPF on top of it.

use std::net::IpAddr;

use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, SpfOutput, SpfResult,
    dmarc::verify::DmarcParameters, spf::verify::SpfParameters,
};

use super::Dns;

/// What DMARC makes of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aligned {
    Yes,
    No,
    /// The DNS does not answer.
    Unknown,
}

/// The domain of a mail address.
pub(super) fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Whether a signature that holds is one of the From address's domain.
pub(super) async fn by_dkim(dns: &Dns, from: &str, signatures: &[DkimOutput<'_>]) -> Aligned {
    let message = only_from(from);
    let none = SpfOutput::default();
    let parameters = DmarcParameters::new(&message, signatures, "", &none);
    let dmarc = dns.0.verify_dmarc(parameters).await;
    if dmarc.dmarc_record().is_none() && !is_down(dmarc.dkim_result()) {
        // Without a record nobody says which other names are the same organisation's.
        let same = signatures.iter().any(|output| {
            *output.result() == DkimResult::Pass
                && output
                    .signature()
                    .is_some_and(|signature| same_name(&signature.d, domain_of(from)))
        });
        return if same { Aligned::Yes } else { Aligned::No };
    }
    judged(dmarc.dkim_result())
}

/// Whether `peer` may send for the envelope sender's domain, and that is the From address's.
pub(super) async fn by_spf(
    dns: &Dns,
    from: &str,
    peer: IpAddr,
    greeting: &str,
    reverse_path: &str,
) -> Aligned {
    let parameters = SpfParameters::verify_mail_from(peer, greeting, greeting, reverse_path);
    let spf = dns.0.verify_spf(parameters).await;
    match spf.result() {
        SpfResult::Pass => {}
        SpfResult::TempError => return Aligned::Unknown,
        _ => return Aligned::No,
    }
    let message = only_from(from);
    let domain = domain_of(reverse_path);
    let dmarc = dns
        .0
        .verify_dmarc(DmarcParameters::new(&message, &[], domain, &spf))
        .await;
    if dmarc.dmarc_record().is_none() && !is_down(dmarc.spf_result()) {
        let same = same_name(domain, domain_of(from));
        return if same { Aligned::Yes } else { Aligned::No };
    }
    judged(dmarc.spf_result())
}

/// DMARC looks at nothing of the message but who it is from.
fn only_from(from: &str) -> AuthenticatedMessage<'static> {
    AuthenticatedMessage {
        from: vec![from.to_owned()],
        ..AuthenticatedMessage::default()
    }
}

/// Two spellings of one domain name.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    use mail_auth::common::to_a_label;
    !one.is_empty() && to_a_label(one).eq_ignore_ascii_case(&to_a_label(other))
}

fn is_down(result: &DmarcResult) -> bool {
    matches!(result, DmarcResult::TempError(_))
}

/// "Not failed" is not enough: where nothing was checked, the result is none.
fn judged(result: &DmarcResult) -> Aligned {
    match result {
        DmarcResult::Pass => Aligned::Yes,
        DmarcResult::TempError(_) => Aligned::Unknown,
        _ => Aligned::No,
    }
}
