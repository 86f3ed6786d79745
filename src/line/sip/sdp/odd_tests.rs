//! The SDPs of `testdata/sdp/odd.txt`, each read and answered as the file says.

use std::{collections::HashSet, net::IpAddr};

use super::remote::parse;
use super::*;

const FILE: &str = include_str!("../../../../testdata/sdp/odd.txt");
const OURS: &str = "192.0.2.10:30000";

struct Case {
    name: &'static str,
    reads: &'static str,
    answers: &'static str,
    sdp: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for text in FILE.split("\n== ").skip(1) {
        let (name, mut rest) = text.split_once('\n').unwrap();
        let mut heads = [("ends ", "crlf"), ("reads ", ""), ("answers ", "")];
        for (key, value) in &mut heads {
            if let Some(line) = rest.strip_prefix(*key) {
                (*value, rest) = line.split_once('\n').unwrap();
            }
        }
        let [(_, ends), (_, reads), (_, answers)] = heads;
        assert!(!reads.is_empty() && !answers.is_empty(), "{name}");
        cases.push(Case {
            name,
            reads,
            answers,
            sdp: octets(rest.trim_end(), ends),
        });
    }
    cases
}

fn octets(text: &str, ends: &str) -> Vec<u8> {
    let end = match ends {
        "lf" => "\n",
        "cr" => "\r",
        "lfcr" => "\n\r",
        "crcrlf" => "\r\r\n",
        "crlf" | "nul" | "latin1" => "\r\n",
        other => panic!("no such line end: {other}"),
    };
    let mut octets = text.replace('\n', end).into_bytes();
    octets.extend(end.bytes());
    match ends {
        "nul" => octets.extend([0, 0]),
        // An e with an acute accent, and no UTF-8.
        "latin1" => octets.iter_mut().for_each(|octet| {
            if *octet == b'?' {
                *octet = 0xE9;
            }
        }),
        _ => {}
    }
    octets
}

fn read(media: &RemoteMedia) -> String {
    let or_none = |value: Option<u16>| value.map_or("none".to_owned(), |value| value.to_string());
    match media {
        RemoteMedia::T38(t38) => {
            let recovery = match t38.ec {
                ErrorCorrection::None => "none",
                ErrorCorrection::Redundancy => "redundancy",
                ErrorCorrection::Fec => "fec",
            };
            let mut said = format!(
                "t38 {} v{} {} d{} {recovery}",
                t38.addr,
                t38.version,
                t38.max_bit_rate,
                or_none(t38.max_datagram)
            );
            for (flag, name) in [
                (t38.fill_bit_removal, " fill"),
                (t38.transcoding_mmr, " mmr"),
                (t38.transcoding_jbig, " jbig"),
            ] {
                said += if flag { name } else { "" };
            }
            said
        }
        RemoteMedia::Audio {
            addr,
            codecs,
            ptime,
            direction,
        } => {
            let codecs: Vec<_> = codecs
                .iter()
                .map(|payload| format!("{}={}", payload.codec.name(), payload.number))
                .collect();
            format!(
                "audio {addr} {} ptime {} {}",
                codecs.join(","),
                or_none(*ptime),
                direction.name()
            )
        }
    }
}

fn answered(remote: &Remote) -> String {
    let addr = OURS.parse().unwrap();
    let ours = match remote.best() {
        Some(RemoteMedia::T38(_)) => LocalMedia::T38 { addr },
        _ => LocalMedia::Audio {
            addr,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
        },
    };
    let Ok(answer) = Local::new(1).answer(remote, &ours) else {
        return "488".to_owned();
    };
    let lines: Vec<_> = (parse(&answer).unwrap().medias.iter())
        .map(|m| format!("{} {} {} {}", m.media, m.port, m.proto, m.fmt))
        .collect();
    lines.join(" | ")
}

#[test]
fn odd_sdps_are_read_and_answered_as_the_file_says() {
    let ours: IpAddr = OURS.parse::<std::net::SocketAddr>().unwrap().ip();
    let cases = cases();
    assert!(cases.len() > 50, "{} cases", cases.len());
    let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name twice");
    let mut wrong = Vec::new();
    for case in &cases {
        let (reads, answers) = match Remote::parse(&case.sdp) {
            Err(_) => ("unreadable".to_owned(), "488".to_owned()),
            Ok(remote) => {
                let remote = remote.reachable_from(ours);
                let reads = remote.best().map_or("nothing".to_owned(), |m| read(&m));
                (reads, answered(&remote))
            }
        };
        for (is, wanted) in [(reads, case.reads), (answers, case.answers)] {
            if is != wanted {
                wrong.push(format!("{}: {is:?} instead of {wanted:?}", case.name));
            }
        }
        // Read again, it is the session that it was: a refresh.
        let again = same_session(&case.sdp, &[&case.sdp[..], b"\r\n"].concat());
        assert_eq!(again, case.reads != "unreadable", "{}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
