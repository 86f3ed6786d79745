//! Spooled messages come into memory to be judged, a few at a time.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{budget::Share, data::Held, limits::Limits, replies};
use crate::front::Answer;

/// What one permit stands for.
const UNIT: usize = 1024;

/// Memory for spooled messages. Those whose sender is known have some of their own: a stranger's proof may wait for the
/// DNS, and would hold them up.
pub struct Readings {
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    units: usize,
    patience: Duration,
}

/// A message in memory, with what it holds of that.
pub struct Reading {
    pub message: Vec<u8>,
    pub place: Place,
}

/// Given back when dropped.
pub enum Place {
    /// Of all messages that are coming in.
    Share(#[expect(dead_code, reason = "dropped")] Share),
    /// Of those that were spooled.
    Permit(#[expect(dead_code, reason = "dropped")] OwnedSemaphorePermit),
}

impl Readings {
    /// By the limits' `read_budget` and `read_patience`.
    pub fn new(limits: &Limits) -> Self {
        let units = (limits.read_budget / UNIT).max(1);
        Self {
            known: Arc::new(Semaphore::new(units)),
            strangers: Arc::new(Semaphore::new(units)),
            units,
            patience: limits.read_patience,
        }
    }

    /// Brings a message into memory when there is room for it.
    pub async fn read(&self, held: Held, known: bool) -> Result<Reading, Answer> {
        let spooled = match held {
            Held::Memory(message, share) => {
                let place = Place::Share(share);
                return Ok(Reading { message, place });
            }
            Held::Spooled(spooled) => spooled,
        };
        let room = if known { &self.known } else { &self.strangers };
        // One that is larger than all the room has it alone.
        let units = spooled.len().div_ceil(UNIT).min(self.units);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let permit = timeout(self.patience, Arc::clone(room).acquire_many_owned(units)).await;
        let Ok(Ok(permit)) = permit else {
            return Err(replies::many_large_mails());
        };
        let read = tokio::task::spawn_blocking(move || spooled.read()).await;
        match read.map_err(std::io::Error::other).and_then(|read| read) {
            Ok(message) => Ok(Reading {
                message,
                place: Place::Permit(permit),
            }),
            Err(error) => {
                tracing::error!(%error, "a spooled mail can't be read");
                Err(replies::unread())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, vault::SpoolDir};

    #[tokio::test]
    async fn large_mails_come_into_memory_by_turns_and_strangers_hold_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SpoolDir::open(folder.path()).unwrap();
        let spooled = |octets: usize| {
            let spool = dir.begin().unwrap();
            Held::Spooled(spool.finish(vec![7; octets]).unwrap())
        };
        let mut limits = Limits::of(&Config::for_testing(folder.path()));
        limits.read_budget = 10_000;
        limits.read_patience = Duration::from_millis(20);
        let readings = Readings::new(&limits);
        let strangers = readings.read(spooled(9_000), false).await.unwrap();
        // Larger than all the room: alone.
        let first = readings.read(spooled(90_000), true).await.unwrap();
        assert_eq!(first.message, vec![7; 90_000]);
        let late = readings.read(spooled(1), true).await.err().unwrap();
        assert_eq!(late, replies::many_large_mails());
        drop(first);
        let two = [
            readings.read(spooled(4_000), true).await.unwrap(),
            readings.read(spooled(4_000), true).await.unwrap(),
        ];
        assert!(two.iter().all(|reading| reading.message.len() == 4_000));
        drop(strangers);
    }
}
