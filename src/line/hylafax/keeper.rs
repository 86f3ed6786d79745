//! What watches over a HylaFAX server: takes the faxes that it received, and jobs of ours that nobody
//! follows any more.

use std::{collections::HashMap, sync::Arc, time::Duration};

use faxpost_t4::tiff;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answerer, CallEnding, Decision, IncomingCall, Negotiated, ReceivedPage,
        sip::{Event, TrunkId},
    },
    Access, Inner,
    client::{Client, ClientError},
};
use crate::numbers::Trunk;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// After a failure, so much longer.
const PAUSE: Duration = Duration::from_secs(25);
/// A fax that could not be taken is tried again after this.
const AGAIN: Duration = Duration::from_secs(600);
/// Faxes of which a part was taken before, at most: each was another crash in the middle.
const PARTS: u32 = 100;

/// `%z`: `*` while it is being received. `%e`: why it broke off.
const FORMAT: &str = "%f|%p|%z|%s|%n|%b|%d|%r|%h|%e";

pub(super) struct Keeper {
    trunk: Trunk,
    number: TrunkId,
    access: Access,
    /// Faxes that could not be taken, and when they are tried again.
    later: HashMap<String, Instant>,
}

/// A fax in the queue.
struct Fax {
    name: String,
    size: String,
    tsi: Option<String>,
    rate: u32,
    ecm: bool,
    vertical_dpi: u32,
    lasted: Duration,
    broke_off: Option<String>,
}

impl Keeper {
    pub fn new(trunk: Trunk, number: TrunkId, access: Access) -> Self {
        Self {
            trunk,
            number,
            access,
            later: HashMap::new(),
        }
    }

    /// Until `stop`.
    pub async fn run(mut self, inner: Arc<Inner>, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let (error, pause) = match self.session(&inner, &mut failing, &stop).await {
                Ok(()) => (None, LOOK),
                Err(error) => {
                    if !failing {
                        tracing::warn!(trunk = self.trunk.trunk_id, %error, "HylaFAX does not serve us");
                    }
                    failing = true;
                    let sentence = error.to_string();
                    inner.trunks.failed(&self.trunk.trunk_id, &sentence, None);
                    (Some(sentence), PAUSE)
                }
            };
            inner.trunks.note(&Event::Probed {
                trunk: self.number,
                answered: error.is_none(),
                error,
            });
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// A session each time: hfaxd has a process for each, and ends those that idle.
    async fn session(
        &mut self,
        inner: &Inner,
        failing: &mut bool,
        stop: &CancellationToken,
    ) -> Result<(), ClientError> {
        let mut client = self.access.login().await?;
        if std::mem::take(failing) {
            tracing::info!(trunk = self.trunk.trunk_id, "HylaFAX serves us again");
        }
        abandoned(inner, &mut client).await?;
        // Without a number of ours for its faxes they are left to others.
        if let (Some(answerer), Some(to)) =
            (inner.calls.answerer(), self.trunk.caller_number.clone())
        {
            client.done("RCVFMT", &format!("\"{FORMAT}\"")).await?;
            for fax in client.list("recvq").await? {
                if stop.is_cancelled() {
                    break;
                }
                if let Some(fax) = Fax::read(&fax) {
                    self.take(&mut client, &fax, &to, answerer.as_ref()).await?;
                }
            }
        }
        let _ = client.ask("QUIT", "").await;
        Ok(())
    }

    async fn take(
        &mut self,
        client: &mut Client,
        fax: &Fax,
        to: &str,
        answerer: &dyn Answerer,
    ) -> Result<(), ClientError> {
        if self
            .later
            .get(&fax.name)
            .is_some_and(|at| *at > Instant::now())
        {
            return Ok(());
        }
        let taken = self.custody(client, fax, to, answerer).await;
        let file = format!("recvq/{}", fax.name);
        let removed = match taken {
            Ok(true) => self.remove(client, &file).await,
            Ok(false) => Err(anyhow::anyhow!("it could not be kept")),
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => {
                self.later.remove(&fax.name);
            }
            Err(error) => {
                tracing::error!(
                    trunk = self.trunk.trunk_id,
                    file,
                    error = format!("{error:#}"),
                    "a fax stays in HylaFAX's queue; it is tried again in ten minutes"
                );
                self.later.insert(fax.name.clone(), Instant::now() + AGAIN);
            }
        }
        Ok(())
    }

    /// Takes a fax into custody; `true`: all of it is, now or since before.
    async fn custody(
        &self,
        client: &mut Client,
        fax: &Fax,
        to: &str,
        answerer: &dyn Answerer,
    ) -> anyhow::Result<bool> {
        let file = format!("recvq/{}", fax.name);
        let when = client.done("MDTM", &file).await?;
        let document = match client.fetch("RETR", &file).await {
            Err(ClientError::Refused { .. }) => {
                self.become_admin(client).await?;
                client.fetch("RETR", &file).await?
            }
            fetched => fetched?,
        };
        // Read before it is offered: what can't be read begins no fax.
        let pages = tiff::read(&document)?;
        let Some(call_id) = self
            .unused_id(fax, when.last(), pages.len(), answerer)
            .await?
        else {
            return Ok(true);
        };
        let call = IncomingCall {
            call_id,
            trunk_id: self.trunk.trunk_id.clone(),
            to: to.to_owned(),
            // The caller's number is not told; the TSI is what the machine says of itself.
            from: String::new(),
        };
        if let Decision::Refuse(status) = answerer.offered(&call).await {
            anyhow::bail!(
                "the gateway has no place for it ({status}): is {to}, the trunk's `caller`, one of our \
                 numbers, with recipients, and is there room on the disk?"
            );
        }
        let last = pages.len() - 1;
        let mut kept = true;
        for (index, page) in pages.into_iter().enumerate() {
            let page = ReceivedPage {
                index: u32::try_from(index)?,
                page,
                // HylaFAX mends damaged rows and keeps no count that we are told.
                bad_rows: 0,
                last: index == last && fax.broke_off.is_none(),
            };
            kept = answerer.keep(&call, page).await;
            if !kept {
                break;
            }
        }
        answerer.ended(&call, fax.ending(kept)).await;
        Ok(kept)
    }

    /// The id of the call that brought the fax: the same whenever the file is seen, so that one that could
    /// not be removed is not mailed twice. None: we have all of it. A new one where a crash left a part.
    async fn unused_id(
        &self,
        fax: &Fax,
        when: &str,
        pages: usize,
        answerer: &dyn Answerer,
    ) -> anyhow::Result<Option<String>> {
        let Access { host, port, .. } = &self.access;
        for part in 0..PARTS {
            let identity = format!("{host}|{port}|{}|{}|{when}|{part}", fax.name, fax.size);
            let digest = Sha256::digest(identity.as_bytes());
            let mut octets = [0; 16];
            octets.copy_from_slice(&digest[..16]);
            let call_id = ulid::Ulid::from(u128::from_be_bytes(octets)).to_string();
            match answerer.had(&call_id).await? {
                None => return Ok(Some(call_id)),
                Some(kept) if kept as usize >= pages => return Ok(None),
                Some(_) => {}
            }
        }
        anyhow::bail!("parts of it were taken {PARTS} times, and never the whole")
    }

    async fn remove(&self, client: &mut Client, file: &str) -> anyhow::Result<()> {
        if let Err(error) = client.done("DELE", file).await {
            if !matches!(error, ClientError::Refused { .. }) {
                return Err(error.into());
            }
            self.become_admin(client).await?;
            client.done("DELE", file).await?;
        }
        tracing::info!(
            trunk = self.trunk.trunk_id,
            file,
            "taken from HylaFAX's queue"
        );
        Ok(())
    }

    /// Received files belong to the server, unless its modem has `RecvFileMode: 0666`.
    async fn become_admin(&self, client: &mut Client) -> anyhow::Result<()> {
        let password = self.access.password.as_ref();
        let password = password.map_or("", |password| password.as_str());
        let admitted = client.done("ADMIN", password).await;
        admitted.map(drop).map_err(|error| {
            anyhow::anyhow!(
                "{error}: it belongs to the server. Set `RecvFileMode: 0666` for its modem, or make the \
                 trunk's user an administrator with the same password (faxadduser -u … -p … -a …)"
            )
        })
    }
}

impl Fax {
    fn read(fields: &[String]) -> Option<Self> {
        let [
            name,
            pages,
            being_received,
            tsi,
            size,
            rate,
            format,
            dpi,
            lasted,
            error @ ..,
        ] = fields
        else {
            return None;
        };
        // A name that is a path would be another file.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fit = !name.starts_with('.') && name.ends_with(".tif") && name.chars().all(plain);
        if !fit || being_received == "*" || pages.parse::<u32>().ok()? == 0 {
            return None;
        }
        let error = error.join("|");
        Some(Self {
            name: name.clone(),
            size: size.clone(),
            tsi: Some(tsi.clone()).filter(|tsi| !tsi.is_empty() && !tsi.starts_with('<')),
            rate: rate.parse().unwrap_or(0),
            // T.30 Annex A: without ECM there is no MMR.
            ecm: format.contains("MMR"),
            vertical_dpi: dpi.parse().unwrap_or(0),
            lasted: seconds(lasted),
            broke_off: Some(error).filter(|error| !error.is_empty()),
        })
    }

    fn ending(&self, kept: bool) -> CallEnding {
        CallEnding {
            t30: self.broke_off.is_none().then_some(0),
            hylafax: self.broke_off.clone(),
            own_fault: (!kept).then(|| "a page could not be kept".into()),
            negotiated: Some(Negotiated {
                remote_ident: self.tsi.clone(),
                sub_address: None,
                rate: self.rate,
                ecm: self.ecm,
                vertical_dpi: self.vertical_dpi,
            }),
            duration: self.lasted,
            ..CallEnding::default()
        }
    }
}

/// `0:00:04`.
fn seconds(lasted: &str) -> Duration {
    let parts = lasted
        .split(':')
        .map(|part| part.parse::<u64>().unwrap_or(0));
    Duration::from_secs(parts.fold(0, |sum, part| sum * 60 + part))
}

/// Takes back jobs of ours that no call follows: the gateway was stopped, or could not reach the server. Their
/// pages are on record as unknown; what still waits must not go out behind our back.
async fn abandoned(inner: &Inner, client: &mut Client) -> Result<(), ClientError> {
    client.done("JOBFMT", "\"%j|%J\"").await?;
    for queue in ["sendq", "doneq"] {
        for fields in client.list(queue).await? {
            let [job, tag] = &fields[..] else { continue };
            let Some(call_id) = inner.call_of(tag) else {
                continue;
            };
            if inner.calls.has(call_id) || !job.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            if queue == "sendq" {
                tracing::warn!(job, "a job that nobody follows any more is called off");
                let _ = client.ask("JKILL", job).await?;
            }
            let _ = client.ask("JDELE", job).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fax_is_read_from_its_line() {
        let line = "fax000000001.tif|2| |+49 30 555|2656|14400|2-D MMR|98|0:01:04|";
        let fields = |line: &str| -> Vec<String> {
            line.split('|')
                .map(|field| field.trim().to_owned())
                .collect()
        };
        let fax = Fax::read(&fields(line)).unwrap();
        assert_eq!(fax.tsi.as_deref(), Some("+49 30 555"));
        assert_eq!((fax.rate, fax.ecm, fax.vertical_dpi), (14_400, true, 98));
        assert_eq!(fax.lasted, Duration::from_secs(64));
        assert!(fax.broke_off.is_none());
        for left in [
            "fax000000001.tif|2|*|x|2656|14400|1-D MH|98|0:01:04|",
            "../fax000000001.tif|2| |x|2656|14400|1-D MH|98|0:01:04|",
            "fax000000001.tif|0| |x|2656|14400|1-D MH|98|0:01:04|",
            "seqf|2| |x|2656|14400|1-D MH|98|0:01:04|",
            "fax000000001.tif|2",
        ] {
            assert!(Fax::read(&fields(left)).is_none(), "{left}");
        }
        let cut = "fax000000002.tif|1| |<NONE>|9|9600|1-D MH|196|0:00:09|T.30 T2 timeout | more";
        let fax = Fax::read(&fields(cut)).unwrap();
        assert_eq!((fax.tsi, fax.ecm), (None, false));
        assert_eq!(fax.broke_off.as_deref(), Some("T.30 T2 timeout|more"));
    }
}
