//! Fax machines that answer, each a process of its own.

use std::net::SocketAddr;

use super::{FAR_NUMBER, Rig, ports, process::Process};

impl Rig {
    /// Starts a fax machine that answers at `listen`, and waits until it is up.
    pub async fn answering(&mut self, listen: SocketAddr, arguments: &[&str]) -> Process {
        self.starts += 1;
        let log = self.dir.path().join(format!("far-end-{}.log", self.starts));
        let (listen, peer) = (listen.to_string(), self.sip.to_string());
        let out = self.far_folder().display().to_string();
        let (speed, media) = (self.how.speed.to_string(), ports::media().to_string());
        let mut all = vec![
            "answer",
            "--listen",
            &listen,
            "--peer",
            &peer,
            "--media-port",
            &media,
            "--ident",
            FAR_NUMBER,
            "--speed",
            &speed,
            "--out",
            &out,
        ];
        all.extend(arguments);
        let machine = Process::spawn("far end", &all, log);
        self.until("the far end is up", async || {
            machine.log().contains("answers at").then_some(())
        })
        .await;
        machine
    }
}
