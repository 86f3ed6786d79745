//! Frames as a script writes them.

use faxpost_fax::frames::{fcf, fcf_name, fcf_of, rate_of};

use super::read::Word;

/// A frame for the line. `answers`: the far end was called, so its frames have no X bit.
pub fn frame(word: &Word, answers: bool) -> Vec<u8> {
    if word.name == "hex" {
        return octets(&word.says[0]);
    }
    let (lead, end) = match word.name.split_once("-") {
        Some(("PPS" | "EOR", end)) => (&word.name[..3], Some(end)),
        _ => (word.name.as_str(), None),
    };
    let field = field_of(lead);
    // T.30 §5.3.4: final frames have the bit that others lack. §5.3.6.1: X is 1 from who has heard a DIS.
    let last = !matches!(
        field,
        fcf::CSI | fcf::TSI | fcf::NSF | fcf::NSS | fcf::SUB | fcf::PWD | fcf::SID | fcf::SEP
    );
    let bit_x = match lead {
        "DIS" => 0,
        "DTC" => 1,
        _ => u8::from(!answers),
    };
    let mut frame = vec![0xFF, if last { 0x13 } else { 0x03 }, field | bit_x];
    match (field, end) {
        (fcf::DIS, _) => frame.extend(dis(&word.says)),
        (fcf::DCS, _) => frame.extend(dcs(&word.says)),
        (fcf::CSI | fcf::TSI | fcf::SUB | fcf::PWD | fcf::SID, _) => {
            let text = word.says.first().map_or("+49 30 555", String::as_str);
            // T.30 §5.3.6.2.4: the last digit comes first.
            frame.extend(format!("{text:>20}").bytes().rev());
        }
        (fcf::NSF, _) => frame.extend(word.says.first().map(|hex| octets(hex)).unwrap_or_default()),
        (fcf::PPR, _) => {
            let mut missing = vec![0; 32];
            for number in &word.says {
                let number: usize = number.parse().unwrap();
                missing[number / 8] |= 1 << (number % 8);
            }
            frame.extend(missing);
        }
        (fcf::PPS, Some(end)) => {
            frame.push(field_of(end) | bit_x);
            frame.extend(word.says.iter().map(|n| n.parse::<u8>().unwrap()));
        }
        (fcf::EOR, Some(end)) => frame.push(field_of(end) | bit_x),
        (fcf::CTC, _) => frame.extend([0, rate_bits(&word.says[0])]),
        _ => {}
    }
    frame
}

/// Whether a frame of ours is what the script awaits.
pub fn is(frame: &[u8], word: &Word) -> bool {
    name(frame) == word.name
        && word.says.iter().all(|said| match fcf_of(frame[2]) {
            fcf::DCS | fcf::CTC => match said.as_str() {
                "ecm" => bit(frame, 27),
                "plain" => !bit(frame, 27),
                "standard" => !bit(frame, 15) && !bit(frame, 41),
                "fine" => bit(frame, 15),
                "superfine" => bit(frame, 41),
                "unlimited" => bit(frame, 20),
                "b4" => bit(frame, 19),
                "a4" => !bit(frame, 19) && !bit(frame, 20),
                rate => rate_of(frame[4]) == rate.parse().ok(),
            },
            fcf::SUB | fcf::TSI | fcf::CSI | fcf::SID => {
                let text: Vec<u8> = frame[3..].iter().rev().copied().collect();
                String::from_utf8_lossy(&text).trim() == said
            }
            _ => panic!("{}: what is to be compared?", word.name),
        })
}

/// The name of a frame: `PPS-EOP`, `DCS`, `DTC`.
pub fn name(frame: &[u8]) -> String {
    let field = fcf_name(frame[2]);
    match (fcf_of(frame[2]), frame.get(3)) {
        (fcf::PPS | fcf::EOR, Some(&end)) => format!("{field}-{}", fcf_name(end)),
        (fcf::DIS, _) if frame[2] & 1 == 1 => "DTC".to_owned(),
        _ => field.to_owned(),
    }
}

fn field_of(name: &str) -> u8 {
    if name == "DTC" {
        return fcf::DIS;
    }
    (0..=0xFE)
        .step_by(2)
        .find(|&field| fcf_name(field) == name)
        .unwrap_or_else(|| panic!("T.30 has no frame {name}"))
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn bit(frame: &[u8], number: usize) -> bool {
    frame
        .get(3 + (number - 1) / 8)
        .is_some_and(|octet| octet & (1 << ((number - 1) % 8)) != 0)
}

/// Sets a bit of an information field by its number in T.30 Table 2, and those that lengthen it so far.
fn set(field: &mut Vec<u8>, number: usize) {
    let octet = (number - 1) / 8;
    if field.len() <= octet {
        field.resize(octet + 1, 0);
    }
    // Bits 24, 32, 40 and so on say that another octet follows.
    let before = field.iter_mut().take(octet).skip(2);
    before.for_each(|octet| *octet |= 0x80);
    field[octet] |= 1 << ((number - 1) % 8);
}

/// What a DIS says: by default a machine that receives by V.17 and below, standard and fine, unlimited length,
/// no minimum scan line time, without ECM.
fn dis(says: &[String]) -> Vec<u8> {
    let mut field = vec![0; 3];
    let has = |word: &str| says.iter().any(|said| said == word);
    if !has("no-receiving") {
        set(&mut field, 10);
    }
    if has("to-fetch") {
        set(&mut field, 9);
    }
    // Bits 11 to 14: V.29, V.27 ter, V.17.
    let rates: &[usize] = match () {
        () if has("v27") => &[12],
        () if has("v29") => &[11, 12],
        () => &[11, 12, 14],
    };
    rates.iter().for_each(|&bit| set(&mut field, bit));
    if !has("standard") {
        set(&mut field, 15);
    }
    if has("b4") {
        set(&mut field, 19);
    } else if !has("a4") {
        set(&mut field, 20);
    }
    [21, 22, 23].iter().for_each(|&bit| set(&mut field, bit));
    if has("ecm") {
        set(&mut field, 27);
        set(&mut field, 31);
    }
    if has("superfine") {
        set(&mut field, 41);
    }
    if has("sub") {
        set(&mut field, 49);
    }
    if has("password") {
        set(&mut field, 50);
    }
    field
}

fn dcs(says: &[String]) -> Vec<u8> {
    let mut field = vec![0; 3];
    set(&mut field, 10);
    [20, 21, 22, 23]
        .iter()
        .for_each(|&bit| set(&mut field, bit));
    for said in says {
        match said.as_str() {
            "ecm" => [27, 31].iter().for_each(|&bit| set(&mut field, bit)),
            "fine" => set(&mut field, 15),
            "sub" => set(&mut field, 49),
            rate => field[1] |= rate_bits(rate),
        }
    }
    field
}

/// T.30 Table 2, bits 11 to 14. `unknown` is a combination that no modem has.
fn rate_bits(rate: &str) -> u8 {
    match rate {
        "14400" => 0x20,
        "12000" => 0x28,
        "9600" => 0x24,
        "7200" => 0x2C,
        "4800" => 0x08,
        "2400" => 0x00,
        "unknown" => 0x10,
        other => panic!("what rate is {other}?"),
    }
}
