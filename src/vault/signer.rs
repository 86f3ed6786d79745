//! Signs what goes out of the house and comes back: HMAC-SHA-256 with a key that no database has.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keys::KEY;

/// Signs and checks. The key stays in here.
pub struct Signer(Zeroizing<[u8; KEY]>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(super) fn new(key: Zeroizing<[u8; KEY]>) -> Self {
        Self(key)
    }

    /// The first `N` octets (32 at most) of the code of these fields. Each is preceded by its length, so that none
    /// can lend its end to the next.
    #[must_use]
    pub fn sign<const N: usize>(&self, fields: &[&[u8]]) -> [u8; N] {
        let code = self.of(fields).finalize().into_bytes();
        std::array::from_fn(|at| code[at])
    }

    /// Whether `code` is the beginning of the code of these fields; it takes as long for every difference.
    #[must_use]
    pub fn signed(&self, fields: &[&[u8]], code: &[u8]) -> bool {
        self.of(fields).verify_truncated_left(code).is_ok()
    }

    fn of(&self, fields: &[&[u8]]) -> Hmac<Sha256> {
        // RFC 2104 §2: a key of any length will do.
        #[allow(clippy::expect_used)]
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_fields_and_the_same_key_sign_the_same() {
        let one = Signer::new(Zeroizing::new([1; KEY]));
        let code: [u8; 20] = one.sign(&[b"ab", b"c"]);
        assert!(one.signed(&[b"ab", b"c"], &code));
        assert!(!one.signed(&[b"a", b"bc"], &code));
        assert!(!one.signed(&[b"ab", b"c", b""], &code));
        assert!(!Signer::new(Zeroizing::new([2; KEY])).signed(&[b"ab", b"c"], &code));
        assert!(!one.signed(&[b"ab", b"c"], b""), "nothing signs nothing");
    }
}
