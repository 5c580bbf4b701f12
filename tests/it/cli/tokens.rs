//! A JWT in the key's place.

use serde_json::json;
use tempfile::TempDir;

use super::{run, stationmaster, write};
use crate::harness::issuer::TestIssuer;
use crate::harness::service::Engine;

#[tokio::test]
async fn who_calls_with_a_token_is_told_what_is_made_of_it() {
    let issuer = TestIssuer::start().await;
    let world = issuer
        .world(Engine::Sqlite, "user_prefix = \"corp:\"")
        .await;
    let folder = TempDir::new().unwrap();
    let token = issuer.token(&json!({ "groups": ["ops", "staff"] }));
    write(&folder, "token", &token, 0o600);
    let endpoint = world.service.grpc_url();
    let words = ["whoami", "--api-key-file", "token", "--endpoint", &endpoint];
    let command = stationmaster(&folder, &words);

    let ended = tokio::task::spawn_blocking(move || run(command)).await;

    let shown = ended.unwrap();
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for (name, value) in [
        ("by", "jwt"),
        ("issuer", issuer.name().as_str()),
        ("subject", "ann"),
        ("role", "user"),
        ("user", "corp:ann"),
        ("groups", "ops, staff"),
    ] {
        let line = shown.stdout.lines().find_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with("  ").then(|| rest.trim())
        });
        assert_eq!(line, Some(value), "{}", shown.stdout);
    }
}
