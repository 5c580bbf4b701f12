//! The judge is judged first: small journals whose verdicts are known. A judge that convicts nobody
//! would pass every storm.

use super::{Facts, Verdict};
use crate::clock::micros;
use crate::journal::{Answer, Close, Did, Fault, Line, Ruling, Saw};
use crate::plan::{DEADLINE, LEASE};

const REPLICA: u32 = 1;
const OTHER: u32 = 2;
const SECOND: u64 = 1_000_000;

/// A story: one family, whose token 0 was presented twice.
struct Story {
    saw: Vec<Line<Saw>>,
    did: Vec<Line<Did>>,
}

impl Story {
    /// The first presentation of token 0 by a replica at the second second, and its rotation.
    fn new() -> Self {
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
        story.ruled(2 * SECOND + 1, 2, Ruling::Rotated(1));
        story
    }

    fn saw(&mut self, t: u64, event: Saw) {
        self.saw.push(Line { t, event });
    }

    fn did(&mut self, t: u64, event: Did) {
        self.did.push(Line { t, event });
    }

    fn presented(&mut self, t: u64, conn: u64, pid: u32) {
        let event = Saw::Presented {
            conn,
            accepted: t,
            port: 0,
            family: 7,
            token: 0,
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

    let mut late_kill = Story::new();
    late_kill.delivered(2 * SECOND + 2);
    late_kill.did(
        9 * SECOND,
        Did::Killed {
            replica: 0,
            pid: REPLICA,
        },
    );
    late_kill
        .reuse(20 * SECOND)
        .convicts("a replica killed long after it had the answer");

    let mut short_pause = Story::new();
    short_pause.delivered(2 * SECOND + 2);
    short_pause.did(
        2 * SECOND,
        Did::Paused {
            replica: 0,
            pid: REPLICA,
        },
    );
    short_pause.did(
        3 * SECOND,
        Did::Resumed {
            replica: 0,
            pid: REPLICA,
        },
    );
    short_pause
        .reuse(20 * SECOND)
        .convicts("a pause within the lease");

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

    let mut killed = Story::new();
    killed.delivered(2 * SECOND + 2);
    killed.did(
        2 * SECOND + 3,
        Did::Killed {
            replica: 0,
            pid: REPLICA,
        },
    );
    killed
        .reuse(20 * SECOND)
        .acquits("a replay after its replica was killed");

    let mut paused = Story::new();
    paused.delivered(2 * SECOND + 2);
    let span = (2 * SECOND, 3 * SECOND + micros(LEASE));
    paused.did(
        span.0,
        Did::Paused {
            replica: 0,
            pid: REPLICA,
        },
    );
    paused.did(
        span.1,
        Did::Resumed {
            replica: 0,
            pid: REPLICA,
        },
    );
    paused
        .reuse(11 * SECOND)
        .acquits("a replay after its replica was paused beyond its lease");
}
