use super::*;
use proptest::prelude::*;

#[test]
fn a_datagram_is_coded_as_the_recommendation_says() {
    let mut sender = Sender::new(1, 400);
    assert_eq!(sender.datagram(0, &[0x02]), [0, 0, 1, 2, 0, 0]);
    assert_eq!(sender.datagram(1, &[0x06]), [0, 1, 1, 6, 0, 1, 1, 2]);
    let long = vec![7; 200];
    let datagram = sender.datagram(2, &long);
    assert_eq!(datagram[..4], [0, 2, 0x80, 200]);
    assert_eq!(datagram[204..], [0, 1, 1, 6]);
}

#[test]
fn a_datagram_fits_what_the_far_end_takes() {
    let mut sender = Sender::new(3, 40);
    for seq in 0..10 {
        let datagram = sender.datagram(seq, &[9; 15]);
        assert!(datagram.len() <= 40, "{}", datagram.len());
        let Recovery::Redundancy(earlier) = decode(&datagram).unwrap().recovery else {
            panic!()
        };
        assert_eq!(earlier.len(), usize::from(seq > 0));
    }
    assert_eq!(
        sender.datagram(10, &[9; 60]).len(),
        65,
        "a primary goes out in any case"
    );
}

#[test]
fn in_silence_the_latest_datagram_goes_out_again() {
    let mut sender = Sender::new(3, 400);
    assert!(
        (0..100).all(|_| sender.tick().is_none()),
        "nothing was sent"
    );
    sender.datagram(0, &[6]);
    let latest = sender.datagram(1, &[7]);
    let again: Vec<u32> = (1..100)
        .filter(|_| sender.tick().is_some_and(|datagram| datagram == latest))
        .collect();
    assert_eq!(again, AGAIN);
    for seq in 2..100 {
        sender.datagram(seq, &[8]);
        assert!((0..2).all(|_| sender.tick().is_none()), "a stream goes on");
    }
}

#[test]
fn a_gap_in_the_numbers_is_not_filled_with_the_wrong_packets() {
    let mut sender = Sender::new(3, 400);
    sender.datagram(0, &[1]);
    let datagram = sender.datagram(5, &[2]);
    assert_eq!(
        decode(&datagram).unwrap().recovery,
        Recovery::Redundancy(vec![])
    );
}

#[test]
fn fec_gives_its_primary() {
    let datagram = [0, 9, 1, 6, 0x80, 1, 3, 2, 2, 5, 5, 1, 5];
    let read = decode(&datagram).unwrap();
    assert_eq!(
        read.recovery,
        Recovery::Fec {
            span: 3,
            entries: vec![&[5, 5], &[5]]
        }
    );
    assert_eq!(
        Receiver::new().packets(&datagram).unwrap(),
        [(9, Cow::Borrowed(&[6u8][..]))]
    );
}

/// A datagram with `n` entries of parity, each over `span` packets, as T.38 §9.1.4.2 draws it.
fn with_parity(sent: &[Vec<u8>], at: usize, span: usize, n: usize) -> Vec<u8> {
    let mut datagram = (at as u16).to_be_bytes().to_vec();
    put_open_type(&mut datagram, &sent[at]);
    datagram.extend([0x80, 1, span as u8, n as u8]);
    for entry in 0..n {
        let covered: Vec<&Vec<u8>> = (1..=span)
            .filter_map(|k| sent.get(at.checked_sub(k * n - entry)?))
            .collect();
        let mut parity = vec![0; covered.iter().map(|packet| packet.len()).max().unwrap_or(0)];
        covered.iter().for_each(|packet| add(&mut parity, packet));
        put_open_type(&mut datagram, &parity);
    }
    datagram
}

#[test]
fn parity_gives_what_was_lost() {
    let sent: Vec<Vec<u8>> = (0..40u8)
        .map(|i| vec![i + 1; 3 + usize::from(i % 5)])
        .collect();
    // With three entries a burst of three is made good; with one, a single loss.
    for (span, n, burst) in [(3, 1, 1), (3, 3, 3), (2, 4, 4), (3, 1, 2)] {
        let mut receiver = Receiver::new();
        let mut got = Vec::new();
        for at in (0..sent.len()).filter(|at| !(*at % 16 >= 12 && *at % 16 < 12 + burst)) {
            let datagram = with_parity(&sent, at, span, n);
            let packets = receiver.packets(&datagram).unwrap();
            got.extend(
                packets
                    .into_iter()
                    .map(|(seq, ifp)| (seq, ifp.into_owned())),
            );
        }
        if burst > n {
            assert_eq!(
                (receiver.recovered(), receiver.lost()),
                (0, 2 * burst as u64)
            );
            continue;
        }
        assert_eq!(
            (receiver.recovered(), receiver.lost()),
            (2 * burst as u64, 0),
            "{span} {n}"
        );
        assert_eq!(got.len(), sent.len());
        for ((seq, ifp), at) in got.iter().zip(0u16..) {
            let whole = &sent[usize::from(at)];
            // A packet shorter than its fellows comes with zeros behind.
            assert_eq!((*seq, &ifp[..whole.len()]), (at, &whole[..]));
            assert!(ifp[whole.len()..].iter().all(|&octet| octet == 0));
        }
    }
}

#[test]
fn late_and_repeated_datagrams_bring_nothing() {
    let mut sender = Sender::new(2, 400);
    let sent: Vec<_> = (0..4)
        .map(|seq| sender.datagram(seq, &[seq as u8]))
        .collect();
    let mut receiver = Receiver::new();
    assert_eq!(receiver.packets(&sent[0]).unwrap().len(), 1);
    assert_eq!(receiver.packets(&sent[3]).unwrap().len(), 3);
    assert!(receiver.packets(&sent[1]).unwrap().is_empty());
    assert!(receiver.packets(&sent[3]).unwrap().is_empty());
    assert_eq!((receiver.recovered(), receiver.lost()), (2, 0));
}

#[test]
fn a_damaged_recovery_leaves_the_primary() {
    for datagram in [
        &[0, 0, 1, 2][..],
        &[0, 0, 1, 2, 0, 3, 9],
        &[0, 0, 1, 2, 0x80, 2, 0, 3],
    ] {
        assert_eq!(decode(datagram).unwrap().primary, [2]);
    }
    assert_eq!(decode(&[0, 0, 5, 2]), Err(UdptlError::Short));
    assert_eq!(decode(&[0, 0, 0xC1, 2]), Err(UdptlError::Fragmented));
}

proptest! {
    #[test]
    fn nothing_read_from_outside_panics(datagram in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut receiver = Receiver::new();
        if let Ok(packets) = receiver.packets(&datagram) {
            prop_assert!(packets.iter().all(|(_, packet)| packet.len() < datagram.len().max(1)));
        }
        let _ = receiver.packets(&datagram);
    }

    #[test]
    fn up_to_three_datagrams_lost_in_a_row_cost_nothing(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..90), 1..60),
        losses in proptest::collection::vec(any::<bool>(), 60),
        start in any::<u16>(),
    ) {
        let mut sender = Sender::new(REDUNDANCY, 1400);
        let mut receiver = Receiver::new();
        let mut got: Vec<(u16, Vec<u8>)> = Vec::new();
        let mut run = 0;
        for (i, packet) in packets.iter().enumerate() {
            let datagram = sender.datagram(start.wrapping_add(i as u16), packet);
            // The first and the last arrive: before and after them nothing can be known.
            let lose = losses[i] && run < 3 && i != 0 && i + 1 != packets.len();
            run = if lose { run + 1 } else { 0 };
            if !lose {
                let new = receiver.packets(&datagram).unwrap();
                got.extend(new.into_iter().map(|(seq, ifp)| (seq, ifp.into_owned())));
            }
        }
        let sent: Vec<_> = packets.iter().enumerate()
            .map(|(i, packet)| (start.wrapping_add(i as u16), packet.clone())).collect();
        prop_assert_eq!(got, sent);
        prop_assert_eq!(receiver.lost(), 0);
    }
}
