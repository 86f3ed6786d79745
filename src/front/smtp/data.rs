//! One message's octets: from the 354 answer to the dot, or in chunks that are counted (RFC 3030).

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    budget::{Budget, Share},
    input::{BUFFER, Input},
    limits::Limits,
    line_ends::LineEnds,
    replies,
    scanner::Scanner,
    wire::Wire,
};
use crate::{
    front::Answer,
    vault::{SPOOL_CHUNK, Spool, SpoolDir, Spooled},
};

/// Room for a usual mail at once; larger ones grow as they come.
const FIRST_ROOM: usize = 64 << 10;

/// How the data ended.
pub enum Data {
    /// The message, with our trace line before it.
    Message(Held),
    /// It was read to its end and can't be taken.
    Refused(Answer),
    /// The session ends with this answer: the rest of the data must not be read as commands.
    Broken(Answer),
    /// The client is gone.
    Gone,
}

/// Where a whole message waits to be judged.
pub enum Held {
    /// In memory, with its share of it.
    Memory(Vec<u8>, Share),
    /// Sealed on the disk.
    Spooled(Spooled),
}

impl Held {
    /// Octets.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(message, _) => message.len(),
            Self::Spooled(spooled) => spooled.len(),
        }
    }
}

/// Reads the message after the 354 answer was sent.
pub async fn read(
    wire: &mut Wire,
    input: &mut Input,
    limits: &Limits,
    budget: &Arc<Budget>,
    trace: &str,
    declared: usize,
) -> Data {
    let mut incoming = Incoming::new(limits, budget, trace, declared);
    let mut scanner = Scanner::new();
    let mut pace = Pace::new(limits);
    loop {
        let piece = input.unread();
        let end = scanner.feed(piece, |run| incoming.push(run));
        let used = end.unwrap_or(piece.len());
        input.consume(used);
        if end.is_some() {
            return incoming.finish(scanner.saw_bare_line_end()).await;
        }
        incoming.spill(limits).await;
        match pace.fill(input, wire).await {
            Filled::Some => {}
            Filled::Gone => return Data::Gone,
            Filled::TooSlow => return Data::Broken(replies::too_slow()),
        }
    }
}

/// A message that comes in chunks.
pub struct Chunks {
    incoming: Incoming,
    line_ends: LineEnds,
    pace: Pace,
}

/// How a chunk ended.
pub enum Chunk {
    /// It was read, and what is there so far can be taken.
    Read,
    /// It was read to its end, and the message can't be taken.
    Refused(Answer),
    /// The session ends with this answer.
    Broken(Answer),
    /// The client is gone.
    Gone,
}

impl Chunks {
    /// Before the first chunk.
    pub fn new(limits: &Limits, budget: &Arc<Budget>, trace: &str, declared: usize) -> Self {
        Self {
            incoming: Incoming::new(limits, budget, trace, declared),
            line_ends: LineEnds::default(),
            pace: Pace::new(limits),
        }
    }

    /// Reads a chunk of `octets`, wholly, whatever becomes of it: its octets must not be read as commands
    /// (RFC 3030 §2).
    pub async fn read(
        &mut self,
        wire: &mut Wire,
        input: &mut Input,
        limits: &Limits,
        mut octets: usize,
    ) -> Chunk {
        loop {
            let unread = input.unread();
            let piece = &unread[..octets.min(unread.len())];
            self.line_ends.feed(piece);
            self.incoming.push(piece);
            octets -= piece.len();
            let used = piece.len();
            input.consume(used);
            self.incoming.spill(limits).await;
            if octets == 0 {
                return self
                    .incoming
                    .fault
                    .clone()
                    .map_or(Chunk::Read, Chunk::Refused);
            }
            match self.pace.fill(input, wire).await {
                Filled::Some => {}
                Filled::Gone => return Chunk::Gone,
                Filled::TooSlow => return Chunk::Broken(replies::too_slow()),
            }
        }
    }

    /// Until the message must be whole.
    pub fn time_left(&self) -> Duration {
        self.pace.deadline.saturating_duration_since(Instant::now())
    }

    /// The message, after its last chunk.
    pub async fn finish(self) -> Data {
        self.incoming.finish(self.line_ends.saw_bare()).await
    }
}

/// Reads and throws away a chunk that nobody asked for. False: the session can't go on.
pub async fn skip(wire: &mut Wire, input: &mut Input, limits: &Limits, mut octets: usize) -> bool {
    let mut pace = Pace::new(limits);
    loop {
        let used = octets.min(input.unread().len());
        input.consume(used);
        octets -= used;
        if octets == 0 {
            return true;
        }
        if !matches!(pace.fill(input, wire).await, Filled::Some) {
            return false;
        }
    }
}

/// What came of waiting for more.
enum Filled {
    Some,
    Gone,
    TooSlow,
}

/// How fast a message must come: the whole by `data_timeout`, and each `rate_window` must bring
/// `min_data_rate`, since a client that drips an octet a minute never is silent for long.
struct Pace {
    deadline: Instant,
    window: Window,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        let start = Instant::now();
        Self {
            deadline: start + limits.data_timeout,
            window: Window::new(start, limits),
        }
    }

    async fn fill(&mut self, input: &mut Input, wire: &mut Wire) -> Filled {
        match timeout_at(self.window.end.min(self.deadline), input.fill(wire)).await {
            Ok(Ok(0) | Err(_)) => return Filled::Gone,
            Ok(Ok(read)) => self.window.octets += read as u64,
            Err(_) => {}
        }
        let now = Instant::now();
        if now >= self.deadline || !self.window.holds(now) {
            return Filled::TooSlow;
        }
        Filled::Some
    }
}

/// The rate's measure.
struct Window {
    end: Instant,
    octets: u64,
    least: u64,
    length: Duration,
}

impl Window {
    fn new(start: Instant, limits: &Limits) -> Self {
        Self {
            end: start + limits.rate_window,
            octets: 0,
            least: (limits.min_data_rate as f64 * limits.rate_window.as_secs_f64()) as u64,
            length: limits.rate_window,
        }
    }

    /// Whether the rate is kept so far; begins the next window when this one is over.
    fn holds(&mut self, now: Instant) -> bool {
        if now < self.end {
            return true;
        }
        let kept = self.octets >= self.least;
        self.octets = 0;
        self.end = now + self.length;
        kept
    }
}

/// The message so far, or why it is only read to its end.
struct Incoming {
    /// All of it, or what is not spooled yet.
    message: Vec<u8>,
    spool: Spooling,
    /// Octets that are spooled.
    spooled: usize,
    trace: usize,
    most: usize,
    share: Share,
    /// The budget has nothing left: what is here must go to the disk.
    crowded: bool,
    fault: Option<Answer>,
}

/// Where what is too much for memory goes.
enum Spooling {
    /// Nowhere: memory is all there is.
    Never,
    /// There, from so many octets on.
    From(SpoolDir, usize),
    /// It has begun.
    Into(Box<Spool>),
}

impl Incoming {
    fn new(limits: &Limits, budget: &Arc<Budget>, trace: &str, declared: usize) -> Self {
        let mut incoming = Self {
            message: Vec::new(),
            spool: match &limits.spool {
                Some(dir) => Spooling::From(dir.clone(), limits.spool_from),
                None => Spooling::Never,
            },
            spooled: 0,
            trace: trace.len(),
            most: limits.max_size,
            share: Share::of(budget),
            crowded: false,
            fault: None,
        };
        incoming.room_for(trace.len() + declared.min(FIRST_ROOM));
        incoming.message.extend_from_slice(trace.as_bytes());
        incoming
    }

    fn push(&mut self, run: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        let len = self.message.len() + run.len();
        if self.spooled + len - self.trace > self.most {
            self.give_up(replies::too_large(self.most));
            return;
        }
        let room = self.message.capacity();
        if len > room && !self.room_for(len.max(room.saturating_mul(2).min(len + FIRST_ROOM))) {
            return;
        }
        self.message.extend_from_slice(run);
    }

    /// Makes room for `octets` here, in the budget first.
    fn room_for(&mut self, octets: usize) -> bool {
        let octets = octets.min(self.most + self.trace);
        if !self.share.grow_to(octets) {
            if let Spooling::Never = self.spool {
                self.give_up(replies::memory_low());
                return false;
            }
            // What one read brought, and no more: it is spooled before the next.
            self.crowded = true;
        }
        self.message
            .reserve_exact(octets.saturating_sub(self.message.len()));
        true
    }

    /// Sends to the disk what is too much for memory; between two reads.
    async fn spill(&mut self, limits: &Limits) {
        let most = match &self.spool {
            Spooling::Never => return,
            Spooling::From(..) if self.crowded => 1,
            Spooling::From(_, from) => *from,
            Spooling::Into(_) => SPOOL_CHUNK,
        };
        if self.fault.is_some() || self.message.len() < most {
            return;
        }
        if !limits.disk_has_room() {
            tracing::warn!("mail put off: the disk has less room than min_free_disk");
            self.give_up(replies::disk_low());
            return;
        }
        let (before, spool) = (self.message.len(), self.spool.take());
        let mut clear = std::mem::take(&mut self.message);
        let done = tokio::task::spawn_blocking(move || {
            let mut spool = spool.begun()?;
            spool.take(&mut clear)?;
            clear.shrink_to(SPOOL_CHUNK + BUFFER);
            Ok::<_, io::Error>((spool, clear))
        });
        match done.await.map_err(io::Error::other).and_then(|done| done) {
            Ok((spool, clear)) => {
                self.spooled += before - clear.len();
                self.message = clear;
                self.spool = Spooling::Into(spool);
                self.share.shrink_to(self.message.capacity());
            }
            Err(error) => self.lost(&error),
        }
    }

    fn give_up(&mut self, answer: Answer) {
        self.message = Vec::new();
        self.spool = Spooling::Never;
        self.share.shrink_to(0);
        self.fault = Some(answer);
    }

    fn lost(&mut self, error: &io::Error) {
        tracing::error!(%error, "a mail can't be spooled");
        self.give_up(replies::disk_low());
    }

    async fn finish(mut self, bare_line_end: bool) -> Data {
        if self.fault.is_none() && bare_line_end {
            self.give_up(replies::bare_line_end());
        }
        if self.fault.is_none() && self.spooled + self.message.len() == self.trace {
            self.give_up(replies::empty_message());
        }
        if let Some(answer) = self.fault {
            return Data::Refused(answer);
        }
        let Spooling::Into(spool) = self.spool.take() else {
            return Data::Message(Held::Memory(self.message, self.share));
        };
        let rest = std::mem::take(&mut self.message);
        let done = tokio::task::spawn_blocking(move || spool.finish(rest)).await;
        match done.map_err(io::Error::other).and_then(|done| done) {
            Ok(spooled) => Data::Message(Held::Spooled(spooled)),
            Err(error) => {
                self.lost(&error);
                Data::Refused(replies::disk_low())
            }
        }
    }
}

impl Spooling {
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Never)
    }

    fn begun(self) -> io::Result<Box<Spool>> {
        match self {
            Self::Into(spool) => Ok(spool),
            Self::From(dir, _) => dir.begin().map(Box::new),
            Self::Never => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
