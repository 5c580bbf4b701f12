//! Grants that one client of ours holds for one user: at many providers ending one ends the others,
//! so that is taken to be so unless the provider's profile says that grants are independent.

use super::super::App;
use super::super::clients::client_issuer;
use super::super::error::Result;
use super::super::metrics::RevocationOutcome;
use crate::domain::authorization::Issuer;
use crate::domain::connections::Origin;
use crate::domain::profiles::Profile;
use crate::domain::revocations::{MARGIN, RetiredClient, Revocation};
use crate::domain::servers::Server;
use crate::store;

/// What else a user has of the client of a grant, that would end with it.
pub(super) enum Sibling {
    /// A grant.
    Lives,
    /// Perhaps one soon: a handshake is under way, or what came of one waits to be confirmed.
    Coming,
}

impl App {
    /// What is known of the provider that issued a grant on a server. A profile that the server names
    /// is for its present issuer.
    pub(in super::super) fn provider_of(
        &self,
        server: Option<&Server>,
        issuer: &Issuer,
    ) -> Profile {
        let server = server.filter(|server| client_issuer(server).as_ref() == Some(issuer));
        let name = server.and_then(|server| server.spec.auth.profile());
        self.0.settings.profiles.find(name, issuer)
    }

    /// The user's other grant that would end with this one: from the client that obtained this one,
    /// on another server, or because they connect again.
    pub(super) async fn sibling(
        &self,
        revocation: &Revocation,
        client: Option<&RetiredClient>,
    ) -> Result<Option<Sibling>> {
        let Some(client) = client else {
            return Ok(None);
        };
        let (tenant, user) = (&revocation.tenant, &revocation.user);
        let (issuer, client) = (&revocation.issuer, &client.client_id);
        let mut tx = self.0.store.read().await?;
        let server = match tx.servers().get(tenant, revocation.server).await {
            Err(store::Error::Corrupt { .. }) => None,
            server => server?,
        };
        if self.provider_of(server.as_ref(), issuer).independent_grants {
            // One that was imported may be this very grant, renewed elsewhere.
            let lives = match tx.connections().get(tenant, user, revocation.server).await {
                Ok(current) => current.is_some_and(|one| one.origin == Origin::Import),
                Err(store::Error::Corrupt { .. }) => true,
                Err(error) => return Err(error.into()),
            };
            return Ok(lives.then_some(Sibling::Lives));
        }
        // One state of things: a grant that is being confirmed is seen as one or the other.
        let now = self.0.clock.now();
        let coming = tx
            .handshakes()
            .count_coming((tenant, user), (issuer, client), now, now.before(MARGIN))
            .await?;
        let living = tx
            .connections()
            .count_of_client(tenant, user, issuer, client)
            .await?;
        Ok(match (living > 0, coming > 0) {
            (true, _) => Some(Sibling::Lives),
            (false, true) => Some(Sibling::Coming),
            (false, false) => None,
        })
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
