//! efax, Debian's, as a fax machine on a SIP line of the real daemon: its T.30 by a modem in software (T.31), whose
//! sound goes in RTP to and from the gateway's line worker. The SIP that a modem doesn't speak is played here. The
//! other direction is tried against our endpoint alone, in `crates/fax/tests/efax.rs`.

#![allow(clippy::unwrap_used)]

#[path = "../crates/fax/tests/rig/program.rs"]
#[allow(dead_code)]
mod program;
mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use program::{Efax, Job};
use support::{FAR_NUMBER, Rig, fax, letters, phone::response, ports};
use tokio::net::UdpSocket;

/// Line time over real time, of the gateway and of the modem: sound that comes late is lost, and a busy machine is late.
const SPEED: u32 = 1;
/// A call of two short pages, on a busy machine.
const CALL: Duration = Duration::from_secs(240);

/// The modem: the example `softmodem` of `crates/fax`. Ends when dropped.
struct Modem {
    process: Child,
    line: PathBuf,
    said: Arc<Mutex<Vec<String>>>,
    /// Where its end of a call's sound is.
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Modem {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("softmodem: {:?}", self.said.lock().unwrap());
        }
    }
}

impl Modem {
    fn start() -> Self {
        let softmodem =
            Path::new(env!("CARGO_BIN_EXE_faxpost")).with_file_name("examples/softmodem");
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(&softmodem)
            .arg(folder.path())
            .arg(SPEED.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{softmodem:?}: {error}: cargo build --workspace --example softmodem")
            });
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self {
            process,
            line: line.trim().into(),
            said,
            port: ports::free(),
            _folder: folder,
        }
    }

    /// Its next call is on the network.
    fn network(&mut self, peer: u16) {
        let mut commands = self.process.stdin.as_ref().unwrap();
        writeln!(commands, "network {} {peer}", self.port).unwrap();
        commands.flush().unwrap();
    }

    fn sdp(&self) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n",
            self.port
        )
    }
}

/// The port of the sound that an SDP names.
fn audio_port(message: &str) -> u16 {
    let media = message
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "));
    let port = media.and_then(|media| media.split(' ').next());
    port.unwrap().parse().unwrap()
}

/// A SIP telephone that knows sound alone, with the modem on it.
struct Telephone {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Telephone {
    async fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        Self { socket, address }
    }

    /// The next message, and who sent it.
    async fn next(&self) -> (String, SocketAddr) {
        let mut buffer = vec![0; 65_536];
        let received = tokio::time::timeout(CALL, self.socket.recv_from(&mut buffer)).await;
        let (length, from) = received.expect("a SIP message").unwrap();
        (
            String::from_utf8_lossy(&buffer[..length]).into_owned(),
            from,
        )
    }

    /// Answers everything until the gateway hangs up; the first INVITE to `modem`, a change to T.38 with 488.
    async fn serve(&self, mut ring: impl FnMut(u16) -> String) {
        let mut sdp = None;
        loop {
            let (request, from) = self.next().await;
            let method = request.split(' ').next().unwrap_or_default();
            let answer = match method {
                "INVITE" if request.contains("m=image ") => {
                    response(&request, "488 Not Acceptable Here", None, self.address)
                }
                "INVITE" => {
                    let sdp = sdp.get_or_insert_with(|| ring(audio_port(&request)));
                    response(&request, "200 OK", Some(sdp), self.address)
                }
                "ACK" | "SIP/2.0" => continue,
                _ => response(&request, "200 OK", None, self.address),
            };
            self.socket.send_to(answer.as_bytes(), from).await.unwrap();
            if method == "BYE" {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_faxes_to_efax() {
    let mut rig = Rig::builder().speed(SPEED).without_far_end().start().await;
    let telephone = Telephone::at(rig.far_address()).await;
    let mut modem = Modem::start();
    let attachment: [(&str, &str, &[u8]); 1] = [("text/plain", "page.txt", b"A page for efax.")];
    rig.mail(
        &[FAR_NUMBER],
        &letters::message("To efax", "Hello.", &attachment),
    )
    .await;
    let mut efax = None;
    telephone
        .serve(|peer| {
            modem.network(peer);
            efax = Some(Efax::start(&modem.line, &Job::Receive));
            modem.sdp()
        })
        .await;
    let report = rig.wait_report("To efax").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    // efax has its own T.30, without error correction.
    let job = rig.wait_job(&["sent"]).await;
    assert_eq!(
        rig.evidence(&job.job_id).await,
        ["MCF to MPS", "MCF to EOP"]
    );
    let mut efax = efax.unwrap();
    rig.until("efax is done", async || efax.status().map(drop))
        .await;
    let sent = faxpost::queue::pages_of_last_call(&rig.store, &rig.custody())
        .await
        .unwrap();
    fax::assert_same(&sent, &efax.received());
    rig.stop().await;
}
