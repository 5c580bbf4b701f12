//! Who wants to hear of what: a board of topics, and a bounded queue for each who subscribed.
//!
//! A queue holds one entry for each thing that changed, its latest, in the order of revisions. One
//! that runs over is emptied and says so: whoever needs every change reads them from the database
//! or gives up, and to whom a queue is but an alarm nothing is lost.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::changes::{Change, ChangeKind, Op, Owner, Revision};
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;

/// What is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::app) struct Topic {
    pub(in crate::app) tenant: TenantId,
    pub(in crate::app) kind: ChangeKind,
    pub(in crate::app) which: Which,
}

impl Topic {
    /// The thing of this id.
    pub(in crate::app) fn id(tenant: &TenantId, kind: ChangeKind, id: impl Display) -> Self {
        Self {
            tenant: tenant.clone(),
            kind,
            which: Which::Id(id.to_string()),
        }
    }

    /// The connection that a user has on a server.
    pub(in crate::app) fn connection(tenant: &TenantId, user: &UserId, server: ServerId) -> Self {
        let user = user.clone();
        Self {
            tenant: tenant.clone(),
            kind: ChangeKind::Connection,
            which: Which::Of(Owner { user, server }),
        }
    }
}

/// Which things of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::app) enum Which {
    /// All of them.
    Any,
    /// The one of this id.
    Id(String),
    /// What this user has on this server.
    Of(Owner),
}

/// Whose things are wanted; where something is `None`, everybody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::app) struct Scope {
    pub(in crate::app) user: Option<UserId>,
    pub(in crate::app) servers: Option<Vec<ServerId>>,
}

impl Scope {
    /// Whether it holds what this user has on this server.
    pub(in crate::app) fn covers(&self, user: &UserId, server: ServerId) -> bool {
        let users = self.user.as_ref().is_none_or(|own| own == user);
        let servers = self.servers.as_ref();
        users && servers.is_none_or(|servers| servers.contains(&server))
    }

    /// Whether a change is wanted. Who lost something that nobody knows the owner of, is told to
    /// those only who may know everything; who has something is seen when it is read.
    pub(in crate::app) fn wants(&self, change: &Change) -> bool {
        match (&change.what.owner, change.what.op) {
            (Some(owner), _) => self.covers(&owner.user, owner.server),
            (None, Op::Put) => true,
            (None, Op::Delete) => self.user.is_none() && self.servers.is_none(),
        }
    }
}

/// Every subscription, by topic.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    topics: Arc<Mutex<Topics>>,
    numbers: Arc<AtomicU64>,
}

type Topics = HashMap<Topic, HashMap<u64, Arc<Queue>>>;

/// One subscription; it ends when dropped. One task may wait for it.
#[derive(Debug)]
pub(in crate::app) struct Subscription {
    board: Board,
    number: u64,
    topics: Vec<Topic>,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    bound: usize,
    scope: Scope,
    held: Mutex<Held>,
    ring: Notify,
}

#[derive(Debug, Default)]
struct Held {
    by_revision: BTreeMap<Revision, Arc<Change>>,
    latest: HashMap<String, Revision>,
    missed: bool,
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::app) enum Heard {
    /// These changes, in order; none when nothing happened.
    Changes(Vec<Arc<Change>>),
    /// More than the queue holds, or something that was never told.
    Missed,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// Subscribes to topics, with a queue for at most `bound` things that changed.
    pub(super) fn subscribe(&self, topics: Vec<Topic>, scope: Scope, bound: usize) -> Subscription {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let queue = Arc::new(Queue {
            bound,
            scope,
            held: Mutex::default(),
            ring: Notify::new(),
        });
        let mut board = lock(&self.topics);
        for topic in &topics {
            let at = board.entry(topic.clone()).or_default();
            at.insert(number, Arc::clone(&queue));
        }
        drop(board);
        Subscription {
            board: self.clone(),
            number,
            topics,
            queue,
        }
    }

    /// Tells a change to everyone who wants it.
    pub(super) fn tell(&self, change: Change) {
        let change = Arc::new(change);
        let topic = |which| Topic {
            tenant: change.what.tenant.clone(),
            kind: change.what.kind,
            which,
        };
        let mut topics = vec![
            topic(Which::Any),
            topic(Which::Id(change.what.subject.clone())),
        ];
        topics.extend(change.what.owner.clone().map(Which::Of).map(topic));
        let board = lock(&self.topics);
        for queue in topics.iter().filter_map(|topic| board.get(topic)) {
            for queue in queue.values() {
                queue.put(&change);
            }
        }
    }

    /// Tells everyone of a shard's tenants that they missed something.
    pub(super) fn tell_lost(&self, concerned: impl Fn(&TenantId) -> bool) {
        let board = lock(&self.topics);
        let queues = board.iter().filter(|(topic, _)| concerned(&topic.tenant));
        for queue in queues.flat_map(|(_, queues)| queues.values()) {
            queue.overrun();
        }
    }

    /// Wakes whoever waits for one thing, without a change.
    pub(super) fn wake(&self, topic: &Topic) {
        let board = lock(&self.topics);
        for queue in board.get(topic).into_iter().flat_map(HashMap::values) {
            queue.overrun();
        }
    }
}

impl Held {
    fn missed() -> Self {
        Self {
            missed: true,
            ..Self::default()
        }
    }
}

impl Queue {
    fn put(&self, change: &Arc<Change>) {
        if !self.scope.wants(change) {
            return;
        }
        let mut held = lock(&self.held);
        if held.missed {
            return;
        }
        let subject = change.what.subject.clone();
        if let Some(before) = held.latest.insert(subject, change.revision) {
            held.by_revision.remove(&before);
        }
        held.by_revision.insert(change.revision, Arc::clone(change));
        if held.by_revision.len() > self.bound {
            *held = Held::missed();
        }
        drop(held);
        self.ring.notify_one();
    }

    fn overrun(&self) {
        *lock(&self.held) = Held::missed();
        self.ring.notify_one();
    }
}

impl Subscription {
    /// Until there is something to take. Takes nothing, so that it may be dropped any time.
    pub(in crate::app) async fn heard(&self) {
        while self.is_quiet() {
            self.queue.ring.notified().await;
        }
    }

    /// Whether there is nothing to take.
    pub(in crate::app) fn is_quiet(&self) -> bool {
        let held = lock(&self.queue.held);
        held.by_revision.is_empty() && !held.missed
    }

    /// Takes the first changes, at most so many.
    pub(in crate::app) fn take(&self, most: usize) -> Heard {
        let mut held = lock(&self.queue.held);
        if held.missed {
            return Heard::Missed;
        }
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((_, change)) = held.by_revision.pop_first()
        {
            held.latest.remove(&change.what.subject);
            taken.push(change);
        }
        Heard::Changes(taken)
    }

    /// Makes it heard, as if something had happened.
    pub(in crate::app) fn ring(&self) {
        self.queue.overrun();
    }

    /// Forgets what was heard, the loss included. Whether there was anything.
    pub(in crate::app) fn clear(&self) -> bool {
        let held = std::mem::take(&mut *lock(&self.queue.held));
        held.missed || !held.by_revision.is_empty()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut board = lock(&self.board.topics);
        for topic in &self.topics {
            if let Some(queues) = board.get_mut(topic) {
                queues.remove(&self.number);
                if queues.is_empty() {
                    board.remove(topic);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
