//! Are the pages that went in the pages that came out? Compared bit for bit, never assumed.

use anyhow::Context;
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution, tiff};
use mail_parser::{MessageParser, MimeHeaders};

use super::{Args, peers::Demo};
use crate::queue;

/// Compares both ways and prints each page's verdict.
pub(super) async fn all(args: &Args, demo: &Demo, fax: &[u8]) -> anyhow::Result<bool> {
    let sent = queue::pages_of_last_call(&demo.store, &demo.custody).await?;
    let path = super::peers::last_fax(&args.out);
    let bytes =
        std::fs::read(&path).with_context(|| format!("{}: can't be read", path.display()))?;
    let received = tiff::read(&bytes)?;
    let document = attached_pdf(fax)?;
    std::fs::write(args.out.join("fax.pdf"), &document)?;
    let returned = pages_in(&document)?;
    println!("4. Comparing:");
    let out = same("on the line and at the far end", &sent, &received)?;
    let back = same("at the far end and in the mailed PDF", &received, &returned)?;
    Ok(out && back)
}

fn attached_pdf(mail: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mail = MessageParser::default()
        .parse(mail)
        .context("the mail can't be read")?;
    mail.attachments()
        .find(|part| {
            part.attachment_name()
                .is_some_and(|name| name.ends_with(".pdf"))
        })
        .map(|part| part.contents().to_vec())
        .context("no PDF is attached")
}

/// The fax pages in the PDF that the gateway mailed: each picture's own coded bytes and size.
fn pages_in(document: &[u8]) -> anyhow::Result<Vec<FaxPage>> {
    let mut pages = Vec::new();
    let mut rest = document;
    while let Some(at) = find(rest, b"/CCITTFaxDecode") {
        let from = rest[..at]
            .windows(4)
            .rposition(|four| four == b" obj")
            .context("a picture outside an object")?;
        let stream = at + find(&rest[at..], b"stream").context("a picture without data")?;
        let head = &rest[from..stream];
        let body = &rest[stream + b"stream\n".len()..];
        let length = number(head, b"/Length ")?;
        pages.push(FaxPage {
            width: number(head, b"/Width ")?,
            height: number(head, b"/Height ")?,
            // The comparison is of pixels; their size on paper is the PDF's page box.
            resolution: Resolution::Fine,
            coding: Coding::Mmr,
            data: body
                .get(..length)
                .context("a picture that is cut off")?
                .to_vec(),
        });
        rest = &body[length..];
    }
    Ok(pages)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn number(head: &[u8], key: &[u8]) -> anyhow::Result<usize> {
    let at = find(head, key).with_context(|| format!("no {}", String::from_utf8_lossy(key)))?
        + key.len();
    let digits: String = head[at..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .map(|b| char::from(*b))
        .collect();
    Ok(digits.parse()?)
}

fn same(what: &str, ours: &[FaxPage], theirs: &[FaxPage]) -> anyhow::Result<bool> {
    let mut identical = ours.len() == theirs.len() && !ours.is_empty();
    if !identical {
        println!("   {} pages against {}: {what}", ours.len(), theirs.len());
    }
    for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let (a, b): (Bitmap, Bitmap) = (a.decode()?, b.decode()?);
        let equal = a == b;
        identical &= equal;
        println!(
            "   page {}, {} x {} pixels: {} ({what})",
            index + 1,
            a.width(),
            a.height(),
            if equal { "identical" } else { "DIFFERENT" }
        );
    }
    Ok(identical)
}
