//! One replica of the service: a real process, which is killed, paused and started again.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::Outside;
use crate::journal::Did;
use crate::plan::{DRAIN, SHUTDOWN};

/// How often a replica may fail to start, as it does while its database is down.
const TRIES: usize = 40;
const READY_WITHIN: Duration = Duration::from_secs(30);
/// What a stop may take beyond what its settings allow, on a busy machine.
const LEEWAY: Duration = Duration::from_secs(2);

/// The settings that all replicas share, and the program.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) program: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

impl Settings {
    /// Says one, whatever was said before.
    pub(super) fn says(&mut self, name: &str, value: String) {
        let name = format!("STATIONMASTER_{name}");
        self.environment.retain(|(said, _)| *said != name);
        self.environment.push((name, value));
    }

    /// A command of the service under these settings.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STATIONMASTER_")) {
            command.env_remove(name);
        }
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }
}

/// The replica. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) number: usize,
    ports: [u16; 3],
    settings: Settings,
    outside: Arc<Outside>,
    child: Mutex<Option<Child>>,
    /// Whether somebody is doing something to it.
    pub(crate) busy: AtomicBool,
}

impl Replica {
    pub(crate) fn new(
        number: usize,
        ports: [u16; 3],
        settings: Settings,
        outside: Arc<Outside>,
    ) -> Self {
        Self {
            number,
            ports,
            settings,
            outside,
            child: Mutex::new(None),
            busy: AtomicBool::new(false),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn web(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Starts it and waits until it is ready; tries again while it ends by itself.
    pub(crate) async fn start(&self) {
        for _ in 0..TRIES {
            let pid = self.spawn();
            self.outside.tell_pids().await;
            if self.is_ready().await {
                let replica = self.number;
                self.outside.journal.write(Did::Ready { replica, pid });
                return;
            }
            self.reap();
            sleep(Duration::from_millis(300)).await;
        }
        panic!("replica {} does not start", self.number);
    }

    fn spawn(&self) -> u32 {
        let log = self
            .outside
            .directory
            .join(format!("replica-{}.log", self.number));
        let log = File::options().create(true).append(true).open(log);
        let log = log.expect("a log can be written");
        let [grpc, web, operations] = self.ports.map(|port| format!("127.0.0.1:{port}"));
        let child = self
            .settings
            .command()
            .args(["serve", "--grpc-listen", &grpc, "--public-listen", &web])
            .args(["--operations-listen", &operations])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the service can be started");
        let pid = child.id();
        self.outside.keeper.keep(pid, Signal::KILL);
        self.outside.journal.write(Did::Spawned {
            replica: self.number,
            pid,
        });
        self.outside.pids().push(pid);
        *self.child() = Some(child);
        pid
    }

    async fn is_ready(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/readyz", self.ports[2]);
        let waiting = async {
            while !self.has_ended() {
                let answer = self.outside.http.get(&url).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return true;
                }
                sleep(Duration::from_millis(50)).await;
            }
            false
        };
        tokio::time::timeout(READY_WITHIN, waiting).await == Ok(true)
    }

    /// Whether the process ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        let mut child = self.child();
        child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = self.child().as_ref() {
            // One that ended by itself is not reaped yet, so that its number is nobody else's.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        if let Some(pid) = self.pid() {
            let replica = self.number;
            self.outside.journal.write(Did::Killed { replica, pid });
        }
        self.reap();
    }

    /// SIGTERM, and waits for its end, which is in the journal. One that does not end in time is killed.
    pub(crate) async fn stop(&self) {
        let (replica, pid) = (self.number, self.pid().unwrap_or_default());
        self.outside.journal.write(Did::Stopped { replica, pid });
        self.signal(Signal::TERM);
        let ended = async {
            loop {
                let looked = self.child().as_mut().map(Child::try_wait);
                if let Some(Ok(Some(status))) = looked {
                    return status.code();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(DRAIN + SHUTDOWN + LEEWAY, ended).await;
        let code = ended.ok().flatten();
        self.outside
            .journal
            .write(Did::Ended { replica, pid, code });
        self.reap();
    }

    fn reap(&self) {
        let Some(mut child) = self.child().take() else {
            return;
        };
        let _ = child.kill();
        let _ = child.wait();
        self.outside.keeper.forget(child.id());
        self.outside.pids().retain(|pid| *pid != child.id());
    }

    /// SIGSTOP, then, after a while, SIGCONT.
    pub(crate) async fn pause(&self, length: Duration) {
        let (replica, pid) = (self.number, self.pid().unwrap_or_default());
        self.outside.journal.write(Did::Paused { replica, pid });
        self.signal(Signal::STOP);
        sleep(length).await;
        self.signal(Signal::CONT);
        self.outside.journal.write(Did::Resumed { replica, pid });
    }

    /// Takes it to do something to it, unless somebody has.
    pub(crate) fn take(&self) -> bool {
        !self.busy.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn release(&self) {
        self.busy.store(false, Ordering::SeqCst);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.reap();
    }
}
