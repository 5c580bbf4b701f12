//! What travels with every call: credential, tenant, deadline, request id.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{GrpcMethod, Request, Status};

use super::Error;
use crate::domain::random::{self, Random, SystemRandom};

/// Where the deadline of a call stands.
const DEADLINE: &str = "grpc-timeout";
/// Where a user's own token stands.
const USER_TOKEN: &str = "stationmaster-user-token";
/// Where the id of a request stands.
const REQUEST_ID: &str = "x-request-id";

/// An API key or a JWT, ready to be sent. Never shown: `Debug` is redacted.
///
/// It holds the header itself, since that is the only form a call needs it in.
#[derive(Clone)]
pub struct Credential(MetadataValue<Ascii>);

impl Credential {
    /// Takes a key as it was shown, or a JWT; white space around it is dropped. What cannot stand
    /// in a header is [`Error::Credential`].
    pub fn new(key: &str) -> Result<Self, Error> {
        let key = key.trim();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Error::Credential);
        }
        let bearer: Result<MetadataValue<Ascii>, _> = format!("Bearer {key}").parse();
        let mut bearer = bearer.map_err(|_| Error::Credential)?;
        bearer.set_sensitive(true);
        Ok(Self(bearer))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

/// A call that the user's own JWT accompanies, of a daemon that has it: the user is the token's then, and
/// so are the groups, whatever its actor says. What cannot stand in a header is [`Error::Credential`].
pub fn with_user_token<T>(token: &str, message: T) -> Result<Request<T>, Error> {
    let token = token.trim();
    let value: Result<MetadataValue<Ascii>, _> = token.parse();
    let mut value = value.map_err(|_| Error::Credential)?;
    if token.is_empty() {
        return Err(Error::Credential);
    }
    value.set_sensitive(true);
    let mut request = Request::new(message);
    request.metadata_mut().insert(USER_TOKEN, value);
    Ok(request)
}

/// Puts metadata on every call. What a call carries already is left as it is.
#[derive(Debug, Clone)]
pub struct Calls {
    credential: Credential,
    tenant: Option<MetadataValue<Ascii>>,
    deadline: Duration,
    random: Arc<SystemRandom>,
}

impl Calls {
    /// For one credential; a tenant's name that cannot stand in a header is [`Error::Tenant`].
    pub(super) fn new(
        credential: Credential,
        tenant: Option<&str>,
        deadline: Duration,
    ) -> Result<Self, Error> {
        let tenant = tenant.map(str::parse).transpose();
        Ok(Self {
            credential,
            tenant: tenant.map_err(|_| Error::Tenant)?,
            deadline,
            random: Arc::new(SystemRandom::new()),
        })
    }

    fn request_id(&self) -> Option<MetadataValue<Ascii>> {
        let random: &dyn Random = &*self.random;
        random::token(random).parse().ok()
    }
}

impl Interceptor for Calls {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !request.metadata().contains_key(DEADLINE) && !is_watch(&request) {
            request.set_timeout(self.deadline);
        }
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.credential.0.clone());
        if let Some(tenant) = &self.tenant {
            metadata.insert("stationmaster-tenant", tenant.clone());
        }
        if !metadata.contains_key(REQUEST_ID)
            && let Some(id) = self.request_id()
        {
            metadata.insert(REQUEST_ID, id);
        }
        Ok(request)
    }
}

/// Whether the call is a stream that lasts as long as somebody listens.
fn is_watch(request: &Request<()>) -> bool {
    let method = request.extensions().get::<GrpcMethod<'static>>();
    method.is_some_and(|method| method.method().starts_with("Watch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(tenant: Option<&str>) -> Calls {
        let credential = Credential::new(" stm_hush\n").unwrap();
        Calls::new(credential, tenant, Duration::from_secs(5)).unwrap()
    }

    fn sent(method: &'static str, request: Request<()>) -> Request<()> {
        let mut request = request;
        let service = "stationmaster.v1.TokenService";
        let extensions = request.extensions_mut();
        extensions.insert(GrpcMethod::new(service, method));
        calls(Some("acme")).call(request).unwrap()
    }

    #[test]
    fn every_call_carries_credential_tenant_deadline_and_request_id() {
        let sent = sent("Disconnect", Request::new(()));

        let metadata = sent.metadata();
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer stm_hush");
        assert_eq!(metadata.get("stationmaster-tenant").unwrap(), "acme");
        assert_eq!(metadata.get(DEADLINE).unwrap(), "5000000u");
        assert_eq!(metadata.get(REQUEST_ID).unwrap().len(), 43);
    }

    #[test]
    fn what_a_call_says_itself_is_kept() {
        let mut request = Request::new(());
        request.set_timeout(Duration::from_secs(1));
        request
            .metadata_mut()
            .insert(REQUEST_ID, "mine".parse().unwrap());

        let sent = sent("Disconnect", request);

        assert_eq!(sent.metadata().get(DEADLINE).unwrap(), "1000000u");
        assert_eq!(sent.metadata().get(REQUEST_ID).unwrap(), "mine");
    }

    #[test]
    fn a_users_token_goes_beside_the_key() {
        let request = with_user_token(" e30.hush.x\n", ()).unwrap();
        let shown = format!("{request:?}");
        let sent = sent("ResolveCredentials", request);

        let metadata = sent.metadata();
        assert_eq!(metadata.get(USER_TOKEN).unwrap(), "e30.hush.x");
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer stm_hush");
        assert!(!shown.contains("hush"), "{shown}");
        for bad in ["", " ", "a\nb"] {
            let refused = with_user_token(bad, ());
            assert!(matches!(refused, Err(Error::Credential)), "{bad:?}");
        }
    }

    #[test]
    fn a_watch_has_no_deadline() {
        let sent = sent("WatchConnections", Request::new(()));

        assert!(!sent.metadata().contains_key(DEADLINE));
    }

    #[test]
    fn neither_credential_nor_header_is_shown() {
        let mut calls = calls(None);
        let request = calls.call(Request::new(())).unwrap();

        let shown = format!("{calls:?} {request:?}");

        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_key_with_a_line_break_is_refused() {
        for bad in ["", " ", "a\nb", "a b", "schlüssel"] {
            assert!(
                matches!(Credential::new(bad), Err(Error::Credential)),
                "{bad:?}"
            );
        }
    }
}
