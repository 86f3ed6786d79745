//! The demo's processes: gateway, far end, mail sink; and the mails between them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use mail_builder::MessageBuilder;
use tokio::process::{Child, Command};

use super::{Args, FAR_NUMBER, OUR_NUMBER, SENDER};
use crate::{
    cli::status,
    demo::sink::{Mails, Sink},
    numbers::{self, NewNumber, Trunk},
    people::{self, Language, NewTenant, NewUser, Plan, Role},
    store::Store,
    vault::Custody,
};

/// The three pages that are mailed.
const SAMPLE: &[u8] = include_bytes!("../../../testdata/three-pages.pdf");

/// Which mail is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mail {
    Report,
    Fax,
}

pub(super) struct Demo {
    gateway: Child,
    far_end: Child,
    mails: Mails,
    _sink: Sink,
    web: SocketAddr,
    smtp: SocketAddr,
    pub store: Store,
    pub custody: Custody,
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Demo {
    pub async fn start(args: &Args) -> anyhow::Result<Self> {
        let state = args.out.join("state");
        let far = args.out.join("far-end");
        let data = state.join("gateway");
        for folder in [&state, &far, &data] {
            if folder.exists() {
                std::fs::remove_dir_all(folder)
                    .with_context(|| format!("{}: can't be cleared", folder.display()))?;
            }
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{}: can't be made", folder.display()))?;
        }
        let config = write_config(args, &state)?;
        let loaded = crate::config::load(&config)?;
        let store = Store::open(&loaded.database_url()).await?;
        let custody = Custody::start(&loaded.custody_dir(), &loaded.keys_dir())?;
        fill(&store, args).await?;
        let sink = Sink::start(local(args.sink_port)).await?;
        let program = std::env::current_exe()?;
        let gateway = spawn(
            Command::new(&program)
                .arg("--config")
                .arg(&config)
                .arg("serve"),
            &state.join("gateway.log"),
        )?;
        let far_end = spawn(
            Command::new(&program)
                .arg("answer")
                .args(["--listen", &local(args.far_port).to_string()])
                .args(["--peer", &local(args.sip_port).to_string()])
                .args(["--ident", FAR_NUMBER, "--speed", &args.speed.to_string()])
                .arg("--out")
                .arg(&far),
            &state.join("far-end.log"),
        )?;
        let mut demo = Self {
            gateway,
            far_end,
            mails: sink.mails(),
            _sink: sink,
            web: local(args.web_port),
            smtp: local(args.smtp_port),
            store,
            custody,
        };
        demo.wait_until_up(&far, &state).await?;
        Ok(demo)
    }

    /// Both processes answer, or one of them ended and its log says why.
    async fn wait_until_up(&mut self, far: &Path, state: &Path) -> anyhow::Result<()> {
        let log = state.join("far-end.log");
        loop {
            for (child, name) in [
                (&mut self.gateway, "gateway"),
                (&mut self.far_end, "far-end"),
            ] {
                if let Some(status) = child.try_wait()? {
                    let log = std::fs::read_to_string(state.join(format!("{name}.log")))
                        .unwrap_or_default();
                    bail!(
                        "the {name} ended with {status}: {}",
                        log.lines().last().unwrap_or("no word")
                    );
                }
            }
            let far_up =
                std::fs::read_to_string(&log).is_ok_and(|text| text.contains("answers at"));
            if far_up
                && far.exists()
                && self.status().await.is_ok()
                && tokio::net::TcpStream::connect(self.smtp).await.is_ok()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn status(&self) -> anyhow::Result<serde_json::Value> {
        status::fetch(self.web).await
    }

    /// Mails the sample and gives the gateway's answer to the message.
    pub async fn mail_sample(&self, from: &str, number: &str) -> anyhow::Result<String> {
        let to = format!("{number}@fax.localhost");
        let message = MessageBuilder::new()
            .from(("Alice Martin", from))
            .to(to.as_str())
            .subject("Three pages by fax")
            .text_body("Hello,\n\nhere are the three pages we spoke of.\n\nBest wishes\nAlice")
            .attachment("application/pdf", "sample.pdf", SAMPLE)
            .write_to_vec()?;
        crate::relay::submit(self.smtp, from, &to, &message).await
    }

    /// Lets the far end send what it received.
    pub fn fax_back(
        &self,
        args: &Args,
        number: &'static str,
    ) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let port = args.far_port.saturating_add(1);
        let file = last_fax(&args.out);
        let state = args.out.join("state");
        let speed = args.speed.to_string();
        let peer = local(args.sip_port).to_string();
        async move {
            let mut sender = spawn(
                Command::new(std::env::current_exe()?)
                    .arg("answer")
                    .args(["--listen", &local(port).to_string()])
                    .args(["--peer", &peer, "--media-port", "42400"])
                    .args(["--ident", FAR_NUMBER, "--speed", &speed])
                    .arg("--send")
                    .arg(&file)
                    .args(["--to", number]),
                &state.join("far-end-sends.log"),
            )?;
            let status = sender.wait().await?;
            let log = std::fs::read_to_string(state.join("far-end-sends.log")).unwrap_or_default();
            for line in log.lines().filter(|line| line.starts_with("page ")) {
                println!("   {line}");
            }
            if !status.success() {
                bail!(
                    "the far end could not send: {}",
                    log.lines().last().unwrap_or("no word")
                );
            }
            Ok(())
        }
    }

    /// The next mail of its kind.
    pub async fn wait_for(&self, mail: Mail, limit: Duration) -> anyhow::Result<Vec<u8>> {
        let is_it = move |bytes: &[u8]| {
            let is_fax = String::from_utf8_lossy(bytes).contains("application/pdf");
            is_fax == (mail == Mail::Fax)
        };
        tokio::time::timeout(limit, self.mails.wait_for(is_it))
            .await
            .with_context(|| format!("no {mail:?} came within {} s", limit.as_secs()))
    }

    /// Ends both processes, politely first.
    pub async fn stop(&mut self) {
        for child in [&mut self.gateway, &mut self.far_end] {
            if let Some(pid) = child
                .id()
                .and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()))
            {
                // A process that ended by itself can't be told to.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
            }
            if tokio::time::timeout(Duration::from_secs(10), child.wait())
                .await
                .is_err()
            {
                let _ = child.kill().await;
            }
        }
    }
}

/// The fax that the far end received last: more than one when a call broke off and was placed again.
pub(super) fn last_fax(out: &Path) -> PathBuf {
    let file = |number: u32| out.join("far-end").join(format!("fax-{number}.tif"));
    let last = (1..)
        .take_while(|number| file(*number).exists())
        .last()
        .unwrap_or(1);
    file(last)
}

fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    let file = std::fs::File::create(log)
        .with_context(|| format!("{}: can't be written", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .kill_on_drop(true)
        // Ctrl-C in the terminal is for the demo, which then stops the others in order.
        .process_group(0)
        .spawn()
        .context("a process of the demo can't be started")
}

fn write_config(args: &Args, state: &Path) -> anyhow::Result<PathBuf> {
    let path = state.join("faxpost.toml");
    // As a real gateway's, but that a call which breaks off is placed again at once.
    let policies = state.join("policies");
    std::fs::create_dir_all(&policies)?;
    std::fs::write(
        policies.join("sending.toml"),
        "max_calls = 4\nmax_tries = 4\nrepeat_unknown = true\nremember_days = 90\n[wait_s]\nbusy = [2, 2, 2]\nno_answer = [2, 2, 2]\n\
         protocol = [2, 2, 2]\ntrunk = [2, 2, 2]\nno_fax = [2, 2, 2]\n",
    )?;
    let text = format!(
        "hostname = \"gateway.localhost\"\ndata_dir = {data:?}\n\
         policies_dir = {policies:?}\n\n\
         [smtp]\nlisten = [\"{smtp}\"]\nmin_free_disk = 16777216\n\n\
         [relay]\nhost = \"127.0.0.1\"\nport = {sink}\n\n\
         [sip]\nlisten = \"{sip}\"\n\n\
         [line]\nspeed = {speed}\nworkers = 1\ndrain_s = 15\n\n\
         [web]\nlisten = \"{web}\"\n",
        data = state.join("gateway").display().to_string(),
        policies = policies.display().to_string(),
        smtp = local(args.smtp_port),
        sink = args.sink_port,
        sip = local(args.sip_port),
        speed = args.speed,
        web = local(args.web_port),
    );
    std::fs::write(&path, text).with_context(|| format!("{}: can't be written", path.display()))?;
    Ok(path)
}

/// A tenant with Alice, a number of hers, and the far end as trunk.
async fn fill(store: &Store, args: &Args) -> anyhow::Result<()> {
    let mut tx = store.begin().await?;
    let tenant_id = people::create_tenant(
        &mut tx,
        &NewTenant {
            name: "Example".into(),
            language: Language::En,
            time_zone: "Europe/Paris".into(),
        },
    )
    .await?;
    people::add_domain(&mut tx, &tenant_id, "fax.localhost").await?;
    people::add_user(
        &mut tx,
        &NewUser {
            tenant_id: tenant_id.clone(),
            address: SENDER.into(),
            name: "Alice Martin".into(),
            group_id: None,
            role: Role::Operator,
            plan: Plan::SendReceive,
            language: None,
            caller_number: Some(OUR_NUMBER.into()),
        },
    )
    .await?;
    let group_id = people::default_group(&mut tx, &tenant_id).await?;
    let number_id = numbers::add_number(
        &mut tx,
        &NewNumber {
            tenant_id: tenant_id.clone(),
            group_id,
            e164: OUR_NUMBER.into(),
            title: "Front desk".into(),
        },
    )
    .await?;
    numbers::add_recipient(&mut tx, &tenant_id, &number_id, SENDER).await?;
    let far_end = Trunk::new(&tenant_id, "far end", "127.0.0.1", args.far_port);
    numbers::add_trunk(&mut tx, &far_end).await?;
    tx.commit().await?;
    Ok(())
}
