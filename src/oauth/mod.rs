//! OAuth as a client speaks it: finding the authorization server, registering, building the
//! request the browser carries, redeeming, revoking. Stateless, over [`crate::fetch`]; decides
//! nothing that needs memory, which is `app`'s.
//!
//! Invariants: issuers and resources are compared and sent as the exact strings they were published
//! as; no error and no `Debug` holds a token, a secret or a foreign body; a request that redeems
//! something is written at most once.
//!
//! In order of use: [`discover`], [`choose_scopes`], [`register`], [`authorization_url`],
//! [`exchange`], [`user_info`], [`refresh`], [`token_exchange`], [`renew_registration`], [`revoke`],
//! [`unregister`].

mod answer;
mod assertion;
mod authorize;
mod bridge;
mod dialect;
mod discovery;
mod error;
mod exchange;
#[cfg(test)]
mod foreign;
mod identity;
mod issuer_keys;
mod jwt;
mod lifetime;
mod login;
mod metadata;
mod outcome;
mod places;
mod profiles;
mod registration;
mod renewal;
mod report;
mod revocation;
mod scopes;
mod target;
mod token;

pub use answer::OTHER_TYPE;
pub use assertion::{Claims, Unsigned};
pub use authorize::{AuthorizationRequest, authorization_url, is_reserved, pkce_verifier};
pub use bridge::{ClientAuth, Endpoint};
pub use dialect::{Dialect, Meaning, OfflineAccess, ResourceParameter};
pub use discovery::{Discovery, discover, look_at_resource};
pub use error::Error;
pub use exchange::{ExchangeGrant, token_exchange};
pub use identity::{Person, UserInfo, user_info};
pub use issuer_keys::{IssuerKeys, PublishedKeys, issuer_keys};
pub use login::{access_token_ends, id_token_ends, is_of_another, issuer_token_endpoint};
pub use outcome::{About, Lost, Outcome, Refused};
pub use profiles::{ProfileError, Profiles};
pub use registration::{NewClient, RegisteredClient, client_document, register};
pub use renewal::{ManagedClient, RenewedClient, SecretEnd, renew_registration};
pub use report::{Attempt, Finding, Report, Sought};
pub use revocation::{Revocation, Revoked, revoke, unregister};
pub use scopes::choose_scopes;
pub use target::{ForeignEndpoints, Hint, Legacy, MissingPkce, Purpose, Target, may_name};
pub use token::{CodeGrant, OwnGrant, RefreshGrant, client_credentials, exchange, refresh};
