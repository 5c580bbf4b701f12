//! The secrets of servers and connections: sealed on their way in, opened for the headers they
//! become.

use super::App;
use super::error::Result;
use super::vault::Unopened;
use crate::crypto::{HeaderValues, Payload};
use crate::domain::authorization::TokenSet;
use crate::domain::connections::{Connection, Origin};
use crate::domain::ids::ServerId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::Registration;
use crate::domain::secrets::{ClientSecret, HeaderSecret, Opaque, Sealed};
use crate::domain::servers::{Auth, Edit, SecretEdits, Server};
use crate::domain::tenants::TenantId;

/// The place of a server's secret.
pub(super) fn place<'a>(tenant: &'a TenantId, row: &'a str, column: SealedColumn) -> Place<'a> {
    Place {
        tenant,
        column,
        row,
        owner: "",
    }
}

impl App {
    /// Applies edits to the secrets of a server that is about to be written. Begins no transaction
    /// while one is held: call it before.
    pub(super) async fn seal_secrets(&self, server: &mut Server, edits: SecretEdits) -> Result<()> {
        use SealedColumn as Column;
        let (tenant, id) = (server.tenant.clone(), server.id);
        self.keep_former_secret(server, &edits.client_secret)
            .await?;
        self.merge_headers(server, edits.custom_headers).await?;
        let held = &mut server.secrets;
        self.edit(
            &mut held.client_secret,
            edits.client_secret,
            (&tenant, id, Column::ServerClientSecret),
        )
        .await?;
        self.edit(
            &mut held.private_key,
            edits.private_key,
            (&tenant, id, Column::ServerPrivateKey),
        )
        .await?;
        self.edit(
            &mut held.api_key,
            edits.api_key,
            (&tenant, id, Column::ServerApiKey),
        )
        .await?;
        if !server.spec.auth.user_headers().is_empty() {
            // Each user has their own: nobody sends it.
            held.api_key = None;
        }
        self.edit(
            &mut held.signing_secret,
            edits.signing_secret,
            (&tenant, id, Column::ServerSigningSecret),
        )
        .await?;
        self.edit(
            &mut held.idp_client_secret,
            edits.idp_client_secret,
            (&tenant, id, Column::ServerIdpClientSecret),
        )
        .await?;
        self.edit(
            &mut held.assertion,
            edits.assertion,
            (&tenant, id, Column::ServerAssertion),
        )
        .await
    }

    async fn edit<T: Payload>(
        &self,
        held: &mut Option<Sealed>,
        edit: Edit<T>,
        (tenant, server, column): (&TenantId, ServerId, SealedColumn),
    ) -> Result<()> {
        match edit {
            Edit::Keep => {}
            Edit::Clear => *held = None,
            Edit::Set(value) => {
                let row = server.to_string();
                *held = Some(
                    self.0
                        .vault
                        .seal(&place(tenant, &row, column), &value)
                        .await?,
                );
            }
        }
        Ok(())
    }

    /// Seals the values of the custom headers that the configuration names, in its order: those
    /// supplied, and of the others those stored.
    async fn merge_headers(
        &self,
        server: &mut Server,
        supplied: Vec<(String, HeaderSecret)>,
    ) -> Result<()> {
        let Auth::CustomHeaders(custom) = &server.spec.auth else {
            return Ok(());
        };
        let row = server.id.to_string();
        let place = place(&server.tenant, &row, SealedColumn::ServerCustomHeaders);
        let mut known = supplied;
        let all = |known: &[(String, HeaderSecret)]| {
            let supplied = |name| known.iter().any(|(known, _)| known == name);
            custom.names.iter().all(supplied)
        };
        if let Some(sealed) = &server.secrets.custom_headers
            && !all(&known)
        {
            let stored: HeaderValues = self.0.vault.open(&place, sealed).await?;
            known.extend(stored.0);
        }
        let value = |name: &String| known.iter().find(|(known, _)| known == name).cloned();
        let values = HeaderValues(custom.names.iter().filter_map(value).collect());
        let sealed = if values.0.is_empty() {
            None
        } else {
            Some(self.0.vault.seal(&place, &values).await?)
        };
        server.secrets.custom_headers = sealed;
        Ok(())
    }

    /// The value of a server's API key header, if one is stored.
    pub(super) async fn open_api_key(
        &self,
        server: &Server,
    ) -> std::result::Result<Option<HeaderSecret>, Unopened> {
        let Some(sealed) = &server.secrets.api_key else {
            return Ok(None);
        };
        let row = server.id.to_string();
        let place = place(&server.tenant, &row, SealedColumn::ServerApiKey);
        self.0.vault.open(&place, sealed).await.map(Some)
    }

    /// A server's custom headers with their values, in order.
    pub(super) async fn open_custom_headers(
        &self,
        server: &Server,
    ) -> std::result::Result<Vec<(String, HeaderSecret)>, Unopened> {
        let Some(sealed) = &server.secrets.custom_headers else {
            return Ok(Vec::new());
        };
        let row = server.id.to_string();
        let place = place(&server.tenant, &row, SealedColumn::ServerCustomHeaders);
        self.0
            .vault
            .open::<HeaderValues>(&place, sealed)
            .await
            .map(|headers| headers.0)
    }

    /// The secret that a server's identity headers are signed by, if one is stored.
    pub(super) async fn open_signing_secret(
        &self,
        server: &Server,
    ) -> std::result::Result<Option<Opaque>, Unopened> {
        let Some(sealed) = &server.secrets.signing_secret else {
            return Ok(None);
        };
        let row = server.id.to_string();
        let place = place(&server.tenant, &row, SealedColumn::ServerSigningSecret);
        self.0.vault.open(&place, sealed).await.map(Some)
    }

    /// The secret of a server's client that was made by hand.
    pub(super) async fn open_server_secret(
        &self,
        server: &Server,
    ) -> std::result::Result<Option<ClientSecret>, Unopened> {
        let Some(sealed) = &server.secrets.client_secret else {
            return Ok(None);
        };
        let row = server.id.to_string();
        let place = place(&server.tenant, &row, SealedColumn::ServerClientSecret);
        self.0.vault.open(&place, sealed).await.map(Some)
    }

    /// The secret of a client that we registered or that was imported.
    pub(super) async fn open_registered_secret(
        &self,
        registration: &Registration,
    ) -> std::result::Result<Option<ClientSecret>, Unopened> {
        let Some(sealed) = &registration.client_secret else {
            return Ok(None);
        };
        let row = registration.id.to_string();
        let column = SealedColumn::RegistrationClientSecret;
        let place = place(&registration.tenant, &row, column);
        self.0.vault.open(&place, sealed).await.map(Some)
    }

    /// Seals tokens into the connection they are for; without a new refresh token the old one stays.
    pub(super) async fn seal_tokens(
        &self,
        connection: &mut Connection,
        tokens: &TokenSet,
    ) -> Result<()> {
        let row = connection.id.to_string();
        let user = connection.user.clone();
        let tenant = connection.tenant.clone();
        let place = |column| Place {
            tenant: &tenant,
            column,
            row: &row,
            owner: user.as_str(),
        };
        let access = place(SealedColumn::ConnectionAccessToken);
        connection.access_token = Some(self.0.vault.seal(&access, &tokens.access_token).await?);
        if let Some(refresh_token) = &tokens.refresh_token {
            let refresh = place(SealedColumn::ConnectionRefreshToken);
            connection.refresh_token = Some(self.0.vault.seal(&refresh, refresh_token).await?);
        }
        connection.token_type.clone_from(&tokens.token_type);
        if let Some(scopes) = &tokens.scopes {
            connection.scopes = scopes.clone();
        }
        let own = connection.origin == Origin::Automatic;
        connection.life.renewable = own || connection.refresh_token.is_some();
        Ok(())
    }
}
