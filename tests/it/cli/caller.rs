//! Where the service is and with which key to call it.

use serde_json::Value;
use tempfile::TempDir;

use super::{ended, run, stationmaster, write};

#[test]
fn a_missing_endpoint_is_asked_for() {
    let asked = ended(&["server", "list"]);

    assert_eq!(asked.code, Some(2));
    for said in ["--endpoint", "STATIONMASTER_ENDPOINT", "serve --dev"] {
        assert!(asked.stderr.contains(said), "{said}: {}", asked.stderr);
    }
}

#[test]
fn a_missing_key_is_asked_for() {
    let asked = ended(&["whoami", "--endpoint", "http://127.0.0.1:1", "-o", "json"]);

    assert_eq!(asked.code, Some(2));
    let document: Value = serde_json::from_str(&asked.stderr).unwrap();
    assert_eq!(document["error"]["code"], "USAGE");
    assert!(
        document["error"]["message"]
            .as_str()
            .unwrap()
            .contains("STATIONMASTER_API_KEY")
    );
}

#[test]
fn a_key_file_that_cannot_be_read_is_named() {
    let line = [
        "whoami",
        "--endpoint",
        "http://127.0.0.1:1",
        "--api-key-file",
        "missing.key",
    ];

    let ended = ended(&line);

    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("missing.key cannot be read"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_empty_key_file_is_refused() {
    let folder = TempDir::new().unwrap();
    write(&folder, "empty.key", "\n", 0o600);
    let line = [
        "whoami",
        "--endpoint",
        "http://127.0.0.1:1",
        "--api-key-file",
        "empty.key",
    ];

    let ended = run(stationmaster(&folder, &line));

    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("empty.key is empty"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let mut command = stationmaster(&folder, &["whoami", "--endpoint", "http://127.0.0.1:1"]);
    command.env("STATIONMASTER_API_KEY", "stm_hush");

    let ended = run(command);

    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("cannot reach http://127.0.0.1:1"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("hush"));
}

#[test]
fn a_key_is_not_sent_in_clear_text_over_a_network() {
    let folder = TempDir::new().unwrap();
    let mut command = stationmaster(&folder, &["whoami", "--endpoint", "http://service:7400"]);
    command.env("STATIONMASTER_API_KEY", "stm_hush");

    let ended = run(command);

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("clear text"), "{}", ended.stderr);
}

#[test]
fn a_profile_that_others_can_read_is_refused() {
    let folder = TempDir::new().unwrap();
    write(
        &folder,
        ".config/stationmaster/cli.toml",
        "api_key = \"stm_hush\"\n",
        0o644,
    );

    let ended = run(stationmaster(&folder, &["whoami"]));

    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("chmod 600"), "{}", ended.stderr);
}

#[test]
fn a_profile_is_found_where_dev_writes_it() {
    let folder = TempDir::new().unwrap();
    let profile = "endpoint = \"http://127.0.0.1:1\"\napi_key = \"stm_hush\"\n";
    write(&folder, "stationmaster-data/cli.toml", profile, 0o600);

    let ended = run(stationmaster(&folder, &["whoami"]));

    assert!(
        ended.stderr.contains("cannot reach http://127.0.0.1:1"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_broken_profile_is_not_quoted() {
    let folder = TempDir::new().unwrap();
    write(
        &folder,
        "p.toml",
        "endpoint = \"http://[::1]\"\napi_key = stm_hush\n",
        0o600,
    );

    let ended = run(stationmaster(&folder, &["whoami", "--profile", "p.toml"]));

    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("p.toml, line 2"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hush"));
}
