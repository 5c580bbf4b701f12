//! Which provider profile holds: the one named on a server, else that of its issuer.

use super::App;
use super::clients::client_issuer;
use crate::domain::authorization::Issuer;
use crate::domain::handshakes::Snapshot;
use crate::domain::servers::{AuthKind, Server, Spec};
use crate::domain::text::Violations;
use crate::oauth::Dialect;

impl App {
    /// How the provider of a server's users is spoken to.
    pub(super) fn dialect_of(&self, server: &Server) -> &Dialect {
        let issuer = client_issuer(server).unwrap_or_else(|| Issuer::new(""));
        let profiles = &self.0.settings.profiles;
        profiles.dialect(server.spec.auth.profile(), &issuer)
    }

    /// How it is spoken to for the rest of a handshake, whatever became of the server's
    /// configuration meanwhile.
    pub(super) fn dialect_at(&self, snapshot: &Snapshot) -> &Dialect {
        let nobody = Issuer::new("");
        let issuer = snapshot.issuer.as_ref().unwrap_or(&nobody);
        let profiles = &self.0.settings.profiles;
        profiles.dialect(snapshot.profile.as_deref(), issuer)
    }

    /// Notes a profile that nobody knows. The names of those there are come with it.
    pub(super) fn check_profile(&self, spec: &Spec, found: &mut Violations) {
        let profiles = &self.0.settings.profiles;
        let unknown = spec.auth.profile().filter(|name| !profiles.contains(name));
        if unknown.is_some() {
            let known: Vec<&str> = profiles.names().collect();
            let field = if spec.auth.kind() == AuthKind::ClientCredentials {
                "server.client_credentials.provider_profile"
            } else {
                "server.oauth2.provider_profile"
            };
            found.add(field, format!("is unknown; there are {}", known.join(", ")));
        }
    }
}
