//! One row that cannot be read is that row's trouble: what is listed, followed and forgotten beside
//! it is so all the same.

use stationmaster::client::{answer, v1};

use crate::harness::client::{actor, reason};
use crate::harness::database::Raw;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::watching::{after, all, watch};
use crate::harness::world::{World, on_both_engines};
use crate::walks::rows::raw;

on_both_engines! {
    the_connections_beside_are_listed_page_by_page,
    the_connections_beside_are_followed,
    the_servers_beside_are_listed_and_resolved,
    a_purge_takes_away_what_cannot_be_read,
}

/// Three users are connected; the row of the second is damaged.
async fn damaged(engine: Engine) -> (World, Raw, TestDatabase) {
    let database = TestDatabase::new(engine).await;
    let world = World::around(TestService::start_on(&database, &[]).await).await;
    world.found("tools").await;
    for user in ["alice", "bob", "carol"] {
        world.connect(user, "tools").await;
    }
    let mut raw = raw(&database).await;
    raw.execute("UPDATE connections SET status = 'odd' WHERE user_id = 'bob'")
        .await;
    (world, raw, database)
}

async fn the_connections_beside_are_listed_page_by_page(engine: Engine) {
    let (world, _raw, _database) = damaged(engine).await;

    let mut users = Vec::new();
    let mut pages = 0;
    let mut page_token = String::new();
    loop {
        let request = v1::ListConnectionsRequest {
            page_size: 1,
            page_token,
            ..v1::ListConnectionsRequest::default()
        };
        let page = answer(world.admin.tokens().list_connections(request)).await;
        let page = page.unwrap();
        users.extend(page.connections.into_iter().map(|found| found.user));
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    users.sort();
    assert_eq!(users, ["alice", "carol"]);
    assert_eq!(pages, 3);
    world.service.stop().await;
}

async fn the_connections_beside_are_followed(engine: Engine) {
    let (world, mut raw, _database) = damaged(engine).await;
    raw.execute("UPDATE changes SET op = 'odd' WHERE subject IN (SELECT id FROM connections WHERE user_id = 'alice')")
        .await;

    let users = |told: Vec<v1::WatchConnectionsResponse>| {
        let users = told.into_iter().map(|told| told.connection.unwrap().user);
        let mut users: Vec<_> = users.collect();
        users.sort();
        users
    };
    let mut anew = watch(&world.admin, all()).await.unwrap();
    let (existing, _) = anew.existing().await;
    let mut resumed = watch(&world.admin, after(0)).await.unwrap().synced().await;

    assert_eq!(users(existing), ["alice", "carol"]);
    assert_eq!(users(vec![resumed.next().await]), ["carol"]);
    drop((anew, resumed));
    world.service.stop().await;
}

async fn the_servers_beside_are_listed_and_resolved(engine: Engine) {
    let (world, mut raw, _database) = damaged(engine).await;
    world.found("broken").await;
    world.connect("alice", "broken").await;
    raw.execute("UPDATE servers SET transport = 'pigeon' WHERE slug = 'broken'")
        .await;

    let request = v1::ListServersRequest::default();
    let listed = answer(world.admin.config().list_servers(request)).await;
    let request = v1::ResolveChatRequest {
        actor: actor("alice"),
        chat_id: "chat".to_owned(),
        ..v1::ResolveChatRequest::default()
    };
    let chat = answer(world.daemon.chats().resolve_chat(request)).await;
    let request = v1::ResolveCredentialsRequest {
        actor: actor("alice"),
        servers: vec!["broken".to_owned(), "tools".to_owned()],
        ..v1::ResolveCredentialsRequest::default()
    };
    let named = answer(world.daemon.tokens().resolve_credentials(request)).await;
    let request = v1::ListConnectionsRequest::default();
    let connections = answer(world.admin.tokens().list_connections(request)).await;

    let listed = listed.unwrap().servers;
    let slugs: Vec<_> = listed.iter().map(|server| &*server.slug).collect();
    assert_eq!(slugs, ["tools"]);
    assert!(chat.is_ok(), "{chat:?}");
    let named = named.unwrap().servers;
    let states: Vec<_> = named
        .iter()
        .map(|server| (&*server.slug, server.status()))
        .collect();
    assert_eq!(
        states,
        [
            ("broken", v1::ServerStatus::Unreadable),
            ("tools", v1::ServerStatus::Ready),
        ]
    );
    assert_eq!(connections.unwrap().connections.len(), 3);
    world.service.stop().await;
}

async fn a_purge_takes_away_what_cannot_be_read(engine: Engine) {
    let (world, _raw, _database) = damaged(engine).await;
    let request = v1::PurgeUserRequest {
        user: "bob".to_owned(),
    };

    let purged = answer(world.admin.tokens().purge_user(request.clone())).await;

    assert_eq!(purged.unwrap().connections, 1);
    let gone = world.connection("bob", "tools").await;
    assert_eq!(reason(gone), "CONNECTION_NOT_FOUND");
    let again = answer(world.admin.tokens().purge_user(request)).await;
    assert_eq!(again.unwrap().connections, 0);
    world.connect("bob", "tools").await;
    let anew = world.connection("bob", "tools").await.unwrap();
    assert_eq!(anew.generation, 2, "generations are not used again");
    world.service.stop().await;
}
