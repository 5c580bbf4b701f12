//! The settings, section by section. This file is the reference: name, type, default, what
//! `--dev` changes, and what it is for. A secret may also be given as `<key>_file`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::secret::{DatabaseUrl, ProxyUrl, RootKeys};
use super::values::{HostName, LogFormat, Migrate, Reader, Value, WebOrigin};

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.key`.
    pub(super) name: &'static str,
    /// What it is when nobody says.
    pub(super) default: Option<&'static str>,
    /// What it is under `--dev` when nobody says.
    pub(super) dev: Option<&'static str>,
    /// Whether its value must not be shown.
    pub(super) secret: bool,
    /// What it is for.
    pub(super) about: &'static str,
}

impl Key {
    /// Whether a key as written says this setting, or names the file that does.
    pub(super) fn is_said_by(&self, key: &str) -> bool {
        key == self.name || (self.secret && key.strip_suffix("_file") == Some(self.name))
    }
}

/// All settings, in the order of this file.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> {
    std::iter::once(&DATA_DIR).chain(SECTIONS.iter().flat_map(|(_, keys)| keys.iter()))
}

/// Whether there is a section of this name.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

/// The one setting outside of any section.
const DATA_DIR: Key = Key {
    name: "data_dir",
    default: Some("stationmaster-data"),
    dev: None,
    secret: false,
    about: " Where the embedded database and, with `--dev`, the root key are kept.",
};

/// The one of a list of none or one.
const fn one(list: &[&'static str]) -> Option<&'static str> {
    match list {
        [one] => Some(one),
        _ => None,
    }
}

macro_rules! sections {
    ($(
        $(#[doc = $doc:literal])+
        $section:ident: $type:ident {
            $(
                $(#[doc = $about:literal])+
                $key:ident: $value:ty $(= $default:literal)? $(, dev $dev:literal)?;
            )+
        }
    )+) => {
        const SECTIONS: &[(&str, &[Key])] = &[$(
            (stringify!($section), &[$(
                Key {
                    name: concat!(stringify!($section), ".", stringify!($key)),
                    default: one(&[$($default)?]),
                    dev: one(&[$($dev)?]),
                    secret: <$value as Value>::SECRET,
                    about: concat!($($about),+),
                },
            )+]),
        )+];

        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone)]
            pub struct $type {
                $(
                    $(#[doc = $about])+
                    pub $key: $value,
                )+
            }

            impl $type {
                /// Reads every key, so that all problems are noted; `None` when there is one.
                pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
                    $(
                        let $key: Option<$value> =
                            reader.value(concat!(stringify!($section), ".", stringify!($key)));
                    )+
                    Some(Self { $($key: $key?),+ })
                }
            }
        )+
    };
}

sections! {
    /// Where the three listeners bind. Port 0 takes a free one.
    listen: Listen {
        /// The gRPC API.
        grpc: SocketAddr = "127.0.0.1:7400";
        /// What browsers and authorization servers reach.
        public: SocketAddr = "127.0.0.1:7401";
        /// Probes and metrics.
        operations: SocketAddr = "127.0.0.1:7402";
        /// Whether gRPC may be served without TLS beyond this machine.
        allow_plaintext: bool = "false";
    }

    /// How the public listener is known, and where it may send a browser.
    public: Public {
        /// The base of every public URL; https outside `--dev`. Required outside `--dev`, where
        /// `None` means the public listener's own address.
        url: Option<Url>;
        /// Where a browser may be sent when a handshake is over.
        allowed_return_urls: Vec<Url> = "";
        /// Front ends that may take the code that confirms a handshake.
        allowed_completion_urls: Vec<Url> = "";
        /// Pages that may be told of a result as the opener of a window.
        allowed_opener_origins: Vec<WebOrigin> = "";
    }

    /// Where everything is stored.
    database: Database {
        /// `sqlite:<path>` or `postgres://…`. Default: a SQLite file in `data_dir`.
        url: DatabaseUrl;
        /// Connections held at most: 1 to 1000.
        max_connections: u32 = "10";
        /// Whether `serve` migrates: `auto` (SQLite only), `always` or `never`.
        migrate: Migrate = "auto";
    }

    /// What seals the keys that seal the secrets.
    keys: Keys {
        /// Root keys, each 32 bytes in base64. The first wraps, all open. From a file: one a line.
        /// Required outside `--dev`.
        root_keys: RootKeys;
    }

    /// What requests to upstreams may reach beyond public https addresses.
    egress: Egress {
        /// Whether plain http is allowed.
        allow_http: bool = "false", dev "true";
        /// Whether this machine itself may be reached, for servers whose own URL is there.
        allow_loopback: bool = "false", dev "true";
        /// Private networks that may be reached.
        allowed_cidrs: Vec<IpNet> = "";
        /// Hosts that may be reached whatever their address.
        allowed_hosts: Vec<HostName> = "";
        /// A PEM file of root certificates to trust beside the system's.
        ca_file: Option<PathBuf>;
        /// An HTTP proxy through which every request to an upstream leaves, as
        /// `http://<user>:<password>@<host>:<port>`. Names are resolved and checked here nevertheless.
        proxy: Option<ProxyUrl>;
    }

    /// How we present ourselves to authorization servers.
    oauth: Oauth {
        /// The name that consent pages show.
        client_name: String = "Stationmaster";
        /// Whether authorization servers that take a client for what its metadata document says are
        /// given the document's URL as client id, in place of a registration. The documents are on the
        /// public listener, which those servers must reach; needs an https `public.url`.
        client_metadata: bool = "false";
        /// The https URL of a document that the deployment publishes itself, in place of those on the
        /// public listener: one for all servers. It must list `<public.url>/oauth2/callback`, and is
        /// given to authorization servers that name themselves in their answers (RFC 9207).
        client_metadata_url: Option<Url>;
        /// How long one request may take, from connecting to the last byte: 1 s to 2 min.
        request_timeout: Duration = "15s";
        /// A directory of provider profiles (`*.toml`) that adds to those built in; one of the same
        /// name takes the built-in one's place.
        profiles: Option<PathBuf>;
    }

    /// Who may call besides the holders of API keys.
    callers: Callers {
        /// A TOML file of the issuers whose JWTs are taken, a table `[[issuers]]` for each, as
        /// `docs/callers.md` explains.
        issuers: Option<PathBuf>;
    }

    /// Attempts to obtain a grant.
    handshakes: Handshakes {
        /// Whether a link alone may bind an account to a user.
        allow_link: bool = "false", dev "true";
        /// How long an attempt stays open: 1 min to 1 h.
        ttl: Duration = "10m";
    }

    /// The servers that are configured.
    servers: Servers {
        /// How many personal servers a user may have: up to 1000. With 0 none are made any more.
        personal_quota: u32 = "10";
    }

    /// What a chat may have that is nobody else's.
    chats: Chats {
        /// Whether callers may attach servers to one chat. Where not, those there are have no part in any turn, and
        /// can be removed.
        allow_inline_servers: bool = "true";
    }

    /// Keeping tokens fresh.
    tokens: Tokens {
        /// How long before its end a token in use is renewed: up to 1 h.
        refresh_margin: Duration = "2m";
        /// How long one redemption may hold a connection; must outlive `oauth.request_timeout` by
        /// 6 s at least.
        lease: Duration = "60s";
    }

    /// The audit trail.
    audit: Audit {
        /// How long its events are kept, those of deleted tenants too: at least 1 day; `0s` keeps them
        /// for ever.
        retention: Duration = "365d";
    }

    /// What the process says about itself.
    telemetry: Telemetry {
        /// `human` or `json`.
        log_format: LogFormat = "human";
        /// What is logged, in the syntax of `tracing`'s filters (`info,stationmaster::app=debug`).
        log_filter: String = "info";
        /// The gRPC address of an `OpenTelemetry` collector; no traces are sent without.
        otlp_endpoint: Option<Url>;
    }

    /// How the process ends.
    lifecycle: Lifecycle {
        /// How long work is still taken after health says otherwise: up to 5 min.
        drain_delay: Duration = "5s", dev "0s";
        /// How long what runs may take to finish thereafter: up to 1 h; must outlive
        /// `oauth.request_timeout` by 6 s at least.
        shutdown_timeout: Duration = "30s";
    }
}
