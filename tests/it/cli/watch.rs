//! `connection watch`: one line for each event, until it is interrupted or told why not.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

use super::write;
use crate::harness::service::{Engine, TestService};
use crate::harness::world::World;

/// The command under way, killed when dropped.
struct Watching {
    child: Child,
    _folder: TempDir,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watching {
    fn start(service: &TestService, line: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        write(&folder, "key", service.admin_key(), 0o600);
        let child = Command::new(cargo_bin("stationmaster"))
            .args(["connection", "watch", "--api-key-file", "key"])
            .args(["--endpoint", &service.grpc_url()])
            .args(line)
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self {
            child: child.unwrap(),
            _folder: folder,
        }
    }

    /// The first lines it prints.
    async fn lines(mut self, count: usize) -> Vec<String> {
        let reading = tokio::task::spawn_blocking(move || {
            let out = self.child.stdout.take().unwrap();
            let lines = BufReader::new(out).lines().take(count);
            lines.map(Result::unwrap).collect()
        });
        reading.await.unwrap()
    }

    /// What it says when it ends by itself, and how.
    async fn end(mut self) -> (Option<i32>, String) {
        let ending = tokio::task::spawn_blocking(move || {
            let code = self.child.wait().unwrap().code();
            let said = std::io::read_to_string(self.child.stderr.take().unwrap());
            (code, said.unwrap())
        });
        ending.await.unwrap()
    }
}

#[tokio::test]
async fn a_line_is_printed_for_each_event() {
    let world = World::start(Engine::Sqlite).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    let id = world.connection("alice", "tools").await.unwrap().id;

    let words = Watching::start(&world.service, &[]).lines(2).await;
    let user = ["--user", "alice", "--server", "tools", "-o", "json"];
    let json = Watching::start(&world.service, &user).lines(2).await;

    let told: Vec<&str> = words[0].split_whitespace().collect();
    assert_eq!(told, ["put", "0", &id, "alice", "tools", "active"]);
    assert!(words[1].starts_with("synced "), "{}", words[1]);
    let json: Vec<Value> = json
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(json[0]["kind"], "CHANGE_KIND_PUT");
    assert_eq!(json[0]["connection"]["user"], "alice");
    assert_eq!(json[1]["kind"], "CHANGE_KIND_SYNCED");
}

#[tokio::test]
async fn what_ends_a_watch_is_said() {
    let service = TestService::start(Engine::Sqlite).await;
    let beyond = ["--after", "999999"];

    let (code, said) = Watching::start(&service, &beyond).end().await;

    assert_eq!(code, Some(1));
    assert!(said.contains("reason: REVISION_COMPACTED"), "{said}");
}
