//! Who uses the gateway while it is killed: mail clients and fax machines that don't give up, each with
//! a record of what it was told.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::watch;

use super::marks::{self, Mark};
use crate::support::{ALICE, OUR_NUMBER, letters, ports, ports::local, process::Process, smtp};

/// A fax machine that hears nothing hangs up long before this; one that hangs itself is killed.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// One time that a mail was handed over.
#[derive(Clone, Debug)]
pub struct Handover {
    pub mail: usize,
    pub attempt: usize,
    pub pages: usize,
    pub destinations: Vec<String>,
    /// What the 250 named; none when no 250 came.
    pub submission: Option<String>,
}

/// One call to the gateway.
#[derive(Clone, Debug)]
pub struct Sending {
    pub pages: Vec<Mark>,
    /// Those that were confirmed to the caller.
    pub confirmed: Vec<Mark>,
}

/// Waits until `share` of `of` of the kills are done: so the traffic lasts as long as the killing.
pub async fn turn(kills: &mut watch::Receiver<usize>, all: usize, share: usize, of: usize) {
    let due = all * share / of;
    kills.wait_for(|done| *done >= due).await.unwrap();
}

/// A number of its own for each recipient of each handover: what arrives there tells its handover.
fn destination(mail: usize, attempt: usize, recipient: usize) -> String {
    format!("+331{mail:02}{attempt:03}{recipient}00")
}

/// Hands a mail over until a 250 comes.
pub async fn mail(server: SocketAddr, mail: usize, handed: &mut Vec<Handover>) {
    let pages = 1 + mail % 2;
    let recipients = if mail % 5 == 4 { 2 } else { 1 };
    let mut attempt = 0;
    loop {
        assert!(attempt < 128, "mail {mail} is never accepted");
        let destinations: Vec<String> = (0..recipients)
            .map(|recipient| destination(mail, attempt, recipient))
            .collect();
        let to: Vec<String> = destinations
            .iter()
            .map(|number| format!("{number}@fax.localhost"))
            .collect();
        let message = letters::message(
            &format!("Mail {mail} handed over {attempt}"),
            "",
            &[(
                "application/pdf",
                "marks.pdf",
                &marks::pdf(mail, attempt, pages),
            )],
        );
        let answer = match smtp::send(server, ALICE, &to, &message).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                // Nobody is there: not handed over.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            Err(_) => None,
            Ok(answers) => answers.data,
        };
        let answer = answer.unwrap_or_default();
        assert!(!answer.starts_with('5'), "mail {mail} is refused: {answer}");
        let submission = answer
            .strip_prefix("250 2.0.0 ")
            .and_then(|rest| rest.split(' ').next())
            .map(str::to_owned);
        let done = submission.is_some();
        handed.push(Handover {
            mail,
            attempt,
            pages,
            destinations,
            submission,
        });
        if done {
            return;
        }
        attempt += 1;
    }
}

/// A fax machine that sends, with ports of its own.
pub struct Machine {
    number: usize,
    listen: SocketAddr,
    media: u16,
    folder: PathBuf,
    gateway: SocketAddr,
    speed: u32,
}

impl Machine {
    pub fn new(number: usize, folder: &Path, gateway: SocketAddr, speed: u32) -> Self {
        Self {
            number,
            listen: local(ports::free()),
            media: ports::media(),
            folder: folder.to_owned(),
            gateway,
            speed,
        }
    }

    /// Calls until every page of the document was confirmed in one call.
    pub async fn send(&self, document: usize, calls: &mut Vec<Sending>) {
        let count = 1 + document % 3;
        for attempt in 0..60 {
            let pages: Vec<Mark> = (0..count)
                .map(|page| Mark {
                    document,
                    attempt,
                    page,
                })
                .collect();
            let call = self.call(document, attempt, pages).await;
            let done = call.confirmed.len() == count;
            calls.push(call);
            if done {
                return;
            }
        }
        panic!("fax {document} is never confirmed whole");
    }

    async fn call(&self, document: usize, attempt: usize, pages: Vec<Mark>) -> Sending {
        let drawn: Vec<_> = pages.iter().map(|&mark| marks::page(mark)).collect();
        let file = self.folder.join(format!("machine-{}.tif", self.number));
        std::fs::write(&file, faxpost_t4::tiff::write(&drawn).unwrap()).unwrap();
        let log = self
            .folder
            .join(format!("in-{document:02}-{attempt:02}.log"));
        let (listen, peer) = (self.listen.to_string(), self.gateway.to_string());
        let (speed, media) = (self.speed.to_string(), self.media.to_string());
        let file = file.display().to_string();
        let arguments = [
            "answer",
            "--listen",
            &listen,
            "--peer",
            &peer,
            "--media-port",
            &media,
            "--speed",
            &speed,
            "--send",
            &file,
            "--to",
            OUR_NUMBER,
        ];
        let mut process = Process::spawn("machine", &arguments, log);
        if tokio::time::timeout(CALL_LIMIT, process.wait())
            .await
            .is_err()
        {
            process.kill9().await;
        }
        let log = process.log();
        let confirmed = pages
            .iter()
            .filter(|mark| {
                let said = format!("page {} of {}: Confirmed", mark.page + 1, pages.len());
                log.lines().any(|line| line.starts_with(&said))
            })
            .copied()
            .collect();
        Sending { pages, confirmed }
    }
}
