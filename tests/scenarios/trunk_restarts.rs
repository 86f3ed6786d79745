//! A trunk that restarts while a page is on the line: its media go on where they can, its call ends honestly, and
//! the next one finds it again.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::carriers::{Carrier, fax, rig};
use crate::support::{
    FAR_NUMBER, Rig, SAMPLE_PDF, letters,
    peer::Peer,
    ports::{self, local},
    scripted::{Script, media::Media},
    short_waits,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_forgets_its_call_within_a_page_costs_no_page_and_takes_the_next_call() {
    let rig = rig().start().await;
    let mut carrier = Carrier::called(&rig, "Forgotten", "").await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    let agreed = carrier.offers(&fax(2, media.port(), "")).await;
    assert_eq!(agreed.status(), Some(200));
    rig.in_page(2).await;
    // Its signalling dies, its media gateway does not.
    drop(carrier);
    rig.in_page(3).await;
    let back = Peer::at(&rig.far_address().to_string(), rig.sip_address()).await;
    let bye = back.request("BYE").await;
    back.answer(&bye, "481 Call/Transaction Does Not Exist", "", "")
        .await;
    let report = rig.wait_report("Forgotten").await;
    assert!(report.subject.starts_with("Sent: "), "{}", report.subject);
    let job = rig.jobs().await.remove(0);
    assert_eq!((job.tries, job.pages_confirmed), (1, 4), "{job:?}");
    rig.no_call_is_left().await;

    let message = letters::message("Next", "Hello.", &[]);
    let mut carrier = Carrier::called_with(back, &rig, &message, "").await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    carrier.offers(&fax(2, media.port(), "")).await;
    carrier.is_hung_up().await;
    let report = rig.wait_report("Next").await;
    assert!(report.subject.starts_with("Sent: "), "{}", report.subject);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_dies_with_its_media_leaves_the_page_unknown_and_the_line_free() {
    let rig = rig().start().await;
    let mut carrier = Carrier::called(&rig, "Dead", "").await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    carrier.offers(&fax(2, media.port(), "")).await;
    rig.in_page(2).await;
    media.fall_silent();
    drop(carrier);
    let report = rig.wait_report("Dead").await;
    let job = rig.wait_job(&["unknown"]).await;
    assert_eq!((job.tries, job.pages_confirmed), (1, 1), "{job:?}");
    report.assert_says("1 confirmed; 2 unknown");
    rig.no_call_is_left().await;
}

/// TCP to the far end by way of a process that may restart.
struct Proxy {
    at: SocketAddr,
    to: SocketAddr,
    running: JoinSet<()>,
}

impl Proxy {
    async fn start(at: SocketAddr, to: SocketAddr) -> Self {
        let mut running = JoinSet::new();
        let listener = TcpListener::bind(at).await.unwrap();
        running.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                carried.spawn(async move {
                    if let Ok(mut there) = TcpStream::connect(to).await {
                        let _ = copy_bidirectional(&mut from, &mut there).await;
                    }
                });
            }
        });
        Self { at, to, running }
    }

    /// Every connection breaks; then it is there again.
    async fn restart(&mut self) {
        self.running.shutdown().await;
        *self = Self::start(self.at, self.to).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_over_tcp_that_restarts_within_a_page_costs_nothing() {
    let mut rig = Rig::builder()
        .policy("sending.toml", &short_waits(false))
        .start()
        .await;
    let mut proxy = Proxy::start(local(ports::free()), rig.far_address()).await;
    let port = proxy.at.port();
    rig.admin(&format!("set trunk \"far end\" transport tcp port {port}"));
    rig.stop().await;
    rig.restart().await;
    let pdf: [(&str, &str, &[u8]); 1] = [("application/pdf", "sample.pdf", SAMPLE_PDF)];
    rig.mail(&[FAR_NUMBER], &letters::message("Stream", "Hello.", &pdf))
        .await;
    rig.in_page(2).await;
    proxy.restart().await;
    let report = rig.wait_report("Stream").await;
    assert!(report.subject.starts_with("Sent: "), "{}", report.subject);
    assert_eq!(rig.far_fax(1).await.len(), 4);
    rig.no_call_is_left().await;
    rig.mail(&[FAR_NUMBER], &letters::message("After it", "Hello.", &[]))
        .await;
    rig.wait_report("After it").await;
    for job in rig.jobs().await {
        assert_eq!((job.state.as_str(), job.tries), ("sent", 1), "{job:?}");
    }
}
