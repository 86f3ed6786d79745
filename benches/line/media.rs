//! A call's fax machine at the far end, fed with packets and ticked by the generator's one thread.

use std::{
    net::{SocketAddr, UdpSocket},
    ops::DerefMut,
    sync::{Arc, Mutex, PoisonError},
};

use faxpost_fax::{
    AudioEndpoint, Call, Kept, PageGate, ReceivedPage, StartError, Station, T38Endpoint,
    TICK_SAMPLES, Work,
    g711::Law,
    rtp::{self, JitterBuffer},
    udptl,
};
use faxpost_t4::FaxPage;

use super::sip::Wanted;

/// Ticks that audio is delayed, and packets that each datagram repeats: as the gateway's.
const JITTER_TICKS: usize = 5;
const REDUNDANCY: usize = 3;

/// The pages that a call brought.
pub type Pages = Arc<Mutex<Vec<FaxPage>>>;

struct Keep(Pages);

impl PageGate for Keep {
    fn keep(&mut self, page: ReceivedPage) -> Kept {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.push(page.page);
        Kept::Committed
    }

    fn poll(&mut self) -> Kept {
        Kept::Committed
    }
}

/// What a machine is to do.
pub enum Task {
    /// TIFF-F.
    Send(Arc<[u8]>),
    Receive(Pages),
}

pub enum Media {
    Audio {
        endpoint: Box<AudioEndpoint>,
        sender: rtp::Sender,
        jitter: JitterBuffer,
    },
    T38 {
        endpoint: Box<T38Endpoint>,
        sender: udptl::Sender,
        receiver: udptl::Receiver,
    },
}

impl Media {
    pub fn start(wanted: &Wanted, task: Task, number: u32) -> Result<Self, StartError> {
        let station = Station {
            ident: "+33123456789".into(),
            ..Station::default()
        };
        let caller = matches!(task, Task::Send(_));
        let work = match task {
            Task::Send(tiff) => Work::send(tiff.to_vec()),
            Task::Receive(pages) => Work::receive(Keep(pages)),
        };
        Ok(if wanted.t38 {
            Self::T38 {
                endpoint: Box::new(T38Endpoint::new(
                    &station,
                    work,
                    caller,
                    wanted.max_datagram,
                )?),
                sender: udptl::Sender::new(REDUNDANCY, wanted.max_datagram as usize),
                receiver: udptl::Receiver::new(),
            }
        } else {
            Self::Audio {
                endpoint: Box::new(AudioEndpoint::new(&station, work, caller)?),
                sender: rtp::Sender::new(Law::A, 0, 0, number),
                jitter: JitterBuffer::new(Law::A, JITTER_TICKS),
            }
        })
    }

    pub fn call(&mut self) -> &mut Call {
        match self {
            Self::Audio { endpoint, .. } => endpoint.deref_mut(),
            Self::T38 { endpoint, .. } => endpoint.deref_mut(),
        }
    }

    /// A packet came in.
    pub fn hear(&mut self, datagram: &[u8]) {
        match self {
            Self::Audio { jitter, .. } => {
                if let Some(packet) = rtp::read(datagram) {
                    jitter.put(&packet);
                }
            }
            Self::T38 {
                endpoint, receiver, ..
            } => {
                if let Ok(packets) = receiver.packets(datagram) {
                    for (seq, ifp) in packets {
                        endpoint.rx_ifp(seq, &ifp);
                    }
                }
            }
        }
    }

    /// A tick of line time; what goes out is lost where the network does not take it.
    pub fn tick(&mut self, socket: &UdpSocket, to: SocketAddr) {
        match self {
            Self::Audio {
                endpoint,
                sender,
                jitter,
            } => {
                let heard = jitter.take();
                let mut said = [0_i16; TICK_SAMPLES];
                endpoint.tick(heard.as_ref(), &mut said);
                let _ = socket.send_to(&sender.packet(&said), to);
            }
            Self::T38 {
                endpoint, sender, ..
            } => {
                endpoint.tick();
                while let Some(ifp) = endpoint.take_tx_ifp() {
                    let datagram = sender.datagram(ifp.seq, &ifp.data);
                    for _ in 0..ifp.copies {
                        let _ = socket.send_to(&datagram, to);
                    }
                }
                if let Some(datagram) = sender.tick() {
                    let _ = socket.send_to(datagram, to);
                }
            }
        }
    }
}
