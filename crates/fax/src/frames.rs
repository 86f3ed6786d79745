//! T.30 frames: facsimile control fields, their names, and what a DCS says (T.30 §5.3.6, Table 2).
//!
//! A frame is address `FF`, control (bit 4: final frame), the facsimile control field (FCF), then the
//! information field, each octet as spandsp has it: the first bit on the line is the least
//! significant. Bit 0 of the FCF is the "X" bit and never part of its name.

use faxpost_t4::{Coding, Resolution};

/// Facsimile control fields without their X bit (T.30 §5.3.6.1).
#[allow(missing_docs)]
pub mod fcf {
    pub const DIS: u8 = 0x80;
    pub const CSI: u8 = 0x40;
    pub const NSF: u8 = 0x20;
    pub const DCS: u8 = 0x82;
    pub const TSI: u8 = 0x42;
    pub const NSS: u8 = 0x22;
    pub const SUB: u8 = 0xC2;
    pub const PWD: u8 = 0xC0;
    pub const SID: u8 = 0xA2;
    pub const SEP: u8 = 0xA0;
    pub const CTC: u8 = 0x12;
    pub const CFR: u8 = 0x84;
    pub const FTT: u8 = 0x44;
    pub const CTR: u8 = 0xC4;
    pub const EOM: u8 = 0x8E;
    pub const MPS: u8 = 0x4E;
    pub const EOP: u8 = 0x2E;
    pub const PRI_EOM: u8 = 0x9E;
    pub const PRI_MPS: u8 = 0x5E;
    pub const PRI_EOP: u8 = 0x3E;
    pub const EOS: u8 = 0x1E;
    pub const PPS: u8 = 0xBE;
    pub const EOR: u8 = 0xCE;
    pub const RR: u8 = 0x6E;
    pub const MCF: u8 = 0x8C;
    pub const RTP: u8 = 0xCC;
    pub const RTN: u8 = 0x4C;
    pub const PIP: u8 = 0xAC;
    pub const PIN: u8 = 0x2C;
    pub const PPR: u8 = 0xBC;
    pub const RNR: u8 = 0xEC;
    pub const ERR: u8 = 0x1C;
    pub const DCN: u8 = 0xFA;
    pub const CRP: u8 = 0x1A;
    pub const FNV: u8 = 0xCA;
    /// The second FCF of a PPS that ends a block within a page (T.30 Annex A §A.4.3).
    pub const NULL: u8 = 0x00;
    /// Facsimile coded data: one frame of image (T.30 Annex A §A.4.1).
    pub const FCD: u8 = 0x06;
    /// Return to control for partial page (T.30 Annex A §A.4.2).
    pub const RCP: u8 = 0x86;
}

/// The field of an FCF, without the X bit.
#[must_use]
pub fn fcf_of(octet: u8) -> u8 {
    octet & 0xFE
}

/// The name of a facsimile control field; `???` for one that T.30 doesn't know.
#[must_use]
pub fn fcf_name(octet: u8) -> &'static str {
    match fcf_of(octet) {
        fcf::DIS => "DIS",
        fcf::CSI => "CSI",
        fcf::NSF => "NSF",
        fcf::DCS => "DCS",
        fcf::TSI => "TSI",
        fcf::NSS => "NSS",
        fcf::SUB => "SUB",
        fcf::PWD => "PWD",
        fcf::SID => "SID",
        fcf::SEP => "SEP",
        fcf::CTC => "CTC",
        fcf::CFR => "CFR",
        fcf::FTT => "FTT",
        fcf::CTR => "CTR",
        fcf::EOM => "EOM",
        fcf::MPS => "MPS",
        fcf::EOP => "EOP",
        fcf::PRI_EOM => "PRI-EOM",
        fcf::PRI_MPS => "PRI-MPS",
        fcf::PRI_EOP => "PRI-EOP",
        fcf::EOS => "EOS",
        fcf::PPS => "PPS",
        fcf::EOR => "EOR",
        fcf::RR => "RR",
        fcf::MCF => "MCF",
        fcf::RTP => "RTP",
        fcf::RTN => "RTN",
        fcf::PIP => "PIP",
        fcf::PIN => "PIN",
        fcf::PPR => "PPR",
        fcf::RNR => "RNR",
        fcf::ERR => "ERR",
        fcf::DCN => "DCN",
        fcf::CRP => "CRP",
        fcf::FNV => "FNV",
        fcf::NULL => "NULL",
        fcf::FCD => "FCD",
        fcf::RCP => "RCP",
        _ => "???",
    }
}

/// What two fax machines agreed on in a DCS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The far end's identification, CSI or TSI; empty if it gave none. Printable ASCII only.
    pub remote_ident: String,
    /// The sub-address that a sender asks for (SUB), when we receive.
    pub sub_address: Option<String>,
    /// Image rate, bit/s.
    pub rate: u32,
    /// Error correction mode (T.30 Annex A).
    pub ecm: bool,
    /// Vertical resolution of the pages that follow.
    pub resolution: Resolution,
    /// How rows are coded on the line.
    pub coding: Coding,
}

/// The rate bits of a DCS or CTC (T.30 Table 2, bits 11 to 14) and what they mean; `None` for
/// a combination that no modem of ours has.
#[must_use]
pub fn rate_of(octet: u8) -> Option<u32> {
    // Bits 11 to 14 stand in the second octet of the information field as bits 2 to 5.
    match octet & RATE_BITS {
        0x00 => Some(2400),
        0x08 => Some(4800),
        0x0C | 0x2C => Some(7200),
        0x04 | 0x24 => Some(9600),
        0x28 => Some(12000),
        0x20 => Some(14400),
        _ => None,
    }
}

/// The rate bits in the second octet of a DCS's information field.
pub const RATE_BITS: u8 = 0x3C;

/// A bit of a DIS, DTC or DCS (whole, from the address octet), by its number in T.30 Table 2. Those beyond
/// the end of the frame are 0.
fn bit(frame: &[u8], number: usize) -> bool {
    frame
        .get(3 + (number - 1) / 8)
        .is_some_and(|octet| octet & (1 << ((number - 1) % 8)) != 0)
}

/// Whether the machine that sent this DIS takes a sub-address (T.30 Table 2, bit 49).
#[must_use]
pub fn takes_sub_address(dis: &[u8]) -> bool {
    bit(dis, 49)
}

/// Whether the machine that sent this DIS takes a password (T.30 Table 2, bit 50).
#[must_use]
pub fn takes_password(dis: &[u8]) -> bool {
    bit(dis, 50)
}

/// What a DCS frame (whole, from the address octet) says, without the identification.
///
/// `None` when it is too short or asks for a rate that doesn't exist.
#[must_use]
pub fn read_dcs(frame: &[u8]) -> Option<Agreement> {
    if frame.len() < 6 || fcf_of(frame[2]) != fcf::DCS {
        return None;
    }
    let bit = |number: usize| bit(frame, number);
    // T.30 Table 2: bit 41 R8×15.4, bit 15 R8×7.7, bit 31 T.6, bit 16 two-dimensional, bit 27 ECM.
    let resolution = if bit(41) {
        Resolution::Superfine
    } else if bit(15) {
        Resolution::Fine
    } else {
        Resolution::Standard
    };
    let coding = if bit(31) {
        Coding::Mmr
    } else if bit(16) {
        Coding::Mr {
            k: if resolution == Resolution::Standard {
                2
            } else {
                4
            },
        }
    } else {
        Coding::Mh
    };
    Some(Agreement {
        remote_ident: String::new(),
        sub_address: None,
        rate: rate_of(frame[4])?,
        ecm: bit(27),
        resolution,
        coding,
    })
}

/// The rate that a CTC frame (whole) goes on at, bit/s: its information field is the first 16 bits of a DCS's.
#[must_use]
pub fn read_ctc(frame: &[u8]) -> Option<u32> {
    match frame {
        [_, _, field, _, rate, ..] if fcf_of(*field) == fcf::CTC => rate_of(*rate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_the_engine() {
        use spandsp_sys as s;
        for (ours, theirs) in [
            (fcf::DIS, s::T30_DIS),
            (fcf::CSI, s::T30_CSI),
            (fcf::NSF, s::T30_NSF),
            (fcf::DCS, s::T30_DCS),
            (fcf::TSI, s::T30_TSI),
            (fcf::NSS, s::T30_NSS),
            (fcf::SUB, s::T30_SUB),
            (fcf::PWD, s::T30_PWD),
            (fcf::SID, s::T30_SID),
            (fcf::SEP, s::T30_SEP),
            (fcf::CTC, s::T30_CTC),
            (fcf::CFR, s::T30_CFR),
            (fcf::FTT, s::T30_FTT),
            (fcf::CTR, s::T30_CTR),
            (fcf::EOM, s::T30_EOM),
            (fcf::MPS, s::T30_MPS),
            (fcf::EOP, s::T30_EOP),
            (fcf::PRI_EOM, s::T30_PRI_EOM),
            (fcf::PRI_MPS, s::T30_PRI_MPS),
            (fcf::PRI_EOP, s::T30_PRI_EOP),
            (fcf::EOS, s::T30_EOS),
            (fcf::PPS, s::T30_PPS),
            (fcf::EOR, s::T30_EOR),
            (fcf::RR, s::T30_RR),
            (fcf::MCF, s::T30_MCF),
            (fcf::RTP, s::T30_RTP),
            (fcf::RTN, s::T30_RTN),
            (fcf::PIP, s::T30_PIP),
            (fcf::PIN, s::T30_PIN),
            (fcf::PPR, s::T30_PPR),
            (fcf::RNR, s::T30_RNR),
            (fcf::ERR, s::T30_ERR),
            (fcf::DCN, s::T30_DCN),
            (fcf::CRP, s::T30_CRP),
            (fcf::FNV, s::T30_FNV),
            (fcf::NULL, s::T30_NULL),
            (fcf::FCD, s::T4_FCD),
            (fcf::RCP, s::T4_RCP),
        ] {
            assert_eq!(u32::from(ours), theirs & 0xFE, "{}", fcf_name(ours));
            assert_ne!(fcf_name(ours), "???");
        }
    }

    #[test]
    fn a_dcs_is_read_by_its_bits() {
        // 14400, T.6, ECM, R8×7.7: bit 10 receive, 13 rate, 15 fine, 27 ECM, 31 T.6.
        let mut frame = vec![0xFF, 0x13, 0x83, 0, 0, 0, 0];
        frame[4] = 0x02 | 0x20 | 0x40;
        frame[6] = 0x04 | 0x40;
        let told = read_dcs(&frame).unwrap();
        assert_eq!((told.rate, told.ecm), (14400, true));
        assert_eq!(
            (told.resolution, told.coding),
            (Resolution::Fine, Coding::Mmr)
        );

        frame[4] = 0x02 | 0x10;
        assert_eq!(read_dcs(&frame), None, "bit 14 alone is no rate");
        assert_eq!(read_dcs(&frame[..5]), None);
    }

    #[test]
    fn a_dis_says_whether_it_takes_a_sub_address_and_a_password() {
        let mut dis = vec![0xFF, 0x13, fcf::DIS, 0, 0x6E, 0xF8, 0xC4, 0x80, 0x80];
        assert!(!takes_sub_address(&dis) && !takes_password(&dis));
        dis.push(0x01);
        assert!(takes_sub_address(&dis) && !takes_password(&dis));
        dis[9] = 0x02;
        assert!(!takes_sub_address(&dis) && takes_password(&dis));
    }

    #[test]
    fn a_ctc_gives_the_rate_that_follows() {
        assert_eq!(read_ctc(&[0xFF, 0x13, fcf::CTC, 0x00, 0x68]), Some(12_000));
        assert_eq!(read_ctc(&[0xFF, 0x13, fcf::CTC, 0x00]), None, "too short");
        assert_eq!(read_ctc(&[0xFF, 0x13, fcf::DCS, 0x00, 0x68, 0x00]), None);
    }
}
