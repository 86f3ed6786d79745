//! Units: held when a job is accepted, settled by confirmed pages.
