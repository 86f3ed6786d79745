//! The scripted machine without its SIP: whoever speaks that names the port. Its media may move.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::UdpSocket, sync::mpsc, task::JoinSet};

use super::{super::ports::local, Frames, Script, t30};

/// One call's T.38. Ends when dropped.
pub struct Media {
    port: u16,
    frames: Frames,
    moves: mpsc::UnboundedSender<UdpSocket>,
    largest: Arc<AtomicUsize>,
    silent: Arc<Mutex<bool>>,
    _tasks: JoinSet<()>,
}

impl Media {
    pub async fn start(speed: u32, script: &Script) -> Self {
        let frames = Frames::default();
        let (outer, inner) = (bind().await, bind().await);
        let machine = bind().await;
        inner.connect(machine.local_addr().unwrap()).await.unwrap();
        let port = outer.local_addr().unwrap().port();
        let (moves, moved) = mpsc::unbounded_channel();
        let (largest, silent) = (Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        let receiver = t30::Receiver::new(machine, script, speed, frames.clone());
        tasks.spawn(async move {
            receiver.run().await;
        });
        let way = Way {
            outer,
            inner,
            peer: None,
            largest: Arc::clone(&largest),
            silent: Arc::clone(&silent),
        };
        tasks.spawn(way.run(moved));
        Self {
            port,
            frames,
            moves,
            largest,
            silent,
            _tasks: tasks,
        }
    }

    /// Where the gateway is to send.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Another port; to be gone to by [`Media::go`] once the gateway knows of it.
    pub async fn elsewhere(&self) -> (u16, UdpSocket) {
        let outer = bind().await;
        (outer.local_addr().unwrap().port(), outer)
    }

    /// Sends from there from now on, and hears nothing at the old port.
    pub fn go(&self, elsewhere: UdpSocket) {
        self.moves.send(elsewhere).unwrap();
    }

    /// Neither hears nor says anything from now on.
    pub fn fall_silent(&self) {
        *self.silent.lock().unwrap() = true;
    }

    /// Its record, as [`super::ScriptedFax::frames`] has it.
    #[must_use]
    pub fn frames(&self) -> Vec<String> {
        self.frames.lock().unwrap().clone()
    }

    /// Octets of the largest datagram that came.
    #[must_use]
    pub fn largest_datagram(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }
}

async fn bind() -> UdpSocket {
    UdpSocket::bind(local(0)).await.unwrap()
}

/// Between the port that SDP names and the machine's own.
struct Way {
    outer: UdpSocket,
    inner: UdpSocket,
    /// The gateway, once it spoke.
    peer: Option<SocketAddr>,
    largest: Arc<AtomicUsize>,
    silent: Arc<Mutex<bool>>,
}

impl Way {
    async fn run(mut self, mut moved: mpsc::UnboundedReceiver<UdpSocket>) {
        let (mut from_gateway, mut from_machine) = ([0; 2048], [0; 2048]);
        loop {
            tokio::select! {
                Some(outer) = moved.recv() => self.outer = outer,
                Ok((length, peer)) = self.outer.recv_from(&mut from_gateway) => {
                    self.peer = Some(peer);
                    self.largest.fetch_max(length, Ordering::Relaxed);
                    if !*self.silent.lock().unwrap() {
                        let _ = self.inner.send(&from_gateway[..length]).await;
                    }
                }
                Ok(length) = self.inner.recv(&mut from_machine) => {
                    let silent = *self.silent.lock().unwrap();
                    if let Some(peer) = self.peer.filter(|_| !silent) {
                        let _ = self.outer.send_to(&from_machine[..length], peer).await;
                    }
                }
            }
        }
    }
}
