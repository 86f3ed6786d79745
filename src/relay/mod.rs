//! Mail out: the outbox and the connection to the relay.
