//! One fuzzer for all targets: `FAXPOST_FUZZ` names the one that runs. `fuzz/run` sets it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FAXPOST_FUZZ").unwrap_or_default();
        let Some((_, target)) = faxpost_fuzz::TARGETS
            .iter()
            .find(|(known, _)| *known == name)
        else {
            let known: Vec<_> = faxpost_fuzz::TARGETS
                .iter()
                .map(|(name, _)| *name)
                .collect();
            eprintln!("set FAXPOST_FUZZ to one of: {}", known.join(", "));
            std::process::exit(2);
        };
        *target
    });
    target(data);
});
