//! What each SIP status, Q.850 cause and T.30 completion code means, as data.

use super::{Outcome, table::*};

/// The outcome of a call that this final SIP response ended (RFC 3261 §21 and the registry of codes).
pub(super) fn by_sip(status: u16) -> &'static Outcome {
    match status {
        300..=399 => &REDIRECTED,
        // 408: the next hop heard nothing; 480: RFC 3398 §8.2.6.1 turns causes 18 to 20 into it;
        // 487: it rang until we cancelled.
        408 | 480 | 487 => &NO_ANSWER,
        486 | 600 => &BUSY,
        404 | 485 | 604 => &NO_SUCH_NUMBER,
        410 => &NUMBER_CHANGED,
        416 | 484 => &NUMBER_INCOMPLETE,
        603 | 607 | 608 => &REJECTED,
        // A provider's 403 is nearly always about the number or the caller, seldom about the call.
        403 => &BARRED,
        // RFC 5079 §4, RFC 8224 §6.2.2.
        428 | 433 | 434 | 436 | 437 | 438 => &CALLER_NUMBER_REFUSED,
        401 | 407 | 494 => &TRUNK_AUTHENTICATION,
        402 => &TRUNK_CREDIT,
        415 | 488 | 606 => &MEDIA_REFUSED,
        482 | 483 => &NO_ROUTE,
        400
        | 405
        | 406
        | 411..=414
        | 417
        | 420..=424
        | 429
        | 430
        | 439
        | 440
        | 469
        | 481
        | 489
        | 491
        | 493 => &TRUNK_REFUSED_REQUEST,
        503 => &TRUNK_FULL,
        501 | 505 | 513 | 580 => &TRUNK_REFUSED_REQUEST,
        500..=599 => &TRUNK_DOWN,
        _ => &CALL_REFUSED,
    }
}

/// The outcome that a Q.850 cause names; none for causes that say nothing (16, 31, 127 and those not listed).
pub(super) fn by_q850(cause: u16) -> Option<&'static Outcome> {
    CAUSES.iter().find(|row| row.0 == cause).map(|row| row.1)
}

/// What Q.850 §2.2.7 calls this cause, for the technical line of a report.
#[must_use]
pub fn q850_name(cause: u16) -> Option<&'static str> {
    match cause {
        16 => Some("normal call clearing"),
        31 => Some("normal, unspecified"),
        127 => Some("interworking, unspecified"),
        _ => CAUSES.iter().find(|row| row.0 == cause).map(|row| row.2),
    }
}

/// The outcome of a fax that spandsp completed with this code. Code 0 is decided by the pages.
pub(super) fn by_t30(code: u32) -> &'static Outcome {
    t30_code(code).map_or(&PROTOCOL_ERROR, |row| row.outcome)
}

/// One of spandsp's completion codes.
#[derive(Debug)]
pub struct T30Code {
    /// The number in `t30.h`.
    pub code: u32,
    /// `T30_ERR_` and this.
    pub name: &'static str,
    /// What it says, for the technical line of a report.
    pub text: &'static str,
    outcome: &'static Outcome,
}

/// The row of a completion code.
#[must_use]
pub fn t30_code(code: u32) -> Option<&'static T30Code> {
    T30_CODES.get(usize::try_from(code).ok()?)
}

const fn t30(
    code: u32,
    name: &'static str,
    outcome: &'static Outcome,
    text: &'static str,
) -> T30Code {
    T30Code {
        code,
        name,
        text,
        outcome,
    }
}

/// spandsp 0.0.6's `t30_err_e`, whole: a code is its own index.
pub(super) static T30_CODES: &[T30Code] = &[
    t30(0, "OK", &SENT, "OK"),
    t30(1, "CEDTONE", &NO_HANDSHAKE, "the CED tone exceeded 5 s"),
    t30(
        2,
        "T0_EXPIRED",
        &NO_FAX,
        "timed out waiting for initial communication",
    ),
    t30(
        3,
        "T1_EXPIRED",
        &NO_FAX,
        "timed out waiting for the first message",
    ),
    t30(
        4,
        "T3_EXPIRED",
        &OPERATOR_INTERRUPT,
        "timed out waiting for procedural interrupt",
    ),
    t30(
        5,
        "HDLC_CARRIER",
        &NO_HANDSHAKE,
        "the HDLC carrier did not stop in time",
    ),
    t30(
        6,
        "CANNOT_TRAIN",
        &CANNOT_TRAIN,
        "failed to train with any of the compatible modems",
    ),
    t30(
        7,
        "OPER_INT_FAIL",
        &OPERATOR_INTERRUPT,
        "operator intervention failed",
    ),
    t30(
        8,
        "INCOMPATIBLE",
        &INCOMPATIBLE,
        "far end is not compatible",
    ),
    t30(
        9,
        "RX_INCAPABLE",
        &CANNOT_RECEIVE,
        "far end is not able to receive",
    ),
    t30(
        10,
        "TX_INCAPABLE",
        &POLLING_REFUSED,
        "far end is not able to transmit",
    ),
    t30(
        11,
        "NORESSUPPORT",
        &RESOLUTION_REFUSED,
        "far end cannot receive at the resolution of the image",
    ),
    t30(
        12,
        "NOSIZESUPPORT",
        &RESOLUTION_REFUSED,
        "far end cannot receive at the size of the image",
    ),
    t30(
        13,
        "UNEXPECTED",
        &PROTOCOL_ERROR,
        "unexpected message received",
    ),
    // To a transmitter.
    t30(
        14,
        "TX_BADDCS",
        &NO_HANDSHAKE,
        "received bad response to DCS or training",
    ),
    t30(
        15,
        "TX_BADPG",
        &HUNG_UP_AFTER_PAGE,
        "received a DCN after sending a page",
    ),
    t30(
        16,
        "TX_ECMPHD",
        &PROTOCOL_ERROR,
        "invalid ECM response received from receiver",
    ),
    t30(
        17,
        "TX_GOTDCN",
        &FAR_END_HUNG_UP_EARLY,
        "received a DCN while waiting for a DIS",
    ),
    t30(
        18,
        "TX_INVALRSP",
        &PROTOCOL_ERROR,
        "invalid response after sending a page",
    ),
    t30(
        19,
        "TX_NODIS",
        &NO_HANDSHAKE,
        "received other than DIS while waiting for DIS",
    ),
    t30(
        20,
        "TX_PHBDEAD",
        &NO_HANDSHAKE,
        "no response to DCS, training or TCF",
    ),
    t30(
        21,
        "TX_PHDDEAD",
        &NO_CONFIRMATION,
        "no response after sending a page",
    ),
    t30(
        22,
        "TX_T5EXP",
        &NOT_READY,
        "timed out waiting for receiver ready",
    ),
    // To a receiver.
    t30(
        23,
        "RX_ECMPHD",
        &RECEPTION_BROKEN,
        "invalid ECM response received from transmitter",
    ),
    t30(
        24,
        "RX_GOTDCS",
        &NO_HANDSHAKE,
        "DCS received while waiting for DTC",
    ),
    t30(
        25,
        "RX_INVALCMD",
        &RECEPTION_BROKEN,
        "unexpected command after page received",
    ),
    t30(
        26,
        "RX_NOCARRIER",
        &RECEPTION_POOR,
        "carrier lost during fax receive",
    ),
    t30(
        27,
        "RX_NOEOL",
        &RECEPTION_POOR,
        "timed out while waiting for end of line",
    ),
    t30(
        28,
        "RX_NOFAX",
        &RECEPTION_POOR,
        "timed out while waiting for first line",
    ),
    t30(
        29,
        "RX_T2EXPDCN",
        &RECEPTION_BROKEN,
        "timer T2 expired while waiting for DCN",
    ),
    t30(
        30,
        "RX_T2EXPD",
        &RECEPTION_BROKEN,
        "timer T2 expired while waiting for phase D",
    ),
    t30(
        31,
        "RX_T2EXPFAX",
        &RECEPTION_BROKEN,
        "timer T2 expired while waiting for fax page",
    ),
    t30(
        32,
        "RX_T2EXPMPS",
        &RECEPTION_BROKEN,
        "timer T2 expired while waiting for next fax page",
    ),
    t30(
        33,
        "RX_T2EXPRR",
        &RECEPTION_BROKEN,
        "timer T2 expired while waiting for RR command",
    ),
    t30(
        34,
        "RX_T2EXP",
        &RECEPTION_BROKEN,
        "timer T2 expired while waiting for NSS, DCS or MCF",
    ),
    // Both: a transmitter ends with 38 and 39 as well.
    t30(
        35,
        "RX_DCNWHY",
        &FAR_END_HUNG_UP_EARLY,
        "unexpected DCN while waiting for DCS or DIS",
    ),
    t30(
        36,
        "RX_DCNDATA",
        &RECEPTION_BROKEN,
        "unexpected DCN while waiting for image data",
    ),
    t30(
        37,
        "RX_DCNFAX",
        &RECEPTION_BROKEN,
        "unexpected DCN while waiting for EOM, EOP or MPS",
    ),
    t30(
        38,
        "RX_DCNPHD",
        &HUNG_UP_AFTER_PAGE,
        "unexpected DCN after EOM or MPS sequence",
    ),
    t30(
        39,
        "RX_DCNRRD",
        &HUNG_UP_AFTER_PAGE,
        "unexpected DCN after RR/RNR sequence",
    ),
    t30(
        40,
        "RX_DCNNORTN",
        &RECEPTION_POOR,
        "unexpected DCN after requested retransmission",
    ),
    // Our own file.
    t30(41, "FILEERROR", &OWN_FAULT, "TIFF/F file cannot be opened"),
    t30(42, "NOPAGE", &OWN_FAULT, "TIFF/F page not found"),
    t30(43, "BADTIFF", &OWN_FAULT, "TIFF/F format is not compatible"),
    t30(44, "BADPAGE", &OWN_FAULT, "TIFF/F page number tag missing"),
    t30(45, "BADTAG", &OWN_FAULT, "incorrect values for TIFF/F tags"),
    t30(46, "BADTIFFHDR", &OWN_FAULT, "bad TIFF/F header"),
    t30(
        47,
        "NOMEM",
        &OWN_FAULT,
        "cannot allocate memory for more pages",
    ),
    // General.
    t30(
        48,
        "RETRYDCN",
        &PROTOCOL_ERROR,
        "disconnected after permitted retries",
    ),
    t30(49, "CALLDROPPED", &DROPPED, "the call dropped prematurely"),
    // Negotiation.
    t30(50, "NOPOLL", &POLLING_REFUSED, "poll not accepted"),
    t30(
        51,
        "IDENT_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "identification not accepted",
    ),
    // spandsp never says this: `crates/fax` does, of a far end that takes no sub-address.
    t30(
        52,
        "SUB_UNACCEPTABLE",
        &SUB_ADDRESS_NOT_TAKEN,
        "sub-address not accepted",
    ),
    t30(
        53,
        "SEP_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "selective polling address not accepted",
    ),
    t30(
        54,
        "PSA_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "polled sub-address not accepted",
    ),
    // spandsp never says this: `crates/fax` does, of a far end that takes no password.
    t30(
        55,
        "SID_UNACCEPTABLE",
        &PASSWORD_NOT_TAKEN,
        "password of the transmission not accepted",
    ),
    t30(
        56,
        "PWD_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "password not accepted",
    ),
    t30(
        57,
        "TSA_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "transmitting subscriber internet address not accepted",
    ),
    t30(
        58,
        "IRA_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "internet routing address not accepted",
    ),
    t30(
        59,
        "CIA_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "calling subscriber internet address not accepted",
    ),
    t30(
        60,
        "ISP_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "internet selective polling address not accepted",
    ),
    t30(
        61,
        "CSA_UNACCEPTABLE",
        &FAR_END_UNACCEPTABLE,
        "called subscriber internet address not accepted",
    ),
];

/// Q.850 §2.2.7: cause, outcome, name.
pub(super) static CAUSES: &[(u16, &Outcome, &str)] = &[
    (1, &NO_SUCH_NUMBER, "unallocated number"),
    (2, &NO_ROUTE, "no route to transit network"),
    (3, &NO_ROUTE, "no route to destination"),
    (4, &NO_SUCH_NUMBER, "special information tone"),
    (5, &NUMBER_INCOMPLETE, "misdialled trunk prefix"),
    (6, &TRUNK_DOWN, "channel unacceptable"),
    (8, &TRUNK_DOWN, "preemption"),
    (9, &TRUNK_DOWN, "preemption, circuit reserved"),
    (14, &NUMBER_CHANGED, "query on release: ported number"),
    (17, &BUSY, "user busy"),
    (18, &NO_ANSWER, "no user responding"),
    (19, &NO_ANSWER, "no answer from user"),
    (20, &NOT_REACHABLE, "subscriber absent"),
    (21, &REJECTED, "call rejected"),
    (22, &NUMBER_CHANGED, "number changed"),
    (23, &REDIRECTED, "redirection to new destination"),
    (
        24,
        &REJECTED,
        "call rejected due to a feature at the destination",
    ),
    (25, &NO_ROUTE, "exchange routing error"),
    (26, &NOT_REACHABLE, "non-selected user clearing"),
    (27, &NOT_REACHABLE, "destination out of order"),
    (28, &NUMBER_INCOMPLETE, "invalid number format"),
    (29, &TRUNK_REFUSED_REQUEST, "facility rejected"),
    (34, &TRUNK_FULL, "no circuit available"),
    (38, &TRUNK_DOWN, "network out of order"),
    (
        39,
        &TRUNK_DOWN,
        "permanent frame mode connection out of service",
    ),
    (
        40,
        &TRUNK_DOWN,
        "permanent frame mode connection operational",
    ),
    (41, &TRUNK_DOWN, "temporary failure"),
    (42, &TRUNK_FULL, "switching equipment congestion"),
    (43, &TRUNK_DOWN, "access information discarded"),
    (44, &TRUNK_FULL, "requested circuit not available"),
    (46, &TRUNK_FULL, "precedence call blocked"),
    (47, &TRUNK_FULL, "resource unavailable"),
    (49, &TRUNK_DOWN, "quality of service unavailable"),
    (50, &BARRED, "requested facility not subscribed"),
    (53, &BARRED, "outgoing calls barred within CUG"),
    (55, &REJECTED, "incoming calls barred within CUG"),
    (57, &BARRED, "bearer capability not authorised"),
    (58, &TRUNK_DOWN, "bearer capability not presently available"),
    (
        62,
        &TRUNK_REFUSED_REQUEST,
        "inconsistency in access information",
    ),
    (63, &TRUNK_DOWN, "service or option not available"),
    (65, &MEDIA_REFUSED, "bearer capability not implemented"),
    (66, &TRUNK_REFUSED_REQUEST, "channel type not implemented"),
    (
        69,
        &TRUNK_REFUSED_REQUEST,
        "requested facility not implemented",
    ),
    (
        70,
        &MEDIA_REFUSED,
        "only restricted digital bearer available",
    ),
    (
        79,
        &TRUNK_REFUSED_REQUEST,
        "service or option not implemented",
    ),
    (81, &TRUNK_REFUSED_REQUEST, "invalid call reference value"),
    (
        82,
        &TRUNK_REFUSED_REQUEST,
        "identified channel does not exist",
    ),
    (87, &REJECTED, "user not member of CUG"),
    (88, &MEDIA_REFUSED, "incompatible destination"),
    (90, &REJECTED, "non-existent CUG"),
    (91, &NO_ROUTE, "invalid transit network selection"),
    (95, &TRUNK_REFUSED_REQUEST, "invalid message"),
    (
        96,
        &TRUNK_REFUSED_REQUEST,
        "mandatory information element missing",
    ),
    (97, &TRUNK_REFUSED_REQUEST, "message type non-existent"),
    (
        98,
        &TRUNK_REFUSED_REQUEST,
        "message not compatible with call state",
    ),
    (
        99,
        &TRUNK_REFUSED_REQUEST,
        "information element non-existent",
    ),
    (
        100,
        &TRUNK_REFUSED_REQUEST,
        "invalid information element contents",
    ),
    (
        101,
        &TRUNK_REFUSED_REQUEST,
        "message not compatible with call state",
    ),
    (102, &TRUNK_DOWN, "recovery on timer expiry"),
    (
        103,
        &TRUNK_REFUSED_REQUEST,
        "parameter non-existent, passed on",
    ),
    (
        110,
        &TRUNK_REFUSED_REQUEST,
        "message with unrecognised parameter discarded",
    ),
    (111, &TRUNK_REFUSED_REQUEST, "protocol error"),
];
