//! The command line as people and scripts meet it, where no service is needed.

mod audit;
mod caller;
mod connection;
mod headers;
mod identity;
mod servers;
mod settings;
mod tokens;
mod watch;

use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;
use tempfile::TempDir;

use crate::harness::world::World;

/// The binary in an empty folder, with nothing of the caller's own settings.
fn stationmaster(folder: &TempDir, line: &[&str]) -> Command {
    let mut command = Command::cargo_bin("stationmaster").unwrap();
    command
        .args(line)
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path());
    command
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn ended(line: &[&str]) -> Ended {
    run(stationmaster(&TempDir::new().unwrap(), line))
}

fn write(folder: &TempDir, name: &str, text: &str, mode: u32) {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A command that an operator gives, with a file beside it.
async fn asked(world: &World, line: &[&str], file: (&str, &str)) -> Ended {
    asked_by(world, world.service.admin_key(), line, file).await
}

/// The same, given with another key.
async fn asked_by(world: &World, key: &str, line: &[&str], (file, text): (&str, &str)) -> Ended {
    let folder = TempDir::new().unwrap();
    write(&folder, "key", key, 0o600);
    write(&folder, file, text, 0o600);
    let endpoint = world.service.grpc_url();
    let mut words = line.to_vec();
    words.extend(["--api-key-file", "key", "--endpoint", &endpoint]);
    let command = stationmaster(&folder, &words);
    let ended = tokio::task::spawn_blocking(move || run(command)).await;
    ended.unwrap()
}

#[test]
fn help_tells_a_newcomer_where_to_start() {
    let help = ended(&["--help"]);

    assert_eq!(help.code, Some(0));
    for said in [
        "serve --dev",
        "connect tools --user alice",
        "Exit codes",
        "STATIONMASTER_API_KEY",
    ] {
        assert!(help.stdout.contains(said), "{said}:\n{}", help.stdout);
    }
}

#[test]
fn every_command_has_an_example() {
    for line in [
        "serve",
        "migrate",
        "keys generate",
        "config check",
        "apikey bootstrap",
        "apikey create",
        "apikey list",
        "apikey revoke",
        "tenant create",
        "tenant list",
        "tenant get",
        "tenant delete",
        "server create",
        "server list",
        "server get",
        "server update",
        "server access",
        "server apply",
        "server delete",
        "connect",
        "resolve",
        "disconnect",
        "connection list",
        "connection get",
        "connection import",
        "connection watch",
        "header list",
        "header set",
        "header clear",
        "chat resolve",
        "chat set",
        "chat get",
        "chat attach",
        "audit list",
        "audit watch",
        "audit export",
        "whoami",
        "completions",
    ] {
        let words: Vec<&str> = line.split(' ').chain(["--help"]).collect();

        let help = ended(&words);

        assert_eq!(help.code, Some(0), "{line}: {}", help.stderr);
        let example = help.stdout.split("Example").nth(1).unwrap_or_default();
        assert!(
            example.contains(&format!("stationmaster {line}")),
            "{line}:\n{}",
            help.stdout
        );
    }
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let script = ended(&["completions", shell]);

        assert_eq!(script.code, Some(0), "{shell}");
        assert!(script.stdout.contains("stationmaster") && script.stdout.lines().count() > 100);
    }
}

#[test]
fn a_secret_is_not_taken_from_the_command_line() {
    for line in [
        ["server", "create", "--client-secret", "hush"].as_slice(),
        &["server", "create", "--private-key", "hush"],
        &[
            "connection",
            "import",
            "x",
            "-u",
            "a",
            "--refresh-token",
            "hush",
        ],
        &[
            "connection",
            "import",
            "x",
            "-u",
            "a",
            "--access-token",
            "hush",
        ],
        &[
            "connection",
            "import",
            "x",
            "-u",
            "a",
            "--client-secret",
            "hush",
        ],
        &["header", "set", "x", "-u", "a", "X-Token=hush"],
        &["header", "set", "x", "-u", "a"],
        &["whoami", "--api-key", "hush"],
        &["serve", "--set", "keys.root_keys=AAAA"],
    ] {
        assert_eq!(ended(line).code, Some(2), "{line:?}");
    }
    let refused = ended(&["serve", "--set", "keys.root_keys=AAAA"]);
    assert!(!refused.stderr.contains("AAAA"), "{}", refused.stderr);
}
