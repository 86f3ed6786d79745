//! What carriers do to a session while a fax is on it: the SIP here is the test's own words, the far fax
//! machine is scripted.

use tokio::net::UdpSocket;

use crate::support::{
    FAR_NUMBER, Job, Rig, RigBuilder, SAMPLE_PDF, letters,
    peer::{Message, Peer},
    ports::local,
    scripted::{Answer, Script, media::Media},
    short_waits,
};

pub fn rig() -> RigBuilder {
    Rig::builder()
        .without_far_end()
        .policy("sending.toml", &once())
        .setting("sip", "probe_s = 0")
}

/// One call, whatever comes of it.
fn once() -> String {
    short_waits(false).replace("max_calls = 4", "max_calls = 1")
}

fn sdp(version: u32, stream: &str) -> String {
    format!(
        "v=0\r\no=carrier 7 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{stream}"
    )
}

pub fn audio(version: u32, port: u16) -> String {
    let stream = format!("m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n");
    sdp(version, &stream)
}

pub fn fax(version: u32, port: u16, attributes: &str) -> String {
    let stream = format!(
        "m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\n\
         a=T38FaxUdpEC:t38UDPRedundancy\r\n{attributes}"
    );
    sdp(version, &stream)
}

/// A carrier with a call of ours that it answered.
pub struct Carrier {
    peer: Peer,
    invite: Message,
    cseq: u32,
    /// Header lines of its own INVITEs.
    extra: &'static str,
    /// Swallows our sound, or counts it.
    sound: UdpSocket,
}

impl Carrier {
    /// Mails a fax of four pages, and takes the call with G.711; `fields` go into the 200.
    pub async fn called(rig: &Rig, subject: &str, fields: &str) -> Self {
        let peer = Peer::at(&rig.far_address().to_string(), rig.sip_address()).await;
        let pdf: [(&str, &str, &[u8]); 1] = [("application/pdf", "sample.pdf", SAMPLE_PDF)];
        Self::called_with(
            peer,
            rig,
            &letters::message(subject, "Hello.", &pdf),
            fields,
        )
        .await
    }

    pub async fn called_with(peer: Peer, rig: &Rig, message: &[u8], fields: &str) -> Self {
        rig.mail(&[FAR_NUMBER], message).await;
        let invite = peer.request("INVITE").await;
        let sound = UdpSocket::bind(local(0)).await.unwrap();
        let answer = audio(1, sound.local_addr().unwrap().port());
        peer.answer(&invite, "200 OK", fields, &answer).await;
        peer.request("ACK").await;
        Self {
            peer,
            invite,
            cseq: 0,
            extra: "",
            sound,
        }
    }

    /// A re-INVITE, its answer and the ACK of that.
    pub async fn offers(&mut self, sdp: &str) -> Message {
        self.offers_and_acknowledges(sdp, "").await
    }

    async fn offers_and_acknowledges(&mut self, sdp: &str, ack: &str) -> Message {
        self.cseq += 1;
        let branch = format!("re{}", self.cseq);
        self.say("INVITE", &branch, sdp).await;
        let answer = loop {
            let message = self.peer.receive().await;
            let cseq = format!("{} INVITE", self.cseq);
            let is_final = message.status().is_some_and(|status| status >= 200);
            if is_final && message.header("CSeq") == Some(&cseq) {
                break message;
            }
        };
        // RFC 3261 §17.1.1.3: the ACK of a refusal is of the INVITE's own transaction.
        let branch = match answer.status() {
            Some(200) => format!("ack{}", self.cseq),
            _ => branch,
        };
        self.say("ACK", &branch, ack).await;
        answer
    }

    async fn say(&self, method: &str, branch: &str, body: &str) {
        let extra = if method == "INVITE" { self.extra } else { "" };
        let text = (self.peer).in_our_dialog(&self.invite, method, self.cseq, branch, extra, body);
        self.peer.send(&text).await;
    }

    async fn hangs_up(&mut self) {
        self.cseq += 1;
        self.say("BYE", &format!("bye{}", self.cseq), "").await;
        self.peer.response(200, "BYE").await;
    }

    /// The gateway hangs up.
    pub async fn is_hung_up(&self) {
        let bye = self.peer.request("BYE").await;
        self.peer.answer(&bye, "200 OK", "", "").await;
    }
}

async fn one_job(rig: &Rig, state: &str, calls: i64, confirmed: i64) -> Job {
    let job = rig.wait_job(&[state]).await;
    assert_eq!(
        (job.tries, job.pages_confirmed),
        (calls, confirmed),
        "{job:?}"
    );
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_goes_on_while_its_session_is_refreshed_and_its_media_move() {
    let rig = rig().start().await;
    let mut carrier = Carrier::called(&rig, "Moves", "").await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    let port = media.port();
    let agreed = carrier
        .offers(&fax(2, port, "a=T38FaxMaxDatagram:400\r\n"))
        .await;
    assert_eq!(agreed.status(), Some(200));
    rig.in_page(2).await;
    // A refresh that says the same in other words, with an audio line that is long gone.
    let again = sdp(
        3,
        &format!("m=image {port} udptl t38\r\na=T38MaxBitRate:14400\r\nm=audio 0 RTP/AVP 8\r\n"),
    );
    let refreshed = carrier.offers(&again).await;
    assert_eq!(refreshed.status(), Some(200));
    assert!(
        refreshed.body().contains("m=audio 0 RTP/AVP 8"),
        "{}",
        refreshed.body()
    );
    let ours = |message: &Message| {
        let body = message.body();
        let line = body.lines().find(|line| line.starts_with("m=image "));
        line.unwrap().to_owned()
    };
    assert_eq!(ours(&refreshed), ours(&agreed), "our port stays");
    // Media elsewhere, as a session border controller has it that fails over.
    let (port, socket) = media.elsewhere().await;
    let moved = carrier.offers(&fax(4, port, "")).await;
    assert_eq!(moved.status(), Some(200));
    assert_eq!(ours(&moved), ours(&agreed));
    media.go(socket);
    rig.in_page(3).await;
    // And once more, by an offer that is wanted of us and an answer in the ACK (RFC 3725).
    let (port, socket) = media.elsewhere().await;
    let wanted = carrier.offers_and_acknowledges("", &fax(5, port, "")).await;
    assert_eq!(wanted.status(), Some(200));
    assert_eq!(ours(&wanted), ours(&agreed));
    media.go(socket);
    carrier.is_hung_up().await;
    one_job(&rig, "sent", 1, 4).await;
    let frames = media.frames();
    let trained = frames.iter().filter(|name| name.starts_with("DCS")).count();
    assert_eq!(
        trained, 1,
        "T.30 went on and did not begin anew: {frames:?}"
    );
    assert_eq!(frames.last().map(String::as_str), Some("DCN"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_to_audio_is_refused_once_page_data_flows_and_the_fax_goes_on() {
    let rig = rig().start().await;
    let mut carrier = Carrier::called(&rig, "Stays", "").await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    let agreed = carrier.offers(&fax(2, media.port(), "")).await;
    assert_eq!(agreed.status(), Some(200));
    rig.in_page(3).await;
    let refused = carrier.offers(&audio(3, 4000)).await;
    assert_eq!(refused.status(), Some(488));
    carrier.is_hung_up().await;
    one_job(&rig, "sent", 1, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_to_audio_before_any_page_is_taken() {
    let rig = rig().start().await;
    let mut carrier = Carrier::called(&rig, "Back", "").await;
    // T.38 is agreed on, and nothing comes of it.
    let deaf = UdpSocket::bind(local(0)).await.unwrap();
    let agreed = carrier
        .offers(&fax(2, deaf.local_addr().unwrap().port(), ""))
        .await;
    assert_eq!(agreed.status(), Some(200));
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let back = carrier
        .offers(&audio(3, sound.local_addr().unwrap().port()))
        .await;
    assert_eq!(back.status(), Some(200));
    assert!(back.body().contains(" RTP/AVP 8\r\n"), "{}", back.body());
    hears_sound(&sound).await;
    carrier.hangs_up().await;
    let report = rig.wait_report("Back").await;
    report.assert_says("The call was answered, but no fax machine was heard.");
}

/// RTP of G.711 comes.
async fn hears_sound(socket: &UdpSocket) {
    let mut packet = [0; 2048];
    let heard = tokio::time::timeout(crate::support::LIMIT, socket.recv(&mut packet)).await;
    assert_eq!(heard.expect("sound").unwrap(), 12 + 160);
    assert_eq!(packet[1] & 0x7F, 8, "PCMA");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_t38_was_refused_by_any_status_audio_may_still_move() {
    for status in [
        "415 Unsupported Media Type",
        "606 Not Acceptable",
        "488 Not Acceptable Here",
    ] {
        let rig = rig().start().await;
        let mut carrier = Carrier::called(&rig, "Sound", "").await;
        let offer = carrier.peer.request("INVITE").await;
        assert!(offer.body().contains("m=image "), "{}", offer.body());
        carrier.peer.answer(&offer, status, "", "").await;
        carrier.peer.request("ACK").await;
        let sound = UdpSocket::bind(local(0)).await.unwrap();
        let port = sound.local_addr().unwrap().port();
        let moved = carrier.offers(&audio(2, port)).await;
        assert_eq!(moved.status(), Some(200), "{status}");
        assert!(moved.body().contains("m=audio "), "{}", moved.body());
        hears_sound(&sound).await;
        carrier.hangs_up().await;
        rig.wait_report("Sound").await;
        assert_eq!(rig.jobs().await[0].outcome.as_deref(), Some("no-fax"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_200_that_refuses_our_t38_with_port_0_brings_audio_back() {
    let rig = rig().start().await;
    let mut carrier = Carrier::called(&rig, "Port 0", "").await;
    let offer = carrier.peer.request("INVITE").await;
    let none = sdp(2, "m=image 0 udptl t38\r\n");
    carrier.peer.answer(&offer, "200 OK", "", &none).await;
    // Now no stream is left (RFC 3264 §6); we ask for sound again.
    let back = carrier.peer.request("INVITE").await;
    assert!(back.body().contains("m=audio "), "{}", back.body());
    assert!(back.body().contains(" 3 IN IP4 "), "{}", back.body());
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let answer = audio(3, sound.local_addr().unwrap().port());
    carrier.peer.answer(&back, "200 OK", "", &answer).await;
    hears_sound(&sound).await;
    carrier.hangs_up().await;
    rig.wait_report("Port 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_answered_and_sends_sound_to_nobody_until_it_is_over() {
    let rig = rig().start().await;
    let mut carrier = Carrier::called(&rig, "Hold", "").await;
    let held =
        sdp(2, "m=audio 4000 RTP/AVP 8\r\n").replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0");
    // The system takes 0.0.0.0 for this machine: nothing must come here.
    let stray = UdpSocket::bind(local(0)).await.unwrap();
    let held = held.replace("4000", &stray.local_addr().unwrap().port().to_string());
    let answer = carrier.offers(&held).await;
    assert_eq!(answer.status(), Some(200));
    assert!(answer.body().contains("a=recvonly"), "{}", answer.body());
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let over = audio(3, sound.local_addr().unwrap().port());
    assert_eq!(carrier.offers(&over).await.status(), Some(200));
    hears_sound(&sound).await;
    // Held once more, and taken back by an offer that is wanted of us (RFC 3725).
    let held = carrier.offers(&held.replace(" 2 IN", " 4 IN")).await;
    assert!(held.body().contains("a=recvonly"), "{}", held.body());
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let over = audio(5, sound.local_addr().unwrap().port());
    let ours = carrier.offers_and_acknowledges("", &over).await;
    assert!(ours.body().contains("a=sendrecv"), "{}", ours.body());
    hears_sound(&sound).await;
    assert!(stray.try_recv(&mut [0; 16]).is_err(), "sound for 0.0.0.0");
    carrier.hangs_up().await;
    rig.wait_report("Hold").await;
    drop(carrier.sound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_far_gateway_can_take_is_what_it_gets() {
    let rig = rig().start().await;
    // No modulation stops at 7200: V.27 ter is left.
    for (octets, limit, rate) in [(100, 9_600, 9_600), (60, 7_200, 4_800)] {
        let subject = format!("At most {octets}");
        let message = letters::message(&subject, "Hello.", &[]);
        let peer = Peer::at(&rig.far_address().to_string(), rig.sip_address()).await;
        let mut carrier = Carrier::called_with(peer, &rig, &message, "").await;
        let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
        let limits = format!("a=T38FaxMaxDatagram:{octets}\r\na=T38MaxBitRate:{limit}\r\n");
        let agreed = carrier.offers(&fax(2, media.port(), &limits)).await;
        assert_eq!(agreed.status(), Some(200));
        carrier.is_hung_up().await;
        let report = rig.wait_report(&subject).await;
        assert!(report.subject.starts_with("Sent: "), "{}", report.subject);
        let largest = media.largest_datagram();
        assert!(
            (20..=octets).contains(&largest),
            "{largest} octets of {octets}"
        );
        let wanted = format!("DCS {rate}");
        let frames = media.frames();
        assert!(frames.contains(&wanted), "{frames:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_wants_our_offer_or_t38_at_once_is_answered_and_never_keeps_a_line() {
    let rig = rig().speed(16).start().await;
    let peer = Peer::at(&rig.far_address().to_string(), rig.sip_address()).await;
    let number = crate::support::OUR_NUMBER;
    let invite = |id: &str, sdp: &str| peer.invite(id, "", sdp).replace("+33123456789", number);
    // RFC 3261 §13.2.1: our 200 makes the offer, the ACK answers it.
    peer.send(&invite("late", "")).await;
    let ok = peer.response(200, "INVITE").await;
    assert!(ok.body().contains("m=audio "), "{}", ok.body());
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let answer = audio(1, sound.local_addr().unwrap().port());
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "acklate", &answer))
        .await;
    hears_sound(&sound).await;
    peer.send(&peer.in_dialog(&ok, "BYE", 2, "byelate", ""))
        .await;
    peer.response(200, "BYE").await;

    // T.38 in the first INVITE, from a machine that then says nothing: we hang up after T1.
    let media = UdpSocket::bind(local(0)).await.unwrap();
    let offer = fax(1, media.local_addr().unwrap().port(), "");
    let first = invite("first", &offer);
    peer.send(&first).await;
    let ok = peer.response(200, "INVITE").await;
    assert!(ok.body().contains("m=image "), "{}", ok.body());
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "ackfirst", ""))
        .await;
    let mut packet = [0; 2048];
    let heard = tokio::time::timeout(crate::support::LIMIT, media.recv(&mut packet)).await;
    heard.expect("UDPTL").unwrap();
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;

    // Nothing that we could take: refused, and nothing of ours is spent on it.
    let v6 = offer.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1");
    peer.send(&invite("six", &v6)).await;
    peer.response(488, "INVITE").await;
    rig.no_call_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fax_of_forty_pages_outlasts_its_session_by_refreshes() {
    let rig = rig().start().await;
    let text = (1..40).map(|n| format!("Page {n}.")).collect::<Vec<_>>();
    let text = text.join("\x0c");
    let pages: [(&str, &str, &[u8]); 1] = [("text/plain", "pages.txt", text.as_bytes())];
    let message = letters::message("Forty", "Hello.", &pages);
    let peer = Peer::at(&rig.far_address().to_string(), rig.sip_address()).await;
    // RFC 4028: 90 s, of line time here; we refresh at half of it.
    let timer = "Supported: timer\r\nRequire: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    let mut carrier = Carrier::called_with(peer, &rig, &message, timer).await;
    let answers = vec![Answer::Mcf; 40];
    let media = Media::start(rig.speed(), &Script::ecm(&answers)).await;
    let theirs = fax(2, media.port(), "");
    // A 2xx without it would end the timer: it goes with every offer, the roles being those of that one.
    carrier.extra = "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n";
    let agreed = carrier.offers(&theirs).await;
    assert_eq!(agreed.status(), Some(200));
    let refreshes = async {
        let mut refreshes = 0;
        loop {
            let request = carrier.peer.receive().await;
            match request.method() {
                "INVITE" => {
                    assert_eq!(request.body(), agreed.body(), "what stands, unchanged");
                    carrier
                        .peer
                        .answer(&request, "200 OK", timer, &theirs)
                        .await;
                    refreshes += 1;
                }
                "BYE" => {
                    carrier.peer.answer(&request, "200 OK", "", "").await;
                    return refreshes;
                }
                _ => {}
            }
        }
    };
    let refreshes = refreshes.await;
    one_job(&rig, "sent", 1, 40).await;
    assert!(refreshes >= 2, "{refreshes} refreshes");
}
