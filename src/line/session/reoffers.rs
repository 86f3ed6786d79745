//! The media of an answered call, agreed on anew: the peer's offers and our own.
//!
//! What stands is left only for what both sides have agreed on: a refusal, of theirs or of ours, changes
//! nothing (RFC 3261 §14.1). Once page data flows the fax stays on its kind of media, which may still move.

use super::{Session, Step, open_ear};
use crate::line::{
    Media,
    protocol::{MediaSetup, ToWorker},
    sip::{
        OfferId, ReAnswer,
        sdp::{Codec, LocalMedia, Payload, Remote, RemoteMedia},
    },
};

/// T.38 datagrams when the peer names no limit: T.38 Annex D leaves it open, 400 is what gateways use.
const DEFAULT_DATAGRAM: u32 = 400;
/// RFC 3261 §21.4.26.
const NOT_ACCEPTABLE: u16 = 488;

/// What a worker is told of the peer's media, and their kind; of its codecs `law`, if it is there.
pub(super) fn setup(remote: &RemoteMedia, law: Codec) -> (MediaSetup, Media) {
    match remote {
        RemoteMedia::Audio { codecs, .. } => {
            let payload = payload(codecs, law);
            let alaw = payload.codec == Codec::Pcma;
            let payload = payload.number;
            (MediaSetup::G711 { alaw, payload }, Media::G711)
        }
        RemoteMedia::T38(t38) => {
            let setup = MediaSetup::T38 {
                max_datagram: t38.max_datagram.map_or(DEFAULT_DATAGRAM, u32::from),
                max_rate: t38.max_bit_rate,
            };
            (setup, Media::T38)
        }
    }
}

/// Of the peer's codecs the one that is `law`, else its first: a law that stays costs no signal.
fn payload(theirs: &[Payload], law: Codec) -> Payload {
    let same = theirs.iter().find(|payload| payload.codec == law);
    same.or(theirs.first()).copied().unwrap_or(Payload {
        codec: Codec::Pcma,
        number: 8,
    })
}

impl Session<'_> {
    /// The peer's offer: answered with what of it we take, or refused.
    pub(super) fn answer_reoffer(&mut self, offer: OfferId, sdp: &[u8]) {
        let answer = self.reoffer_answer(offer, sdp);
        self.inner.sip.reanswer(self.call, offer, answer);
    }

    fn reoffer_answer(&mut self, offer: OfferId, sdp: &[u8]) -> Result<Vec<u8>, u16> {
        if sdp.is_empty() {
            return self.offer_what_stands();
        }
        let remote = Remote::parse(sdp)
            .map_err(|_| 400_u16)?
            .reachable_from(self.inner.ports.ip());
        let wanted = self.wanted(&remote).ok_or(NOT_ACCEPTABLE)?;
        let media = match &wanted {
            RemoteMedia::T38(_) => self.fax_media(),
            RemoteMedia::Audio { codecs, .. } => {
                let law = payload(codecs, self.law).codec;
                self.audio_media(vec![law])
            }
        };
        let media = media.map_err(|error| {
            tracing::warn!(call = %self.call, error, "the peer's offer can't be met; all goes on as it was");
            500_u16
        })?;
        // Ours waits after glare: theirs overtakes it.
        self.withdraw();
        let answer = self
            .local
            .answer(&remote, &media)
            .map_err(|_| NOT_ACCEPTABLE)?;
        if matches!(wanted, RemoteMedia::T38(_)) {
            self.offer_at = None;
        }
        self.pending = Some((offer, wanted));
        Ok(answer)
    }

    /// The peer wants our offer, to end a hold: both ways again, on the media that there are.
    fn offer_what_stands(&mut self) -> Result<Vec<u8>, u16> {
        self.withdraw();
        let media = match self.media {
            Media::T38 => self.fax_media(),
            Media::G711 => self.audio_media(vec![self.law]),
        };
        let media = media.map_err(|error| {
            tracing::warn!(call = %self.call, error, "no offer can be made; all goes on as it was");
            500_u16
        })?;
        Ok(self.local.offer(&media))
    }

    /// What of an offer we take: fax before audio, but no change of kind once page data flows.
    fn wanted(&self, remote: &Remote) -> Option<RemoteMedia> {
        let fax = remote
            .t38()
            .filter(|_| self.accepts_t38 || self.media == Media::T38)
            .cloned()
            .map(RemoteMedia::T38);
        let audio = remote.audio().cloned();
        match (self.page_data, self.media) {
            (true, Media::T38) => fax,
            (true, Media::G711) => audio,
            (false, _) => fax.or(audio),
        }
    }

    /// Our own re-INVITE to T.38.
    pub(super) fn offer_t38(&mut self) {
        self.offer_at = None;
        if self.page_data || self.media == Media::T38 || self.hanging_up || self.pending.is_some() {
            return;
        }
        match self.fax_media() {
            Ok(media) => self.offer(&media, Media::T38),
            Err(error) => {
                tracing::warn!(call = %self.call, error, "T.38 can't be offered; audio goes on");
            }
        }
    }

    /// Our own re-INVITE that brings audio back.
    fn offer_audio(&mut self) {
        let both = match self.law {
            Codec::Pcma => vec![Codec::Pcma, Codec::Pcmu],
            Codec::Pcmu => vec![Codec::Pcmu, Codec::Pcma],
        };
        if let Ok(media) = self.audio_media(both) {
            self.offer(&media, Media::G711);
        }
    }

    /// In a task of its own: signalling and the fax go on meanwhile.
    fn offer(&mut self, media: &LocalMedia, kind: Media) {
        let sdp = self.local.offer(media);
        self.offered = Some(kind);
        let (sip, call) = (self.inner.sip.clone(), self.call);
        self.reoffer = Some(tokio::spawn(async move { sip.reoffer(call, sdp).await }));
    }

    /// What became of our own re-INVITE.
    pub(super) async fn reoffered(&mut self, answer: ReAnswer) -> Option<Step> {
        match answer {
            ReAnswer::Accepted { sdp } => {
                let offered = self.offered.take();
                let remote = Remote::parse(&sdp)
                    .ok()
                    .and_then(|remote| remote.reachable_from(self.inner.ports.ip()).best());
                match remote {
                    // Fax, or the audio that the peer would rather have: then that goes on.
                    Some(remote) => return self.agreed(remote).await,
                    // 200, and our stream refused with port 0: now there is none at all.
                    None if offered == Some(Media::T38) && !self.hanging_up => self.offer_audio(),
                    None => {}
                }
            }
            // 488 and its like: audio goes on exactly as before.
            ReAnswer::Rejected { status } => {
                tracing::debug!(call = %self.call, status, "the far end refuses T.38; audio goes on");
                self.withdraw();
                if self.media == Media::G711 && self.pending.is_none() {
                    self.fax = None;
                }
            }
            ReAnswer::Glare | ReAnswer::Gone => self.withdraw(),
        }
        self.release_permit()
    }

    /// Our offer stands no more; what stood before it does, with its `o=` version.
    fn withdraw(&mut self) {
        if self.offered.take().is_some() {
            self.local.revert();
        }
    }

    /// The peer asked us to offer and was offered what stands: its answer may name another address.
    pub(super) async fn moved(&mut self, sdp: &[u8]) -> Option<Step> {
        let remote = Remote::parse(sdp)
            .ok()?
            .reachable_from(self.inner.ports.ip());
        let same = match self.media {
            Media::T38 => remote.t38().cloned().map(RemoteMedia::T38),
            Media::G711 => remote.audio().cloned(),
        };
        self.agreed(same?).await
    }

    /// Both sides agreed: on another kind of media the fax starts anew, on the same it goes on.
    pub(super) async fn agreed(&mut self, remote: RemoteMedia) -> Option<Step> {
        let (setup, media) = setup(&remote, self.law);
        if let MediaSetup::G711 { alaw, .. } = setup {
            self.law = if alaw { Codec::Pcma } else { Codec::Pcmu };
        }
        let socket = match media {
            Media::T38 => self.fax.as_ref()?,
            Media::G711 => self.audio.as_ref()?,
        };
        let goes_on = media == self.media;
        let moved = !goes_on || remote.addr() != self.peer;
        let connected = if !goes_on {
            socket.connect(remote.addr()).map(|fd| vec![fd])
        } else if moved {
            socket.follow(remote.addr()).map(|()| Vec::new())
        } else {
            // It may be heard elsewhere than it signals, and stays so.
            Ok(Vec::new())
        };
        if moved {
            self.peer = remote.addr();
            self.ear = open_ear(self.media_from, Some(socket));
        }
        let fds = match connected {
            Ok(fds) => fds,
            Err(error) => {
                self.own_fault
                    .get_or_insert(format!("the {media:?} socket can't be connected: {error}"));
                self.stop().await;
                return None;
            }
        };
        let call = self.worker.call;
        let change = if goes_on {
            ToWorker::Adjust { call, media: setup }
        } else {
            ToWorker::Media { call, media: setup }
        };
        if self.worker.say(&change, fds).await.is_err() {
            tracing::debug!(call = %self.call, "the line worker is gone");
        }
        if goes_on {
            return self.release_permit();
        }
        self.media = media;
        self.permit_held = None;
        self.offer_at = None;
        Some(Step::Switched)
    }

    fn fax_media(&mut self) -> Result<LocalMedia, String> {
        let socket = match self.fax.take() {
            Some(socket) => socket,
            None => self.inner.ports.bind().map_err(|error| error.to_string())?,
        };
        let port = socket.port().map_err(|error| error.to_string())?;
        self.fax = Some(socket);
        Ok(LocalMedia::T38 {
            addr: (self.inner.advertised.now(), port).into(),
        })
    }

    fn audio_media(&mut self, codecs: Vec<Codec>) -> Result<LocalMedia, String> {
        let socket = match self.audio.take() {
            Some(socket) => socket,
            None => self.inner.ports.bind().map_err(|error| error.to_string())?,
        };
        let port = socket.port().map_err(|error| error.to_string())?;
        self.audio = Some(socket);
        Ok(LocalMedia::Audio {
            addr: (self.inner.advertised.now(), port).into(),
            codecs,
        })
    }
}
