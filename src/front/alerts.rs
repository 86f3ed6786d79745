//! Tells the operator by mail what needs a hand: a trunk that stays down, mail that the relay does not take, a disk that
//! fills, a certificate that ends. Once, again after a day, and once more when it is well again.
//!
//! What is seen is in the table `alert`, so that a restart tells nothing twice, and of several nodes one does.

mod expiry;

use std::{path::PathBuf, time::Duration};

use sqlx::Row as _;
use tokio_util::sync::CancellationToken;

use super::Postmaster;
use crate::{
    clock::{Millis, now_ms},
    config::{self, Config},
    language::{Language, Told},
    letter::{self, Notice},
    numbers::{self, Reach},
    people,
    relay::{self, NewMail},
    store::{Store, StoreError, Topic, new_id},
    vault::{Custody, NewItem, What},
};

const EVERY: Duration = Duration::from_secs(30);
const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;
/// What is bad for less than this is not told: trunks restart, relays defer.
const PATIENCE: Millis = 10 * MINUTE;
/// How long a mail waits that the relay does not take before that is told.
const STUCK: Millis = 30 * MINUTE;
/// What is told is told again after so long.
const AGAIN: Millis = DAY;
/// A certificate's end is told so long before it.
const CERTIFICATE: Millis = 14 * DAY;
/// What a gateway said of its trunks longer ago says nothing.
const STALE: Millis = 3 * MINUTE;
/// How long such a mail may wait for the relay.
const LASTS: Millis = 72 * 3_600_000;

/// Something that is bad now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bad {
    /// What: one of a kind.
    about: String,
    /// How long it must have been so to be told.
    patience: Millis,
    /// A sentence.
    words: Told,
}

/// Who watches, and as whom it writes.
pub struct Alerts {
    /// The directory and the records.
    pub store: Store,
    /// Where what is owed is kept.
    pub custody: Custody,
    /// Who reads it.
    pub postmaster: Postmaster,
    /// Our address.
    pub from: String,
    /// Our name, for Message-IDs and in what is told of this machine.
    pub hostname: String,
    /// A path on the disk that must have room, and the octets below which mail is put off.
    pub disk: (PathBuf, u64),
    /// Certificate files that we show.
    pub certificates: Vec<PathBuf>,
}

impl Alerts {
    /// What the configuration has to be watched.
    #[must_use]
    pub fn of(config: &Config, store: Store, custody: Custody, from: String) -> Self {
        let certificates = [&config.smtp.tls_certificate, &config.sip.tls_certificate];
        Self {
            store,
            postmaster: Postmaster::new(custody.clone(), &config.relay),
            custody,
            from,
            hostname: config.hostname.clone(),
            disk: (config.data_dir.clone(), config.smtp.min_free_disk),
            certificates: certificates.into_iter().flatten().cloned().collect(),
        }
    }

    /// Looks until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.pass(now_ms()).await {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "what the operator should hear of can't be seen; trying again"
                );
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One look at `now`.
    ///
    /// # Errors
    /// What the database or the disk says.
    pub async fn pass(&self, now: Millis) -> anyhow::Result<()> {
        let bad = self.look(now).await?;
        let rows = sqlx::query(
            "SELECT about, told_at, words_en, words_fr FROM alert WHERE node = $1 OR node = ''",
        )
        .bind(&self.hostname)
        .fetch_all(self.store.reader())
        .await?;
        for row in rows {
            let about: String = row.try_get("about")?;
            if bad.iter().all(|bad| bad.about != about) {
                let words = Told {
                    en: row.try_get("words_en")?,
                    fr: row.try_get("words_fr")?,
                };
                let was_told = row.try_get::<Option<Millis>, _>("told_at")?.is_some();
                self.well_again(&about, was_told, &words).await?;
            }
        }
        for bad in &bad {
            self.note(bad, now).await?;
        }
        Ok(())
    }

    async fn look(&self, now: Millis) -> Result<Vec<Bad>, StoreError> {
        let mut bad = self.trunks(now).await?;
        let (stuck, said) = relay::stuck(&self.store, now - STUCK).await?;
        if stuck > 0 {
            let said = said.unwrap_or_default();
            bad.push(Bad {
                about: "relay".to_owned(),
                patience: 0,
                words: Told {
                    en: format!("The mail relay has not taken {stuck} of our mails for half an hour and more. It said last: {said}"),
                    fr: format!(
                        "Le relais de messagerie ne prend pas {stuck} de nos messages depuis une demi-heure ou plus. Sa dernière \
                         réponse\u{a0}: {said}"
                    ),
                },
            });
        }
        bad.extend(self.disk());
        bad.extend(
            self.certificates
                .iter()
                .filter_map(|file| self.certificate(file, now)),
        );
        Ok(bad)
    }

    /// A trunk is down when every gateway that asks it says so.
    async fn trunks(&self, now: Millis) -> Result<Vec<Bad>, StoreError> {
        let told = numbers::told_states(&self.store).await?;
        let mut bad = Vec::new();
        for trunk in numbers::trunks(&self.store).await? {
            let fresh = told
                .iter()
                .filter(|told| told.trunk_id == trunk.trunk_id && told.told_at > now - STALE);
            let states: Vec<_> = fresh.map(|told| &told.state).collect();
            let down = !states.is_empty() && states.iter().all(|state| state.reach == Reach::Down);
            if !trunk.active || !down {
                continue;
            }
            let name = &trunk.name;
            let failure = states
                .iter()
                .find_map(|state| state.failure.clone())
                .unwrap_or_default();
            bad.push(Bad {
                about: format!("trunk:{}", trunk.trunk_id),
                patience: PATIENCE,
                words: Told {
                    en: format!("The trunk {name} is down, and no fax goes over it. {failure}"),
                    fr: format!(
                        "La ligne {name} ne répond plus, et aucun fax ne passe par elle. {failure}"
                    ),
                },
            });
        }
        Ok(bad)
    }

    /// Twice what is needed is the time to make room.
    fn disk(&self) -> Option<Bad> {
        let (path, least) = &self.disk;
        let free = rustix::fs::statvfs(path).ok()?;
        let free = free.f_bavail.saturating_mul(free.f_frsize);
        if *least == 0 || free >= least.saturating_mul(2) {
            return None;
        }
        let (mb, host) = (free >> 20, &self.hostname);
        Some(Bad {
            about: format!("disk:{host}"),
            patience: 0,
            words: Told {
                en: format!(
                    "The disk of {host} has {mb} MB free. Below {} MB mail is put off and faxes are not answered.",
                    least >> 20
                ),
                fr: format!(
                    "Il reste {mb} Mo sur le disque de {host}. En dessous de {} Mo, les messages sont différés et les fax ne sont \
                     plus reçus.",
                    least >> 20
                ),
            },
        })
    }

    fn certificate(&self, file: &std::path::Path, now: Millis) -> Option<Bad> {
        let chain = config::pem::certificates(file).ok()?;
        let ends = expiry::not_after(chain.first()?)?;
        if ends > now + CERTIFICATE {
            return None;
        }
        let day = jiff::Timestamp::from_millisecond(ends)
            .ok()?
            .strftime("%Y-%m-%d")
            .to_string();
        let (file, host) = (file.display(), &self.hostname);
        Some(Bad {
            about: format!("certificate:{host}:{file}"),
            patience: 0,
            words: Told {
                en: format!(
                    "The certificate {file} on {host} ends on {day}. Put a new one in its place: it is read without a restart at the \
                     mail door."
                ),
                fr: format!(
                    "Le certificat {file} sur {host} expire le {day}. Remplacez-le\u{a0}: le service de messagerie le relit sans \
                     redémarrage."
                ),
            },
        })
    }

    /// Records that something is bad, and owes a mail when it has been so for long enough, or was told long ago.
    async fn note(&self, bad: &Bad, now: Millis) -> anyhow::Result<()> {
        // What is of this machine is no other's to see or to call well again.
        let own = bad.about.contains(&format!(":{}", self.hostname));
        let node = if own { self.hostname.as_str() } else { "" };
        let Some(tenant) = people::first_tenant(&self.store).await? else {
            return Ok(());
        };
        let mut tx = self.store.begin().await?;
        sqlx::query(
            "INSERT INTO alert (about, tenant_id, node, since, words_en, words_fr) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (about) DO UPDATE SET words_en = excluded.words_en, words_fr = excluded.words_fr",
        )
        .bind(&bad.about)
        .bind(&tenant.tenant_id)
        .bind(node)
        .bind(now)
        .bind(&bad.words.en)
        .bind(&bad.words.fr)
        .execute(tx.conn())
        .await?;
        let due = sqlx::query(
            "UPDATE alert SET told_at = $1
             WHERE about = $2 AND since <= $3 AND (told_at IS NULL OR told_at <= $4)",
        )
        .bind(now)
        .bind(&bad.about)
        .bind(now - bad.patience)
        .bind(now - AGAIN)
        .execute(tx.conn())
        .await?;
        if due.rows_affected() == 1 {
            self.owe(&mut tx, &bad.words, false).await?;
        }
        tx.commit().await?;
        self.store.wake(Topic::Outbox);
        Ok(())
    }

    async fn well_again(&self, about: &str, was_told: bool, words: &Told) -> anyhow::Result<()> {
        let mut tx = self.store.begin().await?;
        let gone = sqlx::query("DELETE FROM alert WHERE about = $1")
            .bind(about)
            .execute(tx.conn())
            .await?;
        if was_told && gone.rows_affected() == 1 {
            self.owe(&mut tx, words, true).await?;
        }
        tx.commit().await?;
        self.store.wake(Topic::Outbox);
        Ok(())
    }

    /// Owes a mail to who runs this. Nobody is told where no operator is known.
    async fn owe(&self, tx: &mut crate::store::Tx, words: &Told, well: bool) -> anyhow::Result<()> {
        let tenant = people::first_tenant(&self.store).await?;
        let address = self.postmaster.address(&self.store).await?;
        let (Some(tenant), Some(recipient)) = (tenant, address) else {
            return Ok(());
        };
        let reader = people::user_by_address(&self.store, &recipient).await?;
        let language = reader
            .and_then(|reader| reader.language)
            .unwrap_or(tenant.language);
        let id = new_id();
        let message_id = format!("{id}.alert@{}", self.hostname);
        let (subject, sentences) = letter_of(language, words, well);
        let bytes = letter::notice(&Notice {
            message_id: message_id.clone(),
            from: self.from.clone(),
            to: recipient.clone(),
            date_ms: now_ms(),
            language,
            in_reply_to: None,
            subject,
            sentences,
        })?;
        let item = NewItem {
            tenant_id: tenant.tenant_id.clone(),
            what: What::Mail,
            bytes,
        };
        let kept = self.custody.keep_one(item).await?;
        self.custody.record(tx, &kept).await?;
        let mail = NewMail {
            tenant_id: tenant.tenant_id,
            purpose: format!("alert:{id}"),
            about: String::new(),
            message_id,
            return_path: String::new(),
            recipient,
            deadline: now_ms() + LASTS,
        };
        relay::enqueue_written(tx, &mail, &kept.custody_id).await?;
        Ok(())
    }
}

/// Subject and sentences.
fn letter_of(language: Language, words: &Told, well: bool) -> (String, Vec<String>) {
    let words = words.to(language).to_owned();
    match (language, well) {
        (Language::En, false) => (
            "The fax gateway needs a hand".to_owned(),
            vec![
                words,
                "The status page and `faxpost status` say more. This is told again tomorrow while it lasts, and once when it is over."
                    .to_owned(),
            ],
        ),
        (Language::Fr, false) => (
            "La passerelle de fax a besoin de vous".to_owned(),
            vec![
                words,
                "La page d'état et «\u{a0}faxpost status\u{a0}» en disent plus. Ceci sera redit demain si cela dure, et une fois \
                 quand ce sera fini."
                    .to_owned(),
            ],
        ),
        (Language::En, true) => (
            "The fax gateway is well again".to_owned(),
            vec!["This is over:".to_owned(), words],
        ),
        (Language::Fr, true) => (
            "La passerelle de fax va de nouveau bien".to_owned(),
            vec!["Ceci est terminé\u{a0}:".to_owned(), words],
        ),
    }
}

#[cfg(test)]
mod tests;
