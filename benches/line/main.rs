//! The line under load: simultaneous calls in real time, and the time from a mail's 250 to its INVITE.
//!
//! `make bench-line` builds the program and runs this, about ten minutes. The gateway is the real one with
//! SQLite, on one processor; everything else, the far ends of all calls with it, is this process on another.
//! Half of the calls are mails that the gateway sends, half are calls that it answers, of the page that
//! `page.rs` names. A call is clean when its page was confirmed at the first try and is there, dot for dot:
//! at the far end, or in the mail that the gateway wrote.
//!
//! ```text
//! BENCH_T38="100s 100r 250 500 1000"   steps: calls, and s (only sent) or r (only received)
//! BENCH_G711="100 200"                 the same over G.711
//! BENCH_MAILS=150                      mails for the times; 0: none
//! BENCH_FAXPOST=path                   another program than the one built with this
//! BENCH_DIR=/var/tmp                   where the gateway's folder is: on a disk, not in memory
//! BENCH_KEEP=1                         keeps that folder
//! ```

mod far;
mod gateway;
mod load;
mod media;
mod page;
mod sip;
mod times;

use std::path::PathBuf;

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use self::load::{Kind, Plan};

/// Where everything runs.
pub struct Place {
    program: PathBuf,
    /// The gateway's processor.
    processor: usize,
}

fn main() -> anyhow::Result<()> {
    let place = place()?;
    // Every thread begins after this, and so on this process's own processor.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            done = run(&place) => done,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("broken off"),
        }
    })
}

fn place() -> anyhow::Result<Place> {
    let program = std::env::var_os("BENCH_FAXPOST")
        .map_or_else(|| env!("CARGO_BIN_EXE_faxpost").into(), PathBuf::from);
    let ours = sched_getaffinity(None)?;
    let mut there = (0..CpuSet::MAX_CPU).filter(|&cpu| ours.is_set(cpu));
    let gateway = there.next().context("a processor")?;
    let own = there.next().unwrap_or(gateway);
    let mut set = CpuSet::new();
    set.set(own);
    sched_setaffinity(None, &set)?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "the gateway on processor {gateway}, the load generator on {own}; load average before: {load}"
    );
    if gateway == own {
        println!("NOTE: there is one processor only; figures of calls are void");
    }
    Ok(Place {
        program,
        processor: gateway,
    })
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

async fn run(place: &Place) -> anyhow::Result<()> {
    let t38: Vec<Plan> = load::plans(&setting("BENCH_T38", "100s 100r 250 500 1000"))?;
    let g711: Vec<Plan> = load::plans(&setting("BENCH_G711", "100 200"))?;
    let mails: usize = setting("BENCH_MAILS", "150").parse()?;
    let page = page::drawn(&page::pdf(page::Amount::Dense))?;
    println!(
        "the page: {} x {} dots of dense text, {} octets in MMR",
        page.width,
        page.height,
        page.data.len()
    );
    let mut figures = Vec::new();
    let over_t38 = load::climb(place, Kind::T38, &t38).await?;
    let over_g711 = load::climb(place, Kind::G711, &g711).await?;
    if let Some(best) = over_t38 {
        figures.push(format!("t38_calls_clean {} calls", best.calls));
        figures.push(format!(
            "t38_cpu_ms_per_page {:.1} ms",
            best.cpu_ms_per_page
        ));
        figures.push(format!("call_peak_mb {:.2} MB", best.mb_per_call));
    }
    if let Some(best) = over_g711 {
        figures.push(format!("g711_calls_clean {} calls", best.calls));
    }
    if mails > 0 {
        let times = times::measure(place, mails).await?;
        figures.push(format!("accept_to_invite_ms {:.0} ms", times.median_ms));
        figures.push(format!(
            "accept_to_invite_p99_ms_1000_queued {:.0} ms",
            times.p99_ms_queued
        ));
    }
    println!();
    for figure in figures {
        println!("FIGURE {figure}");
    }
    Ok(())
}
