//! XCLIENT: a mail proxy says whom it speaks for (Postfix' `XCLIENT_README`).
//!
//! Only machines in `smtp.xclient_from` may, once in a connection: what follows is the client's, whom the proxy lets
//! speak. What they say replaces what the connection shows: where the client is. Nothing more is taken from them: no
//! login, since what proves a person is proven to us.

use std::net::IpAddr;

use super::{Next, Session};
use crate::front::smtp::replies;

/// What EHLO says to those who may.
pub const KEYWORD: &str = "XCLIENT ADDR PORT NAME HELO PROTO";

/// What stands behind the verb, when a line is this command.
pub fn claims(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?;
    let (verb, claims) = line.split_once(' ').unwrap_or((line, ""));
    verb.eq_ignore_ascii_case("XCLIENT").then_some(claims)
}

/// Where the client is; None when the proxy doesn't say or doesn't know: then it is nowhere, and no rule that goes by
/// networks holds for it.
fn address(claims: &str) -> Result<Option<IpAddr>, ()> {
    let mut found = None;
    for claim in claims.split_whitespace() {
        let (name, value) = claim.split_once('=').ok_or(())?;
        match name.to_ascii_uppercase().as_str() {
            "ADDR" if value.eq_ignore_ascii_case("[UNAVAILABLE]") => {}
            "ADDR" if value.eq_ignore_ascii_case("[TEMPUNAVAIL]") => {}
            "ADDR" => {
                let prefix = value.get(..5).filter(|p| p.eq_ignore_ascii_case("IPV6:"));
                let bare = prefix.map_or(value, |_| &value[5..]);
                found = Some(bare.parse().map_err(|_| ())?);
            }
            // Names, ports and logins prove nothing here, and EHLO comes again.
            _ => {}
        }
    }
    Ok(found)
}

impl Session {
    pub(super) fn may_xclient(&self) -> bool {
        let allowed = &self.shared.limits.xclient_from;
        let listed = |peer| allowed.iter().any(|network| network.contains(peer));
        !self.introduced && self.peer.is_some_and(listed)
    }

    pub(super) fn xclient(&mut self, claims: &str) -> Next {
        if !self.may_xclient() {
            return self.refuse(replies::not_offered("XCLIENT"));
        }
        if self.open.is_some() {
            return self.refuse(replies::mail_is_open());
        }
        if let Some(next) = self.out_of_step("XCLIENT") {
            return next;
        }
        let Ok(address) = address(claims) else {
            return self.refuse(replies::syntax(
                "XCLIENT ADDR=203.0.113.5, or ADDR=IPV6:2001:db8::5",
            ));
        };
        tracing::debug!(session = %self.id, "speaks for another machine");
        self.peer = address;
        self.introduced = true;
        // The session begins anew.
        self.greeting = None;
        self.login = None;
        // The proxy's own, not its client's.
        self.certificate = None;
        let greeting = replies::greeting(&self.shared.hostname, self.role);
        self.answer(&greeting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_what_is_read() {
        let v4 = Some("203.0.113.5".parse().unwrap());
        assert_eq!(address("NAME=x ADDR=203.0.113.5 PORT=7"), Ok(v4));
        let v6 = Some("2001:db8::5".parse().unwrap());
        assert_eq!(address("ADDR=IPV6:2001:db8::5"), Ok(v6));
        assert_eq!(address("ADDR=[UNAVAILABLE] PROTO=ESMTP"), Ok(None));
        assert_eq!(address(""), Ok(None));
        assert_eq!(address("LOGIN=ada@example.com"), Ok(None));
        for claims in ["ADDR", "ADDR=here", "ADDR=IPV6:", "ADDR=é"] {
            assert_eq!(address(claims), Err(()), "{claims}");
        }
    }

    #[test]
    fn the_verb_is_known_whatever_its_case() {
        assert_eq!(claims(b"xclient ADDR=::1"), Some("ADDR=::1"));
        assert_eq!(claims(b"XCLIENT"), Some(""));
        assert_eq!(claims(b"XCLIENTS A=1"), None);
        assert_eq!(claims(b"\xff"), None);
    }
}
