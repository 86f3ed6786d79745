//! A pseudo terminal: a program opens its path as if it were a modem's serial line.
#![allow(unsafe_code, dead_code)]

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, FromRawFd},
    path::{Path, PathBuf},
    ptr,
    time::Duration,
};

pub struct Pty {
    master: File,
    /// Held open, so that reading the master is no error while no program has the path open.
    slave: File,
    path: PathBuf,
}

impl Pty {
    pub fn open() -> io::Result<Self> {
        let (mut master, mut slave) = (-1, -1);
        // SAFETY: openpty writes two descriptors; the other arguments may be null.
        let result = unsafe {
            libc::openpty(
                &mut master,
                &mut slave,
                ptr::null_mut(),
                ptr::null(),
                ptr::null(),
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both descriptors are open, and nothing else owns them.
        let (master, slave) = unsafe { (File::from_raw_fd(master), File::from_raw_fd(slave)) };
        for file in [&master, &slave] {
            // SAFETY: sets flags of a descriptor of ours: programs started from here don't inherit it.
            if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: `termios` is plain data for which zero is a value; tcgetattr fills it.
        unsafe {
            let mut termios: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(slave.as_raw_fd(), &mut termios) < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::cfmakeraw(&mut termios);
            if libc::tcsetattr(slave.as_raw_fd(), libc::TCSANOW, &termios) < 0
                || libc::fcntl(master.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) < 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        let path = std::fs::read_link(format!("/proc/self/fd/{}", slave.as_raw_fd()))?;
        Ok(Self {
            master,
            slave,
            path,
        })
    }

    /// What the program opens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Octets that the program wrote: how many, 0 if none wait.
    pub fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        would_block_is_none(self.master.read(octets))
    }

    /// Octets for the program: how many were taken.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        would_block_is_none(self.master.write(octets))
    }

    /// Octets that wait for the program to read them.
    pub fn unread(&self) -> io::Result<usize> {
        let mut count: libc::c_int = 0;
        // SAFETY: FIONREAD writes one int.
        if unsafe { libc::ioctl(self.slave.as_raw_fd(), libc::FIONREAD, &mut count) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Waits until the program wrote something, at most `most`.
    pub fn wait(&self, most: Duration) {
        let mut poll = libc::pollfd {
            fd: self.master.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let most = libc::timespec {
            tv_sec: most.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(most.subsec_nanos()),
        };
        // SAFETY: one pollfd and one timespec, both live; no signal mask.
        unsafe { libc::ppoll(&mut poll, 1, &most, ptr::null()) };
    }
}

fn would_block_is_none(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
