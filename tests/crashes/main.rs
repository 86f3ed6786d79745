//! Kill -9 at random moments while mails and calls pass (promises 1, 3 and 8).
//!
//! `FAXPOST_CRASHES` is how often the gateway is killed (20 by default), `FAXPOST_SEED` repeats the
//! moments of an earlier run, whose seed was printed. `FAXPOST_TEST_POSTGRES` runs it on that server.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod judge;
mod marks;
mod traffic;

use std::{
    collections::HashSet,
    io::Write as _,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use support::Rig;
use traffic::{Handover, Machine, Sending};

const MAILS: usize = 50;
const CALLS: usize = 20;
/// Mail programs at a time.
const CLIENTS: usize = 4;
/// Calling fax machines at a time.
const MACHINES: usize = 3;
/// Line time over clock time.
const SPEED: u32 = 30;
/// After the last kill, everything ends within this.
const REST: Duration = Duration::from_secs(180);

/// Everything is tried again at once, and nothing is given up because of the killing.
const POLICY: &str = "max_calls = 40\nmax_tries = 40\nrepeat_unknown = false\nremember_days = 90\n[wait_s]\n\
    busy = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n\
    no_answer = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n\
    protocol = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n\
    trunk = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n\
    no_fax = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_3_8_killed_at_random_moments_nothing_is_lost_or_done_twice() {
    let crashes = number("FAXPOST_CRASHES").unwrap_or(20) as usize;
    let seed = number("FAXPOST_SEED").unwrap_or_else(chance);
    say(&format!(
        "crashes: FAXPOST_CRASHES={crashes} FAXPOST_SEED={seed}"
    ));
    let started = Instant::now();
    let mut rig = Rig::builder()
        .speed(SPEED)
        .channels(6)
        .policy("sending.toml", POLICY)
        .start()
        .await;
    let (killed, kills) = watch::channel(0);
    let clients = mail_clients(&rig, &kills, crashes);
    let machines = fax_machines(&rig, &kills, crashes);
    kill(&mut rig, crashes, seed, &killed).await;
    let killing = started.elapsed();
    rig.wait_up().await;

    let mut handed: Vec<Handover> = Vec::new();
    for client in clients {
        handed.extend(client.await.unwrap());
    }
    let mut calls: Vec<Sending> = Vec::new();
    for machine in machines {
        calls.extend(machine.await.unwrap());
    }
    at_rest(&rig).await;
    rig.stop().await;
    let summary = judge::judge(&rig, &handed, &calls).await;
    say(&format!(
        "crashes: seed {seed}: {crashes} kills in {:.1} s, at rest after {:.1} s; {summary}",
        killing.as_secs_f32(),
        started.elapsed().as_secs_f32()
    ));
}

/// Past the capture of the test's output: the seed of a green run is of use too.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

fn chance() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) ^ now.as_secs() << 20
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % limit
    }
}

/// Kills and starts again. One life in four ends while the gateway still starts.
async fn kill(rig: &mut Rig, crashes: usize, seed: u64, killed: &watch::Sender<usize>) {
    let mut dice = Dice(seed);
    for done in 1..=crashes {
        let life = if dice.below(4) == 0 {
            dice.below(400)
        } else {
            400 + dice.below(2100)
        };
        tokio::time::sleep(Duration::from_millis(life)).await;
        assert!(
            rig.gateway_runs(),
            "life {done}: the gateway ended by itself"
        );
        let children = rig.gateway_pid().map(descendants).unwrap_or_default();
        rig.kill9().await;
        rig.restart_unwatched();
        killed.send_replace(done);
        rig.until("the end of the killed gateway's workers", async || {
            children.iter().all(|&pid| !is_ours(pid)).then_some(())
        })
        .await;
    }
}

/// The processes that a process started, and those that they started.
fn descendants(pid: u32) -> HashSet<u32> {
    let mut all = HashSet::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            for child in children.unwrap_or_default().split_whitespace() {
                let child = child.parse().unwrap();
                if all.insert(child) {
                    open.push(child);
                }
            }
        }
    }
    all
}

/// Whether a process is there and still one of the gateway's; a number may be given anew.
fn is_ours(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // proc_pid_stat(5): the name is in parentheses, the state follows; Z is dead already.
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next());
    stat.contains("faxpost") && state.is_some_and(|state| state != 'Z' && state != 'X')
}

type Task<T> = tokio::task::JoinHandle<Vec<T>>;

fn mail_clients(rig: &Rig, kills: &watch::Receiver<usize>, all: usize) -> Vec<Task<Handover>> {
    (0..CLIENTS)
        .map(|client| {
            let (server, mut kills) = (rig.smtp_address(), kills.clone());
            tokio::spawn(async move {
                let mut handed = Vec::new();
                for mail in (client..MAILS).step_by(CLIENTS) {
                    traffic::turn(&mut kills, all, mail, MAILS).await;
                    traffic::mail(server, mail, &mut handed).await;
                }
                handed
            })
        })
        .collect()
}

fn fax_machines(rig: &Rig, kills: &watch::Receiver<usize>, all: usize) -> Vec<Task<Sending>> {
    (0..MACHINES)
        .map(|number| {
            let machine = Machine::new(number, rig.folder(), rig.sip_address(), SPEED);
            let mut kills = kills.clone();
            tokio::spawn(async move {
                let mut calls = Vec::new();
                for document in (number..CALLS).step_by(MACHINES) {
                    traffic::turn(&mut kills, all, document, CALLS).await;
                    machine.send(document, &mut calls).await;
                }
                calls
            })
        })
        .collect()
}

/// Waits until every job is final, every mail is out, and the far end has written what it received.
async fn at_rest(rig: &Rig) {
    rig.until_within("rest", REST, async || {
        let open = rig
            .count(
                "SELECT (SELECT COUNT(*) FROM job WHERE finished_at IS NULL)
                      + (SELECT COUNT(*) FROM outbox WHERE state IN ('compose', 'ready', 'sending'))
                      + (SELECT COUNT(*) FROM received_fax WHERE state IN ('receiving', 'received'))",
            )
            .await;
        (open == 0 && judge::far_end_is_idle(rig)).then_some(())
    })
    .await;
}
