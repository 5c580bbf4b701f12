//! Identities: the tokens of users' logins.

use stationmaster::domain::changes::{ChangeKind, Op, Revision};
use stationmaster::domain::connections::{Lifecycle, Status, Use};
use stationmaster::domain::identities::Identity;
use stationmaster::domain::resolution::Reconnect;
use stationmaster::store::Error;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, later, user};

on_both_engines! {
    an_identity_reads_back_as_it_was_stored,
    a_user_has_one_at_each_provider,
    the_last_deposited_comes_first,
    a_write_names_the_version_that_was_read,
    new_tokens_take_the_place_of_the_old,
    what_is_gone_keeps_its_generation,
    what_is_due_is_found_in_order_and_a_few_of_each_provider,
    a_use_is_noted_unless_a_later_one_is_known,
    leases_end_with_their_process,
    what_cannot_be_read_is_due_no_more_and_can_go,
}

const IDP: &str = "https://idp.test";

async fn get(db: &Db, identity: &Identity) -> Option<Identity> {
    let mut tx = db.read().await.unwrap();
    let Identity {
        tenant,
        user,
        issuer,
        ..
    } = identity;
    tx.identities().get(tenant, user, issuer).await.unwrap()
}

async fn an_identity_reads_back_as_it_was_stored(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let plain = home.identity("ann", IDP);
    let full = home.full_identity("bob", IDP);

    for identity in [&plain, &full] {
        home.store_identity(db, identity).await;

        assert_eq!(get(db, identity).await.as_ref(), Some(identity));
    }
    let mut tx = db.read().await.unwrap();
    let last = tx.feed().head(&home.tenant).await.unwrap();
    assert_ne!(last, Revision::default());
}

async fn a_user_has_one_at_each_provider(db: &Db) {
    let home = Home::settle(db, "acme").await;
    home.store_identity(db, &home.identity("ann", IDP)).await;
    home.store_identity(db, &home.identity("ann", "https://other.test"))
        .await;
    home.store_identity(db, &home.identity("Ann", IDP)).await;
    let other = Home::settle(db, "umbrella").await;
    other.store_identity(db, &other.identity("ann", IDP)).await;

    let mut tx = db.write().await.unwrap();
    let again = home.identity("ann", IDP);
    let again = tx.identities_mut().insert(&again).await;

    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
}

async fn the_last_deposited_comes_first(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let old = home.identity("ann", IDP);
    let new = Identity {
        deposited_at: later(9),
        ..home.identity("ann", "https://other.test")
    };
    for identity in [&old, &new, &home.identity("bob", IDP)] {
        home.store_identity(db, identity).await;
    }

    let mut tx = db.read().await.unwrap();
    let mut identities = tx.identities();
    let (tenant, ann) = (&home.tenant, user("ann"));

    let latest = identities.find_latest(tenant, &ann).await;
    assert_eq!(latest.unwrap(), Some(new));
    assert_eq!(identities.count(tenant, &ann).await.unwrap(), 2);
    let nobody = identities.find_latest(tenant, &user("carol")).await;
    assert_eq!(nobody.unwrap(), None);
}

async fn a_write_names_the_version_that_was_read(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.full_identity("ann", IDP);
    home.store_identity(db, &stored).await;
    let refused = Identity {
        life: Lifecycle {
            status: Status::ReconnectRequired(Reconnect::RefreshRefused),
            attempt: None,
            ..stored.life
        },
        last_error: Some("invalid_grant".into()),
        ..stored.clone()
    };
    let quiet = Identity {
        version: 10,
        due_at: Some(later(77)),
        ..refused.clone()
    };

    let mut tx = db.write().await.unwrap();
    assert!(tx.identities_mut().save_life(&refused).await.unwrap());
    assert!(!tx.identities_mut().save_life(&refused).await.unwrap());
    tx.commit(&home.event()).await.unwrap();
    let mut tx = db.upkeep().await.unwrap();
    assert!(!tx.identity_leases().save_life(&refused).await.unwrap());
    assert!(tx.identity_leases().save_life(&quiet).await.unwrap());
    tx.commit().await.unwrap();

    let expected = Identity {
        version: 11,
        ..quiet
    };
    assert_eq!(get(db, &stored).await, Some(expected));
}

async fn new_tokens_take_the_place_of_the_old(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.full_identity("ann", IDP);
    home.store_identity(db, &stored).await;
    let renewed = Identity {
        life: Lifecycle {
            generation: 4,
            obtained_at: later(50),
            expires_at: Some(later(60)),
            rejected: false,
            forced: false,
            attempt: None,
            redeemed_by: 2,
            keeps: false,
            forced_at: [Some(later(50)), None, None],
            ..stored.life
        },
        access_token: home.sealed(b"access 2"),
        access_token_ends: Some(later(60)),
        id_token: home.sealed(b"id 2"),
        id_token_ends: Some(later(70)),
        refresh_token: home.sealed(b"refresh 2"),
        refreshed_at: Some(later(50)),
        updated_at: later(50),
        ..stored.clone()
    };

    let mut tx = db.write().await.unwrap();
    assert!(tx.identities_mut().renew(&renewed).await.unwrap());
    assert!(!tx.identities_mut().renew(&renewed).await.unwrap());
    tx.commit(&home.event()).await.unwrap();

    let expected = Identity {
        version: 10,
        ..renewed
    };
    assert_eq!(get(db, &stored).await, Some(expected));
}

async fn what_is_gone_keeps_its_generation(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let ann = user("ann");
    let first = home.full_identity("ann", IDP);
    let second = home.identity("ann", "https://other.test");
    for identity in [&first, &second, &home.identity("bob", IDP)] {
        home.store_identity(db, identity).await;
    }
    let stale = Identity {
        version: 1,
        ..first.clone()
    };

    let mut tx = db.write().await.unwrap();
    assert!(!tx.identities_mut().take(&stale).await.unwrap());
    assert!(tx.identities_mut().take(&first).await.unwrap());
    assert!(!tx.identities_mut().take(&first).await.unwrap());
    tx.commit(&home.event()).await.unwrap();
    home.store_identity(db, &home.identity("ann", IDP)).await;
    let mut tx = db.write().await.unwrap();
    let mut identities = tx.identities_mut();
    let one = identities.delete(&home.tenant, &ann, Some(&second.issuer));
    assert_eq!(one.await.unwrap(), 1);
    let rest = identities.delete(&home.tenant, &ann, None).await;
    assert_eq!(rest.unwrap(), 1);
    let none = identities.delete(&home.tenant, &ann, None).await;
    assert_eq!(none.unwrap(), 0);
    let revision = tx.commit(&home.event()).await.unwrap();

    let last = async |name: &str| {
        let mut tx = db.read().await.unwrap();
        let mut identities = tx.identities();
        let user = user(name);
        let last = identities.last_generation(&home.tenant, &user).await;
        last.unwrap()
    };
    // Of two the higher one is kept, and of several providers the highest counts.
    assert_eq!(last("ann").await, 3);
    assert_eq!(last("bob").await, 1);
    assert_eq!(last("eve").await, 0);
    assert_eq!(get(db, &first).await, None);
    let mut tx = db.read().await.unwrap();
    let (kind, from) = (ChangeKind::Identity, Revision(revision.0 - 1));
    let told = tx
        .feed()
        .list_of_kind(&home.tenant, kind, from, 9)
        .await
        .unwrap();
    let ops: Vec<_> = told.changes.iter().map(|change| change.what.op).collect();
    assert_eq!(ops, [Op::Delete]);
}

async fn due(db: &Db, secs: u64, each: i64, limit: i64) -> Vec<String> {
    let mut tx = db.read().await.unwrap();
    let due = tx.identities().list_due(later(secs), each, limit).await;
    let due = due.unwrap().into_iter().map(Result::unwrap);
    due.map(|identity| identity.user.to_string()).collect()
}

async fn what_is_due_is_found_in_order_and_a_few_of_each_provider(db: &Db) {
    for (tenant, name, due_at, issuer) in [
        ("acme", "ann", Some(later(20)), IDP),
        ("umbrella", "bob", Some(later(10)), IDP),
        ("initech", "cid", None, IDP),
        ("hooli", "dot", Some(later(30)), "https://other.test"),
    ] {
        let home = Home::settle(db, tenant).await;
        let identity = Identity {
            due_at,
            ..home.identity(name, issuer)
        };
        home.store_identity(db, &identity).await;
    }

    assert_eq!(due(db, 9, 9, 9).await, [""; 0]);
    assert_eq!(due(db, 20, 9, 9).await, ["bob", "ann"]);
    assert_eq!(due(db, 99, 1, 9).await, ["bob", "dot"]);
    assert_eq!(due(db, 99, 9, 2).await, ["bob", "ann"]);
}

async fn a_use_is_noted_unless_a_later_one_is_known(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.full_identity("ann", IDP);
    home.store_identity(db, &stored).await;

    for (at, due_at) in [(2_000, 40), (1_000, 41)] {
        let seen = Use {
            tenant: home.tenant.clone(),
            generation: stored.life.generation,
            at: later(at),
            due_at: Some(later(due_at)),
        };
        let mut tx = db.lazy_upkeep().await.unwrap();
        tx.identity_leases()
            .note_use(stored.id, &seen)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    let now = get(db, &stored).await.unwrap();
    assert_eq!(now.used_at, Some(later(2_000)));
    assert_eq!(now.due_at, Some(later(40)));
    assert_eq!(now.version, stored.version);
}

async fn leases_end_with_their_process(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.full_identity("ann", IDP);
    home.store_identity(db, &stored).await;

    let mut tx = db.upkeep().await.unwrap();
    let ended = tx.identity_leases().end_leases(later(30)).await.unwrap();
    let again = tx.identity_leases().end_leases(later(30)).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!((ended, again), (1, 0));
    let now = get(db, &stored).await.unwrap();
    assert_eq!(now.life.attempt.unwrap().until, later(30));
    assert_eq!(now.version, stored.version + 1);
}

async fn what_cannot_be_read_is_due_no_more_and_can_go(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let stored = home.full_identity("ann", IDP);
    home.store_identity(db, &stored).await;
    db.execute("UPDATE identities SET status = 'odd'").await;

    let mut tx = db.read().await.unwrap();
    let found = tx.identities().list_due(later(99), 9, 9).await.unwrap();
    drop(tx);
    let Err(Error::Corrupt { id, .. }) = &found[0] else {
        panic!("{found:?}");
    };
    let mut tx = db.upkeep().await.unwrap();
    tx.identity_leases().forget_due(id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(due(db, 99, 9, 9).await, [""; 0]);
    let mut tx = db.write().await.unwrap();
    let mut identities = tx.identities_mut();
    let gone = identities.delete(&home.tenant, &stored.user, None).await;
    assert_eq!(gone.unwrap(), 1);
    tx.commit(&home.event()).await.unwrap();
}
