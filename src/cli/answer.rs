//! `faxpost answer`: a fax machine at the far end of a SIP line, for the demo and for testing lines.
//!
//! It answers every call from its peer and writes the pages as TIFF-F and PNG; with `--send` it calls
//! and sends a document instead.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use async_trait::async_trait;
use faxpost_t4::{FaxPage, tiff};

use super::{log, signalling};
use crate::{
    config::Config,
    language::Language,
    letter,
    line::{
        Answerer, CallEnding, CallEvent, CallOrder, Decision, FaxLine, IncomingCall, PageVerdict,
        ReceivedPage, SipFaxLine, Verdict,
    },
    numbers::{T38Policy, Trunk},
    outcome,
    store::new_id,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where SIP listens.
    #[arg(long, default_value = "127.0.0.1:5070")]
    listen: SocketAddr,
    /// The SIP address of the other side; calls from elsewhere get no answer.
    #[arg(long, default_value = "127.0.0.1:5060")]
    peer: SocketAddr,
    /// First UDP port for media; 200 are used.
    #[arg(long, default_value_t = 42_000)]
    media_port: u16,
    /// Name this address for our media, as a machine behind a NAT names one that others can't see.
    #[arg(long, value_name = "ADDRESS")]
    media_address: Option<std::net::IpAddr>,
    /// Our number: what the other side's display shows (CSI, TSI).
    #[arg(long, default_value = "+33123456789")]
    ident: String,
    /// Where received pages are written.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Line time over clock time; the other side must run as fast.
    #[arg(long, default_value_t = 1)]
    speed: u32,
    /// Refuse calls with this SIP status (486 is busy) instead of answering.
    #[arg(long)]
    refuse: Option<u16>,
    /// Refuse the first N calls only.
    #[arg(long, default_value_t = u32::MAX, requires = "refuse")]
    refuse_first: u32,
    /// Say that page N of a fax (from 1) can't be kept.
    #[arg(long, value_name = "N")]
    refuse_page: Option<u32>,
    /// Stay on G.711: neither offer T.38 nor expect it.
    #[arg(long)]
    no_t38: bool,
    /// Send this TIFF-F document, then end.
    #[arg(long, value_name = "FILE", requires = "to")]
    send: Option<PathBuf>,
    /// The number to send it to.
    #[arg(long)]
    to: Option<String>,
    /// Whom behind that number it is for (T.33).
    #[arg(long, value_name = "DIGITS", requires = "send")]
    sub_address: Option<String>,
}

const PEER: &str = "peer";

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    log::start("warn");
    let line = start(&args).await?;
    match (&args.send, &args.to) {
        (Some(file), Some(to)) => send(&line, &args, file, to).await,
        _ => receive(&line, &args).await,
    }
}

async fn start(args: &Args) -> anyhow::Result<SipFaxLine> {
    let mut config = Config::default();
    config.sip.listen = args.listen;
    config.sip.media_port_min = args.media_port;
    config.sip.media_port_max = args.media_port.saturating_add(199);
    config.line.speed = args.speed;
    config.line.workers = 1;
    let line = signalling::start_naming(&config, None, args.media_address).await?;
    line.set_trunks(&[Trunk {
        trunk_id: PEER.into(),
        channels: 32,
        t38: if args.no_t38 {
            T38Policy::Never
        } else {
            T38Policy::Wait
        },
        ..Trunk::new("", PEER, &args.peer.ip().to_string(), args.peer.port())
    }])
    .await?;
    Ok(line)
}

async fn receive(line: &SipFaxLine, args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("{}: can't be made", args.out.display()))?;
    line.set_answerer(Arc::new(Machine {
        ident: args.ident.clone(),
        out: args.out.clone(),
        refuse: args.refuse,
        refuse_left: AtomicU32::new(args.refuse_first),
        refuse_page: args.refuse_page,
        faxes: AtomicU32::new(0),
        open: Mutex::default(),
    }));
    println!(
        "a fax machine answers at {} for {}; pages go to {}",
        args.listen,
        args.peer,
        args.out.display()
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// The answering machine: pages are kept in memory until the call ends, then written.
struct Machine {
    ident: String,
    out: PathBuf,
    refuse: Option<u16>,
    refuse_left: AtomicU32,
    refuse_page: Option<u32>,
    faxes: AtomicU32,
    open: Mutex<std::collections::HashMap<String, Vec<FaxPage>>>,
}

#[async_trait]
impl Answerer for Machine {
    async fn offered(&self, _call: &IncomingCall) -> Decision {
        if let Some(status) = self.refuse {
            let left =
                self.refuse_left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    });
            if left.is_ok() {
                println!("refused a call with {status}");
                return Decision::Refuse(status);
            }
        }
        Decision::Answer {
            ident: self.ident.clone(),
        }
    }

    async fn keep(&self, call: &IncomingCall, page: ReceivedPage) -> bool {
        if self.refuse_page == Some(page.index + 1) {
            println!("refused page {}", page.index + 1);
            return false;
        }
        println!(
            "page {}: {} x {} pixels, {} octets, {} damaged rows",
            page.index + 1,
            page.page.width,
            page.page.height,
            page.page.data.len(),
            page.bad_rows
        );
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(call.call_id.clone())
            .or_default()
            .push(page.page);
        true
    }

    async fn ended(&self, call: &IncomingCall, ending: CallEnding) {
        let pages = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&call.call_id)
            .unwrap_or_default();
        let words = outcome::classify(&ending).words(Language::En);
        if pages.is_empty() {
            println!("a call from {} brought no page: {words}", call.from);
            return;
        }
        let number = self.faxes.fetch_add(1, Ordering::Relaxed) + 1;
        match write(&self.out, number, &pages) {
            Ok(path) => println!(
                "fax {number} from {} to {}: {} pages in {}: {words}",
                call.from,
                call.to,
                pages.len(),
                path.display()
            ),
            Err(error) => println!("fax {number} can't be written: {error:#}"),
        }
    }
}

/// Writes `fax-n.tif` and a PNG of each page. The TIFF appears whole: it is renamed into place last.
fn write(out: &Path, number: u32, pages: &[FaxPage]) -> anyhow::Result<PathBuf> {
    for (index, page) in pages.iter().enumerate() {
        let png = letter::page_png(page)?;
        std::fs::write(
            out.join(format!("fax-{number}-page-{}.png", index + 1)),
            png,
        )?;
    }
    let path = out.join(format!("fax-{number}.tif"));
    let partial = out.join(format!(".fax-{number}.tif"));
    std::fs::write(&partial, tiff::write(pages)?)?;
    std::fs::rename(&partial, &path)?;
    Ok(path)
}

async fn send(line: &SipFaxLine, args: &Args, file: &Path, to: &str) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(file).with_context(|| format!("{}: can't be read", file.display()))?;
    let pages = tiff::read(&bytes).with_context(|| {
        format!(
            "{}: is no TIFF-F document (give one in T.4 or T.6 coding)",
            file.display()
        )
    })?;
    let total = pages.len();
    let mut events = line
        .place(CallOrder {
            call_id: new_id(),
            trunk_id: PEER.into(),
            more_trunks: Vec::new(),
            from: args.ident.clone(),
            to: to.to_owned(),
            sub_address: args.sub_address.clone(),
            password: None,
            ident: args.ident.clone(),
            pages,
            documents: Vec::new(),
            ecm: true,
            v17: true,
            max_rate: 14_400,
            t38: !args.no_t38,
        })
        .await;
    while let Some(event) = events.recv().await {
        match event {
            CallEvent::Answered => println!("answered"),
            CallEvent::Negotiated(agreed) => println!(
                "{} bit/s, {}, far end {}",
                agreed.rate,
                if agreed.ecm { "ECM" } else { "no ECM" },
                agreed.remote_ident.as_deref().unwrap_or("without a name")
            ),
            CallEvent::PageDataNext {
                answered, permit, ..
            } => {
                if let Some(page) = &answered {
                    told(page, total)?;
                }
                // This machine keeps no records to wait for.
                let _ = permit.send(());
            }
            CallEvent::Page(page) => told(&page, total)?,
            CallEvent::Ended(ending) => return ended(&ending, total).await,
            _ => {}
        }
    }
    bail!("the line gave no ending")
}

fn told(page: &PageVerdict, total: usize) -> anyhow::Result<()> {
    println!(
        "page {} of {total}: {:?} ({})",
        page.page + 1,
        page.verdict,
        page.evidence
    );
    std::io::stdout().flush()?;
    Ok(())
}

async fn ended(ending: &CallEnding, total: usize) -> anyhow::Result<()> {
    let outcome = outcome::classify(ending);
    let confirmed = ending
        .pages
        .iter()
        .filter(|page| page.verdict == Verdict::Confirmed)
        .count();
    println!(
        "{confirmed} of {total} pages confirmed: {}",
        outcome.words(Language::En)
    );
    // The BYE goes out while we wait a moment: an exit at once would leave the far end's call up.
    tokio::time::sleep(Duration::from_millis(200)).await;
    if confirmed == total {
        Ok(())
    } else {
        bail!("not every page is confirmed")
    }
}
