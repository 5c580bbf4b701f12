//! What is special about a server's provider, as flags: whose profile it has, where it sends browsers back
//! to, and what happens when the resource names another one.

use clap::{Args, ValueEnum};

use crate::client::v1;

#[derive(Debug, Args)]
pub(super) struct Terms {
    /// oauth2, client-credentials: speak to the provider as this profile says [default: by its issuer]
    #[arg(long, value_name = "PROFILE")]
    provider_profile: Option<String>,
    /// oauth2: where the provider sends browsers back to
    #[arg(long, value_enum, conflicts_with = "redirect_uri")]
    redirect: Option<Redirect>,
    /// oauth2: exactly this redirect URI
    #[arg(long, value_name = "URL")]
    redirect_uri: Option<String>,
    /// oauth2: what happens when the resource names another issuer
    #[arg(long, value_enum)]
    issuer_change: Option<IssuerChange>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Redirect {
    /// A URL of the server's own
    PerServer,
    /// One for all servers of the deployment
    Shared,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum IssuerChange {
    /// It is followed, and users connect again
    Follow,
    /// An administrator must approve it
    Approve,
}

impl Terms {
    /// The flags, and whether each was given.
    pub(super) fn said(&self) -> [(&'static str, bool); 4] {
        [
            ("--provider-profile", self.provider_profile.is_some()),
            ("--redirect", self.redirect.is_some()),
            ("--redirect-uri", self.redirect_uri.is_some()),
            ("--issuer-change", self.issuer_change.is_some()),
        ]
    }

    /// The name of the profile; empty for none.
    pub(super) fn profile(&self) -> String {
        self.provider_profile.clone().unwrap_or_default()
    }

    /// Puts what was said into the authorization.
    pub(super) fn lay_over(&self, auth: &mut v1::OAuth2Auth) {
        auth.provider_profile = self.profile();
        if let Some(redirect) = self.redirect {
            auth.set_redirect(match redirect {
                Redirect::PerServer => v1::RedirectKind::PerServer,
                Redirect::Shared => v1::RedirectKind::Shared,
            });
        }
        if let Some(uri) = &self.redirect_uri {
            auth.set_redirect(v1::RedirectKind::Explicit);
            auth.explicit_redirect_uri.clone_from(uri);
        }
        if let Some(change) = self.issuer_change {
            auth.set_issuer_change(match change {
                IssuerChange::Follow => v1::IssuerChange::Follow,
                IssuerChange::Approve => v1::IssuerChange::Approve,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        provider: Terms,
    }

    #[test]
    fn a_redirect_uri_is_of_the_explicit_kind() {
        let line = ["x", "--redirect-uri", "https://us.example/cb"];
        let mut auth = v1::OAuth2Auth::default();

        let provider = Line::parse_from(line).provider;
        provider.lay_over(&mut auth);

        assert_eq!(auth.redirect(), v1::RedirectKind::Explicit);
        assert_eq!(auth.explicit_redirect_uri, "https://us.example/cb");
    }
}
