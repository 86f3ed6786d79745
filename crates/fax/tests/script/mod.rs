//! Conformance scripts: a far end whose every frame is written in a file, against one endpoint of ours.
//!
//! The idea is that of ITU-T's tests of fax machines (TSB-85) and of spandsp's way to run them: a case is data,
//! a list of frames to send and to expect. The files are in `tests/scripts`, one behaviour each; a
//! small player runs them in lock-step, over T.38.
//!
//! ```text
//! # What it shows, with its clause.
//! we send 2 pages                     or: we receive
//!     without ecm                     of what we offer; `of standard,fine` resolutions, `to 1234` sub-address,
//!                                     `password 1234`
//! > CSI DIS=ecm                       the far end sends a turn of frames; `MCF!` with a bad checksum
//! < TSI DCS=14400                     we send this; between the frames named others may stand
//! < TCF                               a training's check, `< page` the data of a page
//! > TCF, > page=0                     the same from the far end; `TCF=bad`, `page=0,bad:3` frames (ECM)
//! < nothing 10                        for ten seconds nothing comes from us
//! wait 2                              two seconds pass
//! 3 times … end                       what stands between, again
//! hang up                             the far end hangs up
//! = OK                                how the call ended: completion code, `cause Silence` if not by T.30
//! page 1 confirmed: MCF to EOP        and what is known of each page; `kept 2` pages, `asked for 1234`
//! ```
//! Names of frames are T.30's. What a frame says follows `=`, with commas between.

mod far;
mod frames;
mod ifp;
mod read;

pub use far::play;
pub use read::read;
