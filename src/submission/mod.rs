//! Durable accept for every door: custody, jobs and holds in one transaction.
