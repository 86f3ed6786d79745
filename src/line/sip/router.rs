//! Every request that starts a transaction: to its dialog, to a new call, or to its refusal.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rsipstack::dialog::dialog::Dialog;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Method, Scheme, StatusCode};
use rsipstack::transaction::{Transaction, TransactionReceiver};

use super::adapter::{Core, credential};
use super::message::{self, ALLOW, SDP};
use super::{Event, incoming, refresh};

/// How often a request for a dialog in the making is looked up again, and how long in between.
const LOOKUPS: u32 = 20;
const LOOKUP_PAUSE: Duration = Duration::from_millis(5);

/// Runs until the adapter stops.
pub(super) async fn run(core: Arc<Core>, mut incoming: TransactionReceiver) {
    loop {
        let tx = tokio::select! {
            tx = incoming.recv() => tx,
            () = core.stop.cancelled() => return,
        };
        let Some(tx) = tx else { return };
        let in_dialog = tx
            .original
            .to_header()
            .and_then(|to| to.tag())
            .is_ok_and(|tag| tag.is_some());
        if in_dialog {
            tokio::spawn(in_a_dialog(Arc::clone(&core), tx));
        } else if tx.original.method == Method::Invite {
            // Not in a task of its own: the next INVITE must find this one in the table.
            new_call(&core, tx);
        } else {
            tokio::spawn(outside(Arc::clone(&core), tx));
        }
    }
}

/// A request that claims a dialog.
async fn in_a_dialog(core: Arc<Core>, mut tx: Transaction) {
    let method = tx.original.method;
    let Some(mut dialog) = find(&core, &tx).await else {
        if method != Method::Ack {
            refuse(&core, tx, StatusCode::CallTransactionDoesNotExist, vec![]).await;
        }
        return;
    };
    if method == Method::Bye
        && let Ok(id) = tx.original.call_id_header()
    {
        core.note_bye(id.value(), message::cause_of(&tx.original.headers));
    }
    // Before the ACK of our 200 the stack would take a re-INVITE for the first one again, and
    // leave an UPDATE unanswered (RFC 5407 §3.1.4 says 491).
    let confirmed = dialog.state().is_confirmed();
    if !confirmed && matches!(method, Method::Invite | Method::Update) {
        refuse(&core, tx, StatusCode::RequestPending, vec![]).await;
        return;
    }
    let _ = dialog_handle(&mut dialog, &mut tx).await;
    // What the stack leaves unanswered (an old CSeq, a method it passes over) would be sent to us
    // again and again (RFC 3261 §12.2.2: 500).
    if tx.last_response.is_none() && method != Method::Ack && !tx.is_terminated() {
        refuse(&core, tx, StatusCode::ServerInternalError, vec![]).await;
    }
}

async fn dialog_handle(dialog: &mut Dialog, tx: &mut Transaction) -> rsipstack::Result<()> {
    match dialog {
        Dialog::Invite(dialog) => dialog.handle(tx).await,
        // We make no others.
        _ => Ok(()),
    }
}

/// The dialog of a request. A call that is just being answered has its dialog registered a moment
/// after our ACK is sent, and the peer's next request may be quicker.
async fn find(core: &Core, tx: &Transaction) -> Option<Dialog> {
    for attempt in 0..LOOKUPS {
        if let Some(dialog) = core.layer.match_dialog(tx) {
            return Some(dialog);
        }
        let known = tx
            .original
            .call_id_header()
            .is_ok_and(|id| core.knows(id.value()));
        if !known || attempt + 1 == LOOKUPS {
            return None;
        }
        tokio::time::sleep(LOOKUP_PAUSE).await;
    }
    None
}

/// A new INVITE.
fn new_call(core: &Arc<Core>, tx: Transaction) {
    let source = tx
        .connection
        .as_ref()
        .and_then(|c| c.get_remote_addr())
        .and_then(|addr| addr.get_socketaddr().ok());
    let trunk = source
        .and_then(|source| core.sources.trunk_of(source))
        .and_then(|id| core.trunk(id));
    // Removed since the filter let it in: then it is a stranger's, and gets what strangers get.
    let (Some(source), Some(trunk)) = (source, trunk) else {
        return;
    };

    let request = &tx.original;
    let Ok(sip_id) = request.call_id_header().map(|id| id.value().to_owned()) else {
        return;
    };
    let refusal = if core.knows(&sip_id) {
        // RFC 3261 §8.2.2.2: the same request by another way.
        Some((StatusCode::LoopDetected, vec![]))
    } else if !core.take_token() {
        core.over_rate.fetch_add(1, Ordering::Relaxed);
        Some((
            StatusCode::ServiceUnavailable,
            vec![Header::RetryAfter("5".into())],
        ))
    } else {
        let unknown = message::unknown_requirements(&request.headers);
        if !unknown.is_empty() {
            Some((
                StatusCode::BadExtension,
                vec![Header::Unsupported(unknown.join(", ").into())],
            ))
        } else if message::sdp_of(&request.headers, &request.body).is_none() {
            Some((
                StatusCode::UnsupportedMediaType,
                vec![Header::Accept(SDP.into())],
            ))
        } else if let refresh::Answer::TooBrief(fields) = refresh::answer(&request.headers) {
            // RFC 4028 §6.
            Some((StatusCode::SessionIntervalTooSmall, fields))
        } else {
            None
        }
    };
    if let Some((status, headers)) = refusal {
        tokio::spawn(refuse_owned(Arc::clone(core), tx, status, headers));
        return;
    }

    let sdp = message::sdp_of(&request.headers, &request.body).unwrap_or_default();
    let (to, from, diversion) = (
        message::called(request),
        message::calling(request),
        message::diverted(request),
    );
    let headers = message::extra(&request.headers);
    let timer = refresh::answer(&request.headers);
    let (sender, states) = core.layer.new_dialog_state_channel();
    let mut contact = core.contact_of(&trunk).uri;
    if request.uri.scheme == Some(Scheme::Sips) {
        // RFC 3261 §12.1.1: what came as SIPS is answered as SIPS, which says TLS by itself.
        contact.scheme = Some(Scheme::Sips);
        contact.params.clear();
    }
    let dialog =
        match core
            .layer
            .get_or_create_server_invite(&tx, sender, credential(&trunk), Some(contact))
        {
            Ok(dialog) => dialog,
            Err(_) => {
                // No Contact, no From tag, and the like (RFC 3261 §8.1.1).
                core.malformed.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(refuse_owned(
                    Arc::clone(core),
                    tx,
                    StatusCode::BadRequest,
                    vec![],
                ));
                return;
            }
        };
    let line = core.open_call(trunk.id, Some(&sip_id));
    let first = Event::Incoming {
        call: line.call,
        trunk: trunk.id,
        to,
        from,
        diversion,
        sdp: sdp.clone(),
        source,
        headers,
    };
    tokio::spawn(incoming::run(
        Arc::clone(core),
        dialog.clone(),
        states,
        line,
        first,
        sdp,
        timer,
    ));
    // Drives the INVITE's transaction: 100, our answers, CANCEL, the ACK.
    tokio::spawn(async move {
        let (mut dialog, mut tx) = (dialog, tx);
        let _ = dialog.handle(&mut tx).await;
    });
}

/// A request outside any dialog that isn't an INVITE.
async fn outside(core: Arc<Core>, mut tx: Transaction) {
    let allow = Header::Allow(ALLOW.into());
    match tx.original.method {
        // RFC 3261 §11.2: trunks probe with it.
        Method::Options => {
            let _ = tx
                .reply_with(
                    StatusCode::OK,
                    vec![allow, Header::Accept(SDP.into())],
                    None,
                )
                .await;
        }
        Method::Ack => {}
        // RFC 3261 §8.2.1; CANCEL and BYE belong to something that we don't have.
        Method::Cancel | Method::Bye | Method::PRack | Method::Update => {
            refuse(&core, tx, StatusCode::CallTransactionDoesNotExist, vec![]).await;
        }
        _ => refuse(&core, tx, StatusCode::MethodNotAllowed, vec![allow]).await,
    }
}

async fn refuse_owned(core: Arc<Core>, tx: Transaction, status: StatusCode, headers: Vec<Header>) {
    refuse(&core, tx, status, headers).await;
}

/// Answers, and stays for the ACK where there is one: dropped earlier, the transaction would not
/// repeat a lost refusal (RFC 3261 §17.2.1).
async fn refuse(core: &Core, mut tx: Transaction, status: StatusCode, headers: Vec<Header>) {
    let invite = tx.original.method == Method::Invite;
    if tx.reply_with(status, headers, None).await.is_ok() && invite {
        let _ = tokio::time::timeout(core.timers.t1x64() * 2, async {
            while tx.receive().await.is_some() {}
        })
        .await;
    }
}
