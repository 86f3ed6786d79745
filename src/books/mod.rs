//! Phone books: contacts and contact groups, whose names stand for numbers before the `@`.
//!
//! An entry is one user's own, or the tenant's, for all its users. A user's own come first. Reads take a [`Store`],
//! writes a [`Tx`].

use sqlx::{Row as _, any::AnyRow};

use crate::{
    clock::now_ms,
    store::{Store, StoreError, Tx, new_id},
};

/// Names that stand for something else before the `@`, now or some day.
const RESERVED: [&str; 12] = [
    "postmaster",
    "abuse",
    "list",
    "fax",
    "help",
    "command",
    "commands",
    "admin",
    "webmaster",
    "hostmaster",
    "root",
    "mailer-daemon",
];

/// What an entry may be called, in words.
pub const NAMES: &str = "up to 64 letters, digits, dots, hyphens and underscores, with a letter at least; not a word \
                         that has a meaning of its own, as list or postmaster";

/// The name as the tables have it, if an entry may be called so.
#[must_use]
pub fn entry_name(text: &str) -> Option<String> {
    let name = text.to_lowercase();
    let fit = |c: char| c.is_alphanumeric() || ".-_".contains(c);
    let sound = (1..=64).contains(&name.chars().count())
        && name.chars().all(fit)
        && name.contains(char::is_alphabetic)
        && !RESERVED.contains(&name.as_str());
    sound.then_some(name)
}

/// Whose an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The tenant.
    pub tenant_id: String,
    /// The user whose own it is; `None`: it is the tenant's.
    pub user_id: Option<String>,
}

impl Owner {
    /// As the tables have it: empty for the tenant's.
    fn column(&self) -> &str {
        self.user_id.as_deref().unwrap_or_default()
    }
}

/// A name that stands for a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Id.
    pub contact_id: String,
    /// Small letters; see [`entry_name`].
    pub name: String,
    /// Who it is, for covers; empty when nobody said.
    pub title: String,
    /// E.164 with the plus sign.
    pub number: String,
    /// Who behind it (T.33).
    pub sub_address: Option<String>,
}

/// A name that stands for several contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactGroup {
    /// Id.
    pub group_id: String,
    /// Small letters; see [`entry_name`].
    pub name: String,
    /// Its contacts, by name.
    pub members: Vec<Contact>,
}

const COLUMNS: &str =
    "contact.contact_id, contact.name, contact.title, contact.e164, contact.sub_address";

fn contact_of(row: &AnyRow) -> Result<Contact, StoreError> {
    Ok(Contact {
        contact_id: row.try_get("contact_id")?,
        name: row.try_get("name")?,
        title: row.try_get("title")?,
        number: row.try_get("e164")?,
        sub_address: row.try_get("sub_address")?,
    })
}

/// Adds a contact; its id is made here.
///
/// # Errors
/// A unique violation when the name is taken.
pub async fn add_contact(tx: &mut Tx, owner: &Owner, contact: &Contact) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO contact (contact_id, tenant_id, owner_id, name, title, e164, sub_address, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new_id())
    .bind(&owner.tenant_id)
    .bind(owner.column())
    .bind(&contact.name)
    .bind(&contact.title)
    .bind(&contact.number)
    .bind(&contact.sub_address)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records what a contact has now.
///
/// # Errors
/// [`StoreError::Missing`] when it is gone.
pub async fn change_contact(
    tx: &mut Tx,
    owner: &Owner,
    contact: &Contact,
) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE contact SET title = $1, e164 = $2, sub_address = $3
         WHERE tenant_id = $4 AND owner_id = $5 AND contact_id = $6",
    )
    .bind(&contact.title)
    .bind(&contact.number)
    .bind(&contact.sub_address)
    .bind(&owner.tenant_id)
    .bind(owner.column())
    .bind(&contact.contact_id)
    .execute(tx.conn())
    .await?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::Missing("contact")),
    }
}

/// Removes a contact, also from the groups that it is in.
///
/// # Errors
/// What the database says.
pub async fn remove_contact(
    tx: &mut Tx,
    owner: &Owner,
    contact: &Contact,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM contact_group_member WHERE tenant_id = $1 AND contact_id = $2")
        .bind(&owner.tenant_id)
        .bind(&contact.contact_id)
        .execute(tx.conn())
        .await?;
    sqlx::query("DELETE FROM contact WHERE tenant_id = $1 AND owner_id = $2 AND contact_id = $3")
        .bind(&owner.tenant_id)
        .bind(owner.column())
        .bind(&contact.contact_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The contacts of somebody, by name.
///
/// # Errors
/// What the database says.
pub async fn contacts(store: &Store, owner: &Owner) -> Result<Vec<Contact>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM contact WHERE tenant_id = $1 AND owner_id = $2 ORDER BY name"
    )))
    .bind(&owner.tenant_id)
    .bind(owner.column())
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(contact_of).collect()
}

/// A contact of somebody's own.
///
/// # Errors
/// What the database says.
pub async fn contact(
    store: &Store,
    owner: &Owner,
    name: &str,
) -> Result<Option<Contact>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM contact WHERE tenant_id = $1 AND owner_id = $2 AND name = $3"
    )))
    .bind(&owner.tenant_id)
    .bind(owner.column())
    .bind(name)
    .fetch_optional(store.reader())
    .await?;
    row.as_ref().map(contact_of).transpose()
}

/// Adds a group without contacts.
///
/// # Errors
/// A unique violation when the name is taken.
pub async fn add_group(tx: &mut Tx, owner: &Owner, name: &str) -> Result<String, StoreError> {
    let group_id = new_id();
    sqlx::query(
        "INSERT INTO contact_group (group_id, tenant_id, owner_id, name, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&group_id)
    .bind(&owner.tenant_id)
    .bind(owner.column())
    .bind(name)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(group_id)
}

/// Removes a group; its contacts stay.
///
/// # Errors
/// What the database says.
pub async fn remove_group(tx: &mut Tx, owner: &Owner, group_id: &str) -> Result<(), StoreError> {
    for text in [
        "DELETE FROM contact_group_member WHERE tenant_id = $1 AND group_id = $2",
        "DELETE FROM contact_group WHERE tenant_id = $1 AND group_id = $2",
    ] {
        sqlx::query(text)
            .bind(&owner.tenant_id)
            .bind(group_id)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// Puts a contact into a group; twice is once.
///
/// # Errors
/// What the database says.
pub async fn add_member(
    tx: &mut Tx,
    tenant_id: &str,
    group_id: &str,
    contact_id: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO contact_group_member (group_id, tenant_id, contact_id) VALUES ($1, $2, $3)
         ON CONFLICT (group_id, contact_id) DO NOTHING",
    )
    .bind(group_id)
    .bind(tenant_id)
    .bind(contact_id)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes a contact out of a group; `false`: it was not in it.
///
/// # Errors
/// What the database says.
pub async fn remove_member(
    tx: &mut Tx,
    tenant_id: &str,
    group_id: &str,
    contact_id: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "DELETE FROM contact_group_member WHERE group_id = $1 AND tenant_id = $2 AND contact_id = $3",
    )
    .bind(group_id)
    .bind(tenant_id)
    .bind(contact_id)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The groups of somebody, by name.
///
/// # Errors
/// What the database says.
pub async fn groups(store: &Store, owner: &Owner) -> Result<Vec<ContactGroup>, StoreError> {
    let rows = sqlx::query(
        "SELECT group_id, name FROM contact_group WHERE tenant_id = $1 AND owner_id = $2 ORDER BY name",
    )
    .bind(&owner.tenant_id)
    .bind(owner.column())
    .fetch_all(store.reader())
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let group_id: String = row.try_get("group_id")?;
        all.push(ContactGroup {
            members: members(store, &owner.tenant_id, &group_id).await?,
            name: row.try_get("name")?,
            group_id,
        });
    }
    Ok(all)
}

/// A group of somebody's own.
///
/// # Errors
/// What the database says.
pub async fn group(
    store: &Store,
    owner: &Owner,
    name: &str,
) -> Result<Option<ContactGroup>, StoreError> {
    let group_id: Option<String> = sqlx::query_scalar(
        "SELECT group_id FROM contact_group WHERE tenant_id = $1 AND owner_id = $2 AND name = $3",
    )
    .bind(&owner.tenant_id)
    .bind(owner.column())
    .bind(name)
    .fetch_optional(store.reader())
    .await?;
    let Some(group_id) = group_id else {
        return Ok(None);
    };
    Ok(Some(ContactGroup {
        members: members(store, &owner.tenant_id, &group_id).await?,
        name: name.to_owned(),
        group_id,
    }))
}

async fn members(
    store: &Store,
    tenant_id: &str,
    group_id: &str,
) -> Result<Vec<Contact>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM contact_group_member AS member
         JOIN contact ON contact.contact_id = member.contact_id AND contact.tenant_id = member.tenant_id
         WHERE member.tenant_id = $1 AND member.group_id = $2 ORDER BY contact.name"
    )))
    .bind(tenant_id)
    .bind(group_id)
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(contact_of).collect()
}

/// Whom a name stands for, for a user: their own contact or group, else the tenant's. `None`: nobody is called so;
/// none in it: a group that is empty.
///
/// # Errors
/// What the database says.
pub async fn find(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
    name: &str,
) -> Result<Option<Vec<Contact>>, StoreError> {
    for user_id in [Some(user_id.to_owned()), None] {
        let owner = Owner {
            tenant_id: tenant_id.to_owned(),
            user_id,
        };
        if let Some(contact) = contact(store, &owner, name).await? {
            return Ok(Some(vec![contact]));
        }
        if let Some(group) = group(store, &owner, name).await? {
            return Ok(Some(group.members));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::on_each_database;

    fn owner(user: Option<&str>) -> Owner {
        Owner {
            tenant_id: "t".into(),
            user_id: user.map(str::to_owned),
        }
    }

    fn jo(number: &str) -> Contact {
        Contact {
            contact_id: String::new(),
            name: "jo.doe".into(),
            title: "Jo Doe".into(),
            number: number.into(),
            sub_address: None,
        }
    }

    #[test]
    fn names_are_no_numbers_and_no_words_of_ours() {
        assert_eq!(entry_name("Jo.Doe"), Some("jo.doe".into()));
        assert_eq!(entry_name("Zoë-2"), Some("zoë-2".into()));
        let long = "a".repeat(65);
        for bad in [
            "12",
            "0.1",
            "",
            "list",
            "Postmaster",
            "a b",
            "job+x",
            "a@b",
            "a/b",
            "a=b",
            &long,
        ] {
            assert_eq!(entry_name(bad), None, "{bad}");
        }
    }

    async fn tenants(store: &Store) {
        let mut tx = store.begin().await.unwrap();
        for tenant in ["t", "s"] {
            sqlx::query(
                "INSERT INTO tenant (tenant_id, name, language, time_zone, created_at) VALUES ($1, $1, 'en', 'UTC', 1)",
            )
            .bind(tenant)
            .execute(tx.conn())
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
    }

    on_each_database! {
        async fn a_users_own_come_before_the_tenants(store) {
            tenants(&store).await;
            let mut tx = store.begin().await.unwrap();
            add_contact(&mut tx, &owner(None), &jo("+331")).await.unwrap();
            add_contact(&mut tx, &owner(Some("u")), &jo("+332")).await.unwrap();
            tx.commit().await.unwrap();
            for (tenant, user, number) in [("t", "u", Some("+332")), ("t", "v", Some("+331")), ("s", "u", None)] {
                let found = find(&store, tenant, user, "jo.doe").await.unwrap();
                let found = found.map(|all| all[0].number.clone());
                assert_eq!(found.as_deref(), number, "{tenant} {user}");
            }
            let mut tx = store.begin().await.unwrap();
            let twice = add_contact(&mut tx, &owner(None), &jo("+333")).await;
            assert!(twice.unwrap_err().is_unique_violation());
        }

        async fn a_group_stands_for_its_contacts(store) {
            tenants(&store).await;
            let mut tx = store.begin().await.unwrap();
            add_contact(&mut tx, &owner(None), &jo("+331")).await.unwrap();
            let group_id = add_group(&mut tx, &owner(None), "board").await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(find(&store, "t", "u", "board").await.unwrap(), Some(vec![]));
            let contact = contact(&store, &owner(None), "jo.doe").await.unwrap().unwrap();
            let mut tx = store.begin().await.unwrap();
            for _ in 0..2 {
                add_member(&mut tx, "t", &group_id, &contact.contact_id).await.unwrap();
            }
            let changed = Contact { number: "+339".into(), ..contact.clone() };
            change_contact(&mut tx, &owner(None), &changed).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(find(&store, "t", "u", "board").await.unwrap(), Some(vec![changed]));
            let mut tx = store.begin().await.unwrap();
            assert!(change_contact(&mut tx, &owner(Some("u")), &contact).await.is_err());
            remove_contact(&mut tx, &owner(None), &contact).await.unwrap();
            assert!(!remove_member(&mut tx, "t", &group_id, &contact.contact_id).await.unwrap());
            tx.commit().await.unwrap();
            assert!(group(&store, &owner(None), "board").await.unwrap().unwrap().members.is_empty());
            let mut tx = store.begin().await.unwrap();
            remove_group(&mut tx, &owner(None), &group_id).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(find(&store, "t", "u", "board").await.unwrap(), None);
            assert!(groups(&store, &owner(None)).await.unwrap().is_empty());
        }
    }
}
