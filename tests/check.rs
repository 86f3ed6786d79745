//! `faxpost check` names every fault with file, line and remedy, and touches nothing.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use faxpost::store::Store;

fn faxpost(config: &Path, words: &[&str]) -> (bool, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_faxpost"))
        .arg("--config")
        .arg(config)
        .args(words)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

/// Every file and folder below `dir`, with when it was changed and what it holds.
fn tree(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, (changed, Vec::new()));
        } else {
            let octets = fs::read(&path).unwrap();
            found.insert(path, (changed, octets));
        }
    }
    found
}

/// Panics with the names of what differs. SQLite's `-shm` is a table of locks in memory, not of the database:
/// who reads beside a writer has a lock in it.
fn assert_same(
    before: &BTreeMap<PathBuf, (SystemTime, Vec<u8>)>,
    after: &BTreeMap<PathBuf, (SystemTime, Vec<u8>)>,
) {
    let all = before.keys().chain(after.keys());
    let mut changed: Vec<_> = all
        .filter(|path| before.get(*path) != after.get(*path))
        .collect();
    changed.retain(|path| !path.display().to_string().ends_with("-shm"));
    assert!(changed.is_empty(), "changed: {changed:?}");
}

fn assert_says(said: &str, words: &str) {
    assert!(said.contains(words), "{words:?} is not in:\n{said}");
}

#[test]
fn what_the_next_start_would_make_is_told_and_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("faxpost.toml");
    let data = dir.path().join("data");
    fs::write(
        &config,
        format!("data_dir = {:?}\n", data.display().to_string()),
    )
    .unwrap();
    let before = tree(dir.path());
    let (well, said) = faxpost(&config, &["check"]);
    assert!(well, "{said}");
    assert_says(
        &said,
        &format!(
            "database: {} would be created",
            data.join("faxpost.db").display()
        ),
    );
    for name in ["", "custody", "keys"] {
        let path = data.join(name);
        let path = path.display().to_string();
        assert_says(
            &said,
            &format!("{} would be created", path.trim_end_matches('/')),
        );
    }
    assert_same(&before, &tree(dir.path()));

    let (well, said) = faxpost(&config, &["init", "--operator", "op@example.com"]);
    assert!(well, "{said}");
    let before = tree(dir.path());
    let (well, said) = faxpost(&config, &["check"]);
    assert!(well, "{said}");
    assert_says(&said, "ok       database: up to date");
    assert_same(&before, &tree(dir.path()));

    // Beside a gateway that runs there is a log of writes, which holds what the file lacks.
    let url = format!("sqlite://{}", data.join("faxpost.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(Store::open(&url)).unwrap();
    let add = ["admin", "add", "tenant", "South"];
    let _ = faxpost(&config, &add);
    assert!(data.join("faxpost.db-wal").exists());
    let before = tree(dir.path());
    let (well, said) = faxpost(&config, &["check"]);
    assert!(well, "{said}");
    assert_says(&said, "ok       database: up to date");
    assert_same(&before, &tree(dir.path()));
    runtime.block_on(store.close());
}

#[test]
fn every_fault_is_named_with_file_line_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (config, policies, data) = (at("faxpost.toml"), at("policies"), at("data"));
    fs::write(&data, "a file in the way").unwrap();
    fs::create_dir(&policies).unwrap();
    fs::write(
        policies.join("sending.toml"),
        "max_calls = 6\nrepeat_unknown = maybe\n",
    )
    .unwrap();
    fs::write(policies.join("tariff.toml"), "").unwrap();
    let covers = policies.join("covers");
    fs::create_dir(&covers).unwrap();
    fs::write(covers.join("summer.typ"), "Fine\n\n  #sys.inputs.tos\n").unwrap();
    let text = format!(
        "data_dir = {data:?}\npolicies_dir = {policies:?}\n[database]\n\n\
         url = \"postgres://nobody@127.0.0.1:1/none\"\n[line]\nspeed = 0\nworkers = 0\n[relay]\n\
         postmaster = \"ops\"\n[smtp]\ntls_certificate = {chain:?}\ntls_key = {chain:?}\n",
        chain = at("chain.pem"),
    );
    fs::write(&config, text).unwrap();
    let before = tree(dir.path());
    let (well, said) = faxpost(&config, &["check"]);
    assert!(!well, "{said}");
    let line = |number: u32| format!("{}:{number}: ", config.display());
    for words in [
        format!(
            "{}data_dir: {} is no folder. Move it away",
            line(1),
            data.display()
        ),
        format!("{}database.url: ", line(5)),
        format!("{}line.speed: is 0. Set 1 for real lines.", line(7)),
        format!("{}line.workers: is 0. Set 1 at least.", line(8)),
        format!(
            "{}relay.postmaster: is no mail address. Write one as",
            line(10)
        ),
        format!(
            "{}smtp.tls_certificate: {}",
            line(12),
            at("chain.pem").display()
        ),
        format!("{}:2: ", policies.join("sending.toml").display()),
        format!(
            "{}: nobody reads a file of this name. There are: ",
            policies.join("tariff.toml").display()
        ),
        format!("{}:3:", covers.join("summer.typ").display()),
    ] {
        assert_says(&said, &words);
    }
    assert_says(&said, "11 to mend");
    assert_same(&before, &tree(dir.path()));

    fs::write(&config, "[smtp]\nmax_sise = 3\n").unwrap();
    let (well, said) = faxpost(&config, &["check"]);
    assert!(!well);
    assert_says(&said, &format!("{}:2: ", config.display()));
    assert_says(&said, "max_size");
    let none = at("none.toml");
    let (well, said) = faxpost(&none, &["check"]);
    assert!(!well);
    assert_says(&said, "Make one with `faxpost init`");
}

/// What `check` says of a `[sip]` section.
fn judged(sip: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("faxpost.toml");
    let data = dir.path().join("data").display().to_string();
    fs::write(&config, format!("data_dir = {data:?}\n[sip]\n{sip}\n")).unwrap();
    faxpost(&config, &["check"])
}

#[test]
fn what_others_reach_us_by_is_judged() {
    let root = env!("CARGO_MANIFEST_DIR");
    let pem = |name: &str| format!("{root}/testdata/tls/sip/{name}");
    let tls = |key: &str| {
        format!(
            "tls_certificate = {:?}\ntls_key = {:?}\ntls_ca = {:?}",
            pem("trunk.pem"),
            pem(key),
            pem("ca.pem")
        )
    };
    for (sip, words) in [
        (
            "media_port_min = 40001\nmedia_port_max = 40002",
            "sip.media_port_max: from 40001 to 40002 there is no room for one call",
        ),
        (
            "listen = \"127.0.0.1:5060\"\nmedia_port_min = 5000\nmedia_port_max = 5099",
            "holds SIP's own port, 5060. Move one",
        ),
        (
            "listen = \"127.0.0.1:5060\"\nadvertised = \"203.0.113.7\"",
            "faxpost.toml:4: sip.advertised: others are told 203.0.113.7, but SIP listens on 127.0.0.1",
        ),
        (
            "advertised = \"nowhere.test\"\ndns = \"127.0.0.1:1\"",
            "sip.advertised: DNS gives no address of nowhere.test",
        ),
        (&tls("ca.pem"), "PKCS#8"),
        (&tls("other-key.pem"), "sip.tls_certificate: "),
    ] {
        let (well, said) = judged(sip);
        assert!(!well, "{said}");
        assert_says(&said, words);
    }
    let (well, said) = judged(&tls("trunk-key.pem"));
    assert!(well, "{said}");
    for words in [
        "ok       certificate for SIP",
        "ok       CAs of trunks",
        "ok       media ports: 40000 to 41999, 500 calls",
        "ok       address for others: 127.0.0.1 (only programs on this machine reach it",
    ] {
        assert_says(&said, words);
    }
}
