//! What the processes that this one started use, looked at often.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most that one of them used.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    /// Octets of memory.
    pub resident: u64,
    /// Processor time of one process.
    pub processor: Duration,
}

/// Looks until it is dropped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start() -> Self {
        let (seen, stop) = (
            Arc::new(Mutex::new(Seen::default())),
            Arc::new(AtomicBool::new(false)),
        );
        let (to, until) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let us = std::process::id();
            while !until.load(Ordering::Relaxed) {
                for (resident, processor) in children_of(us) {
                    let mut seen = to.lock().unwrap();
                    seen.resident = seen.resident.max(resident);
                    seen.processor = seen.processor.max(processor);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    pub fn forget(&self) {
        *self.seen.lock().unwrap() = Seen::default();
    }

    pub fn seen(&self) -> Seen {
        *self.seen.lock().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The peak of memory and the processor time of each process whose parent this is (proc(5)).
fn children_of(parent: u32) -> Vec<(u64, Duration)> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    all.flatten()
        .filter_map(|entry| {
            entry.file_name().to_str()?.parse::<u32>().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // From the state on, which is the third: the parent is the 4th, utime 14, stime 15.
            let fields: Vec<u64> = (stat.rsplit_once(')')?.1.split_ascii_whitespace())
                .map(|field| field.parse().unwrap_or(0))
                .collect();
            if fields.get(1) != Some(&u64::from(parent)) {
                return None;
            }
            let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
            let peak = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            let kilobytes: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
            // USER_HZ is 100 wherever this runs.
            let processor = Duration::from_millis((fields[11] + fields[12]) * 10);
            Some((kilobytes << 10, processor))
        })
        .collect()
}
