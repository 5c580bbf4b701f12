//! Tests of the board.

use super::*;
use crate::domain::changes::NewChange;
use crate::domain::text::Slug;
use crate::domain::time::Timestamp;

fn tenant(name: &str) -> TenantId {
    Slug::parse(name).unwrap()
}

fn owner(user: &str, server: u8) -> Owner {
    Owner {
        user: UserId::parse(user).unwrap(),
        server: ServerId::from_bytes([server; 16]),
    }
}

fn change(revision: i64, subject: &str, owner: Option<Owner>) -> Change {
    Change {
        revision: Revision(revision),
        what: NewChange {
            tenant: tenant("acme"),
            kind: ChangeKind::Connection,
            subject: subject.to_owned(),
            op: Op::Put,
            owner,
        },
        at: Timestamp::from_micros(0),
    }
}

fn any(board: &Board, scope: Scope, bound: usize) -> Subscription {
    let topic = Topic {
        tenant: tenant("acme"),
        kind: ChangeKind::Connection,
        which: Which::Any,
    };
    board.subscribe(vec![topic], scope, bound)
}

/// What is taken, by revision.
fn taken(subscription: &Subscription, most: usize) -> Vec<i64> {
    match subscription.take(most) {
        Heard::Changes(changes) => changes.iter().map(|change| change.revision.0).collect(),
        Heard::Missed => panic!("something was missed"),
    }
}

#[test]
fn a_change_reaches_who_asked_for_it_and_nobody_else() {
    let board = Board::default();
    let connection = |tenant: &TenantId, user: &str, server| {
        let Owner { user, server } = owner(user, server);
        board.subscribe(
            vec![Topic::connection(tenant, &user, server)],
            Scope::default(),
            9,
        )
    };
    let id = |kind, id: &str| {
        let topic = Topic::id(&tenant("acme"), kind, id);
        board.subscribe(vec![topic], Scope::default(), 9)
    };
    let hears = [
        any(&board, Scope::default(), 9),
        id(ChangeKind::Connection, "con_1"),
        connection(&tenant("acme"), "ann", 1),
    ];
    let quiet = [
        id(ChangeKind::Connection, "con_2"),
        id(ChangeKind::Handshake, "con_1"),
        connection(&tenant("acme"), "bob", 1),
        connection(&tenant("acme"), "ann", 2),
        connection(&tenant("other"), "ann", 1),
    ];

    board.tell(change(5, "con_1", Some(owner("ann", 1))));

    assert!(hears.iter().all(|heard| taken(heard, 9) == [5]));
    assert!(quiet.iter().all(Subscription::is_quiet));
}

#[test]
fn a_thing_that_changes_often_is_held_once_at_its_last_place() {
    let board = Board::default();
    let heard = any(&board, Scope::default(), 2);

    for (revision, subject) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
        board.tell(change(revision, subject, None));
    }

    assert_eq!(taken(&heard, 1), [2]);
    assert_eq!(taken(&heard, 9), [4]);
    assert!(heard.is_quiet());
}

#[test]
fn a_queue_that_runs_over_says_so_until_it_is_cleared() {
    let board = Board::default();
    let heard = any(&board, Scope::default(), 2);

    for revision in 1..=4 {
        board.tell(change(revision, &revision.to_string(), None));
    }

    assert_eq!(heard.take(9), Heard::Missed);
    assert!(heard.clear());
    board.tell(change(5, "5", None));
    assert_eq!(taken(&heard, 9), [5]);
}

#[test]
fn others_changes_fill_no_queue() {
    let board = Board::default();
    let scope = Scope {
        user: Some(owner("ann", 1).user),
        servers: Some(vec![owner("ann", 1).server]),
    };
    let heard = any(&board, scope, 2);

    for (revision, user, server) in [(1, "bob", 1), (2, "ann", 2), (3, "eve", 1), (4, "ann", 1)] {
        let subject = revision.to_string();
        board.tell(change(revision, &subject, Some(owner(user, server))));
    }

    assert_eq!(taken(&heard, 9), [4]);
}

#[test]
fn the_loss_of_what_nobody_knows_the_owner_of_is_told_to_who_may_know_all() {
    let gone = |owner| {
        let mut gone = change(1, "a", owner);
        gone.what.op = Op::Delete;
        gone
    };
    let ann = Scope {
        user: Some(owner("ann", 1).user),
        servers: None,
    };

    assert!(Scope::default().wants(&gone(None)));
    assert!(!ann.wants(&gone(None)));
    assert!(ann.wants(&gone(Some(owner("ann", 1)))));
    assert!(!ann.wants(&gone(Some(owner("bob", 1)))));
}

#[test]
fn who_left_is_forgotten() {
    let board = Board::default();

    drop(any(&board, Scope::default(), 2));

    assert!(lock(&board.topics).is_empty());
}

#[tokio::test]
async fn an_alarm_is_heard_by_who_waits_before_and_after() {
    let board = Board::default();
    let heard = any(&board, Scope::default(), 1);

    let ((), ()) = tokio::join!(heard.heard(), async {
        board.tell(change(1, "a", None));
    });
    heard.heard().await;

    assert!(heard.clear());
    assert!(heard.is_quiet());
}
