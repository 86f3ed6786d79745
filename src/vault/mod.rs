//! Keys, custody and capsules.
