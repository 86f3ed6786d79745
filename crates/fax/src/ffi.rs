//! spandsp, and nothing else that is unsafe.
//!
//! [`Modem`] owns one engine state and the [`Session`] that its callbacks see. The engine calls back
//! only from within calls that we make into it (it has no threads), all of which take `&mut Modem`; so
//! while a callback borrows the session, no other borrow of it lives. A panic in a callback is caught
//! there, because it must not unwind through C, and goes on when the engine has returned.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    fs::File,
    io,
    os::fd::{FromRawFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr::{self, NonNull},
    slice,
    sync::Once,
};

use spandsp_sys as sys;

use crate::{
    TICK_SAMPLES,
    custody::{Decision, PageEnd},
    frames::{fcf, fcf_of},
    session::Session,
    station::{Cause, Station},
};

// Constants that the bindings leave out (spandsp/t4_rx.h).
const T4_COMPRESSION_T4_1D: c_int = 0x02;
const T4_COMPRESSION_T4_2D: c_int = 0x04;
const T4_COMPRESSION_T6: c_int = 0x08;
const T4_RESOLUTION_R8_STANDARD: c_int = 0x1;
const T4_RESOLUTION_R8_FINE: c_int = 0x2;
const T4_RESOLUTION_R8_SUPERFINE: c_int = 0x4;
const T4_SUPPORT_WIDTH_215MM: c_int = 0x01;
const T4_SUPPORT_WIDTH_255MM: c_int = 0x02;
const T4_SUPPORT_WIDTH_303MM: c_int = 0x04;
const T4_SUPPORT_LENGTH_UNLIMITED: c_int = 0x10000;
const T4_SUPPORT_LENGTH_A4: c_int = 0x20000;
const T4_SUPPORT_LENGTH_B4: c_int = 0x40000;
const T4_SUPPORT_LENGTH_US_LETTER: c_int = 0x80000;
const T4_SUPPORT_LENGTH_US_LEGAL: c_int = 0x10_0000;

/// RNR is said this often before MCF, unless the count is taken back: more often than any sender asks.
const NOT_READY: c_int = 100_000;

// T.30 completion codes that we end phase B with: for a DCS that we can't follow, a far end that takes no
// sub-address, one that takes no password, one that wants to fetch a document, and one that answers a call of its own.
const INCOMPATIBLE: c_int = sys::t30_err_e::T30_ERR_INCOMPATIBLE as c_int;
const SUB_UNACCEPTABLE: c_int = sys::t30_err_e::T30_ERR_SUB_UNACCEPTABLE as c_int;
const SID_UNACCEPTABLE: c_int = sys::t30_err_e::T30_ERR_SID_UNACCEPTABLE as c_int;
const NOPOLL: c_int = sys::t30_err_e::T30_ERR_NOPOLL as c_int;
const TX_INCAPABLE: c_int = sys::t30_err_e::T30_ERR_TX_INCAPABLE as c_int;

/// The largest IFP packet that is let in, octets. spandsp puts a packet's field on the stack, and so
/// does what a peer can make it do there stay small. (A field of length 0 makes it declare an array
/// of length 0, which it doesn't touch.)
pub const LARGEST_IFP: usize = 2048;

/// One fax engine.
pub struct Modem {
    front: Front,
    t30: NonNull<sys::t30_state_t>,
    session: NonNull<Session>,
}

enum Front {
    T38(NonNull<sys::t38_terminal_state_t>),
    Audio(NonNull<sys::fax_state_t>),
}

// SAFETY: the engine keeps no thread-local state and no pointer into a thread's stack between calls;
// its heap objects and the session (whose gate is `Send`) are owned by this value alone.
unsafe impl Send for Modem {}

/// What the engine tells of its transfer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transfer {
    /// Rows of the page so far; with ECM a sender is ahead of the line.
    pub rows: u32,
    /// Rows of the page in all (sending).
    pub page_rows: u32,
    /// Octets of the page in the line's coding, so far (receiving, or without ECM) or in all.
    pub octets: u32,
}

/// What a modem does: the files by their paths.
pub enum Task {
    /// Sends pages from `first` (0-based) on.
    Send {
        path: String,
        first: u32,
        documents: Vec<u32>,
        sub_address: Option<String>,
        password: Option<String>,
    },
    /// Receives.
    Receive { path: String },
}

impl Modem {
    /// An engine over T.38. `max_datagram` limits its packets; `None` when memory is out.
    pub fn t38(session: Session, caller: bool, max_datagram: u32) -> Option<Self> {
        silence_libtiff();
        let session = NonNull::from(Box::leak(Box::new(session)));
        // SAFETY: a null state asks the engine to allocate one. The user pointer is the session, which
        // outlives the engine state (see `drop`); `on_ifp` expects just that.
        let state = unsafe {
            sys::t38_terminal_init(
                ptr::null_mut(),
                caller,
                Some(on_ifp),
                session.as_ptr().cast(),
            )
        };
        let Some(state) = NonNull::new(state) else {
            // SAFETY: the session came from a `Box` above and nothing else has it.
            drop(unsafe { Box::from_raw(session.as_ptr()) });
            return None;
        };
        // SAFETY: `state` is a live terminal; both getters return pointers into it, never null.
        let (t30, core) = unsafe {
            (
                NonNull::new_unchecked(sys::t38_terminal_get_t30_state(state.as_ptr())),
                sys::t38_terminal_get_t38_core_state(state.as_ptr()),
            )
        };
        let max_datagram = c_int::try_from(max_datagram.min(LARGEST_IFP as u32)).unwrap_or(400);
        // SAFETY: `core` is part of the live terminal; these calls set fields of it.
        unsafe {
            sys::t38_set_t38_version(core, 0);
            sys::t38_set_max_datagram_size(core, max_datagram);
            // Ends of data are followed by an indicator, which is sent three times and repeats them: copies
            // of their own gain nothing (measured at 2, 10 and 20 % loss) and confuse dissectors.
            for ends in [
                sys::t38_packet_categories_e_T38_PACKET_CATEGORY_CONTROL_DATA_END,
                sys::t38_packet_categories_e_T38_PACKET_CATEGORY_IMAGE_DATA_END,
            ] {
                sys::t38_set_redundancy_control(core, ends as c_int, 1);
            }
        }
        Some(Self {
            front: Front::T38(state),
            t30,
            session,
        })
    }

    /// An engine over audio. `None` when memory is out.
    pub fn audio(session: Session, caller: bool) -> Option<Self> {
        silence_libtiff();
        // SAFETY: a null state asks the engine to allocate one.
        let state = NonNull::new(unsafe { sys::fax_init(ptr::null_mut(), caller) })?;
        // SAFETY: `state` is a live fax state; the getter returns a pointer into it, never null.
        let t30 = unsafe {
            sys::fax_set_transmit_on_idle(state.as_ptr(), 1);
            NonNull::new_unchecked(sys::fax_get_t30_state(state.as_ptr()))
        };
        let session = NonNull::from(Box::leak(Box::new(session)));
        Some(Self {
            front: Front::Audio(state),
            t30,
            session,
        })
    }

    /// Sets up what the station is and what it does. Called once, before the first tick.
    pub fn set_up(&mut self, station: &Station, task: &Task) {
        let t30 = self.t30.as_ptr();
        let user: *mut c_void = self.session.as_ptr().cast();
        let modems = match station.max_rate {
            12_000.. if station.v17 => {
                sys::T30_SUPPORT_V27TER | sys::T30_SUPPORT_V29 | sys::T30_SUPPORT_V17
            }
            7200.. => sys::T30_SUPPORT_V27TER | sys::T30_SUPPORT_V29,
            _ => sys::T30_SUPPORT_V27TER,
        };
        let mut resolutions = T4_RESOLUTION_R8_STANDARD | T4_RESOLUTION_R8_FINE;
        if station.superfine {
            resolutions |= T4_RESOLUTION_R8_SUPERFINE;
        }
        let mut sizes = T4_SUPPORT_WIDTH_215MM
            | T4_SUPPORT_LENGTH_UNLIMITED
            | T4_SUPPORT_LENGTH_A4
            | T4_SUPPORT_LENGTH_B4
            | T4_SUPPORT_LENGTH_US_LETTER
            | T4_SUPPORT_LENGTH_US_LEGAL;
        if station.wide {
            sizes |= T4_SUPPORT_WIDTH_255MM | T4_SUPPORT_WIDTH_303MM;
        }
        let ident = ascii20(&station.ident);
        // SAFETY: `t30` is live. Strings are NUL-terminated and copied by the engine. The handlers get
        // the session, which outlives the engine state.
        unsafe {
            sys::t30_set_tx_ident(t30, ident.as_ptr());
            sys::t30_set_ecm_capability(t30, station.ecm);
            sys::t30_set_supported_modems(t30, modems as c_int);
            sys::t30_set_supported_compressions(
                t30,
                T4_COMPRESSION_T4_1D | T4_COMPRESSION_T4_2D | T4_COMPRESSION_T6,
            );
            sys::t30_set_supported_bilevel_resolutions(t30, resolutions);
            sys::t30_set_supported_image_sizes(t30, sizes);
            // Received pages are written in T.6, whatever their coding on the line.
            sys::t30_set_supported_output_compressions(t30, T4_COMPRESSION_T6);
            // The page that was refused is sent again, and page numbers stay what they seem.
            sys::t30_set_retransmit_capable(t30, true);
            sys::t30_set_supported_t30_features(t30, sys::T30_SUPPORT_SUB_ADDRESSING as c_int);
            sys::t30_set_phase_b_handler(t30, Some(on_phase_b), user);
            sys::t30_set_phase_d_handler(t30, Some(on_phase_d), user);
            sys::t30_set_phase_e_handler(t30, Some(on_phase_e), user);
            sys::t30_set_real_time_frame_handler(t30, Some(on_frame), user);
        }
        self.session_mut().t30 = Some(Engine(self.t30));
        match task {
            Task::Send {
                path,
                first,
                documents,
                sub_address,
                password,
            } => {
                let path = ascii_path(path);
                let next = documents.iter().find(|next| *next > first);
                let last = page_or_all(next.map(|next| next - 1));
                let first = c_int::try_from(*first).unwrap_or(c_int::MAX);
                let session = self.session_mut();
                session.wants_sub_address = sub_address.is_some();
                session.wants_password = password.is_some();
                session.documents =
                    (!documents.is_empty()).then(|| (path.clone(), documents.clone()));
                // SAFETY: as above.
                unsafe {
                    sys::t30_set_tx_file(t30, path.as_ptr(), first, last);
                    sys::t30_set_document_handler(t30, Some(on_document), user);
                    if let Some(sub) = sub_address {
                        sys::t30_set_tx_sub_address(t30, ascii20(sub).as_ptr());
                    }
                    if let Some(password) = password {
                        // Its PWD goes with DTC only; with DCS goes SID.
                        sys::t30_set_tx_sender_ident(t30, ascii20(password).as_ptr());
                    }
                }
            }
            Task::Receive { path } => {
                let path = ascii_path(path);
                // SAFETY: as above.
                unsafe { sys::t30_set_rx_file(t30, path.as_ptr(), -1) };
            }
        }
    }

    /// Ends a call whose page data was to go out next: the engine answers a frame that it does not expect with DCN.
    pub fn break_off(&mut self) {
        self.inject(vec![0xFF, 0x13, fcf::EOS]);
        self.go_on_panicking();
    }

    /// The memory of the call.
    pub fn session(&self) -> &Session {
        // SAFETY: the session is live as long as `self`; callbacks, which borrow it mutably, run only
        // within methods that take `&mut self`.
        unsafe { self.session.as_ref() }
    }

    /// The memory of the call.
    pub fn session_mut(&mut self) -> &mut Session {
        // SAFETY: as in `session`; and `&mut self` excludes every other borrow.
        unsafe { self.session.as_mut() }
    }

    /// An IFP packet came in. Nothing on an audio engine.
    pub fn rx_ifp(&mut self, seq: u16, ifp: &[u8]) {
        let Front::T38(state) = &self.front else {
            return;
        };
        let Ok(len) = c_int::try_from(ifp.len()) else {
            return;
        };
        // SAFETY: `state` is live; `ifp` is readable for `len` octets and not kept.
        unsafe {
            let core = sys::t38_terminal_get_t38_core_state(state.as_ptr());
            sys::t38_core_rx_ifp_packet(core, ifp.as_ptr(), len, seq);
        }
        self.after_input();
    }

    /// A tick passes on a T.38 engine.
    pub fn tick_t38(&mut self) {
        let Front::T38(state) = &self.front else {
            return;
        };
        // SAFETY: `state` is live.
        unsafe { sys::t38_terminal_send_timeout(state.as_ptr(), TICK_SAMPLES as c_int) };
        self.go_on_panicking();
    }

    /// A tick passes on an audio engine: `rx` is what came in (`None`: it was lost), `tx` is filled.
    pub fn tick_audio(&mut self, rx: Option<&[i16; TICK_SAMPLES]>, tx: &mut [i16; TICK_SAMPLES]) {
        let Front::Audio(state) = &self.front else {
            return;
        };
        let state = state.as_ptr();
        const LEN: c_int = TICK_SAMPLES as c_int;
        // SAFETY: `state` is live; `tx` has room for `LEN` samples and neither buffer is kept.
        let made = unsafe { sys::fax_tx(state, tx.as_mut_ptr(), LEN) };
        tx[usize::try_from(made).unwrap_or(0).min(TICK_SAMPLES)..].fill(0);
        match rx {
            Some(rx) => {
                // The engine filters the samples in place.
                let mut samples = *rx;
                // SAFETY: as above.
                unsafe { sys::fax_rx(state, samples.as_mut_ptr(), LEN) };
            }
            // SAFETY: as above. It keeps the modem's timing over the hole.
            None => unsafe {
                sys::fax_rx_fillin(state, LEN);
            },
        }
        self.after_input();
    }

    /// From the sender's next question on the answer is MCF, not RNR.
    pub fn ready(&mut self) {
        // SAFETY: `t30` is live.
        unsafe { sys::t30_set_receiver_not_ready(self.t30.as_ptr(), 0) };
    }

    /// Ends the call at once; nothing more goes out. Phase E is reported.
    pub fn terminate(&mut self) {
        // SAFETY: `t30` is live, and this is not called from within a callback.
        unsafe { sys::t30_terminate(self.t30.as_ptr()) };
        self.go_on_panicking();
    }

    /// How far the transfer is.
    pub fn transfer(&self) -> Transfer {
        let stats = Engine(self.t30).statistics();
        Transfer {
            rows: u32::try_from(stats.length).unwrap_or(0),
            page_rows: u32::try_from(stats.image_length).unwrap_or(0),
            octets: u32::try_from(stats.image_size).unwrap_or(0),
        }
    }

    /// What must follow a call into which frames or audio went.
    fn after_input(&mut self) {
        if let Some(frame) = self.session_mut().guard.take_injection() {
            self.inject(frame);
        }
        self.go_on_panicking();
    }

    fn inject(&mut self, mut frame: Vec<u8>) {
        let len = c_int::try_from(frame.len()).unwrap_or(0);
        self.session_mut().injecting = true;
        // SAFETY: `t30` is live and the frame readable (and writable, should the frame handler
        // rewrite it) for `len` octets; it isn't kept. No callback is on the stack.
        unsafe { sys::t30_hdlc_accept(self.t30.as_ptr().cast(), frame.as_mut_ptr(), len, 1) };
        self.session_mut().injecting = false;
    }

    fn go_on_panicking(&mut self) {
        if let Some(panic) = self.session_mut().panic.take() {
            resume_unwind(panic);
        }
    }

    /// Gives the memory of the call back; the engine is gone.
    pub fn into_session(self) -> Session {
        let this = std::mem::ManuallyDrop::new(self);
        this.free_engine();
        // SAFETY: the session came from a `Box`, the engine that could reach it is gone, and `this` is
        // not dropped.
        *unsafe { Box::from_raw(this.session.as_ptr()) }
    }

    fn free_engine(&self) {
        // SAFETY: the state is live and freed once: by `drop`, or by `into_session`, which skips `drop`.
        // Freeing makes no callbacks.
        unsafe {
            match &self.front {
                Front::T38(state) => sys::t38_terminal_free(state.as_ptr()),
                Front::Audio(state) => sys::fax_free(state.as_ptr()),
            };
        }
    }
}

impl Drop for Modem {
    fn drop(&mut self) {
        self.free_engine();
        // SAFETY: the session came from a `Box` and the engine that could reach it is gone.
        drop(unsafe { Box::from_raw(self.session.as_ptr()) });
    }
}

/// The T.30 part of an engine, for use within its callbacks.
#[derive(Clone, Copy)]
pub struct Engine(NonNull<sys::t30_state_t>);

impl Engine {
    /// The engine's statistics. Sound only while its rate index is in its table, which the guard sees to:
    /// no DCS or CTC with an unknown rate reaches the engine.
    fn statistics(self) -> sys::t30_stats_t {
        // SAFETY: all fields are integers, for which zero is a value.
        let mut stats: sys::t30_stats_t = unsafe { std::mem::zeroed() };
        // SAFETY: `self` is live: it is used by its `Modem` and within the engine's own callbacks only.
        unsafe { sys::t30_get_transfer_statistics(self.0.as_ptr(), &mut stats) };
        stats
    }

    fn page_end(self) -> PageEnd {
        let stats = self.statistics();
        let count = |n: c_int| u32::try_from(n).unwrap_or(0);
        // SAFETY: as in `statistics`; both read a field.
        let (written, error) = unsafe {
            (
                sys::t30_receive_page_count(self.0.as_ptr()),
                sys::t30_receive_output_error(self.0.as_ptr()),
            )
        };
        PageEnd {
            ecm: stats.error_correcting_mode != 0,
            pages_rx: count(stats.pages_rx),
            written: count(written),
            write_error: error != 0,
            rows: count(stats.length),
            bad_rows: count(stats.bad_rows),
            longest_bad_run: count(stats.longest_bad_row_run),
        }
    }

    fn pages_tx(self) -> u32 {
        u32::try_from(self.statistics().pages_tx).unwrap_or(0)
    }

    fn not_ready(self) {
        // SAFETY: as in `statistics`.
        unsafe { sys::t30_set_receiver_not_ready(self.0.as_ptr(), NOT_READY) };
    }

    fn remote_ident(self) -> String {
        // SAFETY: as in `statistics`; the result is null or a string within the engine.
        text(unsafe { sys::t30_get_rx_ident(self.0.as_ptr()) })
    }

    fn sub_address(self) -> Option<String> {
        // SAFETY: as in `remote_ident`.
        let sub = text(unsafe { sys::t30_get_rx_sub_address(self.0.as_ptr()) });
        (!sub.is_empty()).then_some(sub)
    }
}

/// A string of the far end's: only printable ASCII of it.
fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the callers pass a NUL-terminated string that lives through this call.
    let octets = unsafe { CStr::from_ptr(string) }.to_bytes();
    let printable = octets.iter().filter(|octet| (b' '..=b'~').contains(octet));
    printable
        .map(|&octet| char::from(octet))
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Up to 20 printable ASCII characters for the engine.
fn ascii20(text: &str) -> CString {
    let printable: Vec<u8> = text
        .bytes()
        .filter(|octet| (b' '..=b'~').contains(octet))
        .take(20)
        .collect();
    CString::new(printable).expect("printable characters have no NUL")
}

/// The last page to send for the engine; -1 is no limit.
fn page_or_all(last: Option<u32>) -> c_int {
    last.map_or(-1, |page| c_int::try_from(page).unwrap_or(c_int::MAX))
}

fn ascii_path(path: &str) -> CString {
    CString::new(path).expect("a path under /proc/self/fd has no NUL")
}

/// Runs a callback's safe part. A panic is kept for later and ends the call.
fn guarded<T>(user: *mut c_void, instead: T, work: impl FnOnce(&mut Session) -> T) -> T {
    // SAFETY: `user` is the session that was given to the engine with the callback; it is live, and no
    // other borrow of it exists while the engine runs (see the head of this file).
    let session = unsafe { &mut *user.cast::<Session>() };
    match catch_unwind(AssertUnwindSafe(|| work(&mut *session))) {
        Ok(value) => value,
        Err(panic) => {
            session.panic = Some(panic);
            session.hang_up = Some(Cause::HungUp);
            instead
        }
    }
}

/// An octet string from the engine; empty if it has none.
fn octets<'a>(data: *const u8, len: c_int) -> &'a [u8] {
    match usize::try_from(len) {
        // SAFETY: the engine passes `len` readable octets, which live through its callback; the callers
        // let the slice go before that ends.
        Ok(len) if len > 0 && !data.is_null() => unsafe { slice::from_raw_parts(data, len) },
        _ => &[],
    }
}

unsafe extern "C" fn on_ifp(
    _core: *mut sys::t38_core_state_t,
    user: *mut c_void,
    data: *const u8,
    len: c_int,
    count: c_int,
) -> c_int {
    guarded(user, 0, |session| {
        session.send_ifp(
            octets(data, len),
            u8::try_from(count.clamp(1, 8)).unwrap_or(1),
        );
        0
    })
}

unsafe extern "C" fn on_frame(user: *mut c_void, incoming: bool, msg: *const u8, len: c_int) {
    guarded(user, (), |session| {
        if incoming {
            let Ok(len) = usize::try_from(len) else {
                return;
            };
            if len == 0 || msg.is_null() {
                return;
            }
            // SAFETY: the vendored engine passes incoming frames from its own receive buffers (the HDLC
            // buffer of the T.38 front end or of the HDLC receiver), which are plain writable memory
            // behind a const parameter (and what we inject is writable too); it looks at the frame
            // again only after this returns.
            session.frame_heard(unsafe { slice::from_raw_parts_mut(msg.cast_mut(), len) });
        } else {
            let frame = octets(msg, len);
            session.frame_sent(frame);
            if frame.get(2).is_some_and(|&octet| fcf_of(octet) == fcf::DCS)
                && let Some(engine) = session.t30
            {
                session.identify(engine.remote_ident(), None);
            }
        }
    });
}

unsafe extern "C" fn on_phase_b(user: *mut c_void, field: c_int) -> c_int {
    guarded(user, INCOMPATIBLE, |session| {
        if session.guard.take_rejection() {
            return INCOMPATIBLE;
        }
        let octet = u8::try_from(field).unwrap_or_default();
        match fcf_of(octet) {
            fcf::DCS => {
                if let Some(engine) = session.t30 {
                    session.identify(engine.remote_ident(), engine.sub_address());
                }
                0
            }
            // With the X bit a DIS is a DTC (T.30 §5.3.6.1.2): the far end polls. The engine would poll in
            // turn, which nobody asked for.
            fcf::DIS if !session.sends() => {
                if octet & 1 == 1 {
                    NOPOLL
                } else {
                    TX_INCAPABLE
                }
            }
            // It would leave the sub-address out, and the fax where it is not meant to be.
            fcf::DIS if session.wants_sub_address && !session.takes_sub_address => SUB_UNACCEPTABLE,
            // It would leave the password out, and may print for anybody what is meant for a locked box.
            fcf::DIS if session.wants_password && !session.takes_password => SID_UNACCEPTABLE,
            _ => 0,
        }
    })
}

unsafe extern "C" fn on_phase_d(user: *mut c_void, _field: c_int) -> c_int {
    guarded(user, 0, |session| {
        let Some(engine) = session.t30 else { return 0 };
        if session.sends() {
            session.pages_sent(engine.pages_tx());
            return 0;
        }
        let end = engine.page_end();
        // Should the keeper panic, the far end must not be told that its page is safe.
        if end.ecm {
            engine.not_ready();
        }
        match session.page_end(&end) {
            Decision::Answer if end.ecm => {
                // SAFETY: the engine is live within its callback; it sets a field.
                unsafe { sys::t30_set_receiver_not_ready(engine.0.as_ptr(), 0) };
            }
            Decision::Answer
            | Decision::NotReady
            | Decision::Refuse
            | Decision::Freeze
            | Decision::HangUp => {}
        }
        // The engine ignores what this returns.
        0
    })
}

/// The engine has no page left: 1 when another document follows, whose pages it then sends after EOM.
unsafe extern "C" fn on_document(user: *mut c_void, _event: c_int) -> c_int {
    guarded(user, 0, |session| {
        let (Some((first, last)), Some(engine), Some((path, _))) =
            (session.next_document(), session.t30, &session.documents)
        else {
            return 0;
        };
        let first = c_int::try_from(first).unwrap_or(c_int::MAX);
        // SAFETY: the engine is live within its callback. It copies the path, and takes up the pages in its next
        // phase B; those that it sends now it has open.
        unsafe {
            sys::t30_set_tx_file(engine.0.as_ptr(), path.as_ptr(), first, page_or_all(last));
        }
        1
    })
}

unsafe extern "C" fn on_phase_e(user: *mut c_void, code: c_int) {
    guarded(user, (), |session| {
        session.completion = Some(u32::try_from(code).unwrap_or(u32::MAX))
    });
}

/// An empty file in memory that no program started from here inherits.
pub fn memfd_create() -> io::Result<File> {
    // SAFETY: the name is NUL-terminated; the result is a new descriptor of ours, or -1.
    let fd = unsafe { libc::memfd_create(c"page".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` is open and nothing else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

type TiffHandler = Option<unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void)>;

// libtiff is linked by spandsp-sys. The handlers' last parameter is a va_list, which none of ours reads.
unsafe extern "C" {
    fn TIFFSetErrorHandler(handler: TiffHandler) -> TiffHandler;
    fn TIFFSetWarningHandler(handler: TiffHandler) -> TiffHandler;
}

/// libtiff prints to standard error by default, where it has no business.
fn silence_libtiff() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a null handler means silence; `Once` keeps these writes to libtiff's globals from racing
        // with each other, and they come before this process's first use of libtiff.
        unsafe {
            TIFFSetErrorHandler(None);
            TIFFSetWarningHandler(None);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifications_are_cut_to_what_the_line_takes() {
        assert_eq!(
            ascii20("+33 1 23 45 67 89").as_bytes(),
            b"+33 1 23 45 67 89"
        );
        assert_eq!(
            ascii20("é\0\u{7}123456789012345678901234").as_bytes(),
            b"12345678901234567890"
        );
    }

    #[test]
    fn texts_of_the_far_end_are_printable() {
        assert_eq!(text(c" +33\x07\xff12 ".as_ptr()), "+3312");
        assert_eq!(text(ptr::null()), "");
    }
}
