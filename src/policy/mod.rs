//! The rules of the operator, read from `policies/`.
