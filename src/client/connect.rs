//! One connection to the service, and the generated clients that share it.

use std::time::Duration;

use tonic::codegen::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use url::{Host, Url};

use super::calls::{Calls, Credential};
use super::error::{Error, innermost};
use super::v1::access_service_client::AccessServiceClient;
use super::v1::audit_service_client::AuditServiceClient;
use super::v1::chat_service_client::ChatServiceClient;
use super::v1::config_service_client::ConfigServiceClient;
use super::v1::handshake_service_client::HandshakeServiceClient;
use super::v1::operations_service_client::OperationsServiceClient;
use super::v1::tenant_service_client::TenantServiceClient;
use super::v1::token_service_client::TokenServiceClient;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it lives, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer taken, in bytes: a page of 500 full configurations fits.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// What the generated clients speak through.
pub type Service = InterceptedService<Channel, Calls>;

/// How to call.
#[derive(Debug, Clone)]
pub struct Options {
    /// The tenant every call is about. For operators only; other callers have theirs from their key.
    pub tenant: Option<String>,
    /// How long a call may take, unless the call says so itself. Watches last until dropped.
    pub deadline: Duration,
    /// Certificates to trust instead of the system's, in PEM.
    pub certificates: Option<String>,
    /// Send the credential in clear text beyond this machine, where the network itself protects it.
    pub allow_plaintext: bool,
}

impl Default for Options {
    /// The caller's own tenant, 30 seconds, the system's certificates, no clear text.
    fn default() -> Self {
        Self {
            tenant: None,
            deadline: Duration::from_secs(30),
            certificates: None,
            allow_plaintext: false,
        }
    }
}

/// A connection to the service. Clones share it. A connection that breaks is made again by the next
/// call; calls in flight end with [`Error::Interrupted`].
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    calls: Calls,
}

macro_rules! services {
    ($($(#[doc = $doc:literal])+ $name:ident: $client:ident;)+) => {
        impl Client {$(
            $(#[doc = $doc])+
            pub fn $name(&self) -> $client<Service> {
                $client::with_interceptor(self.channel.clone(), self.calls.clone())
                    .max_decoding_message_size(MAX_ANSWER)
            }
        )+}
    };
}

services! {
    /// API keys, and who is asking.
    access: AccessServiceClient;
    /// What was done, by whom.
    audit: AuditServiceClient;
    /// Which servers a chat uses, and all of them for one turn.
    chats: ChatServiceClient;
    /// The configurations of servers.
    config: ConfigServiceClient;
    /// Attempts of users to connect.
    handshakes: HandshakeServiceClient;
    /// The state of the deployment and its keys.
    operations: OperationsServiceClient;
    /// Tenants.
    tenants: TenantServiceClient;
    /// Credentials and connections.
    tokens: TokenServiceClient;
}

impl Client {
    /// Connects now, within five seconds.
    ///
    /// The endpoint is `http://host:port` or `https://host:port`. [`Error::Unreachable`] when
    /// nobody answers there; [`Error::Endpoint`] when it is no such URL, or when the credential would
    /// cross a network in clear text and `options` do not allow that.
    pub async fn connect(
        endpoint: &str,
        credential: Credential,
        options: &Options,
    ) -> Result<Self, Error> {
        let calls = Calls::new(credential, options.tenant.as_deref(), options.deadline)?;
        let channel = prepare(endpoint, options)?.connect().await;
        let channel = channel.map_err(|error| Error::Unreachable {
            endpoint: endpoint.to_owned(),
            why: innermost(&error),
        })?;
        Ok(Self { channel, calls })
    }

    /// As [`Client::connect`], but the first call connects. For daemons, which must start in any
    /// order. Must be called within a Tokio runtime.
    pub fn lazy(endpoint: &str, credential: Credential, options: &Options) -> Result<Self, Error> {
        let calls = Calls::new(credential, options.tenant.as_deref(), options.deadline)?;
        let channel = prepare(endpoint, options)?.connect_lazy();
        Ok(Self { channel, calls })
    }
}

fn prepare(endpoint: &str, options: &Options) -> Result<Endpoint, Error> {
    let refused = |why| Error::Endpoint {
        endpoint: endpoint.to_owned(),
        why,
    };
    let wanted = "must be `http://host:port` or `https://host:port`";
    let url = Url::parse(endpoint).map_err(|_| refused(wanted))?;
    let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "http" | "https") || !bare {
        return Err(refused(wanted));
    }
    if url.scheme() == "http" && !is_this_machine(&url) && !options.allow_plaintext {
        return Err(refused(
            "would send the key in clear text; use https, or allow plain text where the network \
             itself protects it",
        ));
    }
    let mut prepared = Endpoint::from_shared(endpoint.to_owned())
        .map_err(|_| refused(wanted))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .user_agent(concat!("stationmaster/", env!("CARGO_PKG_VERSION")))
        .map_err(|_| refused(wanted))?;
    if url.scheme() == "https" {
        let tls = match &options.certificates {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        let configured = prepared.tls_config(tls);
        prepared = configured.map_err(|error| Error::Certificates(innermost(&error)))?;
    }
    Ok(prepared)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(endpoint: &str, options: &Options) -> Option<String> {
        prepare(endpoint, options)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn an_endpoint_is_scheme_host_and_port() {
        let options = Options::default();
        for good in [
            "http://127.0.0.1:7400",
            "http://[::1]:7400",
            "http://localhost:1/",
        ] {
            assert_eq!(why(good, &options), None, "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:7400",
            "unix:/a",
            "http://u@[::1]",
            "http://[::1]/path",
        ] {
            assert!(
                why(bad, &options).is_some_and(|why| why.contains("must be")),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_key_does_not_cross_a_network_in_clear_text_by_itself() {
        let allowed = Options {
            allow_plaintext: true,
            ..Options::default()
        };

        let refused = why("http://stationmaster:7400", &Options::default());

        assert!(refused.is_some_and(|why| why.contains("clear text")));
        assert_eq!(why("http://stationmaster:7400", &allowed), None);
    }
}
