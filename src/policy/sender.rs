//! `policies/sender.toml`: what proves a sender.

use std::{net::IpAddr, path::Path};

use serde::Deserialize;

use super::PolicyError;
pub use crate::config::Network;

pub(super) const FILE: &str = "sender.toml";
const BUILT_IN: &str = include_str!("../../policies/sender.toml");

/// What proves a sender. Nothing else does: deny by default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderRules {
    /// Peers that are believed to know their users.
    pub networks: Vec<Network>,
}

impl SenderRules {
    /// The rules in `folder`, or the built-in ones.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        super::parse(FILE, &super::text(folder, FILE, BUILT_IN)?)
    }

    /// Whether `peer` is in one of the listed networks.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_trust_loopback_only() {
        let rules = SenderRules::load(None).unwrap();
        assert!(rules.trusts("127.0.0.1".parse().unwrap()));
        assert!(rules.trusts("::1".parse().unwrap()));
        assert!(!rules.trusts("10.0.0.1".parse().unwrap()));
    }
}
