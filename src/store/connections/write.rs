//! What is written of connections.

use super::{INSERT, RENEW, RETRY_OF_REGISTRATION, SAVE_LIFE};
use crate::domain::authorization::Resource;
use crate::domain::changes::{NewChange, Op};
use crate::domain::connections::Connection;
use crate::domain::registrations::Registration;
use crate::store::columns::{micros, sealed_columns, text, to_json};
use crate::store::engine::{Tx, on};
use crate::store::error::{Result, conflict};
use crate::store::lifecycles::{Kept, forced_column, status_columns};

/// Writes the lifecycle of a connection that is still at the version it was read with.
pub(super) async fn save_life(tx: &mut Tx, connection: &Connection) -> Result<bool> {
    let kept = Kept {
        id: connection.id.to_string(),
        version: connection.version,
        tenant: &connection.tenant,
        life: &connection.life,
        last_error: connection.last_error.as_deref(),
        failed_at: connection.failed_at,
        due_at: connection.due_at,
        updated_at: connection.updated_at,
    };
    kept.save(tx, SAVE_LIFE).await
}

/// Changes connections.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(in crate::store) tx: &'t mut Tx,
    pub(in crate::store) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Has the grants of a client tried again at once that wait because it was refused. One that is being
    /// redeemed is left alone. Answers how many.
    pub async fn retry_of_registration(&mut self, registration: &Registration) -> Result<u64> {
        Ok(on!(&mut *self.tx, |conn| sqlx::query(
            RETRY_OF_REGISTRATION
        )
        .bind(registration.tenant.as_str())
        .bind(registration.id.to_string())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
    }

    /// Adds a connection. A user has one per server: take the old one away first; a conflict means
    /// that another one was stored at the same time.
    pub async fn insert(&mut self, connection: &Connection) -> Result<()> {
        let life = &connection.life;
        let (status, reason) = status_columns(life.status);
        let (access, access_key) = sealed_columns(connection.access_token.as_ref());
        let (refresh, refresh_key) = sealed_columns(connection.refresh_token.as_ref());
        on!(&mut *self.tx, |conn| sqlx::query(INSERT)
            .bind(connection.id.to_string())
            .bind(connection.tenant.as_str())
            .bind(connection.user.as_str())
            .bind(connection.server.to_string())
            .bind(connection.registration.to_string())
            .bind(connection.issuer.as_str())
            .bind(connection.resource.as_ref().map(Resource::as_str))
            .bind(to_json(&connection.scopes))
            .bind(&connection.token_type)
            .bind(&connection.token_endpoint)
            .bind(connection.auth_version)
            .bind(life.generation)
            .bind(status)
            .bind(reason)
            .bind(access)
            .bind(access_key)
            .bind(refresh)
            .bind(refresh_key)
            .bind(life.obtained_at.as_micros())
            .bind(micros(life.expires_at))
            .bind(life.rejected)
            .bind(text(life.attempt.map(|attempt| attempt.intent)))
            .bind(text(life.attempt.map(|attempt| attempt.owner)))
            .bind(micros(life.attempt.map(|attempt| attempt.until)))
            .bind(life.unknown_outcomes)
            .bind(life.failures)
            .bind(micros(life.next_attempt_at))
            .bind(connection.last_error.as_deref())
            .bind(connection.connected_at.as_micros())
            .bind(micros(connection.refreshed_at))
            .bind(connection.version)
            .bind(life.forced)
            .bind(life.attempts)
            .bind(life.redeemed_by)
            .bind(life.keeps)
            .bind(forced_column(&life.forced_at))
            .bind(micros(life.unknown_since))
            .bind(life.unclear_refusals)
            .bind(life.client_refused)
            .bind(connection.origin.as_str())
            .bind(connection.profile.as_deref())
            .bind(micros(connection.used_at))
            .bind(micros(connection.reconnect_before))
            .bind(micros(connection.failed_at))
            .bind(micros(connection.due_at))
            .bind(connection.updated_at.as_micros())
            .bind(connection.account.as_deref())
            .bind(connection.account_differs)
            .execute(conn)
            .await
            .map(drop))
        .map_err(conflict)?;
        self.tell(connection, Op::Put);
        Ok(())
    }

    /// Writes new tokens and the lifecycle that goes with them. `false` when the row is no longer
    /// at the version it was read with.
    pub async fn renew(&mut self, connection: &Connection) -> Result<bool> {
        let life = &connection.life;
        let (access, access_key) = sealed_columns(connection.access_token.as_ref());
        let (refresh, refresh_key) = sealed_columns(connection.refresh_token.as_ref());
        let rows = on!(&mut *self.tx, |conn| sqlx::query(RENEW)
            .bind(connection.id.to_string())
            .bind(connection.version)
            .bind(connection.tenant.as_str())
            .bind(life.generation)
            .bind(access)
            .bind(access_key)
            .bind(refresh)
            .bind(refresh_key)
            .bind(life.obtained_at.as_micros())
            .bind(micros(life.expires_at))
            .bind(to_json(&connection.scopes))
            .bind(&connection.token_type)
            .bind(micros(connection.refreshed_at))
            .bind(life.redeemed_by)
            .bind(life.keeps)
            .bind(forced_column(&life.forced_at))
            .bind(micros(connection.reconnect_before))
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        // The row is this transaction's now: its version moves with the rest.
        if rows == 1 {
            self.save_life(connection).await
        } else {
            Ok(false)
        }
    }

    /// Writes a lifecycle that means something new to others (a refusal, an unknown outcome).
    /// `false` when the row is no longer at the version it was read with.
    pub async fn save_life(&mut self, connection: &Connection) -> Result<bool> {
        let saved = save_life(self.tx, connection).await?;
        if saved {
            self.tell(connection, Op::Put);
        }
        Ok(saved)
    }
}
