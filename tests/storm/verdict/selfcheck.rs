//! The judge is judged first: small journals whose verdicts are known. A judge that convicts nobody
//! would pass every storm.

use super::facts::Span;
use super::{Facts, Verdict};
use crate::clock::micros;
use crate::journal::{Answer, Close, Did, Fault, Line, Ruling, Saw};
use crate::plan::{DEADLINE, LEASE, MARGIN};

const REPLICA: u32 = 1;
const OTHER: u32 = 2;
const SECOND: u64 = 1_000_000;

/// A story: one family, whose token 0 was presented twice.
struct Story {
    saw: Vec<Line<Saw>>,
    did: Vec<Line<Did>>,
}

impl Story {
    /// The first presentation of token 0 by a replica at the second second.
    fn begun() -> Self {
        let mut story = Self {
            saw: Vec::new(),
            did: Vec::new(),
        };
        story.saw(
            SECOND,
            Saw::Exchanged {
                conn: 1,
                family: 7,
                user: "ann".to_owned(),
                server: "tools".to_owned(),
                rotates: true,
            },
        );
        story.presented(2 * SECOND, 2, REPLICA);
        story
    }

    /// The same, and its rotation.
    fn new() -> Self {
        let mut story = Self::begun();
        story.ruled(2 * SECOND + 1, 2, Ruling::Rotated(1));
        story
    }

    /// A first presentation that the provider looks at after the second one, of another replica since the first
    /// was killed; that kills what the second one obtained.
    fn overtaken() -> Self {
        let mut story = Self::overtaking();
        story.ruled(6 * SECOND, 2, Ruling::Reuse);
        story
    }

    /// The same, before the first one is looked at.
    fn overtaking() -> Self {
        let mut story = Self::begun().killed(2 * SECOND + 1);
        story.presented(4 * SECOND, 3, OTHER);
        story.ruled(4 * SECOND + 1, 3, Ruling::Rotated(1));
        story
    }

    /// The same, after what it obtained was renewed in its turn.
    fn overtaken_later() -> Self {
        let mut story = Self::overtaking();
        story.presented_token(5 * SECOND + 1, (4, 1), OTHER);
        story.ruled(5 * SECOND + 2, 4, Ruling::Rotated(2));
        story.ruled(6 * SECOND, 2, Ruling::Reuse);
        story
    }

    /// The access token of a token was rejected, which its replica was told.
    fn spoiled(mut self, t: u64, token: u64) -> Self {
        let family = 7;
        self.saw(t, Saw::Spoiled { family, token });
        self
    }

    fn saw(&mut self, t: u64, event: Saw) {
        self.saw.push(Line { t, event });
    }

    fn did(&mut self, t: u64, event: Did) {
        self.did.push(Line { t, event });
    }

    /// The first presentation, and its answer that reached the replica at once.
    fn answered() -> Self {
        let mut story = Self::new();
        story.delivered(2 * SECOND + 2);
        story
    }

    /// What befell a replica; from when to when.
    fn paused(mut self, pid: u32, span: Span) -> Self {
        let replica = 0;
        self.did(span.0, Did::Paused { replica, pid });
        self.did(span.1, Did::Resumed { replica, pid });
        self
    }

    fn muted(mut self, span: Span) -> Self {
        let (replica, pid) = (0, REPLICA);
        self.did(span.0, Did::Muted { replica, pid });
        self.did(span.1, Did::Unmuted { replica, pid });
        self
    }

    fn killed(mut self, t: u64) -> Self {
        let (replica, pid) = (0, REPLICA);
        self.did(t, Did::Killed { replica, pid });
        self
    }

    fn stopped(mut self, span: Span, code: Option<i32>) -> Self {
        let (replica, pid) = (0, REPLICA);
        self.did(span.0, Did::Stopped { replica, pid });
        self.did(span.1, Did::Ended { replica, pid, code });
        self
    }

    fn presented(&mut self, t: u64, conn: u64, pid: u32) {
        self.presented_token(t, (conn, 0), pid);
    }

    fn presented_token(&mut self, t: u64, (conn, token): (u64, u64), pid: u32) {
        let event = Saw::Presented {
            conn,
            accepted: t,
            port: 0,
            family: 7,
            token,
            left: 0,
            fault: Fault::None,
        };
        self.saw(t, event);
        let pid = Some(pid);
        self.saw(t, Saw::Sender { conn, pid });
    }

    fn ruled(&mut self, t: u64, conn: u64, ruling: Ruling) {
        self.saw(t, Saw::Ruled { conn, ruling });
    }

    fn closed(&mut self, t: u64, how: Close) {
        self.saw(t, Saw::Closed { conn: 2, how });
    }

    fn delivered(&mut self, t: u64) {
        self.saw(t, Saw::Written { conn: 2 });
    }

    /// The second presentation, which kills.
    fn reuse(mut self, t: u64) -> Self {
        self.presented(t, 3, OTHER);
        self.ruled(t + 1, 3, Ruling::Reuse);
        self
    }

    fn told(mut self, t: u64, reason: &str) -> Self {
        let told = Answer {
            user: "ann".to_owned(),
            server: "tools".to_owned(),
            since: t,
            status: "SERVER_STATUS_RECONNECT_REQUIRED".to_owned(),
            reason: format!("STATUS_REASON_{reason}"),
        };
        self.did(t, Did::Told(told));
        self
    }

    fn convicts(self, what: &str) {
        let offences = Verdict::new(Facts::new(self.saw, self.did)).offences();
        assert!(!offences.is_empty(), "the judge lets pass: {what}");
    }

    fn acquits(self, what: &str) {
        let offences = Verdict::new(Facts::new(self.saw, self.did)).offences();
        assert!(
            offences.is_empty(),
            "the judge convicts: {what}: {offences:?}"
        );
    }
}

/// Panics when a verdict is not the one that is known.
pub(crate) fn run() {
    convictions();
    acquittals();
    waits();
    stretches();
    ahead();
}

fn convictions() {
    let mut healthy = Story::new();
    healthy.delivered(2 * SECOND + 2);
    healthy.closed(2 * SECOND + 3, Close::Read);
    healthy
        .reuse(4 * SECOND)
        .convicts("an answer read by a healthy replica");

    let at_once = Story::new().reuse(2 * SECOND + 10);
    at_once.convicts("two redemptions at the same time");

    let mut early = Story::new();
    early.closed(2 * SECOND + 100_000, Close::Gone);
    early.reuse(4 * SECOND).convicts("a request given up early");

    let mut used = Story::new();
    used.saw(
        2 * SECOND + 4,
        Saw::Used {
            family: 7,
            token: 1,
        },
    );
    used.closed(2 * SECOND + 5, Close::Destroyed);
    used.reuse(4 * SECOND)
        .convicts("a reuse although the answer's tokens were in use");

    let alive = Story::new().told(5 * SECOND, "OUTCOME_UNKNOWN");
    alive.convicts("a connection reported lost that is alive");

    let mut wrong = Story::new();
    wrong.closed(2 * SECOND + 5, Close::Destroyed);
    let wrong = wrong.reuse(4 * SECOND).told(5 * SECOND, "REFRESH_REFUSED");
    wrong.convicts("another reason than the true one");
}

fn acquittals() {
    let mut dropped = Story::new();
    dropped.closed(2 * SECOND + 5, Close::Destroyed);
    let dropped = dropped
        .reuse(4 * SECOND)
        .told(5 * SECOND, "OUTCOME_UNKNOWN");
    dropped.acquits("a replay after a dropped answer");

    let mut late = Story::new();
    late.closed(2 * SECOND + micros(DEADLINE), Close::Gone);
    late.reuse(9 * SECOND)
        .acquits("a replay after the deadline");
}

/// What a provider that lets a request wait does to what took its place.
fn waits() {
    let told = |story: Story, reason| story.told(7 * SECOND, reason);
    for reason in ["OUTCOME_UNKNOWN", "REFRESH_REFUSED"] {
        told(Story::overtaken(), reason).acquits("a request overtaken by another");
    }
    told(
        Story::overtaken().spoiled(2 * SECOND - 1, 0),
        "TOKEN_REJECTED",
    )
    .acquits("a rejection of what a rejection had led to");
    told(
        Story::overtaken_later().spoiled(5 * SECOND, 1),
        "TOKEN_REJECTED",
    )
    .acquits("a rejection of what a later rejection had led to");
    told(Story::overtaken(), "TOKEN_REJECTED")
        .convicts("a rejection that ends what none had led to");
    told(Story::overtaken().spoiled(5 * SECOND, 1), "TOKEN_REJECTED")
        .convicts("a first rejection that ends what could be renewed");
    told(
        Story::overtaken_later().spoiled(2 * SECOND - 1, 0),
        "TOKEN_REJECTED",
    )
    .convicts("an old rejection that ends what came long after it");
    rejected_twice();
}

/// A grant that lives and was given up, since what came of a rejection was rejected.
fn rejected_twice() {
    let told = |story: Story| story.told(7 * SECOND, "TOKEN_REJECTED");
    let spoiled = |story: Story, tokens: &[u64]| {
        let spoil = |story: Story, token: &u64| story.spoiled(3 * SECOND + *token, *token);
        tokens.iter().fold(story, spoil)
    };
    let renewed = || {
        let mut story = Story::answered();
        story.presented_token(4 * SECOND, (3, 1), REPLICA);
        story.ruled(4 * SECOND + 1, 3, Ruling::Rotated(2));
        story
    };

    told(spoiled(Story::answered(), &[0, 1])).acquits("two rejections one after the other");
    told(spoiled(renewed(), &[0, 2])).convicts("two rejections with a token between them");
    told(spoiled(renewed(), &[0, 1])).convicts("rejections of what was replaced");
    told(spoiled(renewed(), &[2])).convicts("one rejection");
}

/// What befell the replica that had the answer, and for how long.
fn stretches() {
    let short = (2 * SECOND, 3 * SECOND);
    let long = (2 * SECOND, 3 * SECOND + micros(LEASE));
    let replayed = |story: Story| story.reuse(20 * SECOND);

    let at_once = Story::answered().killed(2 * SECOND + 3);
    replayed(at_once).acquits("a replay after its replica was killed");
    let later = 4 * SECOND + 500_000;
    let late = Story::answered().killed(later);
    replayed(late).convicts("a replica killed after it could have stored the answer");
    let held_up = Story::answered().killed(later).paused(OTHER, long);
    replayed(held_up).acquits("a replica killed while another one held it up");

    let paused = Story::answered().paused(REPLICA, long);
    replayed(paused).acquits("a replay after its replica was paused beyond its lease");
    let paused = Story::answered().paused(REPLICA, short);
    replayed(paused).convicts("a pause within the lease");

    let muted = Story::answered().muted(long);
    replayed(muted).acquits("a replay after its replica lost its database beyond its lease");
    let muted = Story::answered().muted(short);
    replayed(muted).convicts("a database that was away for less than the lease");
    let muted = Story::answered().muted(short).killed(short.1 + SECOND);
    replayed(muted).acquits("a kill right after a database that was away");
    let muted = Story::answered().muted(short).killed(short.1 + 8 * SECOND);
    replayed(muted).convicts("a kill long after a database that was away");

    let stopped = Story::answered().stopped(short, Some(0));
    replayed(stopped).convicts("an answer lost in an orderly stop");
    Story::answered()
        .stopped(short, Some(0))
        .acquits("an orderly stop");
    Story::answered()
        .stopped(short, Some(1))
        .convicts("an orderly stop that failed");
    Story::answered()
        .stopped(long, None)
        .convicts("an orderly stop that did not come to its end");
}

/// What is renewed without being asked for.
fn ahead() {
    let asked = micros(MARGIN) + micros(DEADLINE);
    for (left, expected) in [(asked, 0), (asked + 1, 1)] {
        let mut story = Story::new();
        for line in &mut story.saw {
            if let Saw::Presented { left: held, .. } = &mut line.event {
                *held = left;
            }
        }
        let found = Facts::new(story.saw, story.did).ahead();
        assert_eq!(found, expected, "renewals asked for by nobody, {left} left");
    }
}
