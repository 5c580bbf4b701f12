//! The keeper: a process that outlives the driver by as much as it takes to end what the driver
//! started, however the driver ends.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

/// The driver's end of it. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Keeper(Arc<Mutex<Option<(Child, ChildStdin)>>>);

impl Keeper {
    pub(crate) fn start() -> Self {
        use std::os::unix::process::CommandExt as _;
        let own = std::env::current_exe().expect("a program knows where it is");
        let mut keeper = Command::new(own)
            .arg("keeper")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the keeper starts");
        let pipe = keeper.stdin.take().expect("its input is a pipe");
        Self(Arc::new(Mutex::new(Some((keeper, pipe)))))
    }

    fn say(&self, line: &str) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pipe)) = held.as_mut() {
            writeln!(pipe, "{line}").expect("the keeper listens");
        }
    }

    /// A process to end with the driver: at once, or PostgreSQL in its own way.
    pub(crate) fn keep(&self, pid: u32, signal: Signal) {
        self.say(&format!("+ {pid} {}", signal.as_raw()));
    }

    /// A process that is gone.
    pub(crate) fn forget(&self, pid: u32) {
        self.say(&format!("- {pid}"));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) > 1 {
            return;
        }
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut keeper, pipe)) = held {
            drop(pipe);
            let _ = keeper.wait();
        }
    }
}

/// The keeper itself: notes pids until its input ends, then ends what is left.
pub(crate) fn run() {
    let mut kept = HashMap::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        let sign = words.next();
        let pid = words.next().and_then(|word| word.parse().ok());
        match (sign, pid.and_then(Pid::from_raw)) {
            (Some("+"), Some(pid)) => {
                let quits = words.next() == Some("3");
                kept.insert(pid, if quits { Signal::QUIT } else { Signal::KILL });
            }
            (_, Some(pid)) => {
                kept.remove(&pid);
            }
            (_, None) => {}
        }
    }
    for (pid, signal) in kept {
        let _ = kill_process(pid, signal);
    }
}
