//! Incoming frames that the engine would mishandle are rewritten before it sees them.
//!
//! The frame handler runs before the engine's dispatch and on the same buffer, so a changed octet
//! changes what the engine does. Four uses: cures for the two lost-answer traps of the vendored
//! spandsp, an answer that it doesn't know with ECM, refusal of a page that can't be kept, and frames that
//! would break memory.

use crate::frames::{RATE_BITS, fcf, fcf_of, rate_of};

/// What the guard remembers of the frames that passed.
#[derive(Default)]
pub struct Guard {
    /// The last frame of all, either way, if it was ours.
    last_sent: Option<u8>,
    /// The second FCF of the last PPS that we sent, until its answer came.
    asked: Option<u8>,
    /// The second FCF of the last PPS that came in.
    last_pps_end: u8,
    /// That PPS.
    last_pps: Vec<u8>,
    /// A frame that the engine must be given after the one that it handles now.
    inject: Option<Vec<u8>>,
    /// A page can't be kept: the next chance to say so is taken.
    refusing: bool,
    /// The DCS that just came in must be answered with DCN.
    reject_dcs: bool,
}

/// The longest DCS that the engine's text buffer holds is 25 octets; 19 octets of information are all
/// that T.30 Table 2 defines.
const LONGEST_DCS: usize = 22;

impl Guard {
    /// From now on a waiting sender is turned away.
    pub fn refuse(&mut self) {
        self.refusing = true;
    }

    /// Whether the DCS that just came in must be rejected. Asked once.
    pub fn take_rejection(&mut self) -> bool {
        std::mem::take(&mut self.reject_dcs)
    }

    /// A frame of ours is queued.
    pub fn sent(&mut self, frame: &[u8]) {
        self.last_sent = frame.get(2).map(|&octet| fcf_of(octet));
        match (self.last_sent, frame.get(3)) {
            (Some(fcf::PPS), Some(&end)) => self.asked = Some(fcf_of(end)),
            // It asks again for the answer to the PPS.
            (Some(fcf::RR), _) => {}
            _ => self.asked = None,
        }
    }

    /// A frame came in, and may be rewritten.
    pub fn heard(&mut self, frame: &mut [u8]) {
        let len = frame.len();
        let Some(octet) = frame.get(2).copied() else {
            return;
        };
        let instead = match fcf_of(octet) {
            // EOS is unexpected wherever RR is awaited: the engine answers it with a proper DCN.
            fcf::RR | fcf::PPS if self.refusing => Some(fcf::EOS),
            fcf::PPS | fcf::RR => self.after_a_lost_answer(fcf_of(octet)),
            fcf::DCS => self.dcs(frame),
            fcf::RTP => self.rtp(),
            // A CTC with a rate that doesn't exist would index the engine's rate table with -1.
            fcf::CTC if len < 5 || rate_of(frame[4]).is_none() => Some(fcf::EOS),
            _ => None,
        };
        if fcf_of(octet) == fcf::PPS && len > 3 {
            self.last_pps_end = fcf_of(frame[3]);
            self.last_pps = frame.to_vec();
        }
        if let Some(instead) = instead {
            frame[2] = (octet & 1) | instead;
        }
        self.last_sent = None;
    }

    /// A PPS, or an RR, right after our own answer: the sender did not hear it and repeats its question
    /// after T4. The engine does not expect that: it would hang up, or say nothing (T.30 Annex A §A.4.3).
    fn after_a_lost_answer(&mut self, question: u8) -> Option<u8> {
        match (self.last_sent, question) {
            // As if the sender had asked: RNR again, or MCF if the page is kept by now.
            (Some(fcf::RNR), fcf::PPS) => Some(fcf::RR),
            (Some(fcf::MCF), _)
                if !matches!(self.last_pps_end, fcf::MPS | fcf::PRI_MPS | fcf::NULL) =>
            {
                // As if the sender had asked for a repeat: MCF again.
                Some(fcf::CRP)
            }
            // Within a document the engine waits for page data by now. A repeated PPS it answers with MCF
            // itself, but an RR means nothing to it there.
            (Some(fcf::MCF), fcf::RR) => {
                self.inject = Some(self.last_pps.clone());
                None
            }
            _ => None,
        }
    }

    /// RTP to a PPS: the page is good, train again (T.30 §5.3.6.1.7). The engine knows it without ECM only,
    /// and would hang up. Behind the last page, or one with EOM, no training is skipped if it takes it for
    /// MCF. Between pages the far end would not hear the data that follows at once: that call ends.
    fn rtp(&self) -> Option<u8> {
        self.asked
            .is_some_and(|end| matches!(end, fcf::EOP | fcf::EOM | fcf::PRI_EOP | fcf::PRI_EOM))
            .then_some(fcf::MCF)
    }

    /// A frame that the engine must be given now.
    pub fn take_injection(&mut self) -> Option<Vec<u8>> {
        self.inject.take()
    }

    fn dcs(&mut self, frame: &mut [u8]) -> Option<u8> {
        if frame.len() > LONGEST_DCS {
            // The engine prints a DCS into a fixed buffer without looking at its length.
            return Some(fcf::EOS);
        }
        if frame.len() >= 6 && rate_of(frame[4]).is_none() {
            // An unknown rate would leave the engine's rate index at -1, read by every look at its
            // statistics. Let it see a rate that exists, and reject the DCS in phase B.
            frame[4] &= !RATE_BITS;
            self.reject_dcs = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(octet: u8) -> Vec<u8> {
        vec![0xFF, 0x13, octet]
    }

    fn pps(end: u8) -> Vec<u8> {
        vec![0xFF, 0x13, fcf::PPS | 1, end, 0, 0, 9]
    }

    fn passed(guard: &mut Guard, mut frame: Vec<u8>) -> Vec<u8> {
        guard.heard(&mut frame);
        frame
    }

    #[test]
    fn a_repeated_pps_after_rnr_asks_for_the_answer() {
        let mut guard = Guard::default();
        assert_eq!(passed(&mut guard, pps(fcf::MPS)), pps(fcf::MPS));
        guard.sent(&frame(fcf::RNR));
        assert_eq!(
            passed(&mut guard, pps(fcf::MPS))[2],
            fcf::RR | 1,
            "the X bit stays"
        );
    }

    #[test]
    fn a_repeated_pps_after_the_last_mcf_gets_it_again() {
        for (end, expected) in [
            (fcf::EOP, fcf::CRP),
            (fcf::EOM, fcf::CRP),
            (fcf::MPS, fcf::PPS),
        ] {
            let mut guard = Guard::default();
            guard.heard(&mut pps(end));
            guard.sent(&frame(fcf::MCF));
            assert_eq!(fcf_of(passed(&mut guard, pps(end))[2]), expected);
        }
    }

    #[test]
    fn an_rr_after_the_mcf_gets_it_again() {
        for (end, expected) in [
            (fcf::EOP, fcf::CRP),
            (fcf::EOM, fcf::CRP),
            (fcf::MPS, fcf::RR),
        ] {
            let mut guard = Guard::default();
            guard.heard(&mut pps(end));
            guard.sent(&frame(fcf::RNR));
            guard.heard(&mut frame(fcf::RR));
            guard.sent(&frame(fcf::MCF));
            assert_eq!(guard.take_injection(), None);
            assert_eq!(fcf_of(passed(&mut guard, frame(fcf::RR))[2]), expected);
            assert_eq!(guard.take_injection(), (end == fcf::MPS).then(|| pps(end)));
        }
    }

    #[test]
    fn rtp_to_a_pps_is_taken_for_mcf_where_no_page_follows_at_once() {
        for (end, expected) in [
            (fcf::EOP, fcf::MCF),
            (fcf::EOM, fcf::MCF),
            (fcf::MPS, fcf::RTP),
            (fcf::NULL, fcf::RTP),
        ] {
            let mut guard = Guard::default();
            guard.sent(&pps(end));
            assert_eq!(passed(&mut guard, frame(fcf::RTP | 1))[2], expected | 1);
            guard.sent(&frame(fcf::RR));
            assert_eq!(passed(&mut guard, frame(fcf::RTP))[2], expected);
        }
        // Without ECM the engine knows it.
        let mut guard = Guard::default();
        guard.sent(&frame(fcf::EOP));
        assert_eq!(passed(&mut guard, frame(fcf::RTP))[2], fcf::RTP);
    }

    #[test]
    fn a_pps_after_page_data_is_left_alone() {
        let mut guard = Guard::default();
        guard.heard(&mut pps(fcf::EOP));
        guard.sent(&frame(fcf::MCF));
        guard.heard(&mut frame(fcf::FCD));
        assert_eq!(passed(&mut guard, pps(fcf::EOP)), pps(fcf::EOP));
    }

    #[test]
    fn a_refusal_takes_the_next_chance() {
        let mut guard = Guard::default();
        guard.sent(&frame(fcf::RNR));
        guard.refuse();
        assert_eq!(passed(&mut guard, frame(fcf::RR))[2], fcf::EOS);
        guard.sent(&frame(fcf::RNR));
        assert_eq!(fcf_of(passed(&mut guard, pps(fcf::EOP))[2]), fcf::EOS);
    }

    #[test]
    fn a_rate_that_does_not_exist_never_reaches_the_engine() {
        let mut guard = Guard::default();
        let dcs = passed(&mut guard, vec![0xFF, 0x13, fcf::DCS | 1, 0, 0x52, 0x88]);
        assert_eq!(rate_of(dcs[4]), Some(2400));
        assert!(guard.take_rejection());
        assert!(!guard.take_rejection());
        let ctc = passed(&mut guard, vec![0xFF, 0x13, fcf::CTC, 0, 0x10]);
        assert_eq!(ctc[2], fcf::EOS);
        assert_eq!(passed(&mut guard, frame(fcf::CTC))[2], fcf::EOS);
    }

    #[test]
    fn an_overlong_dcs_never_reaches_the_engine() {
        let mut long = vec![0xFF, 0x13, fcf::DCS, 0, 0x20];
        long.resize(200, 0x80);
        assert_eq!(passed(&mut Guard::default(), long)[2], fcf::EOS);
    }

    proptest! {
        #[test]
        fn whatever_comes_no_bad_rate_passes(
            frames in proptest::collection::vec(
                (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..20)
        ) {
            let mut guard = Guard::default();
            for (ours, mut frame) in frames {
                if ours {
                    guard.sent(&frame);
                    continue;
                }
                let len = frame.len();
                guard.heard(&mut frame);
                prop_assert_eq!(frame.len(), len);
                if len >= 6 && matches!(fcf_of(frame[2]), fcf::DCS | fcf::CTC) {
                    prop_assert!(rate_of(frame[4]).is_some());
                }
            }
        }
    }
}
