//! `winmail.dat`: what Outlook packs a mail's attachments into when it thinks that the reader is Outlook
//! (MS-OXTNEF). Attachments and the text are read; every length is checked against what is there.

use super::Reason;

/// MS-OXTNEF §2.1.3.1: the first octets, little endian.
const SIGNATURE: u32 = 0x223E_9F78;
/// Attributes and properties that are looked at, at most.
const MOST_ATTRIBUTES: usize = 10_000;

// Attributes: their type and id (MS-OXTNEF §2.1.3.3).
const OEM_CODEPAGE: u32 = 0x0006_9007;
const BODY: u32 = 0x0002_800C;
const MESSAGE_PROPERTIES: u32 = 0x0006_9003;
const RENDER_DATA: u32 = 0x0006_9002;
const TITLE: u32 = 0x0001_8010;
const DATA: u32 = 0x0006_800F;
const ATTACHMENT_PROPERTIES: u32 = 0x0006_9005;

// Properties (MS-OXPROPS §2): ids alone, the type stands beside.
const P_BODY: u16 = 0x1000;
const P_RTF: u16 = 0x1009;
const P_HTML: u16 = 0x1013;
const P_DATA: u16 = 0x3701;
const P_FILE: u16 = 0x3704;
const P_LONG_FILE: u16 = 0x3707;
const P_MEDIA_TYPE: u16 = 0x370E;
const P_CONTENT_ID: u16 = 0x3712;

/// What such a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tnef {
    pub text: Option<String>,
    pub html: Option<Vec<u8>>,
    /// Compressed (`rtf`).
    pub rtf: Option<Vec<u8>>,
    pub files: Vec<Attached>,
    /// It ends too early, or something in it can't be followed: more was meant to be here.
    pub cut_off: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attached {
    pub name: String,
    pub media_type: String,
    pub content_id: Option<String>,
    pub bytes: Vec<u8>,
    /// The file is a mail, packed the same way.
    pub is_mail: bool,
}

pub(super) fn is_tnef(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE.to_le_bytes())
}

/// Reads such a file, as far as it can be followed.
///
/// # Errors
/// `Broken`: nothing of it can be read.
pub(super) fn read(bytes: &[u8]) -> Result<Tnef, Reason> {
    let mut reader = Reader { left: bytes };
    if reader.u32()? != SIGNATURE {
        return Err(Reason::Broken);
    }
    reader.take(2)?; // the key that pictures in the text are numbered by
    let mut tnef = Tnef::default();
    let mut charset = "windows-1252".to_owned();
    for _ in 0..MOST_ATTRIBUTES {
        // Levels are 1 and 2; some gateways append a line end or their own words.
        if !matches!(reader.left.first(), Some(1 | 2)) {
            break;
        }
        if attribute(&mut reader, &mut tnef, &mut charset).is_err() {
            tnef.cut_off = true;
            break;
        }
    }
    match tnef
        == (Tnef {
            cut_off: true,
            ..Tnef::default()
        }) {
        true => Err(Reason::Broken),
        false => Ok(tnef),
    }
}

/// One attribute (MS-OXTNEF §2.1.3.2): level, which, length, data, check sum.
fn attribute(reader: &mut Reader<'_>, tnef: &mut Tnef, charset: &mut String) -> Result<(), Reason> {
    reader.take(1)?;
    let (attribute, length) = (reader.u32()?, reader.u32()?);
    let data = reader.take(length as usize)?;
    // Old writers get the sum wrong, and no reader minds: what is inside has its own.
    reader.take(2)?;
    let file = |tnef: &mut Tnef| -> usize {
        if tnef.files.is_empty() {
            tnef.files.push(Attached::default());
        }
        tnef.files.len() - 1
    };
    match attribute {
        OEM_CODEPAGE => *charset = codepage(data).unwrap_or_else(|| charset.clone()),
        BODY => tnef.text = Some(string(data, charset)),
        MESSAGE_PROPERTIES => message_properties(data, charset, tnef)?,
        RENDER_DATA => tnef.files.push(Attached::default()),
        // The properties may have told a longer name.
        TITLE => {
            let at = file(tnef);
            if tnef.files[at].name.is_empty() {
                tnef.files[at].name = string(data, charset);
            }
        }
        DATA => {
            let at = file(tnef);
            tnef.files[at].bytes = data.to_vec();
        }
        ATTACHMENT_PROPERTIES => {
            let at = file(tnef);
            file_properties(data, charset, &mut tnef.files[at])?;
        }
        _ => {}
    }
    Ok(())
}

fn codepage(data: &[u8]) -> Option<String> {
    let number = u32::from_le_bytes(*data.first_chunk()?);
    Some(match number {
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        65001 => "utf-8".to_owned(),
        number => format!("windows-{number}"),
    })
}

/// Text up to its zero.
fn string(data: &[u8], charset: &str) -> String {
    let end = data
        .iter()
        .position(|&octet| octet == 0)
        .unwrap_or(data.len());
    faxpost_paper::text_of(&data[..end], Some(charset))
}

fn wide(data: &[u8]) -> String {
    let units = data
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units = units.take_while(|&unit| unit != 0);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or('\u{fffd}'))
        .collect()
}

fn message_properties(data: &[u8], charset: &str, tnef: &mut Tnef) -> Result<(), Reason> {
    properties(data, |id, value| match (id, value) {
        (P_BODY, value) => tnef.text = value.text(charset).or(tnef.text.take()),
        (P_RTF, Value::Octets(rtf)) => tnef.rtf = Some(rtf.to_vec()),
        (P_HTML, Value::Octets(html)) => tnef.html = Some(html.to_vec()),
        (P_HTML, value) => tnef.html = value.text(charset).map(String::into_bytes),
        _ => {}
    })
}

fn file_properties(data: &[u8], charset: &str, file: &mut Attached) -> Result<(), Reason> {
    let mut long = false;
    properties(data, |id, value| match (id, value) {
        (P_LONG_FILE, value) => {
            if let Some(name) = value.text(charset) {
                (file.name, long) = (name, true);
            }
        }
        (P_FILE, value) if !long && file.name.is_empty() => {
            file.name = value.text(charset).unwrap_or_default();
        }
        (P_MEDIA_TYPE, value) => file.media_type = value.text(charset).unwrap_or_default(),
        (P_CONTENT_ID, value) => file.content_id = value.text(charset),
        // An object's first 16 octets say which interface reads it (MS-OXTNEF §2.1.3.4): a mail is packed in
        // this very format.
        (P_DATA, Value::Object(object)) => {
            let inner = object.get(16..).unwrap_or_default();
            file.is_mail = is_tnef(inner);
            file.bytes = inner.to_vec();
        }
        (P_DATA, Value::Octets(octets)) => file.bytes = octets.to_vec(),
        _ => {}
    })
}

/// A property's value, as far as it is looked at.
enum Value<'a> {
    Narrow(&'a [u8]),
    Wide(&'a [u8]),
    Octets(&'a [u8]),
    Object(&'a [u8]),
    Other,
}

impl Value<'_> {
    fn text(&self, charset: &str) -> Option<String> {
        let text = match self {
            Self::Narrow(octets) => string(octets, charset),
            Self::Wide(octets) => wide(octets),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }
}

/// Walks a list of properties (MS-OXTNEF §2.1.3.4).
fn properties(data: &[u8], mut each: impl FnMut(u16, Value<'_>)) -> Result<(), Reason> {
    const SEVERAL: u16 = 0x1000;
    let mut reader = Reader { left: data };
    let count = reader.u32()? as usize;
    if count > MOST_ATTRIBUTES {
        return Err(Reason::TooMany);
    }
    for _ in 0..count {
        let kind = u16::from_le_bytes(reader.array()?);
        let id = u16::from_le_bytes(reader.array()?);
        if id >= 0x8000 {
            named(&mut reader)?;
        }
        let single = kind & !SEVERAL;
        let sized = matches!(single, 0x001E | 0x001F | 0x0102 | 0x000D);
        // Values of variable length say how many they are even when they are one.
        let values = if sized || kind & SEVERAL != 0 {
            reader.u32()? as usize
        } else {
            1
        };
        // Some kinds have no octets at all: of those there could be billions.
        if values > reader.left.len().max(1) {
            return Err(Reason::Broken);
        }
        for _ in 0..values {
            let value = if sized {
                let length = reader.u32()? as usize;
                let value = reader.take(length)?;
                reader.take(length.wrapping_neg() % 4)?;
                value
            } else {
                reader.take(fixed_size(single)?)?
            };
            each(
                id,
                match single {
                    0x001E => Value::Narrow(value),
                    0x001F => Value::Wide(value),
                    0x0102 => Value::Octets(value),
                    0x000D => Value::Object(value),
                    _ => Value::Other,
                },
            );
        }
    }
    Ok(())
}

/// The name of a property that has no number of its own: a GUID, then a number or a string.
fn named(reader: &mut Reader<'_>) -> Result<(), Reason> {
    reader.take(16)?;
    if reader.u32()? == 0 {
        reader.u32()?;
        return Ok(());
    }
    let length = reader.u32()? as usize;
    reader.take(length)?;
    reader.take(length.wrapping_neg() % 4)?;
    Ok(())
}

/// Octets of a value, with what fills it up to four.
fn fixed_size(kind: u16) -> Result<usize, Reason> {
    Ok(match kind {
        0x0000 | 0x0001 => 0,
        0x0002 | 0x0003 | 0x0004 | 0x000A | 0x000B => 4,
        0x0005 | 0x0006 | 0x0007 | 0x0014 | 0x0040 => 8,
        0x0048 => 16,
        _ => return Err(Reason::Broken),
    })
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Reason::Broken)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        self.take(N)?.try_into().map_err(|_| Reason::Broken)
    }

    fn u32(&mut self) -> Result<u32, Reason> {
        Ok(u32::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn write(out: &mut Vec<u8>, level: u8, id: u32, data: &[u8]) {
        out.push(level);
        out.extend(id.to_le_bytes());
        out.extend(u32::try_from(data.len()).expect("short").to_le_bytes());
        out.extend(data);
        let sum = data
            .iter()
            .fold(0u16, |sum, &octet| sum.wrapping_add(octet.into()));
        out.extend(sum.to_le_bytes());
    }

    fn property(out: &mut Vec<u8>, kind: u16, id: u16, value: &[u8]) {
        out.extend(kind.to_le_bytes());
        out.extend(id.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(u32::try_from(value.len()).expect("short").to_le_bytes());
        out.extend(value);
        out.resize(out.len() + value.len().wrapping_neg() % 4, 0);
    }

    /// A file with nothing but a text in RTF.
    pub(in crate::documents) fn packed_rtf(compressed: &[u8]) -> Vec<u8> {
        let mut out = SIGNATURE.to_le_bytes().to_vec();
        out.extend(7u16.to_le_bytes());
        let mut properties = 1u32.to_le_bytes().to_vec();
        property(&mut properties, 0x0102, P_RTF, compressed);
        write(&mut out, 1, MESSAGE_PROPERTIES, &properties);
        out
    }

    /// A file as Outlook packs it, with a text and these files.
    pub(in crate::documents) fn packed(text: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = SIGNATURE.to_le_bytes().to_vec();
        out.extend(7u16.to_le_bytes());
        write(&mut out, 1, OEM_CODEPAGE, &[0xE4, 4, 0, 0, 0, 0, 0, 0]);
        write(&mut out, 1, BODY, text.as_bytes());
        for (name, bytes) in files {
            write(&mut out, 2, RENDER_DATA, &[0; 14]);
            write(&mut out, 2, TITLE, b"SHORT~1.PDF\0");
            write(&mut out, 2, DATA, bytes);
            let mut properties = 3u32.to_le_bytes().to_vec();
            // A named property first, with an odd name to be filled up.
            properties.extend([0x03, 0, 0x01, 0x80]);
            properties.extend([0; 16]);
            properties.extend(1u32.to_le_bytes());
            properties.extend(6u32.to_le_bytes());
            properties.extend(b"a\0b\0\0\0\0\0");
            properties.extend(5u32.to_le_bytes());
            let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            property(&mut properties, 0x001F, P_LONG_FILE, &wide);
            property(&mut properties, 0x001E, P_MEDIA_TYPE, b"application/pdf\0");
            write(&mut out, 2, ATTACHMENT_PROPERTIES, &properties);
        }
        out
    }

    #[test]
    fn text_and_files_come_out_with_their_long_names() {
        let file = packed("Bonjour", &[("Größe.pdf", b"%PDF-1"), ("b.pdf", b"%PDF-2")]);
        let tnef = read(&file).expect("it is sound");
        assert_eq!(tnef.text.as_deref(), Some("Bonjour"));
        let files: Vec<_> = tnef
            .files
            .iter()
            .map(|f| (f.name.as_str(), &f.bytes[..]))
            .collect();
        assert_eq!(files, [("Größe.pdf", &b"%PDF-1"[..]), ("b.pdf", b"%PDF-2")]);
        assert_eq!(tnef.files[0].media_type, "application/pdf");
    }

    #[test]
    fn what_is_cut_off_or_lies_is_told() {
        let file = packed("x", &[("a.pdf", b"%PDF-1"), ("b.pdf", b"%PDF-2")]);
        let whole = read(&file).expect("it is sound");
        for cut in 0..file.len() {
            // A cut between attributes can't be told from the end.
            if let Ok(tnef) = read(&file[..cut]) {
                assert!(tnef.files.len() <= whole.files.len());
            }
        }
        let cut = read(&file[..file.len() - 20]).expect("the first file is whole");
        assert!(cut.cut_off && cut.files[0] == whole.files[0]);
        let mut more = file.clone();
        more.extend(b"\r\ngarbage");
        assert_eq!(read(&more), Ok(whole));
        let mut lie = SIGNATURE.to_le_bytes().to_vec();
        lie.extend([0, 0, 1]);
        lie.extend(BODY.to_le_bytes());
        lie.extend(u32::MAX.to_le_bytes());
        assert_eq!(read(&lie), Err(Reason::Broken));
    }

    #[test]
    fn billions_of_values_without_octets_take_no_time() {
        // PtypNull, several of them: none has an octet.
        let mut properties = 1u32.to_le_bytes().to_vec();
        properties.extend([0x01, 0x10, 0x00, 0x10, 0xFF, 0xFF, 0xFF, 0xFF]);
        let mut file = SIGNATURE.to_le_bytes().to_vec();
        file.extend([0, 0]);
        write(&mut file, 1, MESSAGE_PROPERTIES, &properties);
        assert_eq!(read(&file), Err(Reason::Broken));
    }
}
