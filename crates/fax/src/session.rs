//! What the engine's callbacks see and change: the memory of a call, all of it safe code.

use std::{any::Any, collections::VecDeque, ffi::CString};

use crate::{
    custody::{Custody, Decision, PageEnd},
    ffi::Engine,
    frames::{
        Agreement, fcf, fcf_name, fcf_of, read_ctc, read_dcs, takes_password, takes_sub_address,
    },
    guard::Guard,
    station::{Cause, Event},
    tracker::Tracker,
};

/// An IFP packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxIfp {
    /// UDPTL sequence number.
    pub seq: u16,
    /// The packet.
    pub data: Vec<u8>,
    /// How often to send its datagram: 1, or more for indicators, which nothing may follow for long that
    /// would repeat them.
    pub copies: u8,
}

/// The memory of a call.
pub struct Session {
    pub events: VecDeque<Event>,
    pub role: Role,
    pub guard: Guard,
    pub agreement: Option<Agreement>,
    pub tx: VecDeque<TxIfp>,
    tx_seq: u16,
    /// Line time stands still.
    pub frozen: Option<Freeze>,
    /// The data of each page waits for a permit.
    ask_before_data: bool,
    /// The call must end, with nothing more going out.
    pub hang_up: Option<Cause>,
    /// What ended the call, where that is not T.30 itself.
    pub cause: Option<Cause>,
    /// The engine's completion code (phase E).
    pub completion: Option<u32>,
    /// Something moved since the watchdog last looked.
    pub moved: bool,
    fax_heard: bool,
    /// The received page whose start was told, 0-based.
    started: Option<u32>,
    /// Octets of image sent of the current page, with ECM.
    pub image_octets: u32,
    /// The page is for a sub-address.
    pub wants_sub_address: bool,
    /// The far end's last DIS takes one.
    pub takes_sub_address: bool,
    /// The page goes with a password.
    pub wants_password: bool,
    /// The far end's last DIS takes one.
    pub takes_password: bool,
    /// The file that we send, and the pages with which further documents begin.
    pub documents: Option<(CString, Vec<u32>)>,
    /// The frame that comes in is one of our own making.
    pub injecting: bool,
    /// The engine, for its callbacks to ask.
    pub t30: Option<Engine>,
    /// A callback panicked; the panic goes on once the engine's frames are off the stack.
    pub panic: Option<Box<dyn Any + Send>>,
}

/// Which side of the document we are.
pub enum Role {
    /// We send.
    Send(Tracker),
    /// We receive.
    Receive(Custody),
}

/// Why line time stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// A page waits to be kept (without ECM).
    Commit,
    /// Page data waits for the permit, since this many ticks.
    Permit(u32),
}

impl Session {
    pub fn new(role: Role, ask_before_data: bool) -> Self {
        Self {
            events: VecDeque::new(),
            role,
            guard: Guard::default(),
            agreement: None,
            tx: VecDeque::new(),
            tx_seq: 0,
            frozen: None,
            ask_before_data,
            hang_up: None,
            cause: None,
            completion: None,
            moved: false,
            fax_heard: false,
            started: None,
            image_octets: 0,
            wants_sub_address: false,
            takes_sub_address: false,
            wants_password: false,
            takes_password: false,
            documents: None,
            injecting: false,
            t30: None,
            panic: None,
        }
    }

    /// We send.
    pub fn sends(&self) -> bool {
        matches!(self.role, Role::Send(_))
    }

    /// The far end was heard to be a fax machine.
    pub fn hear_fax(&mut self) {
        if !self.fax_heard {
            self.fax_heard = true;
            self.events.push_back(Event::FaxHeard);
        }
    }

    pub fn fax_heard(&self) -> bool {
        self.fax_heard
    }

    /// A frame of ours is queued.
    pub fn frame_sent(&mut self, frame: &[u8]) {
        self.moved = true;
        let Some(&octet) = frame.get(2) else { return };
        self.guard.sent(frame);
        match (&mut self.role, fcf_of(octet)) {
            (Role::Send(_), fcf::FCD) => {
                self.image_octets += u32::try_from(frame.len().saturating_sub(4)).unwrap_or(0);
                return;
            }
            (_, fcf::FCD | fcf::RCP) => return,
            (Role::Send(tracker), _) => tracker.sent(frame),
            (Role::Receive(custody), fcf::MCF | fcf::RTP) if custody.confirms_unstored() => {
                self.hang_up = Some(Cause::PageNotKept);
            }
            _ => {}
        }
        self.agree(frame);
        self.tell_frame(true, frame, octet);
        self.check_count();
    }

    /// A frame came in; the engine handles what this leaves of it.
    pub fn frame_heard(&mut self, frame: &mut [u8]) {
        if self.injecting {
            return;
        }
        self.moved = true;
        self.hear_fax();
        let Some(&octet) = frame.get(2) else { return };
        // What the far end said is told and judged as it came, before the guard rewrites it.
        match (&mut self.role, fcf_of(octet)) {
            (Role::Receive(custody), fcf::FCD) => {
                custody.data_follows();
                let index = custody.index();
                self.page_starts(index);
            }
            (_, fcf::FCD | fcf::RCP) => {}
            (role, field) => {
                if field == fcf::DIS {
                    self.takes_sub_address = takes_sub_address(frame);
                    self.takes_password = takes_password(frame);
                }
                if let Role::Receive(custody) = role {
                    // A PPS carries the post-message command in its next octet (T.30 Annex A.4.3).
                    let command = match frame.get(3) {
                        Some(&command) if field == fcf::PPS => fcf_of(command),
                        _ => field,
                    };
                    custody.post_message(command);
                }
                if let Role::Send(tracker) = role {
                    let was_next = tracker.data_next().is_some();
                    if let Some(verdict) = tracker.heard(frame) {
                        self.events.push_back(Event::PageVerdict(verdict));
                    }
                    if let (true, false, Some(index)) =
                        (self.ask_before_data, was_next, tracker.data_next())
                    {
                        self.frozen = Some(Freeze::Permit(0));
                        self.events.push_back(Event::PageDataNext { index });
                    }
                }
                self.tell_frame(false, frame, octet);
                self.agree(frame);
            }
        }
        self.guard.heard(frame);
    }

    /// The document behind the one whose page is on the line: its first page, and its last if others follow. The
    /// engine asks at the end of each try at that page, so the answer goes by the page.
    pub fn next_document(&self) -> Option<(u32, Option<u32>)> {
        let Role::Send(tracker) = &self.role else {
            return None;
        };
        let (_, documents) = self.documents.as_ref()?;
        let mut behind = documents.iter().filter(|first| **first > tracker.index());
        let first = *behind.next()?;
        Some((first, behind.next().map(|after| after - 1)))
    }

    /// Data of a received page comes in. Told once a page.
    pub fn page_starts(&mut self, index: u32) {
        if self.started != Some(index) {
            self.started = Some(index);
            self.events.push_back(Event::PageStarted { index });
        }
    }

    /// A page ended on the receiving side: what becomes of its confirmation.
    pub fn page_end(&mut self, end: &PageEnd) -> Decision {
        self.moved = true;
        let Role::Receive(custody) = &mut self.role else {
            return Decision::Answer;
        };
        let decision = custody.page_end(end, &mut self.events);
        match decision {
            Decision::Answer | Decision::NotReady => {}
            Decision::Refuse => {
                self.guard.refuse();
                self.cause = Some(Cause::PageNotKept);
            }
            Decision::Freeze => self.frozen = Some(Freeze::Commit),
            Decision::HangUp => self.hang_up = Some(Cause::PageNotKept),
        }
        decision
    }

    /// The engine counted a page that we sent, or chose not to.
    pub fn pages_sent(&mut self, pages_tx: u32) {
        if let Role::Send(tracker) = &mut self.role {
            tracker.engine_counts(pages_tx);
        }
        self.check_count();
    }

    fn check_count(&mut self) {
        if matches!(&self.role, Role::Send(tracker) if tracker.is_lost()) {
            self.hang_up = Some(Cause::PageCountLost);
        }
    }

    /// Who the far end says it is is known once its DCS or DIS is complete.
    pub fn identify(&mut self, remote_ident: String, sub_address: Option<String>) {
        if let Some(agreement) = &mut self.agreement {
            agreement.remote_ident = remote_ident;
            agreement.sub_address = sub_address;
            self.events.push_back(Event::Negotiated(agreement.clone()));
        }
    }

    /// Takes in what a DCS says; a CTC changes its rate (T.30 Annex A).
    fn agree(&mut self, frame: &[u8]) {
        if let Some(agreement) = read_dcs(frame) {
            self.agreement = Some(agreement);
        } else if let (Some(agreement), Some(rate)) = (&mut self.agreement, read_ctc(frame)) {
            agreement.rate = rate;
        }
    }

    fn tell_frame(&mut self, sent: bool, frame: &[u8], octet: u8) {
        let name = match (fcf_of(octet), frame.get(3)) {
            (lead @ (fcf::PPS | fcf::EOR), Some(&end)) => {
                format!("{}-{}", fcf_name(lead), fcf_name(end))
            }
            (lead, _) => fcf_name(lead).to_owned(),
        };
        self.events.push_back(Event::Frame {
            sent,
            fcf: octet,
            name,
        });
    }

    /// An IFP packet to send.
    pub fn send_ifp(&mut self, data: &[u8], copies: u8) {
        // T.38 §7.2: the first octet of a data packet has the type bit (0x40) set, and V.21 is data type 0.
        if let Some(&first) = data.first()
            && first & 0x40 != 0
        {
            self.moved = true;
        }
        let seq = self.tx_seq;
        self.tx_seq = self.tx_seq.wrapping_add(1);
        self.tx.push_back(TxIfp {
            seq,
            data: data.to_vec(),
            copies,
        });
    }
}
