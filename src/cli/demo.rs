//! `faxpost demo`: both journeys on this machine alone, with the embedded defaults.
//!
//! The gateway and the far-end fax machine are processes of this same binary; the mail sink is here.
//! What the gateway put on the line is read from its records and compared with what the far end
//! received, bit for bit.

mod compare;
mod peers;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use self::peers::{Demo, Mail};

#[derive(clap::Args)]
pub(super) struct Args {
    /// End after both faxes instead of serving on.
    #[arg(long)]
    once: bool,
    /// Where results are written; its `state` folder is made anew.
    #[arg(long, default_value = "demo-out")]
    out: PathBuf,
    /// Port of the gateway's SMTP.
    #[arg(long, default_value_t = 2525)]
    smtp_port: u16,
    /// Port of the mail sink.
    #[arg(long, default_value_t = 2526)]
    sink_port: u16,
    /// Port of the gateway's SIP (UDP).
    #[arg(long, default_value_t = 5060)]
    sip_port: u16,
    /// Port of the far end's SIP (UDP); the next one is used to send the fax back.
    #[arg(long, default_value_t = 5070)]
    far_port: u16,
    /// Port of the status page.
    #[arg(long, default_value_t = 8025)]
    web_port: u16,
    /// How much faster than real time the line runs.
    #[arg(long, default_value_t = 10)]
    speed: u32,
}

/// The far end's number, and ours.
const FAR_NUMBER: &str = "+33123456789";
const OUR_NUMBER: &str = "+33199001122";
const SENDER: &str = "alice@example.localhost";
/// Nothing in the demo takes longer.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    super::log::start("warn");
    let began = Instant::now();
    free_ports(&args)?;
    let mut demo = Demo::start(&args).await?;
    // Whatever ends the demo, its processes end with it.
    let shown = tokio::select! {
        shown = show(&args, &mut demo) => shown,
        signal = super::serve::signalled() => Err(anyhow::anyhow!("stopped by {signal}")),
    };
    let identical = match shown {
        Ok(identical) => identical,
        Err(error) => {
            demo.stop().await;
            return Err(error.context(format!(
                "the demo broke off; the logs are in {}",
                args.out.join("state").display()
            )));
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    tell(&args, identical, seconds);
    if !args.once {
        println!(
            "\nThe gateway goes on serving: see http://127.0.0.1:{}/ , mail to {FAR_NUMBER}@fax.localhost on port {}.",
            args.web_port, args.smtp_port
        );
        println!("Ctrl-C ends it.");
        super::serve::signalled().await;
        println!();
    }
    demo.stop().await;
    if !identical {
        bail!("pages differ");
    }
    println!("FIGURE demo_seconds {seconds:.1} s");
    println!("FIGURE demo_pages_identical {} bool", u8::from(identical));
    Ok(())
}

async fn show(args: &Args, demo: &mut Demo) -> anyhow::Result<bool> {
    println!("1. Mailing a PDF of three pages to {FAR_NUMBER}@fax.localhost …");
    let answer = demo.mail_sample(SENDER, FAR_NUMBER).await?;
    println!("   the gateway says: {answer}");
    println!(
        "2. The gateway sends it as a fax, {} times as fast as a real line:",
        args.speed
    );
    let report = follow(demo, Mail::Report).await?;
    keep(&args.out.join("report.eml"), &report)?;
    println!("3. The far end faxes the pages back to {OUR_NUMBER}:");
    let returned = demo.fax_back(args, OUR_NUMBER);
    let fax = tokio::select! {
        fax = demo.wait_for(Mail::Fax, LIMIT) => fax?,
        failed = returned => { failed?; demo.wait_for(Mail::Fax, LIMIT).await? }
    };
    keep(&args.out.join("fax.eml"), &fax)?;
    println!("   delivered as a PDF by mail");
    compare::all(args, demo, &fax).await
}

/// Shows a bar for each page until the mail is there.
async fn follow(demo: &mut Demo, mail: Mail) -> anyhow::Result<Vec<u8>> {
    let bars = MultiProgress::new();
    let mut pages: Vec<ProgressBar> = Vec::new();
    let style = ProgressStyle::with_template("   page {prefix} [{bar:40}] {msg}")
        .context("the bar's template")?
        .progress_chars("=> ");
    // Bars need a terminal; elsewhere each page gets a line.
    let plain = bars.is_hidden();
    let mut told = 0;
    let watch = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let Ok(status) = demo.status().await else {
                continue;
            };
            let Some(call) = status["calls"].get(0).cloned() else {
                continue;
            };
            let number = |name: &str| call[name].as_u64().unwrap_or(0);
            let (page, of) = (number("page"), number("pages"));
            while (pages.len() as u64) < page {
                let bar = bars.add(ProgressBar::new(100).with_style(style.clone()));
                bar.set_prefix(format!("{} of {of}", pages.len() + 1));
                pages.push(bar);
            }
            if plain && number("confirmed") > told {
                told = number("confirmed");
                println!("   page {told} of {of} confirmed");
            }
            for (index, bar) in pages.iter().enumerate() {
                let index = index as u64 + 1;
                if index <= number("confirmed") {
                    bar.set_position(100);
                    bar.finish_with_message("confirmed");
                } else if index == page {
                    bar.set_position(number("percent"));
                    bar.set_message(format!("{} bit/s", number("rate")));
                }
            }
        }
    };
    let got = tokio::select! {
        got = demo.wait_for(mail, LIMIT) => got,
        never = watch => never,
    };
    for bar in &pages {
        if !bar.is_finished() {
            bar.set_position(100);
            bar.finish_with_message("sent");
        }
    }
    got
}

fn keep(path: &Path, mail: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, mail).with_context(|| format!("{}: can't be written", path.display()))
}

fn tell(args: &Args, identical: bool, seconds: f64) {
    let out = args.out.display();
    println!("\nDone in {seconds:.1} s. In {out}:");
    println!(
        "  far-end/fax-1.tif, far-end/fax-1-page-*.png   the pages as the far end received them"
    );
    println!("  report.eml                                    what the sender was told");
    println!(
        "  fax.eml, fax.pdf                              the fax that came back, as it was mailed"
    );
    if identical {
        println!("Every page is identical, bit for bit, both ways.");
    } else {
        println!("PAGES DIFFER: see above.");
    }
}

/// Each port is tried before anything starts.
fn free_ports(args: &Args) -> anyhow::Result<()> {
    let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
    for (port, flag) in [
        (args.smtp_port, "--smtp-port"),
        (args.sink_port, "--sink-port"),
        (args.web_port, "--web-port"),
    ] {
        std::net::TcpListener::bind(SocketAddr::new(ip, port))
            .map_err(|error| in_use("TCP", port, flag, &error))?;
    }
    for (port, flag) in [
        (args.sip_port, "--sip-port"),
        (args.far_port, "--far-port"),
        (args.far_port.saturating_add(1), "--far-port"),
    ] {
        std::net::UdpSocket::bind(SocketAddr::new(ip, port))
            .map_err(|error| in_use("UDP", port, flag, &error))?;
    }
    Ok(())
}

fn in_use(protocol: &str, port: u16, flag: &str, error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "{protocol} port {port} can't be had ({error}). Stop what uses it, or take another: make demo DEMO_ARGS=\"{flag} {}\"",
        port.saturating_add(1000)
    )
}
