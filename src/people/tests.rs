use faxpost_t4::Resolution;

use super::*;
use crate::store::{Store, StoreError, testing::on_each_database};

struct House {
    tenant_id: String,
    user_id: String,
}

async fn house(store: &Store, name: &str) -> House {
    let mut tx = store.begin().await.unwrap();
    let tenant = NewTenant {
        name: name.to_owned(),
        language: Language::Fr,
        time_zone: "Europe/Paris".to_owned(),
    };
    let tenant_id = create_tenant(&mut tx, &tenant).await.unwrap();
    add_domain(&mut tx, &tenant_id, &format!("Fax.{name}.Example"))
        .await
        .unwrap();
    let user_id = add_user(
        &mut tx,
        &new_user(&tenant_id, &format!("Ann@{name}.example")),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    House { tenant_id, user_id }
}

fn new_user(tenant_id: &str, address: &str) -> NewUser {
    NewUser {
        tenant_id: tenant_id.to_owned(),
        group_id: None,
        name: "Ann".to_owned(),
        address: address.to_owned(),
        role: Role::User,
        plan: Plan::SendReceive,
        language: None,
        caller_number: None,
    }
}

async fn run(store: &Store, sql: &'static str, values: &[&str]) {
    let mut tx = store.begin().await.unwrap();
    let query = values.iter().fold(sqlx::query(sql), |query, value| {
        query.bind(value.to_string())
    });
    query.execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn a_tenant_has_its_default_group_its_domain_and_its_people(store) {
        let house = house(&store, "a").await;
        let tenant = tenant_by_domain(&store, "FAX.a.example").await.unwrap().unwrap();
        assert_eq!(tenant.tenant_id, house.tenant_id);
        assert_eq!(super::tenant(&store, &house.tenant_id).await.unwrap(), Some(tenant));
        assert_eq!(tenant_by_domain(&store, "b.example").await.unwrap(), None);
        let ann = user_by_address(&store, " ANN@a.example ").await.unwrap().unwrap();
        assert_eq!((ann.user_id.as_str(), ann.address.as_str()), (house.user_id.as_str(), "ann@a.example"));
        assert_eq!(user(&store, &house.tenant_id, &house.user_id).await.unwrap(), Some(ann.clone()));
        let group = group(&store, &house.tenant_id, &ann.group_id).await.unwrap().unwrap();
        assert!(group.is_default);
        let mut tx = store.begin().await.unwrap();
        add_address(&mut tx, &house.tenant_id, &house.user_id, "Ann.Other@a.example").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(user_by_address(&store, "ann.other@A.example").await.unwrap(), Some(ann));
    }

    async fn no_address_has_two_users_and_no_tenant_reaches_into_another(store) {
        let (a, b) = (house(&store, "a").await, house(&store, "b").await);
        let mut tx = store.begin().await.unwrap();
        let taken = add_user(&mut tx, &new_user(&b.tenant_id, "ANN@a.example")).await;
        assert!(taken.unwrap_err().is_unique_violation());
        drop(tx);
        assert_eq!(user(&store, &b.tenant_id, &a.user_id).await.unwrap(), None);
        let mut tx = store.begin().await.unwrap();
        let foreign = add_address(&mut tx, &b.tenant_id, &a.user_id, "x@b.example").await;
        assert!(matches!(foreign, Err(StoreError::Missing("user"))));
        let foreign = set_mail_password(&mut tx, &b.tenant_id, &a.user_id, Some("x")).await;
        assert!(matches!(foreign, Err(StoreError::Missing("user"))));
        let ann = user(&store, &a.tenant_id, &a.user_id).await.unwrap().unwrap();
        let into = NewUser { group_id: Some(ann.group_id), ..new_user(&b.tenant_id, "y@b.example") };
        assert!(matches!(add_user(&mut tx, &into).await, Err(StoreError::Missing("group"))));
    }

    async fn a_tenant_has_one_default_group(store) {
        let house = house(&store, "a").await;
        let mut tx = store.begin().await.unwrap();
        let second = sqlx::query(
            "INSERT INTO user_group (group_id, tenant_id, name, is_default) VALUES ($1, $2, $3, 1)")
            .bind(crate::store::new_id()).bind(&house.tenant_id).bind("Second")
            .execute(tx.conn()).await;
        assert!(StoreError::from(second.unwrap_err()).is_unique_violation());
    }

    async fn the_mail_password_proves_its_user_alone(store) {
        let house = house(&store, "a").await;
        let check = async |login: &str, password: &str| {
            check_mail_password(&store, login, password).await.unwrap().map(|user| user.user_id)
        };
        assert_eq!(check("ann@a.example", "").await, None, "no password is set");
        let mut tx = store.begin().await.unwrap();
        set_mail_password(&mut tx, &house.tenant_id, &house.user_id, Some("correct horse")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(check("Ann@A.example", "correct horse").await, Some(house.user_id.clone()));
        assert_eq!(check("ann@a.example", "Correct horse").await, None);
        assert_eq!(check("nobody@a.example", "nobody").await, None, "the stand-in's password opens nothing");
        let phc: String = sqlx::query_scalar("SELECT mail_password FROM fax_user WHERE user_id = $1")
            .bind(&house.user_id).fetch_one(store.reader()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let mut tx = store.begin().await.unwrap();
        set_mail_password(&mut tx, &house.tenant_id, &house.user_id, None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(check("ann@a.example", "correct horse").await, None);
    }

    async fn settings_inherit_from_tenant_to_profile_to_user(store) {
        let house = house(&store, "a").await;
        let settings = async || settings_for(&store, &house.tenant_id, &house.user_id).await.unwrap();
        let at_first = Settings {
            resolution: Resolution::Fine,
            paper: Paper::A4,
            cover: true,
            language: Language::Fr,
            time_zone: "Europe/Paris".to_owned(),
            caller_number: None,
        };
        assert_eq!(settings().await, at_first);
        run(&store, "UPDATE profile SET resolution = 'standard', cover = 0 WHERE tenant_id = $1",
            &[&house.tenant_id]).await;
        let basic = Settings { resolution: Resolution::Standard, cover: false, ..at_first };
        assert_eq!(settings().await, basic);
        run(&store, "INSERT INTO profile (profile_id, tenant_id, name, paper, cover)
                     VALUES ($1, $2, 'Default', 'legal', 1)",
            &[&crate::store::new_id(), &house.tenant_id]).await;
        let own = Settings { paper: Paper::Legal, cover: true, ..basic };
        assert_eq!(settings().await, own);
        let ann = user(&store, &house.tenant_id, &house.user_id).await.unwrap().unwrap();
        let mut tx = store.begin().await.unwrap();
        for e164 in ["+33123456701", "+33123456702"] {
            let number = crate::numbers::NewNumber {
                tenant_id: house.tenant_id.clone(),
                group_id: ann.group_id.clone(),
                e164: e164.to_owned(),
                title: String::new(),
            };
            crate::numbers::add_number(&mut tx, &number).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(settings().await.caller_number.as_deref(), Some("+33123456701"));
        run(&store, "UPDATE fax_user SET language = 'en', caller_number = '+3399' WHERE user_id = $1",
            &[&house.user_id]).await;
        let settings = settings().await;
        assert_eq!((settings.language, settings.caller_number.as_deref()), (Language::En, Some("+3399")));
    }

    async fn a_value_of_a_later_version_is_named(store) {
        let house = house(&store, "a").await;
        run(&store, "UPDATE fax_user SET role = 'emperor' WHERE user_id = $1", &[&house.user_id]).await;
        let error = user(&store, &house.tenant_id, &house.user_id).await.unwrap_err();
        assert!(error.to_string().contains("role = \"emperor\""), "{error}");
    }
}
