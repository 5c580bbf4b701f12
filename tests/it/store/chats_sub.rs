//! Sub-chats: written once, less what is deleted, the oldest giving way.

use stationmaster::domain::chats::Subchat;
use stationmaster::domain::ids::ServerId;
use stationmaster::domain::time::Timestamp;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, chat_id, later, user};

on_both_engines! {
    a_chat_is_held_by_its_owner_only,
    a_sub_chat_reads_back_as_it_was_first_written,
    a_server_that_went_is_a_conflict,
    a_deleted_server_leaves_every_sub_chat,
    a_deleted_chat_takes_its_sub_chats_along,
    the_oldest_sub_chat_of_the_chat_gives_way,
    another_tenant_never_sees_a_sub_chat,
}

fn subchat(home: &Home, (chat, id): (&str, &str), mut servers: Vec<ServerId>) -> Subchat {
    servers.sort();
    Subchat {
        tenant: home.tenant.clone(),
        chat: chat_id(chat),
        id: chat_id(id),
        servers,
        inline: Vec::new(),
        created_at: NOW,
    }
}

async fn hold(db: &Db, home: &Home, (chat, owner): (&str, &str), at: Timestamp) -> bool {
    let mut tx = db.write().await.unwrap();
    let (id, owner) = (chat_id(chat), user(owner));
    let held = tx.chats_mut().hold(&home.tenant, &id, (&owner, at)).await;
    tx.commit(&home.event()).await.unwrap();
    held.unwrap()
}

async fn insert(db: &Db, home: &Home, one: &Subchat, most: u16) -> Result<bool, Error> {
    let mut tx = db.write().await.unwrap();
    let stored = tx.chats_mut().insert_subchat(one, most).await?;
    tx.commit(&home.event()).await.unwrap();
    Ok(stored)
}

async fn get(db: &Db, one: &Subchat) -> Option<Subchat> {
    let mut tx = db.read().await.unwrap();
    let mut chats = tx.chats();
    let read = chats.get_subchat(&one.tenant, &one.chat, &one.id).await;
    read.unwrap()
}

async fn a_chat_is_held_by_its_owner_only(db: &Db) {
    let home = Home::settle(db, "acme").await;

    assert!(hold(db, &home, ("chat", "ann"), NOW).await);
    assert!(hold(db, &home, ("chat", "ann"), later(5)).await);
    assert!(!hold(db, &home, ("chat", "Ann"), later(5)).await);

    let mut tx = db.read().await.unwrap();
    let chat = tx.chats().get(&home.tenant, &chat_id("chat")).await;
    let chat = chat.unwrap().unwrap();
    assert_eq!((chat.owner, chat.selection), (user("ann"), None));
    assert_eq!((chat.created_at, chat.updated_at), (NOW, NOW));
}

async fn a_sub_chat_reads_back_as_it_was_first_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    hold(db, &home, ("chat", "ann"), NOW).await;
    let empty = subchat(&home, ("chat", "empty"), vec![]);
    let full = subchat(&home, ("chat", "full"), vec![b.id, a.id]);
    let late = subchat(&home, ("chat", "full"), vec![]);

    assert!(insert(db, &home, &empty, 10).await.unwrap());
    assert!(insert(db, &home, &full, 10).await.unwrap());
    assert!(!insert(db, &home, &late, 10).await.unwrap());

    assert_eq!(get(db, &empty).await, Some(empty));
    assert_eq!(get(db, &full).await, Some(full));
    let unknown = subchat(&home, ("chat", "unknown"), vec![]);
    assert_eq!(get(db, &unknown).await, None);
}

async fn a_server_that_went_is_a_conflict(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let gone = home.server("gone");
    hold(db, &home, ("chat", "ann"), NOW).await;
    let one = subchat(&home, ("chat", "one"), vec![gone.id]);

    let stored = insert(db, &home, &one, 10).await;
    let mut tx = db.write().await.unwrap();
    let chosen = home.chat("chosen", "ann", &[&gone]);
    let put = tx.chats_mut().put(&chosen).await;
    drop(tx);

    assert!(matches!(stored, Err(Error::Conflict)), "{stored:?}");
    assert!(matches!(put, Err(Error::Conflict)), "{put:?}");
    assert_eq!(get(db, &one).await, None);
}

async fn a_deleted_server_leaves_every_sub_chat(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    hold(db, &home, ("chat", "ann"), NOW).await;
    let one = subchat(&home, ("chat", "one"), vec![a.id, b.id]);
    insert(db, &home, &one, 10).await.unwrap();

    let mut tx = db.write().await.unwrap();
    let gone = tx.servers_mut().delete(&home.tenant, a.id, a.version).await;
    assert!(gone.unwrap());
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(get(db, &one).await.unwrap().servers, [b.id]);
}

async fn a_deleted_chat_takes_its_sub_chats_along(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let a = home.store_server(db, "a").await;
    for chat in ["chat", "kept"] {
        hold(db, &home, (chat, "ann"), NOW).await;
        let one = subchat(&home, (chat, "one"), vec![a.id]);
        insert(db, &home, &one, 10).await.unwrap();
    }

    let mut tx = db.write().await.unwrap();
    let gone = tx
        .chats_mut()
        .delete(&home.tenant, &chat_id("chat"), &user("ann"))
        .await;
    assert!(gone.unwrap());
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(db.number("SELECT COUNT(*) FROM subchats").await, 1);
    assert_eq!(db.number("SELECT COUNT(*) FROM subchat_servers").await, 1);
}

async fn the_oldest_sub_chat_of_the_chat_gives_way(db: &Db) {
    let home = Home::settle(db, "acme").await;
    for chat in ["chat", "other"] {
        hold(db, &home, (chat, "ann"), NOW).await;
    }
    let other = subchat(&home, ("other", "first"), vec![]);
    insert(db, &home, &other, 2).await.unwrap();
    let mut all = Vec::new();

    for (at, id) in [(1, "first"), (2, "second"), (3, "third"), (3, "fourth")] {
        let one = Subchat {
            created_at: later(at),
            ..subchat(&home, ("chat", id), vec![])
        };
        insert(db, &home, &one, 2).await.unwrap();
        all.push(one);
    }

    let mut kept = Vec::new();
    for one in &all {
        kept.extend(get(db, one).await.map(|one| one.id.to_string()));
    }
    assert_eq!(kept, ["third", "fourth"]);
    assert!(get(db, &other).await.is_some());
}

async fn another_tenant_never_sees_a_sub_chat(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    hold(db, &home, ("chat", "ann"), NOW).await;
    insert(db, &home, &subchat(&home, ("chat", "one"), vec![]), 10)
        .await
        .unwrap();

    let theirs = subchat(&other, ("chat", "one"), vec![]);

    assert_eq!(get(db, &theirs).await, None);
}
