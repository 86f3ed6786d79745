//! The line worker: a sandboxed process that carries fax calls, ticked together, and knows neither keys
//! nor names. Sockets come from the parent; what is received goes back to it before it is confirmed.

mod call;
mod gate;
mod media;
mod ticker;

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Weak, mpsc},
};

use self::{
    call::{Call, Ways},
    ticker::Ticker,
};
use super::protocol::{FromWorker, ToWorker};
use crate::worker::{FrameSocket, frame::FrameSender};

/// What the main thread hands to a call.
enum Order {
    /// The media changed.
    Media(super::protocol::MediaSetup, std::os::fd::OwnedFd),
    /// Their settings changed, and nothing else.
    Adjust(super::protocol::MediaSetup),
    /// Page data may go out.
    Go,
    /// It may not: the call ends with DCN.
    BreakOff,
    /// The call is to end.
    HangUp,
}

struct Running {
    orders: mpsc::Sender<Order>,
    kept: mpsc::Sender<(u32, bool)>,
    /// Dead when the call is.
    alive: Weak<()>,
}

/// The worker's main: calls come and go until the parent closes the socket.
pub fn run(socket: FrameSocket) -> ExitCode {
    let (sender, mut receiver) = socket.split();
    let mut calls: HashMap<u64, Running> = HashMap::new();
    let ticker = Ticker::new();
    loop {
        let frame = match receiver.receive() {
            Ok(frame) => frame,
            // The gateway is gone: so are its calls, and their pages are its business after a restart.
            Err(_) => return ExitCode::SUCCESS,
        };
        let Ok(order) = frame.decode::<ToWorker>() else {
            eprintln!("the gateway sent a frame that can't be read");
            return ExitCode::FAILURE;
        };
        take(order, frame.fds, &sender, &ticker, &mut calls);
    }
}

fn take(
    order: ToWorker,
    mut fds: Vec<std::os::fd::OwnedFd>,
    sender: &FrameSender,
    ticker: &Ticker,
    calls: &mut HashMap<u64, Running>,
) {
    match order {
        ToWorker::Start { call, .. } => {
            let voice = Voice {
                call,
                sender: sender.clone(),
            };
            let Some(fd) = fds.pop() else {
                return voice.not_begun();
            };
            // Calls that ended by themselves were not taken off.
            calls.retain(|_, running| running.alive.strong_count() > 0);
            let (orders, their_orders) = mpsc::channel();
            let (kept, their_kept) = mpsc::channel();
            let alive = Arc::new(());
            let running = Running {
                orders,
                kept,
                alive: Arc::downgrade(&alive),
            };
            let ways = Ways {
                orders: their_orders,
                kept: their_kept,
                alive,
            };
            if let Some(begun) = Call::begin(order, fd, voice.clone(), ways, ticker) {
                if ticker.add(begun) {
                    calls.insert(call, running);
                } else {
                    voice.not_begun();
                }
            }
        }
        ToWorker::Media { call, media } => {
            if let (Some(running), Some(fd)) = (calls.get(&call), fds.pop()) {
                let _ = running.orders.send(Order::Media(media, fd));
            }
        }
        ToWorker::Adjust { call, media } => {
            if let Some(running) = calls.get(&call) {
                let _ = running.orders.send(Order::Adjust(media));
            }
        }
        ToWorker::Kept {
            call,
            page,
            committed,
        } => {
            if let Some(running) = calls.get(&call) {
                let _ = running.kept.send((page, committed));
            }
        }
        ToWorker::Go { call } => {
            if let Some(running) = calls.get(&call) {
                let _ = running.orders.send(Order::Go);
            }
        }
        ToWorker::BreakOff { call } => {
            if let Some(running) = calls.get(&call) {
                let _ = running.orders.send(Order::BreakOff);
            }
        }
        ToWorker::HangUp { call } => {
            if let Some(running) = calls.remove(&call) {
                // A call that ended meanwhile has said so.
                let _ = running.orders.send(Order::HangUp);
            }
        }
    }
}

/// A call's way to the parent.
#[derive(Clone)]
struct Voice {
    call: u64,
    sender: FrameSender,
}

impl Voice {
    /// Says something; a parent that can't hear any more is gone, and the main thread ends.
    fn say(&self, what: &FromWorker) {
        if self.sender.send(what).is_err() {
            eprintln!("the gateway does not listen any more");
        }
    }
}
