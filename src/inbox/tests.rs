use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution};

use super::*;
use crate::{
    language::Language,
    numbers::{NewNumber, add_number, add_recipient},
    people::{self, NewTenant},
    relay,
    store::testing::on_each_database,
};

const DAY: i64 = 24 * 3_600_000;

/// Two nodes with one database and one custody.
async fn nodes(store: &Store) -> (tempfile::TempDir, [Arc<Inner>; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let custody = Custody::start(&dir.path().join("custody"), &dir.path().join("keys")).unwrap();
    let node = || Inner {
        store: store.clone(),
        custody: custody.clone(),
        plan: DialPlan::load(None).unwrap(),
        hostname: "gateway.example".into(),
        from: "fax@gateway.example".into(),
        min_free_disk: 0,
        max_size: None,
        retention: Retention::load(None).unwrap(),
        node: crate::store::new_id(),
        readings: None,
    };
    let both = [Arc::new(node()), Arc::new(node())];
    (dir, both)
}

/// The same node, to be changed.
fn inner(node: &Arc<Inner>) -> Inner {
    Inner {
        store: node.store.clone(),
        custody: node.custody.clone(),
        plan: DialPlan::load(None).unwrap(),
        hostname: node.hostname.clone(),
        from: node.from.clone(),
        min_free_disk: 0,
        max_size: None,
        retention: node.retention,
        node: node.node.clone(),
        readings: None,
    }
}

/// A fax of two pages that has come to a number with `recipients`; its id.
async fn received(node: &Inner, recipients: &[&str]) -> String {
    let mut tx = node.store.begin().await.unwrap();
    let tenant = NewTenant {
        name: "North".into(),
        language: Language::En,
        time_zone: "Europe/Paris".into(),
    };
    let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
    let number = NewNumber {
        group_id: people::default_group(&mut tx, &tenant_id).await.unwrap(),
        tenant_id: tenant_id.clone(),
        e164: "+33199001122".into(),
        title: "Front desk".into(),
    };
    let number_id = add_number(&mut tx, &number).await.unwrap();
    for recipient in recipients {
        add_recipient(&mut tx, &tenant_id, &number_id, recipient)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let call = IncomingCall {
        call_id: crate::store::new_id(),
        trunk_id: "trunk".into(),
        to: "+33199001122".into(),
        from: "+33123456789".into(),
    };
    let decision = node.admit(&call).await.unwrap();
    assert!(matches!(decision, Decision::Answer { .. }), "{decision:?}");
    for index in 0..2 {
        let page = ReceivedPage {
            index,
            page: FaxPage::encode(&Bitmap::new(1728, 100), Resolution::Fine, Coding::Mmr),
            bad_rows: 0,
            last: index == 1,
        };
        node.store_page(&call, page).await.unwrap();
    }
    let open = records::by_call(&node.store, &call.call_id)
        .await
        .unwrap()
        .unwrap();
    node.close(&open, &call, &CallEnding::default())
        .await
        .unwrap();
    open.received_id
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(store.reader())
        .await
        .unwrap()
}

async fn change(store: &Store, sql: &'static str) {
    let mut tx = store.begin().await.unwrap();
    sqlx::query(sql).execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
}

const OPEN_PAGES: &str = "SELECT COUNT(*) FROM custody WHERE what = 'page' AND done_at IS NULL";

/// Both nodes settle at once; how many faxes each settled, in all.
async fn settle(nodes: &[Arc<Inner>; 2]) -> usize {
    let one = async |node: &Inner| {
        records::settle_deliveries(&node.store, &node.custody, node.retention)
            .await
            .unwrap()
    };
    let (a, b) = tokio::join!(one(&nodes[0]), one(&nodes[1]));
    a + b
}

on_each_database! {
    async fn a_page_beyond_all_bounds_is_announced_and_kept_for_its_time(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["a@example.com"]).await;
        let less = Inner { max_size: Some(100), ..inner(&nodes[0]) };
        assert_eq!(delivery::write_all(&less).await.unwrap(), 1);
        assert_eq!(count(&store, "SELECT announced FROM received_fax").await, 1);
        change(&store, "UPDATE outbox SET state = 'sent'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert_eq!(count(&store, "SELECT COUNT(*) FROM received_fax WHERE state = 'kept'").await, 1);
        assert_eq!(count(&store, OPEN_PAGES).await, 2);
        // Kept for its time, and then ended.
        let later = now_ms() + nodes[0].retention.undelivered_ms() + DAY;
        records::drop_overdue(&store, &nodes[0].custody, later).await.unwrap();
        assert_eq!(count(&store, OPEN_PAGES).await, 0);
    }

    async fn a_fax_that_waits_for_its_reading_is_taken_up_by_the_node_that_read_it(store) {
        let (_dir, [one, other]) = nodes(&store).await;
        received(&one, &["a@example.com"]).await;
        let due = || async { relay::to_compose(&store, owed::PREFIX, 9).await.unwrap() };
        let mail_id = due().await[0].mail_id.clone();
        relay::rest_draft(&store, &one.node, &mail_id, now_ms() + DAY).await.unwrap();
        assert!(due().await.is_empty());
        // Another that begins may not know whether it is still being read; alone on a database, one knows.
        Inbox { inner: other }.take_back().await.unwrap();
        assert_eq!(due().await.is_empty(), store.is_shared());
        Inbox { inner: one }.take_back().await.unwrap();
        assert_eq!(due().await[0].mail_id, mail_id);
    }

    async fn parts_are_put_in_the_place_of_a_draft_by_one_node(store) {
        let (_dir, nodes) = nodes(&store).await;
        let id = received(&nodes[0], &["a@example.com"]).await;
        let draft = relay::to_compose(&store, owed::PREFIX, 9).await.unwrap().remove(0);
        let part = |n: u32| relay::Part {
            purpose: format!("{} part-{n}/2/{n}-{n}", draft.purpose),
            message_id: format!("{id}.part{n}@gateway.example"),
            custody_id: format!("c{n}"),
        };
        let divide = async || {
            let mut tx = store.begin().await.unwrap();
            let ours = relay::divide(&mut tx, &draft.mail_id, &[part(1), part(2)]).await.unwrap();
            tx.commit().await.unwrap();
            ours
        };
        assert!(divide().await);
        assert!(!divide().await, "it is no draft any more");
        assert_eq!(count(&store, "SELECT COUNT(*) FROM outbox WHERE state = 'ready'").await, 2);
        // Nothing ends before all parts are out.
        change(&store, "UPDATE outbox SET state = 'sent' WHERE custody_id = 'c1'").await;
        assert_eq!(settle(&nodes).await, 0);
        assert_eq!(count(&store, OPEN_PAGES).await, 2);
        change(&store, "UPDATE outbox SET state = 'sent' WHERE custody_id = 'c2'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert_eq!(count(&store, OPEN_PAGES).await, 0);
    }

    async fn who_is_no_recipient_any_more_gets_a_notice(store) {
        let (_dir, nodes) = nodes(&store).await;
        let id = received(&nodes[0], &["a@example.com", "b@example.com"]).await;
        // A password may have gone with the row: the fax must not go in the clear instead.
        change(&store, "DELETE FROM number_recipient WHERE address = 'a@example.com'").await;
        assert_eq!(delivery::write_all(&nodes[0]).await.unwrap(), 2);
        assert_eq!(count(&store, "SELECT announced FROM received_fax").await, 1);
        change(&store, "UPDATE outbox SET state = 'sent'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert_eq!(count(&store, OPEN_PAGES).await, 2);
        let again = async |address: &str, form| {
            deliver_again(&store, &id, address, form, "gateway.example").await.unwrap()
        };
        assert_eq!(again("a@example.com", None).await, Redelivery::NotTheirs);
        assert_eq!(again("b@example.com", Some(numbers::Form::Tiff)).await, Redelivery::Owed(numbers::Form::Tiff));
        assert_eq!(again("b@example.com", None).await, Redelivery::Owed(numbers::Form::Pdf));
        assert_eq!(delivery::write_all(&nodes[0]).await.unwrap(), 2);
        change(&store, "UPDATE received_fax SET state = 'delivered'").await;
        assert_eq!(again("b@example.com", None).await, Redelivery::Gone);
        let none = deliver_again(&store, "NONE", "b@example.com", None, "x").await.unwrap();
        assert_eq!(none, Redelivery::NoFax);
    }

    async fn the_last_two_mails_of_a_fax_race_and_it_is_delivered_once(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["a@example.com", "b@example.com"]).await;
        // Each node writes what it finds, both at once.
        let (a, b) = tokio::join!(delivery::write_all(&nodes[0]), delivery::write_all(&nodes[1]));
        let _ = (a.unwrap(), b.unwrap());
        assert_eq!(count(&store, "SELECT COUNT(*) FROM outbox WHERE state = 'ready'").await, 2);
        assert_eq!(settle(&nodes).await, 0);
        assert_eq!(count(&store, OPEN_PAGES).await, 2);
        // The relay takes both mails, in two transactions that overlap with the settling.
        let sent = async |recipient: &'static str| change(&store, recipient).await;
        let (_, _, settled) = tokio::join!(
            sent("UPDATE outbox SET state = 'sent' WHERE recipient = 'a@example.com'"),
            sent("UPDATE outbox SET state = 'sent' WHERE recipient = 'b@example.com'"),
            settle(&nodes),
        );
        assert_eq!(settled + settle(&nodes).await, 1, "settled once");
        assert_eq!(count(&store, "SELECT COUNT(*) FROM received_fax WHERE state = 'delivered'").await, 1);
        assert_eq!(count(&store, OPEN_PAGES).await, 0);
    }

    async fn promise_7_a_fax_that_nobody_can_be_sent_is_kept_for_a_month_and_no_longer(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["a@example.com", "b@example.com"]).await;
        delivery::write_all(&nodes[0]).await.unwrap();
        change(&store, "UPDATE outbox SET state = 'sent' WHERE recipient = 'a@example.com'").await;
        change(&store, "UPDATE outbox SET state = 'failed' WHERE recipient = 'b@example.com'").await;
        assert_eq!(settle(&nodes).await, 1);
        let failed = "SELECT COUNT(*) FROM received_fax WHERE state = 'failed'";
        assert_eq!((count(&store, failed).await, count(&store, OPEN_PAGES).await), (1, 2));
        let node = &nodes[0];
        let drop_at = async |now| records::drop_overdue(&store, &node.custody, now).await.unwrap();
        drop_at(now_ms() + 29 * DAY).await;
        assert_eq!((count(&store, failed).await, count(&store, OPEN_PAGES).await), (1, 2));
        drop_at(now_ms() + 30 * DAY).await;
        assert_eq!((count(&store, failed).await, count(&store, OPEN_PAGES).await), (0, 0));
    }
}
