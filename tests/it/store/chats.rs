//! Chats: one owner for ever, a selection in the caller's order.

use stationmaster::domain::chats::Chat;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, chat_id, later, user};

on_both_engines! {
    a_chat_reads_back_as_it_was_written,
    storing_a_chat_again_replaces_its_selection,
    a_chat_of_another_user_is_left_alone,
    a_deleted_chat_is_gone_with_its_selection,
    another_tenant_never_sees_a_chat,
    all_chats_of_a_user_go_and_no_others,
}

async fn put(db: &Db, home: &Home, chat: &Chat) -> bool {
    let mut tx = db.write().await.unwrap();
    let stored = tx.chats_mut().put(chat).await.unwrap();
    tx.commit(&home.event()).await.unwrap();
    stored
}

async fn get(db: &Db, home: &Home, id: &str) -> Option<Chat> {
    let mut tx = db.read().await.unwrap();
    tx.chats().get(&home.tenant, &chat_id(id)).await.unwrap()
}

async fn a_chat_reads_back_as_it_was_written(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    let c = home.store_server(db, "c").await;

    for chat in [
        home.chat("empty", "ann", &[]),
        home.chat("Some ä", "Ann", &[&c, &a, &b]),
        home.chat("some ä", "ann", &[&b, &c]),
        Chat {
            selection: None,
            ..home.chat("unchosen", "ann", &[])
        },
    ] {
        assert!(put(db, &home, &chat).await);

        assert_eq!(get(db, &home, chat.id.as_str()).await, Some(chat));
    }
}

async fn storing_a_chat_again_replaces_its_selection(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let (a, b) = (
        home.store_server(db, "a").await,
        home.store_server(db, "b").await,
    );
    put(db, &home, &home.chat("chat", "ann", &[&a, &b])).await;
    let mut again = home.chat("chat", "ann", &[&b]);
    again.updated_at = later(5);
    again.created_at = later(5);

    assert!(put(db, &home, &again).await);

    let stored = get(db, &home, "chat").await.unwrap();
    let now = (stored.selection, stored.updated_at);
    assert_eq!(now, (Some(vec![b.id]), later(5)));
    assert_ne!(stored.created_at, later(5), "it was first stored before");
}

async fn a_chat_of_another_user_is_left_alone(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let a = home.store_server(db, "a").await;
    let anns = home.chat("chat", "ann", &[&a]);
    put(db, &home, &anns).await;

    let stored = put(db, &home, &home.chat("chat", "Ann", &[])).await;

    assert!(!stored);
    assert_eq!(get(db, &home, "chat").await, Some(anns));
}

async fn a_deleted_chat_is_gone_with_its_selection(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let a = home.store_server(db, "a").await;
    put(db, &home, &home.chat("chat", "ann", &[&a])).await;
    let kept = home.chat("kept", "ann", &[&a]);
    put(db, &home, &kept).await;

    let mut tx = db.write().await.unwrap();
    assert!(
        !tx.chats_mut()
            .delete(&home.tenant, &chat_id("chat"), &user("bob"))
            .await
            .unwrap(),
        "another user's",
    );
    assert!(
        tx.chats_mut()
            .delete(&home.tenant, &chat_id("chat"), &user("ann"))
            .await
            .unwrap()
    );
    assert!(
        !tx.chats_mut()
            .delete(&home.tenant, &chat_id("chat"), &user("ann"))
            .await
            .unwrap()
    );
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(get(db, &home, "chat").await, None);
    assert_eq!(get(db, &home, "kept").await, Some(kept));
    assert_eq!(db.number("SELECT COUNT(*) FROM chat_servers").await, 1);
}

async fn another_tenant_never_sees_a_chat(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let a = home.store_server(db, "a").await;
    let mine = home.chat("chat", "ann", &[&a]);
    put(db, &home, &mine).await;

    assert_eq!(get(db, &other, "chat").await, None);
    let mut tx = db.write().await.unwrap();
    assert!(
        !tx.chats_mut()
            .delete(&other.tenant, &chat_id("chat"), &user("ann"))
            .await
            .unwrap()
    );
    drop(tx);
    let theirs = other.chat("chat", "bob", &[]);
    assert!(
        put(db, &other, &theirs).await,
        "the same name is free there"
    );

    assert_eq!(get(db, &home, "chat").await, Some(mine));
    assert_eq!(get(db, &other, "chat").await, Some(theirs));
}

async fn all_chats_of_a_user_go_and_no_others(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    for (id, owner) in [("one", "ann"), ("two", "ann"), ("three", "Ann")] {
        put(db, &home, &home.chat(id, owner, &[])).await;
    }
    put(db, &other, &other.chat("one", "ann", &[])).await;

    let mut tx = db.write().await.unwrap();
    let mut at = tx.chats_mut();
    let gone = at.delete_of_owner(&home.tenant, &user("ann")).await;
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(gone.unwrap(), 2);
    assert_eq!(get(db, &home, "one").await, None);
    assert!(get(db, &home, "three").await.is_some());
    assert!(get(db, &other, "one").await.is_some());
}
