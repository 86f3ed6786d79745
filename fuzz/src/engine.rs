//! The engine behind its wrapper: what a far end may send, and line time that passes between.

use faxpost_fax::{
    AudioEndpoint, Call, Event, Kept, PageGate, ReceivedPage, Station, T38Endpoint, TICK_SAMPLES,
    Work,
};
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution, tiff};

use crate::choice;

/// Ticks that a run may last: three minutes of line time.
const TICKS: usize = 9_000;

struct Keeps;

impl PageGate for Keeps {
    fn keep(&mut self, page: ReceivedPage) -> Kept {
        // What the engine calls a page must be one.
        page.page.decode().expect("a page that can be read");
        Kept::Committed
    }
    fn poll(&mut self) -> Kept {
        Kept::Committed
    }
}

fn document() -> Work {
    let mut page = Bitmap::new(1728, 200);
    for row in (0..200).step_by(3) {
        for at in (row..1728).step_by(7) {
            page.set_black(at, row);
        }
    }
    let page = FaxPage::encode(&page, Resolution::Fine, Coding::Mmr);
    Work::send(tiff::write(&[page.clone(), page]).expect("two small pages"))
}

/// An end is told once and is the last thing told.
fn ends_once(call: &mut Call, ended: &mut bool) {
    while let Some(event) = call.next_event() {
        assert!(!*ended, "an event after the end");
        *ended = matches!(event, Event::Ended(_));
    }
}

fn t38(work: Work, caller: bool, mut data: &[u8]) {
    let mut endpoint =
        T38Endpoint::new(&Station::default(), work, caller, 400).expect("memory for a call");
    let (mut seq, mut ticks, mut ended) = (0u16, 0, false);
    // Each packet: ticks before it, its length, what is added to the sequence number.
    while let [wait, length, jump, rest @ ..] = data {
        let (ifp, others) = rest.split_at(usize::from(*length).min(rest.len()));
        data = others;
        for _ in 0..*wait {
            endpoint.tick();
            while endpoint.take_tx_ifp().is_some() {}
        }
        ticks += usize::from(*wait);
        endpoint.rx_ifp(seq, ifp);
        let step = if *jump < 0xF0 { 1 } else { u16::from(*jump) };
        seq = seq.wrapping_add(step);
        ends_once(&mut endpoint, &mut ended);
        if ticks > TICKS {
            break;
        }
    }
    endpoint.terminate();
    endpoint.tick();
    ends_once(&mut endpoint, &mut ended);
    assert!(ended, "a call that was ended goes on");
}

fn audio(work: Work, caller: bool, data: &[u8]) {
    let mut endpoint =
        AudioEndpoint::new(&Station::default(), work, caller).expect("memory for a call");
    let mut ended = false;
    let mut out = [0; TICK_SAMPLES];
    // Each byte or two a sample, as the first says; a tick that begins with zero was lost.
    let Some((first, data)) = choice(data) else {
        return;
    };
    for piece in data.chunks(TICK_SAMPLES).take(TICKS) {
        let mut rx = [0i16; TICK_SAMPLES];
        for (sample, &byte) in rx.iter_mut().zip(piece) {
            *sample = i16::from(byte as i8).wrapping_mul(if first & 1 == 0 { 256 } else { 40 });
        }
        let rx = (piece[0] != 0).then_some(&rx);
        endpoint.tick(rx, &mut out);
        ends_once(&mut endpoint, &mut ended);
    }
    endpoint.terminate();
    endpoint.tick(None, &mut out);
    ends_once(&mut endpoint, &mut ended);
    assert!(ended, "a call that was ended goes on");
}

/// We call and send; the far end says anything.
pub fn t38_sender(data: &[u8]) {
    t38(document(), true, data);
}

/// We are called and receive.
pub fn t38_receiver(data: &[u8]) {
    t38(Work::receive(Keeps), false, data);
}

/// As [`t38_sender`], over audio.
pub fn audio_sender(data: &[u8]) {
    audio(document(), true, data);
}

/// As [`t38_receiver`], over audio.
pub fn audio_receiver(data: &[u8]) {
    audio(Work::receive(Keeps), false, data);
}
