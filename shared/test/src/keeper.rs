//! A process that stops the private server once no test process uses it any more, however those have ended: by
//! themselves, by Ctrl-C, or killed.
//!
//! A copy of this process that never runs its code again: a test program has no place for a command of ours, and a
//! system need not have one that waits for locks.

#![expect(unsafe_code, reason = "code in a forked process")]

use std::{
    ffi::{CString, OsStr},
    fs::File,
    io,
    os::{
        fd::RawFd,
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::Path,
    thread::sleep,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::{
        signal::{Signal, kill},
        stat::Mode,
        wait::{WaitStatus, waitpid},
    },
    unistd::{AccessFlags, ForkResult, Pid, access, close, fork, read, setsid},
};

/// How long the server stays after its last user: a next test process usually follows at once.
const LINGER: Duration = Duration::from_millis(500);

/// A fast shutdown first, then an immediate one.
const STOP_STEPS: [Signal; 2] = [Signal::SIGINT, Signal::SIGQUIT];

/// How often it is checked, after each signal, whether the server has stopped.
const STOP_POLLS: u32 = 500;

/// How often it is asked whether a server that has begun to start answers.
const STARTED_POLLS: u32 = 50;

/// How often the lock of the keeper before is tried.
const TRIES: u32 = 10;

const PAUSE: Duration = Duration::from_millis(20);

/// No more descriptors are closed in the copy. A test program has far fewer.
const MAX_DESCRIPTORS: RawFd = 4096;

/// What the copy needs, made before it: it must not allocate.
pub(crate) struct Keeper {
    /// A process that starts or stops the server has this file alone; those that use the server share the next.
    lock: CString,
    users: CString,
    /// Held as long as there is a keeper.
    keeper: CString,
    /// A server without it has ended.
    pid_file: CString,
    /// Who answers there is the server, and its PID is in the file: one that was killed leaves that too.
    socket: CString,
}

impl Keeper {
    pub(crate) fn new(
        (lock, users, keeper): (&Path, &Path, &Path),
        (pid_file, socket): (&Path, &Path),
    ) -> io::Result<Self> {
        let text = |path: &Path| Ok::<_, io::Error>(CString::new(path.as_os_str().as_bytes())?);
        Ok(Self {
            lock: text(lock)?,
            users: text(users)?,
            keeper: text(keeper)?,
            pid_file: text(pid_file)?,
            socket: text(socket)?,
        })
    }

    /// Starts it. It ends by itself if there is one already.
    ///
    /// # Errors
    /// The system has no process left.
    pub(crate) fn start(&self) -> io::Result<()> {
        // SAFETY: the child runs `detach` and nothing else. That makes plain system calls on what `self` has made
        // before, as is allowed in the fork of a process with threads: it takes no lock of this process, does not
        // allocate, and never returns.
        match unsafe { fork() }? {
            ForkResult::Child => self.detach(),
            ForkResult::Parent { child } => match waitpid(child, None)? {
                WaitStatus::Exited(_, 0) => Ok(()),
                _ => Err(io::Error::other(
                    "the process that stops PostgreSQL cannot be started",
                )),
            },
        }
    }

    /// In the copy: leaves session and parent behind, so that neither Ctrl-C nor the end of the tests ends it.
    fn detach(&self) -> ! {
        if setsid().is_err() {
            end(1); // it leads a session, which a new process does not
        }
        // SAFETY: as above.
        match unsafe { fork() } {
            Err(_) => end(1),
            Ok(ForkResult::Parent { .. }) => end(0),
            Ok(ForkResult::Child) => {}
        }
        // The reader of the tests' output waits until no process can write it.
        for descriptor in 0..MAX_DESCRIPTORS {
            close(descriptor).unwrap_or(()); // fails for those that are not open
        }
        end(i32::from(self.keep().is_err()))
    }

    /// In the copy: waits, and stops the server. Fails if the files are gone, and so the server will be.
    fn keep(&self) -> Result<(), Errno> {
        // Opened here, since a lock belongs to what was opened and not to a process.
        let file = |path: &CString| {
            open(
                path.as_c_str(),
                OFlag::O_RDWR | OFlag::O_CLOEXEC,
                Mode::empty(),
            )
            .map(File::from)
        };
        let (lock, users, keeper) = (file(&self.lock)?, file(&self.users)?, file(&self.keeper)?);
        // One that has just stopped the server is about to end.
        let is_the_only_one = (0..TRIES).any(|_| keeper.try_lock().is_ok() || rested());
        if !is_the_only_one {
            return Ok(());
        }
        loop {
            while let Err(error) = users.lock() {
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(Errno::last());
                }
            }
            unlock(&users)?;
            sleep(LINGER);
            // Whoever starts the server has `lock` and waits for `users`: give both back, and try again.
            if lock.try_lock().is_ok() {
                if users.try_lock().is_ok() {
                    break;
                }
                unlock(&lock)?;
            }
        }
        let runs = || access(self.pid_file.as_c_str(), AccessFlags::F_OK).is_ok();
        for signal in STOP_STEPS {
            // Whoever started it may have been killed before it answered.
            let answers = || UnixStream::connect(path(&self.socket)).is_ok();
            if !(0..STARTED_POLLS).any(|_| runs() && answers() || rested()) {
                return Ok(());
            }
            kill(self.server()?, signal)?;
            if (0..STOP_POLLS).any(|_| !runs() || rested()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The PID in the first line of the file.
    fn server(&self) -> Result<Pid, Errno> {
        let file = open(self.pid_file.as_c_str(), OFlag::O_RDONLY, Mode::empty())?;
        let mut text = [0; 16];
        let length = read(&file, &mut text)?;
        let digits = text[..length]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        let pid = digits.fold(0_i32, |pid, digit| {
            pid.saturating_mul(10)
                .saturating_add(i32::from(digit - b'0'))
        });
        match pid {
            2.. => Ok(Pid::from_raw(pid)),
            _ => Err(Errno::ESRCH),
        }
    }
}

fn path(text: &CString) -> &Path {
    Path::new(OsStr::from_bytes(text.as_bytes()))
}

/// Says no after a pause.
fn rested() -> bool {
    sleep(PAUSE);
    false
}

fn unlock(file: &File) -> Result<(), Errno> {
    file.unlock().map_err(|_| Errno::last())
}

/// Ends the copy, without running anything of the process that it is a copy of.
fn end(code: i32) -> ! {
    // SAFETY: a system call that takes a number.
    unsafe { libc::_exit(code) }
}
