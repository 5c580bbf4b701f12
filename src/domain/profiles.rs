//! Provider profiles: what is known of a provider that its metadata does not say. Data, not code:
//! found by the issuer of a grant, or named on a server.

use std::time::Duration;

/// How a provider treats refresh tokens and grants. What is not known is taken to be the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Profile {
    /// A refresh token stays good when it is redeemed: presenting it twice does no harm.
    pub keeps_refresh_tokens: bool,
    /// For so long after it was redeemed, a refresh token is taken once more without harm.
    pub replay_grace: Option<Duration>,
    /// A grant that is not renewed for so long is forgotten by the provider.
    pub idle_limit: Option<Duration>,
    /// Revoking one grant leaves alone the others of the same client and user.
    pub independent_grants: bool,
}
