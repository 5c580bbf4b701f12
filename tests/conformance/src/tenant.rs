//! A tenant for one run. Ports come back, and with them issuers that an older tenant knows already.

use anyhow::Context as _;
use stationmaster::client::v1::{
    CreateApiKeyRequest, CreateServerRequest, CreateTenantRequest, Role, Server,
};
use stationmaster::client::{Client, Credential, Error, Options, answer};

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
            ..CreateTenantRequest::default()
        };
        answer(operator.tenants().create_tenant(request))
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
            ..CreateServerRequest::default()
        };
        let mut config = self.admin.config();
        match Box::pin(answer(config.create_server(request))).await {
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
    let made = answer(operator.access().create_api_key(request))
        .await
        .context("creating a key")?;
    let key = Credential::new(&made.secret)?;
    Ok(Client::lazy(endpoint, key, &Options::default())?)
}
