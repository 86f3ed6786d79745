//! The rows: every outcome with its words, both languages side by side.

use super::{Outcome, RetryClass};
use crate::language::{Say, say};

const NOTHING: Say = say("", "");

// Calls that did what they should.

/// All pages were sent and the far end confirmed each of them.
pub static SENT: Outcome = Outcome {
    key: "sent",
    retry: RetryClass::Never,
    dsn: "2.0.0",
    what: say(
        "All pages were sent and the far end confirmed each of them.",
        "Toutes les pages ont été envoyées et le destinataire a confirmé chacune d'elles.",
    ),
    advice: NOTHING,
};

/// The fax was received whole.
pub static RECEIVED: Outcome = Outcome {
    key: "received",
    retry: RetryClass::Never,
    dsn: "2.0.0",
    what: say(
        "The fax was received whole.",
        "Le fax a été reçu en entier.",
    ),
    advice: NOTHING,
};

// Nobody took the call.

/// The line was busy.
pub static BUSY: Outcome = Outcome {
    key: "busy",
    retry: RetryClass::Busy,
    dsn: "4.4.1",
    what: say("The line was busy.", "La ligne était occupée."),
    advice: say(
        "Try again later, or ask the recipient whether the fax line is in use.",
        "Réessayez plus tard, ou demandez au destinataire si sa ligne de fax est utilisée.",
    ),
};

/// Nobody answered: it rang, but no machine took the call.
pub static NO_ANSWER: Outcome = Outcome {
    key: "no-answer",
    retry: RetryClass::NoAnswer,
    dsn: "4.4.1",
    what: say(
        "Nobody answered: it rang, but no machine took the call.",
        "Personne n'a répondu\u{a0}: la ligne a sonné, mais aucun appareil n'a pris l'appel.",
    ),
    advice: say(
        "Ask the recipient whether the fax machine is switched on and has paper.",
        "Demandez au destinataire si son télécopieur est allumé et s'il a du papier.",
    ),
};

/// The recipient's line can't be reached at the moment.
pub static NOT_REACHABLE: Outcome = Outcome {
    key: "not-reachable",
    retry: RetryClass::NoAnswer,
    dsn: "4.4.1",
    what: say(
        "The recipient's line can't be reached at the moment.",
        "La ligne du destinataire est injoignable pour le moment.",
    ),
    advice: say(
        "Try again later, or ask the recipient whether the line works.",
        "Réessayez plus tard, ou demandez au destinataire si sa ligne fonctionne.",
    ),
};

// The number.

/// This number is not in service.
pub static NO_SUCH_NUMBER: Outcome = Outcome {
    key: "no-such-number",
    retry: RetryClass::Never,
    dsn: "5.1.1",
    what: say(
        "This number is not in service.",
        "Ce numéro n'est pas attribué.",
    ),
    advice: say("Check the number.", "Vérifiez le numéro."),
};

/// This number has changed.
pub static NUMBER_CHANGED: Outcome = Outcome {
    key: "number-changed",
    retry: RetryClass::Never,
    dsn: "5.1.6",
    what: say("This number has changed.", "Ce numéro a changé."),
    advice: say(
        "Ask the recipient for the new number.",
        "Demandez le nouveau numéro au destinataire.",
    ),
};

/// The number is incomplete or has a wrong format.
pub static NUMBER_INCOMPLETE: Outcome = Outcome {
    key: "number-incomplete",
    retry: RetryClass::Never,
    dsn: "5.1.3",
    what: say(
        "The number is incomplete or has a wrong format.",
        "Le numéro est incomplet ou mal formé.",
    ),
    advice: say(
        "Check the number, with its country code.",
        "Vérifiez le numéro, y compris l'indicatif du pays.",
    ),
};

/// The number is forwarded to another one, and we do not follow.
pub static REDIRECTED: Outcome = Outcome {
    key: "redirected",
    retry: RetryClass::Never,
    dsn: "5.1.6",
    what: say(
        "The number is forwarded to another one, and we do not follow.",
        "Le numéro est renvoyé vers un autre, et nous ne suivons pas ce renvoi.",
    ),
    advice: say(
        "Ask the recipient for the number of the fax machine.",
        "Demandez au destinataire le numéro de son télécopieur.",
    ),
};

/// The call was rejected.
pub static REJECTED: Outcome = Outcome {
    key: "rejected",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say("The call was rejected.", "L'appel a été refusé."),
    advice: say(
        "The recipient may block this caller's number, or accept known callers only. Ask the recipient.",
        "Il se peut que le destinataire bloque le numéro appelant, ou n'accepte que des appelants connus. Demandez-le-lui.",
    ),
};

/// Our telephone provider does not allow calls to this number.
pub static BARRED: Outcome = Outcome {
    key: "barred",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say(
        "Our telephone provider does not allow calls to this number.",
        "Notre opérateur téléphonique n'autorise pas les appels vers ce numéro.",
    ),
    advice: say(
        "Ask your administrator whether this destination can be opened.",
        "Demandez à votre administrateur si cette destination peut être ouverte.",
    ),
};

/// The caller's number was not accepted.
pub static CALLER_NUMBER_REFUSED: Outcome = Outcome {
    key: "caller-number-refused",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say(
        "The caller's number was not accepted.",
        "Le numéro appelant n'a pas été accepté.",
    ),
    advice: say(
        "Ask your administrator to check the number that your faxes are sent from.",
        "Demandez à votre administrateur de vérifier le numéro depuis lequel vos fax sont envoyés.",
    ),
};

// The trunk and the network.

/// Our telephone provider did not answer.
pub static TRUNK_UNREACHABLE: Outcome = Outcome {
    key: "trunk-unreachable",
    retry: RetryClass::Trunk,
    dsn: "4.4.1",
    what: say(
        "Our telephone provider did not answer.",
        "Notre opérateur téléphonique n'a pas répondu.",
    ),
    advice: say(
        "This is not the recipient's fault. Try again later, and tell your administrator if it goes on.",
        "Le destinataire n'y est pour rien. Réessayez plus tard, et prévenez votre administrateur si cela continue.",
    ),
};

/// Our telephone provider or the telephone network had a failure.
pub static TRUNK_DOWN: Outcome = Outcome {
    key: "trunk-down",
    retry: RetryClass::Trunk,
    dsn: "4.4.2",
    what: say(
        "Our telephone provider or the telephone network had a failure.",
        "Notre opérateur ou le réseau téléphonique a eu une panne.",
    ),
    advice: say(
        "This is not the recipient's fault. Try again later.",
        "Le destinataire n'y est pour rien. Réessayez plus tard.",
    ),
};

/// All lines to the recipient's network were in use.
pub static TRUNK_FULL: Outcome = Outcome {
    key: "trunk-full",
    retry: RetryClass::Trunk,
    dsn: "4.4.5",
    what: say(
        "All lines to the recipient's network were in use.",
        "Toutes les lignes vers le réseau du destinataire étaient occupées.",
    ),
    advice: say("Try again later.", "Réessayez plus tard."),
};

/// Our telephone provider did not accept our credentials.
pub static TRUNK_AUTHENTICATION: Outcome = Outcome {
    key: "trunk-authentication",
    retry: RetryClass::Trunk,
    dsn: "4.3.5",
    what: say(
        "Our telephone provider did not accept our credentials.",
        "Notre opérateur téléphonique n'a pas accepté nos identifiants.",
    ),
    advice: say(
        "Tell your administrator: the trunk's user or password is wrong.",
        "Prévenez votre administrateur\u{a0}: l'utilisateur ou le mot de passe de la ligne est erroné.",
    ),
};

/// Our telephone provider asks for payment.
pub static TRUNK_CREDIT: Outcome = Outcome {
    key: "trunk-credit",
    retry: RetryClass::Trunk,
    dsn: "4.3.5",
    what: say(
        "Our telephone provider asks for payment.",
        "Notre opérateur téléphonique réclame un paiement.",
    ),
    advice: say(
        "Tell your administrator: the account with the provider is empty or closed.",
        "Prévenez votre administrateur\u{a0}: le compte chez l'opérateur est vide ou fermé.",
    ),
};

/// Our telephone provider did not understand or accept the way we place calls.
pub static TRUNK_REFUSED_REQUEST: Outcome = Outcome {
    key: "trunk-refused-request",
    retry: RetryClass::Trunk,
    dsn: "4.5.0",
    what: say(
        "Our telephone provider did not understand or accept the way we place calls.",
        "Notre opérateur téléphonique n'a pas compris ou accepté notre façon d'appeler.",
    ),
    advice: say(
        "Tell your administrator, and name the technical details below.",
        "Prévenez votre administrateur en citant les détails techniques ci-dessous.",
    ),
};

/// The telephone network found no way to this number.
pub static NO_ROUTE: Outcome = Outcome {
    key: "no-route",
    retry: RetryClass::Trunk,
    dsn: "4.4.4",
    what: say(
        "The telephone network found no way to this number.",
        "Le réseau téléphonique n'a trouvé aucun chemin vers ce numéro.",
    ),
    advice: say(
        "Check the number. If it is right, try again later.",
        "Vérifiez le numéro. S'il est correct, réessayez plus tard.",
    ),
};

/// The line carries no fax calls: it refused both kinds of connection that we offer.
pub static MEDIA_REFUSED: Outcome = Outcome {
    key: "media-refused",
    retry: RetryClass::Trunk,
    dsn: "5.6.3",
    what: say(
        "The line carries no fax calls: it refused both kinds of connection that we offer.",
        "La ligne ne transporte pas de fax\u{a0}: elle a refusé les deux types de connexion que nous proposons.",
    ),
    advice: say(
        "Ask the recipient whether this number is a fax number.",
        "Demandez au destinataire si ce numéro est bien un numéro de fax.",
    ),
};

/// The call was refused with a code that gives no clear reason.
pub static CALL_REFUSED: Outcome = Outcome {
    key: "call-refused",
    retry: RetryClass::Never,
    dsn: "5.4.0",
    what: say(
        "The call was refused with a code that gives no clear reason.",
        "L'appel a été refusé avec un code qui n'indique pas de raison claire.",
    ),
    advice: say(
        "Check the number. If it is right, tell your administrator and name the technical details below.",
        "Vérifiez le numéro. S'il est correct, prévenez votre administrateur en citant les détails techniques ci-dessous.",
    ),
};

// Before the first page.

/// The call was answered, but no fax machine was heard. It may be a telephone or an answering machine.
pub static NO_FAX: Outcome = Outcome {
    key: "no-fax",
    retry: RetryClass::NoFax,
    dsn: "5.6.1",
    what: say(
        "The call was answered, but no fax machine was heard. It may be a telephone or an answering machine.",
        "L'appel a été pris, mais aucun télécopieur ne s'est fait entendre. C'est peut-être un téléphone ou un répondeur.",
    ),
    advice: say(
        "Check the number, or ask the recipient to switch the fax machine to automatic reception.",
        "Vérifiez le numéro, ou demandez au destinataire de mettre son télécopieur en réception automatique.",
    ),
};

/// A fax machine answered, but the two machines did not come to an understanding.
pub static NO_HANDSHAKE: Outcome = Outcome {
    key: "no-handshake",
    retry: RetryClass::Protocol,
    dsn: "4.5.0",
    what: say(
        "A fax machine answered, but the two machines did not come to an understanding.",
        "Un télécopieur a répondu, mais les deux appareils ne se sont pas entendus.",
    ),
    advice: say(
        "The line is poor or the far machine has a fault. Try again, or ask the recipient.",
        "La ligne est mauvaise ou l'appareil distant a un défaut. Réessayez, ou demandez au destinataire.",
    ),
};

/// The line is too poor for a fax, even at the slowest speed.
pub static CANNOT_TRAIN: Outcome = Outcome {
    key: "cannot-train",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The line is too poor for a fax, even at the slowest speed.",
        "La ligne est trop mauvaise pour un fax, même à la vitesse la plus lente.",
    ),
    advice: say("Try again later.", "Réessayez plus tard."),
};

/// The far fax machine hung up before the first page.
pub static FAR_END_HUNG_UP_EARLY: Outcome = Outcome {
    key: "hung-up-early",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The far fax machine hung up before the first page.",
        "Le télécopieur distant a raccroché avant la première page.",
    ),
    advice: say(
        "It may be out of paper, or refuse unknown senders. Ask the recipient.",
        "Il n'a peut-être plus de papier, ou refuse les expéditeurs inconnus. Demandez au destinataire.",
    ),
};

/// The far fax machine can't receive this kind of fax.
pub static INCOMPATIBLE: Outcome = Outcome {
    key: "incompatible",
    retry: RetryClass::Never,
    dsn: "5.6.3",
    what: say(
        "The far fax machine can't receive this kind of fax.",
        "Le télécopieur distant ne peut pas recevoir ce type de fax.",
    ),
    advice: say(
        "Ask the recipient for another fax number.",
        "Demandez un autre numéro de fax au destinataire.",
    ),
};

/// The far fax machine can't receive at the moment.
pub static CANNOT_RECEIVE: Outcome = Outcome {
    key: "cannot-receive",
    retry: RetryClass::NoAnswer,
    dsn: "4.2.1",
    what: say(
        "The far fax machine can't receive at the moment.",
        "Le télécopieur distant ne peut pas recevoir pour le moment.",
    ),
    advice: say(
        "It is probably out of paper, or its memory is full. Ask the recipient.",
        "Il n'a sans doute plus de papier, ou sa mémoire est pleine. Demandez au destinataire.",
    ),
};

/// The far fax machine can't receive pages of this resolution or size.
pub static RESOLUTION_REFUSED: Outcome = Outcome {
    key: "resolution-refused",
    retry: RetryClass::Never,
    dsn: "5.6.3",
    what: say(
        "The far fax machine can't receive pages of this resolution or size.",
        "Le télécopieur distant ne peut pas recevoir des pages de cette résolution ou de cette taille.",
    ),
    advice: say(
        "Send it again in standard resolution on A4.",
        "Renvoyez le fax en résolution standard, au format A4.",
    ),
};

/// The far end asked for its operator, and nobody came.
pub static OPERATOR_INTERRUPT: Outcome = Outcome {
    key: "operator-interrupt",
    retry: RetryClass::Protocol,
    dsn: "4.5.0",
    what: say(
        "The far end asked for its operator, and nobody came.",
        "L'appareil distant a appelé son opérateur, et personne n'est venu.",
    ),
    advice: say(
        "Try again, or telephone the recipient.",
        "Réessayez, ou téléphonez au destinataire.",
    ),
};

/// A machine that calls us wants a document, and we have none to be fetched (T.30 §5.3.6.1.2, DTC).
pub static POLLING_REFUSED: Outcome = Outcome {
    key: "polling-refused",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say(
        "The calling fax machine asked to fetch a document (polling), which is not offered here.",
        "Le télécopieur appelant a demandé à relever un document (polling), ce qui n'est pas proposé ici.",
    ),
    advice: say(
        "Ask the caller what is wanted.",
        "Demandez à l'appelant ce qu'il souhaite.",
    ),
};

/// An identification, sub-address or password that was exchanged with the far machine was not accepted.
pub static FAR_END_UNACCEPTABLE: Outcome = Outcome {
    key: "far-end-unacceptable",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say(
        "An identification, sub-address or password that was exchanged with the far machine was not accepted.",
        "Une identification, une sous-adresse ou un mot de passe échangé avec l'appareil distant n'a pas été accepté.",
    ),
    advice: say(
        "Check the sub-address and the password with the recipient.",
        "Vérifiez la sous-adresse et le mot de passe auprès du destinataire.",
    ),
};

/// The fax was for a sub-address, and the far machine takes none: nothing was sent.
pub static SUB_ADDRESS_NOT_TAKEN: Outcome = Outcome {
    key: "sub-address-not-taken",
    retry: RetryClass::Never,
    dsn: "5.3.3",
    what: say(
        "The far fax machine takes no sub-address: what is meant for one person would lie where everybody reads it. Nothing was sent.",
        "Le télécopieur distant n'accepte pas de sous-adresse\u{a0}: un fax destiné à une personne serait à la vue de tous. Rien n'a été envoyé.",
    ),
    advice: say(
        "Ask the recipient, or send to the number alone if everybody may read it.",
        "Demandez au destinataire, ou envoyez au numéro seul si tout le monde peut lire le fax.",
    ),
};

/// The fax was to go with a password, and the far machine takes none: nothing was sent.
pub static PASSWORD_NOT_TAKEN: Outcome = Outcome {
    key: "password-not-taken",
    retry: RetryClass::Never,
    dsn: "5.3.3",
    what: say(
        "The far fax machine takes no password: a fax that is meant to be locked would lie where everybody reads it. Nothing was sent.",
        "Le télécopieur distant n'accepte pas de mot de passe\u{a0}: un fax qui devait être protégé serait à la vue de tous. Rien n'a été envoyé.",
    ),
    advice: say(
        "Ask the recipient, or send it without X-Fax-Password if everybody may read it.",
        "Demandez au destinataire, ou envoyez-le sans X-Fax-Password si tout le monde peut le lire.",
    ),
};

// During the pages, when we send.

/// The far fax machine refused a page as unreadable.
pub static PAGES_REFUSED: Outcome = Outcome {
    key: "pages-refused",
    retry: RetryClass::Protocol,
    dsn: "4.5.0",
    what: say(
        "The far fax machine refused a page as unreadable.",
        "Le télécopieur distant a refusé une page comme illisible.",
    ),
    advice: say(
        "The line was poor. The pages that it did confirm have arrived.",
        "La ligne était mauvaise. Les pages confirmées sont arrivées.",
    ),
};

/// The call ended in good order, but the far fax machine did not confirm every page.
pub static PAGES_UNCONFIRMED: Outcome = Outcome {
    key: "pages-unconfirmed",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The call ended in good order, but the far fax machine did not confirm every page.",
        "L'appel s'est terminé normalement, mais le télécopieur distant n'a pas confirmé toutes les pages.",
    ),
    advice: say(
        "Ask the recipient which pages are there.",
        "Demandez au destinataire quelles pages sont arrivées.",
    ),
};

/// The far fax machine fell silent after a page and did not confirm it.
pub static NO_CONFIRMATION: Outcome = Outcome {
    key: "no-confirmation",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The far fax machine fell silent after a page and did not confirm it.",
        "Le télécopieur distant s'est tu après une page et ne l'a pas confirmée.",
    ),
    advice: say(
        "The page may have arrived all the same. Ask the recipient.",
        "La page est peut-être arrivée malgré tout. Demandez au destinataire.",
    ),
};

/// The far fax machine hung up after a page without confirming it.
pub static HUNG_UP_AFTER_PAGE: Outcome = Outcome {
    key: "hung-up-after-page",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The far fax machine hung up after a page without confirming it.",
        "Le télécopieur distant a raccroché après une page sans la confirmer.",
    ),
    advice: say(
        "It may be out of paper or memory. Ask the recipient.",
        "Il n'a peut-être plus de papier ou de mémoire. Demandez au destinataire.",
    ),
};

/// The far fax machine said that it was not ready for the next page until the time ran out.
pub static NOT_READY: Outcome = Outcome {
    key: "receiver-not-ready",
    retry: RetryClass::Protocol,
    dsn: "4.2.1",
    what: say(
        "The far fax machine said that it was not ready for the next page until the time ran out.",
        "Le télécopieur distant s'est dit non prêt pour la page suivante jusqu'à expiration du délai.",
    ),
    advice: say(
        "Its memory is probably full. Ask the recipient.",
        "Sa mémoire est sans doute pleine. Demandez au destinataire.",
    ),
};

/// The two fax machines lost each other in the course of the call.
pub static PROTOCOL_ERROR: Outcome = Outcome {
    key: "protocol-error",
    retry: RetryClass::Protocol,
    dsn: "4.5.0",
    what: say(
        "The two fax machines lost each other in the course of the call.",
        "Les deux télécopieurs se sont perdus au cours de l'appel.",
    ),
    advice: say(
        "The line was poor, or the far machine has a fault. Try again later.",
        "La ligne était mauvaise, ou l'appareil distant a un défaut. Réessayez plus tard.",
    ),
};

/// The call was cut off.
pub static DROPPED: Outcome = Outcome {
    key: "dropped",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say("The call was cut off.", "L'appel a été coupé."),
    advice: say("Try again later.", "Réessayez plus tard."),
};

/// The call was cut off in the middle of a page.
pub static DROPPED_IN_PAGE: Outcome = Outcome {
    key: "dropped-in-page",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The call was cut off in the middle of a page.",
        "L'appel a été coupé au milieu d'une page.",
    ),
    advice: say(
        "That page may have arrived in part. Ask the recipient.",
        "Cette page est peut-être arrivée en partie. Demandez au destinataire.",
    ),
};

// During the pages, when we receive.

/// The sender's fax machine stopped in the middle of the fax.
pub static RECEPTION_BROKEN: Outcome = Outcome {
    key: "reception-broken",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The sender's fax machine stopped in the middle of the fax.",
        "Le télécopieur de l'expéditeur s'est arrêté au milieu du fax.",
    ),
    advice: say(
        "Ask the sender for the missing pages.",
        "Demandez les pages manquantes à l'expéditeur.",
    ),
};

/// The line was too poor to receive the rest of the fax.
pub static RECEPTION_POOR: Outcome = Outcome {
    key: "reception-poor",
    retry: RetryClass::Protocol,
    dsn: "4.4.2",
    what: say(
        "The line was too poor to receive the rest of the fax.",
        "La ligne était trop mauvaise pour recevoir la suite du fax.",
    ),
    advice: say(
        "Ask the sender for the missing pages.",
        "Demandez les pages manquantes à l'expéditeur.",
    ),
};

// Ourselves.

/// Our fax system had a fault during the call.
pub static OWN_FAULT: Outcome = Outcome {
    key: "own-fault",
    retry: RetryClass::Trunk,
    dsn: "4.3.0",
    what: say(
        "Our fax system had a fault during the call.",
        "Notre système de fax a eu un défaut pendant l'appel.",
    ),
    advice: say(
        "This is not the far end's fault. Try again, and tell your administrator if it goes on.",
        "L'appareil distant n'y est pour rien. Réessayez, et prévenez votre administrateur si cela continue.",
    ),
};

/// Our fax system was stopped during the call.
pub static GATEWAY_RESTARTED: Outcome = Outcome {
    key: "gateway-restarted",
    retry: RetryClass::Interrupted,
    dsn: "4.3.0",
    what: say(
        "Our fax system was stopped during the call.",
        "Notre système de fax a été arrêté pendant l'appel.",
    ),
    advice: say(
        "Pages that are not confirmed may have arrived all the same: ask the other side.",
        "Des pages non confirmées sont peut-être arrivées malgré tout\u{a0}: demandez à l'autre partie.",
    ),
};

/// The call carried several faxes and ended before this one, because another was cancelled.
pub static CALL_ENDED_FOR_ANOTHER: Outcome = Outcome {
    key: "call-ended-for-another",
    retry: RetryClass::Interrupted,
    dsn: "4.3.0",
    what: say(
        "The call carried several faxes, and ended before this one because another of them was cancelled.",
        "L'appel transportait plusieurs fax, et a pris fin avant celui-ci parce qu'un autre a été annulé.",
    ),
    advice: say("Send it again.", "Renvoyez-le."),
};

// The mail.

/// The mail is damaged and can't be read.
pub static MAIL_UNREADABLE: Outcome = Outcome {
    key: "mail-unreadable",
    retry: RetryClass::Never,
    dsn: "5.6.0",
    what: say(
        "The mail is damaged and can't be read.",
        "Le message est endommagé et illisible.",
    ),
    advice: say("Send it again.", "Renvoyez-le."),
};

/// The mail holds nothing that can be faxed.
pub static MAIL_EMPTY: Outcome = Outcome {
    key: "mail-empty",
    retry: RetryClass::Never,
    dsn: "5.6.0",
    what: say(
        "The mail holds nothing that can be faxed.",
        "Le message ne contient rien qui puisse être faxé.",
    ),
    advice: say(
        "Attach a PDF, or write a text.",
        "Joignez un PDF, ou écrivez un texte.",
    ),
};

/// An attachment is of a kind that can't be turned into fax pages.
pub static ATTACHMENT_UNSUPPORTED: Outcome = Outcome {
    key: "attachment-unsupported",
    retry: RetryClass::Never,
    dsn: "5.6.1",
    what: say(
        "An attachment is of a kind that can't be turned into fax pages.",
        "Une pièce jointe est d'un type qui ne peut pas être converti en pages de fax.",
    ),
    advice: say(
        "Open it, save it as PDF, and send the PDF.",
        "Ouvrez-la, enregistrez-la en PDF et envoyez ce PDF.",
    ),
};

/// An attachment is damaged: no pages could be made of it.
pub static ATTACHMENT_UNREADABLE: Outcome = Outcome {
    key: "attachment-unreadable",
    retry: RetryClass::Never,
    dsn: "5.6.0",
    what: say(
        "An attachment is damaged: no pages could be made of it.",
        "Une pièce jointe est endommagée\u{a0}: aucune page n'a pu en être tirée.",
    ),
    advice: say(
        "Open it to see whether it is whole, save it as PDF, and send it again.",
        "Ouvrez-la pour vérifier qu'elle est entière, enregistrez-la en PDF et renvoyez-la.",
    ),
};

/// The user that this fax was accepted for is no longer there.
pub static NO_USER: Outcome = Outcome {
    key: "no-user",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say(
        "The user that this fax was accepted for is no longer there.",
        "L'utilisateur pour qui ce fax a été accepté n'existe plus.",
    ),
    advice: say("Tell your administrator.", "Prévenez votre administrateur."),
};

/// The fax has more pages than are allowed.
pub static TOO_MANY_PAGES: Outcome = Outcome {
    key: "too-many-pages",
    retry: RetryClass::Never,
    dsn: "5.3.4",
    what: say(
        "The fax has more pages than are allowed.",
        "Le fax a plus de pages qu'autorisé.",
    ),
    advice: say("Send it in parts.", "Envoyez-le en plusieurs parties."),
};

/// No line is set up for calls to this number.
pub static NO_TRUNK: Outcome = Outcome {
    key: "no-trunk",
    retry: RetryClass::Never,
    dsn: "5.3.5",
    what: say(
        "No line is set up for calls to this number.",
        "Aucune ligne n'est configurée pour les appels vers ce numéro.",
    ),
    advice: say("Tell your administrator.", "Prévenez votre administrateur."),
};

/// The sender's organisation does not allow faxes to this number.
pub static NOT_ALLOWED: Outcome = Outcome {
    key: "not-allowed",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say(
        "Your organisation does not allow faxes to this number.",
        "Votre organisation n'autorise pas l'envoi de fax à ce numéro.",
    ),
    advice: say(
        "Ask your administrator: this was changed after the fax was accepted.",
        "Demandez à votre administrateur\u{a0}: cela a changé depuis que le fax a été accepté.",
    ),
};

/// The hours in which this fax may be called did not come in time.
pub static OUT_OF_HOURS: Outcome = Outcome {
    key: "out-of-hours",
    retry: RetryClass::Never,
    dsn: "4.4.7",
    what: say(
        "The hours in which your organisation lets faxes be called did not come in time.",
        "Les heures pendant lesquelles votre organisation autorise l'envoi de fax ne sont pas venues à temps.",
    ),
    advice: say(
        "Ask your administrator to check the hours and quiet hours of your profile, and send it again.",
        "Demandez à votre administrateur de vérifier les heures et les heures calmes de votre profil, puis renvoyez-le.",
    ),
};

/// Nobody gave their word for a fax that was kept back.
pub static NOT_RELEASED: Outcome = Outcome {
    key: "not-released",
    retry: RetryClass::Never,
    dsn: "5.7.1",
    what: say(
        "This fax was kept back, and nobody gave the word for it in time.",
        "Ce fax était retenu, et personne n'a donné son accord à temps.",
    ),
    advice: say(
        "Send it again, and reply to the mail that asks about it.",
        "Renvoyez-le, puis répondez au message qui pose la question.",
    ),
};

/// The time for sending this fax ran out.
pub static DEADLINE: Outcome = Outcome {
    key: "deadline",
    retry: RetryClass::Never,
    dsn: "4.4.7",
    what: say(
        "The time for sending this fax ran out.",
        "Le délai pour envoyer ce fax est écoulé.",
    ),
    advice: say(
        "Send what is missing again if it is still needed.",
        "Renvoyez ce qui manque si c'est encore utile.",
    ),
};

/// The fax was cancelled.
pub static CANCELLED: Outcome = Outcome {
    key: "cancelled",
    retry: RetryClass::Never,
    dsn: "5.0.0",
    what: say("The fax was cancelled.", "Le fax a été annulé."),
    advice: NOTHING,
};

/// Every outcome, as the table above has them.
pub static TABLE: &[&Outcome] = &[
    &SENT,
    &RECEIVED,
    &BUSY,
    &NO_ANSWER,
    &NOT_REACHABLE,
    &NO_SUCH_NUMBER,
    &NUMBER_CHANGED,
    &NUMBER_INCOMPLETE,
    &REDIRECTED,
    &REJECTED,
    &BARRED,
    &CALLER_NUMBER_REFUSED,
    &TRUNK_UNREACHABLE,
    &TRUNK_DOWN,
    &TRUNK_FULL,
    &TRUNK_AUTHENTICATION,
    &TRUNK_CREDIT,
    &TRUNK_REFUSED_REQUEST,
    &NO_ROUTE,
    &MEDIA_REFUSED,
    &CALL_REFUSED,
    &NO_FAX,
    &NO_HANDSHAKE,
    &CANNOT_TRAIN,
    &FAR_END_HUNG_UP_EARLY,
    &INCOMPATIBLE,
    &CANNOT_RECEIVE,
    &RESOLUTION_REFUSED,
    &OPERATOR_INTERRUPT,
    &POLLING_REFUSED,
    &FAR_END_UNACCEPTABLE,
    &SUB_ADDRESS_NOT_TAKEN,
    &PASSWORD_NOT_TAKEN,
    &PAGES_REFUSED,
    &PAGES_UNCONFIRMED,
    &NO_CONFIRMATION,
    &HUNG_UP_AFTER_PAGE,
    &NOT_READY,
    &PROTOCOL_ERROR,
    &DROPPED,
    &DROPPED_IN_PAGE,
    &RECEPTION_BROKEN,
    &RECEPTION_POOR,
    &OWN_FAULT,
    &GATEWAY_RESTARTED,
    &CALL_ENDED_FOR_ANOTHER,
    &MAIL_UNREADABLE,
    &MAIL_EMPTY,
    &ATTACHMENT_UNSUPPORTED,
    &ATTACHMENT_UNREADABLE,
    &NO_USER,
    &TOO_MANY_PAGES,
    &NO_TRUNK,
    &NOT_ALLOWED,
    &OUT_OF_HOURS,
    &NOT_RELEASED,
    &DEADLINE,
    &CANCELLED,
];
