//! What a template is tried with: covers as they come, in both languages, and the two that break most.

use super::{Cover, Language, Template};

/// Covers as they come: in English and French, with a text that fills pages and long values, and with nothing
/// at all.
#[must_use]
pub fn sample_covers(template: &Template, logo: Option<&[u8]>) -> [Cover; 4] {
    let logo = logo.map(<[u8]>::to_vec);
    let english = Cover {
        template: template.clone(),
        logo,
        organisation: "Atelier Lumière".into(),
        from_name: "Élodie Lefèvre".into(),
        from_number: "+33 1 23 45 67 89".into(),
        from_address: "elodie@atelier-lumiere.example".into(),
        to_name: "Marie Durand".into(),
        to_number: "+33 3 20 11 22 33".into(),
        date: "21 November 2026, 21:40".into(),
        subject: "Signed agreement no. 2026-114 and annexes".into(),
        message: "Dear Ms Durand,\n\nplease find enclosed the signed agreement with its two annexes. Could \
                  you confirm by return that all pages are readable?\n\nKind regards,\nÉlodie Lefèvre"
            .into(),
        message_is_html: false,
        document_pages: 3,
        footer: "Atelier Lumière SARL · 12 rue de l’Échiquier · 75010 Paris · RCS Paris 123 456 789".into(),
        language: Language::En,
    };
    let french = Cover {
        date: "21 novembre 2026 à 21:40".into(),
        subject: "Contrat signé n° 2026-114 et annexes".into(),
        message: "Madame,\n\nveuillez trouver ci-joint le contrat signé, accompagné de ses deux annexes. \
                  Pourriez-vous nous confirmer que toutes les pages sont lisibles ?\n\nCordialement,\n\
                  Élodie Lefèvre"
            .into(),
        language: Language::Fr,
        ..english.clone()
    };
    let long = Cover {
        logo: None,
        organisation: "Société générale d’études et de réalisations en éclairage architectural".into(),
        to_name: "Ms Marie-Clémentine Durand-Desrosiers, Head of Purchasing, Transports du Nord et de l’Est".into(),
        from_name: "Élodie Lefèvre-Vandenbroucke, Service des contrats et des litiges".into(),
        subject: "Signed agreement no. 2026-114, its annexes, and everything else that was to be said ".repeat(2),
        message: "Another line of a letter that goes on.\n".repeat(90),
        document_pages: 128,
        ..english.clone()
    };
    let bare = Cover {
        template: template.clone(),
        to_number: "+33320112233".into(),
        ..Cover::default()
    };
    [english, french, long, bare]
}
