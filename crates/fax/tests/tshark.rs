//! tshark, whose T.38 dissector isn't ours, reads what we put on the network.

#![allow(clippy::unwrap_used)]

mod common;
mod rig;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use common::{Commit, End, Shelf, assert_same, file, three_pages};
use faxpost_fax::{Station, T38Endpoint, Verdict, Work};
use rig::{Job, Path, Rig, Way, capture};

/// A capture in a file, which is removed when this is dropped.
struct Capture {
    file: PathBuf,
    port: u16,
    /// tshark joins the parts of frames and reads those as T.30. It can't join them where packets are missing
    /// (it doesn't look for them in those that follow), and takes what it gets for damage.
    reads_frames: bool,
}

impl Capture {
    fn write(name: &str, there: &Way, back: &Way) -> Self {
        let ports = there.ports().expect("sockets");
        let name = format!("tshark-{}-{name}.pcap", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, capture(there, back, ports)).expect("room for a capture");
        Self {
            file,
            port: ports.0,
            reads_frames: true,
        }
    }

    /// The `field` of all packets that match `filter`, one line a packet.
    fn ask(&self, filter: &str, field: &str) -> Vec<String> {
        let mut command = Command::new("tshark");
        if !self.reads_frames {
            command.args(["-o", "t38.reassembly:FALSE", "--disable-protocol", "t30"]);
        }
        let output = command
            .arg("-r")
            .arg(&self.file)
            .args(["-d", &format!("udp.port=={},t38", self.port)])
            .args(["-Y", filter, "-T", "fields", "-e", field])
            .output()
            .unwrap_or_else(|error| {
                panic!(
                    "tshark can't be started ({error}): these tests need the Debian package tshark, \
                     which `make test-interop` installs"
                )
            });
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).expect("tshark writes UTF-8");
        lines.lines().map(str::to_owned).collect()
    }

    /// Nothing is malformed, and all is T.38.
    fn assert_well_formed(&self) {
        let wrong = "_ws.malformed || t38.malformed || _ws.expert.severity == error";
        let wrong = self.ask(wrong, "frame.number");
        assert!(wrong.is_empty(), "malformed: {wrong:?}");
        let dissected = self.ask("t38", "frame.number").len();
        assert_eq!(dissected, self.ask("frame", "frame.number").len());
        assert!(dissected > 100, "{dissected} packets");
    }

    /// How often each frame of T.30 is seen, X bit aside; image data of error correction left out.
    fn frames(&self) -> BTreeMap<u8, usize> {
        let mut frames = BTreeMap::new();
        for line in self.ask("t30.FacsimileControl", "t30.FacsimileControl") {
            for field in line.split(',') {
                *frames.entry(field.parse().expect("an octet")).or_default() += 1;
            }
        }
        frames.remove(&FCD);
        frames.remove(&RCP);
        frames
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

// Facsimile control fields without their X bit (T.30 §5.3.6.1).
const DIS: u8 = 0x01;
const CSI: u8 = 0x02;
const DCS: u8 = 0x41;
const TSI: u8 = 0x42;
const CFR: u8 = 0x21;
const MCF: u8 = 0x31;
const DCN: u8 = 0x5F;
const FCD: u8 = 0x60;
const RCP: u8 = 0x61;
const MPS: u8 = 0x72;
const EOP: u8 = 0x74;
const PPS: u8 = 0x7D;

fn pass_tick(end: &mut End<T38Endpoint>, out: &mut Way, into: &mut Way) {
    into.receive(|seq, ifp| end.endpoint.rx_ifp(seq, ifp));
    end.endpoint.tick();
    while let Some(packet) = end.endpoint.take_tx_ifp() {
        out.send(&packet);
    }
    while let Some(event) = end.endpoint.next_event() {
        end.events.push(event);
    }
}

/// Three pages from us to us, over sockets.
fn call_ourselves(lose_three_of: Option<usize>) -> (Way, Way) {
    let pages = three_pages();
    let shelf = Shelf::new(Commit::Now);
    let station = |ident: &str| Station {
        ident: ident.into(),
        ..Station::default()
    };
    let (mut there, mut back) = Way::sockets().expect("two sockets");
    there.lose_three_of = lose_three_of;
    back.lose_three_of = lose_three_of;
    let work = Work::send(file(&pages));
    let mut a = End::new(T38Endpoint::new(&station("+33 1"), work, true, 400).unwrap());
    let work = Work::receive(shelf.clone());
    let mut b = End::new(T38Endpoint::new(&station("+49 30"), work, false, 400).unwrap());
    while !(a.endpoint.is_ended() && b.endpoint.is_ended()) {
        pass_tick(&mut a, &mut there, &mut back);
        pass_tick(&mut b, &mut back, &mut there);
    }
    assert_same(&shelf.kept(), &pages);
    assert_eq!(a.verdicts(), [Verdict::Confirmed; 3]);
    (there, back)
}

#[test]
fn a_call_is_well_formed_and_says_what_it_should() {
    let (there, back) = call_ourselves(None);
    let capture = Capture::write("whole", &there, &back);
    capture.assert_well_formed();
    assert_eq!(
        capture.frames(),
        BTreeMap::from([
            (CSI, 1),
            (DIS, 1),
            (TSI, 1),
            (DCS, 1),
            (CFR, 1),
            (PPS, 3),
            (MCF, 3),
            (DCN, 1),
        ])
    );
}

#[test]
fn a_call_that_loses_three_packets_in_a_row_is_well_formed() {
    let (there, back) = call_ourselves(Some(50));
    for way in [&there, &back] {
        let (recovered, lost) = way.recovered_and_lost();
        assert!(recovered > 0, "nothing was recovered");
        assert_eq!(lost, 0);
    }
    let mut capture = Capture::write("holes", &there, &back);
    capture.reads_frames = false;
    capture.assert_well_formed();
}

/// What the other tests rest on: tshark tells when something is wrong.
#[test]
fn a_datagram_that_was_cut_short_is_seen() {
    let (mut there, back) = call_ourselves(None);
    let (_, datagram) = there.arrived.last_mut().expect("a datagram");
    datagram.truncate(datagram.len() - 3);
    let mut capture = Capture::write("cut", &there, &back);
    for reads_frames in [true, false] {
        capture.reads_frames = reads_frames;
        assert_eq!(capture.ask("_ws.malformed", "frame.number").len(), 1);
    }
}

#[test]
fn a_call_with_efax_through_a_gateway_is_well_formed() {
    let pages = three_pages();
    let work = Work::send(file(&pages));
    let mut rig = Rig::new(Path::T38Sockets, &Station::default(), &Job::Receive, work);
    rig.run();
    assert_same(&rig.efax.received(), &pages);

    let [there, back] = rig.line().expect("a call").ways().expect("in T.38");
    let capture = Capture::write("efax", there, back);
    capture.assert_well_formed();
    let frames = capture.frames();
    assert_eq!((frames[&MPS], frames[&EOP], frames[&MCF]), (2, 1, 3));
}
