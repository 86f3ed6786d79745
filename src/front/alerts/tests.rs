use super::*;
use crate::{
    numbers::{Trunk, TrunkState},
    store::{blobs::Blobs, testing::on_each_database},
    vault::Vault,
};

/// An operator who reads French, a trunk, and who watches them.
async fn watch(store: &Store, dir: &std::path::Path) -> (Alerts, Trunk) {
    let mut tx = store.begin().await.unwrap();
    let tenant = people::NewTenant {
        name: "House".into(),
        language: Language::En,
        time_zone: "UTC".into(),
    };
    let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
    let operator = people::NewUser {
        tenant_id: tenant_id.clone(),
        group_id: None,
        name: "Op".into(),
        address: "op@example.com".into(),
        role: people::Role::Operator,
        plan: people::Plan::SendReceive,
        language: Some(Language::Fr),
        caller_number: None,
    };
    people::add_user(&mut tx, &operator).await.unwrap();
    let trunk = Trunk::new(&tenant_id, "carrier", "192.0.2.1", 5060);
    numbers::add_trunk(&mut tx, &trunk).await.unwrap();
    tx.commit().await.unwrap();
    let vault = Vault::open(&dir.join("keys")).unwrap();
    let custody = Custody::new(vault, Blobs::open(&dir.join("blobs")).unwrap());
    let alerts = Alerts {
        store: store.clone(),
        postmaster: Postmaster::new(custody.clone(), &config::Relay::default()),
        custody,
        from: "fax@example.com".into(),
        hostname: "fax.example.com".into(),
        disk: (dir.to_owned(), 1),
        certificates: Vec::new(),
    };
    (alerts, trunk)
}

async fn tell(store: &Store, trunk: &Trunk, reach: Reach, now: Millis) {
    let state = TrunkState {
        reach,
        failure: Some("It does not answer.".into()),
        ..TrunkState::default()
    };
    let mut tx = store.begin().await.unwrap();
    numbers::tell_state(&mut tx, &trunk.tenant_id, &trunk.trunk_id, "n", &state, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn mails(alerts: &Alerts) -> Vec<String> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT tenant_id, custody_id FROM outbox WHERE purpose LIKE 'alert:%' ORDER BY purpose",
    )
    .fetch_all(alerts.store.reader())
    .await
    .unwrap();
    let mut all = Vec::new();
    for (tenant, id) in rows {
        let bytes = alerts
            .custody
            .open(&alerts.store, &tenant, &id)
            .await
            .unwrap();
        let parsed = mail_parser::MessageParser::default()
            .parse(&bytes[..])
            .unwrap();
        all.push(format!(
            "{}\n{}",
            parsed.subject().unwrap(),
            parsed.body_text(0).unwrap()
        ));
    }
    all
}

on_each_database! {
    async fn promise_7_a_trunk_that_stays_down_is_told_once_a_day_and_when_it_is_up(store) {
        let dir = tempfile::tempdir().unwrap();
        let (alerts, trunk) = watch(&store, dir.path()).await;
        let start = now_ms();
        for minute in 0..12 {
            let now = start + minute * MINUTE;
            tell(&store, &trunk, Reach::Down, now).await;
            alerts.pass(now).await.unwrap();
            let told = mails(&alerts).await.len();
            assert_eq!(told, usize::from(minute >= 10), "after {minute} minutes");
        }
        let told = mails(&alerts).await;
        assert!(told[0].starts_with("La passerelle de fax a besoin de vous"), "{told:?}");
        assert!(told[0].contains("carrier") && told[0].contains("It does not"), "{told:?}");
        let next = start + 10 * MINUTE + DAY;
        tell(&store, &trunk, Reach::Down, next).await;
        alerts.pass(next - 1).await.unwrap();
        assert_eq!(mails(&alerts).await.len(), 1);
        alerts.pass(next).await.unwrap();
        assert_eq!(mails(&alerts).await.len(), 2);
        tell(&store, &trunk, Reach::Up, next).await;
        for _ in 0..2 {
            alerts.pass(next).await.unwrap();
            let told = mails(&alerts).await;
            assert_eq!(told.len(), 3);
            assert!(told[2].starts_with("La passerelle de fax va de nouveau bien"), "{told:?}");
        }
    }

    async fn what_was_never_told_ends_without_a_word(store) {
        let dir = tempfile::tempdir().unwrap();
        let (alerts, trunk) = watch(&store, dir.path()).await;
        let now = now_ms();
        for reach in [Reach::Down, Reach::Up] {
            tell(&store, &trunk, reach, now).await;
            alerts.pass(now).await.unwrap();
        }
        assert_eq!(mails(&alerts).await, Vec::<String>::new());
    }

    async fn promise_7_a_full_disk_an_old_certificate_and_a_deaf_relay_are_told(store) {
        let dir = tempfile::tempdir().unwrap();
        let (mut alerts, _) = watch(&store, dir.path()).await;
        let now = now_ms();
        alerts.disk.1 = u64::MAX / 4;
        alerts.pass(now).await.unwrap();
        assert_eq!(mails(&alerts).await.len(), 1);
        // That very mail waits for half an hour: the relay takes none.
        let mut tx = store.begin().await.unwrap();
        sqlx::query("UPDATE outbox SET tries = 3, last_answer = '451 not now', created_at = $1")
            .bind(now - 31 * MINUTE)
            .execute(tx.conn())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/localhost.pem");
        let chain = config::pem::certificates(&file).unwrap();
        // As `openssl x509 -enddate` says: Oct 28 22:17:58 2126 GMT.
        let ends = 4_948_899_478_000;
        assert_eq!(expiry::not_after(&chain[0]), Some(ends));
        alerts.certificates = vec![file];
        alerts.pass(now).await.unwrap();
        let told = mails(&alerts).await;
        assert_eq!(told.len(), 2);
        assert!(told[1].contains("451 not now"), "{told:?}");
        assert!(alerts.certificate(&alerts.certificates[0], ends - DAY).is_some());
        assert!(alerts.certificate(&alerts.certificates[0], ends - 15 * DAY).is_none());
    }
}
