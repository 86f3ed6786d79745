//! `faxpost status`: what the status page shows, in the terminal.

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::Config;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Print the JSON as it is.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<()> {
    let listen = config
        .web
        .listen
        .context("web.listen is not set: the status page is off on this machine")?;
    let status = fetch(listen).await?;
    if args.json {
        println!("{status}");
        return Ok(());
    }
    let text = |value: &serde_json::Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    println!(
        "faxpost {} on {}",
        text(&status["version"]),
        text(&status["hostname"])
    );
    for (title, list, columns) in [
        (
            "Calls",
            "/calls",
            &["to", "phase", "page", "pages", "percent", "rate"][..],
        ),
        ("Jobs", "/queue/states", &["state", "jobs"]),
        ("Received", "/inbox", &["state", "faxes", "pages"]),
        ("Trunks", "/trunks", &["name", "words", "busy", "channels"]),
        ("Mailboxes", "/mailboxes", &["name", "words"]),
        (
            "Troubles",
            "/queue/troubles",
            &["job_id", "state", "outcome"],
        ),
    ] {
        let rows = status.pointer(list).and_then(|rows| rows.as_array());
        println!("{title}: {}", rows.map_or(0, Vec::len));
        for row in rows.into_iter().flatten() {
            let cells: Vec<_> = columns
                .iter()
                .map(|name| format!("{name} {}", text(&row[*name])))
                .collect();
            println!("  {}", cells.join(", "));
        }
    }
    println!(
        "Calls that found no free media port: {}",
        status["wanting_ports"]
    );
    println!(
        "SIP packets from strangers, unanswered: {}",
        status["strangers"]
    );
    println!(
        "Mail to the relay: {} waiting, {} refused, {} came back, {} never delivered and no longer kept",
        status["outbox"]["ready"],
        status["outbox"]["failed"],
        status["outbox"]["bounced"],
        status["outbox"]["dropped"]
    );
    Ok(())
}

/// Reads `/status.json` of a gateway on this machine.
pub(super) async fn fetch(listen: std::net::SocketAddr) -> anyhow::Result<serde_json::Value> {
    let mut stream = tokio::net::TcpStream::connect(listen)
        .await
        .with_context(|| {
            format!("no gateway answers at {listen}: start it with `faxpost serve`")
        })?;
    // HTTP/1.0: the answer ends with the connection, so there is nothing to frame.
    stream
        .write_all(b"GET /status.json HTTP/1.0\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .context("the gateway's answer has no body")?;
    serde_json::from_str(body).context("the gateway's answer is no status")
}
