//! The line worker: a sandboxed process that carries fax calls, a thread each, and knows neither keys
//! nor names. Sockets come from the parent; what is received goes back to it before it is confirmed.

mod call;
mod gate;
mod media;

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Weak, mpsc},
};

use super::protocol::{Fault, FromWorker, ToWorker};
use crate::worker::{FrameSocket, frame::FrameSender};

/// What the main thread hands to a call's thread.
enum Order {
    /// The media changed.
    Media(super::protocol::MediaSetup, std::os::fd::OwnedFd),
    /// Their settings changed, and nothing else.
    Adjust(super::protocol::MediaSetup),
    /// Page data may go out.
    Go,
    /// The call is to end.
    HangUp,
}

struct Running {
    orders: mpsc::Sender<Order>,
    kept: mpsc::Sender<(u32, bool)>,
    /// Dead when the call's thread is.
    alive: Weak<()>,
}

/// The worker's main: calls come and go until the parent closes the socket.
pub fn run(socket: FrameSocket) -> ExitCode {
    let (sender, mut receiver) = socket.split();
    let mut calls: HashMap<u64, Running> = HashMap::new();
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
        take(order, frame.fds, &sender, &mut calls);
    }
}

fn take(
    order: ToWorker,
    mut fds: Vec<std::os::fd::OwnedFd>,
    sender: &FrameSender,
    calls: &mut HashMap<u64, Running>,
) {
    match order {
        ToWorker::Start { call, .. } => {
            let (orders, their_orders) = mpsc::channel();
            let (kept, their_kept) = mpsc::channel();
            let Some(fd) = fds.pop() else {
                return refuse(sender, call);
            };
            let voice = Voice {
                call,
                sender: sender.clone(),
            };
            // Calls that ended by themselves were not taken off.
            calls.retain(|_, running| running.alive.strong_count() > 0);
            let thread = Arc::new(());
            let alive = Arc::downgrade(&thread);
            let started = std::thread::Builder::new()
                .name(format!("call-{call}"))
                .spawn(move || {
                    let _thread = thread;
                    let run = || call::run(order, fd, &voice, &their_orders, their_kept);
                    // A call that falls must not leave the gateway waiting for its end.
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                        refuse(&voice.sender, call);
                    }
                });
            match started {
                Ok(_) => {
                    calls.insert(
                        call,
                        Running {
                            orders,
                            kept,
                            alive,
                        },
                    );
                }
                Err(_) => refuse(sender, call),
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
        ToWorker::HangUp { call } => {
            if let Some(running) = calls.remove(&call) {
                // A thread that ended meanwhile has said so.
                let _ = running.orders.send(Order::HangUp);
            }
        }
    }
}

/// A call that could not begin ends at once.
fn refuse(sender: &FrameSender, call: u64) {
    Voice {
        call,
        sender: sender.clone(),
    }
    .say(&FromWorker::Ended {
        call,
        t30: call::NEVER_STARTED,
        pages: Vec::new(),
        negotiated: None,
        fax_heard: false,
        fault: Some(Fault::NotBegun),
    });
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
