//! `faxpost serve`: the rooms put together, and taken down in order.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{log, signalling, trunks};
use crate::{
    config::{Config, LmtpAddress},
    conversion::{self, Converters},
    front,
    inbox::{self, Inbox},
    line::{FaxLine, HylaFaxLine, Lines},
    policy::Policies,
    queue::{self, Queue, Work},
    recognition::{self, Reader},
    relay::{self, Relay, ReturnPaths},
    sender::{Dns, Prover},
    store::{Node, Store, Topic},
    submission::Submitter,
    tokens::{self, Tokens},
    vault::{Custody, SpoolDir},
    web,
    worker::{Fonts, Program, paper::PaperPool},
};

/// How often custody is looked through for days that are over.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How long the ports of a gateway that was killed may stay in use.
const PREDECESSOR: Duration = Duration::from_secs(2);
/// How long a call that is hung up at the end of that may take to be recorded, with all that follows.
const LAST_WORDS: Duration = Duration::from_secs(15);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Accept mail and answer calls, but neither render nor dial: for maintenance.
    ///
    /// What is accepted waits in the queue until the gateway runs without this. Reports of faxes that
    /// ended before, and mail to the relay, still go out; a job that waits past its deadline is
    /// reported as expired.
    #[arg(long)]
    hold: bool,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<()> {
    log::start("info");
    raise_open_files();
    let stop = CancellationToken::new();
    let work = if args.hold { Work::Held } else { Work::All };
    let patience = Duration::from_secs(config.line.drain_s) + LAST_WORDS;
    let mut tasks = start(config, work, &stop).await?;
    tokio::select! {
        signal = signalled() => tracing::info!(signal, "stopping"),
        () = stop.cancelled() => {
            // A part gave up: whoever watches over us must see that it was no orderly end.
            drain(tasks, patience).await;
            anyhow::bail!("a part of the gateway failed; its reason is in the log");
        }
        Some(ended) = tasks.join_next() => {
            stop.cancel();
            drain(tasks, patience).await;
            return match ended {
                Ok(Ok(())) => anyhow::bail!("a part of the gateway ended by itself"),
                Ok(Err(error)) => Err(error),
                Err(error) => Err(error.into()),
            };
        }
    }
    stop.cancel();
    drain(tasks, patience).await;
    tracing::info!("stopped");
    Ok(())
}

/// Each call and each client is a descriptor: shells and service managers begin with 1024 of them, and leave
/// it to the program to take what it may.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files can't be raised: many calls at once may fail");
        }
    }
}

/// Opens everything, then starts the parts, doors last.
async fn start(
    config: Config,
    work: Work,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let policies = Policies::load(config.policies_dir.as_deref())?;
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("{}: can't be made", config.data_dir.display()))?;
    let store = Store::open(&config.database_url()).await?;
    let custody = Custody::start(&config.custody_dir(), &config.keys_dir())?;
    let from = config
        .relay
        .from
        .clone()
        .unwrap_or_else(|| format!("fax@{}", config.hostname));

    let tokens = Tokens::open(&custody.vault())?;
    let (notices_from, imap_from) = (from.clone(), from.clone());
    // No child is started before the ports are ours: between fork and exec it would hold the sockets that
    // try them, and the listener after them would find its own port in use.
    predecessor_gone(&config).await;
    let nodes = config.nodes_dir();
    let node = Node::take(&nodes)
        .with_context(|| format!("{}: can't be read, written or locked", nodes.display()))?;
    let sip = signalling::start(&config, Some(custody.vault())).await?;
    let line = Lines::new(
        sip,
        // Hostnames may be equal, and what is not ours on a server must stay.
        HylaFaxLine::new(node.id(), Some(custody.vault())),
    );
    let folders = config.paper.fonts.clone();
    let fonts = tokio::task::spawn_blocking(move || Fonts::find(&folders)).await?;
    let paper = Arc::new(PaperPool::with_fonts(
        Program::this(),
        config.paper.workers,
        paper_limits(&config),
        Arc::new(fonts),
    ));

    let converters = converters(&config).await;
    let ocr = ocr(&config).await;

    let inbox = Inbox::new(inbox::Setup {
        store: store.clone(),
        custody: custody.clone(),
        plan: policies.dial.clone(),
        hostname: config.hostname.clone(),
        from: from.clone(),
        min_free_disk: config.smtp.min_free_disk,
        max_size: config.relay.max_size,
        retention: policies.retention,
        node: node.id().to_owned(),
        ocr,
    });
    let (node_id, imap_node) = (node.id().to_owned(), node.id().to_owned());
    let queue = Queue::new(queue::Setup {
        store: store.clone(),
        custody: custody.clone(),
        paper: paper.clone(),
        converters,
        line: Arc::new(line.clone()),
        policy: policies.sending.clone(),
        covers: policies.covers.clone(),
        tokens: tokens.clone(),
        hostname: config.hostname.clone(),
        report_from: from,
        renderers: config.paper.workers,
        paper_deadline: Duration::from_secs(config.paper.wall_s),
        max_pages: config.paper.max_pages,
        node,
        drain: Duration::from_secs(config.line.drain_s),
    });

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    trunks::take_up(&store, &line, &mut Vec::new()).await;
    let (run_queue, token) = (queue.clone(), stop.clone());
    tasks.spawn(async move { Ok(run_queue.run(work, token).await?) });
    inbox.take_back().await?;
    let (run_inbox, token) = (inbox.clone(), stop.clone());
    tasks.spawn(async move {
        run_inbox.run(token).await;
        Ok(())
    });
    line.set_answerer(Arc::new(inbox));
    let (closing, token) = (line.clone(), stop.clone());
    let last_calls = Duration::from_secs(config.line.drain_s);
    tasks.spawn(async move {
        tokio::select! {
            () = token.cancelled() => closing.close(last_calls).await,
            () = closing.over() => anyhow::bail!("SIP signalling has stopped"),
        }
        Ok(())
    });
    tasks.spawn(trunks::follow(store.clone(), line.clone(), stop.clone()));
    tasks.spawn(trunks::tell(
        store.clone(),
        line.clone(),
        config.hostname.clone(),
        stop.clone(),
    ));
    tasks.spawn(sweep(store.clone(), custody.clone(), stop.clone()));
    let return_paths = ReturnPaths::new(tokens.clone(), config.relay.bounces.clone());
    let relay = Relay::start(
        relay::Setup {
            return_paths: return_paths.clone(),
            signing: Arc::new(relay::dkim::Signing::new(&config.keys_dir())),
            store: store.clone(),
            custody: custody.clone(),
            config: config.relay.clone(),
            hostname: config.hostname.clone(),
            retention: policies.retention,
            node: node_id,
        },
        stop.clone(),
    );
    tasks.spawn(async move { Ok(relay.await?) });
    if let Some(listen) = config.web.listen {
        let page = web::Page {
            store: store.clone(),
            queue: queue.clone(),
            line: line.clone(),
            hostname: config.hostname.clone(),
        };
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| {
                format!("web.listen {listen} can't be had: is another server there?")
            })?;
        tracing::info!(address = %listener.local_addr()?, "status page");
        tasks.spawn(web::run(page, listener, stop.clone()));
    }
    let submitter = Submitter::start(
        store.clone(),
        custody.clone(),
        policies.tariffs.clone(),
        policies.accepting.same_mail,
        policies.limits.daily(),
    );
    let house = Arc::new(front::Rooms::new(
        store.clone(),
        submitter,
        front::Postmaster::new(custody.clone(), &config.relay),
        tokens,
        return_paths,
        inbox::SendOn {
            store: store.clone(),
            custody: custody.clone(),
            from: notices_from.clone(),
            hostname: config.hostname.clone(),
            kept_ms: policies.retention.undelivered_ms(),
        },
    ));
    let notices = front::SecretNotices {
        store: store.clone(),
        custody: custody.clone(),
        from: notices_from,
        hostname: config.hostname.clone(),
    };
    let alerts = front::Alerts::of(
        &config,
        store.clone(),
        custody.clone(),
        notices.from.clone(),
    );
    let token = stop.clone();
    tasks.spawn(async move {
        alerts.run(token).await;
        Ok(())
    });
    let token = stop.clone();
    tasks.spawn(async move {
        notices.run(token).await;
        Ok(())
    });
    let intake = Arc::new(
        front::Intake::new(house, prover(&config, &policies), policies.dial.clone())
            .with_limits(policies.limits)
            .on_host(&config.hostname),
    );
    let poller = front::imap::Poller::new(front::imap::Setup {
        store: store.clone(),
        custody: custody.clone(),
        intake: Arc::clone(&intake),
        postmaster: front::Postmaster::new(custody.clone(), &config.relay),
        config: config.imap.clone(),
        max_size: config.smtp.max_size,
        node: imap_node,
        from: imap_from,
        hostname: config.hostname.clone(),
    });
    let token = stop.clone();
    tasks.spawn(async move {
        poller.run(token).await;
        Ok(())
    });
    let mut limits = front::smtp::Limits::of(&config);
    limits.spool = Some(spool_dir(&config)?);
    limits.ask_certificates = policies.senders.asks_certificates();
    let door = front::smtp::Door::open(&config, limits).await?;
    for (role, address) in door.addresses() {
        tracing::info!(%address, "{role}");
    }
    let token = stop.clone();
    tasks.spawn(async move {
        door.serve(intake, token).await;
        Ok(())
    });
    store.wake(Topic::Queue);
    store.wake(Topic::Outbox);
    Ok(tasks)
}

/// Where large mails wait until they are judged.
fn spool_dir(config: &Config) -> anyhow::Result<SpoolDir> {
    let folder = config.data_dir.join("spool");
    SpoolDir::open(&folder)
        .with_context(|| format!("{}: can't be made, read or cleared", folder.display()))
}

/// Who says who sent a mail. Without DNS what needs it is put off, not refused.
fn prover(config: &Config, policies: &Policies) -> Prover {
    let dns = Dns::new(config.smtp.dns)
        .inspect_err(|why| tracing::warn!(why, "senders' domains can't be asked about"))
        .ok();
    Prover::new(policies.senders.clone(), dns)
}

/// Waits a moment for ports that are in use. Where a gateway was killed while it started a worker, that
/// child holds its sockets until the kernel has ended it too. Ports that stay in use are told by who
/// listens there.
async fn predecessor_gone(config: &Config) {
    let until = tokio::time::Instant::now() + PREDECESSOR;
    let in_use = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let smtp = &config.smtp;
    let lmtp = smtp.lmtp.iter().filter_map(|address| match address {
        LmtpAddress::Tcp(address) => Some(*address),
        LmtpAddress::Unix(_) => None,
    });
    let mail = smtp.listen.iter().chain(&smtp.submission);
    let mail = mail.chain(&smtp.submissions).copied().chain(lmtp);
    let tcp = mail.chain(config.web.listen);
    let tcp = tcp.chain(config.sip.tcp.then_some(config.sip.listen));
    let tcp = tcp.chain(config.sip.tls_listen);
    let udp = std::iter::once(config.sip.listen);
    let taken = |address: &SocketAddr, over_udp: bool| {
        if over_udp {
            UdpSocket::bind(address).is_err_and(in_use)
        } else {
            TcpListener::bind(address).is_err_and(in_use)
        }
    };
    for (address, over_udp) in tcp.zip(std::iter::repeat(false)).chain(udp.zip([true])) {
        while taken(&address, over_udp) && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What of LibreOffice and Ghostscript is here, told to the log.
async fn converters(config: &Config) -> Converters {
    if !config.paper.convert {
        return Converters::default();
    }
    let (converters, findings) =
        Converters::find(conversion_limits(config), config.paper.workers).await;
    for finding in findings {
        match finding.found {
            Ok(program) => tracing::info!(program, "{} are converted", finding.what),
            Err(why) => tracing::info!(why, "{} are not converted", finding.what),
        }
    }
    converters
}

/// Who reads received pages, told to the log. Which are read is for profiles to say.
async fn ocr(config: &Config) -> Option<inbox::Ocr> {
    match Reader::find(ocr_settings(config)).await {
        Ok(reader) => {
            tracing::info!(
                languages = reader.languages().join(", "),
                turns = reader.turns(),
                "received pages can be read"
            );
            Some(inbox::Ocr {
                reader,
                at_once: config.ocr.at_once,
                fax: Duration::from_secs(config.ocr.fax_s),
            })
        }
        Err(why) => {
            tracing::info!(why, "received pages are not read");
            None
        }
    }
}

pub(super) fn ocr_settings(config: &Config) -> recognition::Settings {
    recognition::Settings {
        tesseract: config.ocr.tesseract.clone(),
        page: Duration::from_secs(config.ocr.page_s.max(1)),
    }
}

/// What a conversion may take: an office needs more of the processor than drawing its pages does.
pub(super) fn conversion_limits(config: &Config) -> conversion::Limits {
    conversion::Limits {
        wall: Duration::from_secs(config.paper.wall_s),
        cpu: Duration::from_secs(config.paper.cpu_s.saturating_mul(2)),
    }
}

pub(super) fn paper_limits(config: &Config) -> crate::worker::Limits {
    let mut limits = crate::worker::Limits::of(crate::worker::Kind::Paper);
    limits.address_space = config.paper.memory_mb << 20;
    limits.cpu = Some(Duration::from_secs(config.paper.cpu_s));
    limits.step = Some(Duration::from_secs(config.paper.page_cpu_s));
    limits
}

/// Ends the days of custody whose items have all been delivered: the keys go, then the bytes.
async fn sweep(store: Store, custody: Custody, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        match custody.sweep(&store).await {
            Ok(swept) if swept.days.is_empty() => {}
            Ok(swept) => tracing::info!(
                days = swept.days.len(),
                segments = swept.segments,
                "custody ended; its keys are destroyed"
            ),
            Err(error) => tracing::error!(%error, "custody can't be swept; trying again"),
        }
        if let Err(error) = tokens::sweep(&store).await {
            tracing::warn!(%error, "tokens that are over can't be forgotten; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}

/// Lets the parts end by themselves, for a while: calls in progress get an honest end.
async fn drain(mut tasks: JoinSet<anyhow::Result<()>>, patience: Duration) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all).await.is_err() {
        tracing::warn!(
            patience_s = patience.as_secs(),
            "calls are still up: they end here, and their pages without an answer count as unknown"
        );
    }
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn signalled() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
