//! Which waiting faxes share a call, where a profile lets them (`batch`).
//!
//! Those of one user to one number and one sub-address, whose pages are of the same kind: the same set-up (width,
//! paper, resolution), and all with a cover of their own or all without. Who sends is the user, and they call from the
//! same number. They must be ready, and be offered the same. A fax with a password goes alone.

use super::{
    Inner,
    attempt::{self, Attempt, Carrier},
    claim::{self, Job},
    fair::Head,
    memory, records,
};
use crate::{line::Verdict, policy::Sending, store::StoreError};

/// Candidates that are looked at for each place on the call.
const LOOKED_AT: u32 = 4;

/// What the next call of a job offers, and by which trunks.
pub(super) async fn attempt_of(
    queue: &Inner,
    job: &Job,
    carriers: &[Carrier],
) -> Result<Attempt, StoreError> {
    Ok(attempt::next(
        &records::tried(&queue.store, &job.tenant_id, &job.job_id).await?,
        memory::of(&queue.store, &job.tenant_id, &job.destination).await?,
        carriers,
    ))
}

/// The faxes that may go along with the one that is about to be claimed, in the order of their lane. A HylaFAX
/// server carries one document a job: where the call may go over one, each goes alone.
pub(super) async fn companions(
    queue: &Inner,
    head: &Head,
    sending: &Sending,
    carriers: &[Carrier],
) -> Result<Vec<Job>, StoreError> {
    if sending.batch < 2 || !carry_several(carriers) {
        return Ok(Vec::new());
    }
    let lead = claim::by_id(&queue.store, &head.tenant_id, &head.job_id).await?;
    if lead.password {
        return Ok(Vec::new());
    }
    let alike = claim::alike(&queue.store, &lead, sending.batch * LOOKED_AT).await?;
    if alike.is_empty() {
        return Ok(Vec::new());
    }
    let offer = attempt_of(queue, &lead, carriers).await?.offer;
    let mut pages = pages_left(queue, &lead).await?;
    let mut along = Vec::new();
    for job in alike {
        let left = pages_left(queue, &job).await?;
        // Who comes later does not overtake one that is too long.
        if along.len() + 1 >= sending.batch as usize || pages + left > sending.batch_pages {
            break;
        }
        if attempt_of(queue, &job, carriers).await?.offer == offer {
            pages += left;
            along.push(job);
        }
    }
    Ok(along)
}

/// The companions, but none where the call may go over a HylaFAX server after all.
pub(super) fn unless_hylafax(companions: Vec<Job>, carriers: &[Carrier]) -> Vec<Job> {
    if carry_several(carriers) {
        companions
    } else {
        Vec::new()
    }
}

fn carry_several(carriers: &[Carrier]) -> bool {
    !carriers.iter().any(|carrier| carrier.hylafax)
}

/// The pages that a call of the job has to send: from the first that is not confirmed.
async fn pages_left(queue: &Inner, job: &Job) -> Result<u32, StoreError> {
    let pages = job.pages_total.unwrap_or(0);
    let verdicts = records::verdicts_of(&queue.store, &job.tenant_id, &job.job_id, pages).await?;
    let first = (verdicts.iter()).position(|verdict| *verdict != Verdict::Confirmed);
    let first = first.map_or(pages, |first| u32::try_from(first).unwrap_or(pages));
    Ok(pages - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_may_go_over_hylafax_carries_one_fax() {
        let carrier = |hylafax: bool| Carrier {
            trunk_id: "t".into(),
            t38: !hylafax,
            hylafax,
        };
        let along = |carriers: &[Carrier]| unless_hylafax(vec![Job::for_testing()], carriers).len();
        assert_eq!(along(&[carrier(false), carrier(false)]), 1);
        assert_eq!(along(&[carrier(false), carrier(true)]), 0);
        assert_eq!(along(&[carrier(true)]), 0);
    }
}
