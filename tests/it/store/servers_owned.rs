//! Personal servers: counted and listed by whose they are.

use stationmaster::domain::page::PageRequest;
use stationmaster::domain::servers::Server;
use stationmaster::domain::text::UserId;
use stationmaster::store::Which;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, user};

on_both_engines! {
    everybody_has_a_list_of_their_own,
    personal_servers_are_counted_by_their_owner,
    one_that_cannot_be_read_goes_by_its_id_and_its_owner,
}

/// Three servers for everybody and for each of two users, of each the last switched off.
async fn settle(db: &Db) -> Home {
    let home = Home::settle(db, "acme").await;
    let other = Home::settle(db, "other").await;
    let mut tx = db.write().await.unwrap();
    for (home, owner) in [
        (&home, None),
        (&home, Some("ann")),
        (&home, Some("Ann")),
        (&other, Some("ann")),
    ] {
        for (name, enabled) in [("a", true), ("b", true), ("c", false)] {
            let mut server = Server {
                owner: owner.map(user),
                ..home.server(&format!("{name}-{}", tag(owner)))
            };
            server.spec.enabled = enabled;
            tx.servers_mut().insert(&server).await.unwrap();
        }
    }
    tx.commit(&home.event()).await.unwrap();
    home
}

/// Slugs have no capitals.
fn tag(owner: Option<&str>) -> String {
    let owner = owner.unwrap_or("all");
    owner.replace('A', "big-a")
}

async fn names(db: &Db, home: &Home, which: Which<'_>) -> Vec<String> {
    let mut names = Vec::new();
    let mut page = PageRequest {
        size: 1,
        after: None,
    };
    let mut tx = db.read().await.unwrap();
    loop {
        let got = tx.servers().list(&home.tenant, which, &page).await.unwrap();
        let servers = got.entries.into_iter().map(Result::unwrap);
        names.extend(servers.map(|server| server.spec.display_name));
        page.after = got.next;
        if page.after.is_none() {
            return names;
        }
    }
}

async fn everybody_has_a_list_of_their_own(db: &Db) {
    let home = settle(db).await;
    let ann = user("ann");

    let all = names(db, &home, Which::All).await;
    let nobodys = names(db, &home, Which::Enabled(None)).await;
    let anns = names(db, &home, Which::Enabled(Some(&ann))).await;
    let seen = names(db, &home, Which::Seen(&ann)).await;
    let owned = names(db, &home, Which::Owned(&ann)).await;

    assert_eq!(all.len(), 9);
    assert_eq!(nobodys, ["a-all", "b-all"]);
    assert_eq!(anns, ["a-all", "a-ann", "b-all", "b-ann"]);
    assert_eq!(seen, ["a-all", "a-ann", "b-all", "b-ann", "c-ann"]);
    assert_eq!(owned, ["a-ann", "b-ann", "c-ann"]);
}

async fn personal_servers_are_counted_by_their_owner(db: &Db) {
    let home = settle(db).await;
    let mut tx = db.read().await.unwrap();
    let mut count = async |owner: &UserId| {
        let counted = tx.servers().count_of_owner(&home.tenant, owner).await;
        counted.unwrap()
    };

    assert_eq!(count(&user("ann")).await, 3);
    assert_eq!(count(&user("bob")).await, 0);
}

async fn one_that_cannot_be_read_goes_by_its_id_and_its_owner(db: &Db) {
    let home = settle(db).await;
    let ann = user("ann");
    let page = PageRequest {
        size: 1,
        after: None,
    };
    let mut tx = db.write().await.unwrap();
    let mut servers = tx.servers();
    let listed = servers.list(&home.tenant, Which::Owned(&ann), &page).await;
    let listed = listed.unwrap().entries;
    let id = listed[0].as_ref().unwrap().id.to_string();

    let mut servers = tx.servers_mut();
    let bobs = servers.delete_unread(&home.tenant, &user("bob"), &id).await;
    let gone = servers.delete_unread(&home.tenant, &ann, &id).await;
    let again = servers.delete_unread(&home.tenant, &ann, &id).await;
    tx.commit(&home.event()).await.unwrap();

    assert!(!bobs.unwrap() && gone.unwrap() && !again.unwrap());
    assert_eq!(names(db, &home, Which::Owned(&ann)).await.len(), 2);
}
