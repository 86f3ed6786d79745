use super::*;
use crate::{
    people::{self, Language, NewTenant},
    store::{Store, StoreError, testing::on_each_database},
    vault::Vault,
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

    async fn a_recipient_has_a_form_and_a_sealed_password(store) {
        let a = house(&store, "a").await;
        let keys = tempfile::tempdir().unwrap();
        let vault = Vault::open(keys.path()).unwrap();
        let mut tx = store.begin().await.unwrap();
        let id = add_number(&mut tx, &new_number(&a, "+33123456701")).await.unwrap();
        for address in ["ann@a.example", "bob@a.example"] {
            add_recipient(&mut tx, &a.0, &id, address).await.unwrap();
        }
        tx.commit().await.unwrap();
        let all = recipients(&store, &a.0, &id).await.unwrap();
        assert_eq!((all[0].form, all[0].large, &all[0].password), (Form::Pdf, Large::Split, &None));

        let mut ann = recipient(&store, &a.0, &id, "Ann@a.example").await.unwrap().unwrap();
        (ann.form, ann.large) = (Form::Jpeg, Large::Notice);
        ann.seal_password(&vault, b"open sesame").unwrap();
        assert!(!format!("{ann:?}").contains("sesame") && !format!("{ann:?}").contains("ann@"));
        let bytes = ann.password.clone().unwrap().into_bytes();
        assert!(!bytes.windows(6).any(|part| part == b"sesame"));
        let mut tx = store.begin().await.unwrap();
        change_recipient(&mut tx, &ann).await.unwrap();
        tx.commit().await.unwrap();
        let kept = recipient(&store, &a.0, &id, "ann@a.example").await.unwrap().unwrap();
        assert_eq!(kept, ann);
        assert_eq!(kept.open_password(&vault).unwrap().unwrap().as_slice(), b"open sesame");
        let stolen = Recipient { address: "bob@a.example".into(), ..kept.clone() };
        assert!(stolen.open_password(&vault).is_err(), "another's row does not open it");

        let mut tx = store.begin().await.unwrap();
        remove_recipient(&mut tx, &kept).await.unwrap();
        let gone = change_recipient(&mut tx, &kept).await;
        assert!(matches!(gone, Err(StoreError::Missing("recipient"))));
        tx.commit().await.unwrap();
        assert_eq!(recipients_of(&store, &a.0, &id).await.unwrap(), ["bob@a.example"]);
    }

    async fn a_trunk_is_kept_changed_and_removed_whole(store) {
        let (tenant_id, _) = house(&store, "a").await;
        let keys = tempfile::tempdir().unwrap();
        let vault = Vault::open(keys.path()).unwrap();
        let second = Trunk { priority: 10, ..Trunk::new(&tenant_id, "second", "192.0.2.1", 5060) };
        let mut first = Trunk {
            transport: Transport::Tls,
            sip_user: Some("us".to_owned()),
            register_s: Some(600),
            sources: vec!["198.51.100.0/24".to_owned(), "192.0.2.9".to_owned()],
            calls_per_minute: Some(30),
            caller_number: Some("+33123456701".to_owned()),
            number_format: NumberFormat::Plain,
            dial_prefix: "00".to_owned(),
            t38: T38Policy::Never,
            routes: vec![route("+33", 12), route("+331", 9)],
            ..Trunk::new(&tenant_id, "first", "sip.example", 5061)
        };
        first.seal_password(&vault, b"hush").unwrap();
        let mut tx = store.begin().await.unwrap();
        add_trunk(&mut tx, &second).await.unwrap();
        add_trunk(&mut tx, &first).await.unwrap();
        let twin = Trunk::new(&tenant_id, "third", "192.0.2.3", 5060);
        tx.commit().await.unwrap();
        assert_eq!(trunks(&store).await.unwrap(), [first.clone(), second.clone()]);

        let mut tx = store.begin().await.unwrap();
        first.active = false;
        first.routes = vec![route("+", 1)];
        change_trunk(&mut tx, &first).await.unwrap();
        let none = change_trunk(&mut tx, &twin).await;
        assert!(matches!(none, Err(StoreError::Missing("trunk"))));
        tx.commit().await.unwrap();
        let kept = trunk_by_name(&store, "first").await.unwrap().unwrap();
        assert_eq!(kept, first);
        assert_eq!(kept.open_password(&vault).unwrap().unwrap().as_slice(), b"hush");

        let state = TrunkState { reach: Reach::Up, since: 5, answered_at: Some(6), ..TrunkState::default() };
        let mut tx = store.begin().await.unwrap();
        tell_state(&mut tx, &tenant_id, &first.trunk_id, "n1", &TrunkState::default(), 5).await.unwrap();
        tell_state(&mut tx, &tenant_id, &first.trunk_id, "n1", &state, 7).await.unwrap();
        tx.commit().await.unwrap();
        let told = told_states(&store).await.unwrap();
        assert_eq!((told.len(), &told[0].state, told[0].told_at), (1, &state, 7));

        let mut tx = store.begin().await.unwrap();
        remove_trunk(&mut tx, &first).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(trunks(&store).await.unwrap(), [second]);
        assert!(told_states(&store).await.unwrap().is_empty());
    }
}

fn route(prefix: &str, cost: i64) -> Route {
    Route {
        prefix: prefix.to_owned(),
        cost,
    }
}

#[test]
fn a_trunks_password_is_sealed_for_it_and_never_shown() {
    let keys = tempfile::tempdir().unwrap();
    let vault = Vault::open(keys.path()).unwrap();
    let tenant = crate::store::new_id();
    let mut trunk = Trunk::new(&tenant, "a", "192.0.2.1", 5060);
    trunk.seal_password(&vault, b"open sesame").unwrap();
    assert!(!format!("{trunk:?}").contains("sesame"));
    let bytes = trunk.password.clone().unwrap().into_bytes();
    assert!(!bytes.windows(6).any(|part| part == b"sesame"));
    let mut other = Trunk::new(&tenant, "b", "192.0.2.1", 5060);
    other.password = trunk.password.clone();
    assert!(
        other.open_password(&vault).is_err(),
        "another trunk's row does not open it"
    );
    // The key lies with the keys and outlives every day.
    assert_eq!(vault.days().unwrap(), [crate::vault::STANDING]);
}

#[test]
fn the_longest_prefix_goes_first_then_cost_then_priority() {
    let trunk = |name: &str, priority, routes: &[(&str, i64)]| Trunk {
        priority,
        routes: routes
            .iter()
            .map(|&(prefix, cost)| route(prefix, cost))
            .collect(),
        ..Trunk::new("t", name, "192.0.2.1", 5060)
    };
    let off = Trunk {
        active: false,
        ..trunk("off", 0, &[])
    };
    let all = [
        trunk("world", 0, &[]),
        trunk("cheap", 9, &[("+33", 5), ("+1", 50)]),
        trunk("dear", 0, &[("+33", 7)]),
        trunk("paris", 9, &[("+331", 90), ("+33", 1)]),
        trunk("backup", 5, &[("+", 0)]),
        off,
    ];
    let order = |number| {
        let fit = trunks_for(&all, number);
        fit.into_iter().map(|trunk| trunk.name).collect::<Vec<_>>()
    };
    assert_eq!(
        order("+33123456789"),
        ["paris", "cheap", "dear", "backup", "world"]
    );
    assert_eq!(
        order("+33423456789"),
        ["paris", "cheap", "dear", "backup", "world"]
    );
    assert_eq!(order("+12125550100"), ["cheap", "backup", "world"]);
    assert_eq!(order("+49301234567"), ["backup", "world"]);
    assert!(trunks_for(&all[1..4], "+4930123").is_empty());
}
