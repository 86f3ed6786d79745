//! efax, a fax machine that isn't ours, sends to us and receives from us.

#![allow(clippy::unwrap_used)]

mod common;
mod rig;

use std::sync::{Arc, Mutex};

use common::{Commit, Shelf, assert_same, file, pixels, seconds, three_pages};
use faxpost_fax::{Cause, Event, Kept, PageGate, ReceivedPage, Station, Verdict, Work};
use faxpost_t4::{Bitmap, Coding, EncodeOptions, FaxPage, Resolution, encode_with};
use rig::{Efax, Job, Path, Rig};

/// Pages as efax takes them: MH with its end.
fn for_efax(pages: &[FaxPage]) -> Job {
    let options = EncodeOptions {
        end_of_page: true,
        ..EncodeOptions::for_page(Coding::Mh)
    };
    let coded = pages.iter().map(|page| FaxPage {
        coding: Coding::Mh,
        data: encode_with(&pixels(page), Coding::Mh, &options),
        ..page.clone()
    });
    Job::Send(coded.collect())
}

/// Three leaflets, some three seconds of line time each.
fn leaflets() -> Vec<FaxPage> {
    let pages = (0..3).map(|number| {
        let picture = common::picture(number, Resolution::Standard).cut_rows(0, 120);
        FaxPage::encode(&picture, Resolution::Standard, Coding::Mmr)
    });
    pages.collect()
}

/// The rows of a page from the first to the last that isn't blank, and where they begin.
fn ink(page: &FaxPage) -> (usize, Bitmap) {
    let pixels = pixels(page);
    let inked = |&y: &usize| pixels.row(y).iter().any(|&octet| octet != 0);
    let first = (0..pixels.height()).find(inked).expect("ink");
    let last = (0..pixels.height()).rfind(inked).expect("ink");
    (first, pixels.cut_rows(first, last + 1 - first))
}

/// These are the pages that efax sent. It makes room above each for a header line, which we leave empty:
/// by adding blank rows, and leaving out some of those that are there.
fn assert_sent_by_efax(got: &[FaxPage], sent: &[FaxPage]) {
    assert_eq!(got.len(), sent.len(), "pages");
    for (at, (got, sent)) in got.iter().zip(sent).enumerate() {
        assert_eq!((got.width, got.resolution), (1728, sent.resolution));
        let ((got_from, got_ink), (sent_from, sent_ink)) = (ink(got), ink(sent));
        assert!(got_ink == sent_ink, "page {at} differs");
        let room = got_from.checked_sub(sent_from);
        assert!(room.is_some_and(|rows| rows <= 20), "page {at}: {room:?}");
        assert_eq!(
            got.height - got_from,
            sent.height - sent_from,
            "page {at} is whole"
        );
    }
}

/// A call each, at the same time: they mostly wait.
fn on_both_paths(call: impl Fn(Path) + Sync) {
    std::thread::scope(|scope| {
        for path in [Path::Audio, Path::T38] {
            let call = &call;
            scope.spawn(move || call(path));
        }
    });
}

/// Pages of which efax heard that they arrived.
fn confirmed_to(efax: &Efax) -> usize {
    efax.log().matches("received MCF").count()
}

/// A gate that takes its time over one page, and tells what it has.
#[derive(Clone)]
struct Slow {
    slow_page: u32,
    ticks: u32,
    left: u32,
    page: Option<FaxPage>,
    committed: Arc<Mutex<Vec<FaxPage>>>,
}

impl Slow {
    fn new(slow_page: u32, after: f64) -> Self {
        Self {
            slow_page,
            ticks: seconds(after),
            left: 0,
            page: None,
            committed: Arc::default(),
        }
    }

    fn committed(&self) -> Vec<FaxPage> {
        self.committed.lock().unwrap().clone()
    }
}

impl PageGate for Slow {
    fn keep(&mut self, page: ReceivedPage) -> Kept {
        assert_eq!(page.bad_rows, 0, "page {}", page.index);
        if page.index == self.slow_page {
            self.left = self.ticks;
            self.page = Some(page.page);
            return Kept::Pending;
        }
        self.committed.lock().unwrap().push(page.page);
        Kept::Committed
    }

    fn poll(&mut self) -> Kept {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return Kept::Pending;
        }
        self.committed.lock().unwrap().extend(self.page.take());
        Kept::Committed
    }
}

fn receive_three_pages(path: Path) {
    let pages = three_pages();
    let shelf = Shelf::new(Commit::Now);
    let work = Work::receive(shelf.clone());
    let mut rig = Rig::new(path, &Station::default(), &for_efax(&pages), work);
    rig.run();

    assert_sent_by_efax(&shelf.kept(), &pages);
    assert!(shelf.bad_rows().iter().all(|&rows| rows == 0));
    assert!(rig.efax_succeeded());
    assert_eq!(confirmed_to(&rig.efax), 3);
    let ending = rig.ending();
    assert_eq!((ending.name, ending.kept), ("OK", 3));
    let agreed = ending.agreement.as_ref().unwrap();
    assert_eq!((agreed.rate, agreed.ecm), (14_400, false));
    assert_eq!(agreed.coding, Coding::Mh);
    assert_eq!(agreed.remote_ident, "+49 30 555");
}

#[test]
fn three_pages_from_efax_arrive_over_audio() {
    receive_three_pages(Path::Audio);
}

#[test]
fn three_pages_from_efax_arrive_over_t38() {
    receive_three_pages(Path::T38);
}

fn send_three_pages(path: Path) {
    let pages = three_pages();
    let work = Work::send(file(&pages));
    let mut rig = Rig::new(path, &Station::default(), &Job::Receive, work);
    rig.run();

    assert_same(&rig.efax.received(), &pages);
    assert!(rig.efax_succeeded());
    assert_eq!(rig.efax.log().matches(" 0 errors").count(), 3);
    let ending = rig.ending();
    let evidence: Vec<_> = ending
        .pages
        .iter()
        .map(|page| (page.verdict, page.evidence.as_str()))
        .collect();
    assert_eq!(
        evidence,
        [
            (Verdict::Confirmed, "MCF to MPS"),
            (Verdict::Confirmed, "MCF to MPS"),
            (Verdict::Confirmed, "MCF to EOP"),
        ]
    );
    assert_eq!(ending.name, "OK");
    let agreed = ending.agreement.as_ref().unwrap();
    assert_eq!((agreed.rate, agreed.ecm), (14_400, false));
    assert_eq!(agreed.remote_ident, "+49 30 555");
}

#[test]
fn three_pages_to_efax_arrive_over_audio() {
    send_three_pages(Path::Audio);
}

#[test]
fn three_pages_to_efax_arrive_over_t38() {
    send_three_pages(Path::T38);
}

/// efax has its timers in real time, so these calls go on in real time.
const REAL_TIME: f64 = 1.0;

/// The commit is late by 2.5 s, beyond what a confirmation may wait without ECM: the page is not confirmed,
/// the pages before it are confirmed and kept.
fn a_page_kept_too_late_is_not_confirmed(path: Path, slow_page: u32) {
    let pages = leaflets();
    let gate = Slow::new(slow_page, 2.5);
    let work = Work::receive(gate.clone());
    let mut rig = Rig::new(path, &Station::default(), &for_efax(&pages), work).speed(REAL_TIME);
    rig.run();

    let before = slow_page as usize;
    assert_eq!(confirmed_to(&rig.efax), before);
    assert!(!rig.efax_succeeded());
    assert_sent_by_efax(&gate.committed(), &pages[..before]);
    let ending = rig.ending();
    assert_eq!((ending.cause, ending.kept), (Cause::PageNotKept, slow_page));
    assert!(
        rig.events
            .iter()
            .any(|event| matches!(event, Event::PageRefused { index, .. } if *index == slow_page))
    );
}

#[test]
fn a_first_page_from_efax_that_is_kept_too_late_is_not_confirmed() {
    a_page_kept_too_late_is_not_confirmed(Path::Audio, 0);
}

#[test]
fn a_last_page_from_efax_that_is_kept_too_late_is_not_confirmed() {
    a_page_kept_too_late_is_not_confirmed(Path::T38, 2);
}

/// The commit is late, but within what a confirmation may wait without ECM.
#[test]
fn a_page_from_efax_that_is_kept_late_is_confirmed_late() {
    on_both_paths(|path| {
        let pages = leaflets();
        let gate = Slow::new(1, 1.9);
        let work = Work::receive(gate.clone());
        let mut rig = Rig::new(path, &Station::default(), &for_efax(&pages), work).speed(REAL_TIME);
        rig.run();

        assert_sent_by_efax(&gate.committed(), &pages);
        assert!(rig.efax_succeeded());
        assert_eq!(confirmed_to(&rig.efax), 3);
        assert_eq!(rig.ending().kept, 3);
    });
}

/// A flush that holds the whole process up for 2.5 s on each page: all that efax heard to be safe is kept.
#[test]
fn a_flush_that_blocks_for_two_and_a_half_seconds_loses_nothing() {
    on_both_paths(|path| {
        let pages = leaflets();
        let shelf = Shelf::new(Commit::Blocking(seconds(2.5)));
        let work = Work::receive(shelf.clone());
        let mut rig = Rig::new(path, &Station::default(), &for_efax(&pages), work).speed(REAL_TIME);
        rig.run_with(|rig| rig.freeze(shelf.take_blocked()));

        assert_sent_by_efax(&shelf.kept(), &pages);
        assert!(rig.efax_succeeded());
        assert_eq!(confirmed_to(&rig.efax), 3);
        assert_eq!(rig.ending().kept, 3);
    });
}

/// Runs the call and kills efax five seconds into the second page, of some forty.
fn run_and_kill_on_second_page(rig: &mut Rig) {
    let mut since = 0;
    rig.run_with(|rig| {
        let begins = |event: &Event| matches!(event, Event::PageStarted { index: 1 });
        if rig.events.iter().any(begins) {
            since += 1;
        }
        if since == seconds(5.0) {
            rig.efax.kill();
        }
    });
}

#[test]
fn efax_that_dies_while_it_sends_leaves_what_was_confirmed() {
    on_both_paths(|path| {
        let pages = three_pages();
        let shelf = Shelf::new(Commit::Now);
        let work = Work::receive(shelf.clone());
        let mut rig = Rig::new(path, &Station::default(), &for_efax(&pages), work);
        run_and_kill_on_second_page(&mut rig);

        assert_sent_by_efax(&shelf.kept(), &pages[..1]);
        assert_eq!(confirmed_to(&rig.efax), 1);
        let ending = rig.ending();
        assert_ne!(ending.name, "OK");
        assert_eq!(ending.kept, 1);
    });
}

#[test]
fn efax_that_dies_while_it_receives_leaves_honest_verdicts() {
    on_both_paths(|path| {
        let pages = three_pages();
        let work = Work::send(file(&pages));
        let mut rig = Rig::new(path, &Station::default(), &Job::Receive, work);
        run_and_kill_on_second_page(&mut rig);

        let ending = rig.ending();
        assert_ne!(ending.name, "OK");
        let verdicts: Vec<_> = ending.pages.iter().map(|page| page.verdict).collect();
        assert_eq!(
            verdicts,
            [Verdict::Confirmed, Verdict::Unknown, Verdict::Unsent]
        );
        let first = rig.efax.received_page(1).expect("a first page");
        assert_same(&[first], &pages[..1]);
    });
}
