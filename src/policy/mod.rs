//! The rules of the operator, read from `policies/`.

pub mod tariffs;
