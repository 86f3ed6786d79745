//! The sandbox of children, tried from within by probes in the real binary: what a child can't
//! do, what it can, how it ends, and that the gateway is told.
//!
//! The tests ask for a whole sandbox where the kernel allows one. Where a container refuses a
//! part, they say so and check the parts that are there.
#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use faxpost::worker::probe::{Answer, Probe};
use faxpost::worker::sandbox::Part;
use faxpost::worker::{
    Blob, Child, Ending, Kind, LimitHit, Limits, Program, SpawnError, try_sandbox,
};

/// Refusals: not permitted (seccomp), no access (Landlock).
const EPERM: i32 = 1;
const EACCES: i32 = 13;

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_faxpost")
}

async fn probe_within(kind: Kind, limits: &Limits) -> Child {
    let word = format!("probe-{}", kind.word());
    let program = Program::with_word(binary(), &word);
    Child::spawn(&program, kind, limits).await.unwrap()
}

async fn probe(kind: Kind) -> Child {
    probe_within(kind, &Limits::of(kind)).await
}

async fn try_with(child: &mut Child, probe: Probe, fds: Vec<OwnedFd>) -> Answer {
    child.sender().send_with(&probe, fds).await.unwrap();
    let frame = child.next().await;
    let frame = frame.unwrap_or_else(|| panic!("the child ended on {probe:?}"));
    frame.decode().unwrap()
}

async fn attempt(child: &mut Child, probe: Probe) -> Answer {
    try_with(child, probe, Vec::new()).await
}

/// Says a thing that ends the child, and returns how it ended.
async fn fatal(mut child: Child, probe: Probe) -> Ending {
    child.sender().send(&probe).await.unwrap();
    let last = child.next().await;
    assert!(last.is_none(), "{probe:?} was answered");
    child.wait().await
}

#[tokio::test]
async fn this_machine_holds_every_part() {
    for kind in [Kind::Paper, Kind::Line] {
        let report = try_sandbox(&Program::at(binary()), kind).await.unwrap();
        for missing in &report.missing {
            println!("{}: {missing}", kind.word());
        }
        // These need nothing of the kernel that a container takes away.
        for part in [Part::Limits, Part::ParentDeath, Part::Seccomp] {
            assert!(report.holds(part), "{part}");
        }
    }
}

#[tokio::test]
async fn a_child_can_open_no_file() {
    for kind in [Kind::Paper, Kind::Line] {
        let mut child = probe(kind).await;
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "key").unwrap();
        let new = directory.path().join("new");
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let mut tried = vec![
            Probe::Open("/etc/passwd".to_owned()),
            Probe::Open("/proc/self/maps".to_owned()),
            Probe::Open("/proc/self/environ".to_owned()),
            Probe::Open("/dev/null".to_owned()),
            Probe::Open("/".to_owned()),
            Probe::Open(path(&secret)),
            Probe::Create(path(&new)),
        ];
        if kind == Kind::Line && !child.report.holds(Part::Landlock) {
            println!("no Landlock here: a line worker's files are not tested");
            tried.clear();
        }
        for probe in tried {
            let answer = attempt(&mut child, probe.clone()).await;
            assert!(
                matches!(answer, Err(EPERM | EACCES)),
                "{kind:?} {probe:?}: {answer:?}"
            );
        }
        assert!(!new.exists());
    }
}

#[tokio::test]
async fn a_child_can_reach_no_one() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let unix = directory.path().join("socket");
    let _listener = UnixListener::bind(&unix).unwrap();
    for kind in [Kind::Paper, Kind::Line] {
        let mut child = probe(kind).await;
        for probe in [
            Probe::BindUdp,
            Probe::ListenTcp,
            Probe::ConnectTcp(tcp.local_addr().unwrap()),
            Probe::ConnectUnix(unix.to_str().unwrap().to_owned()),
            Probe::SocketPair,
            Probe::Execute("/bin/true".to_owned()),
            Probe::Signal(i32::try_from(std::process::id()).unwrap()),
            Probe::RaiseLimit,
        ] {
            let answer = attempt(&mut child, probe.clone()).await;
            assert_eq!(answer, Err(EPERM), "{kind:?} {probe:?}");
        }
    }
}

/// A connected UDP socket in a child's hands goes to its peer and nowhere else.
#[tokio::test]
async fn a_given_socket_serves_its_peer_only() {
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    near.connect(far.local_addr().unwrap()).unwrap();
    let to: SocketAddr = stranger.local_addr().unwrap();
    let given = || vec![OwnedFd::from(near.try_clone().unwrap())];

    let mut child = probe(Kind::Line).await;
    let peer = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        let (length, from) = far.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"ping");
        far.send_to(b"pong", from).unwrap();
    });
    let answer = try_with(&mut child, Probe::SendGiven, given()).await;
    assert_eq!(answer, Ok("pong".to_owned()));
    peer.join().unwrap();

    let answer = try_with(&mut child, Probe::SendElsewhere(to), given()).await;
    assert_eq!(answer, Err(EPERM));
    let answer = try_with(&mut child, Probe::ConnectGiven(to), given()).await;
    assert_eq!(answer, Err(EPERM));
    stranger.set_nonblocking(true).unwrap();
    assert!(
        stranger.recv(&mut [0; 100]).is_err(),
        "the stranger heard something"
    );
}

#[tokio::test]
async fn descriptors_reach_the_child() {
    for kind in [Kind::Paper, Kind::Line] {
        let mut child = probe(kind).await;
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let (mut second, other) = UnixStream::pair().unwrap();
        let fds = vec![OwnedFd::from(writer), OwnedFd::from(other)];
        let answer = try_with(&mut child, Probe::WriteGiven("hello".to_owned()), fds).await;
        assert_eq!(answer, Ok("2".to_owned()));
        for end in [&mut reader, &mut second] {
            let mut text = String::new();
            // To the end: the copies here and in the child are closed.
            end.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        }
    }
}

#[tokio::test]
async fn a_line_worker_has_files_in_memory() {
    let mut child = probe(Kind::Line).await;
    let answer = attempt(&mut child, Probe::Memfd("II*page".to_owned())).await;
    assert_eq!(answer, Ok("II*page".to_owned()));
    let mut child = probe(Kind::Paper).await;
    let answer = attempt(&mut child, Probe::Memfd("none".to_owned())).await;
    assert_eq!(answer, Err(EPERM));
}

#[tokio::test]
async fn a_line_workers_files_are_bounded() {
    let limits = Limits::of(Kind::Line);
    let child = probe_within(Kind::Line, &limits).await;
    let ending = fatal(child, Probe::LargeMemfd(limits.file_size + 1)).await;
    assert_eq!(ending, Ending::Limit(LimitHit::FileSize));
}

#[tokio::test]
async fn threads_work_and_are_bounded() {
    for kind in [Kind::Paper, Kind::Line] {
        let limits = Limits::of(kind);
        let mut child = probe(kind).await;
        assert_eq!(
            attempt(&mut child, Probe::Thread).await,
            Ok("thread".to_owned())
        );
        let asked = u32::try_from(limits.threads * 2).unwrap();
        let answer = attempt(&mut child, Probe::Threads(asked)).await.unwrap();
        let started: u64 = answer.parse().unwrap();
        assert!(started >= limits.threads / 2, "only {started}");
        // The kernel never bounds the system's own root (user 0 outside any namespace).
        let root = rustix::process::getuid().is_root();
        if child.report.holds(Part::Namespaces) && !root {
            assert!(started < limits.threads);
        }
    }
}

#[tokio::test]
async fn a_child_has_no_privileges() {
    for kind in [Kind::Paper, Kind::Line] {
        let mut child = probe(kind).await;
        // Reading them is not on the list either; their absence is seen from outside.
        assert_eq!(attempt(&mut child, Probe::Capabilities).await, Err(EPERM));
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].trim().to_owned()
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(u64::from_str_radix(&field(set), 16), Ok(0), "{set}");
        }
        assert_eq!(field("NoNewPrivs:"), "1");
        assert_eq!(field("Seccomp:"), "2");
    }
}

#[tokio::test]
async fn a_child_dies_at_its_memory_limit() {
    for kind in [Kind::Paper, Kind::Line] {
        let limits = Limits {
            address_space: 512 << 20,
            ..Limits::of(kind)
        };
        let child = probe_within(kind, &limits).await;
        assert_eq!(
            fatal(child, Probe::Eat).await,
            Ending::Limit(LimitHit::Memory)
        );
    }
}

#[tokio::test]
async fn a_child_dies_at_its_processor_limit() {
    let limits = Limits {
        cpu: Some(Duration::from_secs(1)),
        ..Limits::of(Kind::Paper)
    };
    let child = probe_within(Kind::Paper, &limits).await;
    assert_eq!(
        fatal(child, Probe::Spin).await,
        Ending::Limit(LimitHit::Processor)
    );
}

#[tokio::test]
async fn a_child_dies_at_the_end_of_its_stack() {
    let child = probe(Kind::Paper).await;
    assert_eq!(
        fatal(child, Probe::Recurse).await,
        Ending::Limit(LimitHit::Stack)
    );
}

#[tokio::test]
async fn endings_are_told_apart() {
    let child = probe(Kind::Paper).await;
    assert_eq!(fatal(child, Probe::Exit(0)).await, Ending::Finished);
    let child = probe(Kind::Paper).await;
    assert_eq!(fatal(child, Probe::Exit(7)).await, Ending::Failed(7));
    let child = probe(Kind::Paper).await;
    let panic = Probe::Panic("quotes the document".to_owned());
    assert_eq!(fatal(child, panic).await, Ending::Failed(101));

    let mut child = probe(Kind::Line).await;
    assert_eq!(
        attempt(&mut child, Probe::Hang).await,
        Ok("hanging".to_owned())
    );
    let handle = child.handle();
    handle.kill();
    assert!(child.next().await.is_none());
    assert_eq!(handle.ended().await, Ending::Killed);
    // Once more harms nobody.
    handle.kill();
    assert_eq!(child.wait().await, Ending::Killed);
}

#[tokio::test]
async fn a_child_that_breaks_the_protocol_is_ended() {
    let mut child = probe(Kind::Paper).await;
    // The write is 64 bytes of 0xff: a frame of 4 GB.
    child.sender().send(&Probe::Babble).await.unwrap();
    assert!(child.next().await.is_none());
    let ending = child.wait().await;
    assert!(
        matches!(ending, Ending::Crashed(9) | Ending::Failed(_)),
        "{ending:?}"
    );
}

#[tokio::test]
async fn large_frames_pass_both_ways_and_a_talker_is_held_back() {
    let mut child = probe(Kind::Paper).await;
    let answer = attempt(&mut child, Probe::Count(Blob(vec![3; 40_000_000]))).await;
    assert_eq!(answer, Ok("40000000".to_owned()));
    // More frames than wait anywhere: it goes on as they are taken.
    child
        .sender()
        .send(&Probe::Chatter(300, 100_000))
        .await
        .unwrap();
    for _ in 0..300 {
        let blob: Blob = child.next().await.unwrap().decode().unwrap();
        assert_eq!(blob.0.len(), 100_000);
    }
    let done: Answer = child.next().await.unwrap().decode().unwrap();
    assert_eq!(done, Ok("done".to_owned()));
    // And one that nobody listens to ends when it is dropped.
    child
        .sender()
        .send(&Probe::Chatter(u32::MAX, 100_000))
        .await
        .unwrap();
    let handle = child.handle();
    drop(child);
    assert_eq!(handle.ended().await, Ending::Killed);
}

#[tokio::test]
async fn dropping_a_child_kills_and_reaps_it() {
    let mut child = probe(Kind::Line).await;
    assert_eq!(
        attempt(&mut child, Probe::Hang).await,
        Ok("hanging".to_owned())
    );
    let (handle, pid) = (child.handle(), child.pid());
    drop(child);
    assert_eq!(handle.ended().await, Ending::Killed);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

/// A program that is no worker ends in an error, not in waiting.
#[tokio::test]
async fn what_is_no_worker_is_refused() {
    let limits = Limits::of(Kind::Paper);
    let absent = Child::spawn(&Program::at("/nonexistent/faxpost"), Kind::Paper, &limits).await;
    assert!(matches!(absent, Err(SpawnError::Start(_))), "{absent:?}");
    let silent = Child::spawn(&Program::at("/bin/true"), Kind::Paper, &limits).await;
    assert!(
        matches!(silent, Err(SpawnError::Ended(Ending::Finished))),
        "{silent:?}"
    );
}

#[test]
fn a_worker_started_by_hand_explains_itself() {
    for args in [
        &["worker"][..],
        &["worker", "paper"],
        &["worker", "bread", "1", "2", "3", "4", "5"],
    ] {
        let output = Command::new(binary()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("not by hand")
        );
    }
}

/// A busy child that never looks at its socket dies when the gateway is killed.
#[test]
fn a_child_does_not_outlive_the_gateway() {
    // The gateway is this test's own program, running the helper below.
    let mut gateway = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "helper_gateway_with_a_busy_child",
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let pid: i32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("child ")?.parse().ok())
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let child = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    // Readable when the process has ended.
    let mut fds = [rustix::event::PollFd::new(
        &child,
        rustix::event::PollFlags::IN,
    )];
    let patience = rustix::event::Timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    assert_eq!(
        rustix::event::poll(&mut fds, Some(&patience)),
        Ok(1),
        "it lives on"
    );
}

#[tokio::test]
#[ignore = "run by a_child_does_not_outlive_the_gateway"]
async fn helper_gateway_with_a_busy_child() {
    let mut child = probe(Kind::Paper).await;
    assert_eq!(
        attempt(&mut child, Probe::Hang).await,
        Ok("hanging".to_owned())
    );
    println!("child {}", child.pid());
    child.next().await;
    unreachable!("this process is killed");
}

/// The threads that start children come and go; the children stay.
#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let child = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(probe(Kind::Line))
    });
    let mut child = child.join().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(attempt(&mut child, Probe::Memfd("alive".to_owned())));
    assert_eq!(answer, Ok("alive".to_owned()));
}

/// What a test file shares with a child is the open file, as with any descriptor.
#[tokio::test]
async fn a_file_can_be_handed_to_a_child() {
    let mut file: File = tempfile::tempfile().unwrap();
    let mut child = probe(Kind::Line).await;
    let fds = vec![OwnedFd::from(file.try_clone().unwrap())];
    let answer = try_with(&mut child, Probe::WriteGiven("page".to_owned()), fds).await;
    assert_eq!(answer, Ok("1".to_owned()));
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "page");
}
