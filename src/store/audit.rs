//! Rows of the audit trail. Written by every commit; never changed.

use super::columns::to_json;
use super::engine::{Tx, on, statements};
use super::error::Result;
use crate::domain::audit::{NewAuditEvent, Who};

statements! {
    INSERT = "INSERT INTO audit_events (id, tenant, at, actor_kind, principal, principal_name, action, \
        subject, verdict, user_id, request_id, address, detail) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
}

/// Writes one record.
pub(super) async fn insert(tx: &mut Tx, event: &NewAuditEvent) -> Result<()> {
    let (principal, name) = match &event.origin.who {
        Who::Caller { principal, name } => (principal.as_str(), name.as_str()),
        Who::Browser | Who::Machine | Who::Service => ("", ""),
    };
    on!(tx, |conn| sqlx::query(INSERT)
        .bind(event.id.to_string())
        .bind(event.tenant.as_str())
        .bind(event.at.as_micros())
        .bind(event.origin.who.kind())
        .bind(principal)
        .bind(name)
        .bind(event.action)
        .bind(&event.subject)
        .bind(event.verdict.as_str())
        .bind(event.user.as_deref())
        .bind(event.origin.request_id.as_deref())
        .bind(event.origin.address.map(|address| address.to_string()))
        .bind(to_json(&event.detail))
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
