//! Clients that are about to be needed only to revoke by: what they were when they obtained a grant,
//! and where that grant is revoked.

use super::super::App;
use super::super::client_auth::Proof;
use super::super::clients::client_issuer;
use super::super::error::Result;
use super::super::vault::Unopened;
use crate::domain::authorization::{ClientAuthMethod, Issuer};
use crate::domain::ids::RetiredClientId;
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::registrations::{Registration, RegistrationKind};
use crate::domain::revocations::{MARGIN, Management, RetiredClient, Work};
use crate::domain::secrets::RegistrationAccessToken;
use crate::domain::servers::Server;
use crate::domain::tenants::TenantId;
use crate::domain::time::Timestamp;
use crate::oauth;

/// A client with what it proves itself with opened, and where its grants are revoked.
#[derive(Debug)]
pub(in super::super) struct GrantClient {
    /// Who issued its grants.
    pub(in super::super) issuer: Issuer,
    /// The client id.
    pub(in super::super) client_id: String,
    /// How it authenticates.
    pub(in super::super) auth_method: ClientAuthMethod,
    /// What it does that with.
    pub(in super::super) proof: Proof,
    /// Where its grants are revoked; `None` where that cannot be done.
    pub(in super::super) endpoint: Option<String>,
}

/// Where a client's grants are revoked: at the server's present issuer where that was configured, else
/// where it was discovered; at one that was followed away from where it was then. What an administrator
/// gave for another issuer is not shown there: clients made by hand end with theirs.
fn endpoint(server: &Server, registration: &Registration) -> Option<String> {
    let issuer = &registration.issuer;
    let found = server.discovered.as_ref();
    let endpoint = if client_issuer(server).as_ref() == Some(issuer) {
        let found = found.and_then(|found| found.authorization_server.revocation_endpoint.as_ref());
        let oauth2 = server.spec.auth.oauth2();
        let configured = oauth2.and_then(|oauth2| oauth2.revocation_endpoint.as_ref());
        configured.or(found)
    } else if registration.kind == RegistrationKind::Preregistered {
        None
    } else {
        let mut former = found.into_iter().flat_map(|found| &found.former);
        let former = former.find(|former| former.issuer == *issuer);
        former.map(|former| &former.revocation_endpoint)
    };
    endpoint
        .filter(|endpoint| oauth::may_name(&server.spec.url, endpoint))
        .cloned()
}

/// The registration to act by for the grants of another. A client made by hand stays the same
/// client when the way it authenticates was corrected.
fn acting<'a>(registration: &'a Registration, all: &'a [Registration]) -> &'a Registration {
    let same = |other: &&Registration| {
        registration.kind == RegistrationKind::Preregistered
            && other.kind == RegistrationKind::Preregistered
            && other.issuer == registration.issuer
            && other.client_id == registration.client_id
    };
    all.iter().rfind(same).unwrap_or(registration)
}

impl App {
    /// The client of a registration, one of a server's in order of age. Where its secret or key cannot
    /// be opened it is without: what is queued with it is given up in everybody's sight.
    pub(super) async fn grant_client(
        &self,
        server: &Server,
        registration: &Registration,
        all: &[Registration],
    ) -> Result<GrantClient> {
        let acting = acting(registration, all);
        // Where it was discovered, there is an issuer to address.
        let by_hand = server.spec.auth.oauth2().and_then(|o| o.endpoints.as_ref());
        let token_endpoint = by_hand.map_or("", |endpoints| &endpoints.token_endpoint);
        let how = (acting.auth_method, token_endpoint);
        let proof = match self.registration_proof(server, acting, how).await {
            Ok(proof) => proof,
            Err(Unopened::Unreadable(_)) => {
                let id = registration.id;
                tracing::warn!(registration.id = %id, "a client's secret or key cannot be opened");
                Proof::Nothing
            }
            Err(Unopened::Store(error)) => return Err(error.into()),
        };
        Ok(GrantClient {
            issuer: registration.issuer.clone(),
            client_id: acting.client_id.clone(),
            auth_method: acting.auth_method,
            proof,
            endpoint: endpoint(server, registration),
        })
    }

    /// Seals a client for the outbox. Begins no transaction while one is held: call it before.
    pub(super) async fn retired(
        &self,
        tenant: &TenantId,
        client: &GrantClient,
    ) -> Result<RetiredClient> {
        let id = RetiredClientId::mint(&*self.0.clock, &*self.0.random);
        let row = id.to_string();
        let place = retired_place(tenant, &row, SealedColumn::RetiredClientSecret);
        let client_secret = match &client.proof {
            Proof::Nothing => None,
            Proof::Secret(secret) => Some(self.0.vault.seal(&place, secret).await?),
            Proof::Key(key) => Some(self.0.vault.seal(&place, key).await?),
        };
        Ok(RetiredClient {
            id,
            tenant: tenant.clone(),
            issuer: client.issuer.clone(),
            client_id: client.client_id.clone(),
            auth_method: client.auth_method,
            client_secret,
            management: None,
            work: Work::from(self.0.clock.now(), Timestamp::default()),
        })
    }

    /// Adds to a retired client that its registration is to be deleted, when what was begun with it
    /// is over. One that cannot be managed stays as it is.
    pub(super) async fn with_management(
        &self,
        mut client: RetiredClient,
        registration: &Registration,
    ) -> Result<RetiredClient> {
        let Some((uri, sealed)) = registration
            .management_uri
            .as_ref()
            .zip(registration.management_token.as_ref())
        else {
            return Ok(client);
        };
        let row = registration.id.to_string();
        let column = SealedColumn::RegistrationManagementToken;
        let place = retired_place(&registration.tenant, &row, column);
        let token: RegistrationAccessToken = match self.0.vault.open(&place, sealed).await {
            Ok(token) => token,
            Err(Unopened::Unreadable(_)) => {
                let id = registration.id;
                tracing::warn!(registration.id = %id, "a management token cannot be opened");
                return Ok(client);
            }
            Err(Unopened::Store(error)) => return Err(error.into()),
        };
        let row = client.id.to_string();
        let place = retired_place(&client.tenant, &row, SealedColumn::RetiredManagementToken);
        let token = self.0.vault.seal(&place, &token).await?;
        let uri = uri.clone();
        client.management = Some(Management { uri, token });
        let begun = self.0.settings.tokens.lease + MARGIN;
        client.work.next_attempt_at = self.0.clock.now().after(begun);
        Ok(client)
    }

    /// What a retired client proves itself with: its key stands where others have their secret.
    pub(super) async fn open_retired_proof(
        &self,
        client: &RetiredClient,
    ) -> std::result::Result<Proof, Unopened> {
        let Some(sealed) = &client.client_secret else {
            return Ok(Proof::Nothing);
        };
        let row = client.id.to_string();
        let place = retired_place(&client.tenant, &row, SealedColumn::RetiredClientSecret);
        if client.auth_method == ClientAuthMethod::PrivateKeyJwt {
            return self.0.vault.open(&place, sealed).await.map(Proof::Key);
        }
        self.0.vault.open(&place, sealed).await.map(Proof::Secret)
    }

    /// The token that manages a retired client's registration.
    pub(super) async fn open_management(
        &self,
        client: &RetiredClient,
        management: &Management,
    ) -> std::result::Result<RegistrationAccessToken, Unopened> {
        let row = client.id.to_string();
        let column = SealedColumn::RetiredManagementToken;
        let place = retired_place(&client.tenant, &row, column);
        self.0.vault.open(&place, &management.token).await
    }
}

/// The place of a secret that belongs to the tenant.
fn retired_place<'a>(tenant: &'a TenantId, row: &'a str, column: SealedColumn) -> Place<'a> {
    Place {
        tenant,
        column,
        row,
        owner: "",
    }
}
