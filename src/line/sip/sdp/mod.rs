//! What the two ends say about media: G.711 audio (RFC 3551) and T.38 over UDPTL (T.38 Annex D),
//! offered and answered by RFC 3264.
//!
//! [`Remote`] is what a peer sent, read with patience; [`Local`] writes ours and keeps `o=` honest.

mod local;
mod remote;

pub use local::{Local, LocalMedia};
pub use remote::{
    ErrorCorrection, Line, RateManagement, Remote, RemoteMedia, RemoteT38, is_held, same_session,
};

/// Rate we offer, bit/s (T.38 D.2.3.1); V.34 is not spoken.
pub const T38_MAX_BIT_RATE: u32 = 14_400;
/// Octets of image data we can hold (T38FaxMaxBuffer).
pub const T38_MAX_BUFFER: u32 = 2_000;
/// Largest UDPTL datagram we read, octets (T38FaxMaxDatagram). 400 is what gateways agree on.
pub const T38_MAX_DATAGRAM: u16 = 400;
/// Packet length of our audio, ms.
pub const PTIME_MS: u16 = 20;

/// Why an SDP can't be used. The text is for the log and holds nothing of the peer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not SDP at all.
    #[error("the SDP can't be read: {0}")]
    Unreadable(String),
    /// No stream in the offer is of the kind to answer with.
    #[error("the offer has no stream that could be answered so")]
    NoSuchStream,
}

/// G.711's two laws (RFC 3551 §4.5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// A-law, static payload type 8.
    Pcma,
    /// µ-law, static payload type 0.
    Pcmu,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
        }
    }

    fn static_type(self) -> u8 {
        match self {
            Codec::Pcma => 8,
            Codec::Pcmu => 0,
        }
    }

    fn of_static(payload: u8) -> Option<Self> {
        match payload {
            8 => Some(Codec::Pcma),
            0 => Some(Codec::Pcmu),
            _ => None,
        }
    }
}

/// A codec and the RTP payload type that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Which law.
    pub codec: Codec,
    /// RTP payload type, 0 to 127.
    pub number: u8,
}

/// Which way a stream flows, as its sender sees it (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The sender of this SDP only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// What to answer (RFC 3264 §6.1).
    fn mirrored(self) -> Self {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            other => other,
        }
    }
}

#[cfg(test)]
mod odd_tests;
#[cfg(test)]
mod tests;
