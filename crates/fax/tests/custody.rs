//! A received page is kept first and confirmed after, however long keeping takes.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use faxpost_fax::{
    Cause, Event, Kept, PageGate, ReceivedPage, Station, T38Endpoint, Verdict, Work,
};
use faxpost_t4::Resolution;

fn ecm() -> Station {
    Station::default()
}

fn no_ecm() -> Station {
    Station {
        ecm: false,
        ..Station::default()
    }
}

fn lost(frame: &'static str) -> Way {
    Way::tampering(&[(frame, 0, Tamper::Lose)])
}

/// Everything arrived, and what was confirmed was kept first.
fn assert_whole(call: &T38Call) {
    assert_same(&call.shelf.kept(), &three_pages());
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
    assert_eq!((call.a.ending().name, call.b.ending().kept), ("OK", 3));
}

#[test]
fn a_commit_within_the_block_costs_no_round() {
    for station in [ecm(), no_ecm()] {
        let call =
            T38Call::new(&station, &three_pages(), Commit::Blocking(seconds(0.4))).run(300.0);
        assert_whole(&call);
        assert_eq!(call.b.count(true, "RNR"), 0);
    }
}

#[test]
fn with_ecm_a_slow_commit_is_held_by_rnr() {
    for (after, rounds) in [(0.4, 1), (1.2, 1), (6.0, 3)] {
        let pages = three_pages();
        let call = T38Call::new(&ecm(), &pages, Commit::Later(seconds(after))).run(400.0);
        assert_whole(&call);
        assert_eq!(call.b.count(true, "RNR"), 3 * rounds, "{after} s");
        assert_eq!(call.a.count(true, "RR"), 3 * rounds, "{after} s");
    }
}

#[test]
fn with_ecm_a_slow_commit_is_held_over_audio_too() {
    let pages = three_pages();
    let call = AudioCall::new(&ecm(), &pages, Commit::Later(seconds(1.2))).run(400.0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
    assert_eq!(call.b.count(true, "RNR"), 3);
}

#[test]
fn with_ecm_a_refused_page_ends_in_dcn() {
    let call = T38Call::new(&ecm(), &three_pages(), Commit::Refused).run(300.0);
    assert_eq!(call.b.frames(true).last(), Some(&"DCN"));
    assert_eq!(call.a.ending().name, "RX_DCNRRD");
    assert_eq!(
        call.a.verdicts(),
        [Verdict::Unknown, Verdict::Unsent, Verdict::Unsent]
    );
    assert_eq!(call.b.ending().cause, Cause::PageNotKept);
    assert_eq!(call.b.ending().kept, 0);
    assert!(
        call.b
            .events
            .iter()
            .any(|e| matches!(e, Event::PageRefused { index: 0, .. }))
    );
    assert!(call.b.ending().ticks < u64::from(seconds(60.0)));
}

#[test]
fn with_ecm_a_refused_page_ends_in_dcn_over_audio_too() {
    let call = AudioCall::new(&ecm(), &three_pages(), Commit::Refused).run(300.0);
    assert_eq!(call.a.ending().name, "RX_DCNRRD");
    assert_eq!(call.a.verdicts()[0], Verdict::Unknown);
    assert_eq!(call.b.ending().cause, Cause::PageNotKept);
}

#[test]
fn with_ecm_a_page_that_is_never_kept_is_refused_before_the_sender_gives_up() {
    let call = T38Call::new(&ecm(), &three_pages(), Commit::Never).run(300.0);
    assert_eq!(call.a.ending().name, "RX_DCNRRD", "not TX_T5EXP");
    assert_eq!(call.a.verdicts()[0], Verdict::Unknown);
    assert_eq!(
        (call.b.ending().cause, call.b.ending().kept),
        (Cause::PageNotKept, 0)
    );
}

#[test]
fn without_ecm_a_slow_commit_freezes_the_call() {
    for after in [0.5, 1.5, 1.9] {
        let pages = three_pages();
        let call = T38Call::new(&no_ecm(), &pages, Commit::Later(seconds(after))).run(300.0);
        assert_whole(&call);
        assert_eq!(call.a.count(true, "MPS"), 2, "nothing was repeated");
        let call = AudioCall::new(&no_ecm(), &pages, Commit::Later(seconds(after))).run(300.0);
        assert_same(&call.shelf.kept(), &pages);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
    }
}

#[test]
fn without_ecm_a_page_that_is_never_kept_or_refused_is_not_confirmed() {
    for commit in [Commit::Never, Commit::Refused] {
        let call = T38Call::new(&no_ecm(), &three_pages(), commit).run(300.0);
        assert_eq!(
            (call.b.ending().cause, call.b.ending().kept),
            (Cause::PageNotKept, 0)
        );
        // The confirmation was queued within the engine, and never left it.
        assert_eq!(call.a.count(false, "MCF"), 0);
        assert_eq!(
            call.a.verdicts(),
            [Verdict::Unknown, Verdict::Unsent, Verdict::Unsent]
        );
        assert_eq!(call.a.ending().name, "TX_PHDDEAD");

        let call = AudioCall::new(&no_ecm(), &three_pages(), commit).run(300.0);
        assert_eq!(
            (call.b.ending().cause, call.b.ending().kept),
            (Cause::PageNotKept, 0)
        );
        assert_eq!(call.a.verdicts()[0], Verdict::Unknown);
    }
}

#[test]
fn without_ecm_time_blocked_counts_against_the_two_seconds() {
    struct Blocking(u32);
    impl PageGate for Blocking {
        fn keep(&mut self, _: ReceivedPage) -> Kept {
            Kept::Pending
        }
        fn poll(&mut self) -> Kept {
            self.0 += 1;
            if self.0 > 80 {
                Kept::Committed
            } else {
                Kept::Pending
            }
        }
        fn blocked_ticks(&self) -> u32 {
            25
        }
    }
    let mut call = T38Call::new(&no_ecm(), &three_pages(), Commit::Now);
    let station = no_ecm();
    call.b.endpoint = T38Endpoint::new(&station, Work::receive(Blocking(0)), false, 400).unwrap();
    let call = call.run(300.0);
    assert_eq!(call.b.ending().cause, Cause::PageNotKept);
}

#[test]
fn a_lost_rnr_is_cured() {
    for loss in [Tamper::Lose, Tamper::Spoil] {
        for after in [1.2, 6.0] {
            let mut call = T38Call::new(&ecm(), &three_pages(), Commit::Later(seconds(after)));
            call.b_way = Way::tampering(&[("RNR", 0, loss)]);
            let call = call.run(400.0);
            assert_whole(&call);
            assert_eq!(
                call.a.count(true, "PPS-MPS") + call.a.count(true, "PPS-EOP"),
                4
            );
        }
    }
}

#[test]
fn a_lost_mcf_is_cured() {
    for loss in [Tamper::Lose, Tamper::Spoil] {
        for station in [ecm(), no_ecm()] {
            for nth in 0..3 {
                for commit in [Commit::Now, Commit::Later(seconds(1.2))] {
                    let mut call = T38Call::new(&station, &three_pages(), commit);
                    call.b_way = Way::tampering(&[("MCF", nth, loss)]);
                    let call = call.run(400.0);
                    assert_eq!(call.b.count(true, "MCF"), 4, "{nth} {commit:?} {loss:?}");
                    assert_whole(&call);
                }
            }
        }
    }
}

#[test]
fn a_lost_mcf_after_eom_is_cured() {
    // The far end goes back to phase B after it.
    let pages = document(&[Resolution::Standard, Resolution::Fine]);
    for commit in [Commit::Now, Commit::Later(seconds(1.2))] {
        let mut call = T38Call::new(&ecm(), &pages, commit);
        call.b_way = lost("MCF");
        let call = call.run(400.0);
        assert_same(&call.shelf.kept(), &pages);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 2], "{commit:?}");
    }
}

#[test]
fn a_lost_rr_or_a_lost_command_is_harmless() {
    for loss in [Tamper::Lose, Tamper::Spoil] {
        for frame in ["RR", "PPS-MPS", "PPS-EOP"] {
            let mut call = T38Call::new(&ecm(), &three_pages(), Commit::Later(seconds(1.2)));
            call.a_way = Way::tampering(&[(frame, 0, loss)]);
            assert_whole(&call.run(400.0));
        }
    }
}

#[test]
fn a_refusal_gets_through_a_lost_rnr() {
    let mut call = T38Call::new(&ecm(), &three_pages(), Commit::Refused);
    call.b_way = lost("RNR");
    let call = call.run(300.0);
    assert_eq!(
        (call.b.ending().cause, call.b.ending().kept),
        (Cause::PageNotKept, 0)
    );
    assert_eq!(call.b.frames(true).last(), Some(&"DCN"));
    assert_eq!(call.a.verdicts()[0], Verdict::Unknown);
}

#[test]
fn a_keeper_that_panics_confirms_nothing_and_its_panic_goes_on() {
    struct Broken;
    impl PageGate for Broken {
        fn keep(&mut self, _: ReceivedPage) -> Kept {
            panic!("the shelf broke");
        }
        fn poll(&mut self) -> Kept {
            Kept::Refused
        }
    }
    for station in [ecm(), no_ecm()] {
        let mut call = T38Call::new(&station, &three_pages(), Commit::Now);
        call.b.endpoint = T38Endpoint::new(&station, Work::receive(Broken), false, 400).unwrap();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while !call.b.endpoint.is_ended() {
                call.tick();
            }
        }))
        .unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the shelf broke"));
        // Whoever catches the panic may go on: the call then ends, and nothing was confirmed.
        for _ in 0..500 {
            call.tick();
        }
        assert!(call.b.endpoint.is_ended());
        assert_eq!(call.a.count(false, "MCF"), 0);
    }
}

/// The engine says MCF to pages that it failed to write.
#[test]
fn a_page_that_cannot_be_written_is_not_confirmed() {
    // In a child whose files may be as large as the document that is sent. The receiver's file gets
    // larger than that, by what it notes beside the pages.
    let blocks = file(&document(&[Resolution::Standard; 2]))
        .len()
        .div_ceil(512);
    let script =
        format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --exact --ignored in_a_small_world");
    let child = std::process::Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && told.contains("1 passed"),
        "{told}"
    );
}

#[test]
#[ignore = "run by the test above, with a limit on the size of files"]
fn in_a_small_world() {
    for station in [ecm(), no_ecm()] {
        let pages = document(&[Resolution::Standard; 2]);
        let call = T38Call::new(&station, &pages, Commit::Now).run(300.0);
        assert_eq!(
            (call.b.ending().cause, call.b.ending().kept),
            (Cause::PageNotKept, 1)
        );
        assert!(call.b.events.iter().any(|event| {
            matches!(event, Event::PageRefused { index: 1, why } if why.contains("written"))
        }));
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed, Verdict::Unknown]);
        assert_same(&call.shelf.kept(), &pages[..1]);
    }
}

#[test]
fn a_page_beyond_all_measure_is_refused() {
    let endless = faxpost_t4::Bitmap::new(1728, 40_000);
    let page = faxpost_t4::FaxPage {
        width: 1728,
        height: 40_000,
        resolution: Resolution::Superfine,
        coding: faxpost_t4::Coding::Mmr,
        data: faxpost_t4::encode(&endless, faxpost_t4::Coding::Mmr),
    };
    for station in [ecm(), no_ecm()] {
        let call = T38Call::new(&station, std::slice::from_ref(&page), Commit::Now).run(900.0);
        assert_eq!(call.b.ending().kept, 0);
        assert!(matches!(
            call.b.ending().cause,
            Cause::PageNotKept | Cause::PageTooLong
        ));
        assert_ne!(call.a.verdicts(), [Verdict::Confirmed]);
        assert!(call.shelf.kept().is_empty());
    }
}
