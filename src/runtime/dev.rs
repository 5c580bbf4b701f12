//! What `serve --dev` does beyond serving: keys for a person who has just arrived, kept where the
//! command line finds them.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::service::local_url;
use super::{Error, Service, files};
use crate::app::{self, NewApiKey};
use crate::domain::access::{ApiKey, Caller, Credential, Narrowing, Role};
use crate::domain::secrets::ShownOnce;
use crate::domain::tenants::{DEFAULT_TENANT, TenantId};

/// What the command line needs to call this service.
#[derive(Debug)]
pub struct Profile {
    /// The file, readable for its owner only: `endpoint`, `api_key`, `daemon_api_key`.
    pub file: PathBuf,
    /// The first operator key, to be printed: only when it was made just now.
    pub admin_key: Option<ShownOnce>,
}

/// Makes an operator key and a daemon key on the first start and writes them to `cli.toml` in the
/// data directory; later keeps the endpoint there up to date. A file that is gone is not made
/// again once there is an operator key, since no key can be shown twice.
pub async fn profile(service: &Service, data_dir: &Path) -> Result<Profile, Error> {
    let file = data_dir.join("cli.toml");
    let endpoint = local_url(service.addresses().grpc)?.to_string();
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let stored = files::read(&file)?.and_then(|text| text.parse::<Table>().ok());
    let (mut table, admin_key) = match first_keys(service.app()).await? {
        Some((admin, daemon)) => {
            let admin = admin.show();
            let mut table = Table::new();
            table.insert("api_key".to_owned(), Value::String(admin.clone()));
            table.insert("daemon_api_key".to_owned(), Value::String(daemon.show()));
            (table, Some(ShownOnce::new(admin)))
        }
        None => (stored.clone().unwrap_or_default(), None),
    };
    table.insert("endpoint".to_owned(), Value::String(endpoint));
    if table.contains_key("api_key") && stored.as_ref() != Some(&table) {
        files::write(&file, &table.to_string())?;
    }
    Ok(Profile { file, admin_key })
}

/// The first operator key, and a daemon key made with it; `None` once there is one.
async fn first_keys(app: &app::App) -> Result<Option<(ShownOnce, ShownOnce)>, Error> {
    let Some((operator, admin)) = app.bootstrap("dev").await? else {
        return Ok(None);
    };
    let new = NewApiKey {
        role: Role::Daemon,
        name: "dev daemon".to_owned(),
        user: None,
        narrowing: Narrowing::default(),
        expires_at: None,
        once: None,
    };
    let made = app.create_api_key(&caller(operator)?, new).await?;
    let (_, daemon) = made.value;
    Ok(daemon.map(|daemon| (admin, daemon)))
}

/// The machine, calling with the operator key it has just made.
fn caller(key: ApiKey) -> Result<Caller, Error> {
    let tenant = TenantId::parse(DEFAULT_TENANT);
    Ok(Caller {
        tenant: tenant.map_err(|error| app::Error::Internal(Box::new(error)))?,
        role: key.role,
        credential: Credential::ApiKey(key.id),
        name: key.name,
        user: None,
        groups: None,
        narrowing: key.narrowing,
        expires_at: key.expires_at,
        request_id: "dev".to_owned(),
        address: None,
    })
}
