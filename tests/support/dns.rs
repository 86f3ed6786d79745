//! A DNS server on loopback that knows what it is told, in a thread of its own.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
};

/// What is known of each name (lower case, without the last dot).
#[derive(Clone, Debug, Default)]
pub struct Zone {
    pub txt: HashMap<String, Vec<String>>,
    pub a: HashMap<String, Vec<Ipv4Addr>>,
    /// Names below these are answered with SERVFAIL.
    pub failing: Vec<String>,
    /// Names below these are not answered at all.
    pub silent: Vec<String>,
}

impl Zone {
    pub fn txt(mut self, name: &str, text: &str) -> Self {
        self.txt
            .entry(name.to_lowercase())
            .or_default()
            .push(text.to_owned());
        self
    }
}

/// The server, for as long as the program runs.
#[derive(Clone, Debug)]
pub struct Stub {
    pub address: SocketAddr,
    /// The questions so far: name and type.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub fn serve(zone: Zone) -> Self {
        Self::serve_at(zone, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    pub fn serve_at(zone: Zone, address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).expect("a port");
        let address = socket.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((octets, from)) = socket.recv_from(&mut buffer) {
                if let Some(reply) = answer(&zone, &buffer[..octets], &log) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Self { address, asked }
    }

    pub fn questions(&self) -> Vec<String> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

/// The question's name, and where it ends (RFC 1035 §4.1.2).
fn question(query: &[u8]) -> (String, usize) {
    let (mut at, mut name) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (name.join("."), at + 1)
}

fn answer(zone: &Zone, query: &[u8], log: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
    let (name, end) = question(query);
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    log.lock()
        .expect("unpoisoned")
        .push(format!("{name} {kind}"));
    let below = |names: &[String]| names.iter().any(|known| name.ends_with(known.as_str()));
    if below(&zone.silent) {
        return None;
    }
    let data: Vec<Vec<u8>> = match kind {
        1 => zone
            .a
            .get(&name)
            .into_iter()
            .flatten()
            .map(|a| a.octets().to_vec())
            .collect(),
        // RFC 1035 §3.3.14: strings of 255 octets at most.
        16 => (zone.txt.get(&name).into_iter().flatten())
            .map(|text| {
                text.as_bytes()
                    .chunks(255)
                    .flat_map(|piece| {
                        [
                            &[u8::try_from(piece.len()).expect("255 at most")][..],
                            piece,
                        ]
                        .concat()
                    })
                    .collect()
            })
            .collect(),
        _ => Vec::new(),
    };
    let rcode = if below(&zone.failing) {
        2
    } else if zone.txt.contains_key(&name) || zone.a.contains_key(&name) {
        0
    } else {
        3
    };
    let mut wire = query[..2].to_vec();
    wire.extend_from_slice(&[0x85, 0x80 | rcode, 0, 1]);
    wire.extend_from_slice(&u16::try_from(data.len()).expect("few").to_be_bytes());
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(&query[12..end + 4]);
    for data in data {
        wire.extend_from_slice(&[0xc0, 12]);
        wire.extend_from_slice(&kind.to_be_bytes());
        wire.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        wire.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
        wire.extend_from_slice(&data);
    }
    Some(wire)
}
