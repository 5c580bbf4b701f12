//! Kinds whose headers do not end: what the administrator wrote and what the user supplied is sent as
//! it is, in this order.

use super::super::App;
use super::super::error::Result;
use super::super::user_headers::owner;
use super::super::vault::Unopened;
use super::grant::{ASK_AGAIN, unavailable};
use crate::domain::resolution::{ConfigProblem, Outcome, Trouble, Validity};
use crate::domain::secrets::HeaderSecret;
use crate::domain::servers::{Auth, Server};
use crate::domain::text::UserId;
use crate::domain::user_headers::{HeaderValue, missing};

type Headers = Vec<(String, HeaderSecret)>;
type Opened<T> = std::result::Result<T, Unopened>;

/// What a user supplied for a server.
#[derive(Default)]
struct Held {
    values: Vec<HeaderValue>,
    version: i64,
}

impl App {
    /// The headers of an API key or of custom headers, or those that the user has yet to supply. The
    /// version grows with every change of the server and of what the user supplied.
    pub(in crate::app) async fn resolve_headers(
        &self,
        server: &Server,
        user: &UserId,
    ) -> Result<Outcome> {
        let Some(held) = self.held_for(server, user).await? else {
            return Ok(unavailable(Trouble::StillWorking, ASK_AGAIN));
        };
        let declared = server.spec.auth.user_headers();
        let find = |key: &str| held.values.iter().find(|value| value.name == key);
        let names = missing(&declared, |key| find(key).is_some());
        if !names.is_empty() {
            return Ok(Outcome::MissingUserHeaders(names));
        }
        let mut all = match self.open_ours(server).await {
            Ok(Some(ours)) => ours,
            Ok(None) => return Ok(Outcome::ConfigError(ConfigProblem::SecretMissing)),
            Err(Unopened::Unreadable(_)) => return Ok(Outcome::Unreadable),
            Err(error @ Unopened::Store(_)) => return Err(error.into()),
        };
        for header in &*declared {
            let Some(value) = find(&header.key()) else {
                continue;
            };
            match self.open_header_value(value).await {
                Ok(value) => all.push((header.name.clone(), value)),
                Err(Unopened::Unreadable(_)) => return Ok(Outcome::Unreadable),
                Err(error @ Unopened::Store(_)) => return Err(error.into()),
            }
        }
        Ok(unending(all, server.version + held.version))
    }

    /// What the user supplied for a server; `None` where the server is not as it was read: values that
    /// came since may be for another place.
    async fn held_for(&self, server: &Server, user: &UserId) -> Result<Option<Held>> {
        let (tenant, owner) = (&server.tenant, owner(user, server.id));
        let mut tx = self.0.store.read().await?;
        let mut held = Held::default();
        if !server.spec.auth.user_headers().is_empty() {
            let now = tx.servers().get(tenant, server.id).await?;
            let which = |server: &Server| (server.created_at, server.auth_version);
            if now.is_none_or(|now| which(&now) != which(server)) {
                return Ok(None);
            }
            held.values = tx.user_headers().list(tenant, &owner).await?;
        }
        held.version = tx.user_headers().version(tenant, &owner).await?;
        Ok(Some(held))
    }

    /// The administrator's headers; `None` where a value is missing.
    async fn open_ours(&self, server: &Server) -> Opened<Option<Headers>> {
        match &server.spec.auth {
            Auth::ApiKey(api_key) if !api_key.per_user => {
                let value = self.open_api_key(server).await?;
                Ok(value.map(|value| vec![(api_key.header.clone(), value)]))
            }
            Auth::CustomHeaders(_) => self.open_custom_headers(server).await.map(Some),
            Auth::None
            | Auth::OAuth2(_)
            | Auth::ApiKey(_)
            | Auth::UserOidc(_)
            | Auth::ClientCredentials(_)
            | Auth::Enterprise(_)
            | Auth::Workload(_) => Ok(Some(Vec::new())),
        }
    }
}

/// Headers that do not end.
pub(in crate::app) fn unending(headers: Headers, credential_version: i64) -> Outcome {
    let validity = Validity {
        expires_at: None,
        credential_version,
    };
    Outcome::Ready {
        headers,
        validity,
        warnings: Vec::new(),
    }
}
