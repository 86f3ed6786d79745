//! Whose turn it is: tenants take turns, and within a tenant its users.
//!
//! Deficit round robin with a quantum of one page. It is kept as what each has had rather than as what each
//! may have: who was served owes the pages of that fax, and the one that owes least goes next. So a fax never
//! waits for credit to be saved up for it, and a tenant with a thousand faxes waiting takes one turn, then
//! another's single fax goes. What is owed is known to this process alone: each node is fair by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::state::State;
use crate::clock::Millis;

/// The first job of a lane: it goes when the lane's turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub tenant_id: String,
    pub user_id: String,
    pub job_id: String,
    pub submission_id: String,
    pub state: State,
    /// E.164 with the plus sign.
    pub destination: String,
    /// 0 first.
    pub priority: i64,
    /// Or since when it was to go.
    pub accepted_at: Millis,
    /// What its turn costs.
    pub pages: u32,
}

/// What everybody has had.
#[derive(Debug, Default)]
pub(super) struct Fair {
    tenants: Ring,
    users: HashMap<String, Ring>,
}

impl Fair {
    /// The head that goes next. Tenants take turns whatever their priorities: nobody gets ahead of another
    /// tenant by calling all faxes urgent. Within the tenant the best level goes, and takes turns by user.
    pub fn next(&mut self, heads: &[Head], now: Millis, age: Millis) -> Option<usize> {
        let waiting: BTreeSet<&str> = heads.iter().map(|h| h.tenant_id.as_str()).collect();
        // A tenant with nothing waiting has no turns to remember but for what it owes.
        self.users
            .retain(|tenant, _| waiting.contains(tenant.as_str()));
        let tenant = self.tenants.next(&waiting)?;
        let best = best_level(heads, &tenant, now, age)?;
        let of_best =
            |head: &&Head| head.tenant_id == tenant && level(head, best.0, now, age) == best.1;
        let users: BTreeSet<&str> = (heads.iter().filter(of_best))
            .map(|head| head.user_id.as_str())
            .collect();
        let user = (self.users.entry(tenant.clone()).or_default()).next(&users)?;
        (heads.iter()).position(|head| of_best(&head) && head.user_id == user)
    }

    /// The head went: its tenant and its user owe its pages.
    pub fn charge(&mut self, head: &Head) {
        let pages = u64::from(head.pages.max(1));
        self.tenants.charge(&head.tenant_id, pages);
        let users = self.users.entry(head.tenant_id.clone()).or_default();
        users.charge(&head.user_id, pages);
    }
}

/// The best priority that somebody asked for in the tenant, and the best level that its heads have by now.
fn best_level(heads: &[Head], tenant: &str, now: Millis, age: Millis) -> Option<(i64, i64)> {
    let own = || heads.iter().filter(|head| head.tenant_id == tenant);
    let asked = own().map(|head| head.priority).min()?;
    let best = own().map(|head| level(head, asked, now, age)).min()?;
    Some((asked, best))
}

/// A job's priority, a step better for each `age` that it has waited, but never better than what is asked for
/// at the moment: old faxes must share with new ones, not keep them waiting.
fn level(head: &Head, asked: i64, now: Millis, age: Millis) -> i64 {
    let steps = if age > 0 {
        (now - head.accepted_at).max(0) / age
    } else {
        0
    };
    head.priority.saturating_sub(steps).max(asked)
}

/// Some who take turns.
#[derive(Debug, Default)]
struct Ring {
    /// What each has had, pages; only those who have had more than `now`.
    had: BTreeMap<String, u64>,
    /// What the one that was served last had had before: who comes now begins there, so that nobody saves up
    /// turns while there is nothing to send, and who leaves and comes back still owes.
    now: u64,
    last: Option<String>,
}

impl Ring {
    fn had(&self, name: &str) -> u64 {
        self.had
            .get(name)
            .map_or(self.now, |had| (*had).max(self.now))
    }

    /// Who of `waiting` has had least; of equals the one behind the one that was served last.
    fn next(&self, waiting: &BTreeSet<&str>) -> Option<String> {
        let after = |name: &str| self.last.as_deref().is_none_or(|last| name > last);
        (waiting.iter())
            .min_by_key(|name| (self.had(name), !after(name), **name))
            .map(|name| (*name).to_owned())
    }

    fn charge(&mut self, name: &str, pages: u64) {
        let had = self.had(name);
        self.now = had;
        self.had.insert(name.to_owned(), had.saturating_add(pages));
        let now = self.now;
        self.had.retain(|_, had| *had > now);
        self.last = Some(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Millis = 600_000;

    fn head(tenant: &str, user: &str, pages: u32) -> Head {
        Head {
            tenant_id: tenant.into(),
            user_id: user.into(),
            job_id: format!("{tenant}/{user}"),
            submission_id: String::new(),
            state: State::Ready,
            destination: String::new(),
            priority: 5,
            accepted_at: 0,
            pages,
        }
    }

    /// Who goes in `turns` turns when every lane always has another fax.
    fn turns(fair: &mut Fair, heads: &[Head], turns: usize) -> Vec<String> {
        (0..turns)
            .map(|_| {
                let at = fair.next(heads, 0, AGE).unwrap();
                fair.charge(&heads[at]);
                heads[at].job_id.clone()
            })
            .collect()
    }

    fn share(turns: &[String], of: &str) -> usize {
        turns.iter().filter(|turn| turn.starts_with(of)).count()
    }

    #[test]
    fn a_tenant_with_many_faxes_does_not_hold_up_anothers_single_one() {
        let mut fair = Fair::default();
        turns(&mut fair, &[head("bulk", "u", 3)], 1000);
        // However much the other had while it was alone, the newcomer goes now.
        let both = [head("bulk", "u", 3), head("single", "u", 90)];
        assert_eq!(turns(&mut fair, &both, 1), ["single/u"]);
    }

    #[test]
    fn tenants_share_by_pages_and_users_within_them() {
        let mut fair = Fair::default();
        let heads = [
            head("a", "1", 1),
            head("a", "2", 1),
            head("a", "3", 2),
            head("b", "1", 4),
        ];
        let all = turns(&mut fair, &heads, 300);
        let pages = |of| -> usize {
            heads
                .iter()
                .filter(|head| head.job_id.starts_with(of))
                .map(|head| share(&all, &head.job_id) * head.pages as usize)
                .sum()
        };
        assert!(
            pages("a").abs_diff(pages("b")) <= 4,
            "{} {}",
            pages("a"),
            pages("b")
        );
        for user in ["a/2", "a/3"] {
            assert!(pages("a/1").abs_diff(pages(user)) <= 2);
        }
        // No turn is given twice in a row while others of equal size wait.
        assert_ne!(all[0], all[1]);
    }

    #[test]
    fn nobody_saves_up_turns_nor_leaves_debts_behind() {
        let mut fair = Fair::default();
        let (a, b) = (head("a", "u", 10), head("b", "u", 10));
        turns(&mut fair, std::slice::from_ref(&b), 50);
        let both = [a.clone(), b.clone()];
        // `a` was away for 500 pages and gets no more than its half from now on.
        assert_eq!(share(&turns(&mut fair, &both, 20), "a"), 10);
        // `a` has just had a long one and leaves: it still owes when it comes back.
        let mut long = both.clone();
        long[0].pages = 100;
        while turns(&mut fair, &long, 1) != ["a/u"] {}
        turns(&mut fair, std::slice::from_ref(&b), 1);
        assert_eq!(share(&turns(&mut fair, &both, 8), "b"), 8);
    }

    #[test]
    fn priority_counts_within_a_tenant_and_age_makes_up_for_it() {
        let urgent = Head {
            priority: 0,
            ..head("a", "urgent", 1)
        };
        let patient = Head {
            priority: 2,
            ..head("a", "patient", 1)
        };
        let other = head("b", "u", 1);
        let heads = [patient.clone(), urgent.clone(), other];
        let mut fair = Fair::default();
        let all = turns(&mut fair, &heads, 20);
        assert_eq!(share(&all, "a/patient"), 0);
        assert_eq!(
            (share(&all, "a/urgent"), share(&all, "b")),
            (10, 10),
            "not before another tenant"
        );
        // Twice the age later it is as urgent as the urgent ones, and takes turns with those that come now.
        let heads = [
            patient,
            Head {
                accepted_at: 2 * AGE,
                ..urgent
            },
        ];
        let mut fair = Fair::default();
        let mut went = Vec::new();
        for _ in 0..10 {
            let at = fair.next(&heads, 2 * AGE, AGE).unwrap();
            fair.charge(&heads[at]);
            went.push(heads[at].job_id.clone());
        }
        assert_eq!(share(&went, "a/patient"), 5);
        // Without ageing it waits for ever.
        assert_eq!(Fair::default().next(&heads, 99 * AGE, 0), Some(1));
    }

    #[test]
    fn old_faxes_share_with_new_ones_of_the_same_priority() {
        let old = head("a", "many", 1);
        let new = Head {
            accepted_at: 60 * AGE,
            ..head("a", "single", 1)
        };
        let mut fair = Fair::default();
        fair.charge(&old);
        assert_eq!(fair.next(&[old, new], 60 * AGE, AGE), Some(1));
    }

    #[test]
    fn what_is_remembered_stays_small() {
        let mut fair = Fair::default();
        for n in 0..5000 {
            let heads = [head(&format!("{n}"), "u", 1), head("always", "u", 1)];
            turns(&mut fair, &heads, 2);
        }
        assert!(fair.tenants.had.len() < 10 && fair.users.len() < 3);
    }
}
