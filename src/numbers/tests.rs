use super::*;
use crate::{
    people::{self, Language, NewTenant},
    store::{Store, StoreError, testing::on_each_database},
};

/// A tenant and its default group.
async fn house(store: &Store, name: &str) -> (String, String) {
    let mut tx = store.begin().await.unwrap();
    let tenant = NewTenant {
        name: name.to_owned(),
        language: Language::En,
        time_zone: "UTC".to_owned(),
    };
    let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
    tx.commit().await.unwrap();
    let group_id = sqlx::query_scalar("SELECT group_id FROM user_group WHERE tenant_id = $1")
        .bind(&tenant_id)
        .fetch_one(store.reader())
        .await
        .unwrap();
    (tenant_id, group_id)
}

fn new_number((tenant_id, group_id): &(String, String), e164: &str) -> NewNumber {
    NewNumber {
        tenant_id: tenant_id.clone(),
        group_id: group_id.clone(),
        e164: e164.to_owned(),
        title: "Reception".to_owned(),
    }
}

fn new_trunk(tenant_id: &str, name: &str, priority: i64) -> NewTrunk {
    NewTrunk {
        tenant_id: tenant_id.to_owned(),
        name: name.to_owned(),
        host: "192.0.2.1".to_owned(),
        port: 5060,
        transport: "udp".to_owned(),
        sip_user: None,
        password_custody_id: None,
        channels: 8,
        number_format: "e164".to_owned(),
        t38: T38Policy::Offer,
        priority,
    }
}

on_each_database! {
    async fn a_number_has_one_group_and_any_recipients(store) {
        let (a, b) = (house(&store, "a").await, house(&store, "b").await);
        let mut tx = store.begin().await.unwrap();
        let id = add_number(&mut tx, &new_number(&a, "+33123456701")).await.unwrap();
        for address in ["Zoe@a.example", "ann@a.example", "ANN@a.example"] {
            add_recipient(&mut tx, &a.0, &id, address).await.unwrap();
        }
        let foreign = add_recipient(&mut tx, &b.0, &id, "eve@b.example").await;
        assert!(matches!(foreign, Err(StoreError::Missing("number"))));
        let mixed = NewNumber { group_id: a.1.clone(), ..new_number(&b, "+33123456702") };
        assert!(matches!(add_number(&mut tx, &mixed).await, Err(StoreError::Missing("group"))));
        tx.commit().await.unwrap();
        let number = number_by_e164(&store, "+33123456701").await.unwrap().unwrap();
        assert_eq!((&number.number_id, &number.tenant_id, &number.group_id), (&id, &a.0, &a.1));
        assert_eq!(first_of_group(&store, &a.0, &a.1).await.unwrap(), Some(number));
        assert_eq!(recipients_of(&store, &a.0, &id).await.unwrap(), ["ann@a.example", "zoe@a.example"]);
        assert!(recipients_of(&store, &b.0, &id).await.unwrap().is_empty());
        assert_eq!(number_by_e164(&store, "33123456701").await.unwrap(), None);
        let mut tx = store.begin().await.unwrap();
        let taken = add_number(&mut tx, &new_number(&b, "+33123456701")).await;
        assert!(taken.unwrap_err().is_unique_violation());
    }

    async fn trunks_come_in_the_order_they_are_tried(store) {
        let (tenant_id, _) = house(&store, "a").await;
        let mut tx = store.begin().await.unwrap();
        let second = add_trunk(&mut tx, &new_trunk(&tenant_id, "second", 10)).await.unwrap();
        let first = NewTrunk {
            sip_user: Some("us".to_owned()),
            t38: T38Policy::Never,
            ..new_trunk(&tenant_id, "first", 1)
        };
        add_trunk(&mut tx, &first).await.unwrap();
        tx.commit().await.unwrap();
        let names = |trunks: Vec<Trunk>| trunks.into_iter().map(|t| (t.name, t.active)).collect::<Vec<_>>();
        let all = trunks(&store).await.unwrap();
        assert_eq!((all[0].sip_user.as_deref(), all[0].t38), (Some("us"), T38Policy::Never));
        assert_eq!(names(all), [("first".to_owned(), true), ("second".to_owned(), true)]);
        let mut tx = store.begin().await.unwrap();
        set_trunk_active(&mut tx, &second, false).await.unwrap();
        let none = set_trunk_active(&mut tx, "none", false).await;
        assert!(matches!(none, Err(StoreError::Missing("trunk"))));
        tx.commit().await.unwrap();
        assert!(!trunk(&store, &second).await.unwrap().unwrap().active);
    }
}
