//! `identity`: a user's own login comes here from a file, and is never shown.

use super::asked_by;
use super::connection::said;
use crate::harness::logins::login;
use crate::harness::service::Engine;
use crate::harness::world::World;

use stationmaster::client::v1;

#[tokio::test]
async fn a_login_is_deposited_from_a_file_and_forgotten() {
    let world = World::start(Engine::Sqlite).await;
    let auth = v1::UserOidcAuth::default();
    world.create(login("crm", auth)).await.unwrap();
    let issuer = "https://idp.test";
    let put = ["identity", "put", issuer, "--user", "alice"];
    let mut put = put.to_vec();
    put.extend(["--access-token-file", "access"]);
    put.extend(["--expires", "2026-01-31T12:00:00Z"]);
    let delete = ["identity", "delete", issuer, "--user", "alice"];

    let key = world.service.daemon_key();
    let shown = asked_by(&world, key, &put, ("access", "the-token\n")).await;
    let header = world.header("alice", "crm").await;
    let gone = asked_by(&world, key, &delete, ("unused", "")).await;

    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for (name, value) in [
        ("user", "alice"),
        ("issuer", issuer),
        ("access token", "yes"),
        ("expires", "2026-01-31T12:00:00Z"),
        ("generation", "1"),
    ] {
        assert_eq!(said(&shown.stdout, name), Some(value), "{}", shown.stdout);
    }
    assert!(!shown.stdout.contains("the-token"));
    assert_eq!(header, "Bearer the-token");
    assert_eq!(gone.code, Some(0), "{}", gone.stderr);
    let resolved = world.resolve("alice", "crm").await;
    assert_eq!(resolved.status(), v1::ServerStatus::NoUserIdentity);
}
