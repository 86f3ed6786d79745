//! A PDF written anew with other annotations on some of its pages, or other names of fonts: hayro draws what a file says, so what is
//! to be drawn otherwise must be said otherwise.
//!
//! Only what pages need is carried over, decrypted, from object to object; nothing is parsed by other means
//! than hayro's own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write as _;

use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::object::{Array, Dict, MaybeRef, Object, ObjectIdentifier, Stream};

/// An annotation as it is to be drawn.
pub(super) enum Annotation<'a> {
    /// One of the file's own, with this state of its appearance.
    Kept {
        dict: Dict<'a>,
        state: Option<Vec<u8>>,
    },
    /// One whose appearance was made here.
    Made(Made),
}

/// An appearance stream (ISO 32000-2 §12.5.5) that was made here.
pub(super) struct Made {
    /// Left, bottom, right, top on the page.
    pub rect: [f64; 4],
    /// Width and height of its own space.
    pub size: [f64; 2],
    /// From its own space to the rectangle's.
    pub matrix: [f64; 6],
    /// Operators.
    pub content: Vec<u8>,
}

/// What is not needed to draw a page.
const LEFT_OUT: [&[u8]; 10] = [
    b"AA",
    b"B",
    b"LastModified",
    b"Metadata",
    b"Names",
    b"Outlines",
    b"PieceInfo",
    b"StructParents",
    b"StructTreeRoot",
    b"Thumb",
];

struct Writer {
    out: Vec<u8>,
    /// Where each object begins.
    offsets: Vec<(ObjectIdentifier, usize)>,
    /// What is still to be written.
    queue: VecDeque<ObjectIdentifier>,
    known: HashSet<ObjectIdentifier>,
    /// For objects that the file has not.
    next: u32,
}

/// The file with these annotations in place of a page's own, and with fonts under these names.
pub(super) fn rewrite(
    pdf: &Pdf,
    mut pages: HashMap<ObjectIdentifier, Vec<Annotation<'_>>>,
    renamed: &HashMap<ObjectIdentifier, String>,
) -> Vec<u8> {
    let xref = pdf.xref();
    let root = xref.root_id();
    let mut writer = Writer {
        out: b"%PDF-2.0\n".to_vec(),
        offsets: Vec::new(),
        queue: VecDeque::new(),
        known: HashSet::new(),
        // Above any number that a file of the largest mail can hold.
        next: 8_000_000,
    };
    writer.refer(root);
    while let Some(id) = writer.queue.pop_front() {
        let Some(object) = xref.get::<Object<'_>>(id) else {
            continue;
        };
        writer.begin(id);
        match (object, pages.remove(&id)) {
            (Object::Dict(page), Some(annotations)) => writer.page(&page, annotations),
            (Object::Dict(font), None) if renamed.contains_key(&id) => {
                writer.put("<</BaseFont");
                writer.name(renamed[&id].as_bytes());
                writer.entries(&font, &[b"BaseFont"]);
                writer.put(">>");
            }
            (object, _) => writer.object(&object),
        }
        writer.out.extend(b"\nendobj\n");
    }
    writer.end(root)
}

impl Writer {
    fn begin(&mut self, id: ObjectIdentifier) {
        self.offsets.push((id, self.out.len()));
        self.put(&format!("{} {} obj\n", id.obj_number, id.gen_number));
    }

    fn put(&mut self, text: &str) {
        self.out.extend(text.as_bytes());
    }

    fn refer(&mut self, id: ObjectIdentifier) {
        if self.known.insert(id) {
            self.queue.push_back(id);
        }
    }

    fn maybe(&mut self, value: &MaybeRef<Object<'_>>) {
        match value {
            MaybeRef::Ref(to) => {
                self.put(&format!("{} {} R", to.obj_number, to.gen_number));
                self.refer((*to).into());
            }
            MaybeRef::NotRef(object) => self.object(object),
        }
    }

    fn object(&mut self, object: &Object<'_>) {
        match object {
            Object::Null(_) => self.put("null"),
            Object::Boolean(value) => self.put(if *value { "true" } else { "false" }),
            Object::Number(number) => self.put(&number_text(number.as_f64())),
            Object::String(string) => {
                self.put("<");
                for octet in string.as_bytes() {
                    // Writing into a Vec can't fail.
                    let _ = write!(self.out, "{octet:02x}");
                }
                self.put(">");
            }
            Object::Name(name) => self.name(name),
            Object::Array(array) => self.array(array),
            Object::Dict(dict) => {
                self.put("<<");
                self.entries(dict, &LEFT_OUT);
                self.put(">>");
            }
            Object::Stream(stream) => self.stream(stream),
        }
    }

    fn name(&mut self, name: &[u8]) {
        self.put("/");
        for &octet in name {
            if octet.is_ascii_alphanumeric() || b"-_.+".contains(&octet) {
                self.out.push(octet);
            } else {
                let _ = write!(self.out, "#{octet:02x}");
            }
        }
        self.put(" ");
    }

    fn array(&mut self, array: &Array<'_>) {
        self.put("[");
        for item in array.raw_iter() {
            self.maybe(&item);
            self.put(" ");
        }
        self.put("]");
    }

    fn entries(&mut self, dict: &Dict<'_>, without: &[&[u8]]) {
        for (key, value) in dict.entries() {
            if !without.contains(&&*key) {
                self.name(&key);
                self.maybe(&value);
            }
        }
    }

    fn stream(&mut self, stream: &Stream<'_>) {
        let data = stream.raw_data();
        self.put("<<");
        self.entries(stream.dict(), &[b"Length"]);
        self.put(&format!("/Length {}>>stream\n", data.len()));
        self.out.extend(&*data);
        self.put("\nendstream");
    }

    fn page(&mut self, page: &Dict<'_>, annotations: Vec<Annotation<'_>>) {
        let mut without = LEFT_OUT.to_vec();
        without.push(b"Annots");
        self.put("<<");
        self.entries(page, &without);
        let mut streams = Vec::new();
        self.put("/Annots[");
        for annotation in annotations {
            match annotation {
                Annotation::Kept { dict, state } => self.kept(&dict, state.as_deref()),
                Annotation::Made(made) => {
                    let id = ObjectIdentifier::new(self.next, 0);
                    self.next += 1;
                    let rect = made.rect.map(number_text).join(" ");
                    self.put(&format!(
                        "<</Type/Annot/Subtype/Widget/F 4/Rect[{rect}]/AP<</N {} 0 R>>>>",
                        id.obj_number
                    ));
                    streams.push((id, made));
                }
            }
        }
        self.put("]>>");
        for (id, made) in streams {
            self.put("\nendobj\n");
            self.begin(id);
            let [width, height] = made.size.map(number_text);
            let matrix = made.matrix.map(number_text).join(" ");
            self.put(&format!(
                "<</Type/XObject/Subtype/Form/BBox[0 0 {width} {height}]/Matrix[{matrix}]/Length {}>>stream\n",
                made.content.len()
            ));
            self.out.extend(made.content);
            self.put("\nendstream");
        }
    }

    fn kept(&mut self, dict: &Dict<'_>, state: Option<&[u8]>) {
        self.put("<</F 4");
        for (key, value) in dict.entries() {
            let key: &[u8] = &key;
            let wanted: [&[u8]; 5] = [b"Type", b"Subtype", b"Rect", b"AP", b"OC"];
            if wanted.contains(&key) || key == b"AS" && state.is_none() {
                self.name(key);
                self.maybe(&value);
            }
        }
        if let Some(state) = state {
            self.put("/AS");
            self.name(state);
        }
        self.put(">>");
    }

    fn end(mut self, root: ObjectIdentifier) -> Vec<u8> {
        let start = self.out.len();
        self.put("xref\n0 1\n0000000000 65535 f \n");
        self.offsets.sort();
        for (id, offset) in std::mem::take(&mut self.offsets) {
            self.put(&format!(
                "{} 1\n{offset:010} {:05} n \n",
                id.obj_number, id.gen_number
            ));
        }
        self.put(&format!(
            "trailer<</Size {}/Root {} {} R>>\nstartxref\n{start}\n%%EOF\n",
            self.next, root.obj_number, root.gen_number
        ));
        self.out
    }
}

/// A number without an exponent, which PDF has not (ISO 32000-2 §7.3.3).
pub(super) fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        format!("{number:.0}")
    } else if number.is_finite() {
        format!("{number:.6}")
    } else {
        "0".to_owned()
    }
}
