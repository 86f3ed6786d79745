//! Who is in the directory: a tenant, Alice, her number, the far end as trunk.

use std::{net::SocketAddr, path::Path};

use faxpost::{
    numbers::{self, NewNumber, Trunk},
    people::{self, Language, NewTenant, NewUser, Plan, Role},
    store::{Store, new_id},
};
use sqlx::{Connection as _, Executor as _};

use super::{ALICE, OUR_NUMBER};

/// A database of its own: a SQLite file, or a fresh schema on the server that is named.
pub async fn database_url(dir: &Path) -> String {
    let Ok(server) = std::env::var("FAXPOST_TEST_POSTGRES") else {
        return format!("sqlite://{}", dir.join("data/faxpost.db").display());
    };
    let schema = format!("t_{}", new_id().to_lowercase());
    let mut conn = sqlx::PgConnection::connect(&server).await.unwrap();
    conn.execute(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
        .await
        .unwrap();
    let mark = if server.contains('?') { '&' } else { '?' };
    format!("{server}{mark}options[search_path]={schema}")
}

/// Fills the directory and gives the tenant's id.
pub async fn fill(store: &Store, far: SocketAddr, language: Language, channels: u32) -> String {
    let mut tx = store.begin().await.unwrap();
    let tenant_id = people::create_tenant(
        &mut tx,
        &NewTenant {
            name: "Example".into(),
            language,
            time_zone: "Europe/Paris".into(),
        },
    )
    .await
    .unwrap();
    people::add_domain(&mut tx, &tenant_id, "fax.localhost")
        .await
        .unwrap();
    people::add_user(
        &mut tx,
        &NewUser {
            tenant_id: tenant_id.clone(),
            address: ALICE.into(),
            name: "Alice Martin".into(),
            group_id: None,
            role: Role::User,
            plan: Plan::SendReceive,
            language: None,
            caller_number: Some(OUR_NUMBER.into()),
        },
    )
    .await
    .unwrap();
    let group_id = people::default_group(&mut tx, &tenant_id).await.unwrap();
    let number_id = numbers::add_number(
        &mut tx,
        &NewNumber {
            tenant_id: tenant_id.clone(),
            group_id,
            e164: OUR_NUMBER.into(),
            title: "Front desk".into(),
        },
    )
    .await
    .unwrap();
    numbers::add_recipient(&mut tx, &tenant_id, &number_id, ALICE)
        .await
        .unwrap();
    let far_end = Trunk {
        channels,
        ..Trunk::new(&tenant_id, "far end", &far.ip().to_string(), far.port())
    };
    numbers::add_trunk(&mut tx, &far_end).await.unwrap();
    tx.commit().await.unwrap();
    tenant_id
}
