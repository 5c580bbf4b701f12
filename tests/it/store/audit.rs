//! The audit trail: a record in the transaction of its change, every field of it.

use sqlx::FromRow;
use stationmaster::domain::audit::{NewAuditEvent, Origin, Verdict, Who};
use stationmaster::domain::changes::Revision;

use crate::harness::database::{Db, Raw, on_both_engines};
use crate::harness::fixtures::Home;

on_both_engines! {
    a_record_holds_everything_it_was_given,
    each_kind_of_party_is_recorded,
    a_record_alone_moves_no_feed,
}

#[derive(Debug, PartialEq, FromRow)]
struct Row {
    id: String,
    tenant: String,
    at: i64,
    actor_kind: String,
    principal: String,
    principal_name: String,
    action: String,
    subject: String,
    verdict: String,
    user_id: Option<String>,
    request_id: Option<String>,
    address: Option<String>,
    detail: String,
}

const NEWEST: &str = "SELECT id, tenant, at, actor_kind, principal, principal_name, action, subject, \
    verdict, user_id, request_id, address, detail FROM audit_events WHERE action = 'test.newest'";

async fn recorded(db: &Db) -> Row {
    match db.raw().await {
        Raw::Sqlite(mut conn) => sqlx::query_as(NEWEST).fetch_one(&mut conn).await.unwrap(),
        Raw::Postgres(mut conn) => sqlx::query_as(NEWEST).fetch_one(&mut conn).await.unwrap(),
    }
}

async fn a_record_holds_everything_it_was_given(db: &Db) {
    let home = Home::settle(db, "acme").await;
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
        user: Some("Ann".into()),
        detail: serde_json::json!({"before": null, "after": ["ä"]}),
        ..home.event()
    };

    db.write().await.unwrap().commit(&event).await.unwrap();

    let expected = Row {
        id: event.id.to_string(),
        tenant: "acme".into(),
        at: event.at.as_micros(),
        actor_kind: "caller".into(),
        principal: "key_a".into(),
        principal_name: "Bäckend".into(),
        action: "test.newest".into(),
        subject: "srv_1".into(),
        verdict: "refused".into(),
        user_id: Some("Ann".into()),
        request_id: Some("r1".into()),
        address: Some("2001:db8::1".into()),
        detail: event.detail.to_string(),
    };
    assert_eq!(recorded(db).await, expected);
}

async fn each_kind_of_party_is_recorded(db: &Db) {
    let home = Home::settle(db, "acme").await;

    for (who, kind) in [
        (Who::Browser, "browser"),
        (Who::Machine, "machine"),
        (Who::Service, "service"),
    ] {
        let mut event = home.event();
        event.origin.who = who;
        event.action = "test.newest";
        db.write().await.unwrap().commit(&event).await.unwrap();

        let row = recorded(db).await;
        assert_eq!(row.actor_kind, kind);
        assert_eq!(
            (row.principal.as_str(), row.principal_name.as_str()),
            ("", "")
        );
        assert_eq!(
            (row.user_id, row.request_id, row.address),
            (None, None, None)
        );
        db.execute("DELETE FROM audit_events").await;
    }
}

async fn a_record_alone_moves_no_feed(db: &Db) {
    let home = Home::settle(db, "acme").await;
    let before = db.number("SELECT COUNT(*) FROM changes").await;
    db.execute("DELETE FROM audit_events").await;

    let mut tx = db.write().await.unwrap();
    tx.record(&home.event()).await.unwrap();
    let revision = tx.commit(&home.event()).await.unwrap();

    assert_eq!(revision, Revision(0));
    assert_eq!(db.number("SELECT COUNT(*) FROM changes").await, before);
    assert_eq!(db.number("SELECT COUNT(*) FROM audit_events").await, 2);
}
