//! Every ending of a call or a job: plain words, whether to try again, the mail status code.
//!
//! [`classify`] looks at the facts of one call; [`by_key`] finds the row again that a table names.
//! `table` holds the rows, `codes` what each SIP, Q.850 and T.30 code means.

mod codes;
mod hylafax;
mod table;

use crate::language::{Language, Say};

pub use codes::{T30Code, q850_name, t30_code};
pub use hylafax::{PageData, page_data};
pub use table::{
    ATTACHMENT_UNREADABLE, ATTACHMENT_UNSUPPORTED, CALL_ENDED_FOR_ANOTHER, CANCELLED, DEADLINE,
    GATEWAY_RESTARTED, MAIL_EMPTY, MAIL_UNREADABLE, NO_TRUNK, NO_USER, NOT_ALLOWED, NOT_RELEASED,
    OUT_OF_HOURS, OWN_FAULT, RECEIVED, SENT, TABLE, TOO_MANY_PAGES,
};

/// What the far end said of one page, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// MCF, RTP or PIP answered its post-message command.
    Confirmed,
    /// RTN, PIN or ERR answered it.
    Refused,
    /// Page data went out and nothing that counts came back.
    Unknown,
    /// No page data went out.
    Unsent,
}

impl Verdict {
    /// As the tables hold it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Unsent => "unsent",
        }
    }

    /// The verdict that a table holds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Confirmed, Self::Refused, Self::Unknown, Self::Unsent]
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
    }
}

/// Whether and how another call may help. The ladder of tries is the queue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// It is done, or the same call ends the same way.
    Never,
    /// The line is engaged: soon again.
    Busy,
    /// Nobody took the call: later again.
    NoAnswer,
    /// Something answered that is no fax machine: seldom again, it may be a person's telephone.
    NoFax,
    /// The two machines did not get on, or the line was poor: again, more carefully.
    Protocol,
    /// The trunk, the network or we failed: by another trunk, or later.
    Trunk,
    /// We were stopped, or the call overstayed: soon again, nobody else failed.
    Interrupted,
}

/// One ending, of a call or of a job.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The name that `job.outcome`, `leg.outcome` and `received_fax.outcome` hold. Never changes its meaning.
    pub key: &'static str,
    /// Whether to call again.
    pub retry: RetryClass,
    /// The enhanced status code of a DSN that reports it (RFC 3463 §3).
    pub dsn: &'static str,
    /// What happened.
    pub what: Say,
    /// What the reader can do, or what happens next; may be empty.
    pub advice: Say,
}

impl Outcome {
    /// What happened and what to do, in whole sentences.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let (what, advice) = (self.what.to(language), self.advice.to(language));
        if advice.is_empty() {
            what.to_owned()
        } else {
            format!("{what} {advice}")
        }
    }
}

/// The row with this key; none for a key that this version does not know.
#[must_use]
pub fn by_key(key: &str) -> Option<&'static Outcome> {
    TABLE.iter().copied().find(|outcome| outcome.key == key)
}

/// The facts of one call that decide its outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Why the call was never answered.
    pub unanswered: Option<Unanswered>,
    /// Q.850 cause, when the network gave one.
    pub q850: Option<u16>,
    /// spandsp's T.30 completion code, when a fax began.
    pub t30: Option<u32>,
    /// No T.30 signal came in time.
    pub no_fax_heard: bool,
    /// The verdict on each page of the order; empty for an incoming call.
    pub pages: Vec<Verdict>,
    /// We ended it by a failure of our own.
    pub own_fault: bool,
    /// What HylaFAX says of a call that it placed or took; empty when it has nothing to say.
    pub hylafax: Option<String>,
}

/// Why a call was never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// A final SIP response from 300 to 699.
    Status(u16),
    /// No response at all.
    Unreachable,
    /// It rang until our limit.
    NoAnswer,
}

/// What a call's facts amount to.
///
/// The pages decide before any code: spandsp reports success for pages that the far end refused or
/// that it skipped.
#[must_use]
pub fn classify(facts: impl Into<Facts>) -> &'static Outcome {
    let facts = facts.into();
    let all = |verdict| facts.pages.iter().all(|&page| page == verdict);
    let any = |verdict| facts.pages.contains(&verdict);

    if !facts.pages.is_empty() && all(Verdict::Confirmed) {
        return &table::SENT;
    }
    if facts.own_fault {
        return &table::OWN_FAULT;
    }
    if let Some(unanswered) = facts.unanswered {
        // The cause of the telephone network says more than the status it was turned into
        // (RFC 3398 §8.2.6.1 maps many causes to one status).
        return facts
            .q850
            .and_then(codes::by_q850)
            .unwrap_or_else(|| match unanswered {
                Unanswered::Status(status) => codes::by_sip(status),
                Unanswered::Unreachable => &table::TRUNK_UNREACHABLE,
                Unanswered::NoAnswer => &table::NO_ANSWER,
            });
    }
    if let Some(said) = &facts.hylafax {
        return match (facts.pages.is_empty(), hylafax::by_text(said)) {
            (true, _) => &table::RECEPTION_BROKEN,
            _ if any(Verdict::Refused) => &table::PAGES_REFUSED,
            (_, outcome) if outcome == &table::DROPPED && any(Verdict::Unknown) => {
                &table::DROPPED_IN_PAGE
            }
            (_, outcome) => outcome,
        };
    }
    if facts.no_fax_heard {
        return &table::NO_FAX;
    }
    match facts.t30 {
        Some(0) if facts.pages.is_empty() => &table::RECEIVED,
        // With error correction the engine ends the call at RTN by a code that says less.
        Some(_) if any(Verdict::Refused) => &table::PAGES_REFUSED,
        Some(0) => &table::PAGES_UNCONFIRMED,
        Some(code) => {
            let outcome = codes::by_t30(code);
            // A call cut off while page data is on its way leaves a page in doubt, and is told so.
            if outcome == &table::DROPPED && any(Verdict::Unknown) {
                &table::DROPPED_IN_PAGE
            } else {
                outcome
            }
        }
        None => facts
            .q850
            .and_then(codes::by_q850)
            .unwrap_or(&table::DROPPED),
    }
}

#[cfg(test)]
mod tests;
