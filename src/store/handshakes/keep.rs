//! What is written of handshakes that is no news to anybody.

use super::{BIND_BROWSER, CLAIM_EXCHANGE, DELETE_OLD, INTERRUPT};
use crate::domain::handshakes::Handshake;
use crate::domain::secrets::SecretHash;
use crate::domain::time::Timestamp;
use crate::store::engine::{Tx, on};
use crate::store::error::Result;

/// Steps on the way to an end, and forgetting.
#[derive(Debug)]
pub struct Keeper<'t>(pub(in crate::store) &'t mut Tx);

impl Keeper<'_> {
    /// Ties a pending handshake to the browser that opened it; again for the same browser changes
    /// nothing. `false` when it belongs to another browser or is no longer pending.
    pub async fn bind_browser(
        &mut self,
        handshake: &Handshake,
        browser: &SecretHash,
    ) -> Result<bool> {
        let rows = on!(&mut *self.0, |conn| sqlx::query(BIND_BROWSER)
            .bind(handshake.tenant.as_str())
            .bind(handshake.id.to_string())
            .bind(browser.as_bytes())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Takes the right to exchange the code of a pending handshake, once.
    pub async fn claim_exchange(
        &mut self,
        handshake: &Handshake,
        until: Timestamp,
    ) -> Result<bool> {
        let rows = on!(&mut *self.0, |conn| sqlx::query(CLAIM_EXCHANGE)
            .bind(handshake.tenant.as_str())
            .bind(handshake.id.to_string())
            .bind(until.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Deletes handshakes made before a point in time, whatever became of them. Answers how many.
    pub async fn delete_old(&mut self, before: Timestamp) -> Result<u64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query(DELETE_OLD)
            .bind(before.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }

    /// Ends the time of every exchange now: whoever ran them is gone. For the start of the one
    /// process that has the database. Answers how many.
    pub async fn interrupt_exchanges(&mut self, now: Timestamp) -> Result<u64> {
        Ok(on!(&mut *self.0, |conn| sqlx::query(INTERRUPT)
            .bind(now.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
