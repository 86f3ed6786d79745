//! What the next call offers: less after each that broke off, so that no two of them fail for the same reason.

use crate::{
    line::{CallOrder, Media},
    outcome::RetryClass,
};

/// What is offered on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// T.38 is tried, where the trunk has it; else the call stays G.711.
    pub t38: bool,
    /// V.17, up to 14400 bit/s; else V.29, up to 9600.
    pub v17: bool,
    /// Error correction.
    pub ecm: bool,
}

impl Offer {
    /// Everything.
    pub const FULL: Self = Self {
        t38: true,
        v17: true,
        ecm: true,
    };

    /// What this order offers.
    pub fn of(order: &CallOrder) -> Self {
        Self {
            t38: order.t38,
            v17: order.v17,
            ecm: order.ecm,
        }
    }
}

/// A call of the job that is over.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    /// What it offered.
    pub offer: Offer,
    /// The trunk that it went over.
    pub trunk_id: String,
    /// What carried it at the end; `None`: it was never answered.
    pub media: Option<Media>,
    /// What kind of failure ended it.
    pub class: RetryClass,
}

impl Tried {
    /// Whether what was offered may be to blame.
    ///
    /// A line that is busy, or that nobody takes, never heard of it. Where no fax machine was heard, T.38 may
    /// be, with a gateway that accepts it and carries nothing; on G.711 it was a person.
    fn tells_of_the_offer(&self) -> bool {
        match self.class {
            RetryClass::Protocol => true,
            RetryClass::NoFax => self.media == Some(Media::T38),
            _ => false,
        }
    }
}

/// A trunk that can take the call now.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    /// Which.
    pub trunk_id: String,
    /// T.38 is tried on it.
    pub t38: bool,
    /// It is a HylaFAX server.
    pub hylafax: bool,
}

/// The next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// What it offers.
    pub offer: Offer,
    /// The trunks in the order to try them.
    pub trunks: Vec<String>,
}

/// Decides by the calls so far (in order), what is remembered of the destination, and the trunks that can
/// take the call (in their order).
pub(super) fn next(tried: &[Tried], remembered: Option<Offer>, carriers: &[Carrier]) -> Attempt {
    let last = tried.iter().rfind(|call| call.tells_of_the_offer());
    let offer = match last {
        None => remembered.unwrap_or(Offer::FULL),
        Some(last) => after(last, tried, carriers),
    };
    let mut trunks: Vec<String> = (carriers.iter()).map(|c| c.trunk_id.clone()).collect();
    // Where this very offer has failed comes last.
    trunks.sort_by_key(|trunk_id| failed_on(trunk_id, offer, tried));
    Attempt { offer, trunks }
}

/// One thing less than the call that broke off; when only error correction is left, another trunk first.
fn after(last: &Tried, tried: &[Tried], carriers: &[Carrier]) -> Offer {
    let mut offer = last.offer;
    if last.class == RetryClass::NoFax {
        // No modem has spoken yet: V.17 is not to blame.
        offer.t38 = false;
    } else if offer.v17 {
        offer.v17 = false;
    } else if offer.t38 && carriers.iter().any(|carrier| carrier.t38) {
        offer.t38 = false;
    } else if !another_trunk(offer, tried, carriers) {
        offer.ecm = false;
    }
    offer
}

/// Whether this offer has failed on one trunk only and another can take the call.
fn another_trunk(offer: Offer, tried: &[Tried], carriers: &[Carrier]) -> bool {
    let mut failed: Vec<_> = (tried.iter())
        .filter(|call| call.offer == offer && call.tells_of_the_offer())
        .map(|call| &call.trunk_id)
        .collect();
    failed.sort_unstable();
    failed.dedup();
    failed.len() < 2 && (carriers.iter()).any(|carrier| !failed.contains(&&carrier.trunk_id))
}

fn failed_on(trunk_id: &str, offer: Offer, tried: &[Tried]) -> bool {
    (tried.iter())
        .any(|call| call.trunk_id == trunk_id && call.offer == offer && call.tells_of_the_offer())
}

#[cfg(test)]
mod tests;
