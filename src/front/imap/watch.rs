//! A connection to a mailbox: a look, then waiting for news, then the next look.

use std::time::Duration;

use super::{folders, look, mailbox::Task, session::ImapError};

/// IDLE is begun anew before servers lose patience (RFC 2177 §3: 29 minutes).
const IDLE: Duration = Duration::from_secs(28 * 60);

/// Looks at the mailbox until the connection ends or the task is told to stop.
pub(super) async fn watch(task: &mut Task) -> anyhow::Result<()> {
    let mut imap = task.open().await?;
    for folder in [&task.mailbox.faxed, &task.mailbox.refused] {
        folders::ensure(&mut imap, folder).await?;
    }
    let idles = task.mailbox.idle && imap.can("IDLE");
    let every = task
        .mailbox
        .every_s
        .map_or_else(|| task.shared.setup.config.poll_s, u64::from);
    let every = Duration::from_secs(every.max(1)).min(IDLE);
    loop {
        let looked = look::look(&task.shared, &task.mailbox, &mut imap, &mut task.memory).await?;
        task.polled(looked.left.as_deref()).await?;
        if task.stop.is_cancelled() {
            imap.end().await;
            return Ok(());
        }
        // The interval counts with IDLE too: a wake-up may be lost on the way, and mails that were left wait for it.
        if idles {
            match imap.idle(every, &task.stop).await {
                Ok(_) => {}
                Err(ImapError::No { .. }) => wait(task, every).await,
                Err(error) => return Err(error.into()),
            }
        } else {
            wait(task, every).await;
        }
    }
}

async fn wait(task: &Task, every: Duration) {
    tokio::select! {
        () = task.stop.cancelled() => {}
        () = tokio::time::sleep(every) => {}
    }
}
