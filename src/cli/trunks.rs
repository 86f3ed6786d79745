//! The trunks of the database and the line, kept in step: settings go down, states come up.

use std::{collections::HashMap, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::now_ms,
    line::Lines,
    numbers::{self, Trunk, TrunkState},
    store::{Store, StoreError},
};

/// How often the trunks are read anew.
const EVERY: Duration = Duration::from_secs(5);
/// How often they are taken up anew although none was changed: a name may have got another address.
const ANEW: u32 = 12;
/// How often states are told although none has changed: who reads them sees that we live.
const ALIVE: Duration = Duration::from_secs(60);

/// Takes up trunks that an administrator adds, changes or removes, without a restart.
pub(super) async fn follow(
    store: Store,
    line: Lines,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut known = Vec::new();
    for round in 0_u32.. {
        if round % ANEW == 0 {
            known.clear();
        }
        take_up(&store, &line, &mut known).await;
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    Ok(())
}

/// A trunk that can't be used now (its name has no address yet) is tried again, and stops nobody else.
pub(super) async fn take_up(store: &Store, line: &Lines, known: &mut Vec<Trunk>) {
    match numbers::trunks(store).await {
        Ok(trunks) if trunks != *known || trunks.is_empty() => {
            if let Err(error) = line.set_trunks(&trunks).await {
                tracing::error!(error = format!("{error:#}"), "a trunk can't be used");
            }
            *known = trunks;
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the trunks can't be read; trying again"),
    }
}

/// Records how the trunks are, whenever that changes.
pub(super) async fn tell(
    store: Store,
    line: Lines,
    node: String,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut told = HashMap::new();
    loop {
        if let Err(error) = tell_once(&store, &line, &node, &mut told).await {
            tracing::warn!(%error, "the trunks' states can't be recorded; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = line.trunks_changed() => {}
            () = tokio::time::sleep(ALIVE) => told.clear(),
        }
    }
}

async fn tell_once(
    store: &Store,
    line: &Lines,
    node: &str,
    told: &mut HashMap<String, TrunkState>,
) -> Result<(), StoreError> {
    let mut trunks = line.trunks();
    trunks.retain(|now| told.get(&now.trunk_id) != Some(&now.state));
    if trunks.is_empty() {
        return Ok(());
    }
    let there = numbers::trunks(store).await?;
    let mut tx = store.begin().await?;
    for now in &trunks {
        // One that was removed a moment ago must not get a state again.
        if there.iter().any(|trunk| trunk.trunk_id == now.trunk_id) {
            let (tenant, id) = (&now.tenant_id, &now.trunk_id);
            numbers::tell_state(&mut tx, tenant, id, node, &now.state, now_ms()).await?;
        }
    }
    tx.commit().await?;
    told.extend(trunks.into_iter().map(|now| (now.trunk_id, now.state)));
    Ok(())
}
