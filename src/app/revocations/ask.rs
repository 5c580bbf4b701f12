//! Asking a provider to end what is ended here, and what its answers mean.

use super::super::App;
use super::super::client_auth::missing;
use super::super::vault::Unopened;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::revocations::{Heard, RetiredClient, Revocation};
use crate::domain::secrets::{AccessToken, RefreshToken};
use crate::fetch::Policy;
use crate::oauth::{self, About, Endpoint, Refused, Revoked};
use crate::store;

/// What was not asked at all.
pub(super) enum Unasked {
    /// It is written so.
    Never(&'static str),
    /// It cannot be opened here: the key may be on its way to this replica, or with another one.
    Unreadable,
    /// The store did not answer: the lease will end.
    Store(store::Error),
}

impl From<Unopened> for Unasked {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Unreadable(_) => {
                tracing::warn!(
                    "what is to be revoked cannot be opened: it is kept and tried again"
                );
                Self::Unreadable
            }
            Unopened::Store(error) => Self::Store(error),
        }
    }
}

impl App {
    /// Asks the provider to end a grant: by its refresh token, and by its access token only where
    /// there is no other or the provider takes no other (RFC 7009, section 2.2.1).
    pub(super) async fn ask_to_revoke(
        &self,
        revocation: &Revocation,
        client: Option<&RetiredClient>,
    ) -> Result<(Heard, &'static str), Unasked> {
        let client = client.ok_or(Unasked::Never("unreadable"))?;
        let proof = self.open_retired_proof(client).await?;
        // Each request has its own proof.
        let prove = || {
            let auth = self.client_auth(&client.client_id, client.auth_method, &proof);
            auth.map_err(|_| Unasked::Never(missing(client.auth_method)))
        };
        let first = prove()?;
        let endpoint = Endpoint {
            url: &revocation.endpoint,
            // What a server elsewhere named on this machine is not queued.
            policy: Policy::on_behalf_of(&revocation.endpoint),
            client_id: &client.client_id,
            auth: &first,
            deadline: self.0.settings.request_timeout,
            // Revoking twice does no harm.
            send_before: None,
            now: self.0.clock.now(),
        };
        let row = revocation.id.to_string();
        let place = |column| Place {
            tenant: &revocation.tenant,
            column,
            row: &row,
            owner: revocation.user.as_str(),
        };
        let mut heard = Heard::Never("no_token".to_owned());
        if let Some(sealed) = &revocation.refresh_token {
            let place = place(SealedColumn::RevocationRefreshToken);
            let token: RefreshToken = self.0.vault.open(&place, sealed).await?;
            let asked = oauth::revoke(&self.0.fetch, &endpoint, Revoked::Refresh(&token)).await;
            heard = said(asked);
            let other = Heard::Never("unsupported_token_type".to_owned());
            if heard != other {
                return Ok((heard, "refresh_token"));
            }
        }
        if let Some(sealed) = &revocation.access_token {
            let place = place(SealedColumn::RevocationAccessToken);
            let token: AccessToken = self.0.vault.open(&place, sealed).await?;
            let second = prove()?;
            let endpoint = Endpoint {
                auth: &second,
                ..endpoint
            };
            let asked = oauth::revoke(&self.0.fetch, &endpoint, Revoked::Access(&token)).await;
            heard = said(asked);
        }
        Ok((heard, "access_token"))
    }

    /// Asks the provider to delete a registration.
    pub(super) async fn ask_to_unregister(&self, client: &RetiredClient) -> Result<Heard, Unasked> {
        let management = client.management.as_ref();
        let management = management.ok_or(Unasked::Never("unreadable"))?;
        let token = self.open_management(client, management).await?;
        let deadline = self.0.settings.request_timeout;
        let uri = &management.uri;
        let asked = oauth::unregister(&self.0.fetch, uri, uri, &token, deadline).await;
        Ok(said(asked))
    }
}

/// What an answer means. That a token is not valid is what was wanted.
fn said(asked: oauth::Revocation) -> Heard {
    match asked {
        oauth::Revocation::Done => Heard::Ended,
        oauth::Revocation::Later { retry_after } => Heard::Later { retry_after },
        // Answers of something in front of the provider, or of one that is being changed.
        oauth::Revocation::Impossible(oauth::Error::NoEndpoint { .. })
        | oauth::Revocation::Refused(Refused { code: None, .. }) => {
            Heard::Later { retry_after: None }
        }
        oauth::Revocation::Refused(refused) => match (refused.about, refused.code) {
            (About::Grant, _) => Heard::Ended,
            (About::Client | About::Other, Some(code)) if code == "invalid_token" => Heard::Ended,
            (About::Client | About::Other, code) => {
                Heard::Never(code.unwrap_or_else(|| "refused".to_owned()))
            }
        },
        oauth::Revocation::Impossible(error) => {
            tracing::debug!(%error, "an endpoint cannot be used");
            Heard::Never("endpoint_unusable".to_owned())
        }
    }
}
