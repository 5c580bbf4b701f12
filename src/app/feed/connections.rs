//! Following connections: everything that exists, then every change, without gap.
//!
//! A watch goes through three stages. *Snapshot* reads what exists in pages, from the head on that
//! was read with the first page. *Catching up* reads the feed from there to its head: until then the
//! database is the queue, however slow the watcher. *Live* takes what the follower tells; a watch
//! that is told too much at once catches up again. Who takes nothing for long is cut off by
//! [`Events`].

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    BEAT, Course, Events, Guard, Heard, Scope, Subscription, Told, Topic, Watch, Which, resumable,
};
use crate::app::App;
use crate::app::access::{check_actor, check_user_token};
use crate::app::connections::slug_of;
use crate::app::error::{Error, Result};
use crate::app::readable::readable;
use crate::app::servers::{ServerRef, find, may_see};
use crate::domain::access::{Actor, Caller};
use crate::domain::changes::{Change, ChangeKind, Op, Revision};
use crate::domain::connections::Connection;
use crate::domain::ids::ServerId;
use crate::domain::page::{Cursor, PageRequest};
use crate::domain::text::Slug;
use crate::store::{self, Read};

/// Connections that may have changed before the database is asked which.
const BOUND: usize = 1_000;
/// Connections read at a time.
const PAGE: usize = 100;

/// What to follow.
#[derive(Debug)]
pub struct WatchConnections {
    /// Only this user's; all that the caller may act for when absent.
    pub actor: Option<Actor>,
    /// Only on these servers; on all when empty.
    pub servers: Vec<ServerRef>,
    /// Where to resume; everything that exists comes first when absent.
    pub after: Option<Revision>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The connection is so, on the server of this slug.
    Put(Box<Connection>, Slug),
    /// The connection of this id is gone.
    Delete(String),
    /// Everything that existed was told.
    Synced,
    /// Nothing happened for a while.
    Heartbeat,
}

#[derive(Debug)]
enum Stage {
    /// Tells what exists: from here, and where the feed stood at the beginning.
    Snapshot(Option<Cursor>, Option<Revision>),
    CatchingUp,
    Live,
}

/// Follows connections. Revisions never go back; what changes often is told as it is when read.
#[derive(Debug)]
pub struct ConnectionWatch {
    app: App,
    caller: Caller,
    scope: Scope,
    guard: Guard,
    news: Subscription,
    stage: Stage,
    course: Course<ConnectionEvent>,
}

impl App {
    /// Follows connections: a user's, or all that the caller may act for, as far as its key reaches.
    /// Needs [`App::follow_feed`] to be called now and then.
    pub async fn watch_connections(
        &self,
        caller: &Caller,
        ask: WatchConnections,
    ) -> Result<ConnectionWatch> {
        check_actor(caller, ask.actor.as_ref())?;
        // Those of everybody are about users too.
        check_user_token(caller)?;
        let guard = Guard::new(self, caller)?;
        let mut tx = self.0.store.read().await?;
        let servers = servers(&mut tx, caller, ask.actor.as_ref(), &ask.servers).await?;
        let head = tx.feed().head_of(&caller.tenant).await?;
        drop(tx);
        let user = ask.actor.map(|actor| actor.user);
        let scope = Scope {
            user: user.or_else(|| caller.user.clone()),
            servers,
        };
        let (stage, position) = match ask.after {
            None => (Stage::Snapshot(None, None), Revision::default()),
            Some(after) => {
                resumable(head, after)?;
                (Stage::CatchingUp, after)
            }
        };
        let all = Topic {
            tenant: caller.tenant.clone(),
            kind: ChangeKind::Connection,
            which: Which::Any,
        };
        let mut watch = ConnectionWatch {
            app: self.clone(),
            caller: caller.clone(),
            news: self.0.feed.subscribe(vec![all], scope.clone(), BOUND),
            scope,
            guard,
            stage,
            course: Course::after(position),
        };
        if ask.after.is_some() {
            watch.course.tell(ConnectionEvent::Synced, position);
        }
        Ok(watch)
    }
}

/// The servers asked about, or those the key is narrowed to; `None` where that is no bound. A server
/// that the caller may not know of is not found, unless the user has a connection there.
async fn servers(
    tx: &mut Read,
    caller: &Caller,
    actor: Option<&Actor>,
    asked: &[ServerRef],
) -> Result<Option<Vec<ServerId>>> {
    if asked.is_empty() {
        let narrowed = &caller.narrowing.servers;
        return Ok((!narrowed.is_empty()).then(|| narrowed.clone()));
    }
    let user = actor.map(|actor| &actor.user).or(caller.user.as_ref());
    let mut found = Vec::with_capacity(asked.len());
    for server in asked {
        let server = find(tx, &caller.tenant, server).await?;
        let server = server.filter(|server| caller.narrowing.admits_server(server.id));
        let server = server.ok_or(Error::ServerNotFound)?;
        let known = may_see(caller, actor, &server)
            || match user {
                Some(user) => {
                    let own = tx
                        .connections()
                        .get(&caller.tenant, user, server.id)
                        .await?;
                    own.is_some()
                }
                None => false,
            };
        if !known {
            return Err(Error::ServerNotFound);
        }
        found.push(server.id);
    }
    Ok(Some(found))
}

impl ConnectionWatch {
    /// The next event; waits for it.
    ///
    /// Fails, and is over: with [`Error::RevisionCompacted`] when the feed was forgotten beyond where
    /// it resumes, or put back, with [`Error::CredentialsInvalid`] or [`Error::TenantNotFound`] when
    /// key or tenant ended, with [`Error::ShuttingDown`] when the process does.
    pub async fn next(&mut self) -> Result<Told<ConnectionEvent>> {
        loop {
            self.guard.check().await?;
            if let Some(told) = self.course.next() {
                return Ok(told);
            }
            match self.stage {
                Stage::Snapshot(..) => self.snapshot().await?,
                Stage::CatchingUp => self.catch_up().await?,
                Stage::Live => tokio::select! {
                    biased;
                    () = self.guard.rung() => {}
                    () = self.news.heard() => self.hear().await?,
                    () = tokio::time::sleep(BEAT) => self.beat(),
                },
            }
        }
    }

    /// The events, told by a task of their own. Fails with [`Error::WatchTooSlow`] besides, when
    /// events wait for a minute and none is taken.
    pub fn detached(self) -> Events<Told<ConnectionEvent>> {
        self.app.clone().detach(self)
    }

    /// One page of what exists.
    async fn snapshot(&mut self) -> Result<()> {
        let Stage::Snapshot(after, begun) = &self.stage else {
            return Ok(());
        };
        let page = PageRequest {
            size: i64::try_from(PAGE).unwrap_or(PageRequest::MAX),
            after: after.clone(),
        };
        let mut tx = self.app.0.store.read().await?;
        // With the first page: what later pages do not show any more, or show too new, the feed tells
        // from here.
        let begun = match begun {
            Some(begun) => *begun,
            None => tx.feed().head(&self.caller.tenant).await?,
        };
        let user = self.scope.user.as_ref();
        let found = tx
            .connections()
            .list(&self.caller.tenant, user, &page)
            .await?;
        let mut slugs = Slugs::default();
        for connection in readable(found.entries) {
            self.put(&mut tx, &mut slugs, connection, Revision::default())
                .await?;
        }
        if found.next.is_some() {
            self.stage = Stage::Snapshot(found.next, Some(begun));
        } else {
            self.course.tell(ConnectionEvent::Synced, begun);
            self.course.reach(begun);
            self.stage = Stage::CatchingUp;
        }
        Ok(())
    }

    /// One page of the feed.
    async fn catch_up(&mut self) -> Result<()> {
        // Whatever is committed after the reading below is heard.
        self.news.clear();
        let tenant = self.caller.tenant.clone();
        let mut tx = self.app.0.store.read().await?;
        let head = tx.feed().head_of(&tenant).await?;
        resumable(head, self.course.position())?;
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let kind = ChangeKind::Connection;
        let stretch = tx
            .feed()
            .list_of_kind(&tenant, kind, self.course.position(), limit)
            .await?;
        for error in stretch.unreadable {
            tracing::error!(%error, "an entry of the feed is passed over");
        }
        let (changes, upto) = (stretch.changes, stretch.next);
        let mut latest: HashMap<String, Revision> = HashMap::new();
        for change in &changes {
            latest.insert(change.what.subject.clone(), change.revision);
        }
        let is_latest =
            |change: &Change| latest.get(&change.what.subject) == Some(&change.revision);
        let changes = changes.into_iter().filter(is_latest).map(Arc::new);
        self.read(&mut tx, changes.collect()).await?;
        self.course.reach(upto.unwrap_or(head.last));
        if upto.is_none() {
            self.stage = Stage::Live;
        }
        Ok(())
    }

    /// What the follower told.
    async fn hear(&mut self) -> Result<()> {
        let changes = match self.news.take(PAGE) {
            Heard::Changes(changes) => changes,
            Heard::Missed => {
                self.stage = Stage::CatchingUp;
                return Ok(());
            }
        };
        let Some(last) = changes.last().map(|change| change.revision) else {
            return Ok(());
        };
        let mut tx = self.app.0.store.read().await?;
        self.read(&mut tx, changes).await?;
        self.course.reach(last);
        Ok(())
    }

    /// Nothing was heard: all that the follower has seen is seen.
    fn beat(&mut self) {
        let standing = self.app.0.feed.standing(&self.caller.tenant);
        if self.news.is_quiet() {
            self.course.reach(standing.position);
            let position = self.course.position();
            self.course.tell(ConnectionEvent::Heartbeat, position);
        }
    }

    /// Makes events of changes, in order: the things as they are now.
    async fn read(&mut self, tx: &mut Read, changes: Vec<Arc<Change>>) -> Result<()> {
        let mut slugs = Slugs::default();
        for change in changes {
            let (what, revision) = (&change.what, change.revision);
            if revision <= self.course.position() || !self.scope.wants(&change) {
                continue;
            }
            match what.op {
                Op::Delete => {
                    let gone = ConnectionEvent::Delete(what.subject.clone());
                    self.course.tell(gone, revision);
                }
                Op::Put => {
                    let Ok(id) = what.subject.parse() else {
                        continue;
                    };
                    // Gone meanwhile: that is told in its place.
                    let found = tx.connections().find_by_id(&what.tenant, id).await;
                    // A row that cannot be read must not end the watch at each resumption.
                    if let Err(error @ store::Error::Corrupt { .. }) = &found {
                        tracing::error!(connection.id = %id, %error, "a change cannot be told");
                        continue;
                    }
                    if let Some(connection) = found? {
                        self.put(tx, &mut slugs, connection, revision).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn put(
        &mut self,
        tx: &mut Read,
        slugs: &mut Slugs,
        connection: Connection,
        revision: Revision,
    ) -> Result<()> {
        if !self.scope.covers(&connection.user, connection.server) {
            return Ok(());
        }
        let server = connection.server;
        if !slugs.contains_key(&server) {
            let found = slug_of(tx, &self.caller.tenant, server).await?;
            slugs.extend(found.map(|slug| (server, slug)));
        }
        if let Some(slug) = slugs.get(&server).cloned() {
            let event = ConnectionEvent::Put(Box::new(connection), slug);
            self.course.tell(event, revision);
        }
        Ok(())
    }
}

impl Watch for ConnectionWatch {
    type Event = Told<ConnectionEvent>;

    async fn next(&mut self) -> Result<Option<Self::Event>> {
        Self::next(self).await.map(Some)
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn seen(&self) -> Revision {
        self.course.seen()
    }
}

/// The slugs of the servers read so far.
type Slugs = HashMap<ServerId, Slug>;
