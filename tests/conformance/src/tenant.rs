//! A tenant for one run. Ports come back, and with them issuers that an older tenant knows already.

use anyhow::Context as _;
use stationmaster::client::v1::{
    CreateApiKeyRequest, CreateServerRequest, CreateTenantRequest, Role, Server,
};
use stationmaster::client::{Client, Credential, Error, Options, answer};
use uuid::Uuid;

use crate::patience::patiently;
use crate::stopped::Stopped;

/// The two who work in a tenant.
pub(crate) struct Tenant {
    admin: Client,
    /// The chat daemon.
    pub(crate) daemon: Client,
}

impl Tenant {
    /// Makes the tenant, with a key for each of the two, as its operator.
    pub(crate) async fn make(endpoint: &str, key: &str, tenant: String) -> anyhow::Result<Self> {
        let within = Options {
            tenant: Some(tenant.clone()),
            ..Options::default()
        };
        let operator = Client::lazy(endpoint, Credential::new(key)?, &Options::default())?;
        let request = CreateTenantRequest {
            tenant_id: tenant,
            request_id: request_id(),
            ..CreateTenantRequest::default()
        };
        patiently(async || answer(operator.tenants().create_tenant(request.clone())).await)
            .await
            .context("creating the tenant")?;

        let operator = Client::lazy(endpoint, Credential::new(key)?, &within)?;
        Ok(Self {
            admin: member(endpoint, &operator, Role::Admin).await?,
            daemon: member(endpoint, &operator, Role::Daemon).await?,
        })
    }

    /// Creates the server as the tenant's administrator; answers its id.
    pub(crate) async fn create_server(&self, server: Server) -> anyhow::Result<String> {
        let request = CreateServerRequest {
            server: Some(server),
            request_id: request_id(),
            ..CreateServerRequest::default()
        };
        let create =
            async || Box::pin(answer(self.admin.config().create_server(request.clone()))).await;
        match Box::pin(patiently(create)).await {
            Ok(created) => Ok(created.server.context("no server in the answer")?.id),
            Err(Error::Refused(refusal)) => {
                let message = refusal.to_string();
                Err(anyhow::Error::new(Stopped::refused(&refusal)).context(message))
            }
            Err(error) => Err(error).context("creating the server"),
        }
    }
}

async fn member(endpoint: &str, operator: &Client, role: Role) -> anyhow::Result<Client> {
    let request = CreateApiKeyRequest {
        role: role.into(),
        name: "conformance".to_owned(),
        ..CreateApiKeyRequest::default()
    };
    let made = patiently(async || answer(operator.access().create_api_key(request.clone())).await)
        .await
        .context("creating a key")?;
    let key = Credential::new(&made.secret)?;
    Ok(Client::lazy(endpoint, key, &Options::default())?)
}

/// What a call made again is known by.
fn request_id() -> String {
    Uuid::new_v4().to_string()
}
