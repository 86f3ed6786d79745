//! Tenants, groups, profiles and users.
//!
//! A user is in exactly one group; one group of a tenant is its default. Mail addresses are lower
//! case here, whatever they were given as. Reads take a [`Store`], writes a [`Tx`].
//!
//! [`Store`]: crate::store::Store
//! [`Tx`]: crate::store::Tx

mod branding;
mod directory;
mod enrolment;
mod guests;
mod hours;
mod password;
mod profile;
mod scram;
mod secrets;
mod settings;
mod standing;
mod terms;

pub use crate::language::Language;
pub use branding::{
    Branding, OwnCover, branding, keep_cover, own_cover, own_covers, remove_cover, rename_tenant,
    set_branding, set_logo,
};
pub use directory::{
    Group, Plan, Role, Tenant, User, all_users, default_group, first_domain, first_operator,
    first_tenant, group, responsible_for, tenant, tenant_by_domain, tenant_by_name, user,
    user_by_address,
};
pub use enrolment::{
    NewGroup, NewTenant, NewUser, add_address, add_domain, add_group, add_user, create_tenant,
};
pub use guests::guest;
pub use hours::Hours;
pub use password::{check_mail_password, scram_verifier, set_mail_password};
pub use profile::{
    Allowed, Profile, Rules, add_profile, allowed_for, change_profile, ocr_for, profile,
    profile_keys, profiles, remove_profile, rules_for,
};
pub use scram::Verifier;
pub use secrets::{
    SECRET_LASTS_DAYS, SecretInfo, add_secret, remove_secrets, secret_warned, secrets_ending,
    secrets_of, user_by_secret,
};
pub use settings::{BASIC, Paper, Settings, settings_for};
pub use standing::{Standing, standing};
pub use terms::{CodeFault, Codes, Terms, callers_for, terms_for};

/// A mail address or domain as the tables have it.
fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests;
