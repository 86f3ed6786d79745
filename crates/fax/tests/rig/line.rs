//! What lies between the far end's modem and our endpoint.
#![allow(dead_code)]

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use faxpost_fax::{
    AudioEndpoint, Call, StartError, Station, T38Endpoint, TICK_SAMPLES, TxIfp, Work,
    g711::Law,
    udptl::{self, Receiver, Sender},
};

use super::{Gateway, Samples};

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// G.711.
    Audio,
    /// Through a gateway, in T.38 datagrams.
    T38,
    /// Through a gateway, in T.38 datagrams over sockets.
    T38Sockets,
}

/// The largest datagram that either side takes.
const MAX_DATAGRAM: usize = 400;

pub enum Line {
    Audio {
        endpoint: Box<AudioEndpoint>,
        rx: Samples,
    },
    T38 {
        gateway: Box<Gateway>,
        endpoint: Box<T38Endpoint>,
        /// To the endpoint.
        there: Way,
        /// To the gateway.
        back: Way,
    },
}

impl Line {
    /// A call; `caller`: our endpoint placed it.
    pub fn new(
        path: Path,
        station: &Station,
        work: Work,
        caller: bool,
    ) -> Result<Self, StartError> {
        if path == Path::Audio {
            return Ok(Self::Audio {
                endpoint: Box::new(AudioEndpoint::new(station, work, caller)?),
                rx: [0; TICK_SAMPLES],
            });
        }
        let (there, back) = if path == Path::T38 {
            (Way::memory(), Way::memory())
        } else {
            Way::sockets()?
        };
        let endpoint = T38Endpoint::new(station, work, caller, MAX_DATAGRAM as u32)?;
        Ok(Self::T38 {
            gateway: Box::new(Gateway::new(station.ecm)),
            endpoint: Box::new(endpoint),
            there,
            back,
        })
    }

    pub fn call(&mut self) -> &mut Call {
        match self {
            Self::Audio { endpoint, .. } => endpoint,
            Self::T38 { endpoint, .. } => endpoint,
        }
    }

    /// A tick passes: what the far end's modem says goes in, what it hears comes out. A `frozen` endpoint
    /// takes no part: in audio it is silent and what it should hear is lost, packets wait for it.
    pub fn tick(&mut self, tx: &Samples, frozen: bool) -> Samples {
        match self {
            Self::Audio { endpoint, rx } => {
                let over_the_line =
                    |samples: &Samples| samples.map(|sample| Law::A.decode(Law::A.encode(sample)));
                let heard = over_the_line(rx);
                if frozen {
                    rx.fill(0);
                } else {
                    endpoint.tick(Some(&over_the_line(tx)), rx);
                }
                heard
            }
            Self::T38 {
                gateway,
                endpoint,
                there,
                back,
            } => {
                let heard = gateway.tick(tx);
                while let Some(packet) = gateway.take_tx_ifp() {
                    there.send(&packet);
                }
                if !frozen {
                    there.receive(|seq, ifp| endpoint.rx_ifp(seq, ifp));
                    endpoint.tick();
                    while let Some(packet) = endpoint.take_tx_ifp() {
                        back.send(&packet);
                    }
                }
                back.receive(|seq, ifp| gateway.rx_ifp(seq, ifp));
                heard
            }
        }
    }

    /// Both ways of a call in T.38.
    pub fn ways(&mut self) -> Option<[&mut Way; 2]> {
        match self {
            Self::Audio { .. } => None,
            Self::T38 { there, back, .. } => Some([there, back]),
        }
    }
}

/// One way of a T.38 call: packets, made into datagrams and taken out of them again.
pub struct Way {
    sender: Sender,
    receiver: Receiver,
    carriage: Carriage,
    /// Of so many datagrams the last three are lost.
    pub lose_three_of: Option<usize>,
    count: usize,
    tick: u64,
    /// What arrived, with its tick, in order.
    pub arrived: Vec<(u64, Vec<u8>)>,
}

enum Carriage {
    Memory(Vec<Vec<u8>>),
    Sockets(UdpSocket, UdpSocket),
}

impl Way {
    fn new(carriage: Carriage) -> Self {
        Self {
            sender: Sender::new(udptl::REDUNDANCY, MAX_DATAGRAM),
            receiver: Receiver::new(),
            carriage,
            lose_three_of: None,
            count: 0,
            tick: 0,
            arrived: Vec::new(),
        }
    }

    pub fn memory() -> Self {
        Self::new(Carriage::Memory(Vec::new()))
    }

    /// Both ways between two sockets.
    pub fn sockets() -> io::Result<(Self, Self)> {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let (one, two) = (UdpSocket::bind(local)?, UdpSocket::bind(local)?);
        one.connect(two.local_addr()?)?;
        two.connect(one.local_addr()?)?;
        one.set_nonblocking(true)?;
        two.set_nonblocking(true)?;
        Ok((
            Self::new(Carriage::Sockets(one.try_clone()?, two.try_clone()?)),
            Self::new(Carriage::Sockets(two, one)),
        ))
    }

    /// Ports of both ends, when there are sockets.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.carriage {
            Carriage::Memory(_) => None,
            Carriage::Sockets(from, to) => {
                Some((from.local_addr().ok()?.port(), to.local_addr().ok()?.port()))
            }
        }
    }

    /// Packets recovered from redundancy, and lost for good.
    pub fn recovered_and_lost(&self) -> (u64, u64) {
        (self.receiver.recovered(), self.receiver.lost())
    }

    pub fn send(&mut self, packet: &TxIfp) {
        let datagram = self.sender.datagram(packet.seq, &packet.data);
        for _ in 0..packet.copies {
            self.count += 1;
            if self
                .lose_three_of
                .is_some_and(|of| self.count % of >= of - 3)
            {
                continue;
            }
            match &mut self.carriage {
                Carriage::Memory(datagrams) => datagrams.push(datagram.clone()),
                Carriage::Sockets(from, _) => {
                    from.send(&datagram).expect("loopback takes a datagram");
                }
            }
        }
    }

    /// What arrived in a tick.
    pub fn receive(&mut self, mut packet: impl FnMut(u16, &[u8])) {
        self.tick += 1;
        let mut take = |datagram: &[u8]| {
            self.arrived.push((self.tick, datagram.to_vec()));
            let packets = self.receiver.packets(datagram).expect("our own coding");
            for (seq, ifp) in packets {
                packet(seq, &ifp);
            }
        };
        match &mut self.carriage {
            Carriage::Memory(datagrams) => datagrams.drain(..).for_each(|it| take(&it)),
            Carriage::Sockets(_, to) => {
                let mut buffer = [0; 2048];
                while let Ok(len) = to.recv(&mut buffer) {
                    take(&buffer[..len]);
                }
            }
        }
    }
}
