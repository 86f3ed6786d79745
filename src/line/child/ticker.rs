//! The worker's clock: one thread ticks all calls, on one beat, so that thousands of ticks a second cost
//! a few dozen wake-ups.
//!
//! A call may have to stand still in the middle of a tick: the engine decides within its callback whether a
//! received page is confirmed, and the page's commit is waited for there. Its thread then gives the turn to
//! another ([`Ticker::step_aside`]) and stays with that call alone until its tick is over.

use std::{
    net::UdpSocket,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long the ticking thread sleeps at most: a call that has begun meanwhile waits for this.
const LONGEST: Duration = Duration::from_millis(20);

/// What is ticked: a call.
pub(super) trait Ticked: Send {
    /// When its next tick is due.
    fn due(&self) -> Instant;
    /// What its packets come by.
    fn socket(&self) -> Option<Arc<UdpSocket>>;
    /// A tick of line time passes; `false`: the call is over, and has said so. `came`: something may wait at
    /// its socket.
    fn tick(&mut self, came: bool) -> bool;
    /// It fell in its tick: its end is said, so that the gateway does not wait for it.
    fn fall(&self);
}

/// Ticks the calls of this worker.
#[derive(Clone)]
pub(super) struct Ticker(Arc<Shared>);

struct Shared {
    epoch: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// A call is locked while it is ticked, which may last.
    calls: Vec<Arc<Mutex<dyn Ticked>>>,
    /// The number of the turn: a thread that has an older one has given it away.
    turn: u64,
    /// Somebody has the turn.
    taken: bool,
    /// Threads that wait for a turn.
    waiting: usize,
}

impl Ticker {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            epoch: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// The next moment at which calls with ticks of `step` are ticked: all together.
    pub fn next_beat(&self, step: Duration) -> Instant {
        let passed = self.0.epoch.elapsed().as_nanos();
        let beats = passed / step.as_nanos().max(1) + 1;
        let until = beats * step.as_nanos();
        self.0.epoch + Duration::from_nanos(u64::try_from(until).unwrap_or(u64::MAX))
    }

    /// Ticks a call from now on; `false`: there is no thread for it.
    pub fn add(&self, call: impl Ticked + 'static) -> bool {
        let mut state = self.0.lock();
        state.calls.push(Arc::new(Mutex::new(call)));
        if state.taken {
            return true;
        }
        if self.wake(&state) {
            return true;
        }
        state.calls.pop();
        false
    }

    /// Gives the turn away: the calling thread is about to stand still.
    pub fn step_aside(&self) {
        let mut state = self.0.lock();
        state.turn += 1;
        state.taken = false;
        // Without another thread the other calls wait until this one goes on.
        self.wake(&state);
    }

    /// Lets a thread take the turn, a new one if none waits.
    fn wake(&self, state: &State) -> bool {
        if state.waiting > 0 {
            self.0.changed.notify_one();
            return true;
        }
        let shared = self.0.clone();
        std::thread::Builder::new()
            .name("calls".into())
            .spawn(move || shared.serve())
            .is_ok()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every single change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life: from turn to turn. It ends with the process.
    fn serve(&self) {
        loop {
            let turn = self.take_turn();
            self.tick_during(turn);
        }
    }

    fn take_turn(&self) -> u64 {
        let mut state = self.lock();
        state.waiting += 1;
        while state.taken || state.calls.is_empty() {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        state.taken = true;
        state.turn += 1;
        state.turn
    }

    /// Ticks what is due until there are no calls, or the turn was given away.
    fn tick_during(&self, turn: u64) {
        let mut calls: Vec<Arc<Mutex<dyn Ticked>>> = Vec::new();
        loop {
            {
                let mut state = self.lock();
                if state.turn != turn {
                    return;
                }
                if state.calls.is_empty() {
                    state.taken = false;
                    return;
                }
                calls.clone_from(&state.calls);
            }
            let now = Instant::now();
            let mut next = now + LONGEST;
            let mut due = Vec::with_capacity(calls.len());
            for call in calls.drain(..) {
                let Some(running) = claim(&call) else {
                    continue;
                };
                if running.due() > now {
                    next = next.min(running.due());
                    continue;
                }
                let socket = running.socket();
                drop(running);
                due.push((call, socket));
            }
            let came = at(due.iter().map(|(_, socket)| socket.as_deref()));
            for ((call, _), came) in due.iter().zip(came) {
                let Some(mut running) = claim(call) else {
                    continue;
                };
                if tick(&mut *running, came) {
                    next = next.min(running.due());
                } else {
                    self.remove(call);
                }
                drop(running);
                if self.lock().turn != turn {
                    return;
                }
            }
            drop(due);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn remove(&self, over: &Arc<Mutex<dyn Ticked>>) {
        self.lock().calls.retain(|call| !Arc::ptr_eq(call, over));
    }
}

/// A call that does not stand still, with another thread.
fn claim<'a>(
    call: &'a Arc<Mutex<dyn Ticked + 'static>>,
) -> Option<MutexGuard<'a, dyn Ticked + 'static>> {
    match call.try_lock() {
        Ok(running) => Some(running),
        Err(TryLockError::Poisoned(running)) => Some(running.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// At which sockets something waits: one look at all of them, where a look at each would cost most of a
/// quiet call's tick.
fn at<'a>(sockets: impl Iterator<Item = Option<&'a UdpSocket>>) -> Vec<bool> {
    let sockets: Vec<_> = sockets.collect();
    let mut looked: Vec<_> = sockets
        .iter()
        .flatten()
        .map(|socket| PollFd::new(*socket, PollFlags::IN))
        .collect();
    if poll(&mut looked, Some(&Timespec::default())).is_err() {
        return vec![true; sockets.len()];
    }
    let mut looked = looked.iter();
    sockets
        .iter()
        // An error waits to be taken, too.
        .map(|socket| socket.is_some() && looked.next().is_none_or(|at| !at.revents().is_empty()))
        .collect()
}

/// Ticks a call; one that falls takes no other with it.
fn tick(call: &mut dyn Ticked, came: bool) -> bool {
    let ticked = catch_unwind(AssertUnwindSafe(|| call.tick(came)));
    ticked.unwrap_or_else(|_| {
        call.fall();
        false
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A call whose ticks are a test's; it is over with the first that says so.
    struct Played<T> {
        due: Instant,
        play: T,
        fallen: mpsc::Sender<()>,
    }

    impl<T: FnMut() -> bool + Send> Ticked for Played<T> {
        fn due(&self) -> Instant {
            self.due
        }

        fn socket(&self) -> Option<Arc<UdpSocket>> {
            None
        }

        fn tick(&mut self, came: bool) -> bool {
            assert!(!came);
            self.due += Duration::from_millis(1);
            (self.play)()
        }

        fn fall(&self) {
            let _ = self.fallen.send(());
        }
    }

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn a_call_that_stands_still_holds_no_other() {
        let ticker = Ticker::new();
        let (fallen, _) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (let_go, go) = mpsc::channel();
        let aside = ticker.clone();
        let mut tick = 0;
        // As a page's gate: in the middle of a tick it waits for what others must do first.
        let still = move || {
            tick += 1;
            aside.step_aside();
            go.recv_timeout(LIMIT).expect("the other call goes on");
            tick < 3
        };
        let mut ticks = 0;
        let going = move || {
            ticks += 1;
            // Ends with the test.
            let _ = tell.send(ticks);
            true
        };
        let due = Instant::now();
        assert!(ticker.add(Played {
            due,
            play: still,
            fallen: fallen.clone()
        }));
        assert!(ticker.add(Played {
            due,
            play: going,
            fallen
        }));
        for _ in 0..3 {
            for _ in 0..5 {
                told.recv_timeout(LIMIT).expect("a tick of the other call");
            }
            let_go.send(()).expect("it stands still, and is not over");
        }
        // It is over and dropped, and the other goes on.
        while let_go.send(()).is_ok() {
            told.recv_timeout(LIMIT).expect("a tick of the other call");
        }
        told.recv_timeout(LIMIT).expect("a tick of the other call");
    }

    #[test]
    fn a_call_that_falls_takes_no_other_along() {
        let ticker = Ticker::new();
        let (fallen, fell) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let due = Instant::now();
        let falling = || panic!("a call falls, as the test wants it");
        assert!(ticker.add(Played {
            due,
            play: falling,
            fallen: fallen.clone()
        }));
        let going = move || tell.send(()).is_ok();
        assert!(ticker.add(Played {
            due,
            play: going,
            fallen
        }));
        fell.recv_timeout(LIMIT).expect("its end is said");
        for _ in 0..5 {
            told.recv_timeout(LIMIT).expect("a tick of the other call");
        }
        assert!(fell.try_recv().is_err(), "once");
    }

    #[test]
    fn one_look_finds_the_sockets_at_which_something_waits() {
        let sockets: Vec<_> = (0..3)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let at = |sockets: &[Option<&UdpSocket>]| at(sockets.iter().copied());
        let [first, second, third] = [&sockets[0], &sockets[1], &sockets[2]];
        assert_eq!(at(&[Some(first), None, Some(third)]), [false, false, false]);
        first
            .send_to(b"packet", third.local_addr().unwrap())
            .unwrap();
        // It has come.
        third.peek(&mut [0]).unwrap();
        assert_eq!(
            at(&[Some(first), None, Some(third), Some(second)]),
            [false, false, true, false]
        );
        assert_eq!(at(&[]), [false; 0]);
    }

    #[test]
    fn calls_share_their_beat() {
        let ticker = Ticker::new();
        let step = Duration::from_millis(20);
        let beat = ticker.next_beat(step);
        let since = beat - ticker.0.epoch;
        assert_eq!(since.as_nanos() % step.as_nanos(), 0);
        assert!(beat > Instant::now() - step);
    }
}
