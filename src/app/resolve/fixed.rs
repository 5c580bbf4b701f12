//! Kinds whose headers do not end: what the administrator wrote is sent as it is.

use super::super::App;
use super::super::error::Result;
use super::super::vault::Unopened;
use crate::domain::resolution::{ConfigProblem, Outcome, Validity};
use crate::domain::secrets::HeaderSecret;
use crate::domain::servers::{ApiKey, CustomHeaders, Server};

type Opened = std::result::Result<Option<Vec<(String, HeaderSecret)>>, Unopened>;

impl App {
    pub(super) async fn resolve_api_key(
        &self,
        server: &Server,
        api_key: &ApiKey,
    ) -> Result<Outcome> {
        if api_key.per_user {
            return Ok(Outcome::MissingUserHeaders(vec![api_key.header.clone()]));
        }
        let opened = self.open_api_key(server).await;
        outcome(opened.map(|value| value.map(|value| vec![(api_key.header.clone(), value)])))
    }

    pub(super) async fn resolve_custom_headers(
        &self,
        server: &Server,
        custom: &CustomHeaders,
    ) -> Result<Outcome> {
        if !custom.user_headers.is_empty() {
            let names = custom.user_headers.iter().map(|header| header.name.clone());
            return Ok(Outcome::MissingUserHeaders(names.collect()));
        }
        outcome(self.open_custom_headers(server).await.map(Some))
    }
}

fn outcome(opened: Opened) -> Result<Outcome> {
    match opened {
        Ok(Some(found)) => Ok(headers(found)),
        Ok(None) => Ok(Outcome::ConfigError(ConfigProblem::SecretMissing)),
        Err(Unopened::Unreadable(_)) => Ok(Outcome::Unreadable),
        Err(error @ Unopened::Store(_)) => Err(error.into()),
    }
}

/// Headers that do not end.
pub(super) fn headers(headers: Vec<(String, HeaderSecret)>) -> Outcome {
    let validity = Validity {
        expires_at: None,
        credential_version: 0,
    };
    Outcome::Ready {
        headers,
        validity,
        warnings: Vec::new(),
    }
}
