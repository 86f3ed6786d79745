//! The signalling and the line workers, as the configuration wants them.

use std::{
    net::IpAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    config::{Config, Sip},
    line::{
        self, Resolver, SipFaxLine,
        sip::{self, Advertised, SipAdapter, TlsSetup},
    },
    vault::Vault,
    worker::Program,
};

/// How often the name that we are reached by is looked up anew.
const ADDRESS_EVERY: Duration = Duration::from_secs(60);

/// Listens, and starts the workers.
pub(super) async fn start(
    config: &Config,
    vault: Option<Arc<Vault>>,
) -> anyhow::Result<SipFaxLine> {
    start_naming(config, vault, None).await
}

/// As [`start`], with another address in SDP than in SIP.
pub(super) async fn start_naming(
    config: &Config,
    vault: Option<Arc<Vault>>,
    media_address: Option<IpAddr>,
) -> anyhow::Result<SipFaxLine> {
    let media_ip: IpAddr = config.sip.listen.ip();
    let resolver = Resolver::new(config.sip.dns, media_ip);
    let mut setup = sip::SipConfig::new(config.sip.listen);
    if let Some(name) = &config.sip.advertised {
        let address = resolver.address(name).await;
        setup.advertised = Some(address.map_err(anyhow::Error::msg).with_context(|| {
            format!("sip.advertised {name}: others can't be told where we are")
        })?);
    }
    setup.t1 = Duration::from_millis(config.sip.t1_ms);
    setup.tcp = config.sip.tcp;
    // A call's session lasts in the call's own time.
    setup.session_second = Duration::from_secs(1) / config.line.speed.max(1);
    setup.tls = tls(&config.sip);
    setup.probe = (config.sip.probe_s > 0).then(|| Duration::from_secs(config.sip.probe_s));
    let adapter = Arc::new(sip::start(setup).await?);
    tracing::info!(address = %adapter.local_addr(), tls_port = adapter.tls_port(), "SIP");
    if let Some(name) = &config.sip.advertised
        && name.parse::<IpAddr>().is_err()
    {
        let (adapter, resolver) = (Arc::downgrade(&adapter), resolver.clone());
        tokio::spawn(follow_address(name.clone(), adapter, resolver));
    }
    SipFaxLine::start(line::Setup {
        advertised: media_address.map_or_else(|| adapter.advertised(), Advertised::from),
        resolver,
        sip: adapter,
        media_ip,
        media_ports: (config.sip.media_port_min, config.sip.media_port_max),
        speed: config.line.speed,
        ring_timeout: Duration::from_secs(config.sip.ring_timeout_s),
        vault,
        program: Program::this(),
        workers: config.line.workers,
    })
    .await
}

/// Whom the signalling trusts over TLS, and who it is.
fn tls(config: &Sip) -> TlsSetup {
    TlsSetup {
        ca: config.tls_ca.clone(),
        identity: config.tls_certificate.clone().zip(config.tls_key.clone()),
        listen: config.tls_listen,
    }
}

/// A name that gets another address takes the trunks along; one that can't be looked up keeps its last.
async fn follow_address(name: String, adapter: Weak<SipAdapter>, resolver: Resolver) {
    loop {
        tokio::time::sleep(ADDRESS_EVERY).await;
        let Some(adapter) = adapter.upgrade() else {
            return;
        };
        match resolver.address(&name).await {
            Ok(address) if address == adapter.advertised().now() => {}
            Ok(address) => match adapter.advertise(address).await {
                Ok(()) => tracing::info!(%address, "sip.advertised has another address"),
                Err(error) => tracing::error!(%error, "another sip.advertised can't be taken up"),
            },
            Err(error) => tracing::warn!(error, "sip.advertised; the address before stands"),
        }
    }
}
