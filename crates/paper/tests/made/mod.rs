//! PDF files made object by object, for tests.

// Each test uses its own part of this.
#![allow(dead_code)]

/// Objects 1 (catalog) and 2 (page tree) are written by [`Made::finish`].
pub struct Made {
    objects: Vec<Vec<u8>>,
    pages: Vec<usize>,
    /// More entries of the catalog.
    pub catalog: String,
}

impl Default for Made {
    fn default() -> Self {
        Self::new()
    }
}

impl Made {
    pub fn new() -> Self {
        Self {
            objects: vec![Vec::new(); 2],
            pages: Vec::new(),
            catalog: String::new(),
        }
    }

    /// Its number.
    pub fn add(&mut self, object: impl AsRef<[u8]>) -> usize {
        self.objects.push(object.as_ref().to_vec());
        self.objects.len()
    }

    pub fn stream(&mut self, dict: &str, data: &[u8]) -> usize {
        let mut object = format!("<<{dict}/Length {}>>stream\n", data.len()).into_bytes();
        object.extend(data);
        object.extend(b"\nendstream");
        self.add(object)
    }

    /// A page with `entries` besides its content: MediaBox, Resources, Annots ...
    pub fn page(&mut self, entries: &str, content: &[u8]) {
        let content = self.stream("", content);
        let page = self.add(format!(
            "<</Type/Page/Parent 2 0 R/Contents {content} 0 R {entries}>>"
        ));
        self.pages.push(page);
    }

    /// The next object's number.
    pub fn next(&self) -> usize {
        self.objects.len() + 1
    }

    pub fn finish(mut self) -> Vec<u8> {
        let kids: Vec<String> = self.pages.iter().map(|n| format!("{n} 0 R")).collect();
        self.objects[0] = format!("<</Type/Catalog/Pages 2 0 R {}>>", self.catalog).into_bytes();
        self.objects[1] = format!(
            "<</Type/Pages/Kids[{}]/Count {}>>",
            kids.join(" "),
            kids.len()
        )
        .into_bytes();
        written(&self.objects, "")
    }
}

/// A file of these objects, the first of which is the catalog.
pub fn written(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend(format!("{} 0 obj\n", index + 1).bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    let start = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        out.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    out.extend(
        format!(
            "trailer<</Size {}/Root 1 0 R {trailer}>>\nstartxref\n{start}\n%%EOF\n",
            objects.len() + 1
        )
        .bytes(),
    );
    out
}

pub const A4: &str = "/MediaBox[0 0 595 842]";
/// A page's resources with Helvetica as F.
pub const HELVETICA: &str =
    "/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>";
