use proptest::prelude::*;

use super::remote::{LIMIT_LINES, LIMIT_OCTETS, parse};
use super::*;

const AUDIO: &str = "192.0.2.10:30000";

fn audio() -> LocalMedia {
    LocalMedia::Audio {
        addr: AUDIO.parse().unwrap(),
        codecs: vec![Codec::Pcma, Codec::Pcmu],
    }
}

fn fax() -> LocalMedia {
    LocalMedia::T38 {
        addr: AUDIO.parse().unwrap(),
    }
}

fn remote(text: &str) -> Remote {
    Remote::parse(text.as_bytes()).unwrap()
}

/// m-lines and o= version of one of ours.
fn shape(bytes: &[u8]) -> (Vec<String>, u64) {
    let session = parse(bytes).unwrap();
    let lines = session
        .medias
        .iter()
        .map(|m| format!("{} {} {} {}", m.media, m.port, m.proto, m.fmt))
        .collect();
    (lines, session.origin.sess_version)
}

#[test]
fn our_audio_offer_says_g711_in_20_ms_without_silence_suppression() {
    let text = String::from_utf8(Local::new(77).offer(&audio())).unwrap();
    assert_eq!(
        text,
        "v=0\r\no=- 77 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 30000 RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n\
         a=silenceSupp:off - - - -\r\na=sendrecv\r\n"
    );
}

#[test]
fn our_fax_offer_is_version_0_with_redundancy() {
    let text = String::from_utf8(Local::new(77).offer(&fax())).unwrap();
    assert!(text.ends_with(
        "m=image 30000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
         a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:2000\r\na=T38FaxMaxDatagram:400\r\n\
         a=T38FaxUdpEC:t38UDPRedundancy\r\n"
    ));
    let t38 = remote(&text).t38().cloned().unwrap();
    assert_eq!(
        (t38.version, t38.max_bit_rate, t38.max_datagram),
        (0, 14_400, Some(400))
    );
    assert_eq!(t38.ec, ErrorCorrection::Redundancy);
}

/// FreeSWITCH: attributes with `:0`, the audio line kept with port 0, `c=` in the stream.
const FREESWITCH: &str = "v=0\r\no=FreeSWITCH 1609 1610 IN IP4 198.51.100.1\r\ns=FreeSWITCH\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 19\r\nm=image 18000 udptl t38\r\nc=IN IP4 198.51.100.2\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval:0\r\na=T38FaxTranscodingMMR:0\r\na=T38FaxTranscodingJBIG:0\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:2000\r\na=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";
/// Asterisk: bare boolean attributes, FEC, a rate below ours, 9600.
const ASTERISK: &str = "v=0\r\no=- 1 2 IN IP4 198.51.100.1\r\ns=Asterisk\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=image 4500 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:9600\r\na=T38FaxFillBitRemoval\r\na=T38FaxTranscodingMMR\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxDatagram:1400\r\na=T38FaxUdpEC:t38UDPFEC\r\n";
/// Cisco: `:1`, a buffer of 200, datagram 320, session-level attributes, sessions without version.
const CISCO: &str = "v=0\r\no=CiscoSystemsSIP-GW-UserAgent 8 1 IN IP4 198.51.100.1\r\ns=SIP Call\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\na=T38MaxBitRate:14400\r\nm=image 16384 UDPTL T38\r\nc=IN IP4 198.51.100.1\r\na=T38FaxFillBitRemoval:1\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:200\r\na=T38FaxMaxDatagram:320\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";
/// AudioCodes: other case, trailing blanks, bare LF, a leading empty line.
const AUDIOCODES: &str = "\nv=0\no=AudiocodesGW 1 2 IN IP4 198.51.100.1\ns=Phone-Call\nc=IN IP4 198.51.100.1\nt=0 0\nm=image 6012 udptl t38 \na=t38faxversion:0\na=t38maxbitrate:14400\na=t38faxmaxbuffer:1024\na=t38faxmaxdatagram:238\na=T38FAXRATEMANAGEMENT:TransferredTcf\na=t38faxudpec:t38udpredundancy\n";
/// Audio and fax offered together (both live).
const BOTH: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18 96 0\r\na=rtpmap:18 G729/8000\r\na=rtpmap:96 PCMA/8000\r\na=ptime:30\r\nm=image 4002 udptl t38\r\na=T38FaxVersion:3\r\nm=video 4004 RTP/AVP 34\r\n";

#[test]
fn fax_streams_of_many_makers_are_read() {
    struct Want {
        name: &'static str,
        text: &'static str,
        addr: &'static str,
        rate: u32,
        datagram: Option<u16>,
        ec: ErrorCorrection,
        fill: bool,
        mmr: bool,
    }
    let table = [
        Want {
            name: "FreeSWITCH",
            text: FREESWITCH,
            addr: "198.51.100.2:18000",
            rate: 14_400,
            datagram: Some(400),
            ec: ErrorCorrection::Redundancy,
            fill: false,
            mmr: false,
        },
        Want {
            name: "Asterisk",
            text: ASTERISK,
            addr: "198.51.100.1:4500",
            rate: 9_600,
            datagram: Some(1400),
            ec: ErrorCorrection::Fec,
            fill: true,
            mmr: true,
        },
        Want {
            name: "Cisco",
            text: CISCO,
            addr: "198.51.100.1:16384",
            rate: 14_400,
            datagram: Some(320),
            ec: ErrorCorrection::Redundancy,
            fill: true,
            mmr: false,
        },
        Want {
            name: "AudioCodes",
            text: AUDIOCODES,
            addr: "198.51.100.1:6012",
            rate: 14_400,
            datagram: Some(238),
            ec: ErrorCorrection::Redundancy,
            fill: false,
            mmr: false,
        },
        Want {
            name: "both",
            text: BOTH,
            addr: "198.51.100.1:4002",
            rate: 14_400,
            datagram: None,
            ec: ErrorCorrection::None,
            fill: false,
            mmr: false,
        },
    ];
    for want in table {
        let remote = remote(want.text);
        let t38 = remote
            .t38()
            .unwrap_or_else(|| panic!("{}: no T.38", want.name));
        assert_eq!(t38.addr, want.addr.parse().unwrap(), "{}", want.name);
        assert_eq!(t38.max_bit_rate, want.rate, "{}", want.name);
        assert_eq!(t38.max_datagram, want.datagram, "{}", want.name);
        assert_eq!(t38.ec, want.ec, "{}", want.name);
        assert_eq!(
            (
                t38.fill_bit_removal,
                t38.transcoding_mmr,
                t38.transcoding_jbig
            ),
            (want.fill, want.mmr, false),
            "{}",
            want.name
        );
        assert_eq!(
            t38.rate_management,
            RateManagement::TransferredTcf,
            "{}",
            want.name
        );
        let answer = Local::new(1).answer(&remote, &fax()).unwrap();
        let (lines, _) = shape(&answer);
        assert_eq!(lines.len(), remote.lines.len(), "{}", want.name);
    }
}

#[test]
fn an_answer_takes_one_stream_and_refuses_the_others_in_place() {
    let offer = remote(BOTH);
    let (lines, _) = shape(&Local::new(1).answer(&offer, &fax()).unwrap());
    assert_eq!(
        lines,
        [
            "audio 0 RTP/AVP 18 96 0",
            "image 30000 udptl t38",
            "video 0 RTP/AVP 34"
        ]
    );
    // The offer's order decides the law, and its number is used.
    let (lines, _) = shape(&Local::new(1).answer(&offer, &audio()).unwrap());
    assert_eq!(
        lines,
        [
            "audio 30000 RTP/AVP 96",
            "image 0 udptl t38",
            "video 0 RTP/AVP 34"
        ]
    );
    let Some(RemoteMedia::Audio { codecs, ptime, .. }) = offer.audio() else {
        panic!("no audio")
    };
    assert_eq!(
        codecs,
        &[
            Payload {
                codec: Codec::Pcma,
                number: 96
            },
            Payload {
                codec: Codec::Pcmu,
                number: 0
            }
        ]
    );
    assert_eq!(*ptime, Some(30));
    assert!(matches!(offer.best(), Some(RemoteMedia::T38(_))));
}

#[test]
fn an_offer_without_the_wanted_kind_cannot_be_answered() {
    let only_fax = remote(ASTERISK);
    assert_eq!(
        Local::new(1).answer(&only_fax, &audio()),
        Err(SdpError::NoSuchStream)
    );
    let g729 = remote(
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n",
    );
    assert!(g729.best().is_none());
    assert_eq!(
        Local::new(1).answer(&g729, &audio()),
        Err(SdpError::NoSuchStream)
    );
}

#[test]
fn streams_without_an_address_or_with_another_transport_are_not_usable() {
    for text in [
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 host.example\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 224.2.1.1/127\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\n",
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=image 4000 tcp t38\r\n",
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=rtpmap:8 G726-32/8000\r\n",
        "v=0\r\ns=-\r\n",
    ] {
        assert_eq!(remote(text).best(), None, "{text}");
    }
}

#[test]
fn hold_is_told_and_mirrored() {
    let text = |connection: &str, attribute: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 {connection}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n{attribute}"
        )
    };
    for (connection, attribute, theirs, ours) in [
        ("1.2.3.4", "", Direction::SendRecv, "sendrecv"),
        ("1.2.3.4", "a=sendonly\r\n", Direction::SendOnly, "recvonly"),
        ("1.2.3.4", "a=inactive\r\n", Direction::Inactive, "inactive"),
        ("0.0.0.0", "", Direction::SendOnly, "recvonly"),
    ] {
        let offer = remote(&text(connection, attribute));
        let Some(RemoteMedia::Audio { direction, .. }) = offer.audio() else {
            panic!("no audio")
        };
        assert_eq!(*direction, theirs);
        let answer = String::from_utf8(Local::new(1).answer(&offer, &audio()).unwrap()).unwrap();
        assert!(answer.ends_with(&format!("a={ours}\r\n")), "{answer}");
    }
}

#[test]
fn the_version_rises_only_when_our_sdp_changes_and_never_falls() {
    let mut local = Local::new(9);
    let first = local.offer(&audio());
    assert_eq!(local.offer(&audio()), first);
    assert_eq!(
        shape(&local.offer(&fax())),
        (vec!["image 30000 udptl t38".to_owned()], 2)
    );
    // Refused with 488: the audio stands again, with its own version …
    local.revert();
    assert_eq!(local.offer(&audio()), first);
    // … and the next change does not use version 2 again.
    assert_eq!(shape(&local.offer(&fax())).1, 3);
}

#[test]
fn a_later_offer_keeps_the_places_of_the_streams_agreed_on() {
    let mut local = Local::new(9);
    local.answer(&remote(BOTH), &audio()).unwrap();
    let (lines, version) = shape(&local.offer(&fax()));
    assert_eq!(
        lines,
        [
            "image 30000 udptl t38",
            "image 0 udptl t38",
            "video 0 RTP/AVP 34"
        ]
    );
    assert_eq!(version, 2);
}

#[test]
fn a_refresh_is_the_same_session_even_with_a_higher_version() {
    let refreshed = FREESWITCH.replace("1609 1610", "1609 1611");
    assert!(same_session(FREESWITCH.as_bytes(), refreshed.as_bytes()));
    assert!(same_session(FREESWITCH.as_bytes(), FREESWITCH.as_bytes()));
    assert!(!same_session(
        FREESWITCH.as_bytes(),
        FREESWITCH.replace("18000", "18002").as_bytes()
    ));
    assert!(!same_session(FREESWITCH.as_bytes(), b"nonsense"));
}

#[test]
fn what_is_no_sdp_is_an_error() {
    assert!(Remote::parse(b"").is_err());
    assert!(Remote::parse(b"hello").is_err());
    assert!(Remote::parse(&vec![b'v'; LIMIT_OCTETS + 1]).is_err());
    let many = format!(
        "v=0\r\ns=-\r\n{}",
        "m=audio 1 RTP/AVP 8\r\n".repeat(LIMIT_LINES + 1)
    );
    assert!(Remote::parse(many.as_bytes()).is_err());
}

fn odd_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]=.{0,40}",
        "m=(audio|image|AUDIO|video) [0-9]{1,6} (RTP/AVP|udptl|UDPTL|tcp) [0-9t38 ]{0,12}",
        "c=IN IP[46] [0-9.:a-f/]{0,24}",
        "a=(T38FaxMaxDatagram|t38maxbitrate|rtpmap|ptime|T38FaxUdpEC)(:.{0,12})?",
        ".{0,30}",
    ]
}

proptest! {
    #[test]
    fn reading_never_panics_and_answers_keep_the_shape(lines in proptest::collection::vec(odd_line(), 0..20)) {
        let text = format!("v=0\r\n{}", lines.join("\r\n"));
        if let Ok(remote) = Remote::parse(text.as_bytes()) {
            for media in [audio(), fax()] {
                if let Ok(answer) = Local::new(1).answer(&remote, &media) {
                    let (ours, _) = shape(&answer);
                    prop_assert_eq!(ours.len(), remote.lines.len());
                    prop_assert_eq!(ours.iter().filter(|l| l.split(' ').nth(1) != Some("0")).count(), 1);
                }
            }
        }
    }

    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Remote::parse(&bytes);
        let _ = same_session(&bytes, b"v=0\r\n");
    }
}
