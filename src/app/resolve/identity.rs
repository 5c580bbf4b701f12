//! Whom a request is for, said to the server that it goes to: headers, the signed token, and what the
//! daemon signs by. Only to servers that opted in, and only beside everything else that is needed: a
//! request without its credential says nothing of anybody.

use super::super::App;
use super::super::error::Result;
use super::super::vault::Unopened;
use super::Wanted;
use crate::domain::forwarding::{IdentityContext, Signing};
use crate::domain::headers;
use crate::domain::identity_tokens::LIFETIME;
use crate::domain::resolution::{Outcome, Warning};
use crate::domain::servers::Server;
use crate::domain::text::UserId;

impl App {
    /// Adds to what a server that is ready is sent whom the request is for. What authorizes wins over it,
    /// where both have a header of the same name.
    pub(super) async fn identified(
        &self,
        server: &Server,
        (owner, context): (&UserId, &IdentityContext),
        (outcome, wanted): (Outcome, Wanted),
    ) -> Result<(Outcome, Option<Signing>)> {
        let Outcome::Ready {
            headers: mut sent,
            mut validity,
            mut warnings,
        } = outcome
        else {
            return Ok((outcome, None));
        };
        let mut signing = None;
        if server.spec.forward_identity_headers {
            // Headers that shall be signed and are not would be refused, at best.
            let secret = match self.open_signing_secret(server).await {
                Ok(secret) => secret,
                Err(Unopened::Unreadable(_)) => return Ok((Outcome::Unreadable, None)),
                Err(error @ Unopened::Store(_)) => return Err(error.into()),
            };
            let forwarding = server.spec.identity_forwarding.clone().unwrap_or_default();
            let names = forwarding.signature_headers();
            let free = !names.iter().any(|name| headers::has(&sent, name));
            let said = forwarding.add_to(&mut sent, owner, context);
            signing = secret.filter(|_| free).map(|secret| Signing {
                secret,
                headers: names,
                said,
            });
            if forwarding.signed_token && !headers::has(&sent, &forwarding.token_header) {
                let (token, end) = self.identity_token(server, owner, context).await?;
                sent.push((forwarding.token_header, token));
                validity.expires_at = Some(validity.expires_at.map_or(end, |other| other.min(end)));
                let short = LIFETIME < wanted.min_valid_for;
                if short && !warnings.contains(&Warning::ShorterThanAsked) {
                    warnings.push(Warning::ShorterThanAsked);
                }
            }
        }
        let outcome = Outcome::Ready {
            headers: sent,
            validity,
            warnings,
        };
        Ok((outcome, signing))
    }
}
