//! Wake-ups: a room that commits work tells the room that does it.
//!
//! A wake-up is a hint. It may come twice or for nothing, and on PostgreSQL it may be lost while the
//! listening connection is down, so whoever listens also looks at the clock.

use sqlx::postgres::PgListener;
use tokio::{sync::watch, task::JoinHandle};

/// What there is work in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Jobs.
    Queue,
    /// Mails to send.
    Outbox,
    /// Received faxes.
    Inbox,
}

impl Topic {
    const ALL: [Self; 3] = [Self::Queue, Self::Outbox, Self::Inbox];

    /// The PostgreSQL channel.
    fn channel(self) -> &'static str {
        match self {
            Self::Queue => "faxpost_queue",
            Self::Outbox => "faxpost_outbox",
            Self::Inbox => "faxpost_inbox",
        }
    }

    /// The statement that wakes other nodes.
    pub(super) fn notify(self) -> &'static str {
        match self {
            Self::Queue => "NOTIFY faxpost_queue",
            Self::Outbox => "NOTIFY faxpost_outbox",
            Self::Inbox => "NOTIFY faxpost_inbox",
        }
    }
}

/// Waits for one topic.
#[derive(Clone, Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Returns once the topic was woken since the last return, or since [`super::Store::listen`].
    /// Many wakes before a call are one. Never returns after the store is gone.
    pub async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One counter a topic; a change of it is the wake-up, so none is lost between two waits.
#[derive(Debug)]
pub(super) struct Bells([watch::Sender<u64>; 3]);

impl Bells {
    pub(super) fn new() -> Self {
        Self(Topic::ALL.map(|_| watch::Sender::new(0)))
    }

    pub(super) fn ring(&self, topic: Topic) {
        self.0[topic as usize].send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn listen(&self, topic: Topic) -> Listener {
        Listener(self.0[topic as usize].subscribe())
    }

    fn ring_all(&self) {
        Topic::ALL.into_iter().for_each(|topic| self.ring(topic));
    }
}

/// Rings the bells for what other nodes notify, until it is aborted.
pub(super) async fn hear_postgres(
    url: &str,
    bells: std::sync::Arc<Bells>,
) -> Result<JoinHandle<()>, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener
        .listen_all(Topic::ALL.iter().map(|topic| topic.channel()))
        .await?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) => {
                    let topic = Topic::ALL
                        .into_iter()
                        .find(|topic| topic.channel() == notification.channel());
                    if let Some(topic) = topic {
                        bells.ring(topic);
                    }
                }
                // The connection was lost: what was notified meanwhile is not known.
                Ok(None) => bells.ring_all(),
                Err(error) => {
                    tracing::warn!(%error, "wake-ups of other nodes are not heard for now");
                    bells.ring_all();
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }))
}
