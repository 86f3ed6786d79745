//! What the far end said of each page that we send, by the frames that passed and nothing else.
//!
//! The engine's completion code says OK for skipped and refused pages, and its callbacks fire for
//! refused ones too. So a page is confirmed only by the MCF, RTP or PIP that answers its own
//! post-message command (T.30 §5.3.6.1.6, §5.3.6.1.7).

use crate::{
    frames::{fcf, fcf_name, fcf_of},
    station::{PageVerdict, Verdict},
};

/// The evidence of a sender's call.
pub struct Tracker {
    first: u32,
    /// Pages of the file, those before `first` included.
    pages: u32,
    confirmed: Vec<PageVerdict>,
    current: Current,
    command: Option<Command>,
    /// The engine's count and ours disagree.
    lost: bool,
}

/// The page that is on the line.
#[derive(Default)]
struct Current {
    /// Training is over: its data goes out with the next tick.
    data_next: bool,
    /// Its data went out, in part at least.
    began: bool,
    /// The far end refused it.
    refused: Option<String>,
    /// The last that was said about it and decides nothing.
    hint: Option<String>,
}

/// A post-message command that awaits its answer.
#[derive(Clone, Copy)]
struct Command {
    /// The command: MPS, EOM, EOP or one of their PRI forms.
    end: u8,
    /// It came in a PPS (ECM).
    pps: bool,
    /// It came in an EOR: error correction gave up, which nothing can turn into a confirmation.
    eor: bool,
}

impl Command {
    fn name(self) -> String {
        let lead = match (self.pps, self.eor) {
            (true, _) => "PPS-",
            (_, true) => "EOR-",
            _ => "",
        };
        format!("{lead}{}", fcf_name(self.end))
    }
}

fn ends_page(octet: u8) -> bool {
    matches!(
        fcf_of(octet),
        fcf::MPS | fcf::EOM | fcf::EOP | fcf::PRI_MPS | fcf::PRI_EOM | fcf::PRI_EOP
    )
}

impl Tracker {
    /// A call that sends pages `first..pages` (0-based).
    pub fn new(first: u32, pages: u32) -> Self {
        Self {
            first,
            pages,
            confirmed: Vec::new(),
            current: Current::default(),
            command: None,
            lost: false,
        }
    }

    /// The page on the line, 0-based in the file.
    pub fn index(&self) -> u32 {
        self.first + self.count()
    }

    fn count(&self) -> u32 {
        u32::try_from(self.confirmed.len()).unwrap_or(u32::MAX)
    }

    /// The page whose data goes out with the next tick, if any.
    pub fn data_next(&self) -> Option<u32> {
        self.current.data_next.then(|| self.index())
    }

    /// Data of the page on the line went out, in part at least.
    pub fn in_page(&self) -> bool {
        self.current.began
    }

    /// A frame of ours was queued.
    pub fn sent(&mut self, frame: &[u8]) {
        let Some(&octet) = frame.get(2) else { return };
        match fcf_of(octet) {
            fcf::PPS => {
                let end = frame.get(3).copied().unwrap_or(fcf::NULL);
                self.command = ends_page(end).then(|| Command {
                    end: fcf_of(end),
                    pps: true,
                    eor: false,
                });
                // T.30 Annex A §A.4.3: the page counter of a PPS counts modulo 256.
                if frame
                    .get(4)
                    .is_some_and(|&page| u32::from(page) != self.count() % 256)
                {
                    self.lost = true;
                }
            }
            fcf::EOR => {
                let end = frame.get(3).copied().unwrap_or(fcf::NULL);
                self.command = Some(Command {
                    end: fcf_of(end),
                    pps: false,
                    eor: true,
                });
            }
            end if ends_page(end) => {
                self.command = Some(Command {
                    end,
                    pps: false,
                    eor: false,
                })
            }
            _ => {}
        }
    }

    /// A frame of the far end came in. Returns the verdict on the current page, if this is one.
    pub fn heard(&mut self, frame: &[u8]) -> Option<PageVerdict> {
        let answer = fcf_of(*frame.get(2)?);
        if answer == fcf::CFR {
            // The training succeeded (T.30 §5.3.6.1.5): page data comes next.
            self.current.data_next = true;
            return None;
        }
        let command = self.command?;
        let said = format!("{} to {}", fcf_name(answer), command.name());
        match answer {
            fcf::MCF | fcf::RTP | fcf::PIP if !command.eor && !self.lost && self.current.began => {
                self.command = None;
                let verdict = PageVerdict {
                    index: self.index(),
                    verdict: Verdict::Confirmed,
                    evidence: said,
                };
                self.confirmed.push(verdict.clone());
                // After MPS the next page follows without new training, unless RTP asks for it.
                let data_next =
                    answer != fcf::RTP && matches!(command.end, fcf::MPS | fcf::PRI_MPS);
                self.current = Current {
                    data_next,
                    ..Current::default()
                };
                Some(verdict)
            }
            fcf::RTN | fcf::PIN | fcf::ERR => {
                self.command = None;
                self.current.refused = Some(said.clone());
                Some(PageVerdict {
                    index: self.index(),
                    verdict: Verdict::Refused,
                    evidence: said,
                })
            }
            // Part of the page goes out again; its command will too.
            fcf::PPR => {
                self.command = None;
                None
            }
            fcf::RNR | fcf::CRP => None,
            _ => {
                self.current.hint = Some(said);
                None
            }
        }
    }

    /// The data that was next does not go out.
    pub fn withhold(&mut self) {
        self.current.data_next = false;
    }

    /// Line time passes: data that was next goes out now. Returns the page if it just began.
    pub fn tick(&mut self) -> Option<u32> {
        if !self.current.data_next {
            return None;
        }
        self.current = Current {
            began: true,
            ..Current::default()
        };
        Some(self.index())
    }

    /// The engine's count of pages, told when it has just counted one (or not).
    pub fn engine_counts(&mut self, pages_tx: u32) {
        if pages_tx != self.count() {
            self.lost = true;
        }
    }

    /// Our count and the engine's disagree: what follows can't be told.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// One verdict for each page of the file from the first, as things stand.
    pub fn verdicts(&self) -> Vec<PageVerdict> {
        let mut all = self.confirmed.clone();
        for index in self.index()..self.pages {
            let here = index == self.index();
            let (verdict, evidence) = match &self.current {
                Current {
                    refused: Some(said),
                    ..
                } if here => (Verdict::Refused, said.clone()),
                Current {
                    began: true, hint, ..
                } if here => (
                    Verdict::Unknown,
                    match (hint, self.command) {
                        (Some(said), _) => said.clone(),
                        (None, Some(command)) => format!("no answer to {}", command.name()),
                        (None, None) => "broken off within the page".to_owned(),
                    },
                ),
                _ => (Verdict::Unsent, String::new()),
            };
            all.push(PageVerdict {
                index,
                verdict,
                evidence,
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(octet: u8) -> Vec<u8> {
        vec![0xFF, 0x13, octet]
    }

    fn pps(end: u8, page: u8) -> Vec<u8> {
        vec![0xFF, 0x13, fcf::PPS | 1, end, page, 0, 7]
    }

    fn verdicts(tracker: &Tracker) -> Vec<Verdict> {
        tracker
            .verdicts()
            .into_iter()
            .map(|page| page.verdict)
            .collect()
    }

    /// A call that is about to send the data of its first page.
    fn trained(first: u32, pages: u32) -> Tracker {
        let mut tracker = Tracker::new(first, pages);
        tracker.heard(&frame(fcf::CFR));
        assert_eq!(tracker.tick(), Some(first));
        tracker
    }

    #[test]
    fn pages_are_confirmed_by_the_answer_to_their_own_command() {
        let mut tracker = trained(4, 7);
        for (page, end) in [(0, fcf::MPS), (1, fcf::MPS), (2, fcf::EOP)] {
            tracker.sent(&pps(end, page));
            let said = tracker.heard(&frame(fcf::MCF | 1)).unwrap();
            assert_eq!(
                (said.index, said.verdict),
                (4 + u32::from(page), Verdict::Confirmed)
            );
            assert_eq!(said.evidence, format!("MCF to PPS-{}", fcf_name(end)));
            assert_eq!(tracker.tick().is_some(), end == fcf::MPS);
        }
        assert_eq!(verdicts(&tracker), [Verdict::Confirmed; 3]);
    }

    #[test]
    fn rtp_and_pip_confirm_rtn_and_pin_and_err_refuse() {
        for (answer, verdict) in [
            (fcf::RTP, Verdict::Confirmed),
            (fcf::PIP, Verdict::Confirmed),
            (fcf::RTN, Verdict::Refused),
            (fcf::PIN, Verdict::Refused),
        ] {
            let mut tracker = trained(0, 1);
            tracker.sent(&frame(fcf::EOP));
            assert_eq!(tracker.heard(&frame(answer)).unwrap().verdict, verdict);
            assert_eq!(verdicts(&tracker), [verdict]);
        }
        let mut tracker = trained(0, 1);
        tracker.sent(&[0xFF, 0x13, fcf::EOR, fcf::EOP]);
        assert_eq!(
            tracker.heard(&frame(fcf::MCF)),
            None,
            "MCF is no answer to EOR"
        );
        assert_eq!(
            tracker.heard(&frame(fcf::ERR)).unwrap().evidence,
            "ERR to EOR-EOP"
        );
    }

    #[test]
    fn silence_and_dcn_leave_a_page_unknown() {
        let mut tracker = trained(0, 2);
        assert_eq!(tracker.verdicts()[0].evidence, "broken off within the page");
        tracker.sent(&frame(fcf::MPS));
        assert_eq!(tracker.verdicts()[0].evidence, "no answer to MPS");
        tracker.heard(&frame(fcf::DCN));
        assert_eq!(verdicts(&tracker), [Verdict::Unknown, Verdict::Unsent]);
        assert_eq!(tracker.verdicts()[0].evidence, "DCN to MPS");
    }

    #[test]
    fn a_refused_page_that_is_repeated_is_unknown_until_it_is_answered() {
        let mut tracker = trained(0, 1);
        tracker.sent(&frame(fcf::EOP));
        tracker.heard(&frame(fcf::RTN));
        tracker.heard(&frame(fcf::CFR));
        assert_eq!(
            verdicts(&tracker),
            [Verdict::Refused],
            "its data isn't out yet"
        );
        assert_eq!(tracker.tick(), Some(0));
        assert_eq!(verdicts(&tracker), [Verdict::Unknown]);
        tracker.sent(&frame(fcf::EOP));
        tracker.heard(&frame(fcf::MCF));
        assert_eq!(verdicts(&tracker), [Verdict::Confirmed]);
    }

    #[test]
    fn one_answer_confirms_one_page() {
        let mut tracker = trained(0, 2);
        tracker.sent(&frame(fcf::MPS));
        tracker.sent(&frame(fcf::MPS));
        tracker.heard(&frame(fcf::MCF));
        assert_eq!(tracker.heard(&frame(fcf::MCF)), None);
        assert_eq!(verdicts(&tracker), [Verdict::Confirmed, Verdict::Unsent]);
    }

    #[test]
    fn a_block_within_a_page_confirms_nothing() {
        let mut tracker = trained(0, 1);
        tracker.sent(&pps(fcf::NULL, 0));
        assert_eq!(tracker.heard(&frame(fcf::MCF)), None);
        assert_eq!(verdicts(&tracker), [Verdict::Unknown]);
    }

    #[test]
    fn rnr_and_ppr_postpone_the_answer() {
        let mut tracker = trained(0, 1);
        tracker.sent(&pps(fcf::EOP, 0));
        tracker.heard(&frame(fcf::PPR));
        assert_eq!(
            tracker.heard(&frame(fcf::MCF)),
            None,
            "the command went out before PPR"
        );
        tracker.sent(&pps(fcf::EOP, 0));
        tracker.heard(&frame(fcf::RNR));
        tracker.sent(&frame(fcf::RR));
        assert!(tracker.heard(&frame(fcf::MCF)).is_some());
    }

    #[test]
    fn nothing_is_confirmed_once_the_count_is_lost() {
        let mut tracker = trained(0, 3);
        tracker.sent(&pps(fcf::MPS, 1));
        assert!(tracker.is_lost());
        assert_eq!(tracker.heard(&frame(fcf::MCF)), None);

        let mut tracker = trained(0, 3);
        tracker.sent(&frame(fcf::MPS));
        tracker.heard(&frame(fcf::MCF));
        tracker.engine_counts(1);
        assert!(!tracker.is_lost());
        tracker.engine_counts(2);
        assert!(tracker.is_lost());
    }

    #[test]
    fn a_call_that_never_trained_sent_nothing() {
        let mut tracker = Tracker::new(1, 3);
        tracker.heard(&frame(fcf::CFR));
        assert_eq!(verdicts(&tracker), [Verdict::Unsent, Verdict::Unsent]);
        assert_eq!(Tracker::new(5, 3).verdicts(), []);
    }
}
