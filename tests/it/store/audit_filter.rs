//! What of the audit trail is wanted and what is not, and what cannot be read.

use stationmaster::domain::audit::{
    ActionPattern, ActorKind, Filter, NewAuditEvent, Origin, Verdict, Who,
};
use stationmaster::store;

use super::audit::{all, commit, home, listed, readable};
use crate::harness::database::{Db, on_both_engines};
use crate::harness::fixtures::later;

on_both_engines! {
    each_part_of_a_filter_keeps_out_what_does_not_match,
    actions_match_by_name_or_by_area_and_not_by_likeness,
    a_record_that_cannot_be_read_is_an_error_of_its_own,
}

async fn each_part_of_a_filter_keeps_out_what_does_not_match(db: &Db) {
    let home = home(db, "acme").await;
    let wanted = NewAuditEvent {
        at: later(10),
        origin: Origin {
            who: Who::Caller {
                principal: "key_a".into(),
                name: "a".into(),
            },
            request_id: Some("r1".into()),
            address: None,
        },
        action: "test.wanted",
        subject: "srv_1".into(),
        verdict: Verdict::Refused,
        user: Some("ann".into()),
        ..home.event()
    };
    commit(db, &wanted).await;
    // Another one in every way.
    commit(db, &home.event()).await;
    let text = |text: &str| Some(text.to_owned());
    let any = Filter::default;
    let parts = [
        Filter {
            actions: vec![ActionPattern::parse("test.wanted").unwrap()],
            ..any()
        },
        Filter {
            principal: text("key_a"),
            ..any()
        },
        Filter {
            user: text("ann"),
            ..any()
        },
        Filter {
            subject: text("srv_1"),
            ..any()
        },
        Filter {
            verdict: Some(Verdict::Refused),
            ..any()
        },
        Filter {
            actor_kind: Some(ActorKind::Caller),
            ..any()
        },
        Filter {
            request_id: text("r1"),
            ..any()
        },
        Filter {
            from: Some(later(10)),
            ..any()
        },
        Filter {
            from: Some(later(1)),
            until: Some(later(11)),
            ..any()
        },
    ];

    for part in parts {
        let read = listed(db, &home.tenant, &part).await;

        let ids: Vec<_> = read.iter().map(|event| event.id).collect();
        assert_eq!(ids, [wanted.id], "{part:?}");
    }
    for nothing in [
        Filter {
            until: Some(later(10)),
            from: Some(later(1)),
            ..any()
        },
        Filter {
            user: text("ann"),
            subject: text("srv_2"),
            ..any()
        },
        Filter {
            principal: text("key_"),
            ..any()
        },
    ] {
        assert_eq!(listed(db, &home.tenant, &nothing).await, []);
    }
    assert_eq!(listed(db, &home.tenant, &any()).await.len(), 2);
}

async fn actions_match_by_name_or_by_area_and_not_by_likeness(db: &Db) {
    let home = home(db, "acme").await;
    for action in [
        "test.make",
        "test.make_up",
        "test_more.make",
        "testing.make",
    ] {
        let event = NewAuditEvent {
            action,
            ..home.event()
        };
        commit(db, &event).await;
    }
    let cases: [(&[&str], &[&str]); 6] = [
        (&["test.make"], &["test.make"]),
        (&["test.*"], &["test.make", "test.make_up"]),
        (&["test_more.*"], &["test_more.make"]),
        (
            &["testing.make", "test.make_up"],
            &["test.make_up", "testing.make"],
        ),
        (
            &["test.make", "test_more.*"],
            &["test.make", "test_more.make"],
        ),
        (&["tes.*", "est.make", "test.mak", "test.up"], &[]),
    ];

    for (asked, expected) in cases {
        let actions = asked.iter().map(|text| ActionPattern::parse(text).unwrap());
        let filter = Filter {
            actions: actions.collect(),
            ..Filter::default()
        };
        let read = listed(db, &home.tenant, &filter).await;
        let mut read: Vec<_> = read.into_iter().map(|event| event.action).collect();
        read.sort();
        assert_eq!(read, expected, "{asked:?}");
    }
}

async fn a_record_that_cannot_be_read_is_an_error_of_its_own(db: &Db) {
    let home = home(db, "acme").await;
    let (bad, good) = (home.event(), home.event());
    commit(db, &bad).await;
    commit(db, &good).await;

    for damage in [
        "UPDATE audit_events SET verdict = 'perhaps' WHERE revision = 3",
        "UPDATE audit_events SET verdict = 'done', actor_kind = 'ghost' WHERE revision = 3",
        "UPDATE audit_events SET actor_kind = 'service', address = 'home' WHERE revision = 3",
        "UPDATE audit_events SET address = NULL, detail = 'none' WHERE revision = 3",
    ] {
        assert_eq!(db.execute(damage).await, 1);

        let mut tx = db.read().await.unwrap();
        let any = Filter::default();
        let found = tx.audit().list(&home.tenant, &any, &all(9)).await;
        let (read, unread): (Vec<_>, Vec<_>) =
            found.unwrap().entries.into_iter().partition(Result::is_ok);

        assert_eq!(readable(read)[0].id, good.id);
        assert!(
            matches!(&unread[..], [Err(store::Error::Corrupt { id, .. })] if *id == bad.id.to_string()),
            "{damage}: {unread:?}"
        );
    }
}
