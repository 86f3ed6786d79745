//! The names of spandsp's T.30 completion codes.

/// The name of a T.30 completion code as spandsp reports it (`t30_err_e`), in the order of its values.
///
/// The code alone proves nothing about pages: it says OK for skipped and refused ones. Read the
/// [`PageVerdict`](crate::PageVerdict)s for that.
#[must_use]
pub fn completion_name(code: u32) -> &'static str {
    usize::try_from(code)
        .ok()
        .and_then(|at| NAMES.get(at))
        .copied()
        .unwrap_or("UNKNOWN")
}

const NAMES: [&str; 62] = [
    "OK",
    "CEDTONE",
    "T0_EXPIRED",
    "T1_EXPIRED",
    "T3_EXPIRED",
    "HDLC_CARRIER",
    "CANNOT_TRAIN",
    "OPER_INT_FAIL",
    "INCOMPATIBLE",
    "RX_INCAPABLE",
    "TX_INCAPABLE",
    "NORESSUPPORT",
    "NOSIZESUPPORT",
    "UNEXPECTED",
    "TX_BADDCS",
    "TX_BADPG",
    "TX_ECMPHD",
    "TX_GOTDCN",
    "TX_INVALRSP",
    "TX_NODIS",
    "TX_PHBDEAD",
    "TX_PHDDEAD",
    "TX_T5EXP",
    "RX_ECMPHD",
    "RX_GOTDCS",
    "RX_INVALCMD",
    "RX_NOCARRIER",
    "RX_NOEOL",
    "RX_NOFAX",
    "RX_T2EXPDCN",
    "RX_T2EXPD",
    "RX_T2EXPFAX",
    "RX_T2EXPMPS",
    "RX_T2EXPRR",
    "RX_T2EXP",
    "RX_DCNWHY",
    "RX_DCNDATA",
    "RX_DCNFAX",
    "RX_DCNPHD",
    "RX_DCNRRD",
    "RX_DCNNORTN",
    "FILEERROR",
    "NOPAGE",
    "BADTIFF",
    "BADPAGE",
    "BADTAG",
    "BADTIFFHDR",
    "NOMEM",
    "RETRYDCN",
    "CALLDROPPED",
    "NOPOLL",
    "IDENT_UNACCEPTABLE",
    "SUB_UNACCEPTABLE",
    "SEP_UNACCEPTABLE",
    "PSA_UNACCEPTABLE",
    "SID_UNACCEPTABLE",
    "PWD_UNACCEPTABLE",
    "TSA_UNACCEPTABLE",
    "IRA_UNACCEPTABLE",
    "CIA_UNACCEPTABLE",
    "ISP_UNACCEPTABLE",
    "CSA_UNACCEPTABLE",
];

#[cfg(test)]
mod tests {
    use super::*;
    use spandsp_sys::t30_err_e as E;

    #[test]
    fn names_stand_at_the_values_of_the_engine() {
        for (code, name) in [
            (E::T30_ERR_OK, "OK"),
            (E::T30_ERR_UNEXPECTED, "UNEXPECTED"),
            (E::T30_ERR_TX_T5EXP, "TX_T5EXP"),
            (E::T30_ERR_RX_ECMPHD, "RX_ECMPHD"),
            (E::T30_ERR_RX_DCNRRD, "RX_DCNRRD"),
            (E::T30_ERR_FILEERROR, "FILEERROR"),
            (E::T30_ERR_RETRYDCN, "RETRYDCN"),
            (E::T30_ERR_CALLDROPPED, "CALLDROPPED"),
            (E::T30_ERR_CSA_UNACCEPTABLE, "CSA_UNACCEPTABLE"),
        ] {
            assert_eq!(completion_name(code as u32), name);
        }
        assert_eq!(completion_name(62), "UNKNOWN");
        assert_eq!(completion_name(u32::MAX), "UNKNOWN");
    }
}
