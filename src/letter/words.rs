//! The phrases of letters. Results of calls have theirs in [`crate::outcome`].

use crate::language::{Say, say};

pub(super) const FAX: Say = say("Fax", "Fax");
pub(super) const NO_SUBJECT: Say = say("(no subject)", "(sans objet)");

// Subjects: what became of the whole submission.
pub(super) const SENT: Say = say("Sent", "Envoyé");
pub(super) const NOT_SENT: Say = say("Not sent", "Non envoyé");
pub(super) const PARTLY_SENT: Say = say("Partly sent", "Envoyé en partie");
pub(super) const PARTLY_CONFIRMED: Say = say("Partly confirmed", "Confirmé en partie");
pub(super) const NOT_CONFIRMED: Say = say("Not confirmed", "Non confirmé");
pub(super) const CANCELLED: Say = say("Cancelled", "Annulé");

// Results of one destination.
pub(super) const RESULT_SENT: Say = say("sent", "envoyé");
pub(super) const RESULT_PARTLY: Say = say("partly sent", "envoyé en partie");
pub(super) const RESULT_FAILED: Say = say("not sent", "non envoyé");
pub(super) const RESULT_CANCELLED: Say = say("cancelled", "annulé");
pub(super) const RESULT_UNKNOWN: Say = say(
    "not confirmed: it may have arrived",
    "non confirmé\u{a0}: il est peut-être arrivé",
);
pub(super) const RESULT_PARTLY_CONFIRMED: Say = say(
    "partly confirmed: other pages may have arrived",
    "confirmé en partie\u{a0}: d'autres pages sont peut-être arrivées",
);

// Labels.
pub(super) const PAGES: Say = say("Pages", "Pages");
pub(super) const PAGE_BY_PAGE: Say = say("Page by page", "Page par page");
pub(super) const POSSIBLE_REPEATS: Say = say("Possible repeats", "Répétitions possibles");
pub(super) const MARKED_IN_THE_HEADER: Say = say(
    "(sent again, “possible repeat” in the header line)",
    "(nouvel envoi, «\u{a0}répétition possible\u{a0}» dans la ligne d'en-tête)",
);
pub(super) const REMOTE_IDENT: Say = say("Far machine", "Appareil distant");
pub(super) const STARTED: Say = say("Last call", "Dernier appel");
pub(super) const DURATION: Say = say("Duration", "Durée");
pub(super) const SPEED: Say = say("Speed", "Débit");
pub(super) const CALLS: Say = say("Calls placed", "Appels passés");
pub(super) const DETAIL: Say = say("Detail", "Précision");
pub(super) const CALLER: Say = say("From", "De");
pub(super) const CALLED: Say = say("To", "À");
pub(super) const SUB_ADDRESS: Say = say("Sub-address", "Sous-adresse");
pub(super) const BILLING_CODE: Say = say("Billing code", "Code de facturation");
pub(super) const CALLER_IDENT: Say = say("Sender's machine", "Appareil de l'expéditeur");
pub(super) const ARRIVED: Say = say("Received", "Reçu");

// Sentences and parts of them.
pub(super) const WITH_ECM: Say = say("with error correction", "avec correction d'erreurs");
pub(super) const WITHOUT_ECM: Say = say("without error correction", "sans correction d'erreurs");
pub(super) const ON_THE_DOCUMENT: Say = say("About the document", "À propos du document");
pub(super) const FIRST_PAGE: Say = say(
    "The first page as it was drawn; the header line and the final resolution are added on the call",
    "La première page telle qu'elle a été dessinée\u{a0}; la ligne d'en-tête et la résolution définitive \
     s'ajoutent lors de l'appel",
);
pub(super) const TECHNICAL: Say = say("Technical details", "Détails techniques");
pub(super) const UNKNOWN_CALLER: Say = say("an unknown number", "un numéro inconnu");
pub(super) const UNKNOWN_NUMBER: Say = say("unknown", "inconnu");
pub(super) const ATTACHED: Say = say(
    "The fax is attached as a PDF.",
    "Le fax est joint au format PDF.",
);
pub(super) const ATTACHED_SEALED: Say = say(
    "The fax is attached as a PDF that opens with your password.",
    "Le fax est joint au format PDF\u{a0}; il s'ouvre avec votre mot de passe.",
);
pub(super) const ATTACHED_TIFF: Say = say(
    "The fax is attached as a TIFF file.",
    "Le fax est joint au format TIFF.",
);
pub(super) const ATTACHED_PICTURES: Say = say(
    "The fax is attached as pictures, one for each page.",
    "Le fax est joint sous forme d'images, une par page.",
);
pub(super) const SEARCHABLE: Say = say(
    "Its text can be searched.",
    "Son texte peut être recherché.",
);
pub(super) const ONLY_NOTICE: Say = say(
    "Its pages are not attached: for your address, faxes are only announced.",
    "Ses pages ne sont pas jointes\u{a0}: pour votre adresse, les fax sont seulement annoncés.",
);
pub(super) const TOO_MANY: Say = say(
    "Its pages are not attached: as pictures they are too many for one message.",
    "Ses pages ne sont pas jointes\u{a0}: sous forme d'images, elles sont trop nombreuses pour un seul message.",
);
pub(super) const NOT_SET: Say = say(
    "Its pages are not attached: your address was taken off the number while it came.",
    "Ses pages ne sont pas jointes\u{a0}: votre adresse a été retirée du numéro pendant sa réception.",
);
pub(super) const ASK_FOR_NUMBER: Say = say(
    "Faxes of this number are not sent to your address any more. If you should have them, ask your administrator.",
    "Les fax de ce numéro ne sont plus envoyés à votre adresse. Si vous devez les recevoir, adressez-vous à votre \
     administrateur.",
);
pub(super) const LOST_PAGES: Say = say(
    "Its pages are not attached: what was stored of them can't be read any more.",
    "Ses pages ne sont pas jointes\u{a0}: ce qui en a été conservé ne peut plus être lu.",
);
pub(super) const ASK_SENDER: Say = say(
    "Please ask the sender to send the fax again, and tell your administrator the id below: the gateway's log has the \
     reason.",
    "Veuillez demander à l'expéditeur d'envoyer le fax à nouveau, et indiquez l'identifiant ci-dessous à votre \
     administrateur\u{a0}: le journal de la passerelle donne la raison.",
);
pub(super) const LOST_PASSWORD: Say = say(
    "Its pages are not attached: the password that closes them for you can't be read any more.",
    "Ses pages ne sont pas jointes\u{a0}: le mot de passe qui les protège pour vous ne peut plus être lu.",
);
pub(super) const NO_FILES: Say = say(
    "Its pages are not attached: they could not be made files of the form that is set for your address.",
    "Ses pages ne sont pas jointes\u{a0}: elles n'ont pas pu être converties dans la forme choisie pour votre adresse.",
);
pub(super) const INCOMPLETE: Say = say(
    "This fax is incomplete: the call ended before the sender had sent all pages. The attached \
     pages are all that were confirmed to the sender.",
    "Ce fax est incomplet\u{a0}: l'appel s'est terminé avant que l'expéditeur ait envoyé toutes les \
     pages. Les pages jointes sont toutes celles qui lui ont été confirmées.",
);
pub(super) const REPORT_FOOT: Say = say(
    "A page counts as confirmed only when the far machine said so. This message was written \
     automatically.",
    "Une page ne compte comme confirmée que si l'appareil distant l'a dit. Ce message a été écrit \
     automatiquement.",
);
pub(super) const AUTOMATIC_FOOT: Say = say(
    "This message was written automatically.",
    "Ce message a été écrit automatiquement.",
);

// Verdicts on pages; the second of each pair is for more than one.
pub(super) const CONFIRMED: [Say; 2] = [
    say("confirmed", "confirmée"),
    say("confirmed", "confirmées"),
];
pub(super) const REFUSED: [Say; 2] = [
    say(
        "refused by the far machine",
        "refusée par l'appareil distant",
    ),
    say(
        "refused by the far machine",
        "refusées par l'appareil distant",
    ),
];
pub(super) const UNKNOWN: [Say; 2] = [
    say(
        "unknown (sent, but not answered: may have arrived)",
        "inconnue (envoyée sans réponse\u{a0}: peut-être arrivée)",
    ),
    say(
        "unknown (sent, but not answered: may have arrived)",
        "inconnues (envoyées sans réponse\u{a0}: peut-être arrivées)",
    ),
];
pub(super) const UNSENT: [Say; 2] = [
    say("not sent", "non envoyée"),
    say("not sent", "non envoyées"),
];
