//! Upstream accounts: whom a user's grant speaks for at its provider, and what a server demands of it.
//!
//! Nobody but the authorization server knows whose account was signed in at the consent page. A user
//! may have taken another one by mistake; somebody who was led to open another user's link takes their own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text::UserId;

/// The claim that names an account where nobody chose another one (`OpenID` Connect Core 1.0, section
/// 5.1).
pub const DEFAULT_CLAIM: &str = "email";

/// Whether what claims say of `email_verified` makes their mail address nobody's: it is whoever's who typed it
/// (`OpenID` Connect Core 1.0, section 5.1). Some write the truth value as a text.
pub fn is_unverified(email_verified: Option<&Value>) -> bool {
    email_verified.is_some_and(|said| said.as_bool() != Some(true) && said.as_str() != Some("true"))
}

/// What happens to a grant whose account is not the user's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountPolicy {
    /// It is stored.
    Accept,
    /// It is stored, and marked.
    Warn,
    /// It is not stored.
    Refuse,
}

/// Whether the account that a user connects must be their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountBinding {
    /// What happens when it is not.
    pub policy: AccountPolicy,
    /// The claim that names the account.
    pub claim: String,
}

/// What a server says to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it is the user's own, or nobody asks.
    Fine,
    /// The grant is stored and marked.
    Differs,
    /// The grant is not stored.
    Refused,
}

impl AccountBinding {
    /// Judges the account a user connected. One that is not known is not the user's own.
    pub fn judge(&self, user: &UserId, account: Option<&str>) -> Verdict {
        let own = account.is_some_and(|account| self.names(account, user.as_str()));
        match self.policy {
            AccountPolicy::Accept => Verdict::Fine,
            AccountPolicy::Warn | AccountPolicy::Refuse if own => Verdict::Fine,
            AccountPolicy::Warn => Verdict::Differs,
            AccountPolicy::Refuse => Verdict::Refused,
        }
    }

    /// Whether an account is a user's. Mail addresses are people's own whatever case they are written in;
    /// all else is an identifier, which is exact.
    fn names(&self, account: &str, user: &str) -> bool {
        if self.claim == DEFAULT_CLAIM {
            account.eq_ignore_ascii_case(user)
        } else {
            account == user
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_judged_by_policy_and_claim() {
        use AccountPolicy::{Accept, Refuse, Warn};
        let (mine, others) = (Some("ann@a.test"), Some("bob@a.test"));
        for (policy, claim, account, verdict) in [
            (Accept, "email", others, Verdict::Fine),
            (Accept, "email", None, Verdict::Fine),
            (Warn, "email", mine, Verdict::Fine),
            (Warn, "email", Some("Ann@A.test"), Verdict::Fine),
            (Warn, "email", others, Verdict::Differs),
            (Warn, "email", None, Verdict::Differs),
            (Refuse, "email", mine, Verdict::Fine),
            (Refuse, "email", others, Verdict::Refused),
            (Refuse, "email", None, Verdict::Refused),
            (Refuse, "sub", mine, Verdict::Fine),
            (Refuse, "sub", Some("Ann@A.test"), Verdict::Refused),
            (Refuse, "email", Some(""), Verdict::Refused),
        ] {
            let binding = AccountBinding {
                policy,
                claim: claim.to_owned(),
            };
            let user = UserId::parse("ann@a.test").unwrap();

            assert_eq!(
                binding.judge(&user, account),
                verdict,
                "{binding:?} {account:?}"
            );
        }
    }
}
