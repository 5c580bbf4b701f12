//! The audit trail: a record in the transaction of its change, every field of it, at its place in the
//! feed; read back by whatever is wanted, and forgotten when it is old.

use stationmaster::domain::audit::{
    ActionPattern, AuditEvent, Filter, NewAuditEvent, Origin, Verdict, Who,
};
use stationmaster::domain::changes::Revision;
use stationmaster::domain::page::PageRequest;
use stationmaster::domain::tenants::TenantId;
use stationmaster::store;

use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::{Home, NOW, later};

on_both_engines! {
    a_record_holds_everything_it_was_given,
    each_kind_of_party_is_recorded,
    every_record_of_a_commit_has_its_place_before_what_changed,
    pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat,
    what_stands_after_a_place_is_read_in_order,
    a_tenant_reads_its_own_trail_only,
    what_is_old_is_forgotten_a_bounded_number_at_a_time,
}

pub(super) fn all(size: i64) -> PageRequest {
    PageRequest { size, after: None }
}

pub(super) fn readable(entries: Vec<store::Result<AuditEvent>>) -> Vec<AuditEvent> {
    entries.into_iter().map(Result::unwrap).collect()
}

/// Everything of a tenant that a filter wants, the newest first.
pub(super) async fn listed(db: &Db, tenant: &TenantId, filter: &Filter) -> Vec<AuditEvent> {
    let mut tx = db.read().await.unwrap();
    let found = tx.audit().list(tenant, filter, &all(500)).await.unwrap();
    assert!(found.next.is_none());
    readable(found.entries)
}

pub(super) async fn commit(db: &Db, event: &NewAuditEvent) -> Revision {
    let tx = db.write().await.unwrap();
    tx.commit(event).await.unwrap()
}

/// What a test is about, apart from what made the tenant.
fn tested() -> Filter {
    Filter {
        actions: vec![ActionPattern::parse("test.*").unwrap()],
        ..Filter::default()
    }
}

/// A tenant with an empty trail.
pub(super) async fn home(db: &Db, name: &str) -> Home {
    let home = Home::settle(db, name).await;
    db.execute("DELETE FROM audit_events").await;
    home
}

async fn a_record_holds_everything_it_was_given(db: &Db) {
    let home = home(db, "acme").await;
    let event = NewAuditEvent {
        origin: Origin {
            who: Who::Caller {
                principal: "key_a".into(),
                name: "Bäckend".into(),
            },
            request_id: Some("r1".into()),
            address: Some("2001:db8::1".parse().unwrap()),
        },
        action: "test.newest",
        subject: "srv_1".into(),
        verdict: Verdict::Refused,
        reason: Some("KEY_NARROWED".into()),
        user: Some("Ann".into()),
        detail: serde_json::json!({"before": null, "after": ["ä"]}),
        count: 7,
        ..home.event()
    };

    let revision = commit(db, &event).await;

    let expected = AuditEvent {
        id: event.id,
        at: event.at,
        origin: event.origin,
        action: "test.newest".into(),
        subject: "srv_1".into(),
        verdict: Verdict::Refused,
        reason: event.reason,
        user: event.user,
        detail: event.detail,
        count: 7,
        revision,
    };
    let read = listed(db, &home.tenant, &Filter::default()).await;
    assert_eq!(read, [expected]);
}

async fn each_kind_of_party_is_recorded(db: &Db) {
    let home = home(db, "acme").await;

    for who in [Who::Browser, Who::Machine, Who::Service, Who::Unknown] {
        let mut event = home.event();
        event.origin.who = who.clone();
        commit(db, &event).await;

        let filter = Filter {
            actor_kind: Some(who.kind()),
            ..Filter::default()
        };
        let read = listed(db, &home.tenant, &filter).await;
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].origin, event.origin);
        assert_eq!((&read[0].user, &read[0].reason), (&None, &None));
        assert_eq!(read[0].count, 1);
    }
}

async fn every_record_of_a_commit_has_its_place_before_what_changed(db: &Db) {
    let home = home(db, "acme").await;
    let start = db.read().await.unwrap().feed().head(&home.tenant).await;
    let start = start.unwrap();

    let mut tx = db.write().await.unwrap();
    tx.record(home.event());
    tx.servers_mut().insert(&home.server("one")).await.unwrap();
    tx.record(home.event());
    let revision = tx.commit(&home.event()).await.unwrap();

    assert_eq!(revision, Revision(start.0 + 4));
    let mut tx = db.read().await.unwrap();
    let mut trail = tx.audit();
    let any = Filter::default();
    let found = trail.list_after(&home.tenant, &any, start, 9).await;
    let places = readable(found.unwrap().entries);
    let places: Vec<_> = places.iter().map(|event| event.revision.0).collect();
    assert_eq!(places, [start.0 + 1, start.0 + 2, start.0 + 3]);
    let changed = "SELECT MAX(seq) FROM changes";
    assert_eq!(db.number(changed).await, revision.0);
}

async fn pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat(db: &Db) {
    let home = home(db, "acme").await;
    // Some at the same time, and not in the order in which they are committed.
    for second in [3, 1, 2, 2, 2, 5, 4] {
        let event = NewAuditEvent {
            at: later(second),
            ..home.event()
        };
        commit(db, &event).await;
    }
    let expected = listed(db, &home.tenant, &tested()).await;

    let mut paged = Vec::new();
    let mut page = all(2);
    loop {
        let mut tx = db.read().await.unwrap();
        let found = tx.audit().list(&home.tenant, &tested(), &page).await;
        let found = found.unwrap();
        paged.extend(readable(found.entries));
        let Some(next) = found.next else { break };
        page.after = Some(next);
    }

    assert_eq!(paged, expected);
    let seconds: Vec<_> = paged.iter().map(|e| e.at.since(NOW).as_secs()).collect();
    assert_eq!(seconds, [5, 4, 3, 2, 2, 2, 1]);
}

async fn what_stands_after_a_place_is_read_in_order(db: &Db) {
    let home = home(db, "acme").await;
    let mut places = Vec::new();
    for second in [9, 1, 5] {
        let event = NewAuditEvent {
            at: later(second),
            action: "test.wanted",
            ..home.event()
        };
        places.push(commit(db, &event).await);
        commit(db, &home.event()).await;
    }
    let filter = Filter {
        actions: vec![ActionPattern::parse("test.wanted").unwrap()],
        ..Filter::default()
    };

    let mut tx = db.read().await.unwrap();
    let mut trail = tx.audit();
    let first = trail.list_after(&home.tenant, &filter, Revision(0), 2);
    let first = first.await.unwrap();
    let on = first.next.unwrap();
    let rest = trail
        .list_after(&home.tenant, &filter, on, 2)
        .await
        .unwrap();

    let of = |entries| -> Vec<_> { readable(entries).iter().map(|e| e.revision).collect() };
    assert_eq!(on, places[1]);
    assert_eq!(of(first.entries), places[..2]);
    assert_eq!(of(rest.entries), places[2..]);
    assert_eq!(rest.next, None);
}

async fn a_tenant_reads_its_own_trail_only(db: &Db) {
    let (acme, other) = (
        Home::settle(db, "acme").await,
        Home::settle(db, "other").await,
    );
    db.execute("DELETE FROM audit_events").await;
    let (mine, theirs) = (acme.event(), other.event());

    let mut tx = db.write().await.unwrap();
    tx.record(theirs.clone());
    tx.commit(&mine).await.unwrap();

    for (home, event) in [(&acme, mine), (&other, theirs)] {
        let read = listed(db, &home.tenant, &Filter::default()).await;
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].id, event.id);
        let mut tx = db.read().await.unwrap();
        let mut trail = tx.audit();
        let any = Filter::default();
        let after = trail.list_after(&home.tenant, &any, Revision(0), 9).await;
        assert_eq!(readable(after.unwrap().entries), read);
    }
}

async fn what_is_old_is_forgotten_a_bounded_number_at_a_time(db: &Db) {
    let home = home(db, "acme").await;
    for second in [40, 10, 30, 20] {
        let event = NewAuditEvent {
            at: later(second),
            ..home.event()
        };
        commit(db, &event).await;
    }
    let forget = async |before, limit| {
        let mut tx = db.upkeep().await.unwrap();
        let gone = tx.old_audit_events().delete_old(before, limit).await;
        tx.commit().await.unwrap();
        gone.unwrap()
    };
    let left = async || {
        let read = listed(db, &home.tenant, &Filter::default()).await;
        let seconds = read.iter().map(|event| event.at.since(NOW).as_secs());
        seconds.collect::<Vec<_>>()
    };

    assert_eq!(forget(later(40), 2).await, 2);
    assert_eq!(left().await, [40, 30]);
    assert_eq!(forget(later(40), 2).await, 1);
    assert_eq!(left().await, [40]);
    assert_eq!(forget(later(40), 2).await, 0);
}
