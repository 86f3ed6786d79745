//! A call's ending as the facts that `outcome` judges by.

use super::{CallEnding, SipEnding};
use crate::outcome::{Facts, Unanswered};

impl From<&CallEnding> for Facts {
    fn from(ending: &CallEnding) -> Self {
        Self {
            unanswered: ending.sip.as_ref().map(|sip| match sip {
                SipEnding::Status(status) => Unanswered::Status(*status),
                SipEnding::Unreachable(_) => Unanswered::Unreachable,
                SipEnding::NoAnswer => Unanswered::NoAnswer,
            }),
            q850: ending.q850,
            t30: ending.t30,
            no_fax_heard: ending.no_fax_heard,
            pages: ending.pages.iter().map(|page| page.verdict).collect(),
            own_fault: ending.own_fault.is_some(),
            hylafax: ending.hylafax.clone(),
        }
    }
}
