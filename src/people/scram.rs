//! What SCRAM-SHA-256 checks a mail password by (RFC 5802 §3, RFC 7677).
//!
//! The verifier proves the password without holding it, and can't be used to log in. Whoever steals it may
//! guess, at the price of [`ITERATIONS`] rounds a guess.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Rounds of PBKDF2. RFC 7677 §4 wants 4096 at least; this many take 40 ms here, and about as long at a
/// client.
pub const ITERATIONS: u32 = 120_000;
const NAME: &str = "SCRAM-SHA-256";

/// A password's verifier.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// Of the password alone.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl Verifier {
    /// The verifier of a password, which is prepared already.
    #[must_use]
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut salted = zeroize::Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut *salted);
        let client_key = zeroize::Zeroizing::new(mac(&*salted, b"Client Key"));
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: Sha256::digest(*client_key).into(),
            server_key: mac(&*salted, b"Server Key"),
        }
    }

    /// One that no password fits, the same each time for a login that nobody has: whoever asks can't tell.
    pub(super) fn of_nobody(secret: &[u8], login: &str) -> Self {
        let salt = mac(secret, login.as_bytes());
        Self {
            salt: salt[..16].to_vec(),
            iterations: ITERATIONS,
            stored_key: mac(secret, &salt),
            server_key: mac(secret, b""),
        }
    }

    /// Whether the client knows the password (RFC 5802 §3): then what proves that we know it too.
    #[must_use]
    pub fn check(&self, message: &[u8], proof: &[u8]) -> Option<[u8; 32]> {
        let signature = mac(&self.stored_key, message);
        let proof: &[u8; 32] = proof.try_into().ok()?;
        let client_key: [u8; 32] = std::array::from_fn(|at| proof[at] ^ signature[at]);
        let known: [u8; 32] = Sha256::digest(client_key).into();
        // As long for every difference.
        let differs = known
            .iter()
            .zip(self.stored_key)
            .fold(0, |all, (a, b)| all | (a ^ b));
        (differs == 0).then(|| mac(&self.server_key, message))
    }

    /// As it is kept (RFC 5803).
    pub(super) fn kept(&self) -> String {
        let [salt, stored, server] = [&self.salt[..], &self.stored_key, &self.server_key]
            .map(|octets| STANDARD.encode(octets));
        format!("{NAME}${}:{salt}${stored}:{server}", self.iterations)
    }

    /// From what is kept.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix(NAME)?.strip_prefix('$')?.split('$');
        let (iterations, salt) = fields.next()?.split_once(':')?;
        let (stored, server) = fields.next()?.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        Some(Self {
            salt: STANDARD.decode(salt).ok()?,
            iterations: iterations.parse().ok()?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 §3.
    #[test]
    fn the_standards_example_is_proven() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::of("pencil", &salt, 4096);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = STANDARD
            .decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
            .unwrap();
        let ours = verifier.check(message.as_bytes(), &proof).unwrap();
        assert_eq!(
            STANDARD.encode(ours),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let mut wrong = proof.clone();
        wrong[31] ^= 1;
        assert_eq!(verifier.check(message.as_bytes(), &wrong), None);
        assert_eq!(verifier.check(message.as_bytes(), &proof[..31]), None);
        assert_eq!(verifier.check(b"another exchange", &proof), None);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let verifier = Verifier::of("pencil", b"salt", 2);
        assert_eq!(Verifier::read(&verifier.kept()), Some(verifier));
        for text in ["", "SCRAM-SHA-256$4096:c2FsdA==", "$argon2id$v=19$m=19456"] {
            assert_eq!(Verifier::read(text), None, "{text}");
        }
    }

    #[test]
    fn nobody_looks_the_same_each_time() {
        let nobody = Verifier::of_nobody(b"secret", "eve@example.com");
        assert_eq!(nobody, Verifier::of_nobody(b"secret", "eve@example.com"));
        let other = Verifier::of_nobody(b"secret", "bob@example.com");
        assert_ne!(nobody.salt, other.salt);
        assert_eq!(nobody.salt.len(), 16);
    }
}
