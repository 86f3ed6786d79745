//! PDF files that want all time, all memory, or the program's end.

use std::fmt::Write as _;

use crate::made::{A4, HELVETICA, Made, written};
use crate::{Attack, Ends, Make};

const fn pdf(name: &'static str, ends: Ends, make: fn() -> Vec<u8>) -> Attack {
    Attack {
        name,
        ends,
        make: Make::Pdf(make),
    }
}

pub const ATTACKS: &[Attack] = &[
    pdf("dash bomb", Ends::Clearly, || {
        content(b"[0.0001 0.0001] 0 d 1 w 0 0 m 590 840 l S 0 840 m 590 0 l S")
    }),
    pdf(
        "forms within forms, ten levels of ten",
        Ends::Clearly,
        forms,
    ),
    pdf("a form within itself", Ends::Clearly, || {
        let mut pdf = Made::new();
        let own = pdf.next();
        pdf.stream(
            &format!(
                "/Type/XObject/Subtype/Form/BBox[0 0 600 850]/Resources<</XObject<</X {own} 0 R>>>>"
            ),
            b"0 0 10 10 re f /X Do /X Do",
        );
        pdf.page(
            &format!("{A4}/Resources<</XObject<</X {own} 0 R>>>>"),
            b"/X Do",
        );
        pdf.finish()
    }),
    pdf("a function that computes for ever", Ends::Clearly, function),
    pdf("a sampled function of a terabyte", Ends::Clearly, || {
        shading(
            "/FunctionType 0/Domain[0 1 0 1]/Range[0 1 0 1 0 1]/Size[1000000 1000000]/BitsPerSample 32",
            b"xyz",
        )
    }),
    pdf("CCITT, 65000 by 200000", Ends::Clearly, || {
        image(
            "/Width 65000/Height 200000/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/CCITTFaxDecode\
             /DecodeParms<</K -1/Columns 65000/Rows 200000>>",
            &[0x55; 4000],
        )
    }),
    pdf("half a million paths", Ends::Clearly, || {
        let mut text = String::new();
        for i in 0..500_000 {
            let (x, y) = (i % 590, i / 590 % 840);
            let _ = writeln!(
                text,
                "{x} {y} m {} {} {} {} {} {} c S",
                x + 9,
                y + 3,
                x - 5,
                y + 8,
                x + 2,
                y + 11
            );
        }
        content(text.as_bytes())
    }),
    pdf("two thousand soft masks", Ends::Clearly, masks),
    pdf(
        "half a gigabyte of content out of three kilobytes",
        Ends::Clearly,
        || {
            let mut pdf = Made::new();
            let data = deflated_twice(500_000_000, b' ');
            let bomb = pdf.stream("/Filter[/FlateDecode/FlateDecode]", &data);
            page_of(&mut pdf, bomb);
            pdf.finish()
        },
    ),
    pdf(
        "four gigabytes of picture out of nothing",
        Ends::Clearly,
        || {
            let data = deflated_twice(1_000_000_000, 0);
            image(
                "/Width 32768/Height 32768/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter[/FlateDecode/FlateDecode]",
                &data,
            )
        },
    ),
    pdf(
        "a picture of a gigapixel, one bit each",
        Ends::Clearly,
        || {
            image(
                "/Width 32768/Height 32768/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/FlateDecode",
                &deflated(134_217_728, 0),
            )
        },
    ),
    pdf(
        "a picture with a row of four billion",
        Ends::Clearly,
        || {
            image(
                "/Width 4294967295/Height 4294967295/BitsPerComponent 16/ColorSpace/DeviceCMYK",
                b"x",
            )
        },
    ),
    pdf(
        "JBIG2 of four billion by four billion",
        Ends::Clearly,
        || {
            // Segment 0, page information (T.88 §7.4.8), 19 octets.
            let mut data = vec![0, 0, 0, 0, 0x30, 0, 1, 0, 0, 0, 19];
            data.extend([0xFF; 8]);
            data.extend([0; 8]);
            data.extend([0, 0, 0]);
            image(
                "/Width 60000/Height 60000/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/JBIG2Decode",
                &data,
            )
        },
    ),
    pdf(
        "JPEG 2000 of four billion by four billion",
        Ends::Clearly,
        || image("/Width 10/Height 10/Filter/JPXDecode", &jpx()),
    ),
    pdf("JPEG of 65500 by 65500", Ends::Clearly, || {
        image(
            "/Width 65500/Height 65500/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/DCTDecode",
            &crate::pictures::jpeg(65500, 65500),
        )
    }),
    pdf("LZW that repeats itself", Ends::Clearly, || {
        image(
            "/Width 20000/Height 20000/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/LZWDecode",
            &[0x80; 300_000],
        )
    }),
    pdf("tiles of a thousandth", Ends::Clearly, || {
        tiles("0.001 0.001", "/XStep 0.001/YStep 0.001")
    }),
    pdf("tiles without a step", Ends::Clearly, || {
        tiles("10 10", "/XStep 0/YStep 0")
    }),
    pdf("a tile of a million by a million", Ends::Clearly, || {
        tiles(
            "1000000 1000000",
            "/XStep 1000000/YStep 1000000/Matrix[100 0 0 100 0 0]",
        )
    }),
    pdf("a pattern within itself", Ends::Clearly, || {
        let mut pdf = Made::new();
        let own = pdf.next();
        pdf.stream(
            &format!("/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 9 9]/XStep 9/YStep 9/Resources<</Pattern<</P {own} 0 R>>>>"),
            b"/Pattern cs /P scn 0 0 9 9 re f",
        );
        pdf.page(
            &format!("{A4}/Resources<</Pattern<</P {own} 0 R>>>>"),
            b"/Pattern cs /P scn 0 0 600 840 re f",
        );
        pdf.finish()
    }),
    pdf("a page as large as a country", Ends::Clearly, || {
        page(
            "/MediaBox[0 0 100000000 100000000]",
            b"0 0 100000000 50000000 re f",
        )
    }),
    pdf("a page without an end", Ends::Clearly, || {
        page(
            "/MediaBox[-1e38 -1e38 1e38 1e38]/UserUnit 1e30",
            b"0 0 1 1 re f",
        )
    }),
    pdf("a page a hair wide and a mile long", Ends::Clearly, || {
        page(
            "/MediaBox[0 0 0.001 10000000]/UserUnit 75000",
            b"0 0 1 1 re f",
        )
    }),
    pdf("lines as wide as they can be", Ends::Clearly, || {
        content(b"1e30 w 1e-30 0 0 1e30 0 0 cm -1e30 -1e30 m 1e30 1e30 l 1e38 1 2 3 4 1e38 c S")
    }),
    pdf("arrays three hundred thousand deep", Ends::Clearly, || {
        let deep = [vec![b'['; 300_000], vec![b']'; 300_000]].concat();
        let mut objects = vec![Vec::new(); 3];
        objects[0] = b"<</Type/Catalog/Pages 2 0 R/X 4 0 R>>".to_vec();
        objects[1] = b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec();
        objects[2] = [&b"<</Type/Page/Parent 2 0 R/MediaBox "[..], &deep, b">>"].concat();
        objects.push(deep);
        written(&objects, "")
    }),
    pdf("states a million deep", Ends::Clearly, || {
        content(&b"q ".repeat(1_000_000))
    }),
    pdf("marked content a million deep", Ends::Clearly, || {
        content(&b"/A BMC ".repeat(1_000_000))
    }),
    pdf("clips a hundred thousand deep", Ends::Clearly, || {
        content(&b"q 10 10 m 500 20 l 300 800 l h W n ".repeat(100_000))
    }),
    pdf("a page tree that bites its tail", Ends::Clearly, || {
        written(
            &[
                b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
                b"<</Type/Pages/Kids[2 0 R 3 0 R 2 0 R]/Count 3>>".to_vec(),
                b"<</Type/Pages/Kids[2 0 R 3 0 R]/Parent 3 0 R/Count 3>>".to_vec(),
            ],
            "",
        )
    }),
    pdf("a hundred thousand pages", Ends::Refused, || {
        let kid = b"<</Type/Page/MediaBox[0 0 9 9]>>".repeat(100_000);
        written(
            &[
                b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
                [&b"<</Type/Pages/Count 100000/Kids["[..], &kid, b"]>>"].concat(),
            ],
            "",
        )
    }),
    pdf(
        "a cross-reference table before itself",
        Ends::Clearly,
        || {
            let mut file = page(A4, b"0 0 100 100 re f");
            let at = String::from_utf8_lossy(&file).rfind("startxref").unwrap();
            let start = String::from_utf8_lossy(&file[at + 10..])
                .lines()
                .next()
                .unwrap()
                .to_owned();
            let trailer = format!("/Prev {start}/XRefStm {start}>>\nstartxref\n{start}\n%%EOF\n");
            file.truncate(at - 3);
            file.extend(trailer.bytes());
            file
        },
    ),
    pdf("an object stream of two billion", Ends::Clearly, || {
        let mut objects = vec![
            b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
            b"<</Type/Pages/Kids[4 0 R]/Count 1>>".to_vec(),
        ];
        let mut data = String::new();
        (0..200_000).for_each(|n| data += &format!("{n} 0 "));
        objects.push(
            format!(
                "<</Type/ObjStm/N 2147483647/First 4/Length {}>>stream\n{data}\nendstream",
                data.len()
            )
            .into_bytes(),
        );
        let mut file = written(&objects, "");
        // Without a table the reader looks for objects itself, and into that stream.
        let at = file.windows(4).rposition(|w| w == b"xref").unwrap();
        file.truncate(at - 10);
        file
    }),
    pdf("a type 3 font that shows itself", Ends::Clearly, || {
        let mut pdf = Made::new();
        let font = pdf.next() + 1;
        let glyph = pdf.stream("", b"1000 0 d0 BT /F 1 Tf (AAAA) Tj ET 0 0 500 500 re f");
        pdf.add(format!(
            "<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 65/LastChar 65\
             /Widths[1000]/Encoding<</Differences[65/A]>>/CharProcs<</A {glyph} 0 R>>/Resources<</Font<</F {font} 0 R>>>>>>"
        ));
        pdf.page(
            &format!("{A4}/Resources<</Font<</F {font} 0 R>>>>"),
            b"BT /F 12 Tf 50 700 Td (AAAAAAAA) Tj ET",
        );
        pdf.finish()
    }),
    pdf("a code map of four billion", Ends::Clearly, || {
        let mut pdf = Made::new();
        let map = pdf.stream(
            "",
            b"begincmap 1 begincodespacerange <00000000> <FFFFFFFF> endcodespacerange \
              2 beginbfrange <00000000> <FFFFFFFF> <0041> <00000000> <FFFFFFFF> [<0041>] endbfrange \
              1 begincidrange <00000000> <FFFFFFFF> 0 endcidrange endcmap",
        );
        let font = pdf.add(format!(
            "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding {map} 0 R/ToUnicode {map} 0 R/DescendantFonts\
             [<</Type/Font/Subtype/CIDFontType2/BaseFont/X/W[0 4294967295 500]/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>]>>"
        ));
        pdf.page(
            &format!("{A4}/Resources<</Font<</F {font} 0 R>>>>"),
            b"BT /F 12 Tf 50 700 Td <00000041000000420000FFFF> Tj ET",
        );
        pdf.finish()
    }),
    pdf("a mesh of a million triangles", Ends::Clearly, || {
        let mut pdf = Made::new();
        let data: Vec<u8> = (0..3_000_000u32)
            .flat_map(|n| {
                let spot = n.wrapping_mul(2_654_435_761);
                [0, (spot >> 24) as u8, (spot >> 16) as u8, (spot >> 8) as u8]
            })
            .collect();
        let mesh = pdf.stream(
            "/ShadingType 4/ColorSpace/DeviceGray/BitsPerCoordinate 8/BitsPerComponent 8/BitsPerFlag 8\
             /Decode[0 600 0 840 0 1]",
            &data,
        );
        pdf.page(
            &format!("{A4}/Resources<</Shading<</S {mesh} 0 R>>>>"),
            b"/S sh",
        );
        pdf.finish()
    }),
    pdf("an inline picture without an end", Ends::Clearly, || {
        content(
            &[
                &b"q 500 0 0 500 0 0 cm BI /W 60000 /H 60000 /BPC 8 /CS /RGB ID "[..],
                &[7; 100_000],
            ]
            .concat(),
        )
    }),
    pdf(
        "text a hundred thousand times over itself",
        Ends::Clearly,
        || {
            let text = b"(mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm) Tj ".repeat(100_000);
            page(
                &format!("{A4}{HELVETICA}"),
                &[&b"BT /F 400 Tf 0 400 Td "[..], &text, b"ET"].concat(),
            )
        },
    ),
    pdf(
        "a form field of a megabyte in five thousand fields",
        Ends::Clearly,
        fields,
    ),
    pdf(
        "fields whose parents are their children",
        Ends::Clearly,
        || {
            let mut pdf = Made::new();
            let (a, b) = (pdf.next(), pdf.next() + 1);
            pdf.add(format!(
                "<</Type/Annot/Subtype/Widget/F 4/Rect[9 9 200 40]/Parent {b} 0 R>>"
            ));
            pdf.add(format!("<</Parent {a} 0 R/Kids[{a} 0 R]>>"));
            pdf.catalog = format!("/AcroForm<</Fields[{a} 0 R {b} 0 R]/NeedAppearances true>>");
            pdf.page(&format!("{A4}/Annots[{a} 0 R {b} 0 R {a} 0 R]"), b"");
            pdf.finish()
        },
    ),
    pdf("a hundred thousand comments", Ends::Clearly, || {
        let note =
            b"<</Type/Annot/Subtype/FreeText/F 4/Rect[9 9 500 800]/DA(/H 9 Tf)/Contents(x y z)>>";
        page(
            &format!(
                "{A4}/Annots[{}]",
                String::from_utf8_lossy(&note.repeat(100_000))
            ),
            b"",
        )
    }),
    pdf("encrypted by rubbish", Ends::Refused, || {
        let mut file = page(A4, b"0 0 9 9 re f");
        let at = file.windows(8).rposition(|w| w == b"/Root 1 ").unwrap();
        let crypt = b"/ID[(a)(b)]/Encrypt<</Filter/Standard/V 5/R 6/Length 4294967295/O()/U()/P -1/CF<<>>>>";
        file.splice(at..at, crypt.iter().copied());
        file
    }),
    pdf("nothing but a mark", Ends::Refused, || {
        b"%PDF-1.7\n".to_vec()
    }),
    pdf("rubbish behind the mark", Ends::Refused, || {
        let mut file = b"%PDF-1.7\n".to_vec();
        let mut state = 7u64;
        file.extend((0..3_000_000).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        }));
        file
    }),
];

fn page(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut pdf = Made::new();
    pdf.page(entries, content);
    pdf.finish()
}

fn content(content: &[u8]) -> Vec<u8> {
    page(A4, content)
}

/// A page whose content is that object.
fn page_of(pdf: &mut Made, content: usize) {
    // The later of two entries of one name is the one that counts.
    pdf.page(&format!("{A4}/Contents {content} 0 R"), b"");
}

fn image(dict: &str, data: &[u8]) -> Vec<u8> {
    let mut pdf = Made::new();
    let image = pdf.stream(&format!("/Type/XObject/Subtype/Image{dict}"), data);
    pdf.page(
        &format!("{A4}/Resources<</XObject<</I {image} 0 R>>>>"),
        b"q 500 0 0 700 40 60 cm /I Do Q",
    );
    pdf.finish()
}

fn forms() -> Vec<u8> {
    let mut pdf = Made::new();
    let mut inner = pdf.stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 600 850]",
        b"0 0 500 500 re f 1 1 499 499 re S",
    );
    for _ in 0..10 {
        inner = pdf.stream(
            &format!("/Type/XObject/Subtype/Form/BBox[0 0 600 850]/Resources<</XObject<</X {inner} 0 R>>>>"),
            &b"/X Do ".repeat(10),
        );
    }
    pdf.page(
        &format!("{A4}/Resources<</XObject<</X {inner} 0 R>>>>"),
        b"/X Do",
    );
    pdf.finish()
}

/// Pages that take a tenth of a second or more each.
pub fn slow_pages(count: usize) -> Vec<u8> {
    let mut pdf = Made::new();
    let mut text = String::from("0.1 w ");
    for i in 0..20_000 {
        let (x, y) = (i % 590, i / 34);
        let _ = writeln!(
            text,
            "{x} {y} m {} {} {} {} {} {} c S",
            x + 90,
            y + 33,
            x - 50,
            y + 88,
            x + 2,
            y + 11
        );
    }
    let content = pdf.stream("", text.as_bytes());
    for _ in 0..count {
        page_of(&mut pdf, content);
    }
    pdf.finish()
}

fn shading(function: &str, data: &[u8]) -> Vec<u8> {
    let mut pdf = Made::new();
    let function = pdf.stream(function, data);
    pdf.page(
        &format!(
            "{A4}/Resources<</Shading<</S<</ShadingType 1/ColorSpace/DeviceRGB/Domain[0 1 0 1]\
             /Matrix[595 0 0 842 0 0]/Function {function} 0 R>>>>>>"
        ),
        b"/S sh",
    );
    pdf.finish()
}

fn function() -> Vec<u8> {
    let steps = "dup mul sin exch cos exch sqrt abs 0.5 add ".repeat(20_000);
    shading(
        "/FunctionType 4/Domain[0 1 0 1]/Range[0 1 0 1 0 1]",
        format!("{{ {steps} dup }}").as_bytes(),
    )
}

fn masks() -> Vec<u8> {
    let mut pdf = Made::new();
    let mut below = pdf.stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 600 850]/Group<</S/Transparency/CS/DeviceGray>>",
        b"0.5 g 0 0 600 850 re f",
    );
    for _ in 0..2_000 {
        below = pdf.stream(
            &format!(
                "/Type/XObject/Subtype/Form/BBox[0 0 600 850]/Group<</S/Transparency/CS/DeviceGray>>/Resources\
                 <</ExtGState<</G<</SMask<</S/Luminosity/G {below} 0 R>>>>>>>>"
            ),
            b"/G gs 0.9 g 0 0 600 850 re f",
        );
    }
    let states: Vec<String> = (0..2_000)
        .map(|n| format!("/G{n}<</SMask<</S/Luminosity/G {} 0 R>>>>", below - n))
        .collect();
    let uses: Vec<String> = (0..2_000)
        .map(|n| format!("/G{n} gs 0 0 600 850 re f"))
        .collect();
    pdf.page(
        &format!("{A4}/Resources<</ExtGState<<{}>>>>", states.concat()),
        uses.join("\n").as_bytes(),
    );
    pdf.finish()
}

fn tiles(size: &str, steps: &str) -> Vec<u8> {
    let mut pdf = Made::new();
    let tile = pdf.stream(
        &format!("/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 {size}]{steps}/Resources<<>>"),
        b"0 0 0.0005 0.0005 re f 0 0 5000 5000 re f",
    );
    pdf.page(
        &format!("{A4}/Resources<</Pattern<</P {tile} 0 R>>>>"),
        b"/Pattern cs /P scn 0 0 600 840 re f",
    );
    pdf.finish()
}

fn fields() -> Vec<u8> {
    let mut pdf = Made::new();
    let value = pdf.stream("", &b"many words that take room ".repeat(40_000));
    let mut all = String::new();
    for n in 0..5_000 {
        let (x, y) = (n % 10 * 50, n / 10 % 40 * 20);
        let _ = write!(
            all,
            "<</Type/Annot/Subtype/Widget/F 4/FT/Tx/Ff 4096/Rect[{x} {y} {} {}]/V {value} 0 R>>",
            x + 48,
            y + 18
        );
    }
    pdf.catalog = "/AcroForm<</Fields[]/DA(/Helv 0 Tf 0 g)/NeedAppearances true>>".to_owned();
    pdf.page(&format!("{A4}/Annots[{all}]"), b"");
    pdf.finish()
}

/// So many equal octets in zlib's format, a thirteenth of a kilobit for each 258 (RFC 1951 §3.2.6): one
/// literal, then "the 258 before this again".
pub fn deflated(octets: usize, octet: u8) -> Vec<u8> {
    let mut bits = Bits {
        out: vec![0x78, 0x9C],
        ..Bits::default()
    };
    bits.put(1, 1);
    bits.put(1, 2);
    // A fixed code's literals below 144 have 8 bits, from 0x30 on, the highest first.
    assert!(octet < 144);
    bits.code(0x30 + u32::from(octet), 8);
    for _ in 0..(octets - 1) / 258 {
        // Length 258 is symbol 285, distance 1 symbol 0.
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    for _ in 0..(octets - 1) % 258 {
        bits.code(0x30 + u32::from(octet), 8);
    }
    bits.code(0, 7);
    bits.put(0, 7);
    // Its check sum (Adler-32) is looked at by nobody.
    bits.out.extend([0; 4]);
    bits.out
}

/// The same, deflated once more: the first result is a few octets again and again.
fn deflated_twice(octets: usize, octet: u8) -> Vec<u8> {
    let once = deflated(octets, octet);
    let mut stream = lopdf::Stream::new(lopdf::Dictionary::new(), once);
    stream.compress().unwrap();
    stream.content
}

#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    /// The lowest bit first.
    fn put(&mut self, value: u32, bits: u32) {
        self.held |= value << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code, its highest bit first.
    fn code(&mut self, code: u32, bits: u32) {
        self.put(code.reverse_bits() >> (32 - bits), bits);
    }
}

/// A JPEG 2000 codestream that says it has 2³² - 1 columns and rows (T.800 §A.5.1), and nothing more.
fn jpx() -> Vec<u8> {
    let mut out = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
    for _ in 0..2 {
        out.extend([0xFF; 8]);
        out.extend([0; 8]);
    }
    out.extend([0, 1, 7, 1, 1]);
    // Coding style, quantisation, an empty tile.
    out.extend([0xFF, 0x52, 0, 12, 0, 0, 0, 1, 0, 5, 4, 4, 0, 1]);
    out.extend([0xFF, 0x5C, 0, 19, 0x40]);
    out.extend([0x40; 16]);
    out.extend([
        0xFF, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0x93, 0xFF, 0xD9,
    ]);
    out
}
