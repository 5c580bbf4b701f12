//! Whether secrets that are supplied are those that are stored.

use super::super::App;
use super::super::error::Result;
use super::super::secrets::place;
use super::super::vault::Unopened;
use crate::crypto::{HeaderValues, Payload};
use crate::domain::keys::SealedColumn as Column;
use crate::domain::secrets::Sealed;
use crate::domain::servers::{Edit, SecretEdits, Server};

impl App {
    /// The paths of secrets that these edits would change. What cannot be opened would be.
    pub(super) async fn secrets_that_differ(
        &self,
        server: &Server,
        edits: &SecretEdits,
    ) -> Result<Vec<String>> {
        let held = &server.secrets;
        let kind = server.spec.auth.kind().as_str();
        let mut paths = Vec::new();
        let mut note = |differs: bool, path: String| {
            if differs {
                paths.push(path);
            }
        };
        let at = (server, Column::ServerClientSecret);
        let differs = self.differs(at, held.client_secret.as_ref(), &edits.client_secret);
        note(differs.await?, format!("{kind}.client_secret"));
        let at = (server, Column::ServerPrivateKey);
        let differs = self.differs(at, held.private_key.as_ref(), &edits.private_key);
        note(differs.await?, format!("{kind}.private_key"));
        let at = (server, Column::ServerApiKey);
        let differs = self.differs(at, held.api_key.as_ref(), &edits.api_key);
        note(differs.await?, format!("{kind}.value"));
        let at = (server, Column::ServerIdpClientSecret);
        let differs = self.differs(
            at,
            held.idp_client_secret.as_ref(),
            &edits.idp_client_secret,
        );
        note(differs.await?, format!("{kind}.idp_client_secret"));
        let at = (server, Column::ServerAssertion);
        let differs = self.differs(at, held.assertion.as_ref(), &edits.assertion);
        note(differs.await?, format!("{kind}.assertion"));
        let differs = self.headers_differ(server, edits);
        note(differs.await?, format!("{kind}.headers"));
        let at = (server, Column::ServerSigningSecret);
        let differs = self.differs(at, held.signing_secret.as_ref(), &edits.signing_secret);
        note(differs.await?, "signing_secret".to_owned());
        Ok(paths)
    }

    async fn differs<T: Payload>(
        &self,
        at: (&Server, Column),
        held: Option<&Sealed>,
        edit: &Edit<T>,
    ) -> Result<bool> {
        match (edit, held) {
            (Edit::Keep, _) | (Edit::Clear, None) => Ok(false),
            (Edit::Clear, Some(_)) | (Edit::Set(_), None) => Ok(true),
            (Edit::Set(value), Some(sealed)) => {
                let stored: Option<T> = self.stored(at, sealed).await?;
                Ok(stored.is_none_or(|stored| stored.to_bytes() != value.to_bytes()))
            }
        }
    }

    async fn headers_differ(&self, server: &Server, edits: &SecretEdits) -> Result<bool> {
        if edits.custom_headers.is_empty() {
            return Ok(false);
        }
        let stored: Option<HeaderValues> = match &server.secrets.custom_headers {
            Some(sealed) => {
                self.stored((server, Column::ServerCustomHeaders), sealed)
                    .await?
            }
            None => None,
        };
        let stored = stored.map(|stored| stored.0).unwrap_or_default();
        let same = |(name, value): &(String, _)| {
            let mut stored = stored.iter();
            stored.any(|(known, held)| known == name && held.to_bytes() == Payload::to_bytes(value))
        };
        Ok(!edits.custom_headers.iter().all(same))
    }

    async fn stored<T: Payload>(
        &self,
        (server, column): (&Server, Column),
        sealed: &Sealed,
    ) -> Result<Option<T>> {
        let row = server.id.to_string();
        let place = place(&server.tenant, &row, column);
        match self.0.vault.open(&place, sealed).await {
            Ok(value) => Ok(Some(value)),
            Err(Unopened::Unreadable(_)) => Ok(None),
            Err(error @ Unopened::Store(_)) => Err(error.into()),
        }
    }
}
