//! By what a mail was accepted, for its sender: who sees another's fax in their name learns how it came.

use crate::language::Language;

/// The record's words (`dkim example.com`) as a sentence; nothing of a record that has none.
pub(super) fn words(record: &str, language: Language) -> Option<String> {
    let (kind, of) = record.split_once(' ').unwrap_or((record, ""));
    let (first, second) = of.split_once(' ').unwrap_or((of, ""));
    let (en, fr) = match kind {
        "network" => (
            format!("sent from {of}, a network whose hosts are trusted"),
            format!("envoyé de {of}, un réseau dont les machines sont de confiance"),
        ),
        "password" => (
            "sent with your mail password".to_owned(),
            "envoyé avec votre mot de passe de messagerie".to_owned(),
        ),
        "dkim" => (
            format!("signed by {of} (DKIM)"),
            format!("signé par {of} (DKIM)"),
        ),
        "spf" => (
            format!("sent from {second}, which {first} lets send for it (SPF)"),
            format!("envoyé de {second}, que {first} autorise (SPF)"),
        ),
        "certificate" => (
            format!("sent by a machine with the certificate {of}…"),
            format!("envoyé par un appareil muni du certificat {of}…"),
        ),
        "authority" => (
            format!("sent by a machine with a certificate for {of}"),
            format!("envoyé par un appareil muni d'un certificat pour {of}"),
        ),
        "secret" => (
            "sent with a secret of yours".to_owned(),
            "envoyé avec un secret qui est à vous".to_owned(),
        ),
        "relay" => (
            format!("vouched for by the mail server {of}"),
            format!("garanti par le serveur de messagerie {of}"),
        ),
        "mailbox" => (
            format!("vouched for by {of}, the server of the mailbox that it was sent to"),
            format!(
                "garanti par {of}, le serveur de la boîte aux lettres à laquelle il a été adressé"
            ),
        ),
        _ => return None,
    };
    Some(match language {
        Language::En => format!("Accepted because it was {en}"),
        Language::Fr => format!("Accepté parce qu'il a été {fr}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proof_has_its_sentence_in_both_languages() {
        for record in [
            "network 127.0.0.1",
            "password",
            "secret",
            "certificate abababababababab",
            "authority scanner.example.com",
            "dkim example.com",
            "spf example.com 192.0.2.1",
            "relay mx.example.com",
            "mailbox mx.example.com",
        ] {
            for language in [Language::En, Language::Fr] {
                let said = words(record, language).unwrap_or_default();
                assert!(said.len() > 30, "{record}: {said:?}");
                for part in record.split(' ').skip(1) {
                    assert!(said.contains(part), "{said}");
                }
            }
        }
        assert_eq!(words("", Language::En), None);
    }
}
