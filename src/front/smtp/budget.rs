//! Memory for messages that are being received, shared by all sessions.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many octets of message all sessions may hold together.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

impl Budget {
    /// A budget of `octets`.
    pub fn new(octets: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(octets),
        })
    }
}

/// One message's part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

impl Share {
    /// An empty share.
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            taken: 0,
        }
    }

    /// Takes what is missing to `octets` in all; false when the budget hasn't got it.
    #[must_use]
    pub fn grow_to(&mut self, octets: usize) -> bool {
        let Some(more) = octets.checked_sub(self.taken).filter(|more| *more > 0) else {
            return true;
        };
        let taken = self
            .budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(more)
            })
            .is_ok();
        if taken {
            self.taken = octets;
        }
        taken
    }

    /// Gives back what is beyond `octets`.
    pub fn shrink_to(&mut self, octets: usize) {
        let back = self.taken.saturating_sub(octets);
        self.budget.left.fetch_add(back, Ordering::Relaxed);
        self.taken -= back;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_message_holds_another_can_not() {
        let budget = Budget::new(100);
        let mut first = Share::of(&budget);
        let mut second = Share::of(&budget);
        assert!(first.grow_to(60) && first.grow_to(10));
        assert!(!second.grow_to(41) && second.grow_to(40));
        first.shrink_to(80);
        assert!(!second.grow_to(41));
        first.shrink_to(50);
        assert!(second.grow_to(50));
        drop(first);
        assert!(second.grow_to(100));
    }
}
