//! The HTTP doors: the status page.
