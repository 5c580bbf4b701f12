//! What is attached to a chat: by slug, detached by its id, its row readable or not.

use stationmaster::domain::chats::{Allowed, InlineServer, Subchat};
use stationmaster::domain::ids::ServerId;
use stationmaster::domain::servers::ToolPolicy;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, chat_id, later, tenant_id, user};

on_both_engines! {
    what_is_attached_reads_back_by_slug,
    putting_one_again_replaces_it,
    one_that_cannot_be_read_is_an_error_of_its_own_and_can_be_detached,
    what_is_attached_is_found_by_its_id_in_its_tenant,
    what_is_attached_goes_with_the_chat,
    a_sub_chat_has_what_is_still_attached,
    what_is_touched_changed_then,
}

fn inline(home: &Home, slug: &str) -> InlineServer {
    InlineServer {
        id: ServerId::mint(home.clock(), home.random()),
        slug: tenant_id(slug),
        url: format!("https://{slug}.test/"),
        headers: home.sealed(slug.as_bytes()),
        header_count: 2,
        tools: ToolPolicy {
            allow: vec!["read".to_owned()],
            deny: Vec::new(),
        },
        allowed: Allowed {
            in_plan_mode: true,
            in_subagents: false,
        },
        forward_identity_headers: true,
        version: 3,
    }
}

/// A tenant with ann's chat.
async fn settle(db: &Db, name: &str) -> Home {
    let home = Home::settle(db, name).await;
    let mut tx = db.write().await.unwrap();
    let owner = user("ann");
    let held = tx
        .chats_mut()
        .hold(&home.tenant, &chat_id("chat"), (&owner, NOW))
        .await;
    assert!(held.unwrap());
    tx.commit(&home.event()).await.unwrap();
    home
}

async fn put(db: &Db, home: &Home, server: &InlineServer) {
    let mut tx = db.write().await.unwrap();
    let mut chats = tx.chats_mut();
    let chat = chat_id("chat");
    let put = chats.put_inline(&home.tenant, &chat, server).await;
    put.unwrap();
    tx.commit(&home.event()).await.unwrap();
}

async fn list(db: &Db, home: &Home) -> Vec<Result<InlineServer, Error>> {
    let mut tx = db.read().await.unwrap();
    let list = tx.chats().list_inline(&home.tenant, &chat_id("chat")).await;
    list.unwrap()
}

async fn delete(db: &Db, home: &Home, id: &str) -> bool {
    let mut tx = db.write().await.unwrap();
    let mut chats = tx.chats_mut();
    let chat = chat_id("chat");
    let gone = chats.delete_inline(&home.tenant, &chat, id).await;
    let gone = gone.unwrap();
    tx.commit(&home.event()).await.unwrap();
    gone
}

async fn what_is_attached_reads_back_by_slug(db: &Db) {
    let home = settle(db, "acme").await;
    let bare = InlineServer {
        headers: None,
        header_count: 0,
        tools: ToolPolicy::default(),
        ..inline(&home, "a-b")
    };
    let full = inline(&home, "ab");
    for one in [&full, &bare] {
        put(db, &home, one).await;
    }

    let read: Vec<_> = list(db, &home)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    assert_eq!(read, [bare, full], "by the bytes of the slugs");
}

async fn putting_one_again_replaces_it(db: &Db) {
    let home = settle(db, "acme").await;
    let before = inline(&home, "one");
    put(db, &home, &before).await;
    let after = InlineServer {
        url: "https://elsewhere.test/".to_owned(),
        headers: home.sealed(b"other"),
        header_count: 1,
        allowed: Allowed {
            in_plan_mode: false,
            in_subagents: true,
        },
        forward_identity_headers: false,
        version: 4,
        ..before
    };

    put(db, &home, &after).await;

    let read: Vec<_> = list(db, &home)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read, [after]);
}

async fn one_that_cannot_be_read_is_an_error_of_its_own_and_can_be_detached(db: &Db) {
    let home = settle(db, "acme").await;
    let (one, two) = (inline(&home, "one"), inline(&home, "two"));
    put(db, &home, &one).await;
    put(db, &home, &two).await;

    for (damage, at) in [
        (
            "UPDATE inline_servers SET tools = '' WHERE slug = 'one'",
            "tools",
        ),
        (
            "UPDATE inline_servers SET tools = '{\"allow\":[],\"deny\":[]}', headers_key = NULL \
             WHERE slug = 'one'",
            "headers",
        ),
        (
            "UPDATE inline_servers SET headers = NULL, slug = 'No' WHERE slug = 'one'",
            "slug",
        ),
    ] {
        db.execute(damage).await;
        let mut read = list(db, &home).await;
        let damaged = read.iter().position(Result::is_err).unwrap();
        let Err(Error::Corrupt { column, id, .. }) = read.remove(damaged) else {
            panic!("{damage}");
        };
        assert_eq!((column, id), (at, one.id.to_string()));
        assert_eq!(read.remove(0).unwrap(), two);
    }

    assert!(delete(db, &home, &one.id.to_string()).await);
    assert!(!delete(db, &home, &one.id.to_string()).await);
    assert_eq!(list(db, &home).await.len(), 1);
}

async fn what_is_attached_is_found_by_its_id_in_its_tenant(db: &Db) {
    let home = settle(db, "acme").await;
    let other = settle(db, "other").await;
    let one = inline(&home, "one");
    put(db, &home, &one).await;

    let mut tx = db.read().await.unwrap();
    let found = tx.chats().find_inline_owner(&home.tenant, one.id).await;
    let theirs = tx.chats().find_inline_owner(&other.tenant, one.id).await;
    drop(tx);

    assert_eq!(found.unwrap(), Some(user("ann")));
    assert_eq!(theirs.unwrap(), None);
    assert_eq!(list(db, &other).await.len(), 0);
    assert!(!delete(db, &other, &one.id.to_string()).await);
    assert_eq!(list(db, &home).await.len(), 1);
}

async fn what_is_attached_goes_with_the_chat(db: &Db) {
    let home = settle(db, "acme").await;
    put(db, &home, &inline(&home, "one")).await;

    let mut tx = db.write().await.unwrap();
    let gone = tx
        .chats_mut()
        .delete(&home.tenant, &chat_id("chat"), &user("ann"))
        .await;
    assert!(gone.unwrap());
    tx.commit(&home.event()).await.unwrap();

    assert_eq!(db.number("SELECT COUNT(*) FROM inline_servers").await, 0);
}

async fn a_sub_chat_has_what_is_still_attached(db: &Db) {
    let home = settle(db, "acme").await;
    let (one, two) = (inline(&home, "one"), inline(&home, "two"));
    put(db, &home, &one).await;
    put(db, &home, &two).await;
    let mut both = vec![one.id, two.id];
    both.sort();
    let subchat = Subchat {
        tenant: home.tenant.clone(),
        chat: chat_id("chat"),
        id: chat_id("sub"),
        servers: Vec::new(),
        inline: both,
        created_at: NOW,
    };
    let mut tx = db.write().await.unwrap();
    let stored = tx.chats_mut().insert_subchat(&subchat, 10).await;
    assert!(stored.unwrap());
    tx.commit(&home.event()).await.unwrap();
    let get = async || {
        let mut tx = db.read().await.unwrap();
        let mut chats = tx.chats();
        let (chat, id) = (&subchat.chat, &subchat.id);
        let read = chats.get_subchat(&home.tenant, chat, id).await;
        read.unwrap().unwrap()
    };
    assert_eq!(get().await, subchat);

    put(
        db,
        &home,
        &InlineServer {
            version: 9,
            ..one.clone()
        },
    )
    .await;
    delete(db, &home, &two.id.to_string()).await;

    assert_eq!(get().await.inline, [one.id]);
}

async fn what_is_touched_changed_then(db: &Db) {
    let home = settle(db, "acme").await;

    let mut tx = db.write().await.unwrap();
    let touched = tx
        .chats_mut()
        .touch(&home.tenant, &chat_id("chat"), later(7))
        .await;
    touched.unwrap();
    tx.commit(&home.event()).await.unwrap();

    let mut tx = db.read().await.unwrap();
    let chat = tx.chats().get(&home.tenant, &chat_id("chat")).await;
    let chat = chat.unwrap().unwrap();
    assert_eq!((chat.created_at, chat.updated_at), (NOW, later(7)));
}
