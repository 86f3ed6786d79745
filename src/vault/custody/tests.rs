use super::*;
use crate::store::testing::on_each_database;

fn custody() -> (tempfile::TempDir, Custody) {
    let dir = tempfile::tempdir().unwrap();
    let custody = Custody::start(&dir.path().join("custody"), &dir.path().join("keys")).unwrap();
    (dir, custody)
}

fn item(tenant_id: &str, what: What, bytes: &[u8]) -> NewItem {
    NewItem {
        tenant_id: tenant_id.to_owned(),
        what,
        bytes: bytes.to_vec(),
    }
}

async fn kept(store: &Store, custody: &Custody, items: Vec<NewItem>) -> Vec<KeptItem> {
    let kept = custody.keep(items).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    custody
        .record_all(&mut tx, &kept.iter().collect::<Vec<_>>())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    kept
}

async fn finish(store: &Store, custody: &Custody, item: &KeptItem) -> bool {
    let mut tx = store.begin().await.unwrap();
    let done = custody
        .done(&mut tx, &item.tenant_id, &item.custody_id)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    done
}

on_each_database! {
    async fn what_is_kept_opens_for_its_tenant_alone(store) {
        let (dir, custody) = custody();
        let (one, two) = (new_id(), new_id());
        let large = vec![9; LARGE + 1];
        let items = kept(&store, &custody, vec![
            item(&one, What::Message, b"first"),
            item(&two, What::Page, &large),
            item(&one, What::Secret, b"password"),
        ]).await;
        let open = async |tenant: &str, n: usize| custody.open(&store, tenant, &items[n].custody_id).await;
        assert_eq!(*open(&one, 0).await.unwrap(), b"first");
        assert_eq!(*open(&two, 1).await.unwrap(), large);
        assert_eq!(*open(&one, 2).await.unwrap(), b"password");
        assert_eq!(items[2].day, STANDING);
        assert!(matches!(open(&two, 0).await, Err(CustodyError::Missing(_))));
        // A process that starts anew reads the same.
        let again = Custody::start(&dir.path().join("custody"), &dir.path().join("keys")).unwrap();
        assert_eq!(*again.open(&store, &one, &items[0].custody_id).await.unwrap(), b"first");
    }

    async fn plaintext_never_touches_a_disk(store) {
        let (dir, custody) = custody();
        kept(&store, &custody, vec![item(&new_id(), What::Message, b"a very clear sentence")]).await;
        for folder in ["custody", "keys"] {
            for entry in std::fs::read_dir(dir.path().join(folder)).unwrap() {
                let bytes = std::fs::read(entry.unwrap().path()).unwrap();
                assert!(!bytes.windows(8).any(|w| w == b"sentence"));
            }
        }
    }

    async fn a_day_ends_with_its_last_item_and_the_bounce_window(store) {
        let (_dir, custody) = custody();
        let tenant = new_id();
        let items = kept(&store, &custody, vec![
            item(&tenant, What::Message, b"1"),
            item(&tenant, What::Mail, b"2"),
            item(&tenant, What::Secret, b"3"),
        ]).await;
        let later = now_ms() + 10 * DAY;
        assert_eq!(custody.sweep_at(&store, later).await.unwrap(), Swept::default(), "nothing is done");
        assert!(finish(&store, &custody, &items[0]).await);
        assert!(!finish(&store, &custody, &items[0]).await, "done once");
        assert_eq!(custody.sweep_at(&store, later).await.unwrap(), Swept::default(), "one is open");
        assert!(finish(&store, &custody, &items[1]).await);
        assert_eq!(custody.sweep(&store).await.unwrap(), Swept::default(), "today goes on");
        let end = (Millis::from(items[0].day) + 1) * DAY;
        let within = custody.sweep_at(&store, end + HOUR).await.unwrap();
        assert_eq!(within, Swept::default(), "a bounce may come");
        assert_eq!(*custody.open(&store, &tenant, &items[0].custody_id).await.unwrap(), b"1");
        let swept = custody.sweep_at(&store, later).await.unwrap();
        assert_eq!(swept, Swept { days: vec![items[0].day], segments: 1 });
        assert!(matches!(
            custody.open(&store, &tenant, &items[0].custody_id).await,
            Err(CustodyError::Missing(_))
        ));
        assert_eq!(*custody.open(&store, &tenant, &items[2].custody_id).await.unwrap(), b"3");
        assert_eq!(custody.sweep_at(&store, later).await.unwrap(), Swept::default());
    }

    async fn what_was_never_recorded_goes_with_its_day(store) {
        let (_dir, custody) = custody();
        let lost = custody.keep_one(item(&new_id(), What::Message, b"x")).await.unwrap();
        let end = (Millis::from(lost.day) + 1) * DAY;
        // Sealed before midnight, it may be recorded after.
        assert_eq!(custody.sweep_at(&store, end + 1).await.unwrap(), Swept::default());
        let swept = custody.sweep_at(&store, end + IN_FLIGHT).await.unwrap();
        assert_eq!(swept, Swept { days: vec![lost.day], segments: 1 });
    }

    async fn a_row_that_points_at_another_item_does_not_open(store) {
        let (_dir, custody) = custody();
        let tenant = new_id();
        let items = kept(&store, &custody, vec![
            item(&tenant, What::Message, b"1"),
            item(&tenant, What::Message, b"2"),
        ]).await;
        let mut tx = store.begin().await.unwrap();
        sqlx::query("UPDATE custody SET place = $1 WHERE tenant_id = $2 AND custody_id = $3")
            .bind(items[1].place.to_string())
            .bind(&tenant)
            .bind(&items[0].custody_id)
            .execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        let opened = custody.open(&store, &tenant, &items[0].custody_id).await;
        assert!(matches!(opened, Err(CustodyError::Vault(VaultError::Damaged))));
    }
}
