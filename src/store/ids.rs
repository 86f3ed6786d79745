//! Ids of rows.

use std::sync::Mutex;

use ulid::{Generator, Ulid};

static GENERATOR: Mutex<Generator> = Mutex::new(Generator::new());

/// A new ULID: 26 characters, larger than all that this process made before.
#[must_use]
pub fn new_id() -> String {
    let mut generator = GENERATOR
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // The generator fails when 2^80 ids were drawn within one millisecond; any fresh id will do then.
    generator
        .generate()
        .unwrap_or_else(|_| Ulid::new())
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_across_threads() {
        let drawn: Vec<Vec<String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).map(|_| new_id()).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for one in &drawn {
            assert!(one.is_sorted_by(|a, b| a < b));
        }
        let mut all: Vec<_> = drawn.concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4000);
    }
}
