//! A received page goes to the parent, and is confirmed when the parent has it in custody.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use faxpost_fax::{Kept, PageGate, ReceivedPage};
use faxpost_t4::tiff;

use super::{Voice, ticker::Ticker};
use crate::{line::protocol::FromWorker, worker::Blob};

/// How long a confirmation may be awaited with the line standing still, in line time (half of what a
/// round of RNR costs).
const BLOCK: Duration = Duration::from_millis(500);
/// A tick of line time.
const TICK: Duration = Duration::from_millis(20);

pub(super) struct Gate {
    voice: Voice,
    /// Shared, as a change of media begins with a new gate.
    answers: Arc<Mutex<mpsc::Receiver<(u32, bool)>>>,
    speed: u32,
    ticker: Ticker,
    page: u32,
    blocked: Duration,
}

impl Gate {
    pub fn new(
        voice: Voice,
        answers: mpsc::Receiver<(u32, bool)>,
        speed: u32,
        ticker: Ticker,
    ) -> Self {
        Self {
            voice,
            answers: Arc::new(Mutex::new(answers)),
            speed,
            ticker,
            page: 0,
            blocked: Duration::ZERO,
        }
    }

    fn answer(&self, wait: Duration) -> Kept {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match answers.recv_timeout(left) {
                Ok((page, committed)) if page == self.page => {
                    return if committed {
                        Kept::Committed
                    } else {
                        Kept::Refused
                    };
                }
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Timeout) => return Kept::Pending,
                // Nobody is left who could keep the page.
                Err(mpsc::RecvTimeoutError::Disconnected) => return Kept::Refused,
            }
        }
    }
}

impl PageGate for Gate {
    fn keep(&mut self, page: ReceivedPage) -> Kept {
        self.page = page.index;
        // The other calls of this worker must not wait for this one's commit.
        self.ticker.step_aside();
        let Ok(tiff) = tiff::write(std::slice::from_ref(&page.page)) else {
            return Kept::Refused;
        };
        self.voice.say(&FromWorker::PageReceived {
            call: self.voice.call,
            page: page.index,
            tiff: Blob(tiff),
            bad_rows: page.bad_rows,
            last: page.last,
        });
        let began = Instant::now();
        let kept = self.answer(BLOCK / self.speed);
        self.blocked = began.elapsed() * self.speed;
        kept
    }

    fn poll(&mut self) -> Kept {
        self.answer(Duration::ZERO)
    }

    fn blocked_ticks(&self) -> u32 {
        u32::try_from(self.blocked.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX)
    }
}
