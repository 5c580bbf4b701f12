//! The client an imported grant was issued to, which alone renews and revokes it.

use super::super::App;
use super::super::error::Result;
use super::super::provision::secret_method;
use super::super::vault::Unopened;
use super::Import;
use crate::domain::authorization::ClientAuthMethod;
use crate::domain::ids::RegistrationId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::servers::Server;

/// The client of an import.
pub(super) struct Client {
    pub(super) registration: Registration,
    /// Whether it is stored already.
    pub(super) known: bool,
}

impl App {
    /// The client a grant was issued to: the server's present one, one that came with an earlier
    /// import and is the same to the secret, or a new one.
    pub(super) async fn client_of(
        &self,
        import: &Import,
        server: &Server,
        present: Registration,
        all: &[Registration],
    ) -> Result<Client> {
        let known = |registration| Client {
            registration,
            known: true,
        };
        let theirs = import.client.as_ref();
        let Some(theirs) = theirs.filter(|theirs| theirs.client_id != present.client_id) else {
            return Ok(known(present));
        };
        let auth_method = match (&theirs.secret, server.spec.auth.oauth2()) {
            (Some(_), Some(oauth2)) => {
                // The server's key is its own client's.
                let configured = oauth2.token_endpoint_auth_method;
                configured
                    .filter(|method| *method != ClientAuthMethod::PrivateKeyJwt)
                    .unwrap_or_else(|| secret_method(server.discovered.as_ref()))
            }
            _ => ClientAuthMethod::None,
        };
        let like = all.iter().rfind(|one| {
            one.kind == RegistrationKind::Imported
                && one.issuer == present.issuer
                && one.client_id == theirs.client_id
                && one.auth_method == auth_method
        });
        if let Some(like) = like {
            let same = match (self.open_registered_secret(like).await, &theirs.secret) {
                (Ok(Some(stored)), Some(given)) => stored.is(given),
                (Ok(None), None) => true,
                (Ok(_) | Err(Unopened::Unreadable(_)), _) => false,
                (Err(Unopened::Store(error)), _) => return Err(error.into()),
            };
            if same {
                return Ok(known(like.clone()));
            }
        }
        let id = RegistrationId::mint(&*self.0.clock, &*self.0.random);
        let row = id.to_string();
        let client_secret = match &theirs.secret {
            Some(secret) => {
                let place = Place {
                    tenant: &server.tenant,
                    column: SealedColumn::RegistrationClientSecret,
                    row: &row,
                    owner: "",
                };
                Some(self.0.vault.seal(&place, secret).await?)
            }
            None => None,
        };
        let registration = Registration {
            id,
            kind: RegistrationKind::Imported,
            client_id: theirs.client_id.clone(),
            client_secret,
            secret_expires_at: None,
            renew_at: None,
            auth_method,
            method_assumed: false,
            redirect_uri: String::new(),
            scopes: None,
            management_token: None,
            management_uri: None,
            created_at: self.0.clock.now(),
            ..present
        };
        Ok(Client {
            registration,
            known: false,
        })
    }
}
