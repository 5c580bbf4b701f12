//! PostgreSQL for a test: a server of this process's own, a database of the test's own.
//!
//! The first test of a process copies a cluster that was made once on this machine and starts
//! `postgres` on it, on a Unix socket only. The server's parent is a shell that reads a pipe from
//! us: however this process ends, the pipe closes, and the shell stops the server and removes its
//! directory. Nothing is left over, and nothing has to be installed beyond the server's binaries.
//! Where those are: `postgres_binaries.rs`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection, SqlSafeStr as _};

use super::postgres_binaries::{Account, Binaries};

/// Raised when the making of the template changes, so that an old one is not taken for a new.
const TEMPLATE: &str = "1";

/// Fast, and without any durability: a test's data need not outlive its process.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "shared_buffers=32MB",
    "max_connections=200",
    "timezone=UTC",
];

/// Drops the one database that nothing is copied from, so that there is a third less to copy.
const SLIM: &str = r#"for statement in \
  "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'" \
  "DROP DATABASE template0"
do echo "$statement" | "$1" --single -F -D "$2" postgres >/dev/null || exit 1
done"#;

/// Stops the server and removes its directory when our end of the pipe closes.
const KEEPER: &str = r#"directory=$1; shift
"$@" >"$directory/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
cd /
rm -rf "$directory""#;

/// An empty database. Dropped with the guard, connections to it included.
#[derive(Debug)]
pub(crate) struct Database {
    /// What `database.url` would say.
    pub(crate) url: String,
    name: String,
}

/// A new, empty database on this process's server. Fails the test when PostgreSQL is missing.
pub(crate) async fn database() -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = Server::of_this_process();
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server
        .execute(format!("CREATE DATABASE {name} STRATEGY file_copy"))
        .await;
    Database {
        url: server.url(&name),
        name,
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // A thread of its own, since this may run inside a runtime that must not be blocked on.
        let dropping = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made")
                .block_on(Server::of_this_process().execute(statement));
        });
        let dropped = dropping.join().is_ok();
        assert!(
            dropped || std::thread::panicking(),
            "the database {} could not be dropped",
            self.name
        );
    }
}

/// The running server. Never dropped: the end of the process closes the keeper's pipe.
#[derive(Debug)]
struct Server {
    directory: PathBuf,
    _keeper: Child,
}

impl Server {
    fn of_this_process() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let binaries = Binaries::find();
        let account = Account::for_server();
        let template = template(&binaries, account);
        let directory = temporary_directory().join(format!("smpg-{}", std::process::id()));
        // Left by a process of the same number whose keeper was killed as well.
        let _ = fs::remove_dir_all(&directory);
        account.make_directory(&directory);
        let data = directory.join("data");
        run(account.command("cp").arg("-a").arg(&template).arg(&data));
        let mut keeper = account.command("sh");
        keeper.arg("-c").arg(KEEPER).arg("keeper").arg(&directory);
        keeper.arg(binaries.path("postgres")).arg("-D").arg(&data);
        keeper.arg("-k").arg(&directory);
        for setting in SETTINGS {
            keeper.arg("-c").arg(setting);
        }
        let keeper = detached(&mut keeper)
            .spawn()
            .expect("the keeper of the PostgreSQL server starts");
        await_ready(&directory);
        Self {
            directory,
            _keeper: keeper,
        }
    }

    /// The URL of one of the databases; the socket's directory stands in the host, escaped.
    fn url(&self, database: &str) -> String {
        let host = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{host}/{database}")
    }

    async fn execute(&self, statement: String) {
        let mut connection = PgConnection::connect(&self.url("postgres"))
            .await
            .expect("the PostgreSQL server of the tests answers");
        // The name of a database cannot be bound.
        let statement = sqlx::AssertSqlSafe(statement).into_sql_str();
        connection
            .execute(statement)
            .await
            .expect("the statement of the harness runs");
        let _ = connection.close().await;
    }
}

/// The cluster that every server is a copy of, made by the first process that needs it.
fn template(binaries: &Binaries, account: Account) -> PathBuf {
    let name = format!(
        "stationmaster-postgres-{}-{}-{TEMPLATE}",
        account.name(),
        binaries.fingerprint()
    );
    let template = temporary_directory().join(name);
    let lock = File::create(template.with_extension("lock")).expect("a lock file can be made");
    lock.lock().expect("the lock file can be locked");
    if template.exists() {
        return template;
    }
    let unfinished = template.with_extension("new");
    let _ = fs::remove_dir_all(&unfinished);
    account.make_directory(&unfinished);
    let data = unfinished.join("data");
    run(account
        .command(binaries.path("initdb"))
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
        .args(["--no-sync", "--no-locale", "--wal-segsize=1", "-D"])
        .arg(&data));
    run(account
        .command("sh")
        .args(["-c", SLIM, "slim"])
        .arg(binaries.path("postgres"))
        .arg(&data));
    run(account.command("mv").arg(&data).arg(&template));
    let _ = fs::remove_dir_all(&unfinished);
    template
}

/// Runs a command to its end; its output is shown when it fails.
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Out of the reach of what is sent to our process group, holding none of our streams but a pipe.
fn detached(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt as _;
    command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// Waits until the server has written that it takes connections.
fn await_ready(directory: &Path) {
    for _ in 0..5_000 {
        let state = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
        if state
            .lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
    panic!("the PostgreSQL server of the tests did not start:\n{log}");
}

/// In memory where there is room, which is ten times faster; else where the system says, unless
/// that is too long: a socket's path may have 103 bytes on some systems.
fn temporary_directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let usual = std::env::temp_dir();
    if free_kibibytes(memory).is_some_and(|free| free >= 1 << 20) {
        memory.to_owned()
    } else if usual.as_os_str().len() <= 70 {
        usual
    } else {
        PathBuf::from("/tmp")
    }
}

/// What `df` says is free, when it says anything.
fn free_kibibytes(directory: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(directory).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_database_is_empty_and_its_own() {
        let first = database().await;
        let second = database().await;
        let mut connection = PgConnection::connect(&first.url).await.unwrap();
        connection.execute("CREATE TABLE t (a TEXT)").await.unwrap();

        let mut other = PgConnection::connect(&second.url).await.unwrap();
        let elsewhere = other.execute("SELECT a FROM t").await;

        assert_ne!(first.url, second.url);
        assert!(elsewhere.is_err());
    }

    #[tokio::test]
    async fn a_dropped_database_is_gone_although_it_was_in_use() {
        let database = database().await;
        let url = database.url.clone();
        let _in_use = PgConnection::connect(&url).await.unwrap();

        drop(database);

        assert!(PgConnection::connect(&url).await.is_err());
    }
}
