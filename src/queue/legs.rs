//! The legs of a call: one for each job that it carries, one document behind the other.

use super::{claim::Job, records::LegRecord, state::State};
use crate::line::{CallEnding, PageVerdict};

/// A job on a call.
pub(super) struct Leg {
    pub job: Job,
    pub record: LegRecord,
    /// Which of the call's pages are its: so many, from this one on.
    pub pages: u32,
    pub begins: u32,
    /// `dialling` until its first page has its permit.
    pub state: State,
}

impl Leg {
    /// Page of the call to page of the leg.
    fn own(&self, page: u32) -> Option<u32> {
        page.checked_sub(self.begins)
            .filter(|own| *own < self.pages)
    }
}

/// All legs of a call, in the order in which they go out; at least one.
pub(super) struct Legs(Vec<Leg>);

impl Legs {
    /// Legs that stand behind each other.
    pub fn new(legs: Vec<Leg>) -> Self {
        debug_assert!(!legs.is_empty(), "a call carries something");
        Self(legs)
    }

    /// The call is the same for all.
    pub fn call(&self) -> &LegRecord {
        &self.0[0].record
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Leg> {
        self.0.iter()
    }

    /// Whose page of the call this is, and its number in the leg.
    pub fn of_page(&mut self, page: u32) -> Option<(&mut Leg, u32)> {
        let mut legs = self.0.iter_mut();
        legs.find_map(|leg| leg.own(page).map(|own| (leg, own)))
    }

    /// Whose page a verdict is on, and the verdict with the number of the page in that leg.
    pub fn of_verdict(&self, verdict: &PageVerdict) -> Option<(&Leg, PageVerdict)> {
        let own = |leg: &Leg| own_verdict(leg, verdict);
        self.0.iter().find_map(|leg| Some((leg, own(leg)?)))
    }

    /// Page data of some leg may be out.
    pub fn sends(&self) -> bool {
        self.0.iter().any(|leg| leg.state == State::Sending)
    }
}

fn own_verdict(leg: &Leg, verdict: &PageVerdict) -> Option<PageVerdict> {
    Some(PageVerdict {
        page: leg.own(verdict.page)?,
        ..verdict.clone()
    })
}

impl Leg {
    /// The call's ending with this leg's pages alone.
    pub fn ending(&self, ending: &CallEnding) -> CallEnding {
        let own = |verdict| own_verdict(self, verdict);
        CallEnding {
            pages: ending.pages.iter().filter_map(own).collect(),
            ..ending.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Verdict;

    fn leg(begins: u32, pages: u32, first_page: u32) -> Leg {
        Leg {
            job: Job::for_testing(),
            record: LegRecord {
                tenant_id: "t".into(),
                call_id: "c".into(),
                leg_id: format!("l{begins}"),
                job_id: "j".into(),
                first_page,
            },
            pages,
            begins,
            state: State::Dialling,
        }
    }

    #[test]
    fn promise_3_each_page_of_a_call_belongs_to_one_leg() {
        let mut legs = Legs::new(vec![leg(0, 2, 1), leg(2, 1, 0), leg(3, 3, 0)]);
        let mut whose = |page| {
            let (leg, own) = legs.of_page(page)?;
            Some((leg.begins, own))
        };
        let told: Vec<_> = (0..7).map(&mut whose).collect();
        let expected = [(0, 0), (0, 1), (2, 0), (3, 0), (3, 1), (3, 2)].map(Some);
        assert_eq!((&told[..6], told[6]), (&expected[..], None));
        let said = |page| PageVerdict {
            page,
            verdict: Verdict::Confirmed,
            evidence: "MCF to PPS-EOM".into(),
        };
        let (leg, own) = legs.of_verdict(&said(4)).unwrap();
        assert_eq!((leg.begins, own), (3, said(1)));
        assert!(legs.of_verdict(&said(6)).is_none());
        let ending = CallEnding {
            pages: (0..6).map(said).collect(),
            ..CallEnding::default()
        };
        let parts: Vec<usize> = legs
            .iter()
            .map(|leg| leg.ending(&ending).pages.len())
            .collect();
        assert_eq!(parts, [2, 1, 3]);
        assert_eq!(legs.iter().nth(1).unwrap().ending(&ending).pages, [said(0)]);
    }
}
