//! What sipp does to a call that stands, and the scripted fax machine hears of it; registrations that are lost.

use std::path::PathBuf;

use tokio::{net::UdpSocket, process::Child};

use super::{
    ONE_CALL, assert_as_written, command, marker, rig, sipp, sipp_with, started,
    support::{
        FAR_NUMBER, OUR_NUMBER, Rig, RigBuilder, SAMPLE_PDF, letters, phone,
        ports::{self, local},
        scripted::{Script, ScriptedFax, media::Media},
    },
};

/// A line that is slow enough to be cut within a page, and to which T1 is that of real lines: what sipp
/// has not answered is not repeated while it is busy.
fn slow() -> RigBuilder {
    rig(8).t1_ms(500)
}

/// A fax of four pages on its way, its SIP by sipp and its T.38 by `media`.
async fn faxing(rig: &Rig, scenario: &str, media: &Media, moved: u16) -> (Child, UdpSocket) {
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let rtp = sound.local_addr().unwrap().port();
    let (fax, moved) = (media.port().to_string(), moved.to_string());
    let ports = [("fax_port", fax.as_str()), ("moved_port", moved.as_str())];
    let sipp = sipp_with(rig, scenario, 1, rtp, &ports);
    let pdf: [(&str, &str, &[u8]); 1] = [("application/pdf", "sample.pdf", SAMPLE_PDF)];
    rig.mail(&[FAR_NUMBER], &letters::message("By sipp", "Hello", &pdf))
        .await;
    (sipp, sound)
}

/// Tells sipp to go on: an INFO in its call, which its scenario waits for.
async fn nudge(rig: &Rig) {
    let id = rig
        .until("sipp tells its Call-ID", async || {
            let id = std::fs::read_to_string(marker(rig)).ok()?;
            id.ends_with('\n').then(|| id.trim().to_owned())
        })
        .await;
    let socket = UdpSocket::bind(local(0)).await.unwrap();
    let ours = socket.local_addr().unwrap();
    let info = format!(
        "INFO sip:sipp@{far} SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bKnudge\r\nMax-Forwards: 70\r\n\
         From: <sip:test@{ours}>;tag=test\r\nTo: <sip:sipp@{far}>\r\nCall-ID: {id}\r\nCSeq: 1 INFO\r\n\
         Content-Length: 0\r\n\r\n",
        far = rig.far_address(),
    );
    socket
        .send_to(info.as_bytes(), rig.far_address())
        .await
        .unwrap();
}

fn repeating() -> String {
    ONE_CALL
        .replace("repeat_unknown = false", "repeat_unknown = true")
        .replace("protocol = []", "protocol = [3]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bye_within_a_page_leaves_it_unknown_and_the_rest_unsent() {
    let rig = slow().start().await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    let (sipp, _sound) = faxing(&rig, "bye-in-page", &media, 9).await;
    rig.in_page(2).await;
    nudge(&rig).await;
    assert_as_written(sipp).await;
    let report = rig.wait_report("By sipp").await;
    let job = rig.wait_job(&["unknown"]).await;
    assert_eq!((job.tries, job.pages_confirmed), (1, 1));
    assert_eq!(job.outcome.as_deref(), Some("dropped-in-page"));
    let verdicts: Vec<_> = rig.page_reports(&job.job_id).await;
    let verdicts: Vec<&str> = verdicts
        .iter()
        .map(|(.., verdict)| verdict.as_str())
        .collect();
    assert_eq!(verdicts, ["confirmed", "unknown", "unsent", "unsent"]);
    report.assert_says("1 confirmed; 2 unknown");
    rig.no_call_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_bye_within_a_page_the_next_call_begins_with_that_page() {
    let rig = slow().policy("sending.toml", &repeating()).start().await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    let (sipp, _sound) = faxing(&rig, "bye-in-page", &media, 9).await;
    rig.in_page(2).await;
    nudge(&rig).await;
    assert_as_written(sipp).await;
    let far = ScriptedFax::start(rig.far_address(), rig.speed(), &[Script::ecm(&[])]).await;
    let report = rig.wait_report("By sipp").await;
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!((job.tries, job.pages_confirmed), (2, 4));
    let frames = far.pages(0);
    let ends = ["PPS-MPS", "PPS-EOP"];
    let sent = frames.iter().filter(|name| ends.contains(&name.as_str()));
    assert_eq!(sent.count(), 3, "from page 2 on: {frames:?}");
    report.assert_says("Possible repeats: 2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_that_move_within_a_page_are_followed_and_audio_in_it_is_refused() {
    let rig = slow().start().await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    let (port, elsewhere) = media.elsewhere().await;
    let (sipp, _sound) = faxing(&rig, "move-in-page", &media, port).await;
    rig.in_page(3).await;
    nudge(&rig).await;
    let moved = PathBuf::from(format!("{}-moved", marker(&rig).display()));
    rig.until("the move is agreed on", async || {
        moved.exists().then_some(())
    })
    .await;
    media.go(elsewhere);
    rig.wait_report("By sipp").await;
    assert_as_written(sipp).await;
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!((job.tries, job.pages_confirmed), (1, 4));
    let frames = media.frames();
    assert_eq!(
        frames.iter().filter(|name| name.starts_with("DCS")).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn re_invites_that_meet_are_both_refused_and_the_trunks_second_is_taken() {
    let rig = slow().start().await;
    let media = Media::start(rig.speed(), &Script::ecm(&[])).await;
    let (sipp, _sound) = faxing(&rig, "glare", &media, 9).await;
    rig.wait_report("By sipp").await;
    assert_as_written(sipp).await;
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!((job.tries, job.pages_confirmed), (1, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_falls_silent_after_its_200_is_left_by_our_own_clock() {
    let rig = rig(20).start().await;
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let sipp = sipp(&rig, "mute", 1, sound.local_addr().unwrap().port());
    rig.mail(&[FAR_NUMBER], &letters::message("Mute", "Hello", &[]))
        .await;
    let report = rig.wait_report("Mute").await;
    assert_as_written(sipp).await;
    report.assert_says("The call was answered, but no fax machine was heard.");
    assert_eq!(rig.jobs().await[0].tries, 1);
    rig.no_call_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_never_acknowledges_is_hung_up_and_leaves_nothing() {
    let rig = rig(5).start().await;
    let sound = UdpSocket::bind(local(0)).await.unwrap();
    let rtp = sound.local_addr().unwrap().port();
    let mut caller = command(&rig, ports::free(), "no-ack", 1, rtp, &[]);
    caller.args(["-s", OUR_NUMBER, &rig.sip_address().to_string()]);
    assert_as_written(started(caller)).await;
    rig.no_call_is_left().await;
    let open = "SELECT COUNT(*) FROM received_fax WHERE state <> 'failed'";
    rig.until("the fax has failed", async || {
        (rig.count(open).await == 0).then_some(())
    })
    .await;
    assert_eq!(rig.count("SELECT COUNT(*) FROM received_fax").await, 1);
    assert!(rig.letters().is_empty(), "nothing came, nothing is mailed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_of_a_proxy_is_answered_too() {
    let mut rig = rig(5).start().await;
    rig.admin("set trunk \"far end\" user us password open-sesame");
    rig.stop().await;
    rig.restart().await;
    let sipp = sipp(&rig, "challenge-proxy", 1, 9);
    rig.mail(&[FAR_NUMBER], &letters::message("A line", "Hello", &[]))
        .await;
    let report = rig.wait_report("A line").await;
    assert_as_written(sipp).await;
    report.assert_says(faxpost::outcome::by_key("rejected").unwrap().what.en);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_that_is_lost_is_told_and_comes_back() {
    let rig = rig(5).start().await;
    let sipp = sipp(&rig, "register-lost", 1, 9);
    rig.admin("set trunk \"far end\" user us password open-sesame register on");
    let shows = async |words: &str| {
        rig.until(words, async || {
            let shown = rig.admin("show trunk \"far end\"");
            shown.contains(words).then_some(())
        })
        .await;
    };
    shows("the registrar said 403").await;
    assert!(marker(&rig).exists());
    // All that the scenario has happened, the last grant among it.
    assert_as_written(sipp).await;
    shows("registered for").await;
    // Who it lets through is heard as before.
    assert_eq!(
        phone::invite(rig.sip_address(), "+33199009999")
            .await
            .last(),
        Some(&404)
    );
}
