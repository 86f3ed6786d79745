//! A TrueType font of a few characters, each a black box, for tests: what a system's fonts have cannot be
//! relied on.

/// A font of that family with these characters, each 1000 units wide, a box of 800 by 700.
pub fn font(family: &str, characters: &[char]) -> Vec<u8> {
    let mut characters: Vec<u32> = characters.iter().map(|&c| c as u32).collect();
    characters.sort_unstable();
    let glyphs = characters.len() as u16 + 1;
    let glyph = glyph();
    let mut loca: Vec<u8> = vec![0; 4];
    for n in 0..u32::from(glyphs) {
        // The first glyph, for what is missing, is empty.
        loca.extend((n * glyph.len() as u32).to_be_bytes());
    }
    let glyf = glyph.repeat(usize::from(glyphs) - 1);
    let tables: [(&[u8; 4], Vec<u8>); 9] = [
        (b"OS/2", os2()),
        (b"cmap", cmap(&characters)),
        (b"glyf", glyf),
        (b"head", head()),
        (b"hhea", hhea(glyphs)),
        (b"hmtx", words(&[1000, 100]).repeat(usize::from(glyphs))),
        (b"loca", loca),
        (b"maxp", maxp(glyphs)),
        (b"name", name(family)),
    ];
    let mut out = vec![0, 1, 0, 0];
    out.extend(words(&[tables.len() as u16, 128, 3, 16]));
    let mut at = 12 + 16 * tables.len();
    let mut body = Vec::new();
    for (tag, table) in &tables {
        out.extend(*tag);
        out.extend([0; 4]);
        out.extend((at as u32).to_be_bytes());
        out.extend((table.len() as u32).to_be_bytes());
        let padded = table.len().next_multiple_of(4);
        body.extend(table);
        body.resize(body.len() + padded - table.len(), 0);
        at += padded;
    }
    out.extend(body);
    out
}

fn words(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

/// One contour of four points on the curve.
fn glyph() -> Vec<u8> {
    let mut out = words(&[1, 100, 0, 900, 700, 3, 0]);
    out.extend([1, 1, 1, 1]);
    out.extend(words(&[100, 800, 0, (-800i16) as u16]));
    out.extend(words(&[0, 0, 700, 0]));
    out
}

fn cmap(characters: &[u32]) -> Vec<u8> {
    // Format 12, one group a character.
    let mut out = words(&[0, 1, 3, 10, 0, 12, 12, 0]);
    out.extend((16 + 12 * characters.len() as u32).to_be_bytes());
    out.extend([0; 4]);
    out.extend((characters.len() as u32).to_be_bytes());
    for (glyph, character) in (1u32..).zip(characters) {
        for value in [*character, *character, glyph] {
            out.extend(value.to_be_bytes());
        }
    }
    out
}

fn head() -> Vec<u8> {
    let mut out = words(&[1, 0, 1, 0, 0, 0, 0x5F0F, 0x3CF5, 0, 1000]);
    out.extend([0; 16]);
    out.extend(words(&[0, 0, 1000, 800, 0, 8, 2, 1, 0]));
    out
}

fn hhea(glyphs: u16) -> Vec<u8> {
    let mut out = words(&[1, 0, 800, (-200i16) as u16, 0, 1000, 0, 0, 1000, 1]);
    out.extend([0; 14]);
    out.extend(words(&[glyphs]));
    out
}

fn maxp(glyphs: u16) -> Vec<u8> {
    let mut out = words(&[1, 0, glyphs, 4, 1, 0, 0, 1]);
    out.extend([0; 16]);
    out
}

fn os2() -> Vec<u8> {
    let mut out = words(&[4, 500, 400, 5]);
    out.extend([0; 60]);
    out.extend(words(&[800, (-200i16) as u16, 0, 800, 200]));
    out.extend([0; 18]);
    out
}

fn name(family: &str) -> Vec<u8> {
    let text: Vec<u8> = family.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut out = words(&[0, 3, 6 + 12 * 3]);
    for id in [1, 4, 6] {
        out.extend(words(&[3, 1, 0x409, id, text.len() as u16, 0]));
    }
    out.extend(text);
    out
}
