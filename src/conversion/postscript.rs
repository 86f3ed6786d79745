//! PostScript, by Ghostscript: from pipe to pipe, with no file but its own.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    ConversionFailure, Limits, MAX_PDF,
    sandbox::{self, Bounds},
};

const GHOSTSCRIPT: &str = "/usr/bin/gs";

/// Ghostscript, in a sandbox for each document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ghostscript {
    pub limits: Limits,
}

/// Where it is; or what to do.
pub(super) fn look() -> Result<String, String> {
    if Path::new(GHOSTSCRIPT).exists() {
        Ok(GHOSTSCRIPT.to_owned())
    } else {
        Err(format!(
            "there is no {GHOSTSCRIPT}: install ghostscript, or they are refused by name"
        ))
    }
}

impl Ghostscript {
    pub async fn convert(&self, bytes: &[u8]) -> Result<Vec<u8>, ConversionFailure> {
        let bounds = Bounds {
            cpu: self.limits.cpu,
        };
        let program = [
            GHOSTSCRIPT,
            "-q",
            "-dSAFER",
            "-dBATCH",
            "-dNOPAUSE",
            "-sDEVICE=pdfwrite",
            "-sstdout=%stderr",
            "-sOutputFile=%stdout",
            "-",
        ];
        let unavailable = |error: std::io::Error| ConversionFailure::Unavailable(error.to_string());
        let mut child = sandbox::command(bounds, &program)
            .spawn()
            .map_err(unavailable)?;
        let (mut to, from) = (child.stdin.take(), child.stdout.take());
        let give = async {
            if let Some(mut to) = to.take() {
                // It may end before it has read everything.
                let _ = to.write_all(bytes).await;
            }
        };
        let mut pdf = Vec::new();
        let hear = async {
            match from {
                Some(from) => from.take(MAX_PDF + 1).read_to_end(&mut pdf).await,
                None => Ok(0),
            }
        };
        let talk = async {
            let ((), heard) = tokio::join!(give, hear);
            heard.map_err(unavailable)?;
            child.wait().await.map_err(unavailable)
        };
        let status = tokio::time::timeout(self.limits.wall, talk)
            .await
            .map_err(|_| ConversionFailure::Limit(self.limits.wall.as_secs()))??;
        if pdf.len() as u64 > MAX_PDF {
            return Err(ConversionFailure::TooLarge);
        }
        match status.code() {
            Some(0) if pdf.starts_with(b"%PDF-") => Ok(pdf),
            // 128 and a signal, as a shell says it: its limits are kept by signals.
            None | Some(129..) => Err(ConversionFailure::Limit(self.limits.wall.as_secs())),
            Some(_) => Err(ConversionFailure::Unreadable),
        }
    }
}
