//! Requests outside any dialog that we send to a trunk: REGISTER, OPTIONS.

use std::time::Duration;

use rsipstack::dialog::authenticate::{AuthRetry, handle_client_authenticate};
use rsipstack::sip::headers::untyped::CallId;
use rsipstack::sip::typed::{From, To};
use rsipstack::sip::{Header, Method, Response, SipMessage, StatusCode, Uri};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::{Transaction, make_tag};
use tokio::time::timeout;

use super::adapter::{Core, credential};
use super::dialing::{address, unreachable, uri};
use super::inspector::made_up;
use super::{End, Target, Trunk};

/// What a request is made of, beside what the trunk says.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) sip_id: &'a str,
    pub(super) headers: Vec<Header>,
}

/// Sends a request to one target and gives the final answer; a challenge is answered once
/// (RFC 3261 §22.2). The error is a sentence: the target can't be reached, or said nothing.
pub(super) async fn ask(
    core: &Core,
    trunk: &Trunk,
    target: &Target,
    cseq: &mut u32,
    what: Ask<'_>,
    limit: Duration,
) -> Result<Response, String> {
    core.reach(target, limit).await?;
    timeout(limit, exchange(core, trunk, target, cseq, what))
        .await
        .unwrap_or_else(|_| Err(format!("no answer from {}", target.addr)))
}

async fn exchange(
    core: &Core,
    trunk: &Trunk,
    target: &Target,
    cseq: &mut u32,
    what: Ask<'_>,
) -> Result<Response, String> {
    let sentence = |error: rsipstack::Error| match unreachable(&error) {
        End::Unreachable { error } => error,
        _ => "the request could not be sent".to_owned(),
    };
    let destination = address(target);
    let (connection, resolved) = (core.endpoint.transport_layer)
        .lookup(&destination, None)
        .await
        .map_err(sentence)?;
    let via = core
        .endpoint
        .get_via(Some(connection.get_addr().clone()), None)
        .map_err(sentence)?;
    let who = uri(&trunk.user, &trunk.domain);
    let from = From {
        display_name: None,
        uri: who.clone(),
        params: vec![],
    };
    // RFC 3261 §10.2: a REGISTER goes to the domain and names the address of record in To.
    let whom = Uri {
        auth: None,
        ..who.clone()
    };
    let to = To {
        display_name: None,
        uri: if what.method == Method::Register {
            who
        } else {
            whom.clone()
        },
        params: vec![],
    };
    *cseq += 1;
    let mut request = core.endpoint.make_request(
        what.method,
        whom,
        via,
        from.with_tag(make_tag()),
        to,
        *cseq,
        Some(CallId::new(what.sip_id)),
    );
    for header in what.headers {
        request.headers.push(header);
    }
    let key = TransactionKey::from_request(&request, TransactionRole::Client).map_err(sentence)?;
    let mut tx = Transaction::new_client(key, request, core.endpoint.clone(), Some(connection));
    tx.destination = Some(resolved);
    tx.send().await.map_err(sentence)?;
    let mut auth = AuthRetry::new();
    while let Some(message) = tx.receive().await {
        let SipMessage::Response(response) = message else {
            continue;
        };
        if made_up(&response) {
            return Err(format!("no answer from {}", target.addr));
        }
        match response.status_code {
            StatusCode::Trying => {}
            StatusCode::Unauthorized | StatusCode::ProxyAuthenticationRequired => {
                let Some(credential) = credential(trunk).filter(|_| auth.should_answer(&response))
                else {
                    return Ok(response);
                };
                *cseq += 1;
                // No challenge that we can answer is left in it: then it is final.
                let Ok(again) =
                    handle_client_authenticate(*cseq, &tx, response.clone(), &credential).await
                else {
                    return Ok(response);
                };
                tx = again;
                tx.send().await.map_err(sentence)?;
            }
            _ => return Ok(response),
        }
    }
    Err(format!("no answer from {}", target.addr))
}
