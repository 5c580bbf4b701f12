//! What a server may demand of the accounts that its users connect.

use super::super::accounts::AccountPolicy;
use super::super::text::{self, Violations};
use super::{Auth, Spec};

const FIELD: &str = "server.account_binding";
const MAX_CLAIM: usize = 64;

/// Notes a demand that nobody can meet.
pub(super) fn check_account_binding(found: &mut Violations, spec: &Spec) {
    let Some(binding) = &spec.account_binding else {
        return;
    };
    let claim = format!("{FIELD}.upstream_claim");
    found.keep(&claim, text::required(&binding.claim, MAX_CLAIM));
    match &spec.auth {
        Auth::OAuth2(oauth2) => {
            let unknown = oauth2.endpoints.is_some() && oauth2.issuer.is_none();
            if unknown && binding.policy != AccountPolicy::Accept {
                found.add(
                    FIELD,
                    "needs oauth2.issuer: nobody else can say whose account it is",
                );
            }
        }
        Auth::None
        | Auth::ApiKey(_)
        | Auth::CustomHeaders(_)
        | Auth::UserOidc(_)
        | Auth::ClientCredentials(_)
        | Auth::Enterprise(_)
        | Auth::Workload(_) => {
            found.add(FIELD, "belongs to servers that users connect to: oauth2");
        }
    }
}
