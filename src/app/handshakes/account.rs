//! What a server demands of a grant before it is kept: that nothing changed which the grant rests on, and
//! that the upstream account is the user's own where it says so.

use std::borrow::Cow;
use std::time::Duration;

use tracing::info;

use super::super::App;
use super::super::rediscovery::awaits_approval;
use crate::domain::accounts::{AccountBinding, DEFAULT_CLAIM, Verdict};
use crate::domain::authorization::TokenSet;
use crate::domain::handshakes::{Failure, Handshake};
use crate::domain::servers::Server;
use crate::oauth::{Person, UserInfo, user_info};

/// How long the `UserInfo` endpoint is waited for: the code is spent by then, and what is left of the lease and
/// of a process that ends is for storing what came of it.
const USERINFO_PATIENCE: Duration = Duration::from_secs(2);

/// Whether a server still takes what comes of a handshake.
pub(super) fn still_takes(server: &Server, handshake: &Handshake) -> bool {
    let spec = &server.spec;
    let admitted = !spec.access.shuts_out(handshake.user.as_str());
    let same = server.auth_version == handshake.auth_version;
    admitted && spec.enabled && same && !awaits_approval(server)
}

/// The server that takes the grant of a handshake, and whether it wants the grant marked as that of
/// another account.
pub(super) fn takes_grant(
    server: Option<Server>,
    handshake: &Handshake,
) -> Result<(Server, bool), Failure> {
    let server = server
        .filter(|server| still_takes(server, handshake))
        .ok_or(Failure::ServerChanged)?;
    // What another claim says is not what is asked for now.
    let claim = claim_of(handshake);
    let account = handshake.account.as_deref();
    let judge = |binding: &AccountBinding| {
        binding.judge(&handshake.user, account.filter(|_| claim == binding.claim))
    };
    match server.spec.account_binding.as_ref().map(judge) {
        None | Some(Verdict::Fine) => Ok((server, false)),
        Some(Verdict::Differs) => Ok((server, true)),
        Some(Verdict::Refused) => Err(Failure::AccountMismatch),
    }
}

/// The claim that names the account of a handshake.
fn claim_of(handshake: &Handshake) -> &str {
    let asked = handshake.snapshot.account_claim.as_deref();
    asked.unwrap_or(DEFAULT_CLAIM)
}

impl App {
    /// The upstream account of a grant: what the ID token says or, where a server asks whose it is and there is
    /// none, or none that says so, the issuer's `UserInfo` endpoint. That it cannot be told is no failure of
    /// the grant.
    pub(super) async fn upstream_account(
        &self,
        handshake: &Handshake,
        tokens: &TokenSet,
        server_url: &str,
    ) -> Option<String> {
        let told = self.person(handshake, tokens, server_url).await;
        let account = told.and_then(|person| {
            let account = person.account(claim_of(handshake));
            account.ok_or("nothing names an account by the claim that is asked for".into())
        });
        // Who does not ask need not be told why there is no answer.
        if handshake.snapshot.account_claim.is_some()
            && let Err(why) = &account
        {
            info!(handshake.id = %handshake.id, %why, "whose account was connected is not known");
        }
        account.ok()
    }

    /// Whoever signed in, as far as the issuer says.
    async fn person(
        &self,
        handshake: &Handshake,
        tokens: &TokenSet,
        server_url: &str,
    ) -> Result<Person, Cow<'static, str>> {
        let snapshot = &handshake.snapshot;
        let issuer = snapshot.issuer.as_ref().ok_or("no issuer is known")?;
        let known = match &tokens.id_token {
            None => None,
            Some(token) => {
                let now = self.0.clock.now();
                let person = Person::of_token(token, issuer, &snapshot.client_id, now);
                // One that is not for us speaks of somebody; nothing else does then.
                Some(person.ok_or("the ID token is not for us, or over")?)
            }
        };
        if let Some(person) = known
            .as_ref()
            .filter(|known| known.says(claim_of(handshake)))
        {
            return Ok(person.clone());
        }
        let url = snapshot.userinfo_endpoint.as_deref();
        let ask = UserInfo {
            url: url.ok_or("no ID token says so, and there is no userinfo endpoint to ask")?,
            on_behalf_of: server_url,
            deadline: USERINFO_PATIENCE.min(self.0.settings.request_timeout),
        };
        let told = user_info(&self.0.fetch, ask, &tokens.access_token, known.as_ref()).await;
        told.map_err(|error| error.to_string().into())
    }
}
