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
pub(super) async fn nodes(store: &Store) -> (tempfile::TempDir, [Arc<Inner>; 2]) {
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
pub(super) async fn received(node: &Inner, recipients: &[&str]) -> String {
    received_long(node, recipients, 100, Resolution::Fine).await
}

/// The same, of pages with so many rows.
async fn received_long(
    node: &Inner,
    recipients: &[&str],
    rows: usize,
    resolution: Resolution,
) -> String {
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
            page: FaxPage::encode(&Bitmap::new(1728, rows), resolution, Coding::Mmr),
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

pub(super) async fn count(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(store.reader())
        .await
        .unwrap()
}

pub(super) async fn change(store: &Store, sql: &'static str) {
    let mut tx = store.begin().await.unwrap();
    sqlx::query(sql).execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
}

pub(super) const OPEN_PAGES: &str =
    "SELECT COUNT(*) FROM custody WHERE what = 'page' AND done_at IS NULL";

/// Both nodes settle at once; how many faxes each settled, in all.
pub(super) async fn settle(nodes: &[Arc<Inner>; 2]) -> usize {
    let one = async |node: &Inner| {
        settlement::settle_deliveries(&node.store, &node.custody, node.retention)
            .await
            .unwrap()
    };
    let (a, b) = tokio::join!(one(&nodes[0]), one(&nodes[1]));
    a + b
}

/// The words of the mails that are ready, by recipient.
async fn ready_mails(node: &Inner) -> Vec<(String, String)> {
    use sqlx::Row as _;
    let rows = sqlx::query(
        "SELECT tenant_id, recipient, custody_id FROM outbox WHERE state = 'ready' ORDER BY recipient",
    )
    .fetch_all(node.store.reader())
    .await
    .unwrap();
    let mut mails = Vec::new();
    for row in &rows {
        let (tenant_id, custody_id): (String, String) =
            (row.get("tenant_id"), row.get("custody_id"));
        let bytes = node
            .custody
            .open(&node.store, &tenant_id, &custody_id)
            .await
            .unwrap();
        let parsed = mail_parser::MessageParser::default()
            .parse(bytes.as_slice())
            .unwrap();
        let text = parsed
            .body_text(0)
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        mails.push((row.get("recipient"), text));
    }
    mails
}

const FAILED_MAILS: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'failed'";

async fn in_state(store: &Store, state: &str) -> bool {
    let one: String = sqlx::query_scalar("SELECT state FROM received_fax")
        .fetch_one(store.reader())
        .await
        .unwrap();
    one == state
}

on_each_database! {
    async fn a_fax_that_was_sent_anew_is_no_failed_one_any_more(store) {
        let (_dir, nodes) = nodes(&store).await;
        let id = received(&nodes[0], &["a@example.com", "b@example.com"]).await;
        delivery::write_all(&nodes[0]).await.unwrap();
        change(&store, "UPDATE outbox SET state = 'failed', created_at = created_at - 5").await;
        assert_eq!(settle(&nodes).await, 1);
        assert!(in_state(&store, "failed").await);
        let again = async |address: &str| {
            let owed = deliver_again(&store, &id, address, None, "gateway.example").await.unwrap();
            assert_eq!(owed, Redelivery::Owed(numbers::Form::Pdf));
            delivery::write_all(&nodes[0]).await.unwrap();
        };
        // One of them has it: the other's still counts, and the pages stay for it.
        again("a@example.com").await;
        assert_eq!(settle(&nodes).await, 0, "it is under way");
        change(&store, "UPDATE outbox SET state = 'sent', created_at = created_at - 3 WHERE state = 'ready'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert!(in_state(&store, "failed").await);
        assert_eq!((count(&store, FAILED_MAILS).await, count(&store, OPEN_PAGES).await), (1, 2));
        // The other's comes in parts: one of them is not all.
        again("b@example.com").await;
        change(&store, "UPDATE outbox SET state = 'sent' WHERE state = 'ready'").await;
        change(&store, "INSERT INTO outbox (mail_id, tenant_id, purpose, about, message_id, return_path, recipient,
                            state, tries, run_at, deadline, created_at)
                        SELECT 'part', tenant_id, 'part', about, 'part', '', recipient, 'failed', 0, 0, 0, created_at
                        FROM outbox WHERE recipient = 'b@example.com' AND state = 'sent'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert!(in_state(&store, "failed").await);
        change(&store, "UPDATE received_fax SET state = 'received'").await;
        change(&store, "UPDATE outbox SET state = 'sent' WHERE mail_id = 'part'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert!(in_state(&store, "delivered").await);
        assert_eq!((count(&store, FAILED_MAILS).await, count(&store, OPEN_PAGES).await), (0, 0));
        let status = relay::status(&store).await.unwrap();
        assert_eq!((status.ready, status.failed, status.dropped), (0, 0, 0));
        let mails = "SELECT COUNT(*) FROM custody WHERE what = 'mail' AND done_at IS NULL";
        // The relay's own transaction ends what it took; here that was a change of the state alone.
        assert_eq!(count(&store, mails).await, 2, "what failed is over too");
    }

    async fn promise_2_a_fax_that_can_not_be_written_is_told_at_once(store) {
        let (_dir, nodes) = nodes(&store).await;
        let id = received(&nodes[0], &["a@example.com", "b@example.com"]).await;
        // The password of one is another's: it does not open. Then the pages of all are gone.
        let mut sealed = numbers::Recipient {
            tenant_id: crate::store::new_id(),
            number_id: crate::store::new_id(),
            address: "other@example.com".into(),
            form: numbers::Form::Pdf,
            large: numbers::Large::Split,
            password: None,
        };
        sealed.seal_password(&nodes[0].custody.vault(), b"open sesame").unwrap();
        let mut tx = store.begin().await.unwrap();
        sqlx::query("UPDATE number_recipient SET password_sealed = $1 WHERE address = 'a@example.com'")
            .bind(sealed.password.map(crate::vault::Sealed::into_bytes))
            .execute(tx.conn())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(delivery::write_all(&nodes[0]).await.unwrap(), 2);
        let mails = ready_mails(&nodes[0]).await;
        let [(a, told), (b, whole)] = mails.as_slice() else { panic!("{mails:?}") };
        assert_eq!((a.as_str(), b.as_str()), ("a@example.com", "b@example.com"));
        assert!(told.contains("password that closes them for you can't be read"), "{told}");
        assert!(told.contains("set a new password") && told.contains(&id), "{told}");
        assert!(whole.contains("attached as a PDF"), "{whole}");
        change(&store, "UPDATE outbox SET state = 'sent', created_at = created_at - 5").await;
        assert_eq!(settle(&nodes).await, 1);
        assert!(in_state(&store, "unreadable").await, "the status page tells");
        assert_eq!(count(&store, OPEN_PAGES).await, 2);
        // With a new password it can be had, and all is well.
        change(&store, "UPDATE number_recipient SET password_sealed = NULL").await;
        let owed = deliver_again(&store, &id, "a@example.com", None, "gateway.example").await.unwrap();
        assert_eq!(owed, Redelivery::Owed(numbers::Form::Pdf));
        assert_eq!(delivery::write_all(&nodes[0]).await.unwrap(), 1);
        change(&store, "UPDATE outbox SET state = 'sent' WHERE state = 'ready'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert!(in_state(&store, "delivered").await);
        assert_eq!(count(&store, OPEN_PAGES).await, 0);
    }

    async fn promise_2_pages_that_are_lost_are_told_at_once(store) {
        let (dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["a@example.com"]).await;
        // A disk that lost what it had.
        for file in std::fs::read_dir(dir.path().join("custody")).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes.iter_mut().for_each(|octet| *octet ^= 0x55);
                std::fs::write(&path, bytes).unwrap();
            }
        }
        assert_eq!(delivery::write_all(&nodes[0]).await.unwrap(), 1);
        let mails = ready_mails(&nodes[0]).await;
        assert!(mails[0].1.contains("what was stored of them can't be read any more"), "{mails:?}");
        assert!(mails[0].1.contains("ask the sender to send the fax again"), "{mails:?}");
        change(&store, "UPDATE outbox SET state = 'sent'").await;
        assert_eq!(settle(&nodes).await, 1);
        assert!(in_state(&store, "unreadable").await);
        let later = now_ms() + nodes[0].retention.undelivered_ms() + DAY;
        settlement::drop_overdue(&store, &nodes[0].custody, later).await.unwrap();
        assert_eq!(count(&store, OPEN_PAGES).await, 0);
    }

    async fn pictures_wait_for_each_other_and_nothing_else_for_them(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["a@example.com", "b@example.com", "c@example.com"]).await;
        change(&store, "UPDATE number_recipient SET form = 'png' WHERE address = 'a@example.com'").await;
        change(&store, "UPDATE number_recipient SET form = 'jpeg' WHERE address = 'b@example.com'").await;
        let easel = easel::Easel::default();
        assert_eq!(delivery::write_due(&nodes[0], &easel).await.unwrap(), 3);
        let ready = ready_mails(&nodes[0]).await;
        assert_eq!(ready.len(), 1);
        assert_eq!(ready[0].0, "c@example.com");
        assert_eq!(delivery::write_due(&nodes[0], &easel).await.unwrap(), 0, "they rest");
        let mut drawn = Vec::new();
        while let Some(draft) = easel.next(now_ms()) {
            delivery::write_or_put_off(&nodes[0], &draft).await.unwrap();
            drawn.push(draft.recipient.clone());
            easel.done(&draft.mail_id);
        }
        drawn.sort();
        assert_eq!(drawn, ["a@example.com", "b@example.com"]);
        assert_eq!(ready_mails(&nodes[0]).await.len(), 3);
    }

    async fn pictures_of_too_many_pixels_are_parted_or_announced(store) {
        let (_dir, nodes) = nodes(&store).await;
        // Two pages, each as long as 25.
        let all = ["a@example.com", "b@example.com", "c@example.com"];
        received_long(&nodes[0], &all, 29_000, Resolution::Standard).await;
        change(&store, "UPDATE number_recipient SET form = 'png'").await;
        change(&store, "UPDATE number_recipient SET large = 'notice' WHERE address <> 'b@example.com'").await;
        change(&store, "UPDATE number_recipient SET form = 'pdf' WHERE address = 'c@example.com'").await;
        assert_eq!(delivery::write_all(&nodes[0]).await.unwrap(), 3);
        let mails = ready_mails(&nodes[0]).await;
        let to: Vec<_> = mails.iter().map(|(to, _)| to.as_str()).collect();
        assert_eq!(to, ["a@example.com", "b@example.com", "b@example.com", "c@example.com"], "{mails:?}");
        assert!(mails[0].1.contains("too many for one message"), "{mails:?}");
        assert!(mails[1].1.contains("part 1 of 2") || mails[2].1.contains("part 1 of 2"), "{mails:?}");
        assert!(mails[3].1.contains("attached as a PDF"), "{mails:?}");
        assert_eq!(count(&store, "SELECT announced FROM received_fax").await, 1);
    }

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
        settlement::drop_overdue(&store, &nodes[0].custody, later).await.unwrap();
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
        let mails = ready_mails(&nodes[0]).await;
        assert!(mails[0].1.contains("your address was taken off the number"), "{mails:?}");
        assert!(!mails[0].1.contains("sent to you, by the id"), "which would be refused: {mails:?}");
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
        let drop_at = async |now| settlement::drop_overdue(&store, &node.custody, now).await.unwrap();
        drop_at(now_ms() + 29 * DAY).await;
        assert_eq!((count(&store, failed).await, count(&store, OPEN_PAGES).await), (1, 2));
        drop_at(now_ms() + 30 * DAY).await;
        assert_eq!((count(&store, failed).await, count(&store, OPEN_PAGES).await), (0, 0));
    }
}
