//! Where a foreign program runs: bubblewrap's namespaces, and limits on top.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

const BUBBLEWRAP: &str = "/usr/bin/bwrap";
const PRLIMIT: &str = "/usr/bin/prlimit";

/// Octets of its folder in memory.
const FOLDER: u64 = 256 << 20;
/// Address space of each process, octets: LibreOffice maps 1.5 GB and uses 220 MB.
const ADDRESS_SPACE: u64 = 3 << 30;
/// Its largest file, octets.
const FILE: u64 = 128 << 20;

/// Limits that aren't the same for all.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Processor time of each process.
    pub cpu: Duration,
}

/// A program in a sandbox: nothing of this machine but `/usr` and what tells it its fonts, read-only; a folder
/// in memory at `/tmp`; no network, no other process, an identity that owns nothing. It ends with us, and all
/// that it started with it.
pub(super) fn command(bounds: Bounds, program: &[&str]) -> Command {
    command_with(bounds, &[], program)
}

/// As [`command`], with more files of this machine to be seen, where they lie outside `/usr`.
pub(crate) fn command_with(bounds: Bounds, shown: &[&Path], program: &[&str]) -> Command {
    let mut command = Command::new(BUBBLEWRAP);
    command.args([
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--clearenv",
        "--ro-bind",
        "/usr",
        "/usr",
        "--symlink",
        "usr/bin",
        "/bin",
        "--symlink",
        "usr/lib",
        "/lib",
        "--symlink",
        "usr/lib64",
        "/lib64",
    ]);
    for shown in [
        "/etc/fonts",
        "/etc/libreoffice",
        "/etc/alternatives",
        "/etc/ld.so.cache",
        "/var/cache/fontconfig",
        "/var/lib/ghostscript",
    ] {
        command.args(["--ro-bind-try", shown, shown]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev", "--size"]);
    command.arg(FOLDER.to_string());
    command.args([
        "--tmpfs", "/tmp", "--chdir", "/tmp", "--uid", "65534", "--gid", "65534",
    ]);
    for path in shown.iter().filter(|path| !path.starts_with("/usr")) {
        command.arg("--ro-bind").args([path, path]);
    }
    for (name, value) in [("HOME", "/tmp"), ("PATH", "/usr/bin"), ("LANG", "C.UTF-8")] {
        command.args(["--setenv", name, value]);
    }
    command.arg("--").arg(PRLIMIT);
    command.arg(format!("--cpu={}", bounds.cpu.as_secs().max(1)));
    command.arg(format!("--as={ADDRESS_SPACE}"));
    command.arg(format!("--fsize={FILE}"));
    command.args(["--core=0", "--nproc=256", "--"]);
    command.args(program);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It may quote the document.
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Whether a sandbox can be had; or why not, and what to do.
pub(crate) async fn probe() -> Result<(), String> {
    for (program, package) in [(BUBBLEWRAP, "bubblewrap"), (PRLIMIT, "util-linux")] {
        if !Path::new(program).exists() {
            return Err(format!(
                "there is no {program} to sandbox it: install {package}"
            ));
        }
    }
    let bounds = Bounds {
        cpu: Duration::from_secs(5),
    };
    let tried = command(bounds, &["/usr/bin/true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .await;
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "its sandbox can't be made ({}): allow user namespaces to this service",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{BUBBLEWRAP} can't be run: {error}")),
    }
}
