//! What an event says of a change: what was before and is after, and no secret.

use serde_json::{Value, json};
use stationmaster::client::{Client, answer, v1};

use super::audit::{select, text};
use crate::harness::client::actor;
use crate::harness::idp::Fault;
use crate::harness::service::Engine;
use crate::harness::trail::{actions, any, detail, done, list};
use crate::harness::world::{World, on_both_engines, open, with_auth};

on_both_engines! {
    a_changed_server_is_recorded_as_it_was_and_is,
    secrets_are_recorded_as_there_or_not_and_as_replaced,
    keys_chats_and_tenants_are_recorded_as_they_were_and_are,
    the_end_of_a_grant_says_why,
}

async fn update_description(client: &Client, id: &str, description: &str) {
    let request = v1::UpdateServerRequest {
        server: Some(v1::Server {
            id: text(id),
            description: text(description),
            ..v1::Server::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![text("description")],
        }),
    };
    Box::pin(answer(client.config().update_server(request)))
        .await
        .unwrap();
}

async fn a_changed_server_is_recorded_as_it_was_and_is(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(open("tools")).await.unwrap();

    update_description(&world.admin, &server.id, "new").await;
    let request = v1::ModifyServerAccessRequest {
        server: text("tools"),
        add_users: vec![text("ann")],
        ..v1::ModifyServerAccessRequest::default()
    };
    let config = world.admin.config();
    let mut modifying = config.clone();
    answer(modifying.modify_server_access(request))
        .await
        .unwrap();
    let request = v1::DeleteServerRequest {
        server: text("tools"),
        ..v1::DeleteServerRequest::default()
    };
    let mut deleting = config.clone();
    answer(deleting.delete_server(request)).await.unwrap();

    let admin = &world.admin;
    let made = detail(admin, "server.create").await;
    let updated = detail(admin, "server.update").await;
    let opened = detail(admin, "server.access").await;
    let deleted = detail(admin, "server.delete").await;
    assert_eq!(made["after"]["url"], "https://tools.example.com/mcp");
    assert_eq!(
        (
            &updated["before"]["description"],
            &updated["after"]["description"]
        ),
        (&json!(""), &json!("new"))
    );
    assert_eq!(updated["replaced_secrets"], json!([]));
    assert_eq!(opened["before"]["access"]["users"], json!([]));
    assert_eq!(opened["after"]["access"]["users"], json!(["ann"]));
    assert_eq!(deleted["before"]["access"]["users"], json!(["ann"]));
    assert_eq!(deleted["before"]["description"], "new");
}

/// A server with this API key.
fn keyed(value: &str) -> v1::Server {
    let api_key = v1::ApiKeyAuth {
        value: Some(text(value)),
        ..v1::ApiKeyAuth::default()
    };
    let auth = v1::server::Auth::ApiKey(api_key);
    with_auth("keyed", text("https://keyed.example.com/mcp"), auth)
}

async fn secrets_are_recorded_as_there_or_not_and_as_replaced(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(keyed("planted-1")).await.unwrap();
    let changed = v1::Server {
        id: server.id.clone(),
        ..keyed("planted-2")
    };
    world.update(changed, &["api_key.value"]).await.unwrap();

    let made = detail(&world.admin, "server.create").await;
    let updated = detail(&world.admin, "server.update").await;

    assert_eq!(made["after"]["secrets"]["api_key"], true);
    assert_eq!(made["after"]["secrets"]["client_secret"], false);
    assert_eq!(updated["before"]["secrets"], updated["after"]["secrets"]);
    assert_eq!(updated["replaced_secrets"], json!(["api_key"]));
    let all = list(&world.admin, any()).await.unwrap();
    assert!(!format!("{all:?}").contains("planted"));
}

async fn keys_chats_and_tenants_are_recorded_as_they_were_and_are(engine: Engine) {
    let world = World::start(engine).await;
    let server = world.create(open("tools")).await.unwrap();
    // After the keys that were made at the start.
    world.pass(1);
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: text("narrow"),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers: vec![server.id.clone()],
            source_cidrs: vec![text("10.0.0.0/8")],
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let mut access = world.admin.access();
    let made = answer(access.create_api_key(request)).await.unwrap();
    let key = made.api_key.unwrap().id;
    let request = v1::RevokeApiKeyRequest { api_key: key };
    answer(access.revoke_api_key(request)).await.unwrap();
    select(&world, &[]).await;
    world.pass(1);
    select(&world, &["tools"]).await;
    let attach = v1::SetChatInlineServersRequest {
        actor: actor("alice"),
        chat_id: text("chat"),
        servers: vec![v1::InlineServer {
            slug: text("notes"),
            url: text("https://notes.example.com/secret-path"),
            ..v1::InlineServer::default()
        }],
    };
    let attached = answer(world.daemon.chats().set_chat_inline_servers(attach)).await;
    let attached = attached.unwrap().chat.unwrap().inline_servers;
    let request = v1::DeleteChatRequest {
        actor: actor("alice"),
        chat_id: text("chat"),
    };
    let mut chats = world.daemon.chats();
    answer(chats.delete_chat(request)).await.unwrap();

    let admin = &world.admin;
    let made = detail(admin, "api_key.create").await;
    let revoked = detail(admin, "api_key.revoke").await;
    let selections = list(admin, done(&["chat.select"])).await.unwrap();
    let deleted = detail(admin, "chat.delete").await;
    let narrow = &made["after"];
    assert_eq!(
        (&narrow["name"], &narrow["role"]),
        (&json!("narrow"), &json!("daemon"))
    );
    assert_eq!(narrow["servers"], json!([server.id]));
    assert_eq!(narrow["source_cidrs"], json!(["10.0.0.0/8"]));
    assert_eq!(&revoked["before"], narrow);
    assert!(narrow["revoked_at"].is_null() && revoked["after"]["revoked_at"].is_number());
    let selections: Vec<Value> = selections
        .iter()
        .map(|event| serde_json::from_str(&event.detail_json).unwrap())
        .collect();
    let chosen = json!({ "servers": [server.id] });
    let none = json!({ "servers": [] });
    assert_eq!(selections[0], json!({ "before": none, "after": chosen }));
    assert_eq!(selections[1], json!({ "before": null, "after": none }));
    let notes = json!({
        "server": attached[0].id,
        "slug": "notes",
        "origin": "https://notes.example.com",
        "headers": 0,
    });
    let before = json!({ "servers": [server.id], "attached": [notes] });
    assert_eq!(deleted, json!({ "before": before }));
}

async fn the_end_of_a_grant_says_why(engine: Engine) {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.connect("alice", "tools").await;
    world.pass(3600);
    world.resolve("alice", "tools").await;
    world.pass(3600);
    world.idp.once(Fault::InvalidGrant);
    world.resolve("alice", "tools").await;
    world.pass(1);
    world.connect("alice", "tools").await;
    world.pass(1);
    world.disconnect("alice", "tools").await;

    let filter = v1::AuditFilter {
        user: text("alice"),
        ..done(&["connection.*"])
    };
    let events = actions(&world.admin, filter).await;
    let ended = detail(&world.admin, "connection.end").await;
    let again = detail(&world.admin, "connection.connect").await;
    let gone = detail(&world.admin, "connection.disconnect").await;

    let expected = [
        "connection.disconnect",
        "connection.connect",
        "connection.end",
        "connection.refresh",
        "connection.connect",
    ];
    let own: Vec<_> = events
        .iter()
        .filter(|action| *action != "connection.revoke")
        .collect();
    assert_eq!(own, expected.iter().collect::<Vec<_>>());
    assert_eq!(ended["before"]["status"], "active");
    assert_eq!(ended["after"]["status"], "reconnect_required");
    assert_eq!(
        (&ended["reason"], &ended["error"]),
        (&json!("refresh_refused"), &json!("invalid_grant"))
    );
    assert!(again["replaced"].as_str().unwrap().starts_with("con_"));
    assert!(gone["revocation"].is_string());
}
