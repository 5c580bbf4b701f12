//! The gRPC client: what our command line and daemons written in Rust speak to the service with.
//!
//! [`Client`] holds one connection and hands out the generated clients, each of which sends
//! credential, tenant, deadline and request id with every call. [`answer`] takes a call to its
//! answer, or to an [`Error`] that says everything the service said about a failure.
//!
//! Knows nothing of the server's insides: it imports the generated messages and `domain` only.
//! [`v1`] has the messages; [`json`] writes any of them as JSON; [`tools`] decides which tools of a server a
//! model may call, under which names, and asks it why; [`signing`] signs requests to servers that want that.
//!
//! ```no_run
//! use stationmaster::client::{self, Client, Credential, Options, v1};
//!
//! # async fn turn(key: String) -> Result<(), client::Error> {
//! let key = Credential::new(&key)?;
//! let client = Client::lazy("http://127.0.0.1:7400", key, &Options::default())?;
//!
//! let request = v1::ResolveCredentialsRequest {
//!     actor: Some(v1::Actor { user: "alice".to_owned(), groups: vec![] }),
//!     servers: vec!["tools".to_owned()],
//!     ..Default::default()
//! };
//! for server in client::answer(client.tokens().resolve_credentials(request)).await?.servers {
//!     if server.status() == v1::ServerStatus::Ready {
//!         // Send `server.headers`, exactly as given, to `server.url`.
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod calls;
mod connect;
mod error;
mod intent;
pub mod json;
pub mod signing;
pub mod tools;

pub use calls::{Calls, Credential, with_user_token};
pub use connect::{Client, Options, Service};
pub use error::{Code, Error, FieldViolation, Refusal, code_name};

/// The messages of the API. `proto/stationmaster/v1` documents them field by field.
pub use crate::pb::v1;

/// A call's answer without the metadata around it.
///
/// Every failure is an [`Error`]: [`Error::Refused`] with what the service said, or
/// [`Error::Interrupted`] when no answer of the service arrived.
pub async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Error> {
    match call.await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(status.into()),
    }
}
