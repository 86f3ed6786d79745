//! A small strict SMTP server that keeps mails in memory: the demo's mailbox, and the relay's peer in
//! tests, where it can be told to misbehave.
//!
//! It takes what RFC 5321 allows and nothing else: a bare CR or LF in a mail, a line that is too
//! long or a command out of order is refused, so that a mistake of ours shows.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Octets of a line with its CRLF (RFC 5321 §4.5.3.1.6).
const MAX_LINE: u64 = 1000;

/// A mail as the sink took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SunkMail {
    /// MAIL FROM; empty for `<>`.
    pub return_path: String,
    /// RCPT TO, in order.
    pub recipients: Vec<String>,
    /// The mail, dots unstuffed, lines ended by CRLF.
    pub data: Vec<u8>,
    /// The connection that brought it: 0 is the first.
    pub connection: usize,
}

impl SunkMail {
    /// The first header of this name, unfolded; case does not count.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.data);
        let mut found: Option<String> = None;
        for line in text.split("\r\n").take_while(|line| !line.is_empty()) {
            match (&mut found, line.starts_with([' ', '\t'])) {
                (Some(value), true) => value.push_str(line),
                (Some(_), false) => break,
                (None, _) => {
                    if let Some((head, value)) = line.split_once(':')
                        && head.eq_ignore_ascii_case(name)
                    {
                        found = Some(value.trim_start().to_owned());
                    }
                }
            }
        }
        found
    }
}

/// What the sink does instead of behaving, once, in the order that it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Behaves: stands between tricks.
    Behave,
    /// Greets with this line, `554 no`, and closes.
    Greet(String),
    /// Answers MAIL FROM with this line.
    Mail(String),
    /// Answers RCPT TO with this line.
    Rcpt(String),
    /// Answers the end of the data with this line and keeps nothing.
    Data(String),
    /// Keeps the mail, then closes without an answer.
    DropAfterDot,
}

#[derive(Debug)]
struct State {
    tricks: Mutex<VecDeque<Trick>>,
    /// Octets that it takes and says it takes (RFC 1870); 0: it says nothing.
    size: AtomicUsize,
    /// Octets beyond which it refuses after the data, and has not said so; 0: none.
    silent_size: AtomicUsize,
    mails: watch::Sender<Vec<SunkMail>>,
}

impl State {
    fn tricks(&self) -> MutexGuard<'_, VecDeque<Trick>> {
        // Nothing panics while it holds the queue.
        self.tricks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next trick, when `fits` says that this is its moment.
    fn trick(&self, fits: impl Fn(&Trick) -> bool) -> Option<Trick> {
        let mut tricks = self.tricks();
        if fits(tricks.front()?) {
            tricks.pop_front()
        } else {
            None
        }
    }
}

/// A running sink; ends when it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// Listens; port 0 lets the system choose.
    ///
    /// # Errors
    /// The address can't be had.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            tricks: Mutex::default(),
            size: AtomicUsize::new(0),
            silent_size: AtomicUsize::new(0),
            mails: watch::Sender::new(Vec::new()),
        });
        let task = tokio::spawn(serve(listener, state.clone()));
        Ok(Self {
            address,
            state,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it took, now and later.
    #[must_use]
    pub fn mails(&self) -> Mails {
        Mails(self.state.mails.subscribe())
    }

    /// Takes mails of so many octets at most, and says so to EHLO; 0: it says nothing.
    pub fn announce_size(&self, octets: usize) {
        self.state.size.store(octets, Ordering::Relaxed);
    }

    /// Refuses larger mails with 552 after their data, and says nothing of it before; 0: takes all.
    pub fn refuse_beyond(&self, octets: usize) {
        self.state.silent_size.store(octets, Ordering::Relaxed);
    }

    /// Adds a trick to those that wait for their moment.
    pub fn play(&self, trick: Trick) {
        self.state.tricks().push_back(trick);
    }
}

/// The mails of a [`Sink`].
#[derive(Clone, Debug)]
pub struct Mails(watch::Receiver<Vec<SunkMail>>);

impl Mails {
    /// All mails so far.
    #[must_use]
    pub fn all(&self) -> Vec<SunkMail> {
        self.0.borrow().clone()
    }

    /// Waits until there are `count` mails, and returns all.
    pub async fn wait_for_count(&self, count: usize) -> Vec<SunkMail> {
        let mut mails = self.0.clone();
        match mails.wait_for(|mails| mails.len() >= count).await {
            Ok(mails) => mails.clone(),
            // The sink is gone, nothing more will come.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for the first mail that is `wanted`, those that came already included; its data.
    pub async fn wait_for(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut mails = self.0.clone();
        let found = |mails: &[SunkMail]| mails.iter().position(|mail| wanted(&mail.data));
        match mails.wait_for(|mails| found(mails).is_some()).await {
            Ok(mails) => found(&mails)
                .map(|at| mails[at].data.clone())
                .unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut sessions = JoinSet::new();
    let mut connection = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    sessions.spawn(session(stream, state.clone(), connection));
                    connection += 1;
                }
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn session(stream: TcpStream, state: Arc<State>, connection: usize) {
    // A peer that goes away is no event here.
    let _ = talk(stream, &state, connection).await;
}

async fn talk(stream: TcpStream, state: &State, connection: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    if let Some(Trick::Greet(line)) = state.trick(|trick| matches!(trick, Trick::Greet(_))) {
        return say(&mut stream, &line).await;
    }
    say(&mut stream, "220 sink ESMTP").await?;

    let mut greeted = false;
    let mut return_path: Option<String> = None;
    let mut recipients: Vec<String> = Vec::new();
    loop {
        let Some(line) = read_line(&mut stream).await? else {
            return Ok(());
        };
        let Some(line) = line
            .strip_suffix(b"\r\n")
            .and_then(|l| std::str::from_utf8(l).ok())
        else {
            say(&mut stream, "500 5.5.2 lines are UTF-8 and end in CRLF").await?;
            continue;
        };
        let verb = line
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => {
                (greeted, return_path) = (true, None);
                recipients.clear();
                let size = match state.size.load(Ordering::Relaxed) {
                    0 => String::new(),
                    octets => format!("250-SIZE {octets}\r\n"),
                };
                let answer = format!("250-sink\r\n250-8BITMIME\r\n{size}250 SMTPUTF8");
                say(&mut stream, &answer).await?;
            }
            "NOOP" => say(&mut stream, "250 2.0.0 fine").await?,
            "RSET" => {
                return_path = None;
                recipients.clear();
                say(&mut stream, "250 2.0.0 forgotten").await?;
            }
            "QUIT" => return say(&mut stream, "221 2.0.0 bye").await,
            "MAIL" if greeted && return_path.is_none() => {
                let trick = state.trick(|trick| matches!(trick, Trick::Mail(_)));
                match (trick, path(line, "FROM:")) {
                    (Some(Trick::Mail(line) | Trick::Rcpt(line)), _) => {
                        say(&mut stream, &line).await?
                    }
                    (_, Some(path)) => {
                        return_path = Some(path);
                        say(&mut stream, "250 2.1.0 go on").await?;
                    }
                    (_, None) => say(&mut stream, "501 5.5.4 MAIL FROM:<path>").await?,
                }
            }
            "RCPT" if return_path.is_some() => {
                let trick = state.trick(|trick| matches!(trick, Trick::Rcpt(_)));
                match (trick, path(line, "TO:").filter(|path| !path.is_empty())) {
                    (Some(Trick::Mail(line) | Trick::Rcpt(line)), _) => {
                        say(&mut stream, &line).await?
                    }
                    (_, Some(path)) => {
                        recipients.push(path);
                        say(&mut stream, "250 2.1.5 go on").await?;
                    }
                    (_, None) => say(&mut stream, "501 5.5.4 RCPT TO:<path>").await?,
                }
            }
            "DATA" if !recipients.is_empty() => {
                say(&mut stream, "354 end with a dot").await?;
                let Some(data) = read_data(&mut stream).await? else {
                    return Ok(());
                };
                let mail = SunkMail {
                    return_path: return_path.take().unwrap_or_default(),
                    recipients: std::mem::take(&mut recipients),
                    data: match data {
                        Ok(data) => data,
                        Err(reason) => {
                            say(&mut stream, reason).await?;
                            continue;
                        }
                    },
                    connection,
                };
                let beyond = |limit: usize| limit > 0 && mail.data.len() > limit;
                if beyond(state.size.load(Ordering::Relaxed))
                    || beyond(state.silent_size.load(Ordering::Relaxed))
                {
                    say(&mut stream, "552 5.3.4 too much").await?;
                    continue;
                }
                let trick = state.trick(|trick| {
                    matches!(trick, Trick::Data(_) | Trick::DropAfterDot | Trick::Behave)
                });
                if let Some(Trick::Data(line)) = &trick {
                    say(&mut stream, line).await?;
                    continue;
                }
                state.mails.send_modify(|mails| mails.push(mail));
                if trick == Some(Trick::DropAfterDot) {
                    return Ok(());
                }
                say(&mut stream, "250 2.0.0 kept").await?;
            }
            "MAIL" | "RCPT" | "DATA" => {
                say(&mut stream, "503 5.5.1 not now").await?;
            }
            _ => say(&mut stream, "500 5.5.1 unknown").await?,
        }
    }
}

/// `<a@b>` after the keyword, without its brackets; parameters may follow.
fn path(line: &str, keyword: &str) -> Option<String> {
    let (_, rest) = line.split_once(' ')?;
    let head = rest.get(..keyword.len())?;
    let rest = rest.get(keyword.len()..)?.strip_prefix('<')?;
    let (path, parameters) = rest.split_once('>')?;
    let fits = head.eq_ignore_ascii_case(keyword)
        && (parameters.is_empty() || parameters.starts_with(' '))
        && !path.contains(['<', ' ']);
    fits.then(|| path.to_owned())
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await
}

/// A line with what ends it; none at the end of the connection. A line that never ends is cut and
/// fails the check for CRLF.
async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    Ok((!line.is_empty()).then_some(line))
}

/// The data, or why it is refused; none when the connection ends before the dot.
async fn read_data(
    stream: &mut BufReader<TcpStream>,
) -> io::Result<Option<Result<Vec<u8>, &'static str>>> {
    let mut data = Vec::new();
    let mut fault = None;
    let mut after_crlf = true;
    loop {
        let Some(line) = read_line(stream).await? else {
            return Ok(None);
        };
        // RFC 5321 §4.1.1.4: only a dot between two CRLFs ends the data.
        if after_crlf && line == b".\r\n" {
            return Ok(Some(fault.map_or(Ok(data), Err)));
        }
        // RFC 5321 §2.3.8: CR and LF stand together or not at all.
        match line.strip_suffix(b"\r\n") {
            Some(text) if !text.contains(&b'\r') => {}
            _ => fault = Some("554 5.6.0 a bare CR or LF, or a line too long"),
        }
        after_crlf = line.ends_with(b"\r\n");
        // RFC 5321 §4.5.2.
        data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn dialog(sink: &Sink, lines: &[u8]) -> String {
        let mut stream = TcpStream::connect(sink.address()).await.unwrap();
        stream.write_all(lines).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        answers
    }

    async fn sink() -> Sink {
        Sink::start(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_mail_is_kept_unstuffed() {
        let sink = sink().await;
        let answers = dialog(
            &sink,
            b"EHLO a\r\nMAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<b@c>\r\nDATA\r\nSubject: x\r\n y\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
        )
        .await;
        assert!(
            answers.ends_with("250 2.0.0 kept\r\n221 2.0.0 bye\r\n"),
            "{answers}"
        );
        let mails = sink.mails().wait_for_count(1).await;
        assert_eq!(mails[0].data, b"Subject: x\r\n y\r\n\r\n.dot\r\n");
        assert_eq!(mails[0].header("subject").as_deref(), Some("x y"));
        assert_eq!(mails[0].recipients, ["b@c"]);
        assert_eq!(mails[0].return_path, "");
    }

    #[tokio::test]
    async fn it_refuses_what_is_not_smtp() {
        let sink = sink().await;
        let answers = dialog(
            &sink,
            b"MAIL FROM:<a@b>\r\nEHLO a\nEHLO a\r\nMAIL FROM:a@b\r\nMAIL FROM:<a@b>\r\nDATA\r\nRCPT TO:<c@d>\r\nDATA\r\nx\n.\r\n.\r\nQUIT\r\n",
        )
        .await;
        let codes: Vec<&str> = answers.lines().map(|line| &line[..3]).collect();
        assert_eq!(
            codes,
            [
                "220", "503", "500", "250", "250", "250", "501", "250", "503", "250", "354", "554",
                "221"
            ]
        );
        assert!(sink.mails().all().is_empty());
    }

    #[tokio::test]
    async fn tricks_are_played_in_order() {
        let sink = sink().await;
        sink.play(Trick::Greet("554 no".into()));
        sink.play(Trick::Behave);
        sink.play(Trick::DropAfterDot);
        let mail = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n";
        assert_eq!(dialog(&sink, b"").await, "554 no\r\n");
        assert!(dialog(&sink, mail).await.ends_with("kept\r\n"));
        assert!(
            dialog(&sink, mail)
                .await
                .ends_with("354 end with a dot\r\n")
        );
        assert_eq!(sink.mails().all().len(), 2);
    }
}
