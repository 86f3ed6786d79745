//! Whole calls, in lock-step.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use faxpost_fax::{Cause, Event, Progress, Station, Verdict, Work, frames::fcf};
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution};

#[test]
fn three_pages_arrive_bit_for_bit_over_t38_with_ecm() {
    let pages = document(&[Resolution::Fine; 3]);
    let call = T38Call::new(&Station::default(), &pages, Commit::Now).run(300.0);

    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
    let (sent, received) = (call.a.ending(), call.b.ending());
    assert_eq!((sent.name, sent.cause), ("OK", Cause::Protocol));
    assert_eq!((received.name, received.kept), ("OK", 3));
    assert_eq!(
        sent.pages
            .iter()
            .map(|page| page.evidence.as_str())
            .collect::<Vec<_>>(),
        ["MCF to PPS-MPS", "MCF to PPS-MPS", "MCF to PPS-EOP"]
    );
    let agreed = sent.agreement.as_ref().unwrap();
    assert_eq!(
        (agreed.rate, agreed.ecm, agreed.resolution),
        (14_400, true, Resolution::Fine)
    );
    assert_eq!(
        (agreed.coding, agreed.remote_ident.as_str()),
        (Coding::Mmr, "+49 30 1234")
    );
    assert_eq!(
        received.agreement.as_ref().unwrap().remote_ident,
        "+33123456789"
    );
    assert!(sent.fax_heard && received.fax_heard);
}

#[test]
fn events_come_in_order() {
    let call = T38Call::new(&Station::default(), &three_pages(), Commit::Now).run(300.0);
    let told = |end: &End<_>| -> Vec<String> {
        end.events
            .iter()
            .filter_map(|event| match event {
                Event::FaxHeard => Some("fax".to_owned()),
                Event::Negotiated(_) => Some("agreed".to_owned()),
                Event::PageStarted { index } => Some(format!("started {index}")),
                Event::PageVerdict(page) => Some(format!("{:?} {}", page.verdict, page.index)),
                Event::PageKept { index } => Some(format!("kept {index}")),
                Event::Ended(_) => Some("ended".to_owned()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(
        told(&call.a),
        [
            "fax",
            "agreed",
            "started 0",
            "Confirmed 0",
            "started 1",
            "Confirmed 1",
            "started 2",
            "Confirmed 2",
            "ended"
        ]
    );
    assert_eq!(
        told(&call.b),
        [
            "fax",
            "agreed",
            "started 0",
            "kept 0",
            "started 1",
            "kept 1",
            "started 2",
            "kept 2",
            "ended"
        ]
    );
    let progress: Vec<_> = call
        .a
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PageProgress {
                index: 1,
                progress: Progress::Sent { octets, of },
            } => Some((*octets, *of)),
            _ => None,
        })
        .collect();
    assert!(progress.len() > 3 && progress.is_sorted(), "{progress:?}");
    assert!(
        progress
            .iter()
            .all(|&(octets, of)| of > 0 && octets <= of + 256),
        "{progress:?}"
    );
}

#[test]
fn three_pages_arrive_bit_for_bit_over_audio_with_ecm() {
    for law in [faxpost_fax::g711::Law::A, faxpost_fax::g711::Law::Mu] {
        let pages = three_pages();
        let mut call = AudioCall::new(&Station::default(), &pages, Commit::Now);
        call.law = law;
        let call = call.run(300.0);
        assert_same(&call.shelf.kept(), &pages);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
        assert_eq!((call.a.ending().name, call.b.ending().name), ("OK", "OK"));
        assert!(matches!(call.a.events[0], Event::FaxHeard));
        assert!(matches!(call.b.events[0], Event::FaxHeard));
    }
}

#[test]
fn three_pages_arrive_without_ecm() {
    let station = Station {
        ecm: false,
        ..Station::default()
    };
    let pages = three_pages();
    let call = T38Call::new(&station, &pages, Commit::Now).run(300.0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
    assert_eq!(call.a.ending().pages[2].evidence, "MCF to EOP");
    assert!(!call.a.ending().agreement.as_ref().unwrap().ecm);
    assert!(
        call.a
            .events
            .iter()
            .any(|event| matches!(event, Event::PageProgress { .. }))
    );
    assert!(
        call.b
            .events
            .iter()
            .any(|event| matches!(event, Event::PageProgress { index: 2, .. }))
    );

    let call = AudioCall::new(&station, &pages, Commit::Now).run(300.0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
}

#[test]
fn pages_of_mixed_resolutions_arrive() {
    let pages = document(&[
        Resolution::Standard,
        Resolution::Fine,
        Resolution::Superfine,
    ]);
    for ecm in [true, false] {
        let station = Station {
            ecm,
            ..Station::default()
        };
        let call = T38Call::new(&station, &pages, Commit::Now).run(400.0);
        assert_same(&call.shelf.kept(), &pages);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3], "ECM {ecm}");
        assert!(call.a.frames(true).iter().any(|name| name.ends_with("EOM")));
    }
}

#[test]
fn a_page_of_several_blocks_arrives() {
    let pages = [page(7, Resolution::Standard)];
    assert!(pages[0].data.len() > 65_536, "{}", pages[0].data.len());
    let call = T38Call::new(&Station::default(), &pages, Commit::Now).run(300.0);
    assert_same(&call.shelf.kept(), &pages);
    assert!(call.a.count(true, "PPS-NULL") > 0);
    assert_eq!(call.a.ending().pages[0].evidence, "MCF to PPS-EOP");
}

#[test]
fn the_rate_offered_is_the_rate_used() {
    for (max_rate, v17, rate) in [
        (14_400, false, 9600),
        (9600, true, 9600),
        (4800, true, 4800),
    ] {
        let station = Station {
            max_rate,
            v17,
            ..Station::default()
        };
        let pages = document(&[Resolution::Standard]);
        let call = T38Call::new(&station, &pages, Commit::Now).run(300.0);
        assert_eq!(call.a.ending().agreement.as_ref().unwrap().rate, rate);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed]);
    }
}

#[test]
fn a_call_resumes_at_the_first_page_that_is_not_confirmed() {
    let pages = three_pages();
    let mut work = Work::send(file(&pages));
    if let Work::Send { first_page, .. } = &mut work {
        *first_page = 1;
    }
    let call = T38Call::with(&Station::default(), work, Commit::Now).run(300.0);
    assert_same(&call.shelf.kept(), &pages[1..]);
    let verdicts: Vec<_> = call
        .a
        .ending()
        .pages
        .iter()
        .map(|page| (page.index, page.verdict))
        .collect();
    assert_eq!(verdicts, [(1, Verdict::Confirmed), (2, Verdict::Confirmed)]);
}

#[test]
fn a_sub_address_reaches_the_receiver() {
    let mut work = Work::send(file(&document(&[Resolution::Standard])));
    if let Work::Send { sub_address, .. } = &mut work {
        *sub_address = Some("4711".into());
    }
    let call = T38Call::with(&Station::default(), work, Commit::Now).run(300.0);
    assert_eq!(
        call.b
            .ending()
            .agreement
            .as_ref()
            .unwrap()
            .sub_address
            .as_deref(),
        Some("4711")
    );
}

#[test]
fn a_password_is_kept_from_a_far_end_that_takes_none() {
    // Our own receiver asks for none.
    let mut work = Work::send(file(&document(&[Resolution::Standard])));
    if let Work::Send { password, .. } = &mut work {
        *password = Some("1234".into());
    }
    let call = T38Call::with(&Station::default(), work, Commit::Now).run(300.0);
    assert_eq!(call.a.count(true, "SID"), 0);
    assert_eq!(call.a.ending().name, "SID_UNACCEPTABLE");
    assert_eq!(call.a.verdicts(), [Verdict::Unsent]);
}

/// Pages of several documents, each of which waits for a permit.
fn documents(resolutions: &[Resolution], firsts: &[u32]) -> (Vec<FaxPage>, Work) {
    let pages = document(resolutions);
    let mut work = Work::send(file(&pages));
    if let Work::Send { documents, .. } = &mut work {
        *documents = firsts.to_vec();
    }
    (pages, work)
}

/// What answers the pages' commands, as the sender has it on record.
fn evidence(end: &End<faxpost_fax::T38Endpoint>) -> Vec<&str> {
    let pages = end.ending().pages.iter();
    pages.map(|page| page.evidence.as_str()).collect()
}

#[test]
fn promise_3_between_documents_goes_eom_and_each_page_has_its_own_answer() {
    // Two pages, one, two: EOM behind the second and the third (T.30 §5.3.6.1.6).
    let (pages, _) = documents(&[Resolution::Standard; 5], &[]);
    for (ecm, lead) in [(true, "PPS-"), (false, "")] {
        let station = Station {
            ecm,
            ..Station::default()
        };
        let (_, work) = documents(&[Resolution::Standard; 5], &[2, 3]);
        let call = T38Call::with(&station, work, Commit::Now).run(600.0);
        assert_same(&call.shelf.kept(), &pages);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 5], "ECM {ecm}");
        assert_eq!((call.a.ending().name, call.b.ending().name), ("OK", "OK"));
        let commands = ["MPS", "EOM", "EOM", "MPS", "EOP"];
        let told: Vec<String> =
            (commands.iter().map(|end| format!("MCF to {lead}{end}"))).collect();
        assert_eq!(evidence(&call.a), told);
        // The receiver heard them, and phase B three times.
        assert_eq!(call.b.count(false, &format!("{lead}EOM")), 2);
        assert_eq!(call.b.count(false, "DCS"), 3);
        // Only the very last page is followed by EOP.
        let last: Vec<bool> = (call.shelf.pages.lock().unwrap().iter())
            .map(|page| page.last)
            .collect();
        assert_eq!(last, [false, false, false, false, true]);
    }
    let (_, work) = documents(&[Resolution::Standard; 5], &[2, 3]);
    let call = AudioCall::with(&Station::default(), work, Commit::Now).run(900.0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 5]);
}

#[test]
fn documents_may_have_pages_of_mixed_resolutions() {
    use Resolution::{Fine, Standard};
    let (pages, work) = documents(&[Standard, Fine, Fine, Standard, Standard], &[1, 4]);
    let call = T38Call::with(&Station::default(), work, Commit::Now).run(600.0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 5]);
    assert_eq!(call.a.count(true, "PPS-EOM"), 3);
}

#[test]
fn promise_3_a_break_in_the_second_document_leaves_the_first_confirmed() {
    let (_, work) = documents(&[Resolution::Standard; 4], &[1, 3]);
    let mut call = T38Call::with(&Station::default(), work, Commit::Now);
    // The way goes dead in the data behind the second DCS.
    while asked_frames(&call, "DCS") < 2 {
        call.tick();
    }
    call.a_way.cut = Some(call.now + u64::from(seconds(8.0)));
    let call = call.run(600.0);
    use Verdict::{Confirmed, Unknown, Unsent};
    assert_eq!(call.a.verdicts(), [Confirmed, Unknown, Unsent, Unsent]);
}

/// How often the sender has sent a frame so far.
fn asked_frames(call: &T38Call, frame: &str) -> usize {
    call.a.count(true, frame)
}

#[test]
fn a_page_that_is_not_permitted_is_told_by_dcn() {
    for station in [Station::default(), without_ecm()] {
        // The first page has its permit, the second has not.
        let mut call = asking(&station);
        assert!(until_asked(&mut call, 0));
        call.a.endpoint.go();
        assert!(until_asked(&mut call, 1));
        call.a.endpoint.break_off();
        let call = call.run(60.0);
        assert_eq!(call.a.count(true, "DCN"), 1);
        assert_eq!(call.b.count(false, "DCN"), 1, "the far end hears it");
        assert_eq!(call.a.ending().cause, Cause::BrokenOff);
        use Verdict::{Confirmed, Unsent};
        assert_eq!(call.a.verdicts(), [Confirmed, Unsent, Unsent]);
        assert_eq!(asked(&call.a.events), (vec![0, 1], vec![0]));
        assert_eq!(call.shelf.kept().len(), 1, "nothing of the second went out");
        // Before any page, too.
        let mut call = asking(&station);
        assert!(until_asked(&mut call, 0));
        call.a.endpoint.break_off();
        let call = call.run(60.0);
        assert_eq!(call.b.count(false, "DCN"), 1);
        assert_eq!(call.a.verdicts(), [Unsent; 3]);
    }
}

#[test]
fn a_page_that_is_not_permitted_is_told_by_dcn_over_audio() {
    for station in [Station::default(), without_ecm()] {
        let mut call = AudioCall::with(&station, asking_work(), Commit::Now);
        for permits in 1..=2 {
            while asked(&call.a.events).0.len() < permits {
                assert!(!call.a.endpoint.is_ended());
                call.tick();
            }
            if permits == 1 {
                call.a.endpoint.go();
            }
        }
        call.a.endpoint.break_off();
        let call = call.run(60.0);
        assert_eq!(call.b.count(false, "DCN"), 1, "the far end hears it");
        use Verdict::{Confirmed, Unsent};
        assert_eq!(call.a.verdicts(), [Confirmed, Unsent, Unsent]);
        assert_eq!(call.shelf.kept().len(), 1);
    }
}

#[test]
fn a_call_that_waits_for_no_permit_is_broken_off_by_hanging_up() {
    let mut call = asking(&Station::default());
    assert!(until_asked(&mut call, 0));
    call.a.endpoint.go();
    while asked(&call.a.events).1.is_empty() {
        call.tick();
    }
    call.a.endpoint.break_off();
    assert!(call.a.endpoint.is_ended());
    let call = call.run(60.0);
    assert_eq!(call.a.ending().cause, Cause::HungUp);
    assert_eq!(call.a.verdicts()[0], Verdict::Unknown);
}

/// Three pages, each of which waits for a permit.
fn asking(station: &Station) -> T38Call {
    T38Call::with(station, asking_work(), Commit::Now)
}

fn asking_work() -> Work {
    let mut work = Work::send(file(&three_pages()));
    if let Work::Send {
        ask_before_data, ..
    } = &mut work
    {
        *ask_before_data = true;
    }
    work
}

/// The pages whose data waited for a permit, and those whose data then began.
fn asked(events: &[Event]) -> (Vec<u32>, Vec<u32>) {
    let asked = events.iter().filter_map(|event| match event {
        Event::PageDataNext { index } => Some(*index),
        _ => None,
    });
    let begun = events.iter().filter_map(|event| match event {
        Event::PageStarted { index } => Some(*index),
        _ => None,
    });
    (asked.collect(), begun.collect())
}

/// Ticks until a permit is asked for that `given` lacks, or the sender's call is over.
fn until_asked(call: &mut T38Call, given: usize) -> bool {
    while asked(&call.a.events).0.len() <= given {
        if call.a.endpoint.is_ended() {
            return false;
        }
        call.tick();
    }
    true
}

fn without_ecm() -> Station {
    Station {
        ecm: false,
        ..Station::default()
    }
}

#[test]
fn the_data_of_each_page_waits_for_its_permit() {
    for station in [Station::default(), without_ecm()] {
        for wait in [0.0, 0.5, 2.0, 3.9] {
            let mut call = asking(&station);
            let mut given = 0;
            while until_asked(&mut call, given) {
                for _ in 0..seconds(wait) {
                    call.tick();
                    let (asked, begun) = asked(&call.a.events);
                    assert_eq!(begun.len() + 1, asked.len(), "nothing goes out before");
                }
                call.a.endpoint.go();
                given += 1;
            }
            let call = call.run(300.0);
            assert_eq!(
                call.a.verdicts(),
                [Verdict::Confirmed; 3],
                "{wait} {:?}",
                call.a.ending()
            );
            assert_eq!(asked(&call.a.events), (vec![0, 1, 2], vec![0, 1, 2]));
            assert_eq!(call.a.count(true, "DCS"), 1, "no new training was needed");
            assert_same(&call.shelf.kept(), &three_pages());
        }
    }
}

#[test]
fn a_verdict_stands_directly_before_the_page_that_it_lets_follow() {
    let mut call = asking(&Station::default());
    let mut given = 0;
    while until_asked(&mut call, given) {
        call.a.endpoint.go();
        given += 1;
    }
    let events = call.run(300.0).a.events;
    for next in [1, 2] {
        let at = events
            .iter()
            .position(|event| matches!(event, Event::PageDataNext { index } if *index == next))
            .unwrap();
        assert!(
            matches!(&events[at - 1], Event::PageVerdict(page) if page.index + 1 == next),
            "{:?}",
            events[at - 1]
        );
    }
}

#[test]
fn a_permit_that_does_not_come_ends_the_call_before_its_page() {
    for station in [Station::default(), without_ecm()] {
        for permits in 0..3 {
            let mut call = asking(&station);
            for given in 0..permits {
                assert!(until_asked(&mut call, given));
                call.a.endpoint.go();
            }
            let call = call.run(300.0);
            assert_eq!(call.a.ending().cause, Cause::NoPermit);
            let mut expected = [Verdict::Unsent; 3];
            expected[..permits].fill(Verdict::Confirmed);
            assert_eq!(call.a.verdicts(), expected);
            assert_eq!(call.shelf.kept().len(), permits, "nothing more went out");
        }
    }
}

#[test]
fn a_page_that_is_repeated_waits_for_another_permit() {
    let mut call = asking(&without_ecm());
    call.b_way = Way::tampering(&[("MCF", 0, Tamper::Become(fcf::RTN))]);
    for given in 0..2 {
        assert!(until_asked(&mut call, given));
        call.a.endpoint.go();
    }
    assert_eq!(asked(&call.a.events).0, [0, 0]);
}

#[test]
fn the_data_of_each_page_waits_for_its_permit_over_audio_too() {
    for station in [Station::default(), without_ecm()] {
        let mut call = AudioCall::with(&station, asking_work(), Commit::Now);
        let mut given = 0;
        while !call.a.endpoint.is_ended() && call.now < u64::from(seconds(300.0)) {
            call.tick();
            if asked(&call.a.events).0.len() > given {
                given += 1;
                for _ in 0..seconds(1.9) {
                    call.tick();
                }
                call.a.endpoint.go();
            }
        }
        let call = call.run(300.0);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
        assert_eq!(given, 3);
        assert_eq!(call.a.count(true, "DCS"), 1, "no new training was needed");
    }
}

#[test]
fn progress_is_told_over_both_media_with_and_without_ecm() {
    for station in [Station::default(), without_ecm()] {
        let audio = AudioCall::new(&station, &three_pages(), Commit::Now).run(300.0);
        let t38 = T38Call::new(&station, &three_pages(), Commit::Now).run(300.0);
        for events in [audio.a.events, t38.a.events] {
            for page in 0..3 {
                let percents: Vec<u32> = events
                    .iter()
                    .filter_map(|event| match event {
                        Event::PageProgress { index, progress } if *index == page => {
                            match *progress {
                                Progress::Sent { octets: part, of }
                                | Progress::SentRows { rows: part, of } => {
                                    Some(part * 100 / of.max(1))
                                }
                                Progress::Received { .. } => None,
                            }
                        }
                        _ => None,
                    })
                    .collect();
                assert!(
                    percents.len() > 3 && percents.is_sorted(),
                    "ECM {}, page {page}: {percents:?}",
                    station.ecm
                );
                // It begins at the beginning and ends at the end.
                let (first, last) = (percents[0], percents[percents.len() - 1]);
                assert!(
                    first < 30 && (90..=110).contains(&last),
                    "ECM {}, page {page}: {percents:?}",
                    station.ecm
                );
            }
        }
    }
}

#[test]
fn the_work_comes_back_for_other_media() {
    let pages = three_pages();
    let mut call = AudioCall::new(&Station::default(), &pages, Commit::Now);
    for _ in 0..seconds(2.0) {
        call.tick();
    }
    let station = Station::default();
    let again = T38Call {
        a: End::new(
            faxpost_fax::T38Endpoint::new(
                &station,
                call.a.endpoint.into_work().unwrap(),
                true,
                400,
            )
            .unwrap(),
        ),
        b: End::new(
            faxpost_fax::T38Endpoint::new(
                &station,
                call.b.endpoint.into_work().unwrap(),
                false,
                400,
            )
            .unwrap(),
        ),
        a_way: Way::default(),
        b_way: Way::default(),
        now: 0,
        shelf: call.shelf,
    };
    let call = again.run(300.0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 3]);
}

/// A page of so many rows, with ink in the first and in the last.
fn sheet(width: usize, rows: usize, resolution: Resolution) -> FaxPage {
    let mut bitmap = Bitmap::new(width, rows);
    for y in (0..rows).step_by(37).chain([rows - 1]) {
        for x in 0..40 + y % 200 {
            bitmap.set_black(8 + (x * 3 + y) % (width - 8), y);
        }
    }
    FaxPage::encode(&bitmap, resolution, Coding::Mmr)
}

#[test]
fn sheets_of_every_size_arrive_whole() {
    // Rows as `crates/paper` makes them of A4, Letter and Legal (T.4 §2.1), and a strip of a metre.
    let pages: Vec<FaxPage> = [
        (1143, Resolution::Standard),
        (1075, Resolution::Standard),
        (1369, Resolution::Standard),
        (2287, Resolution::Fine),
        (2151, Resolution::Fine),
        (2738, Resolution::Fine),
        (4574, Resolution::Superfine),
        (4302, Resolution::Superfine),
        (5476, Resolution::Superfine),
        (7700, Resolution::Fine),
    ]
    .into_iter()
    .map(|(rows, resolution)| sheet(1728, rows, resolution))
    .collect();
    for station in [Station::default(), without_ecm()] {
        let call = T38Call::new(&station, &pages, Commit::Now).run(1800.0);
        assert_same(&call.shelf.kept(), &pages);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed; 10]);
    }
}

#[test]
fn wide_sheets_arrive_where_both_take_them() {
    let station = Station {
        wide: true,
        ..Station::default()
    };
    // T.4 §2.1: B4 and A3.
    let pages = [
        sheet(2048, 1400, Resolution::Standard),
        sheet(2048, 1401, Resolution::Standard),
    ];
    let call = T38Call::new(&station, &pages, Commit::Now).run(300.0);
    assert_same(&call.shelf.kept(), &pages);
    let pages = [sheet(2432, 1600, Resolution::Standard)];
    let call = T38Call::new(&station, &pages, Commit::Now).run(300.0);
    assert_same(&call.shelf.kept(), &pages);
    // To a machine of A4 nothing goes out, and the end says why: the engine calls it a resolution.
    let mut call = T38Call::new(&station, &pages, Commit::Now);
    let narrow = Work::receive(call.shelf.clone());
    call.b.endpoint =
        faxpost_fax::T38Endpoint::new(&Station::default(), narrow, false, 400).unwrap();
    let call = call.run(300.0);
    assert_eq!(call.a.ending().name, "NORESSUPPORT");
    assert_eq!(call.a.verdicts(), [Verdict::Unsent]);
}

#[test]
fn a_superfine_sheet_is_made_coarser_for_a_machine_that_takes_none() {
    let page = sheet(1728, 4574, Resolution::Superfine);
    for ecm in [true, false] {
        let mut call = T38Call::new(
            &Station {
                ecm,
                ..Station::default()
            },
            std::slice::from_ref(&page),
            Commit::Now,
        );
        let plain = Station {
            ecm,
            superfine: false,
            ..Station::default()
        };
        let work = Work::receive(call.shelf.clone());
        call.b.endpoint = faxpost_fax::T38Endpoint::new(&plain, work, false, 400).unwrap();
        let call = call.run(600.0);
        assert_eq!(call.a.verdicts(), [Verdict::Confirmed]);
        let kept = call.shelf.kept();
        assert_eq!(kept[0].resolution, Resolution::Fine, "ECM {ecm}");
        assert_eq!((kept[0].width, kept[0].height), (1728, 2287));
        // Two rows became one: nothing black got lost.
        let (fine, coarse) = (pixels(&page), pixels(&kept[0]));
        for y in 0..fine.height() {
            let (row, made) = (fine.row(y), coarse.row(y / 2));
            assert!(
                row.iter().zip(made).all(|(ink, made)| ink & !made == 0),
                "row {y}"
            );
        }
    }
}
