//! An office document to PDF, by an office that was started ahead: `make bench-office`.
//!
//! The time is that of a conversion whose office waits ready, as it does from the second document on.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use faxpost::{
    conversion::{Converters, Limits},
    documents::Conversion,
};

const ROUNDS: usize = 9;
/// Until the next one surely waits.
const AHEAD: Duration = Duration::from_secs(12);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let limits = Limits {
        wall: Duration::from_secs(120),
        cpu: Duration::from_secs(60),
    };
    let (converters, findings) = Converters::find(limits, 1).await;
    for finding in findings {
        println!("{}: {:?}", finding.what, finding.found);
    }
    // A protected document of Word: what its password costs is in the time.
    let document = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/office/protected.docx"
    ))?;
    let convert = async || {
        let began = Instant::now();
        let pdf = converters
            .convert(Conversion::Word, &document, Some("secret"))
            .await?;
        anyhow::ensure!(pdf.starts_with(b"%PDF-"), "it is no PDF");
        anyhow::Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    let cold = convert().await.context("the first one")?;
    let mut warm = Vec::new();
    for _ in 0..ROUNDS {
        tokio::time::sleep(AHEAD).await;
        warm.push(convert().await?);
    }
    warm.sort_by(f64::total_cmp);
    println!(
        "cold {cold:.0} ms, warm from {:.0} to {:.0} ms",
        warm[0],
        warm[ROUNDS - 1]
    );
    println!("\nFIGURE office_warm_ms {:.0} ms", warm[ROUNDS / 2]);
    Ok(())
}
