//! The media of a call: packets of a connected socket in, ticks of an endpoint out.

use std::{io, net::UdpSocket, ops::DerefMut, os::fd::OwnedFd, sync::Arc};

use faxpost_fax::{
    AudioEndpoint, Call, StartError, Station, T38Endpoint, TICK_SAMPLES, Work,
    g711::Law,
    rtp::{self, JitterBuffer},
    udptl,
};

use crate::line::protocol::MediaSetup;

/// Ticks of line time that audio is delayed, against jitter: 100 ms.
const JITTER_TICKS: usize = 5;
/// Packets that each datagram repeats: what 2 % of loss needs.
const REDUNDANCY: usize = 3;
/// Datagrams read in one tick: more would be a flood.
const MOST_DATAGRAMS: usize = 200;

pub(super) enum Media {
    Audio {
        endpoint: Box<AudioEndpoint>,
        socket: Arc<UdpSocket>,
        sender: rtp::Sender,
        jitter: JitterBuffer,
    },
    T38 {
        endpoint: Box<T38Endpoint>,
        socket: Arc<UdpSocket>,
        sender: udptl::Sender,
        receiver: udptl::Receiver,
    },
}

impl Media {
    pub fn open(
        setup: &MediaSetup,
        fd: OwnedFd,
        station: &Station,
        work: Work,
        caller: bool,
    ) -> Result<Self, StartError> {
        let socket = UdpSocket::from(fd);
        socket.set_nonblocking(true)?;
        let socket = Arc::new(socket);
        Ok(match setup {
            MediaSetup::G711 { alaw, payload } => {
                let law = law(*alaw);
                let mut sender = rtp::Sender::new(law, random(), u32::from(random()), ssrc());
                let mut jitter = JitterBuffer::new(law, JITTER_TICKS);
                sender.set_payload(law, *payload);
                jitter.set_payload(law, *payload);
                Self::Audio {
                    endpoint: Box::new(AudioEndpoint::new(station, work, caller)?),
                    sender,
                    jitter,
                    socket,
                }
            }
            MediaSetup::T38 {
                max_datagram,
                max_rate,
            } => {
                // T.38 D.2.3.1: no faster than the peer can carry. The engine leaves out modulations, not
                // rates: V.17 goes to 14400, V.29 to 9600.
                let carried = match *max_rate {
                    14_400.. => *max_rate,
                    9_600.. => 9_600,
                    _ => 4_800,
                };
                let station = &Station {
                    max_rate: station.max_rate.min(carried),
                    ..station.clone()
                };
                Self::T38 {
                    endpoint: Box::new(T38Endpoint::new(station, work, caller, *max_datagram)?),
                    sender: udptl::Sender::new(REDUNDANCY, *max_datagram as usize),
                    receiver: udptl::Receiver::new(),
                    socket,
                }
            }
        })
    }

    /// The peer changed its settings and not the kind of media: numbers, repetitions and the fax go on.
    pub fn adjust(&mut self, setup: &MediaSetup) {
        match (self, setup) {
            (Self::Audio { sender, jitter, .. }, MediaSetup::G711 { alaw, payload }) => {
                sender.set_payload(law(*alaw), *payload);
                jitter.set_payload(law(*alaw), *payload);
            }
            (Self::T38 { sender, .. }, MediaSetup::T38 { max_datagram, .. }) => {
                sender.set_max_datagram(*max_datagram as usize);
            }
            _ => eprintln!("a call can't be adjusted to media of another kind"),
        }
    }

    /// What both kinds of endpoint share.
    pub fn call(&mut self) -> &mut Call {
        match self {
            Self::Audio { endpoint, .. } => endpoint.deref_mut(),
            Self::T38 { endpoint, .. } => endpoint.deref_mut(),
        }
    }

    /// Refuses the permit that a page waits for.
    pub fn break_off(&mut self) {
        match self {
            Self::Audio { endpoint, .. } => endpoint.break_off(),
            Self::T38 { endpoint, .. } => endpoint.break_off(),
        }
    }

    /// The work, to begin anew on other media.
    pub fn into_work(self) -> io::Result<Work> {
        match self {
            Self::Audio { endpoint, .. } => endpoint.into_work(),
            Self::T38 { endpoint, .. } => endpoint.into_work(),
        }
    }

    /// What packets come by.
    pub fn socket(&self) -> Arc<UdpSocket> {
        match self {
            Self::Audio { socket, .. } | Self::T38 { socket, .. } => socket.clone(),
        }
    }

    /// A tick of line time: what came in (if anything `came`), a step, what goes out. Tells whether anything
    /// of use came in.
    pub fn tick(&mut self, came: bool) -> bool {
        let mut buffer = [0_u8; 2048];
        let mut heard = false;
        let most = if came { MOST_DATAGRAMS } else { 0 };
        match self {
            Self::Audio {
                endpoint,
                socket,
                sender,
                jitter,
            } => {
                for _ in 0..most {
                    let Ok(length) = socket.recv(&mut buffer) else {
                        break;
                    };
                    if let Some(packet) = rtp::read(&buffer[..length]) {
                        heard = true;
                        jitter.put(&packet);
                    }
                }
                let played = jitter.take();
                let mut said = [0_i16; TICK_SAMPLES];
                endpoint.tick(played.as_ref(), &mut said);
                // What the network does not take is lost as any packet may be.
                let _ = socket.send(&sender.packet(&said));
            }
            Self::T38 {
                endpoint,
                socket,
                sender,
                receiver,
            } => {
                for _ in 0..most {
                    let Ok(length) = socket.recv(&mut buffer) else {
                        break;
                    };
                    if let Ok(packets) = receiver.packets(&buffer[..length]) {
                        heard = true;
                        for (seq, ifp) in packets {
                            endpoint.rx_ifp(seq, &ifp);
                        }
                    }
                }
                endpoint.tick();
                while let Some(ifp) = endpoint.take_tx_ifp() {
                    let datagram = sender.datagram(ifp.seq, &ifp.data);
                    for _ in 0..ifp.copies {
                        let _ = socket.send(&datagram);
                    }
                }
                if let Some(datagram) = sender.tick() {
                    let _ = socket.send(datagram);
                }
            }
        }
        heard
    }
}

fn law(alaw: bool) -> Law {
    if alaw { Law::A } else { Law::Mu }
}

/// RFC 3550 §5.1: sequence numbers and timestamps begin anywhere.
fn random() -> u16 {
    let mut bytes = [0; 2];
    // Without the system's randomness the stream begins at 0, which hurts nobody but an attacker's patience.
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

fn ssrc() -> u32 {
    u32::from(random()) << 16 | u32::from(random())
}
