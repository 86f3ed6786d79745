//! Our side of a session, written.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Connection, Media, Origin, Session, Time};

use super::remote::{Line, Remote, RemoteMedia};
use super::{
    Codec, Direction, PTIME_MS, Payload, SdpError, T38_MAX_BIT_RATE, T38_MAX_BUFFER,
    T38_MAX_DATAGRAM,
};

/// What we offer, or answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalMedia {
    /// G.711, 20 ms, no silence suppression.
    Audio {
        /// Our RTP address, as the peer should see it.
        addr: SocketAddr,
        /// The laws, preferred first. An answer takes the first in the *offer's* order that is here.
        codecs: Vec<Codec>,
    },
    /// T.38 version 0 over UDPTL with redundancy.
    T38 {
        /// Our UDPTL address, as the peer should see it.
        addr: SocketAddr,
    },
}

impl LocalMedia {
    fn addr(&self) -> SocketAddr {
        match self {
            LocalMedia::Audio { addr, .. } | LocalMedia::T38 { addr } => *addr,
        }
    }
}

/// Our side of one call's session: one per call, for all offers and answers in it.
#[derive(Clone, Debug)]
pub struct Local {
    id: u64,
    /// Highest version written so far.
    version: u64,
    current: Option<Written>,
    before: Option<Written>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    version: u64,
    medias: Vec<Media>,
    addr: IpAddr,
}

impl Local {
    /// `id` goes into `o=` (RFC 8866 §5.2): any number that differs from call to call.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            version: 0,
            current: None,
            before: None,
        }
    }

    /// An offer of one stream. In a later offer of the same call the m-lines agreed on before stay,
    /// in number and place (RFC 3264 §8): the stream takes over the active one, as §8.3.3 wants for
    /// audio that becomes fax, and the others keep port 0.
    pub fn offer(&mut self, media: &LocalMedia) -> Vec<u8> {
        let fresh = match media {
            LocalMedia::Audio { addr, codecs } => {
                let payloads: Vec<_> = codecs
                    .iter()
                    .map(|&codec| Payload {
                        codec,
                        number: codec.static_type(),
                    })
                    .collect();
                audio_line(*addr, &payloads, Direction::SendRecv)
            }
            LocalMedia::T38 { addr } => t38_line(*addr),
        };
        let mut medias = self
            .current
            .as_ref()
            .map(|w| w.medias.clone())
            .unwrap_or_default();
        match medias.iter().position(|m| m.port != 0) {
            Some(at) => medias[at] = fresh,
            None if medias.is_empty() => medias.push(fresh),
            None => medias[0] = fresh,
        }
        self.write(media.addr().ip(), medias)
    }

    /// The answer to an offer, with one of its streams taken and the others refused. Error when no
    /// stream in it is of that kind: then say 488.
    pub fn answer(&mut self, offer: &Remote, media: &LocalMedia) -> Result<Vec<u8>, SdpError> {
        let mut taken = false;
        let mut medias = Vec::with_capacity(offer.lines.len());
        for line in &offer.lines {
            let mine = if taken { None } else { accept(line, media) };
            taken |= mine.is_some();
            medias.push(mine.unwrap_or_else(|| refused_line(line)));
        }
        if !taken {
            return Err(SdpError::NoSuchStream);
        }
        Ok(self.write(media.addr().ip(), medias))
    }

    /// Our last offer was refused: what stood before stands again. The version used is not used
    /// again.
    pub fn revert(&mut self) {
        if let Some(before) = self.before.take() {
            self.current = Some(before);
        }
    }

    /// `o=` version rises only when something else changes (RFC 3264 §8).
    fn write(&mut self, addr: IpAddr, medias: Vec<Media>) -> Vec<u8> {
        let same = self
            .current
            .as_ref()
            .filter(|w| w.addr == addr && w.medias == medias)
            .map(|w| w.version);
        let version = match same {
            Some(version) => version,
            None => {
                self.version += 1;
                self.version
            }
        };
        let written = Written {
            version,
            medias,
            addr,
        };
        let bytes = render(self.id, &written);
        if same.is_none() {
            self.before = self.current.replace(written);
        }
        bytes
    }
}

fn accept(theirs: &Line, ours: &LocalMedia) -> Option<Media> {
    let mut mine = match (theirs.media.as_ref()?, ours) {
        (
            RemoteMedia::Audio {
                codecs, direction, ..
            },
            LocalMedia::Audio { addr, codecs: mine },
        ) => {
            let payload = codecs.iter().find(|p| mine.contains(&p.codec))?;
            audio_line(*addr, &[*payload], direction.mirrored())
        }
        (RemoteMedia::T38(_), LocalMedia::T38 { addr }) => t38_line(*addr),
        _ => return None,
    };
    // RFC 3264 §6: the transport is the offer's, and so is its spelling, which some peers compare.
    mine.proto.clone_from(&theirs.proto);
    Some(mine)
}

fn media(kind: &str, port: u16, proto: &str, formats: String) -> Media {
    Media {
        media: kind.to_owned(),
        port,
        num_ports: None,
        proto: proto.to_owned(),
        fmt: formats,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

fn audio_line(addr: SocketAddr, payloads: &[Payload], direction: Direction) -> Media {
    let formats: Vec<_> = payloads.iter().map(|p| p.number.to_string()).collect();
    let mut line = media("audio", addr.port(), "RTP/AVP", formats.join(" "));
    for payload in payloads {
        line.add_attribute_with_value(
            "rtpmap",
            format!("{} {}/8000", payload.number, payload.codec.name()),
        );
    }
    line.add_attribute_with_value("ptime", PTIME_MS);
    // RFC 3108 §5.6.3.2: silence must reach the far modem as silence.
    line.add_attribute_with_value("silenceSupp", "off - - - -");
    line.add_attribute_from_str(direction.name());
    line
}

fn t38_line(addr: SocketAddr) -> Media {
    let mut line = media("image", addr.port(), "udptl", "t38".to_owned());
    // T.38 D.2.3. Version 0: higher ones change the packet syntax, and every peer speaks 0.
    line.add_attribute_with_value("T38FaxVersion", 0);
    line.add_attribute_with_value("T38MaxBitRate", T38_MAX_BIT_RATE);
    line.add_attribute_with_value("T38FaxRateManagement", "transferredTCF");
    line.add_attribute_with_value("T38FaxMaxBuffer", T38_MAX_BUFFER);
    line.add_attribute_with_value("T38FaxMaxDatagram", T38_MAX_DATAGRAM);
    line.add_attribute_with_value("T38FaxUdpEC", "t38UDPRedundancy");
    line
}

/// RFC 3264 §6: refused with port 0, everything else as offered.
fn refused_line(line: &Line) -> Media {
    media(&line.kind, 0, &line.proto, line.formats.clone())
}

fn render(id: u64, written: &Written) -> Vec<u8> {
    let mut session = Session::new(Origin::with_ip_addr(id, written.version, written.addr), "-");
    session.set_connection(Connection::from_ip_addr(written.addr));
    session.add_time(Time::new(0, 0));
    session.medias.clone_from(&written.medias);
    let mut bytes = Vec::new();
    // Writing into memory can't fail; a part would be worse than nothing.
    if session.write(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}
