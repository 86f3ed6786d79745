//! Files: attachments, and what is in those that are containers.

use faxpost_paper::{ZipFault, ZipLimits};

use super::{
    Document, Kind, LeftOut, Options, Reason,
    kinds::{Looks, Sort},
    list, parts, rtf, tnef,
    words::Words,
};

/// Containers within each other: a mail in a zip file in a mail has three.
const DEEPEST: usize = 5;
/// Files of a mail, and octets of all that was unpacked from zip files.
const MOST_FILES: usize = 500;
/// Parts of a mail, and of those in it: the door takes a thousand.
const MOST_PARTS: usize = 5_000;
const MOST_UNPACKED: u64 = 100 << 20;

/// A file as it comes.
pub(super) struct File<'a> {
    pub name: String,
    /// In small letters, without parameters.
    pub media_type: String,
    pub bytes: &'a [u8],
    /// Its charset, when somebody says it.
    pub charset: Option<String>,
    pub content_id: Option<String>,
    /// The mail may show it within its text.
    pub inline: bool,
}

/// A document as it was found.
pub(super) struct Found {
    pub document: Document,
    pub content_id: Option<String>,
    pub inline: bool,
}

/// What was found so far, and how much more may be.
pub(super) struct Sorter<'a> {
    pub options: &'a Options,
    pub found: Vec<Found>,
    pub words: Vec<Words>,
    pub left_out: Vec<LeftOut>,
    pub depth: usize,
    /// Files and mails within the mail are passed over.
    pub words_alone: bool,
    files: usize,
    parts: usize,
    unpacked: u64,
}

impl<'a> Sorter<'a> {
    pub fn new(options: &'a Options) -> Self {
        Self {
            options,
            found: Vec::new(),
            words: Vec::new(),
            left_out: Vec::new(),
            depth: 0,
            words_alone: false,
            files: 0,
            parts: 0,
            unpacked: 0,
        }
    }

    /// Looks at the mail's own text alone.
    pub fn of_words(options: &'a Options) -> Self {
        Self {
            words_alone: true,
            ..Self::new(options)
        }
    }

    pub fn leave_out(&mut self, name: &str, reason: Reason) {
        self.left_out.push(LeftOut {
            name: name.to_owned(),
            reason,
        });
    }

    /// Whether one more part may be looked at; that there are too many is told once.
    pub fn may_look(&mut self) -> bool {
        self.parts += 1;
        if self.parts == MOST_PARTS + 1 {
            self.leave_out("…", Reason::TooMany);
        }
        self.parts <= MOST_PARTS
    }

    pub fn file(&mut self, file: File<'_>) {
        if self.words_alone || self.options.list && self.depth == 0 && list::is_list(&file.name) {
            return;
        }
        self.files += 1;
        if self.files > MOST_FILES {
            // Once is enough of it.
            if self.files == MOST_FILES + 1 {
                self.leave_out(&file.name, Reason::TooMany);
            }
            return;
        }
        let sort = Looks {
            name: &file.name,
            media_type: &file.media_type,
            bytes: file.bytes,
        }
        .sort();
        let reason = match sort {
            Sort::Pdf => return self.document(file, Kind::Pdf),
            Sort::Picture => return self.document(file, Kind::Picture { shown: false }),
            Sort::Text => return self.text(file),
            Sort::Html => return self.html(file),
            Sort::Convert(conversion) if self.options.conversions.contains(&conversion) => {
                return self.document(file, Kind::Convert(conversion));
            }
            Sort::Zip => return self.within(&file, Self::zip),
            Sort::Mail => return self.within(&file, Self::mail),
            Sort::Tnef => return self.within(&file, Self::tnef),
            Sort::Litter => return,
            Sort::Heic => Reason::Heic,
            Sort::Encrypted => Reason::Encrypted,
            Sort::Signature => Reason::Signature,
            Sort::Calendar => Reason::Calendar,
            Sort::Card => Reason::Card,
            Sort::Convert(_) | Sort::Other => Reason::Unsupported {
                media_type: file.media_type,
            },
        };
        self.leave_out(&file.name, reason);
    }

    fn document(&mut self, file: File<'_>, kind: Kind) {
        let bytes = file.bytes.to_vec();
        self.push(file, kind, bytes);
    }

    fn push(&mut self, file: File<'_>, kind: Kind, bytes: Vec<u8>) {
        self.found.push(Found {
            document: Document {
                name: file.name,
                kind,
                bytes,
                own_text: false,
            },
            content_id: file.content_id,
            inline: file.inline,
        });
    }

    fn text(&mut self, file: File<'_>) {
        let text = faxpost_paper::text_of(file.bytes, file.charset.as_deref());
        self.push(file, Kind::Text, text.into_bytes());
    }

    fn html(&mut self, file: File<'_>) {
        let charset = file.charset.clone().or_else(|| meta_charset(file.bytes));
        let html = faxpost_paper::text_of(file.bytes, charset.as_deref());
        let kind = Kind::Html {
            pictures: Vec::new(),
            rich: true,
            remote: 0,
        };
        self.push(file, kind, html.into_bytes());
    }

    /// Opens a container, unless it is one too many within each other.
    fn within(&mut self, file: &File<'_>, open: fn(&mut Self, &File<'_>) -> Result<(), Reason>) {
        if self.depth >= DEEPEST {
            return self.leave_out(&file.name, Reason::TooDeep);
        }
        self.depth += 1;
        let opened = open(self, file);
        self.depth -= 1;
        if let Err(reason) = opened {
            self.leave_out(&file.name, reason);
        }
    }

    fn zip(&mut self, file: &File<'_>) -> Result<(), Reason> {
        let limits = ZipLimits {
            files: MOST_FILES.saturating_sub(self.files),
            total: ZipLimits::default()
                .total
                .min(MOST_UNPACKED.saturating_sub(self.unpacked)),
            ..ZipLimits::default()
        };
        let entries = faxpost_paper::unzip(file.bytes, &limits).map_err(Reason::Zip)?;
        let unpacked = entries
            .iter()
            .map(|entry| entry.bytes.as_ref().map_or(0, Vec::len) as u64);
        self.unpacked += unpacked.sum::<u64>();
        let before = (self.found.len(), self.left_out.len());
        // All shut: one word for the whole says it.
        let shut = |entry: &faxpost_paper::Zipped| entry.bytes == Err(ZipFault::Encrypted);
        if !entries.is_empty() && entries.iter().all(shut) {
            return Err(Reason::Encrypted);
        }
        for entry in entries {
            let name = format!("{}/{}", file.name, entry.name);
            match entry.bytes {
                Ok(bytes) => self.file(File {
                    name,
                    media_type: "application/octet-stream".to_owned(),
                    bytes: &bytes,
                    charset: None,
                    content_id: None,
                    inline: false,
                }),
                Err(ZipFault::Encrypted) => self.leave_out(&name, Reason::Encrypted),
                Err(fault) => self.leave_out(&name, Reason::Zip(fault)),
            }
        }
        if before == (self.found.len(), self.left_out.len()) {
            return Err(Reason::Nothing);
        }
        Ok(())
    }

    fn mail(&mut self, file: &File<'_>) -> Result<(), Reason> {
        let mail = mail_parser::MessageParser::default()
            .parse(file.bytes)
            .ok_or(Reason::Broken)?;
        parts::forwarded(self, &mail, &file.name);
        Ok(())
    }

    /// Text that Outlook keeps as RTF alone: a document like any other.
    fn rtf(&mut self, name: &str, packed: &[u8]) {
        let name = format!("{name}.rtf");
        match rtf::unpacked(packed) {
            Ok(bytes) => self.file(File {
                name,
                media_type: "application/rtf".to_owned(),
                bytes: &bytes,
                charset: None,
                content_id: None,
                inline: false,
            }),
            Err(reason) => self.leave_out(&name, reason),
        }
    }

    fn tnef(&mut self, file: &File<'_>) -> Result<(), Reason> {
        let tnef = tnef::read(file.bytes)?;
        if tnef.cut_off {
            self.leave_out(&file.name, Reason::Broken);
        }
        // The mail around it has the text too, unless its sender's server kept it in here alone.
        if self.words.is_empty() {
            let text = tnef
                .rtf
                .filter(|_| tnef.text.is_none() && tnef.html.is_none());
            if let Some(rtf) = text {
                self.rtf(&file.name, &rtf);
            }
            self.words.push(Words {
                plain: tnef.text,
                html: tnef.html.map(|html| {
                    let charset = meta_charset(&html);
                    faxpost_paper::text_of(&html, charset.as_deref())
                }),
            });
        }
        for (number, attached) in (1..).zip(tnef.files) {
            let name = match attached.name.is_empty() {
                true => format!("{} ({number})", file.name),
                false => attached.name,
            };
            let inline = attached.content_id.is_some();
            self.file(File {
                name,
                media_type: match attached.is_mail {
                    true => "application/ms-tnef".to_owned(),
                    false => attached.media_type.to_ascii_lowercase(),
                },
                bytes: &attached.bytes,
                charset: None,
                content_id: attached.content_id,
                inline,
            });
        }
        Ok(())
    }
}

/// The charset that an HTML text says of itself, in its first octets (HTML §4.2.5.4).
fn meta_charset(html: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&html[..html.len().min(1024)]).to_ascii_lowercase();
    let value = head
        .split("charset=")
        .nth(1)?
        .trim_start_matches(['"', '\'', ' ']);
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c)));
    Some(value[..end.unwrap_or(value.len())].to_owned()).filter(|label| !label.is_empty())
}
