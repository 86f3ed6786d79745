//! What belongs to a result besides its words: kept as data, told in the reader's language.

use faxpost_paper::{Note, PaperError, Reason, TemplateFault, ZipFault};
use serde::{Deserialize, Serialize};

use super::{CoverSaid, covers};
use crate::{
    conversion::ConversionFailure,
    documents::{self, LeftOut},
    language::Language,
    worker::paper::{PaperFailure, PaperLimit},
};

/// Why a mail gave no pages, for `job.outcome_note`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Attachments that can't be drawn.
    LeftOut {
        /// Each, with the reason.
        parts: Vec<LeftOut>,
    },
    /// Documents without a page.
    NoPage {
        /// Their file names.
        names: Vec<String>,
    },
    /// A document that was not drawn.
    NotDrawn {
        /// Its file name; empty for the mail's own text.
        name: String,
        /// Why.
        failure: PaperFailure,
    },
    /// A document that could not be made a PDF.
    NotConverted {
        /// Its file name.
        name: String,
        /// Why.
        failure: ConversionFailure,
    },
    /// The mail has nothing but its text, which is not to be faxed.
    TextIgnored,
}

impl From<Note> for Said {
    fn from(note: Note) -> Self {
        Self::Drawn(note)
    }
}

impl Detail {
    /// As the table holds it.
    #[must_use]
    pub fn to_column(&self) -> String {
        // Names, numbers and enums always make JSON; without it the outcome's words still stand.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the table holds.
    #[must_use]
    pub fn from_column(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn to(&self, language: Language) -> String {
        match self {
            Self::LeftOut { parts } => {
                let each = parts.iter().map(|part| left_out(part, language));
                let mark = match language {
                    Language::En => "; ",
                    Language::Fr => "\u{a0}; ",
                };
                each.collect::<Vec<_>>().join(mark)
            }
            Self::NoPage { names } => match language {
                Language::En => format!("{}: no page in it", names.join(", ")),
                Language::Fr => format!("{}\u{a0}: aucune page", names.join(", ")),
            },
            Self::NotDrawn {
                failure: PaperFailure::Document(error),
                ..
            } => paper_error(error, language),
            Self::NotDrawn { name, failure } => {
                of(name, &paper_failure(failure, language), language)
            }
            Self::NotConverted { name, failure } => {
                of(name, &conversion_failure(failure, language), language)
            }
            Self::TextIgnored => covers::TEXT_IGNORED.to(language).to_owned(),
        }
    }
}

/// Something about a document of the mail, for `rendition.notes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentNote {
    /// Its file name; empty for the mail's own text.
    pub name: String,
    /// What.
    pub said: Said,
}

/// What is said of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// It was drawn, and this is worth knowing.
    Drawn(Note),
    /// It was left out.
    LeftOut(documents::Reason),
    /// It could not be drawn, and was left out as its sender's profile has it.
    NotDrawn(PaperFailure),
    /// It could not be made a PDF, and was left out likewise.
    NotConverted(ConversionFailure),
    /// The mail's own text was not faxed, as its sender's profile has it.
    TextIgnored,
    /// Of the cover.
    Cover(CoverSaid),
}

impl DocumentNote {
    pub(super) fn to(&self, language: Language) -> String {
        match &self.said {
            Said::Drawn(note) => of(&self.name, &self::note(note, language), language),
            Said::LeftOut(reason) => of(
                &self.name,
                &missing(&reason_to(reason, language), language),
                language,
            ),
            Said::NotDrawn(failure) => of(
                &self.name,
                &missing(&paper_failure(failure, language), language),
                language,
            ),
            Said::NotConverted(failure) => of(
                &self.name,
                &missing(&conversion_failure(failure, language), language),
                language,
            ),
            Said::TextIgnored => covers::TEXT_IGNORED.to(language).to_owned(),
            Said::Cover(said) => said.to(language),
        }
    }
}

fn missing(why: &str, language: Language) -> String {
    match language {
        Language::En => format!("left out, {why}"),
        Language::Fr => format!("laissé de côté, {why}"),
    }
}

fn left_out(part: &LeftOut, language: Language) -> String {
    of(&part.name, &reason_to(&part.reason, language), language)
}

fn reason_to(reason: &documents::Reason, language: Language) -> String {
    use documents::Reason;
    if language == Language::En {
        return reason.to_string();
    }
    let said = match reason {
        Reason::Unsupported { media_type } => {
            return format!("{media_type} ne peut pas être dessiné\u{a0}; enregistrez-le en PDF");
        }
        Reason::Heic => "les images HEIC ne sont pas prises en charge\u{a0}; envoyez-la en JPEG",
        Reason::Encrypted => "c'est chiffré\u{a0}; envoyez-le sans chiffrement",
        Reason::Wrapped => {
            "c'est signé d'une manière qui cache le texte\u{a0}; signez-le en texte clair"
        }
        Reason::Zip(fault) => match fault {
            ZipFault::Broken => "le fichier est tronqué ou sa structure est abîmée",
            ZipFault::Encrypted => "c'est protégé par un mot de passe",
            ZipFault::Method => "le fichier est compressé d'une manière peu courante",
            ZipFault::TooMuch => "il contient plus que ce qui est décompressé",
        },
        Reason::Nothing => "il est vide",
        Reason::Broken => "le fichier est tronqué ou sa structure est abîmée",
        Reason::TooDeep => "il est emballé dans trop d'autres fichiers",
        Reason::TooMany => "il contient trop de fichiers",
        Reason::Remote { count } => {
            return format!("images du web, qui ne sont jamais chargées\u{a0}: {count}");
        }
        Reason::Signature => "c'est une signature ou une clé, qui n'a pas de page",
        Reason::Calendar => "c'est une entrée d'agenda, qui n'a pas de page",
        Reason::Card => "c'est une carte de visite, qui n'a pas de page",
    };
    said.to_owned()
}

/// `offer.pdf: what is said of it`.
fn of(name: &str, said: &str, language: Language) -> String {
    match language {
        _ if name.is_empty() => said.to_owned(),
        Language::En => format!("{name}: {said}"),
        Language::Fr => format!("{name}\u{a0}: {said}"),
    }
}

// The English of each is the text of its type.

pub(super) fn note(note: &Note, language: Language) -> String {
    if language == Language::En {
        return note.to_string();
    }
    match note {
        Note::FontSubstituted { font } => format!(
            "la police {font} n'est pas dans le document, son texte a été dessiné avec une police semblable"
        ),
        Note::FontMissing { font, script } => format!(
            "la police {font} n'est pas dans le document et aucune ici n'a l'écriture voulue ({})\u{a0}: du texte \
             manque\u{a0}; demandez une police à l'administrateur",
            script.french()
        ),
        Note::FontUnreadable => {
            "une police du document n'a pas pu être lue\u{a0}: du texte manque peut-être".to_owned()
        }
        Note::CharactersMissing { count, scripts } => {
            let names: Vec<&str> = scripts.iter().map(|script| script.french()).collect();
            format!(
                "{count} caractères ({}) n'existent dans aucune police ici et sont illisibles sur la page\u{a0}; \
                 demandez une police à l'administrateur",
                names.join(", ")
            )
        }
        Note::LeftOut => {
            "c'est une petite image dans le texte, comme un logo ou une signature\u{a0}; elle n'a pas été envoyée"
                .to_owned()
        }
        Note::Animation => "l'image est animée\u{a0}; seul son premier instant est sur la page".to_owned(),
        Note::RemotePictures { count } => {
            format!("images du web non chargées\u{a0}: {count}")
        }
        Note::PictureMissing => "une image du document n'a pas pu être lue et manque".to_owned(),
        Note::AnnotationMissing => {
            "un champ de formulaire ou un commentaire n'a pas pu être dessiné".to_owned()
        }
        Note::Reduced { page, percent } => {
            format!("la page {page} a été réduite à {percent}\u{a0}% pour tenir sur le papier")
        }
        Note::NotPrinted { page } => format!(
            "la page {page} a un commentaire ou un champ marqué comme à ne pas imprimer\u{a0}; il a été omis"
        ),
        Note::FieldCut => {
            "un champ de formulaire a plus de texte que de place\u{a0}; le reste ne se voit pas".to_owned()
        }
        Note::FormUnsupported => {
            "le formulaire est d'une sorte (XFA) que peu de programmes affichent\u{a0}: imprimez-le en PDF et \
             envoyez celui-ci"
                .to_owned()
        }
        Note::Cut { page, parts } => format!(
            "la page {page} est plus longue que le papier et a été coupée en {parts} pages"
        ),
        Note::Template { fault } => format!("{}{}", fault.said, place_fr(fault)),
        Note::BlankLeftOut { pages } => {
            let numbers: Vec<String> = pages.iter().map(u32::to_string).collect();
            match numbers.as_slice() {
                [one] => format!("la page blanche {one} n'a pas été envoyée"),
                more => format!("les pages blanches {} n'ont pas été envoyées", more.join(", ")),
            }
        }
    }
}

pub(super) fn paper_error(error: &PaperError, language: Language) -> String {
    if language == Language::En {
        return error.to_string();
    }
    let quoted = |name: &str| format!("«\u{a0}{name}\u{a0}»");
    match error {
        PaperError::PasswordNeeded { name } => format!(
            "{} est protégé par un mot de passe\u{a0}: enregistrez-le sans mot de passe et renvoyez-le, ou renvoyez \
             le message avec le mot de passe dans une ligne d'en-tête X-Fax-Document-Password",
            quoted(name)
        ),
        PaperError::PasswordWrong { name } => format!(
            "le mot de passe donné (X-Fax-Document-Password) n'ouvre pas {}\u{a0}: vérifiez les majuscules, ou \
             enregistrez le document sans mot de passe, puis renvoyez-le",
            quoted(name)
        ),
        PaperError::Damaged { name, reason } => {
            format!(
                "{} est endommagé\u{a0}: {}",
                quoted(name),
                reason_fr(*reason)
            )
        }
        PaperError::Unsupported { name, reason } => format!(
            "{} ne peut pas être lu ici\u{a0}: {}",
            quoted(name),
            reason_fr(*reason)
        ),
        PaperError::TooManyPages { name, limit } => format!(
            "{} a plus de {limit} pages, le maximum pour un fax",
            quoted(name)
        ),
        PaperError::Empty { name } => format!("{} est vide", quoted(name)),
        // Faults of this program: what it says of itself is for its makers.
        PaperError::Template { name, fault } => format!(
            "la page de garde {} a une erreur{}\u{a0}: {}",
            quoted(name),
            place_fr(fault),
            fault.said
        ),
        PaperError::CoverPages { name, limit } => format!(
            "la page de garde {} fait plus de {limit} pages avant tout texte du message",
            quoted(name)
        ),
        PaperError::Setup(said) | PaperError::Compose(said) => {
            format!("la page n'a pas pu être composée\u{a0}: {said}")
        }
    }
}

fn place_fr(fault: &TemplateFault) -> String {
    fault.place.map_or_else(String::new, |(line, column)| {
        format!(" à la ligne {line}, colonne {column}")
    })
}

fn reason_fr(reason: Reason) -> String {
    let said = match reason {
        Reason::NotPdf => "ce n'est pas un fichier PDF",
        Reason::Broken => "il est tronqué ou sa structure est abîmée",
        Reason::NoPage => "aucune page n'y a été trouvée",
        Reason::PageSize { page } => {
            return format!("la page {page} n'a pas de taille utilisable");
        }
        Reason::EncryptionBroken => "son chiffrement est abîmé",
        Reason::EncryptionUnknown => "son chiffrement est d'un type peu courant",
        Reason::NotPicture => "ce n'est pas une image JPEG, PNG, GIF, WebP, BMP ou TIFF",
        Reason::PictureKind => {
            "c'est une sorte de fichier d'image qui n'est pas lue\u{a0}; enregistrez-la en JPEG ou PNG"
        }
        Reason::PictureSize => "l'image a trop de pixels\u{a0}; 100 millions sont acceptés",
        Reason::TooMuch => {
            "il a trop d'éléments, ou trop imbriqués, pour être mis en page\u{a0}; envoyez-le en PDF"
        }
        Reason::NotDrawn => "il n'a pas pu être dessiné",
    };
    said.to_owned()
}

fn conversion_failure(failure: &ConversionFailure, language: Language) -> String {
    if language == Language::En {
        return failure.to_string();
    }
    match failure {
        ConversionFailure::Mislabelled => {
            "ce n'est pas ce que son nom annonce\u{a0}; ouvrez-le, enregistrez-le de nouveau et envoyez le résultat"
                .to_owned()
        }
        ConversionFailure::Protected => {
            "il est protégé par un mot de passe\u{a0}: donnez-le dans le message par X-Fax-Document-Password, ou envoyez-le sans"
                .to_owned()
        }
        ConversionFailure::Unreadable => {
            "il ne peut pas être lu\u{a0}; ouvrez-le, enregistrez-le en PDF et envoyez le PDF".to_owned()
        }
        ConversionFailure::Limit(seconds) => format!(
            "sa conversion en PDF prend plus de {seconds}\u{a0}s ou trop de mémoire\u{a0}; envoyez-le en PDF"
        ),
        ConversionFailure::TooLarge => {
            "converti en PDF, il est trop volumineux\u{a0}; envoyez-le en plusieurs parties".to_owned()
        }
        ConversionFailure::Unavailable(_) => {
            "les documents ne peuvent pas être convertis pour le moment".to_owned()
        }
    }
}

pub(super) fn paper_failure(failure: &PaperFailure, language: Language) -> String {
    if language == Language::En {
        return failure.to_string();
    }
    match failure {
        PaperFailure::Document(error) => paper_error(error, language),
        PaperFailure::TooLarge { bytes } => format!(
            "le document est trop volumineux\u{a0}: il fait {} Mo",
            bytes.div_ceil(1 << 20)
        ),
        PaperFailure::Limit(limit) => limit_fr(*limit),
        PaperFailure::Crashed => {
            "le document n'a pas pu être dessiné\u{a0}: le programme qui le dessine a échoué deux fois"
                .to_owned()
        }
        PaperFailure::Unavailable(_) => {
            "les documents ne peuvent pas être dessinés pour le moment".to_owned()
        }
    }
}

fn limit_fr(limit: PaperLimit) -> String {
    match limit {
        PaperLimit::Wall(time) => format!(
            "le dessin du document a demandé plus de {} s",
            time.as_secs_f64().ceil()
        ),
        PaperLimit::Processor(time) => format!(
            "le dessin du document a demandé plus de {} s de calcul",
            time.as_secs()
        ),
        PaperLimit::Page(time) => format!(
            "le dessin d'une page du document a demandé plus de {} s de calcul",
            time.as_secs()
        ),
        PaperLimit::Memory(bytes) => format!(
            "le dessin du document a demandé plus de {} Mo de mémoire",
            bytes >> 20
        ),
        PaperLimit::Nesting => "le document est trop imbriqué pour être dessiné".to_owned(),
        PaperLimit::Pages(bytes) => format!(
            "les pages du document sont trop volumineuses\u{a0}: plus de {} Mo une fois codées",
            bytes >> 20
        ),
    }
}
