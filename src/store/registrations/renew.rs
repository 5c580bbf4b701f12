//! Secrets that end: who renews which, and what came of it. And what was learned of how a client
//! authenticates.

use super::{CLAIM, LIST_ENDING, PLAN, PUT_OFF, RENEW, Reader, Row, SETTLE_METHOD, Writer};
use crate::domain::authorization::ClientAuthMethod;
use crate::domain::registrations::Registration;
use crate::domain::time::Timestamp;
use crate::store::columns::{micros, sealed_columns};
use crate::store::engine::{Tx, on};
use crate::store::error::Result;

impl Reader<'_> {
    /// Registrations of all tenants whose secret ends and is to be renewed at `now`, or was never
    /// planned for, and that nobody is at: those that users are connected with, and those that are
    /// managed and have grants to renew. The longest due first. A row that cannot be read is an
    /// error of its own.
    pub async fn list_ending(
        &mut self,
        now: Timestamp,
        lease_now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Result<Registration>>> {
        let rows: Vec<Row> = on!(&mut *self.0, |conn| sqlx::query_as(LIST_ENDING)
            .bind(now.as_micros())
            .bind(lease_now.as_micros())
            .bind(limit)
            .fetch_all(conn)
            .await)?;
        Ok(rows.into_iter().map(Registration::try_from).collect())
    }
}

impl Writer<'_> {
    /// Writes what a renewal brought, if the claim stands that ends at `claimed_until`, and ends it. A
    /// secret or token that is absent leaves the one that is stored. `false` when the claim or the
    /// management was lost.
    pub async fn renew(
        &mut self,
        renewed: &Registration,
        claimed_until: Timestamp,
    ) -> Result<bool> {
        let (secret, secret_key) = sealed_columns(renewed.client_secret.as_ref());
        let (token, token_key) = sealed_columns(renewed.management_token.as_ref());
        let rows = on!(&mut *self.tx, |conn| sqlx::query(RENEW)
            .bind(renewed.tenant.as_str())
            .bind(renewed.id.to_string())
            .bind(claimed_until.as_micros())
            .bind(secret)
            .bind(secret_key)
            .bind(micros(renewed.secret_expires_at))
            .bind(micros(renewed.renew_at))
            .bind(renewed.auth_method.as_str())
            .bind(token)
            .bind(token_key)
            .bind(renewed.management_uri.as_deref())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(renewed);
        }
        Ok(rows == 1)
    }

    /// Remembers the method that a registration was seen to authenticate by, where its own was assumed.
    /// `false` when it is not, or not any more.
    pub async fn settle_method(
        &mut self,
        registration: &Registration,
        works: ClientAuthMethod,
    ) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(SETTLE_METHOD)
            .bind(registration.tenant.as_str())
            .bind(registration.id.to_string())
            .bind(works.as_str())
            .bind(registration.auth_method.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(registration);
        }
        Ok(rows == 1)
    }
}

/// Who renews which registration, until when.
#[derive(Debug)]
pub struct Keeper<'t>(pub(in crate::store) &'t mut Tx);

impl Keeper<'_> {
    /// Writes when a registration is to be renewed, unless that is planned.
    pub async fn plan(&mut self, registration: &Registration, at: Timestamp) -> Result<bool> {
        let rows = on!(&mut *self.0, |conn| sqlx::query(PLAN)
            .bind(registration.tenant.as_str())
            .bind(registration.id.to_string())
            .bind(at.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Claims a registration whose plan stands as it was read. `false` when somebody else is at it, or
    /// was.
    pub async fn claim(
        &mut self,
        registration: &Registration,
        lease_now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        let rows = on!(&mut *self.0, |conn| sqlx::query(CLAIM)
            .bind(registration.tenant.as_str())
            .bind(registration.id.to_string())
            .bind(until.as_micros())
            .bind(micros(registration.renew_at))
            .bind(lease_now.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Gives a claim back; the registration is due again at `at`. `false` when the claim was lost.
    pub async fn put_off(
        &mut self,
        registration: &Registration,
        claimed_until: Timestamp,
        at: Timestamp,
    ) -> Result<bool> {
        let rows = on!(&mut *self.0, |conn| sqlx::query(PUT_OFF)
            .bind(registration.tenant.as_str())
            .bind(registration.id.to_string())
            .bind(at.as_micros())
            .bind(claimed_until.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}
