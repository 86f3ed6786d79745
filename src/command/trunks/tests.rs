use super::*;
use crate::{
    numbers::{Reach, TrunkState},
    people::{self, Language, NewTenant},
    store::testing::on_each_database,
};

async fn house(store: &Store) -> tempfile::TempDir {
    let mut tx = store.begin().await.unwrap();
    let tenant = NewTenant {
        name: "Main".into(),
        language: Language::En,
        time_zone: "UTC".into(),
    };
    people::create_tenant(&mut tx, &tenant).await.unwrap();
    tx.commit().await.unwrap();
    tempfile::tempdir().unwrap()
}

async fn run(store: &Store, keys: &Path, line: &str) -> Result<String, String> {
    crate::command::testing::run(store, keys, line, &[]).await
}

on_each_database! {
    async fn a_trunk_is_added_changed_shown_and_removed(store) {
        let keys = house(&store).await;
        let keys = keys.path();
        let added = run(&store, keys,
            "add trunk carrier host sip.example.net transport tls user us password hush register on \
             from 198.51.100.0/24,192.0.2.7 channels 30 per-minute 60 caller +33123456701 format plain \
             prefix 00 t38 offer priority 3 route +33 12 route + 40").await.unwrap();
        assert!(added.contains("sip.example.net (as SRV says) over tls"), "{added}");
        assert!(added.contains("user us, with a password") && !added.contains("hush"), "{added}");
        let kept = numbers::trunk_by_name(&store, "carrier").await.unwrap().unwrap();
        let vault = Vault::open(keys).unwrap();
        assert_eq!(kept.open_password(&vault).unwrap().unwrap().as_slice(), b"hush");
        assert_eq!((kept.register_s, kept.calls_per_minute), (Some(600), Some(60)));

        let shown = run(&store, keys, "show trunk carrier").await.unwrap();
        for words in [
            "every 600 s", "198.51.100.0/24, 192.0.2.7", "30 at a time, 60 a minute", "+33123456701",
            "plain behind 00", "t38: offer", "+33 at cost 12, + at cost 40", "no gateway has taken it up",
        ] {
            assert!(shown.contains(words) || shown.contains(&words.replace("+33 at cost 12, + at cost 40", "+ at cost 40, +33 at cost 12")), "{words}: {shown}");
        }

        run(&store, keys, "set trunk carrier off no-route + password fresh t38 wait").await.unwrap();
        let kept = numbers::trunk_by_name(&store, "carrier").await.unwrap().unwrap();
        assert!(!kept.active && kept.routes.len() == 1 && kept.t38 == T38Policy::Wait);
        assert_eq!(kept.open_password(&vault).unwrap().unwrap().as_slice(), b"fresh");
        run(&store, keys, "set trunk carrier on register off user none caller none prefix none per-minute 0 from none").await.unwrap();
        let kept = numbers::trunk_by_name(&store, "carrier").await.unwrap().unwrap();
        assert!(kept.active && kept.password.is_none() && kept.sip_user.is_none());
        assert_eq!((kept.caller_number, kept.calls_per_minute, kept.sources.len()), (None, None, 0));

        let shown = run(&store, keys, "set trunk carrier port 5071").await.unwrap();
        assert!(shown.contains("sip.example.net:5071 over tls"), "{shown}");
        let shown = run(&store, keys, "set trunk carrier port none").await.unwrap();
        assert!(shown.contains("sip.example.net (as SRV says) over tls"), "{shown}");
        assert!(run(&store, keys, "set trunk carrier port 0").await.unwrap_err().contains("port none"));
        run(&store, keys, "remove trunk carrier").await.unwrap();
        assert!(run(&store, keys, "show trunk carrier").await.unwrap_err().contains("no trunk carrier"));
        assert_eq!(run(&store, keys, "show trunks").await.unwrap(), "none");
    }

    async fn a_hylafax_server_is_a_trunk(store) {
        let keys = house(&store).await;
        let keys = keys.path();
        let line = "add trunk analogue hylafax fax.example.net user us password hush modem ttyS0 caller +33199001122";
        let added = run(&store, keys, line).await.unwrap();
        assert!(added.contains("fax.example.net:4559 over hylafax, modem ttyS0"), "{added}");
        let kept = numbers::trunk_by_name(&store, "analogue").await.unwrap().unwrap();
        assert_eq!((kept.transport, kept.channels), (numbers::Transport::Hylafax, 1));
        assert_eq!(kept.modem.as_deref(), Some("ttyS0"));
        run(&store, keys, "set trunk analogue modem none").await.unwrap();
        let kept = numbers::trunk_by_name(&store, "analogue").await.unwrap().unwrap();
        assert_eq!(kept.modem, None);
    }

    async fn what_does_not_fit_is_refused_and_changes_nothing(store) {
        let keys = house(&store).await;
        let keys = keys.path();
        for (line, says) in [
            ("add trunk a host 192.0.2.1 register on", "registration needs a user"),
            ("add trunk a host 192.0.2.1 password p", "a password needs a user"),
            ("add trunk a host 192.0.2.1 from 0.0.0.0/0", "is no network"),
            ("add trunk a host \"a b\"", "is no host"),
            ("add trunk a host 192.0.2.1 channels 0", "without channels"),
            ("add trunk a host 192.0.2.1 route 33 1", "the beginning of numbers"),
            ("add trunk a host 192.0.2.1 register 5", "seconds from 60"),
            ("add trunk a host 192.0.2.1 transport sctp", "udp, tcp or tls"),
            ("add trunk a host 192.0.2.1 colour red", "per-minute"),
            ("add trunk a host 192.0.2.1 modem ttyS0", "for HylaFAX servers"),
            ("add trunk a hylafax 192.0.2.1 user u password p register on", "for SIP trunks"),
            ("add trunk a hylafax 192.0.2.1 transport tls", "SIP or HylaFAX from its beginning"),
            ("add trunk a host 192.0.2.1 transport hylafax", "SIP or HylaFAX from its beginning"),
        ] {
            let error = run(&store, keys, line).await.unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
        assert!(numbers::trunks(&store).await.unwrap().is_empty());
        run(&store, keys, "add trunk a host 192.0.2.1").await.unwrap();
        let twice = run(&store, keys, "add trunk a host 192.0.2.2").await.unwrap_err();
        assert!(twice.contains("already"), "{twice}");
    }

    async fn a_state_is_told_in_words(store) {
        let keys = house(&store).await;
        let keys = keys.path();
        run(&store, keys, "add trunk a host 192.0.2.1").await.unwrap();
        let trunk = numbers::trunk_by_name(&store, "a").await.unwrap().unwrap();
        let now = now_ms();
        let state = TrunkState {
            reach: Reach::Up,
            since: now - 60_000,
            registered_since: Some(now - 7_300_000),
            answered_at: Some(now - 12_000),
            failure: Some("the registrar said 403".into()),
            failed_at: Some(now - 180_000),
            ..TrunkState::default()
        };
        let mut tx = store.begin().await.unwrap();
        numbers::tell_state(&mut tx, &trunk.tenant_id, &trunk.trunk_id, "n1", &state, now).await.unwrap();
        tx.commit().await.unwrap();
        let shown = run(&store, keys, "show trunk a").await.unwrap();
        for words in ["as n1 sees it: up for 60 s", "registered for 2 h", "OPTIONS answered 12 s ago",
                      "last failure 3 min ago: the registrar said 403"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        let mut tx = store.begin().await.unwrap();
        numbers::tell_state(&mut tx, &trunk.tenant_id, &trunk.trunk_id, "n1", &state, now - 600_000).await.unwrap();
        tx.commit().await.unwrap();
        let shown = run(&store, keys, "show trunks").await.unwrap();
        assert!(shown.contains("nothing heard from this gateway for 10 min"), "{shown}");
    }
}
