//! Users' own logins, as they are deposited and told of: never with their tokens.

use super::convert::{actor, all, optional_line, time, timestamp};
use super::imports::{ACCESS, REFRESH, secret};
use crate::app::{App, Deposit, Result};
use crate::domain::access::Caller;
use crate::domain::authorization::Issuer;
use crate::domain::identities::Identity;
use crate::domain::secrets::{AccessToken, IdToken, RefreshToken};
use crate::domain::text::{self, Violations};
use crate::pb::v1 as pb;

const MAX_URL: usize = 2048;

/// An identity as it is told.
fn identity(identity: &Identity) -> pb::UserIdentity {
    pb::UserIdentity {
        user: identity.user.to_string(),
        issuer: identity.issuer.to_string(),
        has_access_token: identity.access_token.is_some(),
        has_id_token: identity.id_token.is_some(),
        renewable: identity.life.renewable,
        expire_time: identity.access_token_ends.map(timestamp),
        id_token_expire_time: identity.id_token_ends.map(timestamp),
        generation: identity.life.generation,
        update_time: Some(timestamp(
            identity.refreshed_at.unwrap_or(identity.deposited_at),
        )),
    }
}

/// Deposits one.
pub(super) async fn put(
    app: &App,
    caller: &Caller,
    ask: pb::PutUserIdentityRequest,
) -> Result<pb::PutUserIdentityResponse> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    let issuer = found.keep("issuer", text::required(&ask.issuer, MAX_URL));
    let access_token = secret(&mut found, "access_token", ask.access_token, ACCESS);
    let id_token = secret(&mut found, "id_token", ask.id_token, ACCESS);
    let refresh_token = secret(&mut found, "refresh_token", ask.refresh_token, REFRESH);
    if access_token.is_none() && id_token.is_none() && refresh_token.is_none() {
        found.add("access_token", "is required, unless there is another token");
    }
    if ask.expire_time.is_some() && access_token.is_none() {
        found.add(
            "expire_time",
            "is that of an access token, and there is none",
        );
    }
    let expires_at = time(&mut found, "expire_time", ask.expire_time);
    let (actor, issuer) = all(found, actor.zip(issuer))?;
    let deposit = Deposit {
        actor,
        issuer: Issuer::new(issuer),
        access_token: access_token.map(AccessToken::new),
        id_token: id_token.map(IdToken::new),
        refresh_token: refresh_token.map(RefreshToken::new),
        expires_at,
    };
    let written = app.put_identity(caller, deposit).await?;
    Ok(pb::PutUserIdentityResponse {
        identity: Some(identity(&written.value)),
        revision: written.revision.0,
    })
}

/// Forgets those of a user.
pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    ask: pb::DeleteUserIdentityRequest,
) -> Result<pb::DeleteUserIdentityResponse> {
    let mut found = Violations::new();
    let actor = actor(&mut found, caller, ask.actor);
    let issuer = optional_line(&mut found, "issuer", &ask.issuer, MAX_URL);
    let actor = all(found, actor)?;
    let issuer = issuer.map(Issuer::new);
    let revision = app.delete_identity(caller, &actor, issuer.as_ref()).await?;
    Ok(pb::DeleteUserIdentityResponse {
        revision: revision.0,
    })
}
