//! Rows of the audit trail. Written by every commit, each with its place in the change feed; never
//! changed, and forgotten when they are old.

use sqlx::FromRow;

use super::columns::{Reading, to_json};
use super::engine::{Tx, on, statements};
use super::error::{Error, Result};
use crate::domain::audit::{ActorKind, AuditEvent, Filter, NewAuditEvent, Origin, Verdict, Who};
use crate::domain::changes::Revision;
use crate::domain::page::{Cursor, Page, PageRequest};
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, at, actor_kind, principal, principal_name, action, subject, verdict, reason, user_id, \
         request_id, address, detail, count, revision"
    };
}

/// What is wanted of a tenant's events, `$1` to `$10`; an empty text means any. The actions are one
/// text, each between blanks: what is left when an action is taken out of it differs from it where the
/// action is wanted. An action without the letters at its end is its area and a dot.
macro_rules! wanted {
    () => {
        " FROM audit_events WHERE tenant = $1 \
         AND ($2 = '' OR REPLACE($2, ' ' || action || ' ', '') <> $2 \
         OR REPLACE($2, ' ' || RTRIM(action, 'abcdefghijklmnopqrstuvwxyz_') || '* ', '') <> $2) \
         AND ($3 = '' OR principal = $3) AND ($4 = '' OR user_id = $4) \
         AND ($5 = '' OR subject = $5) AND ($6 = '' OR request_id = $6) \
         AND ($7 = '' OR verdict = $7) AND ($8 = '' OR actor_kind = $8) \
         AND at >= $9 AND at < $10"
    };
}

/// The newest before a place; `$leading` is what an index serves.
macro_rules! newest {
    ($leading:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            wanted!(),
            $leading,
            " AND (at, id) < ($11, $12) ORDER BY at DESC, id DESC LIMIT $13"
        )
    };
}

statements! {
    INSERT = "INSERT INTO audit_events (id, tenant, at, actor_kind, principal, principal_name, action, \
        subject, verdict, user_id, request_id, address, detail, reason, count, revision) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    LIST = newest!("");
    LIST_OF_REQUEST = newest!(" AND request_id = $6");
    LIST_OF_SUBJECT = newest!(" AND subject = $5");
    LIST_OF_USER = newest!(" AND user_id = $4");
    LIST_OF_PRINCIPAL = newest!(" AND principal = $3");
    LIST_AFTER = concat!("SELECT ", columns!(), wanted!(),
        " AND revision > $11 ORDER BY revision LIMIT $12");
    DELETE_OLD = "DELETE FROM audit_events WHERE id IN ( \
        SELECT id FROM audit_events WHERE at < $1 ORDER BY at LIMIT $2)";
}

/// Writes one record at its place.
pub(super) async fn insert(tx: &mut Tx, event: &NewAuditEvent, place: Revision) -> Result<()> {
    let (principal, name) = match &event.origin.who {
        Who::Caller { principal, name } => (principal.as_str(), name.as_str()),
        Who::Browser | Who::Machine | Who::Service | Who::Unknown => ("", ""),
    };
    on!(tx, |conn| sqlx::query(INSERT)
        .bind(event.id.to_string())
        .bind(event.tenant.as_str())
        .bind(event.at.as_micros())
        .bind(event.origin.who.kind().as_str())
        .bind(principal)
        .bind(name)
        .bind(event.action)
        .bind(&event.subject)
        .bind(event.verdict.as_str())
        .bind(event.user.as_deref())
        .bind(event.origin.request_id.as_deref())
        .bind(event.origin.address.map(|address| address.to_string()))
        .bind(to_json(&event.detail))
        .bind(event.reason.as_deref())
        .bind(event.count)
        .bind(place.0)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    id: String,
    at: i64,
    actor_kind: String,
    principal: String,
    principal_name: String,
    action: String,
    subject: String,
    verdict: String,
    reason: Option<String>,
    user_id: Option<String>,
    request_id: Option<String>,
    address: Option<String>,
    detail: String,
    count: i64,
    revision: i64,
}

impl TryFrom<Row> for AuditEvent {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "audit_events",
            id: &row.id,
        };
        let kind = reading.some("actor_kind", ActorKind::parse(&row.actor_kind))?;
        let who = match kind {
            ActorKind::Caller => Who::Caller {
                principal: row.principal,
                name: row.principal_name,
            },
            ActorKind::Browser => Who::Browser,
            ActorKind::Machine => Who::Machine,
            ActorKind::Service => Who::Service,
            ActorKind::Unknown => Who::Unknown,
        };
        let address = row.address.as_deref();
        let address = address.map(|text| reading.parse("address", text));
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            at: Timestamp::from_micros(row.at),
            origin: Origin {
                who,
                request_id: row.request_id,
                address: address.transpose()?,
            },
            verdict: reading.some("verdict", Verdict::parse(&row.verdict))?,
            detail: reading.json("detail", &row.detail)?,
            action: row.action,
            subject: row.subject,
            reason: row.reason,
            user: row.user_id,
            count: row.count,
            revision: Revision(row.revision),
        })
    }
}

/// A filter as the statements take it.
struct Wanted<'f> {
    actions: String,
    filter: &'f Filter,
}

impl<'f> Wanted<'f> {
    fn of(filter: &'f Filter) -> Self {
        let actions = filter.actions.iter();
        let actions = actions.flat_map(|action| [" ", action.as_str(), " "]);
        Self {
            actions: actions.collect(),
            filter,
        }
    }

    /// The statement for what an index can serve best.
    fn newest(&self) -> &'static str {
        let filter = self.filter;
        if filter.request_id.is_some() {
            LIST_OF_REQUEST
        } else if filter.subject.is_some() {
            LIST_OF_SUBJECT
        } else if filter.user.is_some() {
            LIST_OF_USER
        } else if filter.principal.is_some() {
            LIST_OF_PRINCIPAL
        } else {
            LIST
        }
    }
}

/// A query with its first ten values.
macro_rules! asked {
    ($statement:expr, $tenant:expr, $wanted:expr) => {{
        let statement: &'static str = $statement;
        let filter = $wanted.filter;
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        sqlx::query_as(statement)
            .bind($tenant.as_str())
            .bind($wanted.actions.as_str())
            .bind(text(&filter.principal))
            .bind(text(&filter.user))
            .bind(text(&filter.subject))
            .bind(text(&filter.request_id))
            .bind(filter.verdict.map_or("", Verdict::as_str))
            .bind(filter.actor_kind.map_or("", ActorKind::as_str))
            .bind(filter.from.map_or(i64::MIN, Timestamp::as_micros))
            .bind(filter.until.map_or(i64::MAX, Timestamp::as_micros))
    }};
}

/// Some events of a tenant, in the order of their places.
#[derive(Debug)]
pub struct AuditStretch {
    /// The events. One that cannot be read is an error of its own.
    pub entries: Vec<Result<AuditEvent>>,
    /// Where to read on; `None` when these were the last.
    pub next: Option<Revision>,
}

/// Reads the trail.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// A page of a tenant's events, the newest first. The key of its cursors is the time in
    /// microseconds. A row that cannot be read is an error of its own.
    pub async fn list(
        &mut self,
        tenant: &TenantId,
        filter: &Filter,
        page: &PageRequest,
    ) -> Result<Page<Result<AuditEvent>>> {
        let wanted = Wanted::of(filter);
        let (before, id) = match &page.after {
            Some(cursor) => (cursor.key.parse().unwrap_or(i64::MAX), cursor.id.as_str()),
            None => (i64::MAX, ""),
        };
        let rows: Vec<Row> = on!(&mut *self.0, |conn| asked!(wanted.newest(), tenant, wanted)
            .bind(before)
            .bind(id)
            .bind(page.size.saturating_add(1))
            .fetch_all(conn)
            .await)?;
        let page = Page::of(rows, page.size, |row: &Row| Cursor {
            key: row.at.to_string(),
            id: row.id.clone(),
        });
        Ok(page.map(AuditEvent::try_from))
    }

    /// At most `limit` of a tenant's events after a place, in order.
    pub async fn list_after(
        &mut self,
        tenant: &TenantId,
        filter: &Filter,
        after: Revision,
        limit: i64,
    ) -> Result<AuditStretch> {
        let wanted = Wanted::of(filter);
        let rows: Vec<Row> = on!(&mut *self.0, |conn| asked!(LIST_AFTER, tenant, wanted)
            .bind(after.0)
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        let full = i64::try_from(rows.len()) == Ok(limit);
        let next = rows.last().filter(|_| full);
        Ok(AuditStretch {
            next: next.map(|row| Revision(row.revision)),
            entries: rows.into_iter().map(AuditEvent::try_from).collect(),
        })
    }
}

/// Forgets.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Deletes events of before a time, whosever, the oldest first and at most `limit`. Answers how
    /// many.
    pub async fn delete_old(&mut self, before: Timestamp, limit: i64) -> Result<u64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query(DELETE_OLD)
            .bind(before.as_micros())
            .bind(limit)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
