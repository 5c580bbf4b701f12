//! The service as its callers meet it: clients with keys, and what a refusal says.

use std::fmt::Debug;

use stationmaster::client::v1;
use stationmaster::client::{self, Client, Credential, Error, Options, Refusal};

use super::service::TestService;

impl TestService {
    /// A client with this key.
    pub(crate) async fn client(&self, key: &str) -> Client {
        self.client_in(key, None).await
    }

    /// A client with this key that names a tenant. The service's own runtime drives it, as
    /// [`Self::channel_to`] says.
    pub(crate) async fn client_in(&self, key: &str, tenant: Option<&str>) -> Client {
        let endpoint = self.grpc_url();
        let credential = Credential::new(key).unwrap();
        let options = Options {
            tenant: tenant.map(str::to_owned),
            ..Options::default()
        };
        let connecting = self
            .runtime()
            .spawn(async move { Client::connect(&endpoint, credential, &options).await });
        connecting.await.unwrap().unwrap()
    }

    /// A new key, as an operator makes it in a tenant.
    pub(crate) async fn key_in(&self, tenant: Option<&str>, role: v1::Role, user: &str) -> String {
        let operator = self.client_in(self.admin_key(), tenant).await;
        let request = v1::CreateApiKeyRequest {
            role: role.into(),
            name: "a test's".to_owned(),
            narrowing: Some(v1::ApiKeyNarrowing {
                user: user.to_owned(),
                ..v1::ApiKeyNarrowing::default()
            }),
            ..v1::CreateApiKeyRequest::default()
        };
        let made = client::answer(operator.access().create_api_key(request)).await;
        made.unwrap().secret
    }

    /// A client of this role in the default tenant; `user` is empty but for a user's own key.
    pub(crate) async fn client_as(&self, role: v1::Role, user: &str) -> Client {
        let key = self.key_in(None, role, user).await;
        self.client(&key).await
    }
}

/// A user without groups.
#[expect(clippy::unnecessary_wraps, reason = "as every message takes it")]
pub(crate) fn actor(user: &str) -> Option<v1::Actor> {
    Some(v1::Actor {
        user: user.to_owned(),
        groups: Vec::new(),
    })
}

/// What the service said when it refused a call.
pub(crate) fn refusal<T: Debug>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => *refusal,
        other => panic!("a refusal was expected: {other:?}"),
    }
}

/// The reason of a refusal.
pub(crate) fn reason<T: Debug>(result: Result<T, Error>) -> String {
    refusal(result).reason
}

/// The fields that a refusal complains of.
pub(crate) fn fields<T: Debug>(result: Result<T, Error>) -> Vec<String> {
    let refusal = refusal(result);
    assert_eq!(refusal.reason, "INVALID_ARGUMENT", "{refusal:?}");
    let violations = refusal.field_violations.into_iter();
    violations.map(|violation| violation.field).collect()
}
