//! What works on this machine: settings, root keys, the schema.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{ended, run, stationmaster, write};

#[test]
fn a_root_key_is_all_that_is_printed() {
    let made = ended(&["keys", "generate"]);
    let other = ended(&["keys", "generate"]);

    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
    assert_eq!(made.stdout.trim_end().len(), 44, "32 bytes in base64");
    assert_eq!(made.stdout.lines().count(), 1);
    assert_ne!(made.stdout, other.stdout);
}

#[test]
fn a_root_key_made_is_a_root_key_taken() {
    let folder = TempDir::new().unwrap();
    let key = run(stationmaster(&folder, &["keys", "generate"])).stdout;
    write(&folder, "root.key", &key, 0o600);
    let line = [
        "config",
        "check",
        "--public-url",
        "https://mcp.example.com",
        "--set",
    ];
    let line = [line.as_slice(), &["keys.root_keys_file=root.key"]].concat();

    let checked = run(stationmaster(&folder, &line));

    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains("(hidden)") && !checked.stdout.contains(key.trim()));
    assert!(
        checked.stdout.contains("--public-url"),
        "{}",
        checked.stdout
    );
}

#[test]
fn every_problem_of_the_settings_is_shown_with_who_said_it() {
    let folder = TempDir::new().unwrap();
    write(
        &folder,
        "s.toml",
        "[listen]\ngrpc = \"nowhere\"\n\n[tokens]\nlaese = \"1s\"\n",
        0o644,
    );
    let mut command = stationmaster(&folder, &["config", "check", "--dev", "--config", "s.toml"]);
    command.env("STATIONMASTER_HANDSHAKES__TTL", "1s");

    let checked = run(command);

    assert_eq!(checked.code, Some(1));
    assert_eq!(checked.stdout, "");
    for said in [
        "s.toml:2",
        "s.toml:5",
        "tokens.lease",
        "STATIONMASTER_HANDSHAKES__TTL",
    ] {
        assert!(checked.stderr.contains(said), "{said}:\n{}", checked.stderr);
    }
}

#[test]
fn a_flag_that_sets_no_setting_is_refused() {
    let checked = ended(&[
        "config",
        "check",
        "--dev",
        "--set",
        "listen.grcp=127.0.0.1:1",
    ]);

    assert_eq!(checked.code, Some(1));
    assert!(
        checked.stderr.contains("did you mean `listen.grpc`"),
        "{}",
        checked.stderr
    );
}

#[test]
fn the_command_lines_own_variables_are_no_settings() {
    let folder = TempDir::new().unwrap();
    let mut command = stationmaster(&folder, &["config", "check", "--dev"]);
    command
        .env("STATIONMASTER_ENDPOINT", "http://127.0.0.1:1")
        .env("STATIONMASTER_API_KEY", "stm_hush")
        .env("STATIONMASTER_DAEMON_API_KEY", "stm_hush")
        .env("STATIONMASTER_PROFILE", "none.toml")
        .env("STATIONMASTER_TENANT", "acme")
        .env("STATIONMASTER_OUTPUT", "json");

    let checked = run(command);

    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let document: Value = serde_json::from_str(&checked.stdout).unwrap();
    let settings = document["settings"].as_array().unwrap();
    assert!(
        settings
            .iter()
            .any(|row| row["key"] == "listen.grpc" && row["origin"] == "default")
    );
}

#[test]
fn settings_that_cannot_be_used_are_json_for_programs() {
    let checked = ended(&["config", "check", "--output", "json"]);

    assert_eq!(checked.code, Some(1));
    let document: Value = serde_json::from_str(&checked.stderr).unwrap();
    assert_eq!(document["error"]["code"], "INVALID_SETTINGS");
    let violations = document["error"]["field_violations"].as_array().unwrap();
    let fields: Vec<&Value> = violations
        .iter()
        .map(|violation| &violation["field"])
        .collect();
    assert_eq!(fields, ["public.url", "keys.root_keys"]);
}

#[test]
fn migrate_takes_every_step_and_check_takes_none() {
    let folder = TempDir::new().unwrap();
    let migrate = ["migrate", "--dev", "--data-dir", "data"];
    let check = ["migrate", "--dev", "--data-dir", "data", "--check"];

    let before = run(stationmaster(&folder, &check));
    let done = run(stationmaster(&folder, &migrate));
    let after = run(stationmaster(&folder, &check));

    assert_eq!(
        (before.code, done.code, after.code),
        (Some(1), Some(0), Some(0)),
        "{}",
        done.stderr
    );
    assert!(before.stderr.contains("0001_first"), "{}", before.stderr);
    assert!(done.stdout.contains("0001_first"), "{}", done.stdout);
    let database = folder.path().join("data/stationmaster.db");
    assert_eq!(mode(&database) & 0o077, 0);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode()
}
