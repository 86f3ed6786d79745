//! spandsp's Class 1 modem (T.31) and its T.38 gateway: what a far end is made of.
//!
//! Both own a heap object of the engine and a [`Box`] that the engine's callbacks write to. The engine
//! calls back only from within calls made here, all of which take `&mut self`, and has no threads; so while
//! a callback borrows the box, no other borrow of it lives. Callbacks only push to queues: they don't panic.
#![allow(unsafe_code, dead_code)]

use std::{
    collections::VecDeque,
    ffi::{c_char, c_int, c_void},
    ptr::{self, NonNull},
    slice,
};

use faxpost_fax::{TICK_SAMPLES, TxIfp};
use spandsp_sys as sys;

use super::Samples;

// Constants that the bindings leave out (spandsp/at_interpreter.h).
const AT_MODEM_CONTROL_CALL: c_int = 0;
const AT_MODEM_CONTROL_ANSWER: c_int = 1;
const AT_MODEM_CONTROL_HANGUP: c_int = 2;
const AT_CALL_EVENT_ALERTING: c_int = 1;
const AT_CALL_EVENT_CONNECTED: c_int = 2;
const AT_CALL_EVENT_ANSWERED: c_int = 3;
const AT_CALL_EVENT_BUSY: c_int = 4;
const AT_CALL_EVENT_HANGUP: c_int = 7;

/// Octets that the modem's buffer for image data holds (spandsp/private/t31.h), and how few are too few.
const BUFFER: usize = 4096;
const LOW: usize = 256;

const DLE: u8 = 0x10;
const ETX: u8 = 0x03;

const LEN: c_int = TICK_SAMPLES as c_int;

/// What the program asks of its modem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Dial,
    Answer,
    HangUp,
}

/// A fax modem, Class 1.
pub struct Modem {
    state: NonNull<sys::t31_state_t>,
    outside: NonNull<Outside>,
}

#[derive(Default)]
struct Outside {
    to_program: VecDeque<u8>,
    requests: VecDeque<Request>,
    /// The program is to speak next.
    awaits_program: bool,
    /// Its last command was to send.
    sends: bool,
    /// What it sends is image data, of which more is to come.
    awaits_data: bool,
}

impl Modem {
    pub fn new() -> Self {
        let outside = NonNull::from(Box::leak(Box::<Outside>::default()));
        // SAFETY: a null state asks the engine to allocate one. The user pointers are the box, which
        // outlives the engine's state (see `drop`); both callbacks expect just that. Without a packet
        // handler it stays in audio mode.
        let state = unsafe {
            sys::t31_init(
                ptr::null_mut(),
                Some(on_output),
                outside.as_ptr().cast(),
                Some(on_control),
                outside.as_ptr().cast(),
                None,
                ptr::null_mut(),
            )
        };
        let state = NonNull::new(state).expect("memory for a modem");
        // SAFETY: `state` is live; this sets a field.
        unsafe { sys::t31_set_transmit_on_idle(state.as_ptr(), true) };
        Self { state, outside }
    }

    fn outside(&mut self) -> &mut Outside {
        // SAFETY: the box is live as long as `self`, and `&mut self` excludes every other borrow.
        unsafe { self.outside.as_mut() }
    }

    /// Octets for the program, oldest first.
    pub fn output(&mut self) -> &mut VecDeque<u8> {
        &mut self.outside().to_program
    }

    pub fn next_request(&mut self) -> Option<Request> {
        self.outside().requests.pop_front()
    }

    /// The program is to speak next: it heard how its last command ended, or is to say what to send, or the
    /// modem would soon have to fill up for want of image data.
    pub fn awaits_program(&mut self) -> bool {
        let starves = self.room() > BUFFER - LOW;
        let outside = self.outside();
        outside.awaits_program || outside.awaits_data && starves
    }

    /// Octets that it can take from the program now.
    pub fn room(&mut self) -> usize {
        // SAFETY: `state` is live; this reads fields.
        let room = unsafe { sys::t31_at_rx_free_space(self.state.as_ptr()) };
        // It drops what comes when its buffer is full to the last octet.
        usize::try_from(room).unwrap_or(0).saturating_sub(2)
    }

    /// Octets came from the program.
    pub fn take(&mut self, octets: &[u8]) {
        let outside = self.outside();
        outside.awaits_program = false;
        if octets.starts_with(b"AT") {
            outside.sends = octets.starts_with(b"AT+FT") && !octets.starts_with(b"AT+FTS");
            outside.awaits_data = octets.starts_with(b"AT+FTM");
        } else if let [.., before, DLE, ETX] = octets {
            // A DLE that is data comes twice (T.31 §8.3.3.1).
            outside.awaits_data &= *before == DLE;
        }
        let len = c_int::try_from(octets.len()).expect("a pty gives few octets at once");
        // SAFETY: `state` is live; the octets are readable and not kept.
        unsafe { sys::t31_at_rx(self.state.as_ptr(), octets.as_ptr().cast(), len) };
    }

    /// The number that it dialled answered.
    pub fn connected(&mut self) {
        self.event(AT_CALL_EVENT_CONNECTED);
    }

    /// The call that it answered is through.
    pub fn answered(&mut self) {
        self.event(AT_CALL_EVENT_ANSWERED);
    }

    /// Somebody calls.
    pub fn rings(&mut self) {
        self.event(AT_CALL_EVENT_ALERTING);
    }

    /// The number that it dialled is engaged.
    pub fn busy(&mut self) {
        self.event(AT_CALL_EVENT_BUSY);
    }

    /// The far end hung up.
    pub fn hung_up(&mut self) {
        self.event(AT_CALL_EVENT_HANGUP);
    }

    fn event(&mut self, event: c_int) {
        // SAFETY: `state` is live, and no callback is on the stack.
        unsafe { sys::t31_call_event(self.state.as_ptr(), event) };
    }

    pub fn tick(&mut self, rx: &Samples) -> Samples {
        let mut tx = [0; TICK_SAMPLES];
        let mut rx = *rx;
        // SAFETY: `state` is live; both buffers hold `LEN` samples and aren't kept.
        unsafe {
            sys::t31_tx(self.state.as_ptr(), tx.as_mut_ptr(), LEN);
            sys::t31_rx(self.state.as_ptr(), rx.as_mut_ptr(), LEN);
        }
        tx
    }
}

impl Drop for Modem {
    fn drop(&mut self) {
        // SAFETY: both are live and freed once; freeing makes no callbacks.
        unsafe {
            sys::t31_free(self.state.as_ptr());
            drop(Box::from_raw(self.outside.as_ptr()));
        }
    }
}

unsafe extern "C" fn on_output(user: *mut c_void, octets: *const u8, len: usize) -> c_int {
    // SAFETY: `user` is the modem's box, live and not borrowed elsewhere while the engine runs (see the
    // head of this file); the engine passes `len` readable octets.
    let (outside, octets) = unsafe {
        (
            &mut *user.cast::<Outside>(),
            slice::from_raw_parts(octets, len),
        )
    };
    outside.to_program.extend(octets);
    // A result code comes by itself.
    outside.awaits_program |= match octets {
        b"OK" | b"NO CARRIER" | b"ERROR" => true,
        b"CONNECT" => outside.sends,
        _ => false,
    };
    0
}

unsafe extern "C" fn on_control(
    _state: *mut sys::t31_state_t,
    user: *mut c_void,
    operation: c_int,
    _number: *const c_char,
) -> c_int {
    // SAFETY: as in `on_output`.
    let outside = unsafe { &mut *user.cast::<Outside>() };
    outside.requests.extend(match operation {
        AT_MODEM_CONTROL_CALL => Some(Request::Dial),
        AT_MODEM_CONTROL_ANSWER => Some(Request::Answer),
        AT_MODEM_CONTROL_HANGUP => Some(Request::HangUp),
        // Circuits of the serial line, which a pty doesn't have.
        _ => None,
    });
    0
}

/// A gateway between audio and T.38 (T.38 §6).
pub struct Gateway {
    state: NonNull<sys::t38_gateway_state_t>,
    tx: NonNull<Packets>,
}

#[derive(Default)]
struct Packets {
    queue: VecDeque<TxIfp>,
    seq: u16,
}

impl Gateway {
    /// `ecm`: frames with error correction may pass.
    pub fn new(ecm: bool) -> Self {
        let tx = NonNull::from(Box::leak(Box::<Packets>::default()));
        // SAFETY: a null state asks the engine to allocate one. The user pointer is the box, which
        // outlives the engine's state (see `drop`).
        let state =
            unsafe { sys::t38_gateway_init(ptr::null_mut(), Some(on_packet), tx.as_ptr().cast()) };
        let state = NonNull::new(state).expect("memory for a gateway");
        // SAFETY: `state` is live; these set fields of it.
        unsafe {
            sys::t38_gateway_set_transmit_on_idle(state.as_ptr(), true);
            sys::t38_gateway_set_ecm_capability(state.as_ptr(), ecm);
            let core = sys::t38_gateway_get_t38_core_state(state.as_ptr());
            sys::t38_set_t38_version(core, 0);
        }
        Self { state, tx }
    }

    /// The next IFP packet to send, oldest first.
    pub fn take_tx_ifp(&mut self) -> Option<TxIfp> {
        // SAFETY: the box is live as long as `self`, and `&mut self` excludes every other borrow.
        unsafe { self.tx.as_mut() }.queue.pop_front()
    }

    pub fn rx_ifp(&mut self, seq: u16, ifp: &[u8]) {
        let len = c_int::try_from(ifp.len()).expect("a datagram holds it");
        // SAFETY: `state` is live; `ifp` is readable for `len` octets and not kept.
        unsafe {
            let core = sys::t38_gateway_get_t38_core_state(self.state.as_ptr());
            sys::t38_core_rx_ifp_packet(core, ifp.as_ptr(), len, seq);
        }
    }

    pub fn tick(&mut self, rx: &Samples) -> Samples {
        let mut tx = [0; TICK_SAMPLES];
        let mut rx = *rx;
        // SAFETY: `state` is live; both buffers hold `LEN` samples and aren't kept.
        unsafe {
            sys::t38_gateway_rx(self.state.as_ptr(), rx.as_mut_ptr(), LEN);
            sys::t38_gateway_tx(self.state.as_ptr(), tx.as_mut_ptr(), LEN);
        }
        tx
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // SAFETY: both are live and freed once; freeing makes no callbacks.
        unsafe {
            sys::t38_gateway_free(self.state.as_ptr());
            drop(Box::from_raw(self.tx.as_ptr()));
        }
    }
}

unsafe extern "C" fn on_packet(
    _core: *mut sys::t38_core_state_t,
    user: *mut c_void,
    data: *const u8,
    len: c_int,
    count: c_int,
) -> c_int {
    // SAFETY: `user` is the gateway's box, live and not borrowed elsewhere while the engine runs; the
    // engine passes `len` readable octets.
    let (packets, data) = unsafe {
        (
            &mut *user.cast::<Packets>(),
            slice::from_raw_parts(data, usize::try_from(len).unwrap_or(0)),
        )
    };
    packets.queue.push_back(TxIfp {
        seq: packets.seq,
        data: data.to_vec(),
        copies: u8::try_from(count.clamp(1, 8)).unwrap_or(1),
    });
    packets.seq = packets.seq.wrapping_add(1);
    0
}
