//! The gateway under test: the real program, its folder, its mails, and what it takes of the machine.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use faxpost::{
    demo::sink::{Mails, Sink},
    numbers::{self, NewNumber, Route, T38Policy, Trunk},
    people::{self, Language, NewGroup, NewTenant, NewUser, Plan, Role},
    store::{Store, new_id},
};
use mail_builder::MessageBuilder;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::far::Far;

/// The number that faxes come in on.
pub const OUR_NUMBER: &str = "+33199001122";
/// Who sends one page and no cover, and who sends as people do by default: with a cover.
pub const PLAIN: &str = "plain@example.localhost";
pub const COVERED: &str = "covered@example.localhost";
/// Calls that a line worker carries.
const CALLS_A_WORKER: usize = 32;
const START: Duration = Duration::from_secs(60);

/// A trunk as the gateway has it.
pub struct TrunkPlan {
    pub prefix: &'static str,
    pub channels: usize,
    pub t38: T38Policy,
}

pub struct Gateway {
    child: Child,
    pub store: Store,
    pub smtp: SocketAddr,
    mails: Mails,
    _sink: Sink,
    dir: TempDir,
}

impl Gateway {
    /// Starts a gateway for `calls` at a time on one processor, with its trunks' far end.
    pub async fn start(
        program: &Path,
        processor: usize,
        calls: usize,
        trunks: &[TrunkPlan],
    ) -> anyhow::Result<(Self, Far)> {
        // Not /tmp: that may be memory, where a flush costs nothing.
        let parent = std::env::var_os("BENCH_DIR").map_or_else(|| "/var/tmp".into(), PathBuf::from);
        let dir = tempfile::Builder::new()
            .prefix("faxpost-bench.")
            .tempdir_in(parent)?;
        let data = dir.path().join("data");
        fs::create_dir(&data)?;
        let sink = Sink::start(([127, 0, 0, 1], 0).into()).await?;
        let (smtp, sip) = (free_tcp()?, free_udp()?);
        let config = dir.path().join("faxpost.toml");
        fs::write(
            &config,
            format!(
                "hostname = \"gateway.localhost\"\ndata_dir = {data:?}\n\
                 [smtp]\nlisten = [\"{smtp}\"]\nmax_sessions_per_address = 1000\n\
                 [relay]\nhost = \"127.0.0.1\"\nport = {relay}\n\
                 [sip]\nlisten = \"{sip}\"\nmedia_port_min = 20000\nmedia_port_max = 31999\n\
                 ring_timeout_s = 900\n\
                 [line]\nworkers = {workers}\ndrain_s = 1\n",
                data = data.display().to_string(),
                relay = sink.address().port(),
                workers = calls.div_ceil(CALLS_A_WORKER),
            ),
        )?;
        let far = Far::start(sip, trunks.len())?;
        let store = Store::open(&format!("sqlite://{}", data.join("faxpost.db").display())).await?;
        fill(&store, trunks, &far.trunks).await?;
        let log = fs::File::create(dir.path().join("gateway.log"))?;
        let child = Command::new("taskset")
            .args(["-c", &processor.to_string()])
            .arg(program)
            .arg("--config")
            .arg(&config)
            .arg("serve")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("taskset can't be run: it is in Debian's util-linux")?;
        let mut gateway = Self {
            child,
            store,
            smtp,
            mails: sink.mails(),
            _sink: sink,
            dir,
        };
        let until = Instant::now() + START;
        while TcpStream::connect(smtp).is_err() {
            if let Some(status) = gateway.child.try_wait()? {
                bail!("the gateway ended with {status}: {}", gateway.log());
            }
            ensure!(Instant::now() < until, "the gateway does not come up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok((gateway, far))
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("gateway.log")).unwrap_or_default()
    }

    /// The lines of its log that are no mere information.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.log();
        let told = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        log.lines().filter(told).map(str::to_owned).collect()
    }

    /// The faxes that it has mailed: their PDFs.
    pub fn faxes(&self) -> Vec<Vec<u8>> {
        (self.mails.all().iter())
            .filter(|mail| mail.header("X-Faxpost-Fax").is_some())
            .filter_map(|mail| {
                let parsed = mail_parser::MessageParser::default().parse(&mail.data)?;
                let pdf = parsed
                    .attachments()
                    .find(|part| part.contents().starts_with(b"%PDF"))?;
                Some(pdf.contents().to_vec())
            })
            .collect()
    }

    /// One number out of its database.
    pub async fn count(&self, sql: &'static str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(sql)
            .fetch_one(self.store.reader())
            .await?)
    }

    /// What it and its line workers take now.
    pub fn usage(&self) -> Usage {
        let pid = self.child.id();
        let mut usage = Usage {
            gateway_ms: processor_ms(pid),
            ..Usage::default()
        };
        usage.memory = resident(pid);
        for child in children(pid) {
            let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            let mut words = command.split(|&byte| byte == 0).skip(1);
            match (words.next(), words.next()) {
                (Some(b"worker"), Some(b"line")) => {
                    usage.workers_ms += processor_ms(child);
                    usage.memory += resident(child) + memory_files(child);
                }
                _ => usage.paper_ms += processor_ms(child),
            }
        }
        // Paper workers that have ended.
        usage.paper_ms += ended_children_ms(pid);
        usage
    }

    /// Ends it; its folder goes with this.
    pub fn stop(mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Keeps its folder, for who wants to look.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn fill(store: &Store, plans: &[TrunkPlan], at: &[SocketAddr]) -> anyhow::Result<()> {
    let mut tx = store.begin().await?;
    let tenant_id = people::create_tenant(
        &mut tx,
        &NewTenant {
            name: "Example".into(),
            language: Language::En,
            time_zone: "Europe/Paris".into(),
        },
    )
    .await?;
    people::add_domain(&mut tx, &tenant_id, "fax.localhost").await?;
    let plain = people::add_group(
        &mut tx,
        &NewGroup {
            tenant_id: tenant_id.clone(),
            name: "Plain".into(),
        },
    )
    .await?;
    // A group uses the profile of its own name.
    sqlx::query(
        "INSERT INTO profile (profile_id, tenant_id, name, cover) VALUES ($1, $2, $3, 'none')",
    )
    .bind(new_id())
    .bind(&tenant_id)
    .bind("Plain")
    .execute(tx.conn())
    .await?;
    for (address, group_id) in [(PLAIN, Some(plain.clone())), (COVERED, None)] {
        let user = NewUser {
            tenant_id: tenant_id.clone(),
            address: address.into(),
            name: "Alice Martin".into(),
            group_id,
            role: Role::User,
            plan: Plan::SendReceive,
            language: None,
            caller_number: Some(OUR_NUMBER.into()),
        };
        people::add_user(&mut tx, &user).await?;
    }
    let number = NewNumber {
        tenant_id: tenant_id.clone(),
        group_id: plain,
        e164: OUR_NUMBER.into(),
        title: "Front desk".into(),
    };
    let number_id = numbers::add_number(&mut tx, &number).await?;
    numbers::add_recipient(&mut tx, &tenant_id, &number_id, PLAIN).await?;
    for (plan, at) in plans.iter().zip(at) {
        let trunk = Trunk {
            channels: u32::try_from(plan.channels)?,
            t38: plan.t38,
            routes: vec![Route {
                prefix: plan.prefix.into(),
                cost: 0,
            }],
            ..Trunk::new(&tenant_id, plan.prefix, &at.ip().to_string(), at.port())
        };
        numbers::add_trunk(&mut tx, &trunk).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn free_tcp() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn free_udp() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

// Mail.

/// A mail with a document, to these numbers. No two have the same subject: a mail is faxed once.
pub fn mail(from: &str, document: &[u8], numbers: &[String]) -> anyhow::Result<Mail> {
    let message = MessageBuilder::new()
        .from(("Alice Martin", from))
        .to(format!(
            "{}@fax.localhost",
            numbers.first().context("a number")?
        ))
        .subject(format!("Offer {}", new_id()))
        .text_body("")
        .attachment("application/pdf", "offer.pdf", document)
        .write_to_vec()?;
    Ok(Mail {
        from: from.to_owned(),
        numbers: numbers.to_vec(),
        message,
    })
}

pub struct Mail {
    from: String,
    numbers: Vec<String>,
    message: Vec<u8>,
}

/// An SMTP connection.
pub struct Smtp {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Smtp {
    pub fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let answers = BufReader::new(stream.try_clone()?);
        let mut smtp = Self { stream, answers };
        smtp.expect("220")?;
        smtp.say(b"EHLO bench.localhost\r\n", "250")?;
        Ok(smtp)
    }

    /// Sends a mail; gives the moment at which its 250 was read.
    pub fn send(&mut self, mail: &Mail) -> anyhow::Result<Instant> {
        self.say(format!("MAIL FROM:<{}>\r\n", mail.from).as_bytes(), "250")?;
        for number in &mail.numbers {
            let to = format!("RCPT TO:<{number}@fax.localhost>\r\n");
            self.say(to.as_bytes(), "250")?;
        }
        self.say(b"DATA\r\n", "354")?;
        // No line of a mail with its document in base64 begins with a dot.
        self.stream.write_all(&mail.message)?;
        if !mail.message.ends_with(b"\r\n") {
            self.stream.write_all(b"\r\n")?;
        }
        self.say(b".\r\n", "250")?;
        Ok(Instant::now())
    }

    fn say(&mut self, words: &[u8], code: &str) -> anyhow::Result<()> {
        self.stream.write_all(words)?;
        self.expect(code)
    }

    fn expect(&mut self, code: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(
                self.answers.read_line(&mut line)? > 0,
                "the gateway hung up"
            );
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        ensure!(
            line.starts_with(code),
            "{code} was expected, not {}",
            line.trim_end()
        );
        Ok(())
    }
}

// What it takes.

/// What the gateway has taken so far, and the memory it has now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time, milliseconds: the gateway's own process, its line workers, its paper workers.
    pub gateway_ms: f64,
    pub workers_ms: f64,
    pub paper_ms: f64,
    /// Resident octets of the gateway and its line workers, with the workers' files in memory.
    pub memory: u64,
}

/// The numbers of `/proc/PID/stat` behind the name, from the state on.
fn stat(pid: u32) -> Vec<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ')
        .map(|field| field.trim().parse().unwrap_or(0.0))
        .collect()
}

fn ticks_ms(stat: &[f64], first: usize) -> f64 {
    let ticks: f64 = stat.get(first..first + 2).unwrap_or_default().iter().sum();
    // USER_HZ is 100 on every Linux that runs here.
    ticks * 10.0
}

/// User and system time of a process (proc(5): utime is the twelfth behind the name).
pub fn processor_ms(pid: u32) -> f64 {
    ticks_ms(&stat(pid), 11)
}

/// That of its children that have ended.
fn ended_children_ms(pid: u32) -> f64 {
    ticks_ms(&stat(pid), 13)
}

fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Octets of a process's files in memory, which are part of no process's size.
fn memory_files(pid: u32) -> u64 {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| {
            fs::read_link(entry.path())
                .is_ok_and(|link| link.to_string_lossy().starts_with("/memfd:"))
        })
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .map(|file| std::os::unix::fs::MetadataExt::blocks(&file) * 512)
        .sum()
}

/// The children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}
