//! A scripted IMAP server on loopback: enough of RFC 3501 to be polled, and the ways in which servers go wrong.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::ports::local;

/// What it can do besides when nobody says otherwise.
const USUAL: &str = "IDLE MOVE UIDPLUS";

/// A mail in a folder.
#[derive(Clone, Debug)]
pub struct Kept {
    pub uid: u32,
    pub octets: Vec<u8>,
    pub flags: Vec<String>,
}

/// A folder.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    pub uid_validity: u32,
    pub mails: Vec<Kept>,
    next: u32,
}

/// How it goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trick {
    /// This mail comes between IDLE and its `+`, told of once, with so many lines.
    MailBeforePlus(Vec<u8>, usize),
    /// The next mail that is asked for does not come, and nothing else.
    StallOnce,
    /// The next mail that is to be moved stays, and nothing is answered.
    StallAtMove,
    /// Of mails of this length, another is announced.
    Lie { octets: usize, announced: u64 },
    /// Goodbye instead of an answer to the next logins.
    ByeAtLogin(u32),
    /// Searches are answered backwards, each number twice.
    Unordered,
}

#[derive(Debug)]
pub struct State {
    pub folders: BTreeMap<String, Folder>,
    pub capabilities: String,
    /// What a login may be: the password, or the access token.
    pub passwords: Vec<String>,
    pub tricks: Vec<Trick>,
    /// Every command, without what is secret in it.
    pub commands: Vec<String>,
    pub logins: usize,
}

/// The server, for as long as it is held.
#[derive(Debug)]
pub struct ImapServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    news: watch::Sender<u64>,
    kicks: watch::Sender<u64>,
}

impl ImapServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(local(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inbox = Folder {
            uid_validity: 1,
            ..Folder::default()
        };
        let state = Arc::new(Mutex::new(State {
            folders: BTreeMap::from([("INBOX".to_owned(), inbox)]),
            capabilities: USUAL.to_owned(),
            passwords: vec!["secret".to_owned()],
            tricks: Vec::new(),
            commands: Vec::new(),
            logins: 0,
        }));
        let (news, kicks) = (watch::Sender::new(0), watch::Sender::new(0));
        let (shared, heard, kicked) = (Arc::clone(&state), news.clone(), kicks.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut kicked = kicked.subscribe();
                let client = Client::new(stream, Arc::clone(&shared), heard.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        () = client.serve() => {}
                        _ = kicked.changed() => {}
                    }
                });
            }
        });
        Self {
            address,
            state,
            news,
            kicks,
        }
    }

    /// Looks at everything, or changes it.
    pub fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.state.lock().unwrap())
    }

    pub fn trick(&self, trick: Trick) {
        self.with(|state| state.tricks.push(trick));
    }

    /// A mail comes, and who waits hears of it.
    pub fn append(&self, octets: &[u8]) -> u32 {
        let uid = self.with(|state| append(state.folders.get_mut("INBOX").unwrap(), octets));
        self.news.send_modify(|count| *count += 1);
        uid
    }

    /// Every connection ends, without a word.
    pub fn kick(&self) {
        self.kicks.send_modify(|count| *count += 1);
    }

    /// The mails of a folder.
    pub fn mails(&self, folder: &str) -> Vec<Kept> {
        self.with(|state| {
            let folder = state.folders.get(folder);
            folder
                .map(|folder| folder.mails.clone())
                .unwrap_or_default()
        })
    }

    /// How often a command was given that begins so.
    pub fn given(&self, command: &str) -> usize {
        self.with(|state| {
            let given = |known: &&String| known.starts_with(command);
            state.commands.iter().filter(given).count()
        })
    }
}

fn append(folder: &mut Folder, octets: &[u8]) -> u32 {
    folder.next += 1;
    folder.mails.push(Kept {
        uid: folder.next,
        octets: octets.to_vec(),
        flags: Vec::new(),
    });
    folder.next
}

struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    state: Arc<Mutex<State>>,
    news: watch::Receiver<u64>,
    selected: String,
}

impl Client {
    fn new(stream: TcpStream, state: Arc<Mutex<State>>, news: watch::Receiver<u64>) -> Self {
        stream.set_nodelay(true).unwrap();
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
            state,
            news,
            selected: String::new(),
        }
    }

    async fn say(&mut self, text: &str) {
        let _ = self.writer.write_all(text.as_bytes()).await;
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    fn has(&self, trick: impl Fn(&Trick) -> bool, take: bool) -> Option<Trick> {
        let mut state = self.state.lock().unwrap();
        let at = state.tricks.iter().position(trick)?;
        Some(if take {
            state.tricks.remove(at)
        } else {
            state.tricks[at].clone()
        })
    }

    async fn serve(mut self) {
        self.say("* OK scripted\r\n").await;
        while let Some(line) = self.line().await {
            let words = words(&line);
            let (tag, mut command) = (words[0].clone(), words[1].to_uppercase());
            if command == "UID" {
                command = format!("UID {}", words[2].to_uppercase());
            }
            let logged = if command == "LOGIN" {
                "LOGIN"
            } else {
                &line[tag.len() + 1..]
            };
            self.state.lock().unwrap().commands.push(logged.to_owned());
            let rest = &words[if command.starts_with("UID ") { 3 } else { 2 }..];
            if !self.command(&tag, &command, rest).await {
                return;
            }
        }
    }

    /// `false`: the connection ends.
    async fn command(&mut self, tag: &str, command: &str, rest: &[String]) -> bool {
        match command {
            "CAPABILITY" => {
                let known = self.state.lock().unwrap().capabilities.clone();
                self.say(&format!("* CAPABILITY IMAP4rev1 {known}\r\n"))
                    .await;
            }
            "LOGIN" => return self.login(tag, &rest[1]).await,
            "AUTHENTICATE" => return self.bearer(tag).await,
            "SELECT" => return self.select(tag, &rest[0]).await,
            "LIST" => {
                let there = self.state.lock().unwrap().folders.contains_key(&rest[1]);
                if there {
                    self.say(&format!("* LIST () \"/\" \"{}\"\r\n", rest[1]))
                        .await;
                }
            }
            "CREATE" => {
                let mut state = self.state.lock().unwrap();
                let folder = state.folders.entry(rest[0].clone()).or_default();
                folder.uid_validity = 1;
            }
            "UID SEARCH" => self.search().await,
            "UID FETCH" => {
                if !self.fetch(&rest[0], &rest[1..].join(" ")).await {
                    return false;
                }
            }
            "UID MOVE" | "UID COPY" => {
                let uid: u32 = rest[0].parse().unwrap();
                if self
                    .has(|trick| *trick == Trick::StallAtMove, true)
                    .is_some()
                {
                    let _ = self.reader.read_u8().await;
                    return false;
                }
                let done = self.copy(uid, &rest[1], command == "UID MOVE");
                if !done {
                    self.say(&format!("{tag} NO [TRYCREATE] no such folder\r\n"))
                        .await;
                    return true;
                }
            }
            "UID STORE" => {
                let (uid, flag): (u32, _) = (rest[0].parse().unwrap(), rest[2].clone());
                self.folder(|folder| {
                    for mail in folder.mails.iter_mut().filter(|mail| mail.uid == uid) {
                        mail.flags.push(flag.trim_matches(['(', ')']).to_owned());
                    }
                });
            }
            "UID EXPUNGE" => {
                let uid: u32 = rest[0].parse().unwrap();
                self.folder(|folder| folder.mails.retain(|mail| mail.uid != uid));
            }
            "IDLE" => return self.idle(tag).await,
            "LOGOUT" => {
                self.say(&format!("* BYE\r\n{tag} OK\r\n")).await;
                return false;
            }
            "SUBSCRIBE" => {}
            other => {
                self.say(&format!("{tag} BAD {other} is not known\r\n"))
                    .await;
                return true;
            }
        }
        self.say(&format!("{tag} OK done\r\n")).await;
        true
    }

    fn folder<T>(&self, what: impl FnOnce(&mut Folder) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        what(state.folders.get_mut(&self.selected).unwrap())
    }

    async fn login(&mut self, tag: &str, password: &str) -> bool {
        if let Some(Trick::ByeAtLogin(times)) =
            self.has(|t| matches!(t, Trick::ByeAtLogin(_)), true)
        {
            if times > 1 {
                let again = Trick::ByeAtLogin(times - 1);
                self.state.lock().unwrap().tricks.push(again);
            }
            self.say("* BYE too busy\r\n").await;
            return false;
        }
        let right = {
            let mut state = self.state.lock().unwrap();
            let right = state.passwords.iter().any(|known| known == password);
            state.logins += usize::from(right);
            right
        };
        let answer = if right {
            "OK"
        } else {
            "NO [AUTHENTICATIONFAILED] wrong"
        };
        self.say(&format!("{tag} {answer}\r\n")).await;
        true
    }

    /// XOAUTH2, as Google and Microsoft have it.
    async fn bearer(&mut self, tag: &str) -> bool {
        use base64::Engine as _;
        self.say("+ \r\n").await;
        let Some(line) = self.line().await else {
            return false;
        };
        let shown = base64::engine::general_purpose::STANDARD
            .decode(line)
            .unwrap();
        let shown = String::from_utf8(shown).unwrap();
        let token = shown
            .split("auth=Bearer ")
            .nth(1)
            .unwrap()
            .trim_end_matches('\u{1}');
        let right = self
            .state
            .lock()
            .unwrap()
            .passwords
            .iter()
            .any(|known| known == token);
        if right {
            self.state.lock().unwrap().logins += 1;
            self.say(&format!("{tag} OK\r\n")).await;
            return true;
        }
        let challenge = base64::engine::general_purpose::STANDARD.encode("{\"status\":\"401\"}");
        self.say(&format!("+ {challenge}\r\n")).await;
        let Some(line) = self.line().await else {
            return false;
        };
        assert_eq!(line, "", "an error is answered by nothing");
        self.say(&format!("{tag} NO [AUTHENTICATIONFAILED] bad token\r\n"))
            .await;
        true
    }

    async fn select(&mut self, tag: &str, name: &str) -> bool {
        let found = self.state.lock().unwrap().folders.get(name).cloned();
        let Some(folder) = found else {
            self.say(&format!("{tag} NO no such folder\r\n")).await;
            return true;
        };
        self.selected = name.to_owned();
        self.say(&format!(
            "* FLAGS (\\Seen)\r\n* {} EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY {}] valid\r\n{tag} OK [READ-WRITE] open\r\n",
            folder.mails.len(),
            folder.uid_validity
        ))
        .await;
        true
    }

    async fn search(&mut self) {
        let mut uids: Vec<u32> = self.folder(|folder| {
            let left = folder.mails.iter();
            let left = left.filter(|mail| !mail.flags.iter().any(|flag| flag == "\\Deleted"));
            left.map(|mail| mail.uid).collect()
        });
        if self
            .has(|trick| *trick == Trick::Unordered, false)
            .is_some()
        {
            uids = uids.iter().rev().flat_map(|uid| [*uid, *uid]).collect();
        }
        let uids: String = uids.iter().fold(String::new(), |mut all, uid| {
            let _ = write!(all, " {uid}");
            all
        });
        self.say(&format!("* SEARCH{uids}\r\n")).await;
    }

    async fn fetch(&mut self, set: &str, what: &str) -> bool {
        let wanted: Vec<u32> = set.split(',').map(|uid| uid.parse().unwrap()).collect();
        let mails: Vec<(usize, Kept)> = self.folder(|folder| {
            let all = folder.mails.iter().cloned().enumerate();
            all.filter(|(_, mail)| wanted.contains(&mail.uid)).collect()
        });
        for (at, mail) in mails {
            let (seq, uid) = (at + 1, mail.uid);
            if what.contains("RFC822.SIZE") {
                let size = mail.octets.len();
                self.say(&format!("* {seq} FETCH (UID {uid} RFC822.SIZE {size})\r\n"))
                    .await;
                continue;
            }
            let (section, octets) = if what.contains("HEADER") {
                let end = mail.octets.windows(4).position(|four| four == b"\r\n\r\n");
                ("BODY[HEADER]<0>", &mail.octets[..end.unwrap_or(0) + 4])
            } else {
                if self.has(|trick| *trick == Trick::StallOnce, true).is_some() {
                    // Until the client gives up.
                    let _ = self.reader.read_u8().await;
                    return false;
                }
                ("BODY[]", mail.octets.as_slice())
            };
            let length = octets.len();
            let lie = self.has(
                |trick| matches!(trick, Trick::Lie { octets, .. } if *octets == length),
                false,
            );
            let announced = match lie {
                Some(Trick::Lie { announced, .. }) => announced,
                _ => length as u64,
            };
            self.say(&format!(
                "* {seq} FETCH (UID {uid} {section} {{{announced}}}\r\n"
            ))
            .await;
            let _ = self.writer.write_all(octets).await;
            self.say(")\r\n").await;
        }
        true
    }

    fn copy(&self, uid: u32, to: &str, and_remove: bool) -> bool {
        let mut state = self.state.lock().unwrap();
        let from = state.folders.get_mut(&self.selected).unwrap();
        let mail = from.mails.iter().find(|mail| mail.uid == uid).cloned();
        if !state.folders.contains_key(to) {
            return false;
        }
        if let Some(mail) = mail {
            append(state.folders.get_mut(to).unwrap(), &mail.octets);
            let kept = state.folders.get_mut(to).unwrap().mails.last_mut().unwrap();
            kept.flags = mail.flags;
            if and_remove {
                let from = state.folders.get_mut(&self.selected).unwrap();
                from.mails.retain(|mail| mail.uid != uid);
            }
        }
        true
    }

    async fn idle(&mut self, tag: &str) -> bool {
        self.news.mark_unchanged();
        let mut silent = false;
        if let Some(Trick::MailBeforePlus(mail, lines)) =
            self.has(|trick| matches!(trick, Trick::MailBeforePlus(..)), true)
        {
            let count = self.folder(|folder| {
                append(folder, &mail);
                folder.mails.len()
            });
            self.say(&format!("* {count} EXISTS\r\n").repeat(lines))
                .await;
            silent = true;
        }
        self.say("+ idling\r\n").await;
        let mut line = String::new();
        loop {
            tokio::select! {
                read = self.reader.read_line(&mut line) => {
                    if !matches!(read, Ok(1..)) || line.trim_end() != "DONE" {
                        return false;
                    }
                    self.say(&format!("{tag} OK done\r\n")).await;
                    return true;
                }
                heard = self.news.changed(), if !silent => {
                    if heard.is_err() {
                        return false;
                    }
                    let count = self.folder(|folder| folder.mails.len());
                    self.say(&format!("* {count} EXISTS\r\n")).await;
                }
            }
        }
    }
}

/// The words of a command; quoted ones without their quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut escaped) = (vec![], String::new(), false, false);
    for c in line.chars() {
        match c {
            c if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}
