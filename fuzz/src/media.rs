//! Datagrams, session descriptions, and the frames of a worker that somebody broke into.

use std::net::{Ipv4Addr, SocketAddr};

use faxpost::line::{
    protocol::FromWorker,
    sip::sdp::{Codec, Local, LocalMedia, Remote, same_session},
};
use faxpost_fax::{g711::Law, rtp, udptl};

use crate::choice;

/// The data is datagrams, each with its length in a byte before it.
fn datagrams(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = choice(data)?;
        let (one, others) = rest.split_at(length.min(rest.len()));
        data = others;
        Some(one)
    })
}

/// What a receiver gives out is part of what came in, each packet once and in order.
pub fn udptl(data: &[u8]) {
    let mut receiver = udptl::Receiver::new();
    for datagram in datagrams(data) {
        let _ = udptl::decode(datagram);
        let Ok(packets) = receiver.packets(datagram) else {
            continue;
        };
        for two in packets.windows(2) {
            let ahead = two[1].0.wrapping_sub(two[0].0);
            assert!(
                (1..=packets.len() as u16 * 256).contains(&ahead),
                "out of order"
            );
        }
        assert!(packets.iter().all(|(_, ifp)| ifp.len() <= datagram.len()));
    }
}

/// A jitter buffer takes any stream, and plays at most what came.
pub fn rtp(data: &[u8]) {
    let mut buffer = rtp::JitterBuffer::new(Law::A, 3);
    for datagram in datagrams(data) {
        if let Some(packet) = rtp::read(datagram) {
            assert!(packet.payload.len() <= datagram.len());
            buffer.put(&packet);
        }
        let _ = buffer.take();
    }
}

/// What can be read can be answered, or is refused with a reason; our own words read back.
pub fn sdp(data: &[u8]) {
    let half = data.len() / 2;
    let _ = same_session(&data[..half], &data[half..]);
    let Ok(remote) = Remote::parse(data) else {
        return;
    };
    let _ = (remote.t38(), remote.audio(), remote.best());
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000));
    let audio = LocalMedia::Audio {
        addr,
        codecs: vec![Codec::Pcma, Codec::Pcmu],
    };
    for media in [LocalMedia::T38 { addr }, audio] {
        let Ok(answer) = Local::new(1).answer(&remote, &media) else {
            continue;
        };
        let answer = Remote::parse(&answer).expect("our own answer reads back");
        assert!(answer.best().is_some(), "an answer without a stream");
    }
}

/// A worker is believed only as far as its frames can be read.
pub fn worker_frame(data: &[u8]) {
    if let Ok(frame) = faxpost::worker::frame::decode::<FromWorker>(data) {
        let written = faxpost::worker::frame::encode(&frame).expect("it came in a frame");
        // Four octets of length come first.
        let again: FromWorker =
            faxpost::worker::frame::decode(&written[4..]).expect("what we wrote reads back");
        assert_eq!(format!("{frame:?}"), format!("{again:?}"));
    }
}
