//! Rows of the change feed.
//!
//! Sequence numbers of a database are drawn before commit, so a reader that remembers the highest
//! one seen would skip rows that commit later. Here the last statement of a changing transaction
//! locks and moves its tenant's head, and holds it until commit: the order of the numbers is the
//! order of the commits.

use sqlx::FromRow;

use super::columns::Reading;
use super::engine::{Tx, on, statements};
use super::error::Result;
use crate::domain::changes::{Change, ChangeKind, NewChange, Op, Revision, shard_of};
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

statements! {
    MOVE_HEAD = "UPDATE feed_heads SET seq = seq + $2 WHERE shard = $1 RETURNING seq";
    INSERT = "INSERT INTO changes (shard, seq, tenant, kind, subject, op, at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    HEAD = "SELECT seq FROM feed_heads WHERE shard = $1";
    LIST_AFTER = "SELECT seq, tenant, kind, subject, op, at FROM changes \
        WHERE shard = $1 AND tenant = $2 AND seq > $3 ORDER BY seq LIMIT $4";
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    tenant: String,
    kind: String,
    subject: String,
    op: String,
    at: i64,
}

impl TryFrom<Row> for Change {
    type Error = super::Error;

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
                subject: row.subject,
            },
            at: Timestamp::from_micros(row.at),
        })
    }
}

/// Gives the changes of a transaction their places. Must be its last statements. Answers the last
/// place given in the tenant's shard, or zero when there was nothing to place.
pub(super) async fn append(
    tx: &mut Tx,
    tenant: &TenantId,
    changes: &[NewChange],
    at: Timestamp,
) -> Result<Revision> {
    let mut seen = Revision::default();
    let mut shards: Vec<i64> = changes
        .iter()
        .map(|change| shard_of(&change.tenant))
        .collect();
    // Heads are locked in one order, so that two transactions never wait for each other.
    shards.sort_unstable();
    shards.dedup();
    for shard in shards {
        let of_shard: Vec<_> = changes
            .iter()
            .filter(|c| shard_of(&c.tenant) == shard)
            .collect();
        let count = i64::try_from(of_shard.len()).unwrap_or(i64::MAX);
        let last: i64 = on!(&mut *tx, |conn| sqlx::query_scalar(MOVE_HEAD)
            .bind(shard)
            .bind(count)
            .fetch_one(conn)
            .await)?;
        for (seq, change) in (last - count + 1..).zip(of_shard) {
            on!(&mut *tx, |conn| sqlx::query(INSERT)
                .bind(shard)
                .bind(seq)
                .bind(change.tenant.as_str())
                .bind(change.kind.as_str())
                .bind(&change.subject)
                .bind(change.op.as_str())
                .bind(at.as_micros())
                .execute(conn)
                .await
                .map(drop))?;
        }
        if shard == shard_of(tenant) {
            seen = Revision(last);
        }
    }
    Ok(seen)
}

/// Reads the feed.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The revision at which a tenant stands.
    pub async fn head(&mut self, tenant: &TenantId) -> Result<Revision> {
        let shard = shard_of(tenant);
        let seq: i64 = on!(&mut *self.0, |conn| sqlx::query_scalar(HEAD)
            .bind(shard)
            .fetch_one(conn)
            .await)?;
        Ok(Revision(seq))
    }

    /// At most `limit` changes of a tenant after a revision, in order.
    pub async fn list_after(
        &mut self,
        tenant: &TenantId,
        after: Revision,
        limit: i64,
    ) -> Result<Vec<Change>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_AFTER)
            .bind(shard_of(tenant))
            .bind(tenant.as_str())
            .bind(after.0)
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        rows.into_iter().map(Change::try_from).collect()
    }
}
