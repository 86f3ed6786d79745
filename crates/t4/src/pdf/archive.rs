//! What makes a PDF one for archives: PDF/A-2b (ISO 19005-2). The pages need nothing: their coding is allowed, and
//! the only font is embedded.

use pdf_writer::{Finish, Pdf, Ref, TextStr, types::OutputIntentSubtype, writers::Catalog};

use super::PdfInfo;
use crate::date::{self, Civil};

/// What grey is meant (ISO 19005-2 §6.2.3): a profile of gamma 2.2, of 348 octets, made for this.
const GREY: &[u8] = include_bytes!("grey.icc");

/// What the file's catalog names.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub metadata: Ref,
    pub profile: Ref,
}

/// Names the parts in the catalog.
pub(super) fn name(catalog: &mut Catalog<'_>, parts: Parts) {
    catalog.metadata(parts.metadata);
    let mut intents = catalog.output_intents();
    let mut intent = intents.push();
    intent
        .subtype(OutputIntentSubtype::PDFA)
        .output_condition_identifier(TextStr("Custom"))
        .info(TextStr("Grey, gamma 2.2"))
        .dest_output_profile(parts.profile);
    intent.finish();
}

/// Writes them. What the metadata say is what the file's own information says.
pub(super) fn write(pdf: &mut Pdf, parts: Parts, info: &PdfInfo) {
    pdf.icc_profile(parts.profile, GREY).n(1);
    let text = metadata(info);
    pdf.metadata(parts.metadata, text.as_bytes());
}

/// XMP (ISO 16684-1), with the mark of PDF/A (ISO 19005-2 §6.6.4).
fn metadata(info: &PdfInfo) -> String {
    let mut said = String::new();
    if !info.title.is_empty() {
        said += &format!(
            "<dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">{}</rdf:li></rdf:Alt></dc:title>\n",
            escaped(&info.title)
        );
    }
    if !info.author.is_empty() {
        said += &format!(
            "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>\n",
            escaped(&info.author)
        );
    }
    if !info.subject.is_empty() {
        said += &format!(
            "<dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">{}</rdf:li></rdf:Alt></dc:description>\n",
            escaped(&info.subject)
        );
    }
    if !info.creator.is_empty() {
        let creator = escaped(&info.creator);
        said += &format!(
            "<xmp:CreatorTool>{creator}</xmp:CreatorTool>\n<pdf:Producer>{creator}</pdf:Producer>\n"
        );
    }
    if let Some(Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    }) = info.created.and_then(date::civil)
    {
        said += &format!(
            "<xmp:CreateDate>{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z</xmp:CreateDate>\n"
        );
    }
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n\
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" xmlns:pdf=\"http://ns.adobe.com/pdf/1.3/\" \
         xmlns:pdfaid=\"http://www.aiim.org/pdfa/ns/id/\">\n\
         <pdfaid:part>2</pdfaid:part>\n<pdfaid:conformance>B</pdfaid:conformance>\n{said}\
         </rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>"
    )
}

/// Text as XML has it; characters that XML has not are left out (XML 1.0 §2.2).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_xml_whatever_they_say() {
        let info = PdfInfo {
            title: "a <b> & \"c\"\u{0}\u{ffff}".into(),
            ..PdfInfo::default()
        };
        assert!(metadata(&info).contains(">a &lt;b&gt; &amp; &quot;c&quot; </rdf:li>"));
    }
}
