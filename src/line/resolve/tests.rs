//! Against a DNS server of our own on loopback.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
};

use super::*;

/// What the server answers, and how often it was asked.
#[derive(Default)]
struct Zone {
    srv: HashMap<String, Vec<(u16, u16, u16, String)>>,
    a: HashMap<String, Vec<Ipv4Addr>>,
    ttl: u32,
    silent: bool,
    asked: Vec<String>,
}

fn labels(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
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

fn answer(zone: &mut Zone, query: &[u8]) -> Vec<u8> {
    let (name, end) = question(query);
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    zone.asked.push(format!("{name} {kind}"));
    let mut records: Vec<Vec<u8>> = Vec::new();
    if kind == 33 {
        for (priority, weight, port, target) in zone.srv.get(&name).into_iter().flatten() {
            let mut data = Vec::new();
            for number in [priority, weight, port] {
                data.extend_from_slice(&number.to_be_bytes());
            }
            data.extend(labels(target));
            records.push(data);
        }
    }
    if kind == 1 {
        let addresses = zone.a.get(&name).into_iter().flatten();
        records.extend(addresses.map(|address| address.octets().to_vec()));
    }
    let known = zone.srv.contains_key(&name) || zone.a.contains_key(&name);
    let mut wire = query[..2].to_vec();
    wire.extend_from_slice(&[0x85, if known { 0x80 } else { 0x83 }, 0, 1]);
    wire.extend_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(&query[12..end + 4]);
    for data in records {
        wire.extend_from_slice(&[0xc0, 12]);
        wire.extend_from_slice(&kind.to_be_bytes());
        wire.extend_from_slice(&[0, 1]);
        wire.extend_from_slice(&zone.ttl.to_be_bytes());
        wire.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(&data);
    }
    wire
}

fn serve(zone: Zone) -> (SocketAddr, Arc<Mutex<Zone>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let zone = Arc::new(Mutex::new(zone));
    let served = zone.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((octets, from)) = socket.recv_from(&mut buffer) {
            let mut zone = served.lock().unwrap();
            if !zone.silent {
                let reply = answer(&mut zone, &buffer[..octets]);
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    (address, zone)
}

fn zone() -> Zone {
    let ip = |last| Ipv4Addr::new(192, 0, 2, last);
    let target = |name: &str| name.to_owned();
    Zone {
        srv: HashMap::from([
            (
                "_sip._udp.fax.test".into(),
                vec![
                    (20, 0, 5070, target("c.fax.test")),
                    (10, 20, 5060, target("b.fax.test")),
                    (10, 60, 5062, target("a.fax.test")),
                    (10, 5, 5062, target("gone.fax.test")),
                ],
            ),
            (
                "_sips._tcp.fax.test".into(),
                vec![(1, 1, 5061, target("edge.other.test"))],
            ),
            ("_sip._tcp.fax.test".into(), vec![(0, 0, 0, target("."))]),
        ]),
        a: HashMap::from([
            ("a.fax.test".into(), vec![ip(2), ip(1)]),
            ("b.fax.test".into(), vec![ip(3)]),
            ("c.fax.test".into(), vec![ip(4)]),
            ("edge.other.test".into(), vec![ip(5)]),
            ("fax.test".into(), vec![ip(9)]),
            ("plain.test".into(), vec![ip(8)]),
        ]),
        ..Zone::default()
    }
}

fn trunk(host: &str, port: u16, transport: Transport) -> Trunk {
    Trunk {
        transport,
        ..Trunk::new("t", "a", host, port)
    }
}

fn shown(targets: &[Target]) -> Vec<String> {
    let show = |target: &Target| format!("{} {}", target.addr, target.priority);
    targets.iter().map(show).collect()
}

fn resolver(dns: SocketAddr) -> Resolver {
    Resolver::new(Some(dns), Ipv4Addr::LOCALHOST.into())
}

#[tokio::test]
async fn a_trunk_without_a_port_is_found_by_srv_and_else_by_its_address() {
    let (dns, zone) = serve(zone());
    let resolver = resolver(dns);
    let find = async |host: &str, port, transport| {
        let found = resolver.targets(&trunk(host, port, transport)).await;
        found.map(|targets| shown(&targets))
    };
    assert_eq!(
        find("fax.test", 0, Transport::Udp).await.unwrap(),
        [
            "192.0.2.1:5062 10",
            "192.0.2.2:5062 10",
            "192.0.2.3:5060 10",
            "192.0.2.4:5070 20"
        ],
        "a host without an address is left out"
    );
    // RFC 3263 §4.2: with a port, no SRV.
    let asked = zone.lock().unwrap().asked.len();
    assert_eq!(
        find("fax.test", 5080, Transport::Udp).await.unwrap(),
        ["192.0.2.9:5080 0"]
    );
    let after = zone.lock().unwrap().asked.split_off(asked);
    assert!(after.iter().all(|question| !question.ends_with(" 33")));
    // Without SRV, the transport's own port.
    for (transport, wanted) in [
        (Transport::Udp, "192.0.2.8:5060 0"),
        (Transport::Tls, "192.0.2.8:5061 0"),
    ] {
        assert_eq!(find("plain.test", 0, transport).await.unwrap(), [wanted]);
    }
    assert_eq!(
        find("192.0.2.77", 0, Transport::Tcp).await.unwrap(),
        ["192.0.2.77:5060 0"]
    );
    let none = find("fax.test", 0, Transport::Tcp).await.unwrap_err();
    assert!(none.contains("no _sip._tcp"), "{none}");
    let none = find("nowhere.test", 0, Transport::Udp).await.unwrap_err();
    assert!(none.contains("nowhere.test has no address"), "{none}");
}

#[tokio::test]
async fn a_certificate_is_for_the_domain_whatever_host_srv_names() {
    let (dns, _zone) = serve(zone());
    let found = resolver(dns)
        .targets(&trunk("fax.test", 0, Transport::Tls))
        .await
        .unwrap();
    assert_eq!(shown(&found), ["192.0.2.5:5061 1"]);
    assert_eq!(found[0].tls_name.as_deref(), Some("fax.test"));
}

#[tokio::test]
async fn answers_last_as_long_as_they_say_and_stand_while_dns_is_silent() {
    let (dns, zone) = serve(zone());
    let resolver = resolver(dns);
    let plain = trunk("plain.test", 5060, Transport::Udp);
    let first = shown(&resolver.targets(&plain).await.unwrap());
    // A time to live of nothing: asked anew, and the move is seen.
    zone.lock()
        .unwrap()
        .a
        .insert("plain.test".into(), vec![Ipv4Addr::new(192, 0, 2, 18)]);
    let second = shown(&resolver.targets(&plain).await.unwrap());
    assert_eq!(
        (first[0].as_str(), second[0].as_str()),
        ("192.0.2.8:5060 0", "192.0.2.18:5060 0")
    );
    // Longer ones are not asked for again.
    zone.lock().unwrap().ttl = 600;
    resolver.targets(&plain).await.unwrap();
    let asked = zone.lock().unwrap().asked.len();
    resolver.targets(&plain).await.unwrap();
    assert_eq!(zone.lock().unwrap().asked.len(), asked);
    // Silence takes nothing away.
    zone.lock().unwrap().ttl = 0;
    let other = trunk("b.fax.test", 5060, Transport::Udp);
    let before = resolver.targets(&other).await.unwrap();
    zone.lock().unwrap().silent = true;
    assert_eq!(resolver.targets(&other).await.unwrap(), before);
    let none = resolver
        .targets(&trunk("c.fax.test", 0, Transport::Udp))
        .await
        .unwrap_err();
    assert!(none.contains("DNS"), "{none}");
}
