use super::*;
use crate::letter::tests::sound;

fn told(en: &str, fr: &str) -> Told {
    Told {
        en: en.into(),
        fr: fr.into(),
    }
}

fn a_refusal(language: Language) -> Refusal {
    let refused = |part, name: &str, en, fr| Refused {
        part,
        name: name.into(),
        why: told(en, fr),
    };
    Refusal {
        message_id: "01K6G3S2Q8M4T7V9W0X1Y2Z3A4.refusal@fax.example.com".into(),
        from: "fax@fax.example.com".into(),
        to: "alice@example.com".into(),
        date_ms: 1_790_856_260_000,
        language,
        in_reply_to: Some("offer-1@example.com".into()),
        subject: "Offer for the roof".into(),
        submission_id: "01K6G3S2Q8M4T7V9W0X1Y2Z3A4".into(),
        refused: vec![
            refused(
                Part::Option,
                "#resolution=ultra",
                "there is no such resolution: write standard, fine or superfine",
                "cette résolution n'existe pas: écrivez standard, fine ou superfine",
            ),
            refused(
                Part::Recipient,
                "+33912345678@fax.example.com",
                "your organisation does not let you fax numbers that begin with +339: ask your administrator",
                "votre organisation ne vous permet pas de faxer les numéros qui commencent par +339: adressez-vous à votre \
                 administrateur",
            ),
            refused(
                Part::Attachment,
                "offer.heic",
                "pictures of this kind can't be read here: send JPEG or PDF",
                "les images de ce type ne peuvent pas être lues ici: envoyez du JPEG ou du PDF",
            ),
        ],
        accepted: vec!["+33123456789".into(), "+4930123456".into()],
    }
}

#[test]
fn promise_2_a_refusal_names_each_thing_and_its_rule() {
    for language in Language::ALL {
        let mail = refusal(&a_refusal(language)).unwrap();
        insta::assert_snapshot!(
            format!("refusal-{}", language.code()),
            sound(&mail).replace("\r\n", "\n")
        );
    }
}

#[test]
fn promise_2_a_refusal_of_very_many_ends() {
    let mut letter = a_refusal(Language::En);
    letter.refused = vec![letter.refused[1].clone(); 5000];
    letter.subject = "x\r\nBcc: victim@example.com".into();
    letter.refused[0].name = "x\r\n\r\n<script>".into();
    let mail = refusal(&letter).unwrap();
    sound(&mail);
    assert!(mail.len() < 100_000, "{}", mail.len());
    let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
    assert!(parsed.bcc().is_none());
    assert!(parsed.body_text(0).unwrap().contains("and 4900 more"));
}
