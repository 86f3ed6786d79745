//! The number grammar and the dial plan.
