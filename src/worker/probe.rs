//! A child that tries what it must not be able to do, for the tests of the sandbox.
//!
//! It wears the real sandbox of its kind (`faxpost worker probe-paper`, `probe-line`) and then
//! does as it is told. Only in builds with debug assertions: a release has no such door.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};

use faxpost_paper::{Input, PaperError};
use faxpost_t4::Coding;

use super::frame::FrameSender;
use super::paper::{self, PaperReply, PaperRequest, WirePage};
use super::{Blob, FrameError, FrameSocket};

/// What to try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Probe {
    /// Opens a file to read.
    Open(String),
    /// Makes a file.
    Create(String),
    /// Makes a memfd, writes to it, and reads it back through `/proc/self/fd`.
    Memfd(String),
    /// Makes a memfd this long.
    LargeMemfd(u64),
    /// Binds a UDP socket.
    BindUdp,
    /// Listens on TCP.
    ListenTcp,
    /// Connects by TCP.
    ConnectTcp(SocketAddr),
    /// Connects to a Unix socket.
    ConnectUnix(String),
    /// Makes a pair of Unix sockets.
    SocketPair,
    /// Sends a datagram on the given UDP socket to its peer, and tells the answer.
    SendGiven,
    /// Sends a datagram on the given UDP socket to another address.
    SendElsewhere(SocketAddr),
    /// Connects the given UDP socket to another address.
    ConnectGiven(SocketAddr),
    /// Writes a word to each given descriptor.
    WriteGiven(String),
    /// Runs a program.
    Execute(String),
    /// Asks whether it may signal a process.
    Signal(i32),
    /// Raises its limit of open files.
    RaiseLimit,
    /// Starts a thread and takes its result.
    Thread,
    /// Starts this many threads that wait, and tells how many could be started.
    Threads(u32),
    /// Tells the capabilities it has.
    Capabilities,
    /// Uses the processor until it is stopped.
    Spin,
    /// Takes memory until it is stopped.
    Eat,
    /// Calls itself until the stack is full.
    Recurse,
    /// Panics with this message.
    Panic(String),
    /// Answers once, then does nothing for ever and reads nothing.
    Hang,
    /// Sends this many frames of that many bytes, then answers.
    Chatter(u32, usize),
    /// Takes bytes and says how many.
    Count(Blob),
    /// Sends bytes that are no frame.
    Babble,
    /// Ends with this exit code.
    Exit(u8),
}

/// What came of it: some words, or the error number (0 where there is none).
pub type Answer = Result<String, i32>;

pub(super) fn run(mut socket: FrameSocket) -> ExitCode {
    loop {
        let Ok(frame) = socket.receive() else {
            return ExitCode::SUCCESS;
        };
        let Ok(probe) = frame.decode() else {
            return ExitCode::FAILURE;
        };
        if let Probe::Exit(code) = probe {
            return ExitCode::from(code);
        }
        let answer = attempt(probe, frame.fds, &socket);
        let answer = answer.map_err(|error| error.raw_os_error().unwrap_or(0));
        if socket.send(&answer).is_err() {
            return ExitCode::FAILURE;
        }
    }
}

/// A paper worker that does what its document, a text, says.
pub(super) fn run_paper(socket: FrameSocket) -> ExitCode {
    paper::run_with(socket, |_, _| (), misrender)
}

fn misrender(request: PaperRequest, sender: &FrameSender) -> Result<(), FrameError> {
    let setup = request.setup();
    let text = match request {
        PaperRequest::Render {
            input: Input::Text { text, .. },
            ..
        } => text,
        _ => String::new(),
    };
    let page = |width: u32| {
        PaperReply::Page(WirePage {
            width: width as usize,
            height: 1,
            resolution: setup.resolution,
            coding: Coding::Mmr,
            data: Blob(text.clone().into_bytes()),
        })
    };
    match text.as_str() {
        "spin" => loop {
            std::hint::spin_loop();
        },
        "eat" => eat(),
        "recurse" => {
            std::hint::black_box(recurse(1));
        }
        "abort" => std::process::abort(),
        "panic" => panic!("as asked"),
        "hang" => {
            // Tells its process id, so that a test can kill it in the middle of its document.
            sender.send(&PaperReply::Progress {
                done: std::process::id(),
                total: u32::MAX,
            })?;
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
        "nonsense" => sender.send(&Blob(vec![0xff; 100]))?,
        "strange page" => sender.send(&page(7))?,
        "endless pages" => loop {
            sender.send(&page(setup.width))?;
        },
        "large pages" => {
            let mut large = page(setup.width);
            if let PaperReply::Page(page) = &mut large {
                page.data = Blob(vec![0; 60 << 20]);
            }
            let frame = super::frame::encode(&large)?;
            loop {
                sender.send_encoded(&frame, &[])?;
            }
        }
        "half" => {
            // Ends in order, but without saying that these are all the pages.
            sender.send(&page(setup.width))?;
        }
        "damaged" => sender.send(&PaperReply::Failed(PaperError::Damaged {
            name: "probe".to_owned(),
            reason: faxpost_paper::Reason::NotDrawn,
        }))?,
        _ => {
            sender.send(&page(setup.width))?;
            sender.send(&PaperReply::Done { notes: Vec::new() })?;
        }
    }
    Ok(())
}

fn attempt(probe: Probe, given: Vec<OwnedFd>, socket: &FrameSocket) -> io::Result<String> {
    match probe {
        Probe::Open(path) => File::open(path).map(|_| "open".to_owned()),
        Probe::Create(path) => File::create(path).map(|_| "made".to_owned()),
        Probe::Memfd(text) => memfd(&text),
        Probe::LargeMemfd(length) => {
            let file = rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC)?;
            rustix::fs::ftruncate(&file, length)?;
            Ok("grown".to_owned())
        }
        Probe::BindUdp => UdpSocket::bind("127.0.0.1:0").map(|_| "bound".to_owned()),
        Probe::ListenTcp => TcpListener::bind("127.0.0.1:0").map(|_| "listening".to_owned()),
        Probe::ConnectTcp(to) => TcpStream::connect(to).map(|_| "connected".to_owned()),
        Probe::ConnectUnix(path) => UnixStream::connect(path).map(|_| "connected".to_owned()),
        Probe::SocketPair => UnixStream::pair().map(|_| "made".to_owned()),
        Probe::SendGiven => {
            let udp = udp(given)?;
            udp.send(b"ping")?;
            let mut buffer = [0; 100];
            let length = udp.recv(&mut buffer)?;
            Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
        }
        Probe::SendElsewhere(to) => udp(given)?.send_to(b"leak", to).map(|_| "sent".to_owned()),
        Probe::ConnectGiven(to) => udp(given)?.connect(to).map(|()| "connected".to_owned()),
        Probe::WriteGiven(word) => {
            let count = given.len();
            for fd in given {
                File::from(fd).write_all(word.as_bytes())?;
            }
            Ok(count.to_string())
        }
        Probe::Execute(path) => Command::new(path).status().map(|status| status.to_string()),
        Probe::Signal(pid) => {
            let pid = rustix::process::Pid::from_raw(pid)
                .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            rustix::process::test_kill_process(pid)?;
            Ok("may".to_owned())
        }
        Probe::RaiseLimit => {
            let resource = rustix::process::Resource::Nofile;
            let now = rustix::process::getrlimit(resource);
            rustix::process::setrlimit(resource, now)?;
            Ok("set".to_owned())
        }
        Probe::Thread => {
            let thread = std::thread::Builder::new().spawn(|| "thread".to_owned())?;
            thread.join().map_err(|_| io::Error::other("panicked"))
        }
        Probe::Threads(wanted) => {
            let park = || loop {
                std::thread::park();
            };
            let start = || std::thread::Builder::new().stack_size(65536).spawn(park);
            let started = (0..wanted).map_while(|_| start().ok()).count();
            Ok(started.to_string())
        }
        Probe::Capabilities => {
            let sets = rustix::thread::capabilities(None)?;
            Ok(format!("{:?}", sets.effective | sets.permitted))
        }
        Probe::Spin => loop {
            std::hint::spin_loop();
        },
        Probe::Eat => eat(),
        Probe::Recurse => Ok(recurse(1).to_string()),
        Probe::Panic(message) => panic!("{message}"),
        Probe::Hang => {
            let hanging: Answer = Ok("hanging".to_owned());
            socket.send(&hanging).map_err(io::Error::other)?;
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
        Probe::Chatter(count, length) => {
            for _ in 0..count {
                socket
                    .send(&Blob(vec![7; length]))
                    .map_err(io::Error::other)?;
            }
            Ok("done".to_owned())
        }
        Probe::Count(blob) => Ok(blob.0.len().to_string()),
        Probe::Babble => {
            let raw = [0xff; 64];
            rustix::io::write(std::io::stdin(), &raw)?;
            Ok("babbled".to_owned())
        }
        Probe::Exit(_) => Ok(String::new()),
    }
}

fn eat() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn memfd(text: &str) -> io::Result<String> {
    let file = File::from(rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC)?);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut again = OpenOptions::new().read(true).write(true).open(path)?;
    again.write_all(text.as_bytes())?;
    again.rewind()?;
    let mut back = String::new();
    again.read_to_string(&mut back)?;
    Ok(back)
}

fn udp(given: Vec<OwnedFd>) -> io::Result<UdpSocket> {
    let fd = given.into_iter().next();
    fd.map(UdpSocket::from)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

#[expect(
    unconditional_recursion,
    reason = "the stack's end is what is looked for"
)]
fn recurse(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    recurse(depth + 1) + room[7]
}
