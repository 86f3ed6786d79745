//! Tenants, groups, profiles and users.
