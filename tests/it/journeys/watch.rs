//! Following connections: what exists, then what changes, and nobody else's.

use futures_util::future::join_all;
use stationmaster::client::{Client, answer, v1};
use v1::ChangeKind as Kind;

use crate::harness::client::{actor, fields, reason};
use crate::harness::service::Engine;
use crate::harness::watching::{Watch, after, all, of, said, watch};
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    what_exists_comes_first_and_then_what_changes,
    a_resumed_watch_tells_what_changed_since,
    many_connections_come_in_pages_and_once,
    a_user_hears_of_their_own_only,
    a_narrowed_daemon_hears_of_its_servers_only,
    a_watch_keeps_to_what_it_was_asked_for,
    what_cannot_be_watched_is_refused,
    nothing_is_lost_between_what_exists_and_what_changes,
}

/// A deployment with two servers.
async fn world(engine: Engine) -> World {
    let world = World::start(engine).await;
    world.found("tools").await;
    world.found("notes").await;
    world
}

async fn begun(client: &Client, request: v1::WatchConnectionsRequest) -> Watch {
    watch(client, request).await.unwrap()
}

fn put(user: &str) -> (Kind, String) {
    (Kind::Put, user.to_owned())
}

async fn what_exists_comes_first_and_then_what_changes(engine: Engine) {
    let world = world(engine).await;
    world.connect("alice", "tools").await;
    let alice = world.connection("alice", "tools").await.unwrap();

    let mut watch = begun(&world.admin, all()).await;
    let (existing, synced) = watch.existing().await;
    world.connect("bob", "notes").await;
    let connected = watch.next().await;
    let revision = world.disconnect("alice", "tools").await;
    let gone = watch.next().await;

    assert_eq!(existing.len(), 1);
    assert_eq!(existing[0].connection_id, alice.id);
    assert_eq!(existing[0].connection.as_ref(), Some(&alice));
    let bob = world.connection("bob", "notes").await.unwrap();
    assert_eq!(connected.connection, Some(bob));
    assert_eq!((gone.kind(), gone.connection_id), (Kind::Delete, alice.id));
    assert_eq!((gone.connection, gone.revision), (None, revision));
    assert!(synced > 0 && connected.revision > synced && revision > connected.revision);
}

async fn a_resumed_watch_tells_what_changed_since(engine: Engine) {
    let world = world(engine).await;
    world.connect("alice", "tools").await;
    let mut first = begun(&world.daemon, all()).await;
    let (_, synced) = first.existing().await;
    world.connect("bob", "tools").await;
    let seen = first.next().await.revision;
    drop(first);
    world.connect("carol", "tools").await;
    world.disconnect("bob", "tools").await;

    let mut second = begun(&world.daemon, after(seen)).await;
    let mut again = begun(&world.daemon, after(synced)).await;

    let (existing, from) = second.existing().await;
    assert_eq!((existing.len(), from), (0, seen));
    assert_eq!(said(&second.next().await), put("carol"));
    assert_eq!(second.next().await.kind(), Kind::Delete);
    assert_eq!(again.next().await.kind(), Kind::Synced);
    assert_eq!(said(&again.next().await), put("carol"));
    let gone = again.next().await;
    assert_eq!(gone.kind(), Kind::Delete, "whom nobody saw come: {gone:?}");
    world.connect("dave", "tools").await;
    for mut watch in [second, again] {
        assert_eq!(said(&watch.next().await), put("dave"));
    }
}

async fn many_connections_come_in_pages_and_once(engine: Engine) {
    const USERS: usize = 101;
    let world = world(engine).await;
    let users = (0..USERS).map(|number| format!("user-{number:03}"));
    let users: Vec<_> = users.collect();
    for some in users.chunks(10) {
        join_all(some.iter().map(|user| world.connect(user, "tools"))).await;
    }

    let (existing, synced) = begun(&world.admin, all()).await.existing().await;
    let mut feed = begun(&world.admin, after(0)).await.synced().await;
    let mut changed = Vec::new();
    for _ in 0..USERS {
        changed.push(feed.next().await);
    }

    let told = |events: &[v1::WatchConnectionsResponse]| {
        let mut told: Vec<_> = events.iter().map(said).collect();
        told.sort_by(|one, other| one.1.cmp(&other.1));
        told
    };
    let expected: Vec<_> = users.iter().map(|user| put(user)).collect();
    assert_eq!(told(&existing), expected);
    assert_eq!(told(&changed), expected);
    let revisions = changed.iter().map(|event| event.revision);
    assert!(revisions.clone().is_sorted() && changed.last().unwrap().revision <= synced);
}

async fn a_user_hears_of_their_own_only(engine: Engine) {
    let world = world(engine).await;
    let alice = world.service.client_as(v1::Role::User, "alice").await;
    world.connect("bob", "tools").await;
    world.connect("alice", "tools").await;
    let own = world.connection("alice", "tools").await.unwrap().id;

    let mut watch = begun(&alice, all()).await;
    let (existing, synced) = watch.existing().await;
    world.disconnect("bob", "tools").await;
    world.connect("bob", "notes").await;
    world.disconnect("alice", "tools").await;
    let gone = watch.next().await;
    let mut resumed = begun(&alice, after(synced)).await.synced().await;

    assert_eq!(
        existing.iter().map(said).collect::<Vec<_>>(),
        [put("alice")]
    );
    assert_eq!(gone.connection_id, own);
    assert_eq!(resumed.next().await, gone);
    assert_eq!(reason(watch_of(&alice, "bob").await), "USER_NOT_ALLOWED");
}

async fn watch_of(client: &Client, user: &str) -> Result<(), stationmaster::client::Error> {
    watch(client, of(user)).await.map(drop)
}

async fn a_narrowed_daemon_hears_of_its_servers_only(engine: Engine) {
    let world = world(engine).await;
    let notes = world.get("notes").await.unwrap().id;
    let request = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "notes only".to_owned(),
        narrowing: Some(v1::ApiKeyNarrowing {
            servers: vec![notes],
            ..v1::ApiKeyNarrowing::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let key = answer(world.admin.access().create_api_key(request)).await;
    let narrowed = world.service.client(&key.unwrap().secret).await;
    world.connect("alice", "tools").await;
    world.connect("alice", "notes").await;

    let mut watch_notes = begun(&narrowed, all()).await;
    let (existing, synced) = watch_notes.existing().await;
    world.disconnect("alice", "tools").await;
    world.connect("bob", "tools").await;
    world.connect("bob", "notes").await;
    let next = watch_notes.next().await;
    let mut resumed = begun(&narrowed, after(synced)).await.synced().await;

    assert_eq!(existing.len(), 1);
    let slug = |event: &v1::WatchConnectionsResponse| {
        let connection = event.connection.clone().unwrap();
        (connection.user, connection.server_slug)
    };
    assert_eq!(slug(&existing[0]), ("alice".to_owned(), "notes".to_owned()));
    assert_eq!(slug(&next), ("bob".to_owned(), "notes".to_owned()));
    assert_eq!(resumed.next().await, next);
    let outside = v1::WatchConnectionsRequest {
        servers: vec!["tools".to_owned()],
        ..all()
    };
    let outside = watch(&narrowed, outside).await.map(drop);
    assert_eq!(reason(outside), "SERVER_NOT_FOUND");
}

async fn a_watch_keeps_to_what_it_was_asked_for(engine: Engine) {
    let world = world(engine).await;
    let request = v1::WatchConnectionsRequest {
        actor: actor("alice"),
        servers: vec!["notes".to_owned()],
        after_revision: None,
    };
    world.connect("alice", "tools").await;
    world.connect("bob", "notes").await;

    let mut watch = begun(&world.admin, request).await;
    let (existing, _) = watch.existing().await;
    world.disconnect("bob", "notes").await;
    world.disconnect("alice", "tools").await;
    world.connect("alice", "notes").await;
    let next = watch.next().await;

    assert_eq!(existing, []);
    assert_eq!(said(&next), put("alice"));
    assert_eq!(next.connection.unwrap().server_slug, "notes");
}

async fn what_cannot_be_watched_is_refused(engine: Engine) {
    let world = world(engine).await;
    let user = world.service.client_as(v1::Role::User, "alice").await;
    let servers = |servers: Vec<String>| v1::WatchConnectionsRequest { servers, ..all() };
    let hidden = v1::Server {
        enabled: false,
        ..world.automatic("hidden")
    };
    world.create(hidden).await.unwrap();

    let negative = watch(&world.admin, after(-1)).await.map(drop);
    let many = (0..101).map(|number| format!("s{number}")).collect();
    let many = watch(&world.admin, servers(many)).await.map(drop);
    let unknown = watch(&world.admin, servers(vec!["nowhere".to_owned()])).await;
    let disabled = watch(&user, servers(vec!["hidden".to_owned()])).await;

    assert_eq!(fields(negative), ["after_revision"]);
    assert_eq!(fields(many), ["servers"]);
    assert_eq!(reason(unknown.map(drop)), "SERVER_NOT_FOUND");
    assert_eq!(reason(disabled.map(drop)), "SERVER_NOT_FOUND");
}

/// Users come and go while watches begin, some with what exists, some where the feed began.
async fn nothing_is_lost_between_what_exists_and_what_changes(engine: Engine) {
    let world = world(engine).await;
    let (_, start) = begun(&world.daemon, all()).await.existing().await;
    let come_and_go = async |number: usize| {
        let user = format!("user-{number}");
        world.connect(&user, "tools").await;
        if number.is_multiple_of(2) {
            world.disconnect(&user, "tools").await;
        }
        if number.is_multiple_of(3) {
            world.connect(&user, "notes").await;
        }
    };
    let follow = async |number: usize| {
        for _ in 0..number * 3 {
            world.get("tools").await.unwrap();
        }
        let request = if number.is_multiple_of(2) {
            all()
        } else {
            after(start)
        };
        begun(&world.daemon, request).await.told_until("last").await
    };
    let writing = async {
        join_all((0..16).map(come_and_go)).await;
        world.connect("last", "tools").await;
    };

    let ((), told) = tokio::join!(writing, join_all((0..8).map(follow)));

    let request = v1::ListConnectionsRequest {
        page_size: 500,
        ..v1::ListConnectionsRequest::default()
    };
    let listed = answer(world.admin.tokens().list_connections(request)).await;
    let listed = listed.unwrap().connections.into_iter();
    let listed = listed.map(|found| (found.id, found.user)).collect();
    for told in told {
        assert_eq!(told, listed);
    }
}
