//! Rows of the change feed.
//!
//! Sequence numbers of a database are drawn before commit, so a reader that remembers the highest
//! one seen would skip rows that commit later. Here the last statement of a changing transaction
//! locks and moves its tenant's head, and holds it until commit: the order of the numbers is the
//! order of the commits.
//!
//! Audit records have places too, and are their own entries: their rows say where they stand, so that
//! nothing is written twice, and no follower of things reads them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::FromRow;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::audit;
use super::columns::{Reading, text};
use super::engine::{Tx, on, statements};
use super::error::{Error, Result};
use crate::domain::audit::NewAuditEvent;
use crate::domain::changes::{Change, ChangeKind, Head, NewChange, Op, Owner, Revision, shard_of};
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

statements! {
    MOVE_HEAD = "UPDATE feed_heads SET seq = seq + $2 WHERE shard = $1 RETURNING seq";
    INSERT = "INSERT INTO changes (shard, seq, tenant, kind, subject, op, at, user_id, server) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    HEADS = "SELECT shard, seq, floor FROM feed_heads ORDER BY shard";
    HEAD = "SELECT shard, seq, floor FROM feed_heads WHERE shard = $1";
    LIST_OF_SHARD = "SELECT seq, tenant, kind, subject, op, at, user_id, server FROM changes \
        WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    LIST_OF_KIND = "SELECT seq, tenant, kind, subject, op, at, user_id, server FROM changes \
        WHERE shard = $1 AND tenant = $2 AND kind = $3 AND seq > $4 ORDER BY seq LIMIT $5";
    OLDEST = "SELECT seq, at FROM changes WHERE shard = $1 ORDER BY seq LIMIT $2";
    DELETE_UPTO = "DELETE FROM changes WHERE shard = $1 AND seq <= $2";
    RAISE_FLOOR = "UPDATE feed_heads SET floor = $2 WHERE shard = $1 AND floor < $2";
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    tenant: String,
    kind: String,
    subject: String,
    op: String,
    at: i64,
    user_id: Option<String>,
    server: Option<String>,
}

#[derive(FromRow)]
struct HeadRow {
    shard: i64,
    seq: i64,
    floor: i64,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        Self {
            shard: row.shard,
            last: Revision(row.seq),
            floor: Revision(row.floor),
        }
    }
}

/// Whose thing changed: user and server, or neither.
fn owner(reading: &Reading<'_>, row: &Row) -> Result<Option<Owner>> {
    if row.user_id.is_none() && row.server.is_none() {
        return Ok(None);
    }
    let user = reading.some("user_id", row.user_id.as_deref())?;
    let server = reading.some("server", row.server.as_deref())?;
    Ok(Some(Owner {
        user: reading.user(user)?,
        server: reading.parse("server", server)?,
    }))
}

impl TryFrom<Row> for Change {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let id = row.seq.to_string();
        let reading = Reading {
            table: "changes",
            id: &id,
        };
        Ok(Self {
            revision: Revision(row.seq),
            what: NewChange {
                tenant: reading.tenant(&row.tenant)?,
                kind: reading.some("kind", ChangeKind::parse(&row.kind))?,
                op: reading.some("op", Op::parse(&row.op))?,
                owner: owner(&reading, &row)?,
                subject: row.subject,
            },
            at: Timestamp::from_micros(row.at),
        })
    }
}

/// How long a transaction waits for its turns, all of them: long enough for a disk that hesitates,
/// and below what may idle.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Whose turn it is to move a head. Transactions of one process take turns here before they wait in
/// the database, where a process that is stopped would hold up the others once for each of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<i64, Arc<AsyncMutex<()>>>>>);

/// Turns taken; they end with this.
#[derive(Debug)]
pub(super) struct Turn {
    shards: Vec<i64>,
    _guards: Vec<OwnedMutexGuard<()>>,
}

/// What one transaction has for the feed.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    /// The tenant whose place is answered.
    pub(super) tenant: &'a TenantId,
    pub(super) changes: &'a [NewChange],
    pub(super) events: &'a [NewAuditEvent],
    /// When all of it happens.
    pub(super) at: Timestamp,
}

impl Batch<'_> {
    /// The shards it is for, each once and in the one order in which heads are locked, so that two
    /// transactions never wait for each other.
    pub(super) fn shards(&self) -> Vec<i64> {
        let changes = self.changes.iter().map(|change| &change.tenant);
        let tenants = changes.chain(self.events.iter().map(|event| &event.tenant));
        let mut shards: Vec<i64> = tenants.map(shard_of).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }
}

impl Turns {
    /// Waits for the turn at the heads of these shards; not for ever, since the transaction is
    /// open meanwhile and PostgreSQL ends those that idle. Who waited too long goes on and waits in the
    /// database.
    pub(super) async fn take(&self, shards: Vec<i64>) -> Turn {
        let mut guards = Vec::with_capacity(shards.len());
        let all = async {
            for shard in &shards {
                let turn = {
                    let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                    Arc::clone(known.entry(*shard).or_default())
                };
                guards.push(turn.lock_owned().await);
            }
        };
        // Turns taken by then are kept.
        let _ = timeout(PATIENCE, all).await;
        Turn {
            shards,
            _guards: guards,
        }
    }
}

/// Gives the audit records and then the changes of a transaction their places. Must be its last
/// statements; the turn ends when they are committed. Answers the last place given in the tenant's shard.
///
/// The head is locked from its move to the commit, and everybody else who commits in the shard waits so
/// long. Within are what names a place and nothing else: one statement for each change, and one for each
/// record, whose place stands in its own row. To write the records before and their places now would take
/// as many statements in here.
pub(super) async fn append(tx: &mut Tx, batch: &Batch<'_>, turn: &Turn) -> Result<Revision> {
    let at = batch.at;
    let mut seen = Revision::default();
    for shard in turn.shards.iter().copied() {
        let changes = batch.changes.iter();
        let changes: Vec<_> = changes.filter(|c| shard_of(&c.tenant) == shard).collect();
        let events = batch.events.iter();
        let events: Vec<_> = events.filter(|e| shard_of(&e.tenant) == shard).collect();
        let count = i64::try_from(events.len() + changes.len()).unwrap_or(i64::MAX);
        let last: i64 = on!(&mut *tx, |conn| sqlx::query_scalar(MOVE_HEAD)
            .bind(shard)
            .bind(count)
            .fetch_one(conn)
            .await)?;
        let mut places = last - count + 1..;
        // Records first: the place that is answered is the last change's, where anything changed.
        for (event, seq) in events.into_iter().zip(places.by_ref()) {
            audit::insert(tx, event, Revision(seq)).await?;
        }
        for (change, seq) in changes.into_iter().zip(places) {
            on!(&mut *tx, |conn| sqlx::query(INSERT)
                .bind(shard)
                .bind(seq)
                .bind(change.tenant.as_str())
                .bind(change.kind.as_str())
                .bind(&change.subject)
                .bind(change.op.as_str())
                .bind(at.as_micros())
                .bind(change.owner.as_ref().map(|owner| owner.user.as_str()))
                .bind(text(change.owner.as_ref().map(|owner| owner.server)))
                .execute(conn)
                .await
                .map(drop))?;
        }
        if shard == shard_of(batch.tenant) {
            seen = Revision(last);
        }
    }
    Ok(seen)
}

/// Some entries of a shard, in order.
#[derive(Debug)]
pub struct Stretch {
    /// The entries, without those of kinds that only a newer release knows.
    pub changes: Vec<Change>,
    /// Entries that cannot be read: no reason to hold back the others.
    pub unreadable: Vec<Error>,
    /// Where to read on; `None` when these were the last.
    pub next: Option<Revision>,
}

impl Stretch {
    /// What at most `limit` rows tell. A kind that this release does not know is none.
    fn of(rows: Vec<Row>, limit: i64) -> Self {
        let full = i64::try_from(rows.len()) == Ok(limit);
        let mut stretch = Self {
            changes: Vec::with_capacity(rows.len()),
            unreadable: Vec::new(),
            next: rows.last().filter(|_| full).map(|row| Revision(row.seq)),
        };
        for row in rows {
            if ChangeKind::parse(&row.kind).is_none() {
                continue;
            }
            match Change::try_from(row) {
                Ok(change) => stretch.changes.push(change),
                Err(error) => stretch.unreadable.push(error),
            }
        }
        stretch
    }
}

/// Reads the feed.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The revision at which a tenant stands.
    pub async fn head(&mut self, tenant: &TenantId) -> Result<Revision> {
        Ok(self.head_of(tenant).await?.last)
    }

    /// Where the shard of a tenant stands.
    pub async fn head_of(&mut self, tenant: &TenantId) -> Result<Head> {
        let shard = shard_of(tenant);
        let row: HeadRow = on!(&mut *self.0, |conn| sqlx::query_as(HEAD)
            .bind(shard)
            .fetch_one(conn)
            .await)?;
        Ok(row.into())
    }

    /// Where every shard stands.
    pub async fn heads(&mut self) -> Result<Vec<Head>> {
        let rows: Vec<HeadRow> = on!(&mut *self.0, |conn| sqlx::query_as(HEADS)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Head::from).collect())
    }

    /// At most `limit` changes of a shard after a revision, of whatever tenant, in order.
    pub async fn list_of_shard(
        &mut self,
        shard: i64,
        after: Revision,
        limit: i64,
    ) -> Result<Stretch> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_OF_SHARD)
            .bind(shard)
            .bind(after.0)
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        Ok(Stretch::of(rows, limit))
    }

    /// At most `limit` changes of one kind in a tenant after a revision, in order; as
    /// [`Self::list_of_shard`] answers them.
    pub async fn list_of_kind(
        &mut self,
        tenant: &TenantId,
        kind: ChangeKind,
        after: Revision,
        limit: i64,
    ) -> Result<Stretch> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_OF_KIND)
            .bind(shard_of(tenant))
            .bind(tenant.as_str())
            .bind(kind.as_str())
            .bind(after.0)
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        Ok(Stretch::of(rows, limit))
    }
}

/// Forgets.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Deletes the entries at the beginning of a shard that were written before a time, at most
    /// `limit`, and raises the floor to the last of them. Answers how many were found.
    pub async fn delete_old(&mut self, shard: i64, before: Timestamp, limit: i64) -> Result<usize> {
        let oldest: Vec<(i64, i64)> = on!(&mut *self.0, |conn| sqlx::query_as(OLDEST)
            .bind(shard)
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        // The clocks of replicas differ: what stands after a young entry stays with it.
        let old = |entry: &&(i64, i64)| entry.1 < before.as_micros();
        let count = oldest.iter().take_while(old).count();
        let Some((last, _)) = count.checked_sub(1).and_then(|last| oldest.get(last)) else {
            return Ok(0);
        };
        for statement in [DELETE_UPTO, RAISE_FLOOR] {
            on!(&mut *self.0, |conn| sqlx::query(statement)
                .bind(shard)
                .bind(last)
                .execute(conn)
                .await
                .map(drop))?;
        }
        Ok(count)
    }
}
