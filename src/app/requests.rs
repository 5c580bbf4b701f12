//! Idempotent creation (AIP-155): the same call with the same request id answers what it created.

use super::error::{Error, Result};
use crate::domain::access::Caller;
use crate::domain::secrets::SecretHash;
use crate::store::{NewRequest, Read};

/// A caller's id for a creation, with a hash of everything it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The id, a UUID in canonical form.
    pub request_id: String,
    /// The hash of the request.
    pub fingerprint: SecretHash,
}

impl Once {
    /// The request as the store keeps it.
    pub(super) fn of<'a>(&'a self, caller: &'a Caller, principal: &'a str) -> NewRequest<'a> {
        NewRequest {
            tenant: &caller.tenant,
            principal,
            request_id: &self.request_id,
            fingerprint: self.fingerprint,
        }
    }
}

/// The id of what this request made before, if it was served; the same id for another request is
/// refused.
pub(super) async fn served(tx: &mut Read, request: &NewRequest<'_>) -> Result<Option<String>> {
    match tx.requests().get(request).await? {
        Some(past) if past.fingerprint == request.fingerprint => Ok(Some(past.subject)),
        Some(_) => Err(Error::RequestIdReused),
        None => Ok(None),
    }
}
