//! Servers that users make for themselves.

use futures_util::future::join_all;
use stationmaster::client::{Client, Error, answer, v1};
use v1::Role;
use v1::server::Auth;

use crate::harness::client::{actor, fields, reason, refusal};
use crate::harness::service::Engine;
use crate::harness::world::{World, get, list, on_both_engines, open, resolve_many, with_auth};

on_both_engines! {
    a_user_makes_changes_and_deletes_a_server_of_their_own,
    nobody_else_learns_of_a_personal_server,
    a_slug_that_is_taken_tells_nothing,
    what_is_in_use_is_in_chats_of_its_owner_that_chose_it,
    what_a_personal_server_may_not_be_is_refused_whoever_asks,
    users_touch_nothing_but_their_own,
    the_quota_holds_and_zero_makes_none,
    creations_at_the_same_time_keep_to_the_quota,
    an_administrator_makes_one_for_a_user_and_moves_none,
    what_is_described_for_everybody_leaves_personal_servers_alone,
}

pub(super) struct Users {
    pub(super) world: World,
    pub(super) alice: Client,
    pub(super) bob: Client,
}

pub(super) async fn users(engine: Engine, settings: &[(&str, &str)]) -> Users {
    let world = World::start_with(engine, settings).await;
    let alice = world.service.client_as(Role::User, "alice").await;
    let bob = world.service.client_as(Role::User, "bob").await;
    Users { world, alice, bob }
}

pub(super) async fn create(client: &Client, server: v1::Server) -> Result<v1::Server, Error> {
    let request = v1::CreateServerRequest {
        server: Some(server),
        ..v1::CreateServerRequest::default()
    };
    let made = crate::harness::world::create(client, request).await;
    made.map(|made| made.server.unwrap())
}

pub(super) async fn update(
    client: &Client,
    mask: &[&str],
    server: v1::Server,
) -> Result<v1::Server, Error> {
    let request = v1::UpdateServerRequest {
        server: Some(server),
        update_mask: Some(prost_types::FieldMask {
            paths: mask.iter().map(|&path| path.to_owned()).collect(),
        }),
    };
    let updated = Box::pin(answer(client.config().update_server(request))).await;
    updated.map(|updated| updated.server.unwrap())
}

async fn delete(client: &Client, server: &str) -> Result<v1::DeleteServerResponse, Error> {
    let request = v1::DeleteServerRequest {
        server: server.to_owned(),
        etag: String::new(),
    };
    answer(client.config().delete_server(request)).await
}

pub(super) fn keyed(slug: &str) -> v1::Server {
    let key = v1::ApiKeyAuth {
        value: Some("hush".to_owned()),
        ..v1::ApiKeyAuth::default()
    };
    let url = format!("https://{slug}.example.com/mcp");
    with_auth(slug, url, Auth::ApiKey(key))
}

async fn a_user_makes_changes_and_deletes_a_server_of_their_own(engine: Engine) {
    let Users { world, alice, .. } = users(engine, &[]).await;

    let made = create(&alice, keyed("notes")).await.unwrap();
    assert_eq!(made.owner, "alice");
    assert_eq!(made.url, "https://notes.example.com/mcp");
    assert!(made.has_api_key && !format!("{made:?}").contains("hush"));
    let end = &made.id[made.id.len() - 8..];
    assert_eq!(made.slug, format!("notes-{end}"));
    let off = v1::Server {
        id: made.slug.clone(),
        slug: "papers".to_owned(),
        ..v1::Server::default()
    };
    let changed = update(&alice, &["enabled", "slug"], off).await.unwrap();
    assert_eq!(changed.slug, format!("papers-{end}"));
    assert!(!changed.enabled);
    let seen = get(&alice, &changed.slug).await.unwrap();
    assert_eq!((&seen.url, seen.enabled), (&made.url, false));
    let listed = list(&alice).await;
    assert_eq!(listed[0].id, changed.id, "though it is off");

    delete(&alice, &changed.id).await.unwrap();

    assert_eq!(list(&alice).await, []);
    assert_eq!(list(&world.admin).await, []);
}

async fn nobody_else_learns_of_a_personal_server(engine: Engine) {
    let Users { world, alice, bob } = users(engine, &[]).await;
    let mine = create(&alice, keyed("notes")).await.unwrap();
    let as_bob = v1::ListServersRequest {
        actor: actor("bob"),
        ..v1::ListServersRequest::default()
    };

    assert_eq!(list(&bob).await, []);
    assert_eq!(list(&world.daemon).await, []);
    let listed = answer(world.daemon.config().list_servers(as_bob)).await;
    assert_eq!(listed.unwrap().servers, []);
    for name in [&mine.id, &mine.slug] {
        for client in [&bob, &world.daemon] {
            assert_eq!(reason(get(client, name).await), "SERVER_NOT_FOUND");
        }
        assert_eq!(reason(delete(&bob, name).await), "SERVER_NOT_FOUND");
        let stolen = v1::Server {
            id: name.clone(),
            display_name: "Stolen".to_owned(),
            ..v1::Server::default()
        };
        let stolen = update(&bob, &["display_name"], stolen).await;
        assert_eq!(reason(stolen), "SERVER_NOT_FOUND");
        let resolved = resolve_many(&world.daemon, "bob", &[name]).await.unwrap();
        assert_eq!(&resolved.unknown_servers[0], name);
        let chosen = v1::SetChatServersRequest {
            actor: actor("bob"),
            chat_id: "chat".to_owned(),
            servers: vec![name.clone()],
        };
        let chosen = answer(world.daemon.chats().set_chat_servers(chosen)).await;
        assert_eq!(reason(chosen), "SERVER_NOT_FOUND");
    }
    let seen = get(&world.admin, &mine.id).await.unwrap();
    assert_eq!((&*seen.owner, seen.url), ("alice", mine.url));
}

async fn a_slug_that_is_taken_tells_nothing(engine: Engine) {
    let Users { world, alice, bob } = users(engine, &[]).await;
    let hidden = v1::Server {
        allowed_users: vec!["carol".to_owned()],
        ..open("notes")
    };
    world.create(hidden).await.unwrap();

    let one = create(&alice, keyed("notes")).await.unwrap();
    let other = create(&bob, keyed("notes")).await.unwrap();
    let free = create(&bob, keyed("papers")).await.unwrap();

    assert!(one.slug.starts_with("notes-") && other.slug.starts_with("notes-"));
    assert_ne!(one.slug, other.slug);
    assert_eq!(free.slug.len(), "papers-".len() + 8);
}

async fn what_is_in_use_is_in_chats_of_its_owner_that_chose_it(engine: Engine) {
    let Users { world, alice, .. } = users(engine, &[]).await;
    let mine = create(&alice, keyed("notes")).await.unwrap();
    let turn = |user: &str, servers: Option<&str>| v1::ResolveChatRequest {
        actor: actor(user),
        chat_id: format!("{user}-chat"),
        selection: servers.map(|server| v1::ServerSelection {
            servers: vec![server.to_owned()],
        }),
        ..v1::ResolveChatRequest::default()
    };
    let resolve = async |request| {
        let found = answer(world.daemon.chats().resolve_chat(request)).await;
        found.unwrap()
    };

    assert_eq!(resolve(turn("alice", None)).await.servers, []);
    let chosen = resolve(turn("alice", Some(&mine.slug))).await;
    assert_eq!(chosen.servers[0].headers[0].value, "hush");
    let bobs = resolve(turn("bob", Some(&mine.slug))).await;
    assert_eq!(
        (bobs.servers, bobs.unknown_servers),
        (vec![], vec![mine.slug])
    );
}

async fn what_a_personal_server_may_not_be_is_refused_whoever_asks(engine: Engine) {
    let Users { world, alice, .. } = users(engine, &[]).await;
    let forced = v1::Server {
        availability: v1::Availability::ForceOn.into(),
        forward_identity_headers: true,
        allowed_users: vec!["bob".to_owned()],
        ..open("notes")
    };
    let expected = [
        "server.availability",
        "server.forward_identity_headers",
        "server.allowed_users",
    ];
    let for_alice = v1::Server {
        owner: "alice".to_owned(),
        ..forced.clone()
    };

    assert_eq!(fields(create(&alice, forced).await), expected);
    assert_eq!(fields(create(&world.admin, for_alice).await), expected);
    let by_hand = world.manual("notes");
    assert_eq!(fields(create(&alice, by_hand).await), ["server.oauth2"]);
    let mine = create(&alice, open("notes")).await.unwrap();
    let forced = v1::Server {
        id: mine.id.clone(),
        availability: v1::Availability::ForceOn.into(),
        ..v1::Server::default()
    };
    for client in [&alice, &world.admin] {
        let forced = update(client, &["availability"], forced.clone()).await;
        assert_eq!(fields(forced), ["server.availability"]);
    }
    let request = v1::ModifyServerAccessRequest {
        server: mine.id,
        add_users: vec!["bob".to_owned()],
        ..v1::ModifyServerAccessRequest::default()
    };
    let opened = Box::pin(answer(world.admin.config().modify_server_access(request))).await;
    assert_eq!(fields(opened), ["server"]);
}

async fn users_touch_nothing_but_their_own(engine: Engine) {
    let Users { world, alice, .. } = users(engine, &[]).await;
    world.create(open("ours")).await.unwrap();
    let renamed = v1::Server {
        id: "ours".to_owned(),
        display_name: "Mine".to_owned(),
        ..v1::Server::default()
    };
    let of_bob = v1::Server {
        owner: "bob".to_owned(),
        ..open("notes")
    };
    let with_id = v1::CreateServerRequest {
        server_id: world.get("ours").await.unwrap().id,
        server: Some(open("notes")),
        ..v1::CreateServerRequest::default()
    };

    let updated = update(&alice, &["display_name"], renamed).await;
    assert_eq!(reason(updated), "ROLE_NOT_ALLOWED");
    assert_eq!(reason(delete(&alice, "ours").await), "ROLE_NOT_ALLOWED");
    assert_eq!(reason(create(&alice, of_bob).await), "USER_NOT_ALLOWED");
    let made = crate::harness::world::create(&alice, with_id).await;
    assert_eq!(fields(made), ["server_id"]);
    assert_eq!(list(&world.admin).await.len(), 1);
}

async fn the_quota_holds_and_zero_makes_none(engine: Engine) {
    let quota = [("servers.personal_quota", "2")];
    let Users { world, alice, bob } = users(engine, &quota).await;
    let first = create(&alice, open("a")).await.unwrap();
    create(&alice, open("b")).await.unwrap();

    let third = refusal(create(&alice, open("c")).await);
    create(&bob, open("c")).await.unwrap();
    delete(&alice, &first.id).await.unwrap();
    create(&alice, open("c")).await.unwrap();

    assert_eq!(third.reason, "QUOTA_EXCEEDED");
    assert_eq!(third.metadata["quota"], "personal_servers");
    assert_eq!(third.metadata["limit"], "2");
    world.service.stop().await;
    let none = [("servers.personal_quota", "0")];
    let none = users(engine, &none).await;
    let alice = &none.alice;
    assert_eq!(reason(create(alice, open("a")).await), "QUOTA_EXCEEDED");
}

async fn creations_at_the_same_time_keep_to_the_quota(engine: Engine) {
    let quota = [("servers.personal_quota", "3")];
    let Users { world, alice, .. } = users(engine, &quota).await;

    let made = (0..8).map(|at| create(&alice, open(&format!("s{at}"))));
    let made = join_all(made).await.into_iter();

    assert_eq!(made.flatten().count(), 3);
    assert_eq!(list(&world.admin).await.len(), 3);
}

async fn an_administrator_makes_one_for_a_user_and_moves_none(engine: Engine) {
    let Users { world, alice, .. } = users(engine, &[]).await;
    let for_alice = v1::Server {
        owner: "alice".to_owned(),
        ..open("notes")
    };

    let made = create(&world.admin, for_alice).await.unwrap();

    assert_eq!(get(&alice, &made.id).await.unwrap().owner, "alice");
    let moved = v1::Server {
        id: made.id.clone(),
        owner: "bob".to_owned(),
        ..v1::Server::default()
    };
    for owner in ["bob", ""] {
        let moved = v1::Server {
            owner: owner.to_owned(),
            ..moved.clone()
        };
        let moved = update(&world.admin, &["owner"], moved).await;
        assert_eq!(fields(moved), ["server.owner"]);
    }
    let described = v1::Server {
        id: made.id,
        description: "by an administrator".to_owned(),
        ..v1::Server::default()
    };
    let described = update(&world.admin, &["description"], described).await;
    assert_eq!(described.unwrap().owner, "alice");
}

async fn what_is_described_for_everybody_leaves_personal_servers_alone(engine: Engine) {
    let Users { world, .. } = users(engine, &[]).await;
    let managed = v1::Server {
        owner: "alice".to_owned(),
        managed_by: "files".to_owned(),
        ..open("notes")
    };
    let made = create(&world.admin, managed.clone()).await.unwrap();
    let apply = async |servers| {
        let request = v1::ApplyServersRequest {
            manager: "files".to_owned(),
            servers,
            prune: true,
            ..v1::ApplyServersRequest::default()
        };
        Box::pin(answer(world.admin.config().apply_servers(request))).await
    };

    let pruned = apply(vec![]).await.unwrap();
    let taken = v1::Server {
        slug: made.slug,
        ..open("notes")
    };
    let taken = apply(vec![taken]).await;
    let owned = apply(vec![managed]).await;

    assert_eq!(pruned.servers, []);
    assert_eq!(reason(taken), "SLUG_TAKEN");
    assert_eq!(fields(owned), ["servers[0].owner"]);
    assert_eq!(list(&world.admin).await.len(), 1);
}
