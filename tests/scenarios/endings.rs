//! Far ends that never end a call: we do.

use std::{net::UdpSocket, thread, time::Duration};

use faxpost_fax::{Event, Station, T38Endpoint, Verdict, Work, udptl};

use super::carriers;
use crate::support::{OUR_NUMBER, fax, peer::Peer, ports::local};

/// A machine that sends over a socket that is connected, until all its pages are confirmed; then it is gone,
/// without DCN.
fn sends(socket: &UdpSocket, speed: u32, tiff: Vec<u8>, pages: usize) {
    let mut machine = T38Endpoint::new(&Station::default(), Work::send(tiff), true, 400).unwrap();
    let mut sender = udptl::Sender::new(udptl::REDUNDANCY, 400);
    let mut receiver = udptl::Receiver::new();
    let (mut confirmed, mut datagram) = (0, [0; 2048]);
    socket.set_nonblocking(true).unwrap();
    while !machine.is_ended() {
        while let Ok(length) = socket.recv(&mut datagram) {
            for (seq, ifp) in receiver.packets(&datagram[..length]).unwrap() {
                machine.rx_ifp(seq, &ifp);
            }
        }
        machine.tick();
        while let Some(event) = machine.next_event() {
            if let Event::PageVerdict(page) = event {
                assert_eq!(page.verdict, Verdict::Confirmed);
                confirmed += 1;
            }
        }
        if confirmed == pages {
            return;
        }
        while let Some(ifp) = machine.take_tx_ifp() {
            let datagram = sender.datagram(ifp.seq, &ifp.data);
            for _ in 0..ifp.copies {
                let _ = socket.send(&datagram);
            }
        }
        if let Some(again) = sender.tick() {
            let _ = socket.send(again);
        }
        thread::sleep(Duration::from_millis(20) / speed);
    }
    panic!("the fax ended before its last page was confirmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_falls_silent_after_its_last_page_is_hung_up_and_its_fax_is_whole() {
    let rig = carriers::rig().start().await;
    let peer = Peer::at(&rig.far_address().to_string(), rig.sip_address()).await;
    let socket = UdpSocket::bind(local(0)).unwrap();
    let offer = carriers::fax(1, socket.local_addr().unwrap().port(), "");
    let invite = peer.invite("silent", "", &offer);
    peer.send(&invite.replace("+33123456789", OUR_NUMBER)).await;
    let ok = peer.response(200, "INVITE").await;
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "ack", "")).await;
    let line = ok.body().lines().find(|line| line.starts_with("m=image "));
    let port = line.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    socket.connect(local(port)).unwrap();
    let pages = fax::pages(2);
    let (tiff, speed) = (faxpost_t4::tiff::write(&pages).unwrap(), rig.speed());
    let machine = thread::spawn(move || sends(&socket, speed, tiff, 2));
    // Neither DCN nor BYE comes.
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    machine.join().unwrap();
    let mail = rig.wait_faxes(1).await.remove(0);
    assert!(mail.subject.starts_with("Fax from "), "{}", mail.subject);
    assert_eq!(fax::pdf_pages(&mail.pdf()).len(), 2);
    rig.no_call_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_cancels_at_once_or_after_our_200_leaves_no_call_and_no_mail() {
    let rig = carriers::rig().start().await;
    let peer = Peer::at(&rig.far_address().to_string(), rig.sip_address()).await;
    let offer = carriers::audio(1, 9);
    let invite = |id: &str| {
        peer.invite(id, "", &offer)
            .replace("+33123456789", OUR_NUMBER)
    };
    let cancel = |invite: &str| {
        let (head, _) = invite.split_once("Contact").unwrap();
        format!(
            "{}Content-Length: 0\r\n\r\n",
            head.replace("INVITE", "CANCEL")
        )
    };
    for n in 0..5 {
        let id = format!("cancel{n}");
        let invite = invite(&id);
        peer.send(&invite).await;
        peer.send(&cancel(&invite)).await;
        // Whichever was first: 487, or a 200 whose caller hangs up (RFC 3261 §9.1).
        let last = loop {
            let message = peer.receive().await;
            let of_this = message
                .header("Call-ID")
                .is_some_and(|of| of.starts_with(&id));
            let invites = message
                .header("CSeq")
                .is_some_and(|cseq| cseq.ends_with("INVITE"));
            if of_this && invites && message.status().is_some_and(|status| status >= 200) {
                break message;
            }
        };
        if last.status() == Some(200) {
            peer.send(&peer.in_dialog(&last, "ACK", 1, &format!("a{id}"), ""))
                .await;
            peer.send(&peer.in_dialog(&last, "BYE", 2, &format!("b{id}"), ""))
                .await;
            peer.response(200, "BYE").await;
        } else {
            assert_eq!(last.status(), Some(487));
            peer.send(&peer.in_dialog(&last, "ACK", 1, &id, "")).await;
        }
    }
    rig.no_call_is_left().await;
    let open = "SELECT COUNT(*) FROM received_fax WHERE state = 'receiving'";
    rig.until("no fax is open", async || {
        (rig.count(open).await == 0).then_some(())
    })
    .await;
    assert!(rig.letters().is_empty(), "nothing came, nothing is mailed");
}
