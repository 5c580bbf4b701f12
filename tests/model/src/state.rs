//! What the model knows: the row, the flights of two replicas, the provider, what is on the wire,
//! and how much may still go wrong.
//!
//! Time is relative: it is always zero o'clock, and each tick moves every stored time one tick into
//! the past, as far as it matters. So time has no end and the states do.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use stationmaster::domain::connections::{Attempt, FORCED_LIMIT, Lifecycle, Policy};
use stationmaster::domain::time::Timestamp;

/// One step of time.
pub(crate) const TICK: Duration = Duration::from_mins(1);
/// How long a lease lasts, and what of it the request and the write may take.
pub(crate) const LEASE: u32 = 2;
pub(crate) const REQUEST: u32 = 1;
/// The last generation.
pub(crate) const GENERATIONS: i64 = 3;

pub(crate) const ZERO: Timestamp = Timestamp::from_micros(0);

pub(crate) fn ticks(count: i64) -> Timestamp {
    let span = TICK * u32::try_from(count.abs()).unwrap();
    if count < 0 {
        ZERO.before(span)
    } else {
        ZERO.after(span)
    }
}

/// What the provider does with a refresh token that is redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It is replaced; presented again, even at once, the whole grant ends.
    ReuseKills,
    /// It stays.
    None,
}

/// What keeps a grant from harm; a search may go without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A verdict is about one connection and one generation.
    Fence,
    /// An attempt is declared before it is made.
    Intent,
    /// Of two successes the later one stands.
    Rank,
    /// What changed since it was read is read again before it is written.
    Reread,
    /// A request is not sent when its lease could end first.
    LeaseCheck,
}

/// How much may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    pub(crate) crashes: u8,
    pub(crate) losses: u8,
    pub(crate) transients: u8,
    pub(crate) rejections: u8,
    pub(crate) disconnects: u8,
    pub(crate) reconnects: u8,
    pub(crate) claims: u8,
}

impl Bounds {
    /// Crashes and answers lost, a disconnect and a reconnect among them.
    pub(crate) const HARSH: Self = Self {
        crashes: 2,
        losses: 1,
        transients: 0,
        rejections: 0,
        disconnects: 1,
        reconnects: 1,
        claims: 4,
    };
    /// As much as leaves room for renewing ahead of time.
    pub(crate) const AHEAD: Self = Self {
        crashes: 1,
        losses: 1,
        transients: 1,
        rejections: 1,
        disconnects: 0,
        reconnects: 0,
        claims: 4,
    };
    /// Everything a provider and an upstream may say.
    pub(crate) const TALKATIVE: Self = Self {
        crashes: 1,
        losses: 2,
        transients: 1,
        rejections: 1,
        disconnects: 0,
        reconnects: 0,
        claims: 4,
    };
}

/// One search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) rotation: Rotation,
    /// How long an access token lives, in ticks. What lives longer than one is renewed ahead of its
    /// end as well.
    pub(crate) lifetime: u32,
    /// By how many ticks the clocks of the replicas are ahead of the database's.
    pub(crate) skew: [i8; 2],
    pub(crate) without: Option<Guard>,
    pub(crate) bounds: Bounds,
}

impl Setting {
    pub(crate) fn lacks(&self, guard: Guard) -> bool {
        self.without == Some(guard)
    }

    pub(crate) fn policy() -> Policy {
        Policy {
            margin: Duration::ZERO,
            lease: TICK * LEASE,
            backoff: Duration::from_micros(1),
            max_backoff: Duration::from_micros(1),
            ..Policy::default()
        }
    }

    /// A time that every clock is past.
    fn past(&self) -> Timestamp {
        ticks(i64::from(self.skew[0].min(self.skew[1])) - 1)
    }

    /// What a replica's wall clock shows.
    pub(crate) fn wall(&self, replica: usize) -> Timestamp {
        ticks(i64::from(self.skew[replica]))
    }
}

/// A refresh token: the grant it belongs to, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token {
    pub(crate) grant: u8,
    pub(crate) number: u8,
}

/// The row of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    /// Which connection it is; also the grant it holds.
    pub(crate) id: u8,
    pub(crate) life: Lifecycle,
    pub(crate) refresh: Token,
    /// The latest attempt whose success was written to this connection.
    pub(crate) newest: i64,
}

/// An attempt under way, as its flight remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    pub(crate) id: u8,
    pub(crate) generation: i64,
    pub(crate) token: Token,
    pub(crate) attempt: Attempt,
    /// When the lease was asked for, on the monotonic clock.
    pub(crate) started: Timestamp,
    /// The redemptions of this generation whose outcome was unknown when it was declared.
    pub(crate) unknown: i64,
    /// Whether the access token of that generation still lived.
    pub(crate) alive: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    Success(Token),
    Refused,
    Transient,
    Unknown,
    NotSent,
}

/// What the executor of one replica is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Flight {
    Idle,
    /// It has read and decided; `current` as long as the row is as it was read.
    Claiming {
        claim: Claim,
        next: Lifecycle,
        redeems: bool,
        current: bool,
    },
    /// The attempt is declared.
    Sending(Claim),
    /// The request is written.
    Waiting(Claim),
    /// It knows how the attempt ended.
    Ending(Claim, End),
    /// It has read again and decided.
    Writing {
        claim: Claim,
        end: End,
        next: Lifecycle,
        current: bool,
    },
}

/// A request on its way to the provider, or its answer on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Message {
    /// The replica that waits for it; `None` once nobody does.
    pub(crate) to: Option<usize>,
    pub(crate) token: Token,
    pub(crate) answer: Option<End>,
}

/// The provider's record of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Grant {
    pub(crate) alive: bool,
    pub(crate) current: u8,
    /// How often each token was sent to it, answers that say "later" not counted.
    pub(crate) sent: [u8; 4],
}

impl Grant {
    const NEW: Self = Self {
        alive: true,
        current: 0,
        sent: [0; 4],
    };
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) row: Option<Row>,
    pub(crate) buried: i64,
    pub(crate) flights: [Flight; 2],
    pub(crate) grants: [Grant; 2],
    pub(crate) wire: Vec<Message>,
    pub(crate) left: Bounds,
    /// A property that the last step broke.
    pub(crate) broken: Option<&'static str>,
}

impl State {
    pub(crate) fn first(setting: &Setting) -> Self {
        let mut state = Self {
            row: None,
            buried: 0,
            flights: [Flight::Idle, Flight::Idle],
            grants: [Grant::NEW; 2],
            wire: Vec::new(),
            left: setting.bounds,
            broken: None,
        };
        state.connect(0, setting);
        state
    }

    /// The user connects: a new connection with a new grant.
    pub(crate) fn connect(&mut self, id: u8, setting: &Setting) {
        let life = Lifecycle {
            generation: self.buried + 1,
            ..Lifecycle::granted(ZERO, Some(ticks(i64::from(setting.lifetime))), true)
        };
        self.row = Some(Row {
            id,
            life,
            refresh: Token {
                grant: id,
                number: 0,
            },
            newest: 0,
        });
        self.stale();
    }

    /// The row changed: whoever has read it must read it again.
    pub(crate) fn stale(&mut self) {
        for flight in &mut self.flights {
            if let Flight::Claiming { current, .. } | Flight::Writing { current, .. } = flight {
                *current = false;
            }
        }
    }

    /// Every stored time moves one tick into the past.
    pub(crate) fn tick(&mut self) {
        if let Some(row) = &mut self.row {
            age(&mut row.life);
        }
        for flight in &mut self.flights {
            if let Flight::Claiming { next, .. } | Flight::Writing { next, .. } = flight {
                age(next);
            }
            if let Some(claim) = flight.claim_mut() {
                claim.started = claim.started.before(TICK);
                claim.attempt.until = claim.attempt.until.before(TICK);
            }
        }
    }

    /// Forgets what makes no difference, so that states that cannot be told apart are one.
    pub(crate) fn settle(&mut self, setting: &Setting) {
        if let Some(row) = &mut self.row {
            forget(&mut row.life, setting);
        }
        for flight in &mut self.flights {
            if let Flight::Claiming { next, .. } | Flight::Writing { next, .. } = flight {
                forget(next, setting);
            }
            let sent = !matches!(flight, Flight::Claiming { .. } | Flight::Sending(_));
            if let Some(claim) = flight.claim_mut() {
                claim.started = claim.started.max(ZERO.before(TICK * LEASE));
                claim.attempt.until = claim.attempt.until.max(ZERO);
                if sent {
                    (claim.unknown, claim.alive) = (0, false);
                }
            }
        }
        self.forget_grants(setting);
        self.wire.sort_unstable();
        if setting.skew[0] == setting.skew[1] && hash(&self.flights[1]) < hash(&self.flights[0]) {
            self.flights.swap(0, 1);
            for message in &mut self.wire {
                message.to = message.to.map(|replica| 1 - replica);
            }
            self.wire.sort_unstable();
        }
    }

    /// Requests nobody waits for matter as long as they can end a grant, and a grant as long as
    /// somebody is concerned with it.
    fn forget_grants(&mut self, setting: &Setting) {
        let grants = &self.grants;
        self.wire.retain(|message| {
            let alive = grants[usize::from(message.token.grant)].alive;
            message.to.is_some() || alive && setting.rotation == Rotation::ReuseKills
        });
        for grant in 0..2 {
            let held = self.row.as_ref().is_some_and(|row| row.id == grant);
            let flown = self.flights.iter_mut().any(|flight| {
                flight
                    .claim_mut()
                    .is_some_and(|claim| claim.token.grant == grant)
            });
            let coming = grant == 1 && self.left.reconnects > 0;
            if !held && !flown && !coming {
                self.grants[usize::from(grant)] = Grant::NEW;
                self.wire.retain(|message| message.token.grant != grant);
            }
        }
    }
}

impl Flight {
    pub(crate) fn claim_mut(&mut self) -> Option<&mut Claim> {
        match self {
            Self::Idle => None,
            Self::Claiming { claim, .. }
            | Self::Writing { claim, .. }
            | Self::Sending(claim)
            | Self::Waiting(claim)
            | Self::Ending(claim, _) => Some(claim),
        }
    }
}

fn hash(flight: &Flight) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(flight)
}

/// How many failures there were matters to the length of pauses only, and those are shorter than a
/// tick here; one rejection never comes near the limit of forced renewals; no profile, no grace; and
/// how long ago something ended is all the same.
fn forget(life: &mut Lifecycle, setting: &Setting) {
    let past = setting.past();
    life.failures = 0;
    life.forced_at = [None; FORCED_LIMIT];
    life.unknown_since = None;
    life.next_attempt_at = life.next_attempt_at.filter(|at| *at > past);
    life.obtained_at = life.obtained_at.max(past.before(TICK * setting.lifetime));
    life.expires_at = life.expires_at.map(|at| at.max(past));
    if let Some(attempt) = &mut life.attempt {
        attempt.until = attempt.until.max(ZERO);
    }
}

fn age(life: &mut Lifecycle) {
    life.obtained_at = life.obtained_at.before(TICK);
    life.expires_at = life.expires_at.map(|at| at.before(TICK));
    life.next_attempt_at = life.next_attempt_at.map(|at| at.before(TICK));
    if let Some(attempt) = &mut life.attempt {
        attempt.until = attempt.until.before(TICK);
    }
}
