use std::os::unix::fs::PermissionsExt as _;

use mail_auth::{AuthenticatedMessage, dkim::Signature};

use super::*;

const MAIL: &[u8] = b"From: \"Fax\" <fax@fax.example.com>\r\nTo: <a@example.com>\r\nDate: Thu, 1 Oct 2026 12:04:20 +0000\r\n\
    Subject: x\r\nMessage-ID: <1@fax.example.com>\r\nAuto-Submitted: auto-replied\r\n\r\nText.\r\n";

#[test]
fn a_key_is_private_and_its_record_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let made = make(dir.path(), "Fax.Example.com", "a", KeyKind::Ed25519).unwrap();
    assert_eq!(made.name(), "a._domainkey.fax.example.com");
    assert!(
        made.record.starts_with("v=DKIM1; k=ed25519; p=") && made.signs,
        "{made:?}"
    );
    assert_eq!(loose(&made), None);
    let twice = make(dir.path(), "fax.example.com", "a", KeyKind::Ed25519).unwrap_err();
    assert!(twice.contains("another selector"), "{twice}");
    let next = make(dir.path(), "fax.example.com", "b", KeyKind::Ed25519).unwrap();
    let all = keys(dir.path()).unwrap();
    let signing: Vec<_> = all
        .iter()
        .map(|key| (key.selector.as_str(), key.signs))
        .collect();
    assert_eq!(signing, [("a", false), ("b", true)]);
    fs::set_permissions(&next.file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(loose(&next).unwrap().contains("chmod 600"));
    for wrong in ["../x", "localhost", "", "a/b.example"] {
        assert!(
            make(dir.path(), wrong, "a", KeyKind::Ed25519).is_err(),
            "{wrong}"
        );
    }
    assert!(make(dir.path(), "example.com", "../../a", KeyKind::Ed25519).is_err());
}

#[test]
fn our_mails_are_signed_by_each_kind_of_key_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), "fax.example.com", "ed", KeyKind::Ed25519).unwrap();
    make(dir.path(), "fax.example.com", "rsa", KeyKind::Rsa).unwrap();
    let signing = Signing::new(dir.path());
    let signed = signing.signed(MAIL.to_vec());
    let text = String::from_utf8(signed.clone()).unwrap();
    assert!(text.ends_with(std::str::from_utf8(MAIL).unwrap()));
    assert_eq!(text.matches("DKIM-Signature: ").count(), 2, "{text}");
    let message = AuthenticatedMessage::parse(&signed).unwrap();
    let mut kinds = Vec::new();
    for header in &message.dkim_headers {
        let signature: &Signature = &header.header;
        assert_eq!(signature.d, "fax.example.com");
        kinds.push(signature.s.clone());
        for covered in [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Reply-To",
            "Auto-Submitted",
        ] {
            let has = signature
                .h
                .iter()
                .any(|name| name.eq_ignore_ascii_case(covered));
            assert!(has, "{covered}: {:?}", signature.h);
        }
    }
    kinds.sort();
    assert_eq!(kinds, ["ed", "rsa"]);
    let foreign = String::from_utf8(MAIL.to_vec()).unwrap();
    let foreign = foreign.replace("fax@fax.example.com", "x@elsewhere.example");
    assert_eq!(
        signing.signed(foreign.clone().into_bytes()),
        foreign.as_bytes()
    );
}
