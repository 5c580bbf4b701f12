//! Rows of handshakes. Secrets that arrive from outside are looked up by their hashes.

mod keep;
mod past;
mod row;

pub(super) use keep::Keeper;

use row::{Row, carried, state_name};

use super::columns::{micros, sealed_columns, to_json};
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::authorization::Issuer;
use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::handshakes::{Handshake, State};
use crate::domain::ids::{HandshakeId, ServerId};
use crate::domain::secrets::{Sealed, SecretHash};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, user_id, server, created_by, binding, state, failure, generation, \
         exchange_until, registration, auth_version, snapshot, flow, flow_key, link_hash, \
         state_hash, browser_hash, return_url, opener_origin, completion_url, code_hash, parked, \
         parked_key, created_at, expires_at, finished_at, account"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM handshakes WHERE tenant = $1 AND id = $2");
    FIND_BY_LINK = concat!("SELECT ", columns!(), " FROM handshakes WHERE link_hash = $1");
    FIND_BY_STATE = concat!("SELECT ", columns!(), " FROM handshakes WHERE state_hash = $1");
    FIND_PENDING = concat!("SELECT ", columns!(), " FROM handshakes WHERE tenant = $1 AND user_id = $2 \
        AND server = $3 AND created_by = $4 AND state = 'pending' AND expires_at > $5 \
        ORDER BY created_at DESC, id DESC LIMIT 1");
    LIST_FINISHED = concat!("SELECT ", columns!(), " FROM handshakes WHERE tenant = $1 AND user_id = $2 \
        AND server = $3 AND finished_at >= $4 ORDER BY finished_at DESC, id DESC LIMIT $5");
    LIST_PARKED = concat!("SELECT ", columns!(), " FROM handshakes WHERE tenant = $1 AND server = $2 \
        AND parked IS NOT NULL ORDER BY id");
    LIST_PARKED_OF_USER = concat!("SELECT ", columns!(), " FROM handshakes WHERE tenant = $1 \
        AND user_id = $2 AND parked IS NOT NULL ORDER BY id");
    LIST_UNCONFIRMED = concat!("SELECT ", columns!(), " FROM handshakes WHERE parked IS NOT NULL \
        AND expires_at <= $1 ORDER BY expires_at, id LIMIT $2");
    COUNT_COMING = "SELECT COUNT(*) FROM handshakes \
        JOIN servers ON servers.id = handshakes.server AND servers.auth_version = handshakes.auth_version \
        JOIN registrations ON registrations.id = handshakes.registration \
        WHERE handshakes.tenant = $1 AND user_id = $2 AND registrations.issuer = $3 AND client_id = $4 \
        AND (expires_at > $5 AND (state = 'pending' OR parked IS NOT NULL) \
        OR state = 'exchanging' AND exchange_until > $6)";
    TAKE_PARKED = "UPDATE handshakes SET parked = NULL, parked_key = NULL, code_hash = NULL \
        WHERE tenant = $1 AND id = $2 AND parked IS NOT NULL";
    DELETE_OF_USER = "DELETE FROM handshakes WHERE tenant = $1 AND user_id = $2 \
        RETURNING id, parked IS NOT NULL";
    INSERT = concat!("INSERT INTO handshakes (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
        $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)");
    BIND_BROWSER = "UPDATE handshakes SET browser_hash = $3 WHERE tenant = $1 AND id = $2 \
        AND state = 'pending' AND (browser_hash IS NULL OR browser_hash = $3)";
    CLAIM_EXCHANGE = "UPDATE handshakes SET state = 'exchanging', exchange_until = $3 \
        WHERE tenant = $1 AND id = $2 AND state = 'pending'";
    FINISH = "UPDATE handshakes SET state = $3, failure = $4, generation = $5, finished_at = $6, \
        exchange_until = NULL, flow = NULL, flow_key = NULL, parked = NULL, parked_key = NULL, \
        code_hash = NULL, account = $8 WHERE tenant = $1 AND id = $2 AND state = $7";
    PARK = "UPDATE handshakes SET state = 'awaiting_confirmation', parked = $3, parked_key = $4, \
        code_hash = $5, account = $6, exchange_until = NULL, flow = NULL, flow_key = NULL \
        WHERE tenant = $1 AND id = $2 AND state = 'exchanging'";
    INTERRUPT = "UPDATE handshakes SET exchange_until = $1 WHERE exchange_until > $1";
    DELETE_OLD = "DELETE FROM handshakes WHERE created_at < $1";
}

/// Reads handshakes.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The handshake with this id.
    pub async fn get(&mut self, tenant: &TenantId, id: HandshakeId) -> Result<Option<Handshake>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(Handshake::try_from).transpose()
    }

    /// The handshake whose connect link this is, of whatever tenant: the link is the proof.
    pub async fn find_by_link(&mut self, hash: &SecretHash) -> Result<Option<Handshake>> {
        self.find(FIND_BY_LINK, hash).await
    }

    /// The handshake whose `state` this is, of whatever tenant: the state is the proof.
    pub async fn find_by_state(&mut self, hash: &SecretHash) -> Result<Option<Handshake>> {
        self.find(FIND_BY_STATE, hash).await
    }

    /// The newest handshake that a principal started for a user on a server and that is still open.
    pub async fn find_pending(
        &mut self,
        (tenant, user, server): (&TenantId, &UserId, ServerId),
        created_by: &str,
        now: Timestamp,
    ) -> Result<Option<Handshake>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(FIND_PENDING)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(server.to_string())
            .bind(created_by)
            .bind(now.as_micros())
            .fetch_optional(conn)
            .await)?;
        row.map(Handshake::try_from).transpose()
    }

    /// The handshakes on a server whose grants wait to be confirmed. A row that cannot be read is an
    /// error of its own.
    pub async fn list_parked(
        &mut self,
        tenant: &TenantId,
        server: ServerId,
    ) -> Result<Vec<Result<Handshake>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_PARKED)
            .bind(tenant.as_str())
            .bind(server.to_string())
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Handshake::try_from).collect())
    }

    /// The handshakes of a user whose grants wait to be confirmed, by id. A row that cannot be read
    /// is an error of its own.
    pub async fn list_parked_of_user(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Vec<Result<Handshake>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_PARKED_OF_USER)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Handshake::try_from).collect())
    }

    /// Handshakes of all tenants whose grants nobody confirmed in time, the oldest first. A row that
    /// cannot be read is an error of its own.
    pub async fn list_unconfirmed(
        &mut self,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Result<Handshake>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_UNCONFIRMED)
            .bind(now.as_micros())
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Handshake::try_from).collect())
    }

    /// How many grants a user may still get from one client of ours by handshakes that are under way,
    /// on whatever servers: not yet exchanged, exchanged until `since` or later, or waiting to be
    /// confirmed.
    pub async fn count_coming(
        &mut self,
        (tenant, user): (&TenantId, &UserId),
        (issuer, client_id): (&Issuer, &str),
        now: Timestamp,
        since: Timestamp,
    ) -> Result<i64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query_scalar(COUNT_COMING)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(issuer.as_str())
            .bind(client_id)
            .bind(now.as_micros())
            .bind(since.as_micros())
            .fetch_one(conn)
            .await)?)
    }

    async fn find(
        &mut self,
        statement: &'static str,
        hash: &SecretHash,
    ) -> Result<Option<Handshake>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(statement)
            .bind(hash.as_bytes())
            .fetch_optional(conn)
            .await)?;
        row.map(Handshake::try_from).transpose()
    }
}

/// Changes handshakes.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    fn changed(&mut self, handshake: &Handshake) {
        self.changes.push(NewChange {
            tenant: handshake.tenant.clone(),
            kind: ChangeKind::Handshake,
            subject: handshake.id.to_string(),
            op: Op::Put,
            owner: None,
        });
    }

    /// Adds a handshake; an id, link or state in use is a conflict.
    pub async fn insert(&mut self, handshake: &Handshake) -> Result<()> {
        let carried = carried(handshake.state);
        let (flow, flow_key) = sealed_columns(handshake.flow.as_ref());
        let (parked, parked_key) = sealed_columns(handshake.parked.as_ref());
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(handshake.id.to_string())
            .bind(handshake.tenant.as_str())
            .bind(handshake.user.as_str())
            .bind(handshake.server.to_string())
            .bind(&handshake.created_by)
            .bind(handshake.binding.as_str())
            .bind(state_name(handshake.state))
            .bind(carried.failure)
            .bind(carried.generation)
            .bind(carried.exchange_until)
            .bind(handshake.registration.to_string())
            .bind(handshake.auth_version)
            .bind(to_json(&handshake.snapshot))
            .bind(flow)
            .bind(flow_key)
            .bind(handshake.link_hash.as_bytes())
            .bind(handshake.state_hash.as_bytes())
            .bind(handshake.browser_hash.as_ref().map(SecretHash::as_bytes))
            .bind(handshake.return_url.as_deref())
            .bind(handshake.opener_origin.as_deref())
            .bind(handshake.completion_url.as_deref())
            .bind(handshake.code_hash.as_ref().map(SecretHash::as_bytes))
            .bind(parked)
            .bind(parked_key)
            .bind(handshake.created_at.as_micros())
            .bind(handshake.expires_at.as_micros())
            .bind(micros(handshake.finished_at))
            .bind(handshake.account.as_deref())
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)?;
        self.changed(handshake);
        Ok(())
    }

    /// Brings a handshake from the state it was read in to its end, and forgets its secrets and, unless it
    /// completed, the account.
    /// `false` when it is no longer in that state: an end is reached once. `false` as well when
    /// `end` is none that is stored, as expiry, which is computed.
    pub async fn finish(&mut self, from: &Handshake, end: State, at: Timestamp) -> Result<bool> {
        if !end.is_final() || end == State::Expired {
            return Ok(false);
        }
        let carried = carried(end);
        // Whose grant came to nothing is no business of who asked for it.
        let completed = matches!(end, State::Completed { .. });
        let account = from.account.as_deref().filter(|_| completed);
        let rows = on!(&mut *self.tx, |conn| sqlx::query(FINISH)
            .bind(from.tenant.as_str())
            .bind(from.id.to_string())
            .bind(state_name(end))
            .bind(carried.failure)
            .bind(carried.generation)
            .bind(at.as_micros())
            .bind(state_name(from.state))
            .bind(account)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(from);
        }
        Ok(rows == 1)
    }

    /// Parks a grant until the front end confirms it with the code of this hash. `false` when the
    /// handshake is no longer being exchanged.
    pub async fn park(
        &mut self,
        handshake: &Handshake,
        grant: &Sealed,
        code: &SecretHash,
    ) -> Result<bool> {
        let (parked, parked_key) = sealed_columns(Some(grant));
        let rows = on!(&mut *self.tx, |conn| sqlx::query(PARK)
            .bind(handshake.tenant.as_str())
            .bind(handshake.id.to_string())
            .bind(parked)
            .bind(parked_key)
            .bind(code.as_bytes())
            .bind(handshake.account.as_deref())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(handshake);
        }
        Ok(rows == 1)
    }
}

impl Writer<'_> {
    /// Takes the parked grant out of a handshake, which can be confirmed no more. `false` when it
    /// holds none.
    pub async fn take_parked(&mut self, handshake: &Handshake) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(TAKE_PARKED)
            .bind(handshake.tenant.as_str())
            .bind(handshake.id.to_string())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(handshake);
        }
        Ok(rows == 1)
    }

    /// Deletes every handshake of a user. Answers their ids, and of each whether it held a grant.
    pub async fn delete_of_user(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Vec<(String, bool)>> {
        let gone: Vec<(String, bool)> = on!(&mut *self.tx, |conn| sqlx::query_as(DELETE_OF_USER)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .fetch_all(conn)
            .await)?;
        for (id, _) in &gone {
            self.changes.push(NewChange {
                tenant: tenant.clone(),
                kind: ChangeKind::Handshake,
                subject: id.clone(),
                op: Op::Delete,
                owner: None,
            });
        }
        Ok(gone)
    }
}
