//! Client metadata documents: our client named by the URL of what it says about itself, instead of by
//! an id that the authorization server gave it (OAuth Client ID Metadata Document; MCP authorization,
//! client registration). Nothing is registered, so nothing can be forgotten or expire.

use serde_json::Value;
use url::Url;

use super::App;
use super::error::Result;
use crate::domain::authorization::{AuthorizationServer, ClientAuthMethod};
use crate::domain::ids::ServerId;
use crate::domain::servers::{OAuth2, Redirect};
use crate::oauth;

/// Where our client's metadata documents are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientDocuments {
    /// There are none: clients are registered.
    None,
    /// On the public listener, one for each server.
    Ours,
    /// At this URL: one for all servers, which the deployment publishes itself.
    At(Url),
}

/// A client that is named by a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Documented {
    /// The document's URL.
    pub(super) client_id: String,
    /// The redirect URI to use, which the document lists.
    pub(super) redirect_uri: String,
}

/// Whether an authorization server takes a client for what its document says, without a secret: by
/// its metadata, which some publish without doing so (they refuse the client then).
fn takes_documents(server: &AuthorizationServer) -> bool {
    let methods = server.token_endpoint_auth_methods.as_ref();
    server.client_id_metadata_document_supported
        && methods.is_some_and(|methods| methods.contains(&ClientAuthMethod::None))
}

impl App {
    /// The client that an MCP server's authorization server would take by its document; `None` where
    /// it takes none, or we have none for it.
    pub(super) fn documented(
        &self,
        oauth2: &OAuth2,
        server: ServerId,
        from: &AuthorizationServer,
    ) -> Option<Documented> {
        if !takes_documents(from) {
            return None;
        }
        match &self.0.settings.client_documents {
            ClientDocuments::Ours => Some(Documented {
                client_id: self.document_url(server),
                redirect_uri: self.redirect_uri(oauth2, server),
            }),
            // One list of redirect URIs for all servers: answers are told apart by their issuer.
            ClientDocuments::At(url) if from.iss_parameter_supported => Some(Documented {
                client_id: url.to_string(),
                redirect_uri: match &oauth2.redirect {
                    Redirect::Explicit(uri) => uri.clone(),
                    Redirect::PerServer | Redirect::Shared => self.shared_redirect_uri(),
                },
            }),
            ClientDocuments::None | ClientDocuments::At(_) => None,
        }
    }

    fn document_url(&self, server: ServerId) -> String {
        self.public_path(&format!("oauth2/client/{server}.json"))
    }

    /// What our client for a server says about itself; `None` for a server without such a client.
    /// Public: it tells nobody more than the URL does.
    pub async fn client_document(&self, server: &str) -> Result<Option<Value>> {
        let Ok(id) = server.parse::<ServerId>() else {
            return Ok(None);
        };
        if self.0.settings.client_documents != ClientDocuments::Ours {
            return Ok(None);
        }
        let mut tx = self.0.store.read().await?;
        let Some(server) = tx.servers().find_anywhere(id).await? else {
            return Ok(None);
        };
        let automatic = server
            .spec
            .auth
            .oauth2()
            .filter(|oauth2| oauth2.endpoints.is_none() && oauth2.preregistered.is_none());
        Ok(automatic.map(|oauth2| {
            oauth::client_document(
                &self.document_url(id),
                &self.redirect_uri(oauth2, id),
                &self.0.settings.client_name,
            )
        }))
    }
}
