//! To whom the faxes of a number are mailed, and how.

use std::{fmt, str::FromStr};

use sqlx::{Row as _, any::AnyRow};

use super::words::unknown;
use crate::{
    store::{Store, StoreError, Tx},
    vault::{Clear, STANDING, Sealed, Vault, VaultError},
};

/// What a fax is mailed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// A PDF with the fax's own coding.
    #[default]
    Pdf,
    /// The same as PDF/A-2b, for archives.
    PdfA,
    /// A TIFF-F file, with the fax's own coding.
    Tiff,
    /// The same for an internet fax machine (T.37 simple mode, RFC 3965): the mail is the file and nothing else.
    T37,
    /// A black and white picture of each page.
    Png,
    /// A grey picture of each page, smaller to look at.
    Jpeg,
    /// A letter without its pages.
    Notice,
}

/// What becomes of a fax that the relay does not take in one mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Large {
    /// Its pages go in several mails.
    #[default]
    Split,
    /// A letter without its pages goes.
    Notice,
}

words!("number_recipient", Form, "form", "pdf" => Pdf, "pdfa" => PdfA, "tiff" => Tiff, "t37" => T37, "png" => Png, "jpeg" => Jpeg, "notice" => Notice);
words!("number_recipient", Large, "large", "split" => Split, "notice" => Notice);

/// Somebody to whom the faxes of a number are mailed.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Whose.
    pub tenant_id: String,
    /// The number.
    pub number_id: String,
    /// The mail address, lower case.
    pub address: String,
    /// What they get.
    pub form: Form,
    /// And when it is too large.
    pub large: Large,
    /// What PDFs open with, sealed: [`Recipient::seal_password`].
    pub password: Option<Sealed>,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("number_id", &self.number_id)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl Recipient {
    /// Takes a password. As a trunk's, it is sealed with the standing key, which lies outside the database;
    /// with it goes whose it is, so that it opens in no other row.
    ///
    /// # Errors
    /// The key can't be had.
    pub fn seal_password(&mut self, vault: &Vault, password: &[u8]) -> Result<(), VaultError> {
        let mut clear = Clear::new(self.owner());
        clear.extend_from_slice(password);
        let sealed = vault.seal(&self.number_id, &self.tenant_id, STANDING, &clear)?;
        self.password = Some(sealed);
        Ok(())
    }

    /// The password in clear; `None` without one.
    ///
    /// # Errors
    /// The key is missing, or the password was sealed for somebody else, or for another number.
    pub fn open_password(&self, vault: &Vault) -> Result<Option<Clear>, VaultError> {
        let Some(sealed) = &self.password else {
            return Ok(None);
        };
        let clear = vault.unseal(&self.number_id, &self.tenant_id, sealed)?;
        let password = clear.strip_prefix(self.owner().as_slice());
        let password = password.ok_or(VaultError::Damaged)?;
        Ok(Some(Clear::new(password.to_vec())))
    }

    /// What they get of a form that was asked for: who set a password, be it after that, gets nothing that it does
    /// not close.
    #[must_use]
    pub fn form_of(&self, asked: Form) -> Form {
        match asked {
            Form::Notice => Form::Notice,
            _ if self.password.is_some() => Form::Pdf,
            form => form,
        }
    }

    fn owner(&self) -> Vec<u8> {
        // The pad keeps short passwords from growing the vector, which would leave a copy behind.
        let mut owner = Vec::with_capacity(self.address.len() + 160);
        owner.extend_from_slice(self.address.as_bytes());
        owner.push(0);
        owner
    }
}

/// Whether some recipient of a number has its faxes only announced, or closed with a password: then nobody else gets
/// its pages in the clear.
///
/// # Errors
/// What the database says.
pub async fn is_confined(
    store: &Store,
    tenant_id: &str,
    number_id: &str,
) -> Result<bool, StoreError> {
    let one: Option<String> = sqlx::query_scalar(
        "SELECT address FROM number_recipient
         WHERE tenant_id = $1 AND number_id = $2 AND (password_sealed IS NOT NULL OR form = 'notice') LIMIT 1",
    )
    .bind(tenant_id)
    .bind(number_id)
    .fetch_optional(store.reader())
    .await?;
    Ok(one.is_some())
}

const COLUMNS: &str = "tenant_id, number_id, address, form, large, password_sealed";

fn read(row: &AnyRow) -> Result<Recipient, StoreError> {
    let sealed: Option<Vec<u8>> = row.try_get("password_sealed")?;
    Ok(Recipient {
        tenant_id: row.try_get("tenant_id")?,
        number_id: row.try_get("number_id")?,
        address: row.try_get("address")?,
        form: row.try_get::<String, _>("form")?.parse()?,
        large: row.try_get::<String, _>("large")?.parse()?,
        password: sealed
            .map(Sealed::from_stored)
            .transpose()
            .map_err(|error| unknown("number_recipient", "password_sealed", error))?,
    })
}

/// The recipients of a number, by address.
///
/// # Errors
/// What the database says.
pub async fn recipients(
    store: &Store,
    tenant_id: &str,
    number_id: &str,
) -> Result<Vec<Recipient>, StoreError> {
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM number_recipient WHERE tenant_id = $1 AND number_id = $2 ORDER BY address"
    )))
    .bind(tenant_id)
    .bind(number_id)
    .fetch_all(store.reader())
    .await?
    .iter()
    .map(read)
    .collect()
}

/// One recipient of a number.
///
/// # Errors
/// What the database says.
pub async fn recipient(
    store: &Store,
    tenant_id: &str,
    number_id: &str,
    address: &str,
) -> Result<Option<Recipient>, StoreError> {
    let address = address.trim().to_lowercase();
    let all = recipients(store, tenant_id, number_id).await?;
    Ok(all.into_iter().find(|one| one.address == address))
}

/// Records everything about a recipient anew.
///
/// # Errors
/// [`StoreError::Missing`] when the address is no recipient of the number (any more).
pub async fn change_recipient(tx: &mut Tx, recipient: &Recipient) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE number_recipient SET form = $4, large = $5, password_sealed = $6
         WHERE tenant_id = $1 AND number_id = $2 AND address = $3",
    )
    .bind(&recipient.tenant_id)
    .bind(&recipient.number_id)
    .bind(&recipient.address)
    .bind(recipient.form.name())
    .bind(recipient.large.name())
    .bind(recipient.password.clone().map(Sealed::into_bytes))
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Missing("recipient"))
    }
}

/// Faxes of the number that come from now on are not mailed there any more.
///
/// # Errors
/// What the database says.
pub async fn remove_recipient(tx: &mut Tx, recipient: &Recipient) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM number_recipient WHERE tenant_id = $1 AND number_id = $2 AND address = $3",
    )
    .bind(&recipient.tenant_id)
    .bind(&recipient.number_id)
    .bind(&recipient.address)
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::new_id;

    #[test]
    fn promise_5_who_set_a_password_gets_nothing_in_the_clear() {
        let dir = tempfile::tempdir().unwrap();
        let mut recipient = Recipient {
            tenant_id: new_id(),
            number_id: new_id(),
            address: "ada@example.com".into(),
            form: Form::Png,
            large: Large::Split,
            password: None,
        };
        let open = [
            Form::Pdf,
            Form::PdfA,
            Form::Tiff,
            Form::T37,
            Form::Png,
            Form::Jpeg,
        ];
        for form in open {
            assert_eq!(recipient.form_of(form), form);
        }
        let vault = Vault::open(dir.path()).unwrap();
        recipient.seal_password(&vault, b"open sesame").unwrap();
        for form in open {
            assert_eq!(recipient.form_of(form), Form::Pdf);
        }
        assert_eq!(recipient.form_of(Form::Notice), Form::Notice);
    }
}
