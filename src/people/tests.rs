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
        let (user, verifier) = scram_verifier(&store, "Ann@A.example").await.unwrap();
        assert_eq!(user.map(|user| user.user_id), Some(house.user_id.clone()));
        assert_eq!(verifier, Verifier::of("correct horse", &verifier.salt, verifier.iterations));
        // Nobody can't be told from somebody: a salt of the same kind, the same each time.
        let (nobody, stand_in) = scram_verifier(&store, "nobody@a.example").await.unwrap();
        let (_, again) = scram_verifier(&store, "Nobody@a.example").await.unwrap();
        assert!(nobody.is_none() && stand_in == again);
        assert_eq!((stand_in.salt.len(), stand_in.iterations), (verifier.salt.len(), verifier.iterations));
        let mut tx = store.begin().await.unwrap();
        set_mail_password(&mut tx, &house.tenant_id, &house.user_id, None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(check("ann@a.example", "correct horse").await, None);
        assert!(scram_verifier(&store, "ann@a.example").await.unwrap().0.is_none());
    }

    async fn settings_inherit_from_tenant_to_profile_to_user(store) {
        let house = house(&store, "a").await;
        let settings = async || settings_for(&store, &house.tenant_id, &house.user_id).await.unwrap();
        let at_first = Settings {
            resolution: Resolution::Fine,
            paper: Paper::A4,
            language: Language::Fr,
            time_zone: "Europe/Paris".to_owned(),
            caller_number: None,
        };
        assert_eq!(settings().await, at_first);
        run(&store, "UPDATE profile SET resolution = 'standard' WHERE tenant_id = $1",
            &[&house.tenant_id]).await;
        let basic = Settings { resolution: Resolution::Standard, ..at_first };
        assert_eq!(settings().await, basic);
        run(&store, "INSERT INTO profile (profile_id, tenant_id, name, paper)
                     VALUES ($1, $2, 'Default', 'legal')",
            &[&crate::store::new_id(), &house.tenant_id]).await;
        let own = Settings { paper: Paper::Legal, ..basic };
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

    async fn promise_4_a_secret_is_known_by_its_hash_ends_and_rotates(store) {
        let house = house(&store, "a").await;
        let (tenant, user) = (house.tenant_id.as_str(), house.user_id.as_str());
        let add = async |days| {
            let mut tx = store.begin().await.unwrap();
            let secret = add_secret(&mut tx, tenant, user, days).await.unwrap();
            tx.commit().await.unwrap();
            secret.as_str().to_owned()
        };
        let owner = async |secret: &str| {
            let found = user_by_secret(&store, secret).await.unwrap();
            found.map(|user| user.user_id)
        };
        let first = add(90).await;
        assert_eq!(first.len(), 26);
        assert_eq!(owner(&first).await.as_deref(), Some(user));
        assert_eq!(owner(&first.to_uppercase()).await.as_deref(), Some(user));
        assert_eq!(owner(&first.replace(|_| true, "a")).await, None);
        // Nobody who reads the table has it.
        let hashes: Vec<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM sender_secret")
            .fetch_all(store.reader()).await.unwrap();
        assert_eq!(hashes[0].len(), 32);

        let second = add(90).await;
        assert_ne!(first, second);
        let both = secrets_of(&store, tenant, user).await.unwrap();
        let week = 7 * 86_400_000;
        let now = crate::clock::now_ms();
        assert!(both[0].expires_at <= now + week && both[0].expires_at > now + week - 600_000);
        assert!(both[1].expires_at > now + 89 * 86_400_000);
        assert!(owner(&first).await.is_some() && owner(&second).await.is_some());

        run(&store, "UPDATE sender_secret SET expires_at = 1 WHERE secret_id = $1", &[&both[0].secret_id]).await;
        assert_eq!(owner(&first).await, None);
        assert!(owner(&second).await.is_some());
        let mut tx = store.begin().await.unwrap();
        assert_eq!(remove_secrets(&mut tx, tenant, user).await.unwrap(), 2);
        tx.commit().await.unwrap();
        assert_eq!(owner(&second).await, None);
    }

    async fn promise_4_the_end_of_a_secret_is_told_once_unless_it_has_a_successor(store) {
        let house = house(&store, "a").await;
        let (tenant, user) = (house.tenant_id.as_str(), house.user_id.as_str());
        let add = async |days| {
            let mut tx = store.begin().await.unwrap();
            add_secret(&mut tx, tenant, user, days).await.unwrap();
            tx.commit().await.unwrap();
        };
        add(15).await;
        assert_eq!(secrets_ending(&store).await.unwrap(), []);
        add(13).await;
        // The first ends within the week too, but has a successor.
        let ending = secrets_ending(&store).await.unwrap();
        assert_eq!(ending.len(), 1);
        let mut tx = store.begin().await.unwrap();
        secret_warned(&mut tx, &ending[0]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(secrets_ending(&store).await.unwrap(), []);
    }

    async fn a_guest_is_made_once_in_the_group_that_the_rule_names(store) {
        let house = house(&store, "a").await;
        let group = NewGroup { tenant_id: house.tenant_id.clone(), name: "Partners".into() };
        let mut tx = store.begin().await.unwrap();
        let group_id = add_group(&mut tx, &group).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(guest(&store, "a", "Nobody", "eve@p.example").await.unwrap(), None);
        assert_eq!(guest(&store, "b", "Partners", "eve@p.example").await.unwrap(), None);
        let made = guest(&store, "a", "Partners", "Eve@p.example").await.unwrap().unwrap();
        assert_eq!((made.role, made.plan), (Role::Guest, Plan::SendOnly));
        assert_eq!((&made.group_id, made.address.as_str()), (&group_id, "eve@p.example"));
        let again = guest(&store, "a", "Partners", "eve@p.example").await.unwrap();
        assert_eq!(again.as_ref(), Some(&made));
        // Who is a user here stays one.
        let ann = guest(&store, "a", "Partners", "ann@a.example").await.unwrap().unwrap();
        assert_eq!((ann.user_id, ann.role), (house.user_id, Role::User));
        assert_eq!(check_mail_password(&store, "eve@p.example", "").await.unwrap(), None);
    }
}
