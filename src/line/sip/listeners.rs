//! The ports: taken or tried here, because the stack only warns when one can't be had.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rsipstack::transport::connection::SipConnection;
use rsipstack::transport::tcp_listener::TcpListenerConnection;
use rsipstack::transport::udp::UdpConnection;
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Advertised, SipError, TlsSetup, tls};

/// The listeners as the stack knows them: it writes their addresses into Via.
pub(super) async fn listeners(
    socket: &Arc<UdpSocket>,
    advertised: &Advertised,
    tcp: bool,
    stop: &CancellationToken,
) -> Result<Vec<SipConnection>, SipError> {
    let local = socket
        .local_addr()
        .map_err(|e| listen_error(([0, 0, 0, 0], 0).into(), e.to_string()))?;
    let fault = |e: rsipstack::Error| listen_error(local, e.to_string());
    let external = SocketAddr::new(advertised.now(), local.port());
    let shared: Arc<UdpSocket> = Arc::clone(socket);
    let udp = UdpConnection::from_socket(shared, Some(external), Some(stop.clone()));
    let mut listeners: Vec<SipConnection> = vec![udp.await.map_err(fault)?.into()];
    if tcp {
        let tcp = TcpListenerConnection::new(local, Some(external));
        listeners.push(tcp.await.map_err(fault)?.into());
    }
    Ok(listeners)
}

/// Takes the port for TLS and reads what we greet with.
pub(super) async fn listen_for_tls(
    setup: &TlsSetup,
) -> Result<Option<(TcpListener, TlsAcceptor, SocketAddr)>, SipError> {
    let Some(address) = setup.listen else {
        return Ok(None);
    };
    let Some((certificate, key)) = &setup.identity else {
        let reason = "TLS needs a certificate and its key".to_owned();
        return Err(listen_error(address, reason));
    };
    let acceptor = tls::acceptor(certificate, key).map_err(|e| listen_error(address, e))?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| refused(address, "TLS", &e))?;
    let local = listener
        .local_addr()
        .map_err(|e| refused(address, "TLS", &e))?;
    Ok(Some((listener, acceptor, local)))
}

pub(super) fn refused(addr: SocketAddr, kind: &str, error: &io::Error) -> SipError {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("the {kind} port is in use; stop the other program or set another port")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{kind} ports below 1024 need a privilege; set another port")
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => format!("{kind}: {error}"),
    };
    listen_error(addr, remedy)
}

pub(super) fn listen_error(addr: SocketAddr, reason: String) -> SipError {
    SipError::Listen { addr, reason }
}
