//! What HylaFAX's words for the end of a call mean, as data.
//!
//! Its status code does not tell: a job of one try always ends with "too many attempts" (333). So its
//! sentence does, up to the first semicolon. The texts are those of HylaFAX 6.0 (faxd/STATUS.txt there).

use super::{Outcome, table::*};

/// Whether page data went out, as far as a sentence tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageData {
    /// It did not: the call came to no fax, or never was one.
    None,
    /// It did, and the far end refused the page.
    Refused,
    /// It may have.
    Maybe,
}

struct Text {
    begins: &'static str,
    outcome: &'static Outcome,
    data: PageData,
}

const fn text(begins: &'static str, data: PageData, outcome: &'static Outcome) -> Text {
    Text {
        begins,
        outcome,
        data,
    }
}

/// The first row that fits decides.
static TEXTS: &[Text] = &[
    text("Busy signal detected", PageData::None, &BUSY),
    text("No answer from remote", PageData::None, &NO_ANSWER),
    text("Ringback detected, no answer", PageData::None, &NO_ANSWER),
    text("No carrier detected", PageData::None, &NO_FAX),
    text("Data connection established", PageData::None, &NO_FAX),
    text("No receiver protocol", PageData::None, &NO_FAX),
    text("No local dialtone", PageData::None, &TRUNK_DOWN),
    text("Unknown problem", PageData::None, &TRUNK_DOWN),
    text("Can not setup modem", PageData::None, &TRUNK_DOWN),
    text("Unable to configure modem", PageData::None, &TRUNK_DOWN),
    text("Can not lock modem device", PageData::None, &TRUNK_FULL),
    text("Glare - RING detected", PageData::None, &TRUNK_FULL),
    text("Blocked by concurrent calls", PageData::None, &TRUNK_FULL),
    text("Delayed by", PageData::None, &TRUNK_FULL),
    // Our own words, of a job that never ran.
    text("no modem of HylaFAX", PageData::None, &TRUNK_FULL),
    text("HylaFAX refused", PageData::None, &TRUNK_REFUSED_REQUEST),
    text(
        "Invalid dialing command",
        PageData::None,
        &TRUNK_REFUSED_REQUEST,
    ),
    text(
        "Blacklisted by modem",
        PageData::None,
        &TRUNK_REFUSED_REQUEST,
    ),
    text("REJECT:", PageData::None, &TRUNK_REFUSED_REQUEST),
    text(
        "Job contains no documents",
        PageData::None,
        &TRUNK_REFUSED_REQUEST,
    ),
    text(
        "Carrier established, but Phase A failure",
        PageData::None,
        &NO_HANDSHAKE,
    ),
    text(
        "Ring detected without successful handshake",
        PageData::None,
        &NO_HANDSHAKE,
    ),
    text(
        "Remote has no T.4 receiver capability",
        PageData::None,
        &CANNOT_RECEIVE,
    ),
    text(
        "Unable to transmit page (giving up after RTN)",
        PageData::Refused,
        &PAGES_REFUSED,
    ),
    text(
        "Unable to transmit page (NAK",
        PageData::Refused,
        &PAGES_REFUSED,
    ),
    text("Unable to transmit page", PageData::Maybe, &NO_CONFIRMATION),
    text("Failure to train", PageData::Maybe, &CANNOT_TRAIN),
    text("DIS/DTC received 3 times", PageData::Maybe, &NO_HANDSHAKE),
    text(
        "Client does not support document",
        PageData::Maybe,
        &RESOLUTION_REFUSED,
    ),
    text("No response to MPS", PageData::Maybe, &NO_CONFIRMATION),
    text("No response to EOM", PageData::Maybe, &NO_CONFIRMATION),
    text("No response to EOP", PageData::Maybe, &NO_CONFIRMATION),
    text("No response to PPM", PageData::Maybe, &NO_CONFIRMATION),
    text("No response to PPS", PageData::Maybe, &NO_CONFIRMATION),
    text("No response to RNR", PageData::Maybe, &NOT_READY),
    text(
        "Receiver flow control exceeded timer",
        PageData::Maybe,
        &NOT_READY,
    ),
    text("Procedure interrupt", PageData::Maybe, &OPERATOR_INTERRUPT),
    text(
        "Remote fax disconnected prematurely",
        PageData::Maybe,
        &DROPPED,
    ),
    text("Kill time expired", PageData::Maybe, &TRUNK_FULL),
    text(
        "Send program terminated abnormally",
        PageData::Maybe,
        &TRUNK_DOWN,
    ),
    text("Call aborted by user", PageData::Maybe, &OWN_FAULT),
    text("Job aborted by request", PageData::Maybe, &OWN_FAULT),
    text("Job interrupted by user", PageData::Maybe, &OWN_FAULT),
    text("Send aborted due to operator", PageData::Maybe, &OWN_FAULT),
];

fn row(said: &str) -> Option<&'static Text> {
    TEXTS.iter().find(|row| said.starts_with(row.begins))
}

/// The outcome of a call that HylaFAX placed and that did not deliver all.
pub(super) fn by_text(said: &str) -> &'static Outcome {
    row(said).map_or(&PROTOCOL_ERROR, |row| row.outcome)
}

/// Whether page data went out on a call that HylaFAX ended so.
#[must_use]
pub fn page_data(said: &str) -> PageData {
    row(said).map_or(PageData::Maybe, |row| row.data)
}
