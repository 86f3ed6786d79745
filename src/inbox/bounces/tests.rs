use super::*;
use crate::{
    inbox::{
        Inner, delivery,
        tests::{OPEN_PAGES, change, count, nodes, received, settle},
    },
    people::{NewUser, Plan, Role},
    relay::{Recorded, bounce},
    store::testing::on_each_database,
};

const REPORT: &[u8] = b"From: MAILER-DAEMON@mx.example\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\
    Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n\
    --b--\r\n";

fn send_on(node: &Inner) -> SendOn {
    SendOn {
        store: node.store.clone(),
        custody: node.custody.clone(),
        from: node.from.clone(),
        hostname: node.hostname.clone(),
        kept_ms: node.retention.undelivered_ms(),
    }
}

/// The mail of a fax to `recipient` comes back; whether anything was done.
async fn comes_back(node: &Inner, recipient: &str) -> bool {
    let mail: String = sqlx::query_scalar(
        "SELECT mail_id FROM outbox WHERE recipient = $1 AND purpose LIKE 'fax:%'",
    )
    .bind(recipient)
    .fetch_one(node.store.reader())
    .await
    .unwrap();
    let mut tx = node.store.begin().await.unwrap();
    let read = bounce::read(REPORT);
    let found = relay::record_bounce(&mut tx, &mail, &read, now_ms())
        .await
        .unwrap();
    let Recorded::Now(returned) = found else {
        return false;
    };
    send_on(node).bounced(&mut tx, &returned).await.unwrap();
    tx.commit().await.unwrap();
    true
}

/// Everything that is owed is written and sent.
async fn all_sent(nodes: &[std::sync::Arc<Inner>; 2]) {
    delivery::write_all(&nodes[0]).await.unwrap();
    change(&nodes[0].store, "UPDATE outbox SET state = 'sent'").await;
    settle(nodes).await;
}

/// The group's owner and the tenant's administrator.
async fn responsible(store: &Store) {
    let (tenant_id, group_id): (String, String) =
        sqlx::query_as("SELECT tenant_id, group_id FROM user_group")
            .fetch_one(store.reader())
            .await
            .unwrap();
    let mut tx = store.begin().await.unwrap();
    for (name, role) in [("boss", Role::Tenant), ("owner", Role::User)] {
        let user = NewUser {
            tenant_id: tenant_id.clone(),
            group_id: None,
            name: name.into(),
            address: format!("{name}@example.com"),
            role,
            plan: Plan::SendReceive,
            language: None,
            caller_number: None,
        };
        let user_id = people::add_user(&mut tx, &user).await.unwrap();
        if name == "owner" {
            sqlx::query("UPDATE user_group SET owner_id = $1 WHERE group_id = $2")
                .bind(user_id)
                .bind(&group_id)
                .execute(tx.conn())
                .await
                .unwrap();
        }
    }
    tx.commit().await.unwrap();
}

async fn fax_mails(store: &Store) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT recipient FROM outbox WHERE purpose LIKE 'fax:%' ORDER BY created_at, mail_id",
    )
    .fetch_all(store.reader())
    .await
    .unwrap()
}

async fn notices(store: &Store) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT recipient FROM outbox WHERE purpose LIKE 'returned:%' ORDER BY recipient",
    )
    .fetch_all(store.reader())
    .await
    .unwrap()
}

async fn state(store: &Store) -> String {
    sqlx::query_scalar("SELECT state FROM received_fax")
        .fetch_one(store.reader())
        .await
        .unwrap()
}

on_each_database! {
    async fn promise_1_a_fax_that_comes_back_goes_to_who_answers_for_its_number(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["alice@example.com"]).await;
        responsible(&store).await;
        all_sent(&nodes).await;
        assert_eq!((state(&store).await.as_str(), count(&store, OPEN_PAGES).await), ("delivered", 0));

        assert!(comes_back(&nodes[0], "alice@example.com").await);
        assert!(!comes_back(&nodes[0], "alice@example.com").await, "twice acts once");
        assert_eq!(fax_mails(&store).await, ["alice@example.com", "owner@example.com"]);
        assert_eq!(notices(&store).await, ["owner@example.com"]);
        assert_eq!((state(&store).await.as_str(), count(&store, OPEN_PAGES).await), ("received", 2));
        // It is written with its pages.
        all_sent(&nodes).await;
        assert_eq!(count(&store, "SELECT announced FROM received_fax").await, 0);
        assert_eq!((state(&store).await.as_str(), count(&store, OPEN_PAGES).await), ("delivered", 0));

        assert!(comes_back(&nodes[0], "owner@example.com").await);
        assert_eq!(fax_mails(&store).await.last().unwrap(), "boss@example.com");
        all_sent(&nodes).await;
        // Nobody is left: it is kept, and ends in its time.
        assert!(comes_back(&nodes[0], "boss@example.com").await);
        assert_eq!(fax_mails(&store).await.len(), 3);
        assert_eq!((state(&store).await.as_str(), count(&store, OPEN_PAGES).await), ("failed", 2));
        let paths = "SELECT COUNT(*) FROM outbox WHERE return_path = '' AND purpose NOT LIKE 'returned:%'";
        assert_eq!(count(&store, paths).await, 0);
        let told = "SELECT COUNT(*) FROM outbox WHERE return_path <> '' AND purpose LIKE 'returned:%'";
        assert_eq!(count(&store, told).await, 0, "a notice can't come back");
    }

    async fn promise_1_a_recipient_who_had_no_mail_of_it_is_next(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["alice@example.com"]).await;
        responsible(&store).await;
        all_sent(&nodes).await;
        change(
            &store,
            "INSERT INTO number_recipient (number_id, tenant_id, address)
             SELECT number_id, tenant_id, 'carol@example.com' FROM number",
        )
        .await;
        assert!(comes_back(&nodes[0], "alice@example.com").await);
        assert_eq!(fax_mails(&store).await, ["alice@example.com", "carol@example.com"]);
    }

    async fn promise_5_a_fax_that_others_have_goes_to_nobody_else(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["alice@example.com", "bob@example.com"]).await;
        responsible(&store).await;
        all_sent(&nodes).await;
        assert!(comes_back(&nodes[0], "alice@example.com").await);
        assert_eq!(fax_mails(&store).await.len(), 2);
        assert_eq!(state(&store).await, "delivered");
        assert_eq!(notices(&store).await, ["owner@example.com"]);
        // The other one too: now nobody has it.
        assert!(comes_back(&nodes[0], "bob@example.com").await);
        assert_eq!(fax_mails(&store).await.last().unwrap(), "owner@example.com");
    }

    async fn promise_5_pages_that_a_password_closed_are_only_announced_to_others(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["alice@example.com"]).await;
        responsible(&store).await;
        all_sent(&nodes).await;
        change(&store, "UPDATE number_recipient SET form = 'notice'").await;
        assert!(comes_back(&nodes[0], "alice@example.com").await);
        all_sent(&nodes).await;
        assert_eq!(count(&store, "SELECT announced FROM received_fax").await, 1);
        assert_eq!((state(&store).await.as_str(), count(&store, OPEN_PAGES).await), ("kept", 2));
    }

    async fn promise_5_pages_of_who_is_no_recipient_any_more_are_only_announced(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["alice@example.com"]).await;
        responsible(&store).await;
        all_sent(&nodes).await;
        change(&store, "DELETE FROM number_recipient").await;
        assert!(comes_back(&nodes[0], "alice@example.com").await);
        all_sent(&nodes).await;
        assert_eq!(count(&store, "SELECT announced FROM received_fax").await, 1);
    }

    async fn a_bounce_after_the_pages_time_is_told_and_no_more(store) {
        let (_dir, nodes) = nodes(&store).await;
        received(&nodes[0], &["alice@example.com"]).await;
        responsible(&store).await;
        all_sent(&nodes).await;
        change(&store, "DELETE FROM custody WHERE what = 'page'").await;
        assert!(comes_back(&nodes[0], "alice@example.com").await);
        assert_eq!(fax_mails(&store).await.len(), 1);
        assert_eq!(state(&store).await, "delivered");
        assert_eq!(notices(&store).await, ["owner@example.com"]);
    }
}
