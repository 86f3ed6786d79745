//! The database and the blobs.
