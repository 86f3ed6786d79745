//! What a sender knows of its pages, by what the far end said.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use faxpost_fax::{Cause, Event, Station, T38Endpoint, Verdict, Work, frames::fcf, udptl};
use faxpost_t4::Resolution;

const CONFIRMED: Verdict = Verdict::Confirmed;
const REFUSED: Verdict = Verdict::Refused;
const UNKNOWN: Verdict = Verdict::Unknown;
const UNSENT: Verdict = Verdict::Unsent;

fn no_ecm() -> Station {
    Station {
        ecm: false,
        ..Station::default()
    }
}

/// A call whose receiver says other things: by name and count of the frame that it meant to send.
fn saying(station: &Station, tampers: &[(&str, u32, Tamper)]) -> T38Call {
    let mut call = T38Call::new(station, &three_pages(), Commit::Now);
    call.b_way = Way::tampering(tampers);
    call.run(600.0)
}

fn becomes(field: u8) -> Tamper {
    Tamper::Become(field)
}

#[test]
fn rtn_after_a_page_has_it_sent_again() {
    let call = saying(&no_ecm(), &[("MCF", 0, becomes(fcf::RTN))]);
    let verdicts: Vec<_> = call
        .a
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PageVerdict(page) => Some((page.index, page.verdict)),
            _ => None,
        })
        .collect();
    assert_eq!(verdicts[0], (0, REFUSED));
    assert_eq!(
        call.a.ending().pages[0]
            .evidence
            .split(' ')
            .next()
            .map(str::len),
        Some(3)
    );
    // Our own receiver, which confirmed the page, takes the repeat for the next page.
    assert!(verdicts.len() > 1 && verdicts[1].0 == 0, "{verdicts:?}");
}

#[test]
fn rtn_after_the_last_page_refuses_it_whatever_the_code_says() {
    let call = saying(
        &no_ecm(),
        &[
            ("MCF", 2, becomes(fcf::RTN)),
            ("DCN", 0, Tamper::Lose),
            ("CFR", 1, Tamper::Lose),
        ],
    );
    assert_eq!(call.a.verdicts()[..2], [CONFIRMED, CONFIRMED]);
    assert_eq!(call.a.verdicts()[2], REFUSED, "{:?}", call.a.ending());
    assert_eq!(call.a.ending().pages[2].evidence, "RTN to EOP");
}

#[test]
fn pin_refuses() {
    let call = saying(&no_ecm(), &[("MCF", 2, becomes(fcf::PIN))]);
    assert_eq!(call.a.verdicts()[2], REFUSED, "{:?}", call.a.ending());
}

#[test]
fn rtp_and_pip_confirm() {
    for (field, name) in [(fcf::RTP, "RTP"), (fcf::PIP, "PIP")] {
        let call = saying(&no_ecm(), &[("MCF", 2, becomes(field))]);
        assert_eq!(call.a.verdicts(), [CONFIRMED; 3], "{name}");
        assert_eq!(call.a.ending().pages[2].evidence, format!("{name} to EOP"));
    }
}

#[test]
fn with_ecm_rtn_refuses_and_rtp_confirms() {
    let call = saying(&Station::default(), &[("MCF", 1, becomes(fcf::RTN))]);
    assert_eq!(call.a.verdicts(), [CONFIRMED, REFUSED, UNSENT]);
    let call = saying(&Station::default(), &[("MCF", 2, becomes(fcf::RTP))]);
    assert_eq!(call.a.verdicts(), [CONFIRMED; 3]);
}

#[test]
fn silence_after_the_last_page_leaves_it_unknown() {
    for (station, evidence) in [
        (no_ecm(), "no answer to EOP"),
        (Station::default(), "no answer to PPS-EOP"),
    ] {
        let lose = |n| ("MCF", n, Tamper::Lose);
        let call = saying(&station, &[lose(2), lose(3), lose(4), lose(5)]);
        assert_eq!(call.a.verdicts(), [CONFIRMED, CONFIRMED, UNKNOWN]);
        assert_eq!(call.a.ending().pages[2].evidence, evidence);
        assert_eq!(call.a.ending().name, "TX_PHDDEAD");
    }
}

#[test]
fn silence_and_then_mcf_confirms() {
    let call = saying(&no_ecm(), &[("MCF", 2, Tamper::Lose)]);
    assert_eq!(call.a.verdicts(), [CONFIRMED; 3]);
}

#[test]
fn dcn_instead_of_an_answer_leaves_the_page_unknown() {
    for (n, expected) in [
        (1, [CONFIRMED, UNKNOWN, UNSENT]),
        (2, [CONFIRMED, CONFIRMED, UNKNOWN]),
    ] {
        for station in [no_ecm(), Station::default()] {
            let call = saying(&station, &[("MCF", n, becomes(fcf::DCN))]);
            assert_eq!(call.a.verdicts(), expected);
            assert!(
                call.a.ending().pages[n as usize]
                    .evidence
                    .starts_with("DCN to ")
            );
        }
    }
}

#[test]
fn a_call_that_breaks_off_leaves_the_page_on_the_line_unknown() {
    let mut call = T38Call::new(&Station::default(), &three_pages(), Commit::Now);
    let in_page_two = |call: &T38Call| {
        call.a
            .events
            .iter()
            .any(|event| matches!(event, Event::PageProgress { index: 1, .. }))
    };
    while !in_page_two(&call) {
        call.tick();
    }
    call.a.endpoint.terminate();
    let packets = std::iter::from_fn(|| call.a.endpoint.take_tx_ifp()).count();
    assert_eq!(packets, 0);
    call.b.endpoint.terminate();
    let call = call.run(10.0);
    assert_eq!(call.a.verdicts(), [CONFIRMED, UNKNOWN, UNSENT]);
    assert_eq!(
        call.a.ending().pages[1].evidence,
        "broken off within the page"
    );
    assert_eq!(
        (call.a.ending().cause, call.a.ending().name),
        (Cause::HungUp, "CALLDROPPED")
    );
    assert_eq!(
        (call.b.ending().cause, call.b.ending().kept),
        (Cause::HungUp, 1)
    );
}

#[test]
fn nobody_there_leaves_all_unsent() {
    let mut call = T38Call::new(&Station::default(), &three_pages(), Commit::Now);
    call.b_way.cut = Some(0);
    let call = call.run(200.0);
    assert_eq!(call.a.verdicts(), [UNSENT; 3]);
    assert_eq!(call.a.ending().name, "T0_EXPIRED");
    assert!(!call.a.ending().fax_heard);
}

#[test]
fn a_peer_that_vanishes_ends_the_call_on_either_side() {
    for (cut_after, page) in [("CFR", 0), ("MCF", 1)] {
        for station in [no_ecm(), Station::default()] {
            let mut call = T38Call::new(&station, &three_pages(), Commit::Now);
            call.b_way.cut_after = Some(cut_after.to_owned());
            call.b_way.cut_delay = 4.0;
            let call = call.run(400.0);
            assert_eq!(call.a.verdicts()[page], UNKNOWN, "{cut_after}");
            assert!(call.b.ending().ticks > 0);
        }
    }
    // The sender vanishes within a page.
    for station in [no_ecm(), Station::default()] {
        let mut call = T38Call::new(&station, &three_pages(), Commit::Now);
        while !call
            .b
            .events
            .iter()
            .any(|event| matches!(event, Event::PageStarted { index: 1 }))
        {
            call.tick();
        }
        call.a_way.cut = Some(0);
        call.b_way.cut = Some(0);
        let call = call.run(400.0);
        assert_eq!(call.b.ending().kept, 1);
        let ticks = call.b.ending().ticks;
        assert!(
            ticks < u64::from(seconds(200.0)),
            "{ticks} {:?}",
            call.b.ending()
        );
    }
}

#[test]
fn lost_image_data_is_asked_for_again() {
    let pages = three_pages();
    let mut call = T38Call::new(&Station::default(), &pages, Commit::Now);
    call.a_way.image_loss = Some(300);
    let call = call.run(600.0);
    assert!(call.b.count(true, "PPR") > 0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [CONFIRMED; 3]);

    // 20 ms every 20 s of audio.
    let mut call = AudioCall::new(&Station::default(), &pages, Commit::Now);
    call.loss = Some(1000);
    let call = call.run(600.0);
    assert!(call.b.count(true, "PPR") > 0);
    assert_same(&call.shelf.kept(), &pages);
    assert_eq!(call.a.verdicts(), [CONFIRMED; 3]);
}

#[test]
fn without_ecm_damaged_rows_are_told() {
    let pages = document(&[Resolution::Fine]);
    let station = Station {
        ecm: false,
        ..Station::default()
    };
    let mut call = T38Call::new(&station, &pages, Commit::Now);
    call.a_way.image_loss = Some(150);
    let call = call.run(600.0);
    let kept = call.shelf.pages.lock().unwrap();
    assert!(kept[0].bad_rows > 0 && kept[0].longest_bad_run > 0);
    assert!(kept[0].longest_bad_run <= kept[0].bad_rows);
}

#[test]
fn two_in_a_hundred_datagrams_lost_cost_nothing_with_redundancy() {
    for seed in 1..=10 {
        let pages = document(&[Resolution::Fine; 2]);
        // Every other far end takes small datagrams only.
        let most = if seed % 2 == 0 { 400 } else { 140 };
        let (lost, call) = udptl_call(&pages, seed, most);
        assert!(lost > 5, "{lost}");
        assert_same(&call.shelf.kept(), &pages);
        assert_eq!(call.a.verdicts(), [CONFIRMED; 2], "seed {seed}");
    }
}

/// A call whose packets travel in datagrams, 2 % of which are lost.
fn udptl_call(pages: &[faxpost_t4::FaxPage], seed: u64, most: usize) -> (u32, T38Call) {
    let mut call = T38Call::new(&Station::default(), pages, Commit::Now);
    let mut dice = Dice(seed * 7919);
    let sender = || udptl::Sender::new(udptl::REDUNDANCY, most);
    let mut senders = [sender(), sender()];
    let mut receivers = [udptl::Receiver::new(), udptl::Receiver::new()];
    let mut lost = 0;
    while call.now < u64::from(seconds(300.0)) {
        call.now += 1;
        for side in [0, 1] {
            let (from, to) = if side == 0 {
                (&mut call.a, &mut call.b.endpoint)
            } else {
                (&mut call.b, &mut call.a.endpoint)
            };
            from.endpoint.tick();
            while let Some(packet) = from.endpoint.take_tx_ifp() {
                let datagram = senders[side].datagram(packet.seq, &packet.data);
                assert!(datagram.len() <= most);
                let is_data = packet.data[0] & 0x40 != 0;
                assert_eq!(packet.copies, if is_data { 1 } else { 3 });
                for _ in 0..packet.copies {
                    if dice.roll(100) < 2 {
                        lost += 1;
                        continue;
                    }
                    for (seq, ifp) in receivers[side].packets(&datagram).unwrap() {
                        to.rx_ifp(seq, &ifp);
                    }
                }
            }
            while let Some(event) = from.endpoint.next_event() {
                from.events.push(event);
            }
        }
        if call.a.endpoint.is_ended() && call.b.endpoint.is_ended() {
            break;
        }
    }
    (lost, call)
}

/// The IFP packets of a V.21 frame, as a scripted far end sends them.
fn v21(frames: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut packets = vec![vec![0x06]];
    for (at, frame) in frames.iter().enumerate() {
        let mut data = vec![0xC0, 1, 0x80];
        data.extend(u16::try_from(frame.len() - 1).unwrap().to_be_bytes());
        data.extend(frame.iter().map(|octet| octet.reverse_bits()));
        packets.push(data);
        // FCS OK, or FCS OK and signal end.
        packets.push(vec![
            0xC0,
            1,
            if at + 1 == frames.len() { 0x40 } else { 0x20 },
        ]);
    }
    packets.push(vec![0x00]);
    packets
}

/// A receiver that got these frames 6 s into its call, and 60 s more.
fn receiver_hearing(frames: &[&[u8]]) -> End<T38Endpoint> {
    let shelf = Shelf::new(Commit::Now);
    let station = Station::default();
    let mut end = End::new(T38Endpoint::new(&station, Work::receive(shelf), false, 400).unwrap());
    for tick in 0..seconds(66.0) {
        if tick == seconds(6.0) {
            for (seq, packet) in (0..).zip(v21(frames)) {
                end.endpoint.rx_ifp(seq, &packet);
            }
        }
        end.endpoint.tick();
        while end.endpoint.take_tx_ifp().is_some() {}
        while let Some(event) = end.endpoint.next_event() {
            end.events.push(event);
        }
    }
    end
}

#[test]
fn a_dcs_with_a_rate_that_does_not_exist_is_rejected() {
    // Standard resolution, ECM, and every combination of the rate bits.
    for rate in 0..16u8 {
        let dcs = [0xFF, 0x13, fcf::DCS, 0x00, 0x02 | rate << 2, 0x80, 0x04];
        let end = receiver_hearing(&[&dcs]);
        let known = faxpost_fax::frames::rate_of(dcs[4]).is_some();
        assert!(
            end.frames(false).contains(&"DCS"),
            "{:?}",
            end.frames(false)
        );
        if known {
            assert!(
                end.count(true, "FTT") > 0,
                "no training followed: {:?}",
                end.frames(true)
            );
        } else {
            assert_eq!(
                end.frames(true).last(),
                Some(&"DCN"),
                "rate bits {rate:04b}"
            );
            assert_eq!(end.ending().name, "INCOMPATIBLE");
            assert!(end.ending().agreement.is_none());
        }
    }
}

#[test]
fn a_dcs_of_any_length_is_survived() {
    for len in 3..=250 {
        let mut dcs = vec![0xFF, 0x13, fcf::DCS, 0x00, 0x22, 0x80, 0x04];
        dcs.resize(len, 0x00);
        let end = receiver_hearing(&[&dcs]);
        // No training follows the DCS that is taken; the others are answered by DCN.
        let answers = &end.frames(true)[1..];
        let expected = if (6..=22).contains(&len) {
            "FTT"
        } else {
            "DCN"
        };
        assert_eq!(answers.first(), Some(&expected), "{len} octets");
    }
}

#[test]
fn whatever_packets_come_the_call_goes_on_or_ends() {
    for seed in 1..40 {
        let mut dice = Dice(seed * 104_729);
        let mut call = T38Call::new(&Station::default(), &three_pages(), Commit::Now);
        let mut seq = 0;
        while call.now < u64::from(seconds(40.0)) {
            call.tick();
            if dice.roll(10) == 0 {
                let mut junk: Vec<u8> = (0..1 + dice.roll(40))
                    .map(|_| dice.roll(256) as u8)
                    .collect();
                if dice.roll(2) == 0 {
                    junk[0] = 0xC0;
                }
                call.b.endpoint.rx_ifp(seq, &junk);
                call.a.endpoint.rx_ifp(seq, &junk);
                seq = seq.wrapping_add(dice.roll(3) as u16);
            }
        }
        for end in [&call.a.events, &call.b.events] {
            let endings = end
                .iter()
                .filter(|event| matches!(event, Event::Ended(_)))
                .count();
            assert!(endings <= 1);
            assert!(endings == 0 || matches!(end.last(), Some(Event::Ended(_))));
        }
    }
}
