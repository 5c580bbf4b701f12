//! Callers by JWT, and the tokens of users that daemons bring along. What a token says counts only
//! once its signature was verified with a key of the issuer that it names, and as far as the deployment
//! lets that issuer speak (`domain/issuers.rs`). Nothing of a refused token is told or logged.

use serde_json::Value;

use super::{Known, SecretText};
use crate::app::App;
use crate::app::error::{Error, Result};
use crate::domain::access::{Caller, Credential, Narrowing, Role};
use crate::domain::authorization::Issuer;
use crate::domain::issuers::Holder;
use crate::domain::jws::Jws;
use crate::store::Read;

impl App {
    /// Who holds a token, and a transaction that was begun when that was known.
    pub(super) async fn recognise_token(&self, text: &SecretText<'_>) -> Result<(Known, Read)> {
        let (issuer, holder) = self.read_token(text, None).await?;
        let known = Known {
            home: holder.tenant,
            role: holder.role,
            name: holder.subject.clone(),
            groups: holder.user.is_some().then(|| holder.groups.into()),
            user: holder.user,
            credential: Credential::Jwt {
                issuer,
                subject: holder.subject,
            },
            narrowing: Narrowing::default(),
            expires_at: Some(holder.ends),
            last_used_at: None,
        };
        Ok((known, self.0.store.read().await?))
    }

    /// Binds a daemon's call to the user whose token accompanies it; an administrator who is a user too is
    /// that user here.
    pub(super) async fn accompany(&self, caller: &mut Caller, text: &SecretText<'_>) -> Result<()> {
        let read = self.read_token(text, Some(Role::User)).await;
        // Which of two credentials is at fault must be told.
        if let Err(Error::CredentialsInvalid) = read {
            return Err(Error::UserTokenRequired);
        }
        let (_, holder) = read?;
        let is_ours = holder.tenant.as_ref() == Some(&caller.tenant);
        let user = holder.user.filter(|_| is_ours);
        let user = user.ok_or(Error::UserTokenRequired)?;
        if !caller.may_act_for(&user) {
            return Err(Error::UserNotAllowed);
        }
        caller.user = Some(user);
        caller.groups = Some(holder.groups.into());
        let ends = caller.expires_at.into_iter().chain([holder.ends]).min();
        caller.expires_at = ends;
        Ok(())
    }

    /// What a token says, and who issued it. What can be known without the issuer's keys is seen first,
    /// so that nobody makes us ask for them with what would be refused anyway.
    async fn read_token(
        &self,
        text: &SecretText<'_>,
        wanted: Option<Role>,
    ) -> Result<(Issuer, Holder)> {
        let refused = |why: &dyn std::fmt::Display| {
            tracing::debug!("a token was refused: {why}");
            Error::CredentialsInvalid
        };
        let token = Jws::parse(text.0);
        let token = token.ok_or_else(|| refused(&"it is no JWT that is signed with a key pair"))?;
        let issuer = token.claims.get("iss").and_then(Value::as_str);
        let trusted = issuer.and_then(|issuer| self.0.settings.issuers.find(&Issuer::new(issuer)));
        let trusted = trusted.ok_or_else(|| refused(&"its issuer is not trusted"))?;
        if !trusted.algorithms.contains(&token.algorithm) {
            return Err(refused(&"its issuer is not to sign by its algorithm"));
        }
        let holder = trusted
            .read(&token.claims, self.0.clock.now(), wanted)
            .map_err(|unfit| refused(&unfit))?;
        let keys = self.keys_for(trusted, &token).await?;
        if !keys.verify(&token) {
            return Err(refused(&"it is not signed with a key of its issuer"));
        }
        Ok((trusted.issuer.clone(), holder))
    }
}
