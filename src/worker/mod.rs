//! Sandboxed children.
