//! Clients whose way to authenticate nobody said: neither their registration nor the server's metadata.
//! The protocol's default is tried first (RFC 7591, section 2). Where that is refused with
//! `invalid_client`, a complete answer that spends nothing, the same request is made once more by the
//! other one, never by both at once. What works is remembered, and not doubted again.

use tracing::Instrument as _;

use super::App;
use super::error::Result;
use super::insist::{Insist, TRY};
use crate::domain::audit::Origin;
use crate::domain::authorization::ClientAuthMethod;
use crate::domain::registrations::Registration;
use crate::oauth::Outcome;
use crate::store::within;

/// The method to try after this outcome of one, if there is another.
pub(super) fn other_method(
    registration: &Registration,
    tried: ClientAuthMethod,
    outcome: &Outcome,
) -> Option<ClientAuthMethod> {
    let Outcome::Refused(refused) = outcome else {
        return None;
    };
    let refused = refused.code.as_deref() == Some("invalid_client");
    let default = tried == ClientAuthMethod::ClientSecretBasic;
    (registration.method_assumed && default && refused)
        .then_some(ClientAuthMethod::ClientSecretPost)
}

impl App {
    /// Remembers the method by which tokens were granted, where it was assumed. Goes on by itself:
    /// nobody waits for it.
    pub(super) fn method_met(
        &self,
        registration: &Registration,
        method: ClientAuthMethod,
        outcome: &Outcome,
    ) {
        if !registration.method_assumed || !matches!(outcome, Outcome::Granted(_)) {
            return;
        }
        let (app, registration) = (self.clone(), registration.clone());
        let remembering = async move {
            if let Err(error) = app.remember_method(&registration, method).await {
                let id = registration.id;
                tracing::warn!(registration.id = %id, %error, "how a client authenticates is not remembered");
            }
        };
        self.0.tasks.spawn(remembering.in_current_span());
    }

    async fn remember_method(
        &self,
        registration: &Registration,
        method: ClientAuthMethod,
    ) -> Result<()> {
        let mut again = Insist::for_at_most(self.0.settings.tokens.lease);
        loop {
            let tried = Box::pin(self.try_remember_method(registration, method));
            match within(TRY, tried).await {
                Err(error) => again.after(error).await?,
                done => return done,
            }
        }
    }

    async fn try_remember_method(
        &self,
        registration: &Registration,
        method: ClientAuthMethod,
    ) -> Result<()> {
        let (tenant, id) = (&registration.tenant, registration.id);
        let origin = Origin::service();
        let mut event = self.event(tenant, origin, "registration.settle_method", id);
        event.detail = serde_json::json!({
            "server": registration.server.to_string(),
            "method": method.as_str(),
        });
        let mut tx = self.0.store.write().await?;
        let mut registrations = tx.registrations_mut();
        if registrations.settle_method(registration, method).await? {
            tx.commit(&event).await?;
        }
        Ok(())
    }
}
