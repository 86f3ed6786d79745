//! Trunks by command, without a restart: which one takes a call, and what is told of them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::net::UdpSocket;

use crate::support::{FAR_NUMBER, Rig, fax, letters, ports::local};

/// A trunk of one socket that answers each method with one status.
struct Carrier {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Carrier {
    async fn start(answer: fn(&str) -> Option<&'static str>) -> Self {
        let socket = UdpSocket::bind(local(0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = asked.clone();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let method = text.split(' ').next().unwrap_or_default();
                noted.lock().unwrap().push(method.to_owned());
                if let Some(status) = answer(method) {
                    let reply = reply(&text, status);
                    socket.send_to(reply.as_bytes(), from).await.unwrap();
                }
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// How often it was asked so.
    fn asked(&self, method: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|one| *one == method).count()
    }
}

fn reply(request: &str, status: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "From", "To", "Call-ID", "CSeq", "Contact"].contains(&name) {
            let tag = if name == "To" && !line.contains(";tag=") {
                ";tag=c"
            } else {
                ""
            };
            text += &format!("{line}{tag}\r\n");
        }
    }
    text + "Content-Length: 0\r\n\r\n"
}

async fn one_fax(rig: &Rig, subject: &str) -> crate::support::Job {
    rig.mail(&[FAR_NUMBER], &letters::message(subject, "Hello", &[]))
        .await;
    rig.wait_report(subject).await;
    let job = rig.jobs().await.pop().unwrap();
    assert_eq!((job.state.as_str(), job.tries), ("sent", 1), "{job:?}");
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_to_the_next_trunk_when_the_cheapest_fails() {
    let rig = Rig::builder().start().await;
    let carrier = Carrier::start(|method| match method {
        "INVITE" => Some("503 Service Unavailable"),
        "OPTIONS" => Some("200 OK"),
        _ => None,
    })
    .await;
    let port = carrier.address.port();
    rig.admin(&format!(
        "add trunk cheap host 127.0.0.1 port {port} priority 9 route +33 1"
    ));
    rig.until("OPTIONS is answered", async || {
        let shown = rig.admin("show trunk cheap");
        shown.contains("up for").then_some(())
    })
    .await;
    // Its prefix is the longest match, so it is tried first whatever its priority.
    one_fax(&rig, "A way round").await;
    let by = "SELECT COUNT(*) FROM call JOIN trunk ON trunk.trunk_id = call.trunk_id
              WHERE trunk.name = 'far end'";
    assert_eq!(rig.count(by).await, 1, "the record names who carried it");
    let shown = rig.admin("show trunk cheap");
    assert!(shown.contains("a call was refused with 503"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t38_is_offered_at_once_where_the_trunk_has_it_so() {
    let mut rig = Rig::builder().start().await;
    rig.admin("set trunk \"far end\" t38 offer");
    rig.stop().await;
    rig.restart().await;
    one_fax(&rig, "At once").await;
    let t38 = "SELECT COUNT(*) FROM call WHERE media = 't38'";
    assert_eq!(rig.count(t38).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_end_that_refuses_t38_at_once_gets_g_711_in_the_same_call() {
    let mut rig = Rig::builder().far_end(&["--no-t38"]).start().await;
    rig.admin("set trunk \"far end\" t38 offer");
    rig.stop().await;
    rig.restart().await;
    one_fax(&rig, "Refused at first").await;
    let audio = "SELECT COUNT(*) FROM call WHERE media = 'g711'";
    assert_eq!(rig.count(audio).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_is_removed_carries_its_call_to_the_end() {
    let mut rig = Rig::builder().speed(2).start().await;
    let caller = rig.call_in(&fax::pages(2), &[]);
    rig.until("the call is up", async || {
        let calls = rig.status().await["calls_in_all"].as_u64();
        (calls > Some(0)).then_some(())
    })
    .await;
    rig.admin("remove trunk \"far end\"");
    assert_eq!(rig.wait_faxes(1).await.len(), 1);
    drop(caller);
    let status = rig.status().await;
    assert_eq!(status["trunks"].as_array().unwrap().len(), 0, "{status}");
    // Faxes wait until there is a trunk again; nothing is started anew.
    rig.mail(&[FAR_NUMBER], &letters::message("Later", "Hello", &[]))
        .await;
    rig.until("it waits", async || {
        let job = rig.jobs().await.pop()?;
        ["ready", "waiting"]
            .contains(&job.state.as_str())
            .then_some(())
    })
    .await;
    let port = rig.far_address().port();
    rig.admin(&format!("add trunk again host 127.0.0.1 port {port}"));
    rig.wait_report("Later").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_told_in_words_and_its_password_never() {
    let rig = Rig::builder().without_far_end().start().await;
    let carrier = Carrier::start(|_| Some("200 OK")).await;
    let port = carrier.address.port();
    let added = rig.admin(&format!(
        "add trunk carrier host 127.0.0.1 port {port} user us password tell-nobody register on"
    ));
    assert!(!added.contains("tell-nobody"));
    let shown = rig
        .until("it is registered", async || {
            let shown = rig.admin("show trunk carrier");
            shown.contains("registered for").then_some(shown)
        })
        .await;
    assert!(!shown.contains("tell-nobody"), "{shown}");
    let status = rig.status().await.to_string();
    assert!(status.contains("registered for") && !status.contains("tell-nobody"));
    assert!(!rig.logs().contains("tell-nobody"));
    let sealed = "SELECT COUNT(*) FROM trunk WHERE password_sealed IS NOT NULL";
    assert_eq!(rig.count(sealed).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faxes_that_wait_for_the_one_channel_lose_no_try() {
    let rig = Rig::builder().channels(1).start().await;
    let numbers = [
        "+33123456781",
        "+33123456782",
        "+33123456783",
        "+33123456784",
    ];
    rig.mail(&numbers, &letters::message("In turn", "Hello", &[]))
        .await;
    rig.wait_report("In turn").await;
    for job in rig.jobs().await {
        assert_eq!((job.state.as_str(), job.tries), ("sent", 1), "{job:?}");
    }
    let calls = rig.count("SELECT CAST(COUNT(*) AS BIGINT) FROM call").await;
    assert_eq!(calls, 4);
}

/// Ports on this machine, in the order to try.
type Ports = Arc<Mutex<Vec<u16>>>;

/// A DNS server on loopback that knows one service.
fn dns(service: &'static str, ports: Ports) -> SocketAddr {
    let socket = std::net::UdpSocket::bind(local(0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((octets, from)) = socket.recv_from(&mut query) {
            let reply = dns_reply(&query[..octets], service, &ports.lock().unwrap());
            let _ = socket.send_to(&reply, from);
        }
    });
    address
}

/// RFC 1035 §4.1: SRV to a.host.test, b.host.test and so on, all on loopback.
fn dns_reply(query: &[u8], service: &str, ports: &[u16]) -> Vec<u8> {
    let (mut at, mut name) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let (name, kind) = (
        name.join("."),
        u16::from_be_bytes([query[at + 1], query[at + 2]]),
    );
    let mut records: Vec<Vec<u8>> = Vec::new();
    if kind == 33 && name == service {
        for (order, port) in (b'a'..).zip(ports) {
            let mut data: Vec<u8> = [u16::from(order), 0, *port].map(u16::to_be_bytes).concat();
            data.extend([1, order, 4]);
            data.extend(b"host\x04test\0");
            records.push(data);
        }
    }
    if kind == 1 && name.ends_with("host.test") {
        records.push(vec![127, 0, 0, 1]);
    }
    let mut reply = query[..2].to_vec();
    reply.extend([0x85, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    reply.extend(&query[12..at + 5]);
    for data in records {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        reply.extend(data);
    }
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_known_by_srv_carries_a_fax_by_its_second_server() {
    // The first server refuses; the second is the far end.
    let carrier = Carrier::start(|method| match method {
        "INVITE" => Some("503 Service Unavailable"),
        "OPTIONS" => Some("200 OK"),
        _ => None,
    })
    .await;
    let ports = Ports::default();
    let dns = dns("_sip._udp.carrier.test", ports.clone());
    let rig = Rig::builder()
        .setting("sip", &format!("dns = \"{dns}\""))
        .start()
        .await;
    *ports.lock().unwrap() = vec![carrier.address.port(), rig.far_address().port()];
    rig.admin("remove trunk \"far end\"");
    let shown = rig.admin("add trunk carrier host carrier.test");
    assert!(shown.contains("carrier.test (as SRV says)"), "{shown}");
    rig.until("the trunk is up", async || {
        rig.admin("show trunk carrier")
            .contains("up for")
            .then_some(())
    })
    .await;
    one_fax(&rig, "By SRV").await;
    assert_eq!(carrier.asked("INVITE"), 1, "the first server was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_asks_for_rest_gets_no_call_meanwhile_and_says_so() {
    let rig = Rig::builder().start().await;
    let carrier = Carrier::start(|method| match method {
        "INVITE" => Some("503 Service Unavailable\r\nRetry-After: 120"),
        "OPTIONS" => Some("200 OK"),
        _ => None,
    })
    .await;
    let port = carrier.address.port();
    rig.admin(&format!(
        "add trunk cheap host 127.0.0.1 port {port} route +33 1"
    ));
    rig.until("OPTIONS is answered", async || {
        rig.admin("show trunk cheap")
            .contains("up for")
            .then_some(())
    })
    .await;
    one_fax(&rig, "Overloaded").await;
    let shown = rig
        .until("it is told", async || {
            let shown = rig.admin("show trunk cheap");
            shown.contains("left alone for another").then_some(shown)
        })
        .await;
    assert!(shown.contains("a call was refused with 503"), "{shown}");
    let asked = carrier.asked("INVITE");
    one_fax(&rig, "Later").await;
    assert_eq!(carrier.asked("INVITE"), asked, "it is left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_silence_and_are_counted() {
    let rig = Rig::builder().without_far_end().start().await;
    let scanner = UdpSocket::bind("127.0.0.9:0").await.unwrap();
    let own = scanner.local_addr().unwrap();
    let methods = ["OPTIONS", "REGISTER", "INVITE"];
    for method in methods {
        let text = format!(
            "{method} sip:100@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}\r\nFrom: <sip:a@{own}>;tag=1\r\n\
             To: <sip:100@{to}>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{own}>\r\n\
             Content-Length: 0\r\n\r\n",
            to = rig.sip_address()
        );
        scanner
            .send_to(text.as_bytes(), rig.sip_address())
            .await
            .unwrap();
    }
    rig.until("they are counted", async || {
        (rig.status().await["strangers"] == methods.len()).then_some(())
    })
    .await;
    assert!(scanner.try_recv(&mut [0; 16]).is_err(), "no answer");
    let told = rig.faxpost(&["status"]);
    assert!(
        told.contains("SIP packets from strangers, unanswered: 3"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_of_a_trunk_behind_a_nat_are_taken_from_where_they_come() {
    // The far end names an address for its media that nothing comes from.
    let hidden = ["--media-address", "127.0.0.77"];
    let mut rig = Rig::builder().far_end(&hidden).start().await;
    rig.admin("remove trunk \"far end\"");
    let port = rig.far_address().port();
    let shown = rig.admin(&format!(
        "add trunk hidden host 127.0.0.1 port {port} media nat"
    ));
    assert!(shown.contains("whoever sends first"), "{shown}");
    rig.until("the trunk is up", async || {
        let shown = rig.admin("show trunk hidden");
        shown.contains("up for").then_some(())
    })
    .await;
    one_fax(&rig, "To behind a NAT").await;
    let caller = rig.call_in(&fax::pages(1), &hidden);
    assert_eq!(rig.wait_faxes(1).await.len(), 1);
    drop(caller);
    assert!(
        rig.logs()
            .contains("media come from elsewhere than signalled")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_finds_no_media_port_is_refused_and_counted() {
    let mut rig = Rig::builder().start().await;
    // The ports are the gateway's until it stops; then somebody else has them all.
    let first = rig.media_port();
    rig.stop().await;
    let taken: Vec<_> = (first..first + 200)
        .filter_map(|port| std::net::UdpSocket::bind(local(port)).ok())
        .collect();
    assert!(taken.len() >= 100);
    rig.restart().await;
    let caller = rig.call_in(&fax::pages(1), &[]);
    rig.until("it is counted", async || {
        rig.status().await["wanting_ports"]
            .as_u64()
            .filter(|n| *n > 0)
    })
    .await;
    rig.until("the log says what to do", async || {
        rig.logs()
            .contains("widen sip.media_port_min")
            .then_some(())
    })
    .await;
    drop(caller);
    let told = rig.faxpost(&["status"]);
    assert!(told.contains("found no free media port"), "{told}");
    let faxes = rig
        .count("SELECT CAST(COUNT(*) AS BIGINT) FROM received_fax")
        .await;
    assert_eq!(faxes, 0, "it was never answered");
}
