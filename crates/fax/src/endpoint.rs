//! The two kinds of endpoint, and the call that both are.

use std::{
    collections::VecDeque,
    io,
    ops::{Deref, DerefMut},
};

use crate::{
    TICK_SAMPLES, TICKS_PER_SECOND, completion_name,
    custody::{Custody, MOST_ROWS, Settled},
    dcn,
    ffi::{LARGEST_IFP, Modem, Task},
    frames::Agreement,
    memfd::Memfd,
    session::{Freeze, Role, Session},
    station::{Cause, Ending, Event, Progress, Station, Work},
    tiff_pages,
    tone::ToneListener,
    tracker::Tracker,
};

pub use crate::session::TxIfp;

/// Longer than any timer of T.30 that may run in silence (T5, 60 s ± 5 s, T.30 §5.4.3.1): the engine
/// itself hangs for ever when the far end falls silent after CTC, or within a page.
const SILENCE_TICKS: u32 = 70 * TICKS_PER_SECOND;

/// How long a page's data may wait for its permit: 4.0 s. After CFR, and after MCF to MPS, the far end
/// waits 6 s ± 1 s for what comes next (T2, T.30 §5.4.3.1).
const PERMIT_TICKS: u32 = 4 * TICKS_PER_SECOND;

/// Ticks between two looks at how far the page is.
const PROGRESS_TICKS: u64 = 25;

/// IFP octets a call may take in at once, and what is added to that each tick: 28 times what the
/// fastest modem brings.
const IFP_ALLOWANCE: usize = 64 * 1024;
const IFP_ALLOWANCE_PER_TICK: usize = 1024;

/// IFP packets that may wait while line time stands still.
const MOST_WAITING: usize = 2000;

/// Why a call could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No file in memory could be made.
    #[error("no file in memory for the pages: {0}")]
    Memfd(#[from] io::Error),
    /// No memory for the fax engine.
    #[error("no memory for the fax engine")]
    Engine,
}

/// What both kinds of endpoint share.
pub struct Call {
    modem: Modem,
    work: Document,
    ticks: u64,
    quiet_ticks: u32,
    rows: u32,
    over: bool,
}

/// What must outlive the engine's use of its files, and comes back with the work.
enum Document {
    Send {
        file: Memfd,
        first_page: u32,
        documents: Vec<u32>,
        sub_address: Option<String>,
        password: Option<String>,
        ask_before_data: bool,
    },
    Receive,
}

/// What a tick may do.
enum Step {
    Run,
    Frozen,
    Over,
}

impl Call {
    fn new(
        station: &Station,
        work: Work,
        start: impl FnOnce(Session) -> Option<Modem>,
    ) -> Result<Self, StartError> {
        let (document, task, role, ask) = match work {
            Work::Send {
                tiff,
                first_page,
                documents,
                sub_address,
                password,
                ask_before_data,
            } => {
                let pages = tiff_pages::count(&tiff);
                let file = Memfd::with(&tiff)?;
                let task = Task::Send {
                    path: file.path(),
                    first: first_page,
                    documents: documents.clone(),
                    sub_address: sub_address.clone(),
                    password: password.clone(),
                };
                let role = Role::Send(Tracker::new(first_page, pages));
                let document = Document::Send {
                    file,
                    first_page,
                    documents,
                    sub_address,
                    password,
                    ask_before_data,
                };
                (document, task, role, ask_before_data)
            }
            Work::Receive { gate } => {
                let custody = Custody::new(gate, Memfd::new()?);
                let task = Task::Receive {
                    path: custody.path(),
                };
                (Document::Receive, task, Role::Receive(custody), false)
            }
        };
        let mut modem = start(Session::new(role, ask)).ok_or(StartError::Engine)?;
        modem.set_up(station, &task);
        Ok(Self {
            modem,
            work: document,
            ticks: 0,
            quiet_ticks: 0,
            rows: 0,
            over: false,
        })
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.modem.session_mut().events.pop_front()
    }

    /// The call is over: its last event is (or was) [`Event::Ended`]. Packets that are still to be
    /// taken should be sent.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.over
    }

    /// Line time so far.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The last agreement.
    #[must_use]
    pub fn agreement(&self) -> Option<&Agreement> {
        self.modem.session().agreement.as_ref()
    }

    /// Gives the permit that [`Event::PageDataNext`] asked for.
    pub fn go(&mut self) {
        let session = self.modem.session_mut();
        if matches!(session.frozen, Some(Freeze::Permit(_))) {
            session.frozen = None;
        }
    }

    /// Takes the page off that waits for its permit, if one does: the call is about to end.
    fn withhold(&mut self) -> bool {
        let session = self.modem.session_mut();
        let waits = matches!(session.frozen, Some(Freeze::Permit(_)));
        let Role::Send(tracker) = &mut session.role else {
            return false;
        };
        if self.over || !waits {
            return false;
        }
        tracker.withhold();
        session.frozen = None;
        true
    }

    /// Ends the call: we or the far end hung up. Nothing more goes out.
    pub fn terminate(&mut self) {
        self.end(Cause::HungUp);
    }

    /// The work, to begin anew on other media. Only before page data: what was sent or received is lost.
    fn into_work(self) -> io::Result<Work> {
        let session = self.modem.into_session();
        Ok(match (self.work, session.role) {
            (
                Document::Send {
                    file,
                    first_page,
                    documents,
                    sub_address,
                    password,
                    ask_before_data,
                },
                _,
            ) => Work::Send {
                tiff: file.content()?,
                first_page,
                documents,
                sub_address,
                password,
                ask_before_data,
            },
            (Document::Receive, Role::Receive(custody)) => Work::Receive {
                gate: custody.into_gate(),
            },
            (Document::Receive, Role::Send(_)) => {
                unreachable!("a receiving call has a receiver's role")
            }
        })
    }

    /// What must happen before a tick passes in the engine.
    fn advance(&mut self) -> Step {
        if self.over {
            return Step::Over;
        }
        self.ticks += 1;
        self.settle_pending_page();
        let session = self.modem.session_mut();
        if let Some(Freeze::Permit(waited)) = &mut session.frozen {
            *waited += 1;
            if *waited > PERMIT_TICKS {
                session.hang_up = Some(Cause::NoPermit);
            }
        }
        if let Some(cause) = session.hang_up {
            self.end(cause);
            return Step::Over;
        }
        if session.frozen.is_some() {
            return Step::Frozen;
        }
        if let Role::Send(tracker) = &mut session.role
            && let Some(index) = tracker.tick()
        {
            session.image_octets = 0;
            session.events.push_back(Event::PageStarted { index });
        }
        Step::Run
    }

    fn settle_pending_page(&mut self) {
        let session = self.modem.session_mut();
        let Role::Receive(custody) = &mut session.role else {
            return;
        };
        match custody.tick(&mut session.events) {
            None | Some(Settled::Waiting) => {}
            Some(Settled::Go) => {
                session.frozen = None;
                self.modem.ready();
            }
            Some(Settled::Refuse) => {
                session.guard.refuse();
                session.cause = Some(Cause::PageNotKept);
            }
            Some(Settled::HangUp) => session.hang_up = Some(Cause::PageNotKept),
        }
    }

    /// What must happen after the engine did something.
    fn settle(&mut self) {
        let session = self.modem.session_mut();
        if let Some(cause) = session.hang_up {
            self.end(cause);
        } else if session.completion.is_some() {
            let cause = session.cause.unwrap_or(Cause::Protocol);
            self.end(cause);
        }
    }

    /// Looks whether anything moves, and how far the page is.
    fn watch(&mut self) {
        if self.over {
            return;
        }
        if self.ticks.is_multiple_of(PROGRESS_TICKS) {
            self.progress();
        }
        let session = self.modem.session_mut();
        if std::mem::take(&mut session.moved) {
            self.quiet_ticks = 0;
        } else {
            self.quiet_ticks += 1;
        }
        if self.quiet_ticks > SILENCE_TICKS {
            session.hang_up = Some(Cause::Silence);
        }
        self.settle();
    }

    fn progress(&mut self) {
        let transfer = self.modem.transfer();
        let session = self.modem.session_mut();
        let (index, progress) = match &session.role {
            Role::Send(tracker) => {
                let ecm = session.agreement.as_ref().is_some_and(|agreed| agreed.ecm);
                let progress = if ecm {
                    Progress::Sent {
                        octets: session.image_octets,
                        of: transfer.octets,
                    }
                } else {
                    // Rows are coded as they go out, so that the octets in all aren't known.
                    Progress::SentRows {
                        rows: transfer.rows,
                        of: transfer.page_rows,
                    }
                };
                let some = session.image_octets > 0 || !ecm && transfer.rows > 0;
                (
                    tracker.index(),
                    (some && tracker.in_page()).then_some(progress),
                )
            }
            Role::Receive(custody) => {
                let grew = transfer.rows != self.rows;
                self.rows = transfer.rows;
                if grew {
                    session.moved = true;
                }
                if transfer.rows > MOST_ROWS {
                    session.hang_up = Some(Cause::PageTooLong);
                }
                let progress = Progress::Received {
                    rows: transfer.rows,
                };
                (
                    custody.index(),
                    (grew && transfer.rows > 0).then_some(progress),
                )
            }
        };
        if let Some(progress) = progress {
            if !session.sends() {
                session.page_starts(index);
            }
            session
                .events
                .push_back(Event::PageProgress { index, progress });
        }
    }

    /// Ends the call, once.
    fn end(&mut self, cause: Cause) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if self.modem.session().completion.is_none() {
            self.modem.terminate();
        }
        let ticks = self.ticks;
        let session = self.modem.session_mut();
        let code = session.completion.unwrap_or(u32::MAX);
        let (pages, kept) = match &session.role {
            Role::Send(tracker) => (tracker.verdicts(), 0),
            Role::Receive(custody) => (Vec::new(), custody.kept()),
        };
        let ending = Ending {
            code,
            name: completion_name(code),
            cause,
            pages,
            kept,
            agreement: session.agreement.clone(),
            fax_heard: session.fax_heard(),
            ticks,
        };
        session.events.push_back(Event::Ended(ending));
    }
}

/// A fax endpoint over T.38: IFP packets in and out, to be carried by [`udptl`](crate::udptl).
pub struct T38Endpoint {
    call: Call,
    waiting: VecDeque<(u16, Vec<u8>)>,
    allowance: usize,
    /// DCN goes out, since this many ticks.
    farewell: Option<u32>,
}

impl T38Endpoint {
    /// Starts a call. `caller`: we placed it. `max_datagram` is the far end's `T38FaxMaxDatagram`, octets.
    ///
    /// # Errors
    /// Without memory for its pages or its engine.
    pub fn new(
        station: &Station,
        work: Work,
        caller: bool,
        max_datagram: u32,
    ) -> Result<Self, StartError> {
        let call = Call::new(station, work, |session| {
            Modem::t38(session, caller, max_datagram)
        })?;
        Ok(Self {
            call,
            waiting: VecDeque::new(),
            allowance: IFP_ALLOWANCE,
            farewell: None,
        })
    }

    /// An IFP packet came in. Sequence numbers that jump tell the engine what was lost.
    pub fn rx_ifp(&mut self, seq: u16, ifp: &[u8]) {
        let deaf = self.call.over || self.farewell.is_some();
        if deaf || ifp.is_empty() || ifp.len() > LARGEST_IFP || ifp.len() > self.allowance {
            return;
        }
        self.allowance -= ifp.len();
        if !self.waiting.is_empty() || self.call.modem.session().frozen.is_some() {
            if self.waiting.len() < MOST_WAITING {
                self.waiting.push_back((seq, ifp.to_vec()));
            }
            return;
        }
        self.feed(seq, ifp);
    }

    fn feed(&mut self, seq: u16, ifp: &[u8]) {
        // T.38 §7.2.1: an indicator has neither the data nor the type bit; 1 is CNG, 2 CED, 3 V.21 preamble,
        // then the trainings. Data comes from a modem in any case.
        if ifp[0] & 0x40 != 0 || ifp[0] & 0xC0 == 0 && ifp[0] & 0x3F != 0 {
            self.call.modem.session_mut().hear_fax();
        }
        self.call.modem.rx_ifp(seq, ifp);
        self.call.settle();
    }

    /// A tick of line time passes.
    pub fn tick(&mut self) {
        self.allowance = (self.allowance + IFP_ALLOWANCE_PER_TICK).min(IFP_ALLOWANCE);
        if self.farewell.is_some() {
            return self.say_farewell();
        }
        match self.call.advance() {
            Step::Over | Step::Frozen => return,
            Step::Run => {}
        }
        while !self.call.over && self.call.modem.session().frozen.is_none() {
            let Some((seq, ifp)) = self.waiting.pop_front() else {
                break;
            };
            self.feed(seq, &ifp);
        }
        if self.call.over || self.call.modem.session().frozen.is_some() {
            return;
        }
        self.call.modem.tick_t38();
        self.call.settle();
        self.call.watch();
    }

    /// Refuses the permit that [`Event::PageDataNext`] asked for: instead of the page's data DCN goes out (T.30
    /// §5.3.6.1.8), and the call ends when it has. Where no page waits for its permit this is
    /// [`terminate`](Call::terminate).
    pub fn break_off(&mut self) {
        if !self.call.withhold() {
            return self.call.terminate();
        }
        self.call.modem.session_mut().frame_sent(&dcn::FRAME);
        self.farewell = Some(0);
    }

    fn say_farewell(&mut self) {
        let (Some(ticks), false) = (&mut self.farewell, self.call.over) else {
            return;
        };
        *ticks += 1;
        self.call.ticks += 1;
        if let Some((packet, copies)) = dcn::packet(*ticks) {
            self.call.modem.session_mut().send_ifp(&packet, copies);
        }
        if *ticks >= dcn::LAST_TICK {
            self.call.end(Cause::BrokenOff);
        }
    }

    /// The next IFP packet to send, oldest first.
    pub fn take_tx_ifp(&mut self) -> Option<TxIfp> {
        self.call.modem.session_mut().tx.pop_front()
    }

    /// The work, to begin anew on other media. Only before page data: what was sent or received is lost.
    ///
    /// # Errors
    /// When the document can't be read back from memory.
    pub fn into_work(self) -> io::Result<Work> {
        self.call.into_work()
    }
}

/// A fax endpoint over audio, 16-bit samples at 8000 Hz, to be carried by [`g711`](crate::g711) in
/// [`rtp`](crate::rtp).
pub struct AudioEndpoint {
    call: Call,
    tones: Option<ToneListener>,
}

impl AudioEndpoint {
    /// Starts a call. `caller`: we placed it.
    ///
    /// # Errors
    /// Without memory for its pages or its engine.
    pub fn new(station: &Station, work: Work, caller: bool) -> Result<Self, StartError> {
        let call = Call::new(station, work, |session| Modem::audio(session, caller))?;
        Ok(Self {
            call,
            tones: Some(ToneListener::default()),
        })
    }

    /// A tick of line time passes: `rx` came in (`None`: it was lost), `tx` is what to send.
    pub fn tick(&mut self, rx: Option<&[i16; TICK_SAMPLES]>, tx: &mut [i16; TICK_SAMPLES]) {
        match self.call.advance() {
            Step::Over | Step::Frozen => {
                // While a page waits, we are silent and deaf.
                tx.fill(0);
                return;
            }
            Step::Run => {}
        }
        if let (Some(tones), Some(rx)) = (&mut self.tones, rx)
            && tones.hear(rx)
        {
            self.tones = None;
            self.call.modem.session_mut().hear_fax();
        }
        self.call.modem.tick_audio(rx, tx);
        if tx.iter().any(|&sample| sample != 0) {
            self.call.modem.session_mut().moved = true;
        }
        self.call.settle();
        self.call.watch();
    }

    /// As [`T38Endpoint::break_off`]; the DCN is the engine's.
    pub fn break_off(&mut self) {
        if !self.call.withhold() {
            return self.call.terminate();
        }
        self.call.modem.session_mut().cause = Some(Cause::BrokenOff);
        self.call.modem.break_off();
        self.call.settle();
    }

    /// The work, to begin anew on other media. Only before page data: what was sent or received is lost.
    ///
    /// # Errors
    /// When the document can't be read back from memory.
    pub fn into_work(self) -> io::Result<Work> {
        self.call.into_work()
    }
}

macro_rules! is_a_call {
    ($endpoint:ty) => {
        impl Deref for $endpoint {
            type Target = Call;
            fn deref(&self) -> &Call {
                &self.call
            }
        }
        impl DerefMut for $endpoint {
            fn deref_mut(&mut self) -> &mut Call {
                &mut self.call
            }
        }
    };
}
is_a_call!(T38Endpoint);
is_a_call!(AudioEndpoint);
