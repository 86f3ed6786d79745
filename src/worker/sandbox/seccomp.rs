//! The system calls that a child may make; every other gets `EPERM`.
//!
//! An error rather than a kill, because libraries try things that they can do without (a file in
//! `/etc`, the number of processors), and nobody can list those for every libc. What an attacker
//! would want (files, sockets, programs, other processes, the kernel's rarer doors) is as absent
//! either way.

use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::worker::Kind;

/// Calls that every child needs, whatever their arguments: memory, threads, time, and reading and
/// writing what is open already.
const COMMON: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // Answered with ENOSYS by the first filter, see `restrict_calls`.
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// What a paper worker needs besides: the fonts that it is given, read at places.
const PAPER: &[c_long] = &[libc::SYS_pread64];

/// What a line worker needs besides: page files in memory, and its calls' sockets and clocks.
/// `openat` reaches nothing but those memfds, through Landlock.
const LINE: &[c_long] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ftruncate,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_memfd_create,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_recvmmsg,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
];

/// Binds this thread, and those that it starts, to the calls that `kind` may make.
pub(super) fn restrict_calls(kind: Kind) -> io::Result<()> {
    // glibc starts threads with clone3, whose flags a filter cannot see, and falls back to clone
    // when the kernel does not know it. Another error would end in "cannot start a thread".
    let unknown = SeccompFilter::new(
        [(libc::SYS_clone3, vec![])].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        arch()?,
    );
    let allowed = SeccompFilter::new(
        rules(kind)?.into_iter().collect(),
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        arch()?,
    );
    // The list comes last: it does not let a filter be added. Of two errors for one call the
    // kernel takes the later filter's, so the list lets clone3 through to the first.
    for filter in [unknown, allowed] {
        let program: BpfProgram = filter
            .and_then(TryInto::try_into)
            .map_err(io::Error::other)?;
        seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

fn arch() -> io::Result<TargetArch> {
    std::env::consts::ARCH.try_into().map_err(io::Error::other)
}

/// The allowed calls, each with the argument rules of which one must hold (none: any arguments).
fn rules(kind: Kind) -> io::Result<Vec<(c_long, Vec<SeccompRule>)>> {
    let plain = match kind {
        Kind::Paper => PAPER,
        Kind::Line => LINE,
    };
    let mut rules: Vec<_> = COMMON
        .iter()
        .chain(plain)
        .map(|call| (*call, vec![]))
        .collect();
    rules.extend(with_arguments().map_err(io::Error::other)?);
    if kind == Kind::Line {
        rules.extend(line_with_arguments().map_err(io::Error::other)?);
    }
    Ok(rules)
}

type Rules = Result<Vec<(c_long, Vec<SeccompRule>)>, seccompiler::BackendError>;

fn with_arguments() -> Rules {
    let new_namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    let thread = libc::CLONE_THREAD as u64;
    let not_executable = || masked(2, libc::PROT_EXEC as u64, 0);
    let empty_path = libc::AT_EMPTY_PATH as u64;
    let own_pid = u64::from(std::process::id());
    Ok(vec![
        // Threads, never processes.
        (
            libc::SYS_clone,
            vec![masked(0, thread | new_namespaces as u64, thread)?],
        ),
        // Memory is never both written by us and run.
        (libc::SYS_mmap, vec![not_executable()?]),
        (libc::SYS_mprotect, vec![not_executable()?]),
        // What is open, by its number.
        (
            libc::SYS_newfstatat,
            vec![masked(3, empty_path, empty_path)?],
        ),
        (libc::SYS_statx, vec![masked(2, empty_path, empty_path)?]),
        // To the peer that the gateway connected it to, never to an address of the child's choice.
        (libc::SYS_sendto, vec![wide(4, 0)?]),
        // abort() ends itself, and nobody else.
        (libc::SYS_tgkill, vec![equal(0, own_pid)?]),
        (libc::SYS_prctl, vec![equal(0, libc::PR_SET_NAME as u64)?]),
        // Reading limits, not setting them.
        (libc::SYS_prlimit64, vec![wide(2, 0)?]),
        (
            libc::SYS_fcntl,
            any_of(
                1,
                &[
                    libc::F_GETFD,
                    libc::F_SETFD,
                    libc::F_GETFL,
                    libc::F_SETFL,
                    libc::F_DUPFD_CLOEXEC,
                    libc::F_ADD_SEALS,
                    libc::F_GET_SEALS,
                ],
            )?,
        ),
    ])
}

fn line_with_arguments() -> Rules {
    let timeouts = [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO];
    let socket_timeouts: Result<Vec<_>, _> = timeouts
        .into_iter()
        .map(|option| {
            SeccompRule::new(vec![
                condition(1, SeccompCmpOp::Eq, libc::SOL_SOCKET as u64)?,
                condition(2, SeccompCmpOp::Eq, option as u64)?,
            ])
        })
        .collect();
    Ok(vec![
        (libc::SYS_setsockopt, socket_timeouts?),
        // How std makes a socket non-blocking.
        (libc::SYS_ioctl, vec![equal(1, libc::FIONBIO)?]),
    ])
}

fn condition(
    argument: u8,
    op: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)
}

/// The argument's low 32 bits are `value`.
fn equal(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(argument, SeccompCmpOp::Eq, value)?])
}

/// The argument's 64 bits are `value`: for pointers.
fn wide(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::Eq,
        value,
    )?])
}

/// The bits of `mask` in the argument are `value`.
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(
        argument,
        SeccompCmpOp::MaskedEq(mask),
        value,
    )?])
}

fn any_of(argument: u8, values: &[i32]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values
        .iter()
        .map(|value| equal(argument, *value as u64))
        .collect()
}
