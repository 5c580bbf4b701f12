//! Grants that one client of ours holds for one user: at many providers ending one ends the others.

use super::super::App;
use super::super::error::Result;
use super::super::metrics::RevocationOutcome;
use crate::domain::revocations::{RetiredClient, Revocation};

impl App {
    /// Whether the user has another grant from the client that obtained this one: on another server,
    /// or because they connected again.
    pub(super) async fn has_sibling(
        &self,
        revocation: &Revocation,
        client: Option<&RetiredClient>,
    ) -> Result<bool> {
        let Some(client) = client else {
            return Ok(false);
        };
        let (tenant, user) = (&revocation.tenant, &revocation.user);
        let (issuer, client) = (&revocation.issuer, &client.client_id);
        let mut tx = self.0.store.read().await?;
        let living = tx
            .connections()
            .count_of_client(tenant, user, issuer, client)
            .await?;
        Ok(living > 0)
    }

    /// Leaves a grant to itself at the provider, for the sake of its sibling.
    pub(super) async fn leave_alone(&self, revocation: &Revocation) -> Result<()> {
        let mut event = self.service_event_of(revocation, "connection.revoke");
        event.detail = serde_json::json!({
            "issuer": revocation.issuer.as_str(),
            "reason": revocation.reason.as_str(),
            "left": "another grant of the same client lives",
        });
        let mut tx = self.0.store.write().await?;
        if tx.work_mut().delete(revocation).await? {
            tx.commit(&event).await?;
            self.0.metrics.revoked(RevocationOutcome::Left);
        }
        Ok(())
    }
}
