//! Where trunks are: RFC 3263's SRV, then A and AAAA, asked anew as their time to live says.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType, rdata::SRV},
};

use super::sip::{Proto, Target};
use crate::numbers::{Transport, Trunk};

/// What a zone says longer than this is asked anew all the same: a provider that moves in need forgets to
/// shorten it before.
const LONGEST_TTL: Duration = Duration::from_secs(3600);
/// As long as "there is no such name" is believed.
const LONGEST_NO: Duration = Duration::from_secs(60);
/// Patience with a DNS server, each time of two.
const PATIENCE: Duration = Duration::from_secs(2);
/// Targets of one trunk: more would ring for minutes before the next trunk has its turn.
const MOST_TARGETS: usize = 16;

/// Finds the addresses of trunks, and our own where it goes by a name.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None`: this machine has no DNS configuration that can be read, and only names of its own.
    dns: Option<TokioResolver>,
    /// The system's own ways are tried where DNS has no address: not when a DNS server is configured.
    system: bool,
    strategy: LookupIpStrategy,
    /// What was found last: it stands while DNS does not answer.
    kept: Mutex<HashMap<(String, u16, Transport), Vec<Target>>>,
}

impl Resolver {
    /// Asks `dns`, or whom the system asks. `ours` is an address of the family that we speak.
    #[must_use]
    pub fn new(dns: Option<SocketAddr>, ours: IpAddr) -> Self {
        let strategy = if ours.is_ipv4() {
            LookupIpStrategy::Ipv4Only
        } else {
            LookupIpStrategy::Ipv6thenIpv4
        };
        let built = builder(dns).and_then(|mut builder| {
            let options = builder.options_mut();
            bound(options);
            options.ip_strategy = strategy;
            builder.build()
        });
        let dns_resolver = built.map_err(|error| {
            tracing::warn!(%error, "the system's DNS configuration can't be read: trunks are not looked up by SRV");
        });
        Self {
            inner: Arc::new(Inner {
                dns: dns_resolver.ok(),
                system: dns.is_none(),
                strategy,
                kept: Mutex::default(),
            }),
        }
    }

    /// Where a SIP trunk is: by priority, heavier ones first. While DNS does not answer that is what it
    /// was before. The error is a sentence.
    pub(super) async fn targets(&self, trunk: &Trunk) -> Result<Vec<Target>, String> {
        let key = (trunk.host.clone(), trunk.port, trunk.transport);
        let found = self.find(trunk).await;
        let mut kept = (self.inner.kept.lock()).unwrap_or_else(PoisonError::into_inner);
        match (found, kept.get(&key)) {
            (Ok(targets), _) => {
                kept.insert(key, targets.clone());
                Ok(targets)
            }
            (Err(error), Some(before)) => {
                tracing::warn!(
                    trunk = trunk.trunk_id,
                    error,
                    "DNS; the addresses before stand"
                );
                Ok(before.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The address that a name has now, or that it is. The error is a sentence.
    pub async fn address(&self, name: &str) -> Result<IpAddr, String> {
        let addresses = self.addresses(name).await?;
        Ok(addresses[0])
    }

    async fn find(&self, trunk: &Trunk) -> Result<Vec<Target>, String> {
        let (proto, service, default_port) = match trunk.transport {
            Transport::Udp => (Proto::Udp, "_sip._udp", 5060),
            Transport::Tcp => (Proto::Tcp, "_sip._tcp", 5060),
            Transport::Tls => (Proto::Tls, "_sips._tcp", 5061),
            Transport::Hylafax => return Err("it is no SIP trunk".to_owned()),
        };
        let host = trunk.host.trim_matches(['[', ']']);
        let mut targets = Vec::new();
        // RFC 3263 §4.2: an address or a port says it all.
        let by_srv = trunk.port == 0 && host.parse::<IpAddr>().is_err();
        let records = if by_srv {
            self.services(service, host).await?
        } else {
            Vec::new()
        };
        for record in &records {
            let name = record.target.to_utf8();
            match self.addresses(name.trim_end_matches('.')).await {
                Ok(addresses) => targets.extend(addresses.into_iter().map(|ip| Target {
                    priority: record.priority,
                    weight: record.weight,
                    ..Target::new((ip, record.port).into(), proto)
                })),
                Err(error) => {
                    tracing::warn!(
                        trunk = trunk.trunk_id,
                        error,
                        "a host of its SRV is left out"
                    )
                }
            }
        }
        if records.is_empty() {
            let port = if trunk.port == 0 {
                default_port
            } else {
                trunk.port
            };
            let addresses = self.addresses(host).await?.into_iter();
            targets.extend(addresses.map(|ip| Target::new((ip, port).into(), proto)));
        }
        if targets.is_empty() {
            return Err(format!(
                "no host that {service}.{host} names has an address"
            ));
        }
        // Resolvers turn the list round at each question: the same addresses are the same trunk.
        targets.sort_by_key(|target| {
            (
                target.priority,
                std::cmp::Reverse(target.weight),
                target.addr,
            )
        });
        targets.dedup_by_key(|target| target.addr);
        targets.truncate(MOST_TARGETS);
        if proto == Proto::Tls {
            // RFC 5922 §7.1: the certificate is for the domain that we asked for, whatever host serves it.
            for target in &mut targets {
                target.tls_name = Some(host.to_owned());
            }
        }
        Ok(targets)
    }

    /// The SRV records of a service; none where the domain goes without.
    async fn services(&self, service: &str, host: &str) -> Result<Vec<SRV>, String> {
        let Some(dns) = &self.inner.dns else {
            return Ok(Vec::new());
        };
        let answer = dns
            .lookup(absolute(&format!("{service}.{host}")), RecordType::SRV)
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) if self.inner.system => {
                // A machine without DNS may still know the host itself.
                tracing::debug!(%error, "SRV");
                return Ok(Vec::new());
            }
            Err(error) => return Err(format!("DNS gives no answer about {host}: {error}")),
        };
        let records: Vec<SRV> = (answer.answers().iter())
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv.clone()),
                _ => None,
            })
            .collect();
        // RFC 2782: a single target "." says that there is decidedly no such service.
        if records.iter().any(|record| record.target.is_root()) {
            return Err(format!("{host} says by SRV that it has no {service}"));
        }
        Ok(records)
    }

    /// Never empty.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let mut found: Vec<IpAddr> = Vec::new();
        let mut why = format!("{host} has no address");
        if let Some(dns) = &self.inner.dns {
            match dns.lookup_ip(absolute(host)).await {
                Ok(answer) => found.extend(answer.iter()),
                Err(error) if error.is_no_records_found() => {}
                Err(error) => why = format!("DNS gives no address of {host}: {error}"),
            }
        }
        if found.is_empty() && self.inner.system {
            // What nsswitch knows beside DNS. It gives all families.
            if let Ok(known) = tokio::net::lookup_host((host, 0)).await {
                found.extend(known.map(|address| address.ip()));
            }
            if self.inner.strategy == LookupIpStrategy::Ipv4Only {
                found.retain(IpAddr::is_ipv4);
            }
        }
        if found.is_empty() {
            Err(why)
        } else {
            Ok(found)
        }
    }
}

/// A name with dots is whole: search domains are for short ones.
fn absolute(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') {
        format!("{name}.")
    } else {
        name.to_owned()
    }
}

fn builder(
    dns: Option<SocketAddr>,
) -> Result<hickory_resolver::ResolverBuilder<TokioRuntimeProvider>, NetError> {
    let Some(server) = dns else {
        return TokioResolver::builder_tokio();
    };
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    Ok(TokioResolver::builder_with_config(
        ResolverConfig::from_parts(None, Vec::new(), vec![config]),
        TokioRuntimeProvider::default(),
    ))
}

fn bound(options: &mut ResolverOpts) {
    options.positive_max_ttl = Some(LONGEST_TTL);
    options.negative_max_ttl = Some(LONGEST_NO);
    options.timeout = PATIENCE;
    options.attempts = 1;
}

#[cfg(test)]
mod tests;
