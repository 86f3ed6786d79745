//! A line that leads into a network: G.711 (A-law) in RTP, to a gateway that isn't in this process.

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, UdpSocket},
};

use faxpost_fax::{g711::Law, rtp};

use super::Samples;

/// Packets that wait before the first is heard: 60 ms.
const AHEAD: usize = 3;
/// More than these, 2 s, are never kept.
const MOST: usize = 100;

pub struct Network {
    socket: UdpSocket,
    peer: SocketAddr,
    sender: rtp::Sender,
    heard: VecDeque<Samples>,
    plays: bool,
}

impl Network {
    /// Between a port of ours on loopback and the gateway's.
    pub fn between(port: u16, peer: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", port))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            peer: ([127, 0, 0, 1], peer).into(),
            sender: rtp::Sender::new(Law::A, 1, 160, 0x5A5A),
            heard: VecDeque::new(),
            plays: false,
        })
    }

    /// A tick passes: what the modem says goes out, what came in is heard.
    pub fn tick(&mut self, said: &Samples) -> Samples {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let packet = rtp::read(&buffer[..length]).filter(|_| from == self.peer);
            let Some(packet) = packet else { continue };
            if packet.payload.len() == said.len() && self.heard.len() < MOST {
                let mut samples = [0; faxpost_fax::TICK_SAMPLES];
                for (sample, octet) in samples.iter_mut().zip(packet.payload) {
                    *sample = Law::A.decode(*octet);
                }
                self.heard.push_back(samples);
            }
        }
        // What the gateway does not take is lost, as on any network.
        let _ = self.socket.send_to(&self.sender.packet(said), self.peer);
        self.plays |= self.heard.len() >= AHEAD;
        let next = self.plays.then(|| self.heard.pop_front()).flatten();
        next.unwrap_or([0; faxpost_fax::TICK_SAMPLES])
    }
}
