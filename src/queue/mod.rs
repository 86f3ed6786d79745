//! Jobs, renditions, calls, legs and page reports: what is to be sent and how it went.

mod jobs;

pub use jobs::{NewJob, enqueue, enqueue_all};
