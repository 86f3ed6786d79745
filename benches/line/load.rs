//! Steps of more and more simultaneous calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use faxpost::numbers::T38Policy;
use faxpost_t4::{Bitmap, tiff};

use super::{
    Place,
    far::{Far, Manner, Order, Outcome},
    gateway::{Gateway, OUR_NUMBER, PLAIN, Smtp, TrunkPlan, Usage, mail, processor_ms},
    page::{self, Amount},
};

/// Recipients of a mail: what the gateway takes by default.
const RECIPIENTS: usize = 100;
/// Between two calls to the gateway: below the 50 INVITEs a second that it takes.
const PACE: Duration = Duration::from_millis(25);
/// Between two looks at the gateway's memory.
const LOOK: Duration = Duration::from_millis(1500);
/// How long a step's calls may take from the first mail to the last hang-up, and what follows them.
const CALLS: Duration = Duration::from_secs(150);
const REST: Duration = Duration::from_secs(90);
const PREFIX: &str = "+33199";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    T38,
    G711,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::T38 => "T.38",
            Self::G711 => "G.711",
        }
    }
}

/// A step: calls that the gateway places, and calls that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    sent: usize,
    received: usize,
}

impl Plan {
    fn calls(self) -> usize {
        self.sent + self.received
    }
}

pub fn plans(text: &str) -> anyhow::Result<Vec<Plan>> {
    text.split_whitespace()
        .map(|word| {
            let digits = word.trim_end_matches(['s', 'r']);
            let calls: usize = digits
                .parse()
                .with_context(|| format!("{word} is no step: give 100, 100s or 100r"))?;
            Ok(match &word[digits.len()..] {
                "s" => Plan {
                    sent: calls,
                    received: 0,
                },
                "r" => Plan {
                    sent: 0,
                    received: calls,
                },
                _ => Plan {
                    sent: calls / 2,
                    received: calls - calls / 2,
                },
            })
        })
        .collect()
}

/// What the largest clean step showed.
#[derive(Clone, Copy, Debug)]
pub struct Best {
    pub calls: usize,
    pub cpu_ms_per_page: f64,
    pub mb_per_call: f64,
}

/// What all steps share.
struct Bench {
    kind: Kind,
    gateway: Gateway,
    far: Far,
    document: Vec<u8>,
    expected: Bitmap,
    tiff: Arc<[u8]>,
    /// What the gateway had in memory before its first call.
    idle: u64,
    /// Numbers called so far: each is called once.
    numbers: u32,
}

/// Goes up the steps until one is not clean.
pub async fn climb(place: &Place, kind: Kind, plans: &[Plan]) -> anyhow::Result<Option<Best>> {
    let Some(most) = plans.iter().map(|plan| plan.calls()).max() else {
        return Ok(None);
    };
    let document = page::pdf(Amount::Dense);
    let drawn = page::drawn(&document)?;
    println!("\n{}, 14400 bit/s, ECM", kind.name());
    let trunk = TrunkPlan {
        prefix: PREFIX,
        channels: most * 2,
        t38: match kind {
            Kind::T38 => T38Policy::Offer,
            Kind::G711 => T38Policy::Never,
        },
    };
    let (gateway, far) = Gateway::start(&place.program, place.processor, most, &[trunk]).await?;
    // What starts lazily has started.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut bench = Bench {
        kind,
        idle: gateway.usage().memory,
        gateway,
        far,
        expected: drawn.decode()?,
        tiff: tiff::write(&[drawn])?.into(),
        document,
        numbers: 0,
    };
    println!(
        "{:>5} {:>5} {:>5} {:>6} {:>6} {:>7} {:>7} | {:>7} {:>7} {:>7} {:>6} {:>6} | {:>7} {:>6} {:>6}",
        "calls",
        "sent",
        "rcvd",
        "at",
        "clean",
        "ramp",
        "call",
        "CPU ms",
        "gateway",
        "workers",
        "busy",
        "MB",
        "gen. ms",
        "busy",
        "late"
    );
    println!(
        "{:>5} {:>5} {:>5} {:>6} {:>6} {:>7} {:>7} | {:>7} {:>7} {:>7} {:>6} {:>6} | {:>7} {:>6} {:>6}",
        "", "", "", "once", "", "s", "s", "/page", "", "", "%", "/call", "/page", "%", "ms"
    );
    let mut best = None;
    let mut broken = false;
    for plan in plans {
        match bench.step(*plan).await? {
            Some(clean) => best = Some(clean),
            None => {
                broken = true;
                break;
            }
        }
    }
    if broken || std::env::var_os("BENCH_KEEP").is_some() {
        println!("its folder is kept: {}", bench.gateway.keep().display());
    }
    let Bench { gateway, far, .. } = bench;
    gateway.stop();
    drop(far);
    Ok(best)
}

/// What a step took and brought.
struct Measured {
    outcomes: Vec<Outcome>,
    began: Instant,
    all_up: Option<Duration>,
    calls_over: Duration,
    before: Usage,
    own_before: f64,
    /// Memory at most.
    memory: u64,
}

impl Bench {
    async fn step(&mut self, plan: Plan) -> anyhow::Result<Option<Best>> {
        let sent_before = self.sent_at_first_try().await?;
        let mailed_before = self.gateway.faxes().len();
        let mut measured = self.calls(plan).await?;
        let own_ms = processor_ms(std::process::id()) - measured.own_before;
        let settled = self.settled(plan, mailed_before, &mut measured).await?;
        let after = self.gateway.usage();
        let sent = self.sent_at_first_try().await? - sent_before;
        let faults = self.faults(&measured, usize::try_from(sent)?, plan, mailed_before);
        let unclean: usize = faults.values().sum();
        let clean = plan.calls().saturating_sub(unclean);
        let at_once = self.far.told.most_up.load(Ordering::Relaxed);

        let pages = plan.calls() as f64;
        let (gateway_ms, workers_ms) = (
            after.gateway_ms - measured.before.gateway_ms,
            after.workers_ms - measured.before.workers_ms,
        );
        let paper_ms = after.paper_ms - measured.before.paper_ms;
        let wall_ms = measured.calls_over.as_secs_f64() * 1e3;
        let mb = measured.memory.saturating_sub(self.idle) as f64 / 1e6 / pages;
        let lasted: Duration = measured.outcomes.iter().map(|call| call.lasted).sum();
        println!(
            "{:>5} {:>5} {:>5} {:>6} {:>6} {:>7.1} {:>7.1} | {:>7.1} {:>7.1} {:>7.1} {:>6.0} {:>6.2} | {:>7.1} {:>6.0} {:>6.1}",
            plan.calls(),
            plan.sent,
            plan.received,
            at_once,
            clean,
            measured.all_up.map_or(f64::NAN, |all| all.as_secs_f64()),
            lasted.as_secs_f64() / measured.outcomes.len().max(1) as f64,
            (gateway_ms + workers_ms) / pages,
            gateway_ms / pages,
            workers_ms / pages,
            (gateway_ms + workers_ms + paper_ms) / wall_ms * 100.0,
            mb,
            own_ms / pages,
            own_ms / wall_ms * 100.0,
            self.far.told.late_us.load(Ordering::Relaxed) as f64 / 1e3,
        );
        for (fault, calls) in &faults {
            println!("      {calls} calls: {fault}");
        }
        if !settled {
            println!(
                "      the gateway still owes reports or faxes after {} s",
                REST.as_secs()
            );
        }
        if at_once < plan.calls() {
            println!("      they were not all up at once");
        }
        for complaint in self.gateway.complaints().iter().take(5) {
            println!("      its log: {complaint}");
        }
        let is_clean = clean == plan.calls() && at_once >= plan.calls() && settled;
        Ok(is_clean.then_some(Best {
            calls: plan.calls(),
            cpu_ms_per_page: (gateway_ms + workers_ms) / pages,
            mb_per_call: mb,
        }))
    }

    async fn sent_at_first_try(&self) -> anyhow::Result<i64> {
        self.gateway
            .count("SELECT CAST(COUNT(*) AS BIGINT) FROM job WHERE state = 'sent' AND tries = 1")
            .await
    }

    /// Places the step's calls and waits for their ends.
    async fn calls(&mut self, plan: Plan) -> anyhow::Result<Measured> {
        self.far.told.reset();
        let mut measured = Measured {
            outcomes: Vec::new(),
            began: Instant::now(),
            all_up: None,
            calls_over: Duration::ZERO,
            before: self.gateway.usage(),
            own_before: processor_ms(std::process::id()),
            memory: 0,
        };
        let numbers: Vec<String> = (0..plan.sent)
            .map(|_| {
                self.numbers += 1;
                Manner::Take.number(PREFIX, self.numbers)
            })
            .collect();
        let mut smtp = Smtp::open(self.gateway.smtp)?;
        for some in numbers.chunks(RECIPIENTS) {
            smtp.send(&mail(PLAIN, &self.document, some)?)?;
        }
        let mut to_place = plan.received;
        let mut look = Instant::now();
        let until = measured.began + CALLS;
        while self.far.told.ended() < plan.calls() {
            if Instant::now() > until {
                break;
            }
            if to_place > 0 {
                to_place -= 1;
                self.far.call(Order {
                    trunk: 0,
                    to: OUR_NUMBER.into(),
                    t38: self.kind == Kind::T38,
                    tiff: self.tiff.clone(),
                });
            }
            if Instant::now() > look {
                measured.memory = measured.memory.max(self.gateway.usage().memory);
                look = Instant::now() + LOOK;
            }
            if measured.all_up.is_none()
                && self.far.told.most_up.load(Ordering::Relaxed) >= plan.calls()
            {
                measured.all_up = Some(measured.began.elapsed());
            }
            tokio::time::sleep(PACE).await;
        }
        measured.calls_over = measured.began.elapsed();
        Ok(measured)
    }

    /// Waits until nothing is left to do: jobs ended, reports and faxes mailed.
    async fn settled(
        &mut self,
        plan: Plan,
        mailed: usize,
        measured: &mut Measured,
    ) -> anyhow::Result<bool> {
        let until = Instant::now() + REST;
        let settled = loop {
            let open = self
                .gateway
                .count("SELECT CAST(COUNT(*) AS BIGINT) FROM job WHERE finished_at IS NULL")
                .await?;
            let owed = self
                .gateway
                .count("SELECT CAST(COUNT(*) AS BIGINT) FROM outbox WHERE state <> 'sent'")
                .await?;
            let there = plan.received == 0 || self.gateway.faxes().len() >= mailed + plan.received;
            if open == 0 && owed == 0 && there {
                break true;
            }
            if Instant::now() > until {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        measured.outcomes = self.far.told.take();
        Ok(settled)
    }

    /// What keeps calls from being clean, and how many.
    fn faults(
        &self,
        measured: &Measured,
        sent: usize,
        plan: Plan,
        mailed_before: usize,
    ) -> BTreeMap<String, usize> {
        let mut faults = BTreeMap::new();
        let mut add = |what: String, calls: usize| {
            if calls > 0 {
                *faults.entry(what).or_default() += calls;
            }
        };
        let mut told = BTreeMap::<String, usize>::new();
        let (mut out, mut inwards) = (0, 0);
        for call in &measured.outcomes {
            let good = if call.sent_by_gateway {
                call.pages.len() == 1 && page::is_same(&self.expected, &call.pages[0], true)
            } else {
                call.is_confirmed()
            };
            if good && call.fault.is_none() {
                *(if call.sent_by_gateway {
                    &mut out
                } else {
                    &mut inwards
                }) += 1;
                continue;
            }
            let direction = if call.sent_by_gateway {
                "sent"
            } else {
                "received"
            };
            let ending = call.ending.as_ref().map_or("no fax", |ending| ending.name);
            let fault = call.fault.as_deref().unwrap_or("its page is not there");
            *told
                .entry(format!("{direction}: {fault} ({ending})"))
                .or_default() += 1;
        }
        for (what, calls) in told {
            println!("      {calls} calls {what}");
        }
        // Each call is clean for both sides or it isn't.
        add(
            "sent, but not confirmed at the first try and whole at the far end".into(),
            plan.sent - plan.sent.min(out).min(sent),
        );
        let mailed = (self.gateway.faxes().iter().skip(mailed_before))
            .filter_map(|pdf| page::of_pdf(pdf))
            .filter(|page| page::is_same(&self.expected, page, false))
            .count();
        add(
            "received, but not confirmed at the first try and whole in a mail".into(),
            plan.received - plan.received.min(inwards).min(mailed),
        );
        faults
    }
}
