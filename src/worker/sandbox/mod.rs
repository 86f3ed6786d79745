//! What a child does to itself before it reads a byte of input: it gives up files, network,
//! privileges and the right to more resources than its limits.
//!
//! Seven parts, each enough to spoil an attack of its own kind, all tried even when one is refused
//! (containers often forbid new namespaces, old kernels have no Landlock). The report says which
//! hold; the gateway decides whether that is enough, before it sends the child anything.

mod seccomp;

use std::fmt;
use std::io;
use std::time::Duration;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use serde::{Deserialize, Serialize};

use super::Kind;

/// What a child may use at most. The wall clock is the gateway's to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Address space in bytes (`RLIMIT_AS`), with what the program itself takes.
    pub address_space: u64,
    /// Processor time from the child's start, all threads together, in whole seconds
    /// (`RLIMIT_CPU`); `None` for children that live as long as the gateway.
    pub cpu: Option<Duration>,
    /// Processor time between two signs of progress: a page that takes longer is given up. The gateway's to
    /// watch; `None` for children that have no such signs.
    pub step: Option<Duration>,
    /// The largest file it may write, in bytes (`RLIMIT_FSIZE`). The files are memfds: there are
    /// no others.
    pub file_size: u64,
    /// Open descriptors (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Threads (`RLIMIT_NPROC` in the child's own user namespace).
    pub threads: u64,
}

impl Limits {
    /// The limits that fit a kind of child.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        const MIB: u64 = 1024 * 1024;
        match kind {
            // A bomb of a PDF gets 1 GB and 14 s of processor, and its sender the answer within 15; an honest A4
            // page takes 20 MB and a twentieth of a second, so two hundred of them get through.
            Kind::Paper => Self {
                address_space: 1024 * MIB,
                cpu: Some(Duration::from_secs(14)),
                step: Some(Duration::from_secs(10)),
                file_size: 0,
                // The fonts that it is given are among them.
                open_files: 64,
                threads: 16,
            },
            // 32 calls: two sockets and a page file each, a thread while a page's commit is waited
            // for, and malloc reserves 128 MB of address space (not memory) for each of its arenas.
            Kind::Line => Self {
                address_space: 4096 * MIB,
                cpu: None,
                step: None,
                file_size: 64 * MIB,
                open_files: 512,
                threads: 128,
            },
        }
    }

    /// The limits as the arguments of `faxpost worker`.
    pub(super) fn to_args(&self) -> [String; 6] {
        [
            self.address_space,
            self.cpu.map_or(0, |cpu| cpu.as_secs().max(1)),
            self.step.map_or(0, |step| step.as_secs().max(1)),
            self.file_size,
            self.open_files,
            self.threads,
        ]
        .map(|number| number.to_string())
    }

    /// The limits from the arguments of `faxpost worker`.
    pub(super) fn from_args(args: &[String]) -> Option<Self> {
        let numbers: Option<Vec<u64>> = args.iter().map(|arg| arg.parse().ok()).collect();
        let [address_space, cpu, step, file_size, open_files, threads] =
            numbers?.try_into().ok()?;
        Some(Self {
            address_space,
            cpu: (cpu > 0).then(|| Duration::from_secs(cpu)),
            step: (step > 0).then(|| Duration::from_secs(step)),
            file_size,
            open_files,
            threads,
        })
    }
}

/// The parts of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// No descriptor is open that the gateway itself was started with.
    Inherited,
    /// Resource limits.
    Limits,
    /// A user, network and IPC namespace of its own, with no interface but an idle loopback.
    Namespaces,
    /// No capabilities, no way to gain any, and nobody may trace it.
    Privileges,
    /// The kernel kills it when the gateway ends.
    ParentDeath,
    /// Landlock: no file can be opened, no TCP port bound or connected, no outsider signalled.
    Landlock,
    /// seccomp: no system call but those on a short list.
    Seccomp,
}

impl Part {
    /// All parts, in the order in which they are put on.
    pub const ALL: [Self; 7] = [
        Self::Inherited,
        Self::Limits,
        Self::Namespaces,
        Self::Privileges,
        Self::ParentDeath,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// What it means when this part is missing, for the operator.
    #[must_use]
    pub fn without_it(self) -> &'static str {
        match self {
            Self::Inherited => {
                "a worker that is taken over might use files the gateway was started with"
            }
            Self::Limits => {
                "a hostile document can use more memory or processor time than it should"
            }
            Self::Namespaces => {
                "a worker that is taken over is kept off the network by the system call filter alone"
            }
            Self::Privileges => "a worker that is taken over has the gateway's own privileges",
            Self::ParentDeath => "a busy worker may outlive a gateway that crashes",
            Self::Landlock => {
                "a line worker that is taken over can read the files that the gateway's user can read"
            }
            Self::Seccomp => {
                "a worker that is taken over can use every system call, for attacks on the kernel too"
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherited => "freedom from inherited files",
            Self::Limits => "resource limits",
            Self::Namespaces => "own user and network namespace",
            Self::Privileges => "dropping of privileges",
            Self::ParentDeath => "end with the gateway",
            Self::Landlock => "Landlock",
            Self::Seccomp => "system call filter (seccomp)",
        })
    }
}

/// A part that the kernel or the container refused, wholly or partly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Which.
    pub part: Part,
    /// In the kernel's words.
    pub why: String,
    /// Whether some of it holds: an older Landlock, for example.
    pub partly: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, why, partly } = self;
        if *partly {
            // What it means that all of it is missing would say too much.
            write!(f, "{part} holds only partly: {why}")
        } else {
            write!(f, "{part} is missing ({why}): {}", part.without_it())
        }
    }
}

/// What came of putting on the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// Parts that do not hold. Its `Display` is a sentence for the operator.
    pub missing: Vec<Missing>,
}

impl SandboxReport {
    /// Whether a part holds wholly.
    #[must_use]
    pub fn holds(&self, part: Part) -> bool {
        self.missing.iter().all(|missing| missing.part != part)
    }

    /// Whether every part holds wholly.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    fn note(&mut self, part: Part, result: io::Result<()>) {
        self.note_strength(part, result.map(|()| None));
    }

    /// As `note`; `Some` says why a part that was put on holds only partly.
    fn note_strength(&mut self, part: Part, result: io::Result<Option<String>>) {
        let (why, partly) = match result {
            Ok(None) => return,
            Ok(Some(why)) => (why, true),
            Err(error) => (error.to_string(), false),
        };
        self.missing.push(Missing { part, why, partly });
    }
}

/// Puts the sandbox on this process. To be called first thing in `main`, while it has one thread
/// (a new user namespace needs that, and a filter binds only the threads that start later).
#[must_use]
pub fn enter(kind: Kind, limits: &Limits) -> SandboxReport {
    let mut report = SandboxReport::default();
    report.note(Part::Inherited, nothing_inherited());
    let namespaces = new_namespaces();
    let own_user_namespace = matches!(namespaces, Ok(None));
    report.note_strength(Part::Namespaces, namespaces);
    report.note(Part::Limits, set_limits(limits, own_user_namespace));
    report.note(Part::Privileges, drop_privileges());
    // After the credentials have changed for the last time: a change clears it (prctl(2)).
    // A gateway that ended before this line has closed the socket that the child reads next.
    report.note(
        Part::ParentDeath,
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into),
    );
    report.note_strength(Part::Landlock, restrict_files());
    report.note(Part::Seccomp, seccomp::restrict_calls(kind));
    report
}

/// Whether nothing is open but 0 (the gateway), 1 (`/dev/null`, so that nothing else becomes it)
/// and 2 (the pipe to the gateway's log). What the gateway opens itself is close-on-exec; what it
/// was started with may not be.
fn nothing_inherited() -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|fd| *fd > 2)
        .count();
    // The directory's own descriptor is among them.
    match open.saturating_sub(1) {
        0 => Ok(()),
        more => Err(io::Error::other(format!(
            "{more} descriptors that faxpost was started with are open; start it without them"
        ))),
    }
}

/// Own user namespace (which gives an unprivileged process the right to the others), network and
/// IPC. Where only root may do so without a user namespace, that is tried second. Returns why it
/// holds only partly, if so.
fn new_namespaces() -> io::Result<Option<String>> {
    let wanted = UnshareFlags::NEWNET | UnshareFlags::NEWIPC;
    match unshare(UnshareFlags::NEWUSER | wanted) {
        Ok(()) => Ok(None),
        Err(first) => match unshare(wanted) {
            Ok(()) => Ok(Some(format!(
                "the network namespace was made, the user namespace refused: {first}"
            ))),
            Err(_) => Err(first.into()),
        },
    }
}

#[expect(
    deprecated,
    reason = "what can be unsound about it is unsharing the table of descriptors, which this does not"
)]
fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(flags)
}

fn set_limits(limits: &Limits, own_user_namespace: bool) -> io::Result<()> {
    set_limit(Resource::Core, 0, 0)?;
    set_limit(Resource::Fsize, limits.file_size, limits.file_size)?;
    set_limit(Resource::Nofile, limits.open_files, limits.open_files)?;
    set_limit(Resource::As, limits.address_space, limits.address_space)?;
    if let Some(cpu) = limits.cpu {
        let seconds = cpu.as_secs().max(1);
        // SIGXCPU at the first bound tells the gateway why; SIGKILL follows at the second.
        set_limit(Resource::Cpu, seconds, seconds + 1)?;
    }
    if own_user_namespace {
        // Elsewhere it would count every process of the gateway's user.
        set_limit(Resource::Nproc, limits.threads, limits.threads)?;
    }
    Ok(())
}

/// Sets a limit, or leaves a lower one that is there already.
fn set_limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let existing = rustix::process::getrlimit(resource).maximum;
    let hard = existing.map_or(hard, |existing| existing.min(hard));
    let limit = Rlimit {
        current: Some(soft.min(hard)),
        maximum: Some(hard),
    };
    rustix::process::setrlimit(resource, limit).map_err(Into::into)
}

fn drop_privileges() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Landlock with no rule at all: no file can be opened from now on. A process's own memfds are
/// outside its realm (their file system cannot be mounted), so spandsp's `/proc/self/fd/N` of one
/// still opens, and nothing else does. Returns why it holds only partly, if so.
fn restrict_files() -> io::Result<Option<String>> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(io::Error::other)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(None),
        RulesetStatus::PartiallyEnforced => Ok(Some(
            "the kernel is older than 6.12; opening files is barred all the same".to_owned(),
        )),
        RulesetStatus::NotEnforced => Err(io::Error::other(
            "the kernel has it not, or not switched on",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_pass_through_arguments() {
        for kind in [Kind::Paper, Kind::Line] {
            let limits = Limits::of(kind);
            assert_eq!(Limits::from_args(&limits.to_args()), Some(limits));
        }
        let short = Limits {
            cpu: Some(Duration::from_millis(5)),
            ..Limits::of(Kind::Paper)
        };
        // Whole seconds: a part of one is one, never "no limit".
        let read = Limits::from_args(&short.to_args()).unwrap();
        assert_eq!(read.cpu, Some(Duration::from_secs(1)));
    }

    #[test]
    fn odd_arguments_are_refused() {
        let args = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(Limits::from_args(&args(&["1", "2", "3", "4"])), None);
        let odd = [
            &["1", "2", "3", "4", "5", "-6"][..],
            &["1", "2", "3", "4", "5", "6", "7"],
        ];
        for odd in odd {
            assert_eq!(Limits::from_args(&args(odd)), None);
        }
    }

    #[test]
    fn a_part_that_holds_partly_says_no_more_than_that() {
        let mut report = SandboxReport::default();
        report.note_strength(Part::Landlock, Ok(None));
        assert!(report.is_whole());
        report.note_strength(Part::Landlock, Ok(Some("an old kernel".to_owned())));
        assert!(!report.holds(Part::Landlock));
        assert_eq!(
            report.missing[0].to_string(),
            "Landlock holds only partly: an old kernel"
        );
    }

    #[test]
    fn a_missing_part_is_a_sentence() {
        let mut report = SandboxReport::default();
        assert!(report.is_whole());
        report.note(Part::Namespaces, Err(io::Error::from_raw_os_error(1)));
        assert!(!report.holds(Part::Namespaces));
        assert!(report.holds(Part::Seccomp));
        assert_eq!(
            report.missing[0].to_string(),
            "own user and network namespace is missing (Operation not permitted (os error 1)): a \
             worker that is taken over is kept off the network by the system call filter alone"
        );
    }
}
