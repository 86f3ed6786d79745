//! The DNS, as far as senders' domains are asked about.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    system_conf::read_system_conf,
};
use mail_auth::{DnsError, MessageAuthenticator};

/// What all questions about one mail may take; then the client hears 451.
pub(super) const BUDGET: Duration = Duration::from_secs(5);
/// Patience with a DNS server, each time of two.
const PATIENCE: Duration = Duration::from_secs(2);
/// Answers that are remembered: a bound, since strangers choose the names.
const REMEMBERED: u64 = 1024;
/// Longest that a key that is taken back may still be believed.
const LONGEST_TTL: Duration = Duration::from_secs(3600);
const LONGEST_NO: Duration = Duration::from_secs(60);

/// Asks about domains: their keys, their SPF and their DMARC records.
#[derive(Clone)]
pub struct Dns(pub(super) MessageAuthenticator);

impl Dns {
    /// Asks `server`, or whom the system asks.
    ///
    /// # Errors
    /// A sentence: the system's configuration can't be read.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let (config, mut options) = match server {
            Some(server) => (one(server), ResolverOpts::default()),
            None => read_system_conf().map_err(|error| {
                format!("the system's DNS configuration can't be read ({error}): set smtp.dns")
            })?,
        };
        options.timeout = PATIENCE;
        options.attempts = 1;
        options.cache_size = REMEMBERED;
        options.positive_max_ttl = Some(LONGEST_TTL);
        options.negative_max_ttl = Some(LONGEST_NO);
        // What a domain publishes is in the DNS, not in a file of this machine.
        options.use_hosts_file = ResolveHosts::Never;
        MessageAuthenticator::new(config, options)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

impl Dns {
    /// The TXT record of a name, its strings joined; `None` where there is none.
    ///
    /// # Errors
    /// A sentence: nobody answered.
    pub async fn txt(&self, name: &str) -> Result<Option<String>, String> {
        match self.0.txt_raw_lookup(format!("{name}.")).await {
            Ok(octets) => Ok(Some(String::from_utf8_lossy(&octets).into_owned())),
            Err(mail_auth::Error::Dns(DnsError::RecordNotFound(_))) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn one(server: SocketAddr) -> ResolverConfig {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    ResolverConfig::from_parts(None, Vec::new(), vec![config])
}
