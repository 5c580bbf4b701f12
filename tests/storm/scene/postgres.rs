//! A PostgreSQL cluster of the storm's own, with the durability it has by default, which is stopped
//! at once and started again in the middle.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::process::Signal;

use super::wire::Wire;
use crate::keeper::Keeper;
use crate::postgres_binaries::{Account, Binaries};

/// The cluster. Stopped when dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    binaries: Binaries,
    account: Account,
    directory: PathBuf,
    keeper: Keeper,
    pid: Mutex<Option<u32>>,
}

impl Postgres {
    /// Makes and starts one. On a Unix socket only.
    pub(crate) fn start(directory: &Path, keeper: Keeper) -> Self {
        let account = Account::for_server();
        let directory = directory.join("pg");
        account.make_directory(&directory);
        let server = Self {
            binaries: Binaries::find(),
            account,
            directory,
            keeper,
            pid: Mutex::new(None),
        };
        let data = server.directory.join("data");
        server.run(
            "initdb",
            &[
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "-D",
            ],
            &[&data],
        );
        server.up();
        server
    }

    /// What `database.url` says.
    pub(crate) fn url(&self) -> String {
        let host = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{host}/postgres")
    }

    /// What it says at the near end of a wire.
    pub(super) fn url_by(wire: &Wire) -> String {
        let port = wire.port;
        format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join(".s.PGSQL.5432")
    }

    pub(crate) fn up(&self) {
        let data = self.directory.join("data");
        let log = self.directory.join("log");
        let options = format!("-k {} -c listen_addresses=", self.directory.display());
        self.run(
            "pg_ctl",
            &["-w", "-o", &options, "start", "-l"],
            &[&log, Path::new("-D"), &data],
        );
        let file = std::fs::read_to_string(data.join("postmaster.pid")).expect("it is running");
        let pid = file
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok());
        let pid: u32 = pid.expect("its first line is its number");
        self.keeper.keep(pid, Signal::QUIT);
        *self.pid.lock().expect("nobody panics with it") = Some(pid);
    }

    /// Stops it without any order, as a crash of its machine would.
    pub(crate) fn down(&self) {
        let data = self.directory.join("data");
        self.run("pg_ctl", &["-w", "-m", "immediate", "stop", "-D"], &[&data]);
        if let Some(pid) = self.pid.lock().expect("nobody panics with it").take() {
            self.keeper.forget(pid);
        }
    }

    fn run(&self, program: &str, words: &[&str], paths: &[&Path]) {
        let mut command: Command = self.account.command(self.binaries.path(program));
        command.args(words).args(paths);
        // The server inherits what its starter has: a pipe would never end.
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {words:?}: {status}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let running = self.pid.lock().is_ok_and(|pid| pid.is_some());
        if running && !std::thread::panicking() {
            self.down();
        }
    }
}
