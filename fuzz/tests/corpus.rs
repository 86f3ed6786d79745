//! What the fuzzer kept goes through its target again.

use std::{fs, path::Path};

use faxpost_fuzz::TARGETS;

#[test]
fn each_target_takes_its_corpus() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let folder = corpora.join(name);
        let mut kept = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("corpus {name}: {error}"))
        {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            target(&fs::read(&path).expect("a corpus file"));
            kept += 1;
        }
        assert!(kept > 0, "the corpus of {name} is empty");
    }
}

#[test]
fn no_corpus_lacks_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(corpora).expect("the corpora") {
        let name = entry.expect("an entry").file_name();
        assert!(TARGETS.iter().any(|(known, _)| *known == name), "{name:?}");
    }
}
