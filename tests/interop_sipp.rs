//! Trunks that sipp plays (`tests/sipp/*.xml`), and what the sender is told.

#![allow(clippy::unwrap_used)]

#[path = "sipp/calls.rs"]
mod calls;
mod support;

use std::{
    collections::HashSet,
    net::UdpSocket,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use support::{FAR_NUMBER, LIMIT, Rig, RigBuilder, letters, ports, ports::local};
use tokio::process::{Child, Command};

/// Every ending is told after the first call, but for a busy line and a trunk that fails.
const ONE_CALL: &str = "max_calls = 3\nmax_tries = 3\nrepeat_unknown = false\nremember_days = 90\n[wait_s]\nbusy = [1]\nno_answer = []\n\
                        protocol = []\ntrunk = [0]\nno_fax = []\n";

fn rig(speed: u32) -> RigBuilder {
    Rig::builder()
        .without_far_end()
        .speed(speed)
        .policy("sending.toml", ONE_CALL)
        // The scenarios know calls only.
        .setting("sip", "ring_timeout_s = 2\nprobe_s = 0")
}

/// sipp at the trunk's address; it ends after so many calls.
fn sipp(rig: &Rig, scenario: &str, calls: u32, rtp_port: u16) -> Child {
    sipp_with(rig, scenario, calls, rtp_port, &[])
}

/// As [`sipp`], with words that the scenario leaves open.
fn sipp_with(rig: &Rig, scenario: &str, calls: u32, rtp: u16, keys: &[(&str, &str)]) -> Child {
    sipp_at(rig, rig.far_address().port(), scenario, calls, rtp, keys)
}

fn sipp_at(
    rig: &Rig,
    port: u16,
    scenario: &str,
    calls: u32,
    rtp_port: u16,
    keys: &[(&str, &str)],
) -> Child {
    started(command(rig, port, scenario, calls, rtp_port, keys))
}

fn started(mut sipp: Command) -> Child {
    sipp.spawn().unwrap_or_else(|error| {
        panic!("sipp can't be started ({error}): deploy/deps.sh interop installs it")
    })
}

fn command(
    rig: &Rig,
    port: u16,
    scenario: &str,
    calls: u32,
    rtp_port: u16,
    keys: &[(&str, &str)],
) -> Command {
    // sipp takes no words of ours in a status line, so they are written into the scenario.
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/tests/sipp/{scenario}.xml")).unwrap();
    let text = keys.iter().fold(text, |text, (key, value)| {
        text.replace(&format!("[{key}]"), value)
    });
    let file = rig.data_dir().join(format!("{scenario}-{port}.xml"));
    std::fs::write(&file, text).unwrap();
    let mut sipp = Command::new("sipp");
    sipp.args(["-sf", &file.display().to_string()])
        .args(["-i", "127.0.0.1", "-p", &port.to_string()])
        .args(["-m", &calls.to_string(), "-nostdin"])
        .args(["-timeout", &LIMIT.as_secs().to_string(), "-timeout_error"])
        // How long <pause/> is: audio after the refused offer.
        .args(["-d", "2000"])
        .args(["-key", "rtp_port", &rtp_port.to_string()])
        .args(["-key", "marker", &marker(rig).display().to_string()])
        .current_dir(rig.data_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    sipp
}

/// The file that a scenario makes when our T.38 was refused.
fn marker(rig: &Rig) -> std::path::PathBuf {
    rig.data_dir().join("t38-refused")
}

/// sipp says 0 when every call went as its scenario has it.
async fn assert_as_written(sipp: Child) {
    let ended = sipp.wait_with_output().await.unwrap();
    assert!(
        ended.status.success(),
        "sipp: {}\n{}\n{}",
        ended.status,
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// One mail to the trunk that plays `scenario`: the one report, and the calls that it took.
async fn told(scenario: &str, calls: u32) -> letters::Letter {
    let rig = rig(5).start().await;
    let sipp = sipp(&rig, scenario, calls, 9);
    let message = letters::message("A line", "Hello", &[]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("A line").await;
    assert_as_written(sipp).await;
    assert_eq!(rig.letters().len(), 1, "one report");
    let job = rig.wait_job(&["failed"]).await;
    assert_eq!((job.tries, job.pages_confirmed), (i64::from(calls), 0));
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_line_is_called_again_and_then_told() {
    let report = told("busy", 2).await;
    report.assert_says("The line was busy.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_rings_for_ever_is_told_as_no_answer() {
    let report = told("ring", 1).await;
    report.assert_says("Nobody answered: it rang, but no machine took the call.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_says_nothing_is_told_as_the_trunks_fault() {
    let report = told("silent", 2).await;
    // Nothing rang: whoever says so sends people to look at a fax machine that is well.
    assert!(!report.words().contains("it rang"), "{}", report.text);
    report.assert_says(
        faxpost::outcome::by_key("trunk-unreachable")
            .unwrap()
            .what
            .en,
    );
}

/// A refusal with this status: what the report says, after so many calls.
async fn refused(status: &str, says: &str, calls: u32) {
    let rig = rig(5).start().await;
    let sipp = sipp_with(&rig, "refuse", calls, 9, &[("status", status)]);
    let message = letters::message("A line", "Hello", &[]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("A line").await;
    assert_as_written(sipp).await;
    report.assert_says(says);
    let job = rig.wait_job(&["failed"]).await;
    assert_eq!((job.tries, job.pages_confirmed), (i64::from(calls), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_does_not_exist_is_called_once() {
    let outcome = faxpost::outcome::by_key("no-such-number").unwrap();
    refused("404 Not Found", outcome.what.en, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_declined_is_not_repeated() {
    let outcome = faxpost::outcome::by_key("rejected").unwrap();
    refused("603 Decline", outcome.what.en, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_takes_no_media_of_ours_is_told_as_that() {
    let outcome = faxpost::outcome::by_key("media-refused").unwrap();
    refused("488 Not Acceptable Here", outcome.what.en, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_503_goes_to_the_next_trunk_in_the_same_call() {
    let rig = rig(5).start().await;
    let failing = sipp_with(
        &rig,
        "refuse",
        1,
        9,
        &[("status", "503 Service Unavailable")],
    );
    // The same document goes out by the other one, which is busy: one call on record, no second try of
    // the first.
    let other = ports::free();
    rig.admin(&format!(
        "add trunk other host 127.0.0.1 port {other} priority 5"
    ));
    let busy = sipp_at(&rig, other, "refuse", 1, 9, &[("status", "603 Decline")]);
    rig.until("the line has taken it up", async || {
        let shown = rig.admin("show trunk other");
        shown.contains("sees it: ").then_some(())
    })
    .await;
    let message = letters::message("A line", "Hello", &[]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("A line").await;
    assert_as_written(failing).await;
    assert_as_written(busy).await;
    report.assert_says(faxpost::outcome::by_key("rejected").unwrap().what.en);
    let job = rig.wait_job(&["failed"]).await;
    assert_eq!(job.tries, 1);
    assert_eq!(rig.count("SELECT COUNT(*) FROM call").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_to_invite_is_answered_as_sipp_wants_it() {
    let mut rig = rig(5).start().await;
    rig.admin("set trunk \"far end\" user us password open-sesame");
    // Taken up within seconds without it; a call before that would go out without the password.
    rig.stop().await;
    rig.restart().await;
    let sipp = sipp(&rig, "challenge", 1, 9);
    let message = letters::message("A line", "Hello", &[]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("A line").await;
    assert_as_written(sipp).await;
    report.assert_says(faxpost::outcome::by_key("rejected").unwrap().what.en);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_proven_as_sipp_wants_it() {
    let rig = rig(5).start().await;
    let sipp = sipp(&rig, "register", 1, 9);
    rig.admin("set trunk \"far end\" user us password open-sesame register on");
    rig.until("it is registered", async || {
        let shown = rig.admin("show trunk \"far end\"");
        shown.contains("registered for").then_some(())
    })
    .await;
    assert_as_written(sipp).await;
}

/// What came over RTP on one call.
#[derive(Debug, Default)]
struct Heard {
    before: u32,
    after: u32,
    /// Sequence numbers that are not one more than the last (RFC 3550 §5.1).
    jumps: u32,
    sources: HashSet<[u8; 4]>,
    lengths: HashSet<usize>,
}

/// Listens until nothing has come for a while; `marker` parts before and after the refusal.
fn listen(socket: &UdpSocket, marker: &Path) -> Heard {
    let mut heard = Heard::default();
    let mut packet = [0; 2048];
    let mut last: Option<u16> = None;
    let since = Instant::now();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    while since.elapsed() < LIMIT {
        let Ok(length) = socket.recv(&mut packet) else {
            break;
        };
        // Far longer than between two packets.
        let pause = Duration::from_secs(5);
        socket.set_read_timeout(Some(pause)).unwrap();
        let number = u16::from_be_bytes([packet[2], packet[3]]);
        if last.is_some_and(|last| last.wrapping_add(1) != number) {
            heard.jumps += 1;
        }
        last = Some(number);
        heard.sources.insert(packet[8..12].try_into().unwrap());
        heard.lengths.insert(length);
        if marker.exists() {
            heard.after += 1;
        } else {
            heard.before += 1;
        }
    }
    heard
}

/// The trunk answers with G.711 and refuses our T.38 with 488. Gives the packets after it, when all is
/// as it was before.
async fn audio_after_488(scenario: &str, speed: u32) -> u32 {
    let rig = rig(speed).start().await;
    let socket = UdpSocket::bind(local(0)).unwrap();
    let sipp = sipp(&rig, scenario, 1, socket.local_addr().unwrap().port());
    let marker = marker(&rig);
    let listening = tokio::task::spawn_blocking(move || listen(&socket, &marker));
    let message = letters::message("A line", "Hello", &[]);
    rig.mail(&[FAR_NUMBER], &message).await;
    let report = rig.wait_report("A line").await;
    assert_as_written(sipp).await;
    report.assert_says("The call was answered, but no fax machine was heard.");
    let job = rig.wait_job(&["failed"]).await;
    assert_eq!((job.tries, job.outcome.as_deref()), (1, Some("no-fax")));

    let heard = listening.await.unwrap();
    assert!(heard.before > 0, "no audio before the offer: {heard:?}");
    assert_eq!(heard.sources.len(), 1, "one source all along: {heard:?}");
    assert_eq!(heard.jumps, 0, "packets lost or repeated: {heard:?}");
    // 20 ms of G.711 behind the header.
    assert_eq!(heard.lengths, HashSet::from([12 + 160]));
    heard.after
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_488_to_t38_the_audio_goes_on_until_the_trunk_hangs_up() {
    let packets = audio_after_488("refuse-t38-hang-up", 5).await;
    // Two seconds at five times the pace are 500; a busy machine sends fewer.
    assert!(packets > 100, "{packets} packets after 488");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_488_to_t38_the_call_lasts_until_our_own_limit() {
    let packets = audio_after_488("refuse-t38-stay", 20).await;
    // T.30 §5.4.2: T1 is 35 s, and we offered T.38 after 6.
    assert!(packets > 25 * 50, "{packets} packets after 488");
}
