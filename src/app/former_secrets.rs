//! Secrets of clients made by hand that were changed. A provider and this service never change one in
//! the same moment, so the former secret is kept for a while: where the present one is refused as that
//! of no client, a complete answer that spends nothing, the same request is made once more with the
//! former.

use super::App;
use super::error::Result;
use super::vault::Unopened;
use crate::domain::authorization::ClientAuthMethod;
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::secrets::ClientSecret;
use crate::domain::servers::{Edit, FormerSecret, SECRETS_OVERLAP, SealedSecrets, Server};
use crate::oauth::Outcome;

impl App {
    /// The server with the former secret of its client in the place of the present one, if that was
    /// refused and the former is to be tried still.
    pub(super) fn with_former_secret(
        &self,
        server: &Server,
        (registration, method): (&Registration, ClientAuthMethod),
        outcome: &Outcome,
    ) -> Option<Server> {
        let refused = matches!(outcome, Outcome::Refused(said) if said.is_unknown_client());
        let by_hand = registration.kind == RegistrationKind::Preregistered;
        let by_secret = match method {
            ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost => true,
            ClientAuthMethod::None | ClientAuthMethod::PrivateKeyJwt => false,
        };
        if !(refused && by_hand && by_secret) {
            return None;
        }
        let former = server.secrets.former_client_secret.as_ref();
        let former = former.filter(|former| self.0.clock.now() < former.until)?;
        tracing::warn!(
            server.id = %server.id,
            until = ?former.until,
            "the client secret is refused; the one before it is tried"
        );
        Some(Server {
            secrets: SealedSecrets {
                client_secret: Some(former.secret.clone()),
                ..SealedSecrets::default()
            },
            ..server.clone()
        })
    }

    /// Before an edit is applied: the secret that it replaces by another one becomes the former.
    pub(super) async fn keep_former_secret(
        &self,
        server: &mut Server,
        edit: &Edit<ClientSecret>,
    ) -> Result<()> {
        let given = match edit {
            Edit::Keep => return Ok(()),
            Edit::Clear => {
                server.secrets.former_client_secret = None;
                return Ok(());
            }
            Edit::Set(given) => given,
        };
        let until = self.0.clock.now().after(SECRETS_OVERLAP);
        let former = |secret| FormerSecret { secret, until };
        server.secrets.former_client_secret = match self.open_server_secret(server).await {
            // Whoever writes the same again changes nothing.
            Ok(Some(held)) if held.is(given) => return Ok(()),
            Ok(Some(_)) => server.secrets.client_secret.clone().map(former),
            Ok(None) | Err(Unopened::Unreadable(_)) => None,
            Err(Unopened::Store(error)) => return Err(error.into()),
        };
        Ok(())
    }
}
