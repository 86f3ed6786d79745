//! SCRAM-SHA-256, the server's side of the talk (RFC 5802 §5 and §7, RFC 7677).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::people::Verifier;

/// Octets of our half of the nonce, before base64.
const NONCE: usize = 18;

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub struct First {
    /// Who logs in.
    pub login: String,
    /// The header for channel binding, with its commas.
    gs2: String,
    bare: String,
    nonce: String,
}

/// What the client said is no such message; or it wants what isn't offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl First {
    /// Reads `n,,n=login,r=nonce`.
    pub fn read(message: &str) -> Result<Self, Malformed> {
        let mut fields = message.splitn(3, ',');
        let (binding, identity, bare) = (
            fields.next().ok_or(Malformed)?,
            fields.next().ok_or(Malformed)?,
            fields.next().ok_or(Malformed)?,
        );
        // "p=": the client binds the channel, which isn't offered, so somebody between made it believe so.
        if !matches!(binding, "n" | "y") {
            return Err(Malformed);
        }
        let mut fields = bare.split(',');
        // "m=" would come first and means an extension that must be understood (§5.1).
        let login = fields.next().and_then(|field| field.strip_prefix("n="));
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        let (Some(login), Some(nonce)) = (login.and_then(plain_name), nonce) else {
            return Err(Malformed);
        };
        let printable = nonce.bytes().all(|octet| octet.is_ascii_graphic());
        if login.is_empty() || nonce.is_empty() || nonce.len() > 256 || !printable {
            return Err(Malformed);
        }
        // Nobody logs in as another here.
        let another = match identity.strip_prefix("a=") {
            Some(name) => !plain_name(name).is_some_and(|name| name.eq_ignore_ascii_case(&login)),
            None => !identity.is_empty(),
        };
        if another {
            return Err(Malformed);
        }
        Ok(Self {
            login,
            gs2: format!("{binding},{identity},"),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }
}

/// §5.1: "=2C" and "=3D" stand for comma and equals sign, and nothing else begins with "=".
fn plain_name(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (mark, rest) = part.split_at_checked(2)?;
        plain.push(match mark {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        plain.push_str(rest);
    }
    Some(plain)
}

/// After our challenge.
pub struct Challenged {
    first: First,
    verifier: Verifier,
    nonce: String,
    challenge: String,
}

impl Challenged {
    /// Makes the challenge for a client.
    pub fn new(first: First, verifier: Verifier) -> Result<Self, getrandom::Error> {
        let mut ours = [0; NONCE];
        getrandom::fill(&mut ours)?;
        Ok(Self::with_nonce(first, verifier, &STANDARD.encode(ours)))
    }

    fn with_nonce(first: First, verifier: Verifier, ours: &str) -> Self {
        let nonce = format!("{}{ours}", first.nonce);
        let salt = STANDARD.encode(&verifier.salt);
        let challenge = format!("r={nonce},s={salt},i={}", verifier.iterations);
        Self {
            first,
            verifier,
            nonce,
            challenge,
        }
    }

    /// `r=nonce,s=salt,i=iterations`
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Judges `c=binding,r=nonce,p=proof`: our own proof when the password is right, None when it isn't.
    pub fn judge(&self, message: &str) -> Result<Option<String>, Malformed> {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| Malformed)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|field| field.strip_prefix("c="));
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        if binding != Some(&*STANDARD.encode(&self.first.gs2)) || nonce != Some(&*self.nonce) {
            return Err(Malformed);
        }
        let talk = format!("{},{},{without_proof}", self.first.bare, self.challenge);
        let ours = self.verifier.check(talk.as_bytes(), &proof);
        Ok(ours.map(|ours| format!("v={}", STANDARD.encode(ours))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn challenged() -> Challenged {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::of("pencil", &salt, 4096);
        let first = First::read("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        Challenged::with_nonce(first, verifier, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    }

    /// RFC 7677 §3
    #[test]
    fn the_standards_talk_goes_as_written() {
        let challenged = challenged();
        assert_eq!(
            challenged.challenge(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        assert_eq!(
            challenged.judge(FINAL),
            Ok(Some(
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".into()
            ))
        );
        let wrong = FINAL.replace("p=d", "p=e");
        assert_eq!(challenged.judge(&wrong), Ok(None));
        for broken in [
            "",
            "c=biws,r=x,p=AAAA",
            &FINAL.replace("c=biws", "c=eSws"),
            &FINAL.replace("$k0", "$k1"),
            &FINAL.replace("p=d", "p=!"),
        ] {
            assert_eq!(challenged.judge(broken), Err(Malformed), "{broken}");
        }
    }

    #[test]
    fn first_messages_are_read() {
        let login = |message: &str| First::read(message).map(|first| first.login);
        assert_eq!(login("y,,n=a=2Cb=3D,r=x"), Ok("a,b=".into()));
        assert_eq!(login("n,a=ada@x,n=ada@x,r=x,ext=1"), Ok("ada@x".into()));
        for message in [
            "",
            "n,,",
            "n,,n=,r=x",
            "n,,n=a,r=",
            "n,,n=a=2c,r=x",
            "n,,n=a=,r=x",
            "p=tls-unique,,n=a,r=x",
            "n,a=eve,n=ada,r=x",
            "n,,m=ext,n=a,r=x",
            "n,,n=a,r=\u{7f}",
        ] {
            assert_eq!(login(message), Err(Malformed), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_words_end(message in ".{0,60}") {
            let _ = First::read(&message);
            let _ = challenged().judge(&message);
        }
    }
}
