//! Connections to trunks and from them: asked for before they are needed, and brought back under calls.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rsipstack::sip::Transport;
use rsipstack::transport::connection::{SipConnection, TransportEvent};
use rsipstack::transport::tls::TlsConnection;
use rsipstack::transport::{SipAddr, TransportLayer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::adapter::Core;
use super::dialing::{address, unreachable};
use super::tls::keep_alive;
use super::{End, Proto, Target};

/// How long somebody who connects may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection over TLS that we opened.
#[derive(Debug, Default)]
struct Flow {
    /// Cancelled by the stack when it retires the connection; `None`: never opened.
    open: Option<CancellationToken>,
    /// Names that its certificate is for, of those that trunks asked for.
    names: Vec<String>,
}

/// Those of them that there are, by the far end's address. Each has its own lock: one that hangs must not
/// keep the others waiting.
#[derive(Debug, Default)]
pub(super) struct Opened(Mutex<HashMap<SocketAddr, Arc<tokio::sync::Mutex<Flow>>>>);

impl Core {
    /// Makes sure of a connection to a target, where the stack then finds it. The error is a sentence.
    pub(super) async fn reach(&self, target: &Target, limit: Duration) -> Result<(), String> {
        match target.proto {
            Proto::Udp => Ok(()),
            // The stack hides a refused connection for 64·T1; asked first, it tells at once, and keeps the
            // connection for the request.
            Proto::Tcp => {
                let destination = address(target);
                let looked = self.endpoint.transport_layer.lookup(&destination, None);
                match timeout(limit, looked).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(match unreachable(&error) {
                        End::Unreachable { error } => error,
                        _ => format!("{} can't be reached", target.addr),
                    }),
                    Err(_) => Err(format!("no connection to {} in time", target.addr)),
                }
            }
            Proto::Tls => self.reach_by_tls(target, limit).await,
        }
    }

    async fn reach_by_tls(&self, target: &Target, limit: Duration) -> Result<(), String> {
        let name = target.tls_name.as_deref().unwrap_or_default();
        let flow = self.opened.at(target.addr);
        // Whoever opens it now does so for us too, within the same limit.
        let Ok(mut flow) = timeout(limit, flow.lock()).await else {
            return Err(format!("no connection to {} in time", target.addr));
        };
        let alive = flow.open.as_ref().is_some_and(|open| !open.is_cancelled());
        if alive && flow.names.iter().any(|known| known == name) {
            return Ok(());
        }
        let stream = self.tls.open(target.addr, name, limit).await?;
        if alive {
            // Another trunk's connection to the same server: it has shown that it is ours too.
            flow.names.push(name.to_owned());
            return Ok(());
        }
        let open = self.stop.child_token();
        let connection =
            TlsConnection::from_client_stream(stream, address(target), Some(open.clone()))
                .await
                .map_err(|error| format!("no TLS with {}: {error}", target.addr))?;
        self.endpoint
            .transport_layer
            .add_connection(connection.into());
        *flow = Flow {
            open: Some(open),
            names: vec![name.to_owned()],
        };
        Ok(())
    }
}

impl Opened {
    fn at(&self, address: SocketAddr) -> Arc<tokio::sync::Mutex<Flow>> {
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flows.entry(address).or_default().clone()
    }
}

/// Brings connections back that broke under calls: their BYE and re-INVITEs need one, and the stack would
/// open it without our CAs, and under the wrong name.
pub(super) async fn rescue(core: Arc<Core>) {
    let mut closed = core.closed.subscribe();
    loop {
        let far = tokio::select! {
            far = closed.recv() => far,
            () = core.stop.cancelled() => return,
        };
        match far {
            Ok(far) => {
                if let Some((target, limit)) = core.target_in_use(far) {
                    tokio::spawn(bring_back(core.clone(), target, limit));
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

async fn bring_back(core: Arc<Core>, target: Target, limit: Duration) {
    for pause in [0, 2, 8, 32] {
        tokio::time::sleep(core.timers.t1 * pause).await;
        if core.stop.is_cancelled() || core.reach(&target, limit).await.is_ok() {
            return;
        }
    }
}

/// Takes connections from trunks over TLS, until the adapter stops. Strangers are closed on unread, as on
/// the other transports.
pub(super) async fn serve(core: Arc<Core>, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = core.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, far)) if core.sources.admits(far.ip()) => {
                tokio::spawn(greet(core.clone(), acceptor.clone(), stream, far));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "a TLS connection can't be taken");
                // Out of descriptors, most likely: the loop must not turn at full speed.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn greet(core: Arc<Core>, acceptor: TlsAcceptor, stream: TcpStream, far: SocketAddr) {
    keep_alive(&stream);
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::warn!(%far, %error, "a trunk's TLS handshake with us failed");
            return;
        }
        Err(_) => {
            tracing::warn!(%far, "a trunk connected and began no TLS handshake");
            return;
        }
    };
    let ours = core.listens_for_tls();
    let theirs = SipAddr::new(Transport::Tls, far.into());
    let token = core.stop.child_token();
    if let Ok(connection) =
        TlsConnection::from_server_stream(stream, ours, theirs, Some(token)).await
    {
        core.endpoint
            .transport_layer
            .add_connection(connection.into());
    }
}

/// Makes our addresses known to the stack as those of listeners, for Via; what they were before is
/// forgotten. The stack has started its listeners: those added now are names only.
pub(super) fn rename(transport: &TransportLayer, now: Vec<SipConnection>) {
    let before: Vec<SipAddr> = transport.get_listen_addrs();
    let added: Vec<SipAddr> = now.iter().map(|one| one.get_addr().clone()).collect();
    for one in now {
        transport.add_transport(one);
    }
    for one in before.iter().filter(|one| !added.contains(one)) {
        transport.del_transport(one);
    }
}

/// Tells who waits for it which connections have closed: the stack brings nothing back by itself.
pub(super) struct Closings(pub(super) broadcast::Sender<SocketAddr>);

#[async_trait::async_trait]
impl rsipstack::transaction::endpoint::TransportEventInspector for Closings {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        if let TransportEvent::Closed(connection) = &event
            && let Some(remote) = connection.get_remote_addr()
            && let Ok(address) = remote.get_socketaddr()
        {
            // Nobody waits: nobody needs to know.
            let _ = self.0.send(address);
        }
        Some(event)
    }
}
