//! From the 250 of a mail to the INVITE of its call, read by one clock: on a quiet gateway, and with a
//! thousand other jobs waiting while a channel is free.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use faxpost::numbers::T38Policy;

use super::{
    Place,
    far::{Far, Manner},
    gateway::{COVERED, Gateway, PLAIN, Smtp, TrunkPlan, mail},
    page::{self, Amount},
};

/// The trunk that has free channels, and the one whose two are taken.
const FREE: &str = "+33199";
const FULL: &str = "+33198";
const FULL_CHANNELS: usize = 2;
/// Jobs that wait for another try, and jobs that wait for the full trunk.
const WAITING: u32 = 500;
const READY: u32 = 500;
const RECIPIENTS: usize = 100;
/// A mail whose INVITE takes longer is counted with this.
const LONGEST: Duration = Duration::from_secs(30);
/// How long the mails of one measurement may take in all.
const ALL: Duration = Duration::from_secs(90);
const FILL: Duration = Duration::from_secs(120);

pub struct Times {
    pub median_ms: f64,
    pub p99_ms_queued: f64,
}

/// Measures with so many mails; a third of them on the quiet gateway.
pub async fn measure(place: &Place, mails: usize) -> anyhow::Result<Times> {
    let trunk = |prefix, channels| TrunkPlan {
        prefix,
        channels,
        t38: T38Policy::Offer,
    };
    let plans = [trunk(FREE, 200), trunk(FULL, FULL_CHANNELS)];
    let (gateway, far) = Gateway::start(&place.program, place.processor, 200, &plans).await?;
    let mut bench = Bench {
        smtp: Smtp::open(gateway.smtp)?,
        document: page::pdf(Amount::Short),
        gateway,
        far,
        serial: 0,
    };
    println!("\nfrom the 250 to the INVITE, milliseconds, the INVITE seen up to 2 ms late");
    println!(
        "{:<44} {:>6} {:>7} {:>7} {:>7} {:>7}",
        "", "mails", "median", "p90", "p99", "most"
    );
    // Once without counting: paper workers are warm, statements prepared.
    bench.times(COVERED, 5).await?;
    let quiet = (mails / 3).max(1);
    let covered = bench.times(COVERED, quiet).await?;
    told("a PDF of one page, with a cover (the default)", &covered);
    let plain = bench.times(PLAIN, quiet).await?;
    told("a PDF of one page, no cover", &plain);
    bench.fill().await?;
    let queued = bench.times(COVERED, mails).await?;
    told("the same as the first, 1000 jobs waiting", &queued);
    let there = bench.waiting().await?;
    ensure!(
        there >= i64::from(WAITING + READY - 100),
        "only {there} jobs still waited at the end: the figure is void"
    );
    if std::env::var_os("BENCH_KEEP").is_some() {
        println!("its folder is kept: {}", bench.gateway.keep().display());
    }
    let Bench { gateway, far, .. } = bench;
    // The calls that ring end with their caller.
    gateway.stop();
    drop(far);
    Ok(Times {
        median_ms: at(&covered, 0.5),
        p99_ms_queued: at(&queued, 0.99),
    })
}

fn told(what: &str, times: &[f64]) {
    println!(
        "{what:<44} {:>6} {:>7.0} {:>7.0} {:>7.0} {:>7.0}",
        times.len(),
        at(times, 0.5),
        at(times, 0.9),
        at(times, 0.99),
        at(times, 1.0)
    );
}

/// The least of the sorted numbers that this share of them does not exceed.
fn at(times: &[f64], share: f64) -> f64 {
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

struct Bench {
    gateway: Gateway,
    far: Far,
    smtp: Smtp,
    document: Vec<u8>,
    serial: u32,
}

impl Bench {
    fn number(&mut self, prefix: &str, manner: Manner) -> String {
        self.serial += 1;
        manner.number(prefix, self.serial)
    }

    /// The times of mails that go out one after the other, milliseconds, sorted.
    async fn times(&mut self, from: &str, mails: usize) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::new();
        let until = Instant::now() + ALL;
        while times.len() < mails && Instant::now() < until {
            let number = self.number(FREE, Manner::Nobody);
            let mail = mail(from, &self.document, std::slice::from_ref(&number))?;
            while self.far.invites.try_recv().is_ok() {}
            let accepted = self.smtp.send(&mail)?;
            let seen = tokio::time::timeout(LONGEST, self.invite(&number)).await;
            let seen = seen.unwrap_or_else(|_| Some(Instant::now()));
            let took = seen
                .context("the far end has ended")?
                .saturating_duration_since(accepted);
            times.push(took.as_secs_f64() * 1e3);
            // Its report is written meanwhile, as that of another mail would be.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    async fn invite(&mut self, number: &str) -> Option<Instant> {
        loop {
            let (called, at) = self.far.invites.recv().await?;
            if called == number {
                return Some(at);
            }
        }
    }

    /// Makes the thousand jobs and waits until all of them have their pages and wait.
    async fn fill(&mut self) -> anyhow::Result<()> {
        for (prefix, manner, jobs) in [
            (FULL, Manner::Ring, READY + FULL_CHANNELS as u32),
            (FREE, Manner::Busy, WAITING),
        ] {
            let numbers: Vec<String> = (0..jobs).map(|_| self.number(prefix, manner)).collect();
            for some in numbers.chunks(RECIPIENTS) {
                self.smtp.send(&mail(PLAIN, &self.document, some)?)?;
            }
        }
        let until = Instant::now() + FILL;
        loop {
            let fresh = self
                .gateway
                .count(
                    "SELECT CAST(COUNT(*) AS BIGINT) FROM job WHERE finished_at IS NULL
                     AND (state IN ('queued', 'rendering') OR state = 'ready' AND tries = 0
                          AND destination LIKE '+33199%')",
                )
                .await?;
            if fresh == 0 && self.waiting().await? >= i64::from(WAITING + READY) {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "the gateway did not take up {} jobs in {} s",
                WAITING + READY,
                FILL.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Jobs that have their pages and wait to be called.
    async fn waiting(&self) -> anyhow::Result<i64> {
        self.gateway
            .count("SELECT CAST(COUNT(*) AS BIGINT) FROM job WHERE state IN ('ready', 'waiting')")
            .await
    }
}
