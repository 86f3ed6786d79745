//! What a peer sent, read with patience.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Media, Session};

use super::{Codec, Direction, Payload, SdpError, T38_MAX_BIT_RATE};

/// More than this is nobody's SDP.
pub(super) const LIMIT_OCTETS: usize = 16 * 1024;
pub(super) const LIMIT_LINES: usize = 32;

/// T38FaxUdpEC (T.38 D.2.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCorrection {
    /// Not said, or said to be none.
    None,
    /// `t38UDPRedundancy`: what we speak.
    Redundancy,
    /// `t38UDPFEC`: answered with redundancy, as gateways do.
    Fec,
}

/// T38FaxRateManagement (T.38 D.2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateManagement {
    /// TCF is carried: method 2, the only one for UDPTL.
    TransferredTcf,
    /// TCF is made locally: method 1.
    LocalTcf,
}

/// A peer's T.38 stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteT38 {
    /// Where UDPTL goes.
    pub addr: SocketAddr,
    /// T38FaxVersion; 0 when not said.
    pub version: u8,
    /// T38MaxBitRate, bit/s; 14,400 when not said.
    pub max_bit_rate: u32,
    /// T38FaxRateManagement.
    pub rate_management: RateManagement,
    /// T38FaxMaxBuffer, octets.
    pub max_buffer: Option<u32>,
    /// T38FaxMaxDatagram, octets; `None` when not said or absurd.
    pub max_datagram: Option<u16>,
    /// T38FaxUdpEC.
    pub ec: ErrorCorrection,
    /// T38FaxFillBitRemoval.
    pub fill_bit_removal: bool,
    /// T38FaxTranscodingMMR.
    pub transcoding_mmr: bool,
    /// T38FaxTranscodingJBIG.
    pub transcoding_jbig: bool,
}

/// A stream of a peer's that we can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteMedia {
    /// G.711 over RTP.
    Audio {
        /// Where RTP goes.
        addr: SocketAddr,
        /// The laws it takes, in its order. Never empty.
        codecs: Vec<Payload>,
        /// Packet length it asks for, ms.
        ptime: Option<u16>,
        /// Which way, as the peer sees it; `0.0.0.0` counts as not receiving (old hold).
        direction: Direction,
    },
    /// Fax.
    T38(RemoteT38),
}

impl RemoteMedia {
    /// Where the stream goes. `0.0.0.0` (or `::`): nowhere for now.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        match self {
            Self::Audio { addr, .. } => *addr,
            Self::T38(t38) => t38.addr,
        }
    }
}

/// One m-line of a peer's SDP, and what we make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `audio`, `image` … as written.
    pub kind: String,
    /// Port; 0: refused or removed.
    pub port: u16,
    /// Transport as written.
    pub proto: String,
    /// Formats as written.
    pub formats: String,
    /// `None`: port 0, or nothing we speak.
    pub media: Option<RemoteMedia>,
}

/// A peer's SDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Every m-line, in order.
    pub lines: Vec<Line>,
}

impl Remote {
    /// Reads an SDP. Fails only when it isn't SDP; streams that we can't use are kept as such.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        let session = parse(bytes)?;
        let lines = session
            .medias
            .iter()
            .map(|media| Line {
                kind: media.media.clone(),
                port: media.port,
                proto: media.proto.clone(),
                formats: media.fmt.clone(),
                media: usable(&session, media),
            })
            .collect();
        Ok(Self { lines })
    }

    /// The same without the streams that a socket at `ours` can't reach: those of the other address family.
    #[must_use]
    pub fn reachable_from(mut self, ours: IpAddr) -> Self {
        for line in &mut self.lines {
            let theirs = line.media.as_ref().map(RemoteMedia::addr);
            if theirs.is_some_and(|addr| addr.is_ipv4() != ours.is_ipv4()) {
                line.media = None;
            }
        }
        self
    }

    /// The first usable T.38 stream.
    pub fn t38(&self) -> Option<&RemoteT38> {
        self.lines.iter().find_map(|line| match &line.media {
            Some(RemoteMedia::T38(t38)) => Some(t38),
            _ => None,
        })
    }

    /// The first usable audio stream.
    pub fn audio(&self) -> Option<&RemoteMedia> {
        self.lines.iter().find_map(|line| {
            line.media
                .as_ref()
                .filter(|m| matches!(m, RemoteMedia::Audio { .. }))
        })
    }

    /// What to use: fax wins over audio (a peer may offer both, and an answer holds one of them).
    pub fn best(&self) -> Option<RemoteMedia> {
        self.t38()
            .cloned()
            .map(RemoteMedia::T38)
            .or_else(|| self.audio().cloned())
    }
}

/// Whether two SDPs describe the same streams. `o=` and what else the streams don't depend on is left out
/// of it: some peers raise the version at every refresh (RFC 3264 §8), some make a new id.
pub fn same_session(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let streams = |bytes: &[u8]| {
        let session = parse(bytes).ok()?;
        Some((session.connection, session.attributes, session.medias))
    };
    streams(a).is_some_and(|a| Some(a) == streams(b))
}

/// Whether an SDP, ours for one, has a stream that flows one way or not at all (RFC 3264 §8.4).
pub fn is_held(sdp: &[u8]) -> bool {
    parse(sdp).is_ok_and(|session| {
        (session.medias.iter())
            .any(|media| media.port != 0 && direction(&session, media) != Direction::SendRecv)
    })
}

pub(super) fn parse(bytes: &[u8]) -> Result<Session, SdpError> {
    if bytes.len() > LIMIT_OCTETS {
        return Err(SdpError::Unreadable(format!(
            "more than {LIMIT_OCTETS} octets"
        )));
    }
    let session =
        Session::parse(&what_counts(bytes)).map_err(|e| SdpError::Unreadable(kind_of(&e)))?;
    if session.medias.len() > LIMIT_LINES {
        return Err(SdpError::Unreadable(format!(
            "more than {LIMIT_LINES} streams"
        )));
    }
    Ok(session)
}

/// The lines that say where streams go and what they are, in proper form. A parser minds empty lines, blanks
/// at the end, NULs and every kind of line end but two; and a fault in a line that says nothing to us (`b=`,
/// `t=`, a name in Latin-1) must not cost the call.
fn what_counts(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes).replace('\0', "");
    let (mut in_media, mut connected, mut origin) = (false, false, false);
    let mut kept = Vec::with_capacity(bytes.len());
    for line in text.split(['\n', '\r']).map(str::trim) {
        let Some((key, value)) = line.split_once('=') else {
            // Nothing that begins so is SDP; the parser says it.
            if kept.is_empty() && !line.is_empty() {
                kept.extend_from_slice(line.as_bytes());
                kept.extend_from_slice(b"\r\n");
            }
            continue;
        };
        let keep = match key {
            "v" | "a" => true,
            "m" => {
                in_media = true;
                true
            }
            // RFC 8866 §5.7: one for the session. What has no address leaves the stream without one.
            "c" if value.split_whitespace().count() < 3 => false,
            "c" => in_media || !std::mem::replace(&mut connected, true),
            // RFC 8866 §5.2: six fields, numbers among them.
            "o" => {
                let fields: Vec<_> = value.split_whitespace().collect();
                let whole = fields.len() == 6
                    && (fields[1..3].iter()).all(|number| number.parse::<u64>().is_ok());
                whole && !in_media && !std::mem::replace(&mut origin, true)
            }
            _ => false,
        };
        if keep {
            kept.extend_from_slice(format!("{key}={}\r\n", value.trim()).as_bytes());
        }
    }
    kept
}

/// The parser's error without what it quotes.
fn kind_of(error: &sdp_types::ParserError) -> String {
    match error {
        sdp_types::ParserError::InvalidVersion(line, _) => format!("line {line}: no version 0"),
        other => other.to_string(),
    }
}

fn usable(session: &Session, media: &Media) -> Option<RemoteMedia> {
    if media.port == 0 {
        return None;
    }
    let ip = address(session, media)?;
    let addr = SocketAddr::new(ip, media.port);
    let kind = media.media.to_ascii_lowercase();
    let proto = media.proto.to_ascii_lowercase();
    match (kind.as_str(), proto.as_str()) {
        ("audio", "rtp/avp") => {
            let codecs = payloads(media);
            if codecs.is_empty() {
                return None;
            }
            let direction = match direction(session, media) {
                // RFC 3264 §8.4 speaks of it as the old way to hold.
                Direction::SendRecv if ip.is_unspecified() => Direction::SendOnly,
                Direction::RecvOnly if ip.is_unspecified() => Direction::Inactive,
                other => other,
            };
            let ptime = value(session, media, "ptime")
                .and_then(|v| v.parse().ok())
                .filter(|ms| (1..=200).contains(ms));
            Some(RemoteMedia::Audio {
                addr,
                codecs,
                ptime,
                direction,
            })
        }
        ("image", "udptl")
            if media
                .fmt
                .split_ascii_whitespace()
                .any(|f| f.eq_ignore_ascii_case("t38")) =>
        {
            Some(RemoteMedia::T38(t38(session, media, addr)))
        }
        _ => None,
    }
}

/// `c=` of the stream, else of the session (RFC 8866 §5.7). Names are not resolved.
fn address(session: &Session, media: &Media) -> Option<IpAddr> {
    let connection = media.connections.first().or(session.connection.as_ref())?;
    connection
        .try_address()
        .ok()
        .map(|address| address.ip)
        .filter(|ip| !ip.is_multicast())
}

/// The value of an attribute, of the stream or else of the session, whatever its case. `Some("")`
/// when it stands without one.
fn value<'a>(session: &'a Session, media: &'a Media, name: &str) -> Option<&'a str> {
    media
        .attributes
        .iter()
        .chain(&session.attributes)
        .find(|a| a.attribute.trim().eq_ignore_ascii_case(name))
        .map(|a| a.value.as_deref().unwrap_or("").trim())
}

fn number<T: std::str::FromStr>(session: &Session, media: &Media, name: &str) -> Option<T> {
    // `14400;x` and `400 bytes` have been seen.
    let digits: String = value(session, media, name)?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

/// A boolean attribute: present means yes, unless it says `:0` or `:no` (T.38 D.2.3 has no value;
/// several gateways write one).
fn flag(session: &Session, media: &Media, name: &str) -> bool {
    value(session, media, name).is_some_and(|v| {
        !["0", "no", "false"]
            .iter()
            .any(|n| v.eq_ignore_ascii_case(n))
    })
}

fn direction(session: &Session, media: &Media) -> Direction {
    let of = |attributes: &[Attribute]| {
        attributes
            .iter()
            .find_map(|a| match a.attribute.trim().to_ascii_lowercase().as_str() {
                "sendrecv" => Some(Direction::SendRecv),
                "sendonly" => Some(Direction::SendOnly),
                "recvonly" => Some(Direction::RecvOnly),
                "inactive" => Some(Direction::Inactive),
                _ => None,
            })
    };
    of(&media.attributes)
        .or_else(|| of(&session.attributes))
        .unwrap_or_default()
}

/// The G.711 among the formats, in their order; an rtpmap outweighs the static table.
fn payloads(media: &Media) -> Vec<Payload> {
    let mapped = |number: u8| {
        media
            .attributes
            .iter()
            .filter(|a| a.attribute.trim().eq_ignore_ascii_case("rtpmap"))
            .find_map(|a| {
                let (payload, encoding) =
                    a.value.as_deref()?.trim().split_once(char::is_whitespace)?;
                (payload.parse() == Ok(number)).then(|| encoding.trim().to_ascii_uppercase())
            })
    };
    let mut found: Vec<Payload> = Vec::new();
    for number in media
        .fmt
        .split_ascii_whitespace()
        .filter_map(|f| f.parse::<u8>().ok())
        .filter(|n| *n < 128)
    {
        let codec = match mapped(number).as_deref() {
            Some("PCMA/8000" | "PCMA/8000/1") => Some(Codec::Pcma),
            Some("PCMU/8000" | "PCMU/8000/1") => Some(Codec::Pcmu),
            Some(_) => None,
            None => Codec::of_static(number),
        };
        if let Some(codec) = codec
            && !found.iter().any(|p| p.codec == codec)
        {
            found.push(Payload { codec, number });
        }
    }
    found
}

fn t38(session: &Session, media: &Media, addr: SocketAddr) -> RemoteT38 {
    let ec = match value(session, media, "T38FaxUdpEC")
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some("t38udpredundancy") => ErrorCorrection::Redundancy,
        Some("t38udpfec") => ErrorCorrection::Fec,
        _ => ErrorCorrection::None,
    };
    let local = value(session, media, "T38FaxRateManagement")
        .is_some_and(|v| v.eq_ignore_ascii_case("localTCF"));
    RemoteT38 {
        addr,
        version: number(session, media, "T38FaxVersion").unwrap_or(0),
        // The second names are those of old gateways.
        max_bit_rate: number(session, media, "T38MaxBitRate")
            .or_else(|| number(session, media, "T38FaxMaxRate"))
            .filter(|r| *r >= 2400)
            .unwrap_or(T38_MAX_BIT_RATE),
        rate_management: if local {
            RateManagement::LocalTcf
        } else {
            RateManagement::TransferredTcf
        },
        max_buffer: number(session, media, "T38FaxMaxBuffer").filter(|b| *b > 0),
        // Too small for one IFP packet with its header: a mistake, not a limit.
        max_datagram: number(session, media, "T38FaxMaxDatagram")
            .or_else(|| number(session, media, "T38MaxDatagram"))
            .filter(|d| *d >= 20),
        ec,
        fill_bit_removal: flag(session, media, "T38FaxFillBitRemoval"),
        transcoding_mmr: flag(session, media, "T38FaxTranscodingMMR"),
        transcoding_jbig: flag(session, media, "T38FaxTranscodingJBIG"),
    }
}
