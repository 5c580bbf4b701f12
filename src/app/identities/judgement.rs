//! What becomes of a deposit beside a login that is held already. Pure.

use super::Deposit;
use crate::domain::connections::Status;
use crate::domain::identities::Identity;
use crate::domain::secrets::RefreshToken;
use crate::domain::servers::IdentityToken;
use crate::domain::time::Timestamp;

/// What becomes of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What there is stays: nothing new was brought, or nothing better.
    Keep,
    /// It takes the place of what there is.
    Take,
    /// The same, but its refresh token may be spent, and is not taken.
    TakeUnrenewable,
    /// Its ID token is, beside what there is.
    TakeIdToken,
}

/// What a deposit is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) identity: &'a Identity,
    /// Whether its tokens can be opened.
    pub(super) opens: bool,
    /// Whether there is a client to renew it by.
    pub(super) has_client: bool,
    pub(super) now: Timestamp,
}

impl Beside<'_> {
    /// Whether it is renewed here, as far as can be told.
    fn renews(&self) -> bool {
        let life = &self.identity.life;
        let ended = matches!(life.status, Status::ReconnectRequired(_));
        let refused = life.client_refused || !self.has_client;
        life.renewable && self.opens && !ended && !refused
    }

    /// Whether each kind of token that a deposit brings lives here as well, or is renewed: a login that is renewed
    /// is better than tokens that end.
    fn does_as_well(&self, deposit: &Deposit) -> bool {
        let lives = |kind| self.identity.living(kind, self.now).is_some();
        let does = |brought: bool, comes| !brought || comes;
        let access = self.renews();
        let id = self.renews() && lives(IdentityToken::Id);
        does(deposit.access_token.is_some(), access) && does(deposit.id_token.is_some(), id)
    }
}

impl Deposit {
    /// What becomes of it beside what is held.
    pub(super) fn judge(&self, held: &Beside<'_>) -> Verdict {
        let Beside {
            identity, opens, ..
        } = *held;
        if opens && self.digest() == identity.deposit_hash {
            return Verdict::Keep;
        }
        let brings = self.access_token.is_some() || self.id_token.is_some();
        if let Some(hash) = self.refresh_token.as_ref().map(RefreshToken::hash) {
            let life = &identity.life;
            let unspent = life.renewable && life.attempts == 0;
            let is_held = unspent && identity.refresh_hashes.first() == Some(&hash);
            let is_new = !identity.refresh_hashes.contains(&hash);
            if is_new || is_held && (brings || !opens) {
                return Verdict::Take;
            }
        }
        if !brings || held.does_as_well(self) {
            return Verdict::Keep;
        }
        // An ID token that no renewal brings is taken beside what renews the rest.
        if held.renews() && self.id_token.is_some() && identity.life.attempt.is_none() {
            return Verdict::TakeIdToken;
        }
        if held.renews() {
            Verdict::Keep
        } else {
            Verdict::TakeUnrenewable
        }
    }
}
