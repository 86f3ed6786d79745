//! Received faxes: page custody, routing, delivery.
