//! The script's side of T.30: a receiver that says what it was told to say, and keeps no page.

use std::{collections::VecDeque, time::Duration};

use faxpost_fax::{
    frames::{fcf, fcf_name, fcf_of, rate_of},
    udptl,
};
use tokio::{net::UdpSocket, time::timeout};

use super::{
    Answer, Frames, Script, Training,
    ifp::{self, Deframer, Heard},
};

/// Before a turn of ours, after one of theirs (T.30 §5.3.1: at least 55 ms).
const TURN: Duration = Duration::from_millis(300);
/// DIS is repeated after this (T4, T.30 §5.4.3.1).
const T4: Duration = Duration::from_millis(3000);
/// Packets of image data after which "in the page" has come.
const INTO_THE_PAGE: usize = 5;

/// What a call's script ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// DCN was heard, or sent.
    Dcn,
    /// The script hangs up.
    HangUp,
}

pub struct Receiver {
    socket: UdpSocket,
    sender: udptl::Sender,
    receiver: udptl::Receiver,
    deframer: Deframer,
    seq: u16,
    speed: u32,
    ecm: bool,
    takes_sub_address: bool,
    takes_password: bool,
    trainings: VecDeque<Training>,
    answers: VecDeque<Answer>,
    /// PPR so far in the answer that ends with CTC.
    pprs: u8,
    /// A DCS was heard and its training is awaited.
    training: bool,
    /// Packets of image data of this page.
    image: usize,
    last: Vec<u8>,
    log: Frames,
}

fn frame(field: u8) -> Vec<u8> {
    vec![0xFF, 0x13, field]
}

impl Receiver {
    pub fn new(socket: UdpSocket, script: &Script, speed: u32, log: Frames) -> Self {
        Self {
            socket,
            sender: udptl::Sender::new(udptl::REDUNDANCY, 400),
            receiver: udptl::Receiver::new(),
            deframer: Deframer::default(),
            seq: 0,
            speed,
            ecm: script.ecm,
            takes_sub_address: script.takes_sub_address,
            takes_password: script.takes_password,
            trainings: script.trainings.clone().into(),
            answers: script.answers.clone().into(),
            pprs: 0,
            training: false,
            image: 0,
            last: Vec::new(),
            log,
        }
    }

    /// Plays the script to its end. The call's end ends this from outside.
    pub async fn run(mut self) -> End {
        // The first datagram tells where to answer; the caller sends CNG from the start.
        let mut buffer = [0; 2048];
        let (length, peer) = self.socket.recv_from(&mut buffer).await.unwrap();
        self.socket.connect(peer).await.unwrap();
        self.send(&[ifp::indicator(ifp::CED), ifp::indicator(ifp::NO_SIGNAL)])
            .await;
        if let Some(end) = self.datagram(&buffer[..length]).await {
            return end;
        }
        self.identify().await;
        let mut greeted = false;
        loop {
            let end = match timeout(T4 / self.speed, self.socket.recv(&mut buffer)).await {
                Ok(Ok(length)) => {
                    let end = self.datagram(&buffer[..length]).await;
                    greeted |= self.training;
                    end
                }
                Ok(Err(_)) => None,
                Err(_) if !greeted => {
                    self.identify().await;
                    None
                }
                Err(_) => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn datagram(&mut self, datagram: &[u8]) -> Option<End> {
        let packets: Vec<Vec<u8>> = self
            .receiver
            .packets(datagram)
            .expect("the gateway sends proper UDPTL")
            .into_iter()
            .map(|(_, ifp)| ifp.to_vec())
            .collect();
        for packet in packets {
            for heard in self.deframer.packet(&packet) {
                if let Some(end) = self.heard(heard).await {
                    return Some(end);
                }
            }
        }
        None
    }

    async fn heard(&mut self, heard: Heard) -> Option<End> {
        match heard {
            Heard::Frame(frame) => {
                self.note(&name(&frame));
                self.last = frame;
                (fcf_of(self.last[2]) == fcf::DCN).then_some(End::Dcn)
            }
            Heard::Turn => self.turn().await,
            Heard::DataEnd if std::mem::take(&mut self.training) => self.trained().await,
            Heard::Data(_) if !self.training => {
                self.image += 1;
                let in_page = matches!(self.answers.front(), Some(Answer::DcnInPage));
                if in_page && self.image == INTO_THE_PAGE {
                    // Both speak at once: this is no turn to wait for.
                    self.note("> DCN");
                    self.send(&ifp::turn(&[frame(fcf::DCN)])).await;
                    return Some(End::Dcn);
                }
                None
            }
            _ => None,
        }
    }

    /// The sender's frames are over: an answer is due, unless its training follows.
    async fn turn(&mut self) -> Option<End> {
        match self.last.get(2).map(|&octet| fcf_of(octet)) {
            Some(fcf::DCS) => {
                self.training = true;
                None
            }
            Some(fcf::CTC) => self.say(frame(fcf::CTR)).await,
            Some(fcf::EOR) => self.say(frame(fcf::ERR)).await,
            // A block within a page.
            Some(fcf::PPS) if self.last.get(3) == Some(&fcf::NULL) => {
                self.say(frame(fcf::MCF)).await
            }
            Some(fcf::PPS | fcf::MPS | fcf::EOP | fcf::EOM) => self.page_over().await,
            _ => None,
        }
    }

    async fn trained(&mut self) -> Option<End> {
        match self.trainings.pop_front().unwrap_or(Training::Cfr) {
            Training::Cfr => {
                self.image = 0;
                self.say(frame(fcf::CFR)).await
            }
            Training::Ftt => self.say(frame(fcf::FTT)).await,
            Training::Dcn => self.say_dcn().await,
        }
    }

    async fn page_over(&mut self) -> Option<End> {
        let answer = self.answers.front().copied().unwrap_or(Answer::Mcf);
        if answer == Answer::PprUntilCtc && self.pprs < 4 {
            // T.30 Annex A §A.4.4: after the fourth PPR the sender gives up the rate, or the page.
            let mut ppr = frame(fcf::PPR);
            ppr.resize(35, 0);
            // Ever fewer frames are missing, so that the sender goes on at a lower rate.
            ppr[3] = 0xFF << self.pprs;
            self.pprs += 1;
            return self.say(ppr).await;
        }
        if answer == Answer::Silence {
            self.note("(silence)");
            return None;
        }
        self.answers.pop_front();
        self.pprs = 0;
        self.image = 0;
        match answer {
            Answer::Mcf | Answer::PprUntilCtc | Answer::DcnInPage => {
                self.say(frame(fcf::MCF)).await;
                if self.last[2..]
                    .iter()
                    .take(2)
                    .any(|octet| fcf_of(*octet) == fcf::EOM)
                {
                    // T.30 §5.3.6.1.6: both go back to the beginning of phase B.
                    self.identify().await;
                }
                None
            }
            Answer::Rtn => self.say(frame(fcf::RTN)).await,
            Answer::Rtp => self.say(frame(fcf::RTP)).await,
            Answer::Lost => {
                self.note("(lost)");
                None
            }
            Answer::Dcn => self.say_dcn().await,
            Answer::HangUp => {
                self.note("(hangs up)");
                Some(End::HangUp)
            }
            Answer::Silence => None,
        }
    }

    /// CSI and DIS (T.30 §5.3.6.1.1, Table 2).
    async fn identify(&mut self) {
        let mut csi = vec![0xFF, 0x03, fcf::CSI];
        csi.extend(format!("{:<20}", super::super::FAR_NUMBER).bytes().rev());
        // Bits 10 receives, 11, 12 and 14 V.27 ter, V.29 and V.17, 15 fine; 20 any length, 21 to 23 no
        // minimum scan line time; 24 goes on; 27 error correction, 31 T.6.
        let mut dis = vec![0xFF, 0x13, fcf::DIS, 0x00, 0x6E, 0x78];
        if self.ecm {
            dis[5] |= 0x80;
            dis.push(0x44);
        }
        if self.takes_sub_address || self.takes_password {
            // Bits 49 and 50; bits 24, 32, 40 and 48 say that more follows.
            dis[5] |= 0x80;
            dis.resize(10, 0);
            dis[6..9].iter_mut().for_each(|octet| *octet |= 0x80);
            dis[9] = u8::from(self.takes_sub_address) | u8::from(self.takes_password) << 1;
        }
        self.say_all(&[csi, dis]).await;
    }

    async fn say_dcn(&mut self) -> Option<End> {
        self.say(frame(fcf::DCN)).await;
        Some(End::Dcn)
    }

    async fn say(&mut self, frame: Vec<u8>) -> Option<End> {
        self.say_all(&[frame]).await;
        None
    }

    async fn say_all(&mut self, frames: &[Vec<u8>]) {
        tokio::time::sleep(TURN / self.speed).await;
        for frame in frames {
            self.note(&format!("> {}", name(frame)));
        }
        self.send(&ifp::turn(frames)).await;
    }

    async fn send(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            let datagram = self.sender.datagram(self.seq, packet);
            self.seq = self.seq.wrapping_add(1);
            // A port that is closed meanwhile: the call is over.
            let _ = self.socket.send(&datagram).await;
        }
    }

    fn note(&self, what: &str) {
        self.log.lock().unwrap().push(what.to_owned());
    }
}

fn name(frame: &[u8]) -> String {
    let field = fcf_name(frame[2]);
    match (fcf_of(frame[2]), frame.get(3)) {
        (fcf::PPS | fcf::EOR, Some(&end)) => format!("{field}-{}", fcf_name(end)),
        // T.30 §5.3.6.2.8: the last digit comes first.
        (fcf::SUB | fcf::SID, _) => {
            let digits: String = frame[3..].iter().rev().map(|&o| char::from(o)).collect();
            format!("{field} {}", digits.trim())
        }
        (fcf::DCS, _) => format!("{field} {}", rate_of(frame[4]).unwrap()),
        _ => field.to_owned(),
    }
}
