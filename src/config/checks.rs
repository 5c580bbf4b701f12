//! What settings must be together, and within which bounds.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::error::Problem;
use super::layers::{Entries, variable};
use super::sections::{
    Audit, Database, Handshakes, Keys, Lifecycle, Listen, Oauth, Public, Tokens,
};
use super::{Mode, Parts};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How much longer than a request all must be that outlives it, the lease that guards it and the end
/// of the process: five seconds to write what came of it, and one to get going.
const MARGIN: Duration = Duration::from_secs(6);

/// Notes problems together with who caused them.
pub(super) struct Checks<'a> {
    pub(super) mode: Mode,
    pub(super) entries: &'a Entries,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Checks<'_> {
    /// Checks every section that could be read.
    pub(super) fn run(&mut self, parts: &Parts) {
        if let Some(listen) = &parts.listen {
            self.listen(listen);
        }
        if let Some(public) = &parts.public {
            self.public(public);
        }
        if let Some(database) = &parts.database {
            self.database(database);
        }
        if let Some(keys) = &parts.keys {
            self.keys(keys);
        }
        if let Some(oauth) = &parts.oauth {
            self.oauth(oauth, parts.public.as_ref());
        }
        if let Some(handshakes) = &parts.handshakes {
            self.handshakes(handshakes);
        }
        if let Some(tokens) = &parts.tokens {
            self.tokens(tokens, parts.oauth.as_ref());
        }
        if let Some(servers) = &parts.servers
            && servers.personal_quota > 1000
        {
            self.note("servers.personal_quota", "must be at most 1000");
        }
        if let Some(audit) = &parts.audit {
            self.audit(audit);
        }
        if let Some(lifecycle) = &parts.lifecycle {
            self.lifecycle(lifecycle, parts.oauth.as_ref());
        }
    }

    fn note(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            origin: self.entries.origin(key),
            message: message.into(),
        });
    }

    fn within(&mut self, key: &str, value: Duration, bounds: RangeInclusive<Duration>) {
        if !bounds.contains(&value) {
            let (least, most) = (bounds.start(), bounds.end());
            self.note(key, format!("must be between {least:?} and {most:?}"));
        }
    }

    fn listen(&mut self, listen: &Listen) {
        if !listen.grpc.ip().is_loopback() && !listen.allow_plaintext {
            self.note(
                "listen.grpc",
                "serves plain text beyond this machine; bind a loopback address, or set \
                 `listen.allow_plaintext` where the network itself protects it",
            );
        }
        let named: [(&str, SocketAddr); 3] = [
            ("listen.grpc", listen.grpc),
            ("listen.public", listen.public),
            ("listen.operations", listen.operations),
        ];
        for (at, (key, address)) in named.iter().enumerate() {
            let taken = named[..at].iter().find(|(_, other)| other == address);
            if let Some((other, _)) = taken.filter(|_| address.port() != 0) {
                self.note(key, format!("is the same address as `{other}`"));
            }
        }
    }

    fn public(&mut self, public: &Public) {
        let dev = self.mode == Mode::Dev;
        match &public.url {
            None if dev => {}
            None => self.note(
                "public.url",
                format!(
                    "is required: how browsers and authorization servers reach the public \
                     listener, such as `https://mcp.example.com` ({})",
                    variable("public.url")
                ),
            ),
            Some(url) => {
                if url.scheme() != "https" && !dev {
                    self.note("public.url", "must be https outside `--dev`");
                }
                if url.query().is_some() {
                    self.note("public.url", "must not have a query");
                }
            }
        }
        if dev {
            return;
        }
        for (key, urls) in [
            ("public.allowed_return_urls", &public.allowed_return_urls),
            (
                "public.allowed_completion_urls",
                &public.allowed_completion_urls,
            ),
        ] {
            for url in urls.iter().filter(|url| url.scheme() != "https") {
                self.note(key, format!("`{url}` must be https outside `--dev`"));
            }
        }
        for origin in &public.allowed_opener_origins {
            if !origin.as_str().starts_with("https://") {
                let message = format!("`{origin}` must be https outside `--dev`");
                self.note("public.allowed_opener_origins", message);
            }
        }
    }

    fn database(&mut self, database: &Database) {
        if !(1..=1_000).contains(&database.max_connections) {
            self.note("database.max_connections", "must be between 1 and 1000");
        }
    }

    fn keys(&mut self, keys: &Keys) {
        // A file that could not be read has been noted already.
        let by_file = self.entries.get("keys.root_keys_file").is_some();
        if keys.root_keys.is_empty() && !by_file && self.mode == Mode::Production {
            self.note(
                "keys.root_keys",
                format!(
                    "is required outside `--dev`: `stationmaster keys generate` makes one; give \
                     it by file ({}) or by value ({})",
                    variable("keys.root_keys_file"),
                    variable("keys.root_keys")
                ),
            );
        }
    }

    fn oauth(&mut self, oauth: &Oauth, public: Option<&Public>) {
        let key = "oauth.request_timeout";
        self.within(key, oauth.request_timeout, SECOND..=2 * MINUTE);
        if oauth.client_name.chars().count() > 100 {
            self.note("oauth.client_name", "must be at most 100 characters");
        }
        let is_document = |url: &Url| url.scheme() == "https" && url.path() != "/";
        if let Some(url) = oauth
            .client_metadata_url
            .as_ref()
            .filter(|url| !is_document(url))
        {
            let message = format!("`{url}` must be an https URL with a path");
            self.note("oauth.client_metadata_url", message);
        }
        let unseen = public.is_some_and(|public| {
            let url = public.url.as_ref();
            url.is_none_or(|url| url.scheme() != "https")
        });
        if oauth.client_metadata && oauth.client_metadata_url.is_none() && unseen {
            self.note("oauth.client_metadata", "needs an https `public.url`");
        }
    }

    fn handshakes(&mut self, handshakes: &Handshakes) {
        self.within("handshakes.ttl", handshakes.ttl, MINUTE..=HOUR);
    }

    fn tokens(&mut self, tokens: &Tokens, oauth: Option<&Oauth>) {
        let key = "tokens.refresh_margin";
        self.within(key, tokens.refresh_margin, Duration::ZERO..=HOUR);
        self.within("tokens.lease", tokens.lease, SECOND..=HOUR);
        if oauth.is_some_and(|oauth| tokens.lease < oauth.request_timeout + MARGIN) {
            self.note(
                "tokens.lease",
                format!("must be at least `oauth.request_timeout` and {MARGIN:?}"),
            );
        }
    }

    fn audit(&mut self, audit: &Audit) {
        // What can be resumed after must still be there.
        if !audit.retention.is_zero() && audit.retention < DAY {
            self.note("audit.retention", "must be at least 1 day, or `0s`");
        }
    }

    fn lifecycle(&mut self, lifecycle: &Lifecycle, oauth: Option<&Oauth>) {
        let key = "lifecycle.drain_delay";
        self.within(key, lifecycle.drain_delay, Duration::ZERO..=5 * MINUTE);
        let key = "lifecycle.shutdown_timeout";
        self.within(key, lifecycle.shutdown_timeout, SECOND..=HOUR);
        // What is cut off has an unknown outcome: each restart would cost somebody a grant.
        let least = oauth.map(|oauth| oauth.request_timeout + MARGIN);
        if least.is_some_and(|least| lifecycle.shutdown_timeout < least) {
            self.note(
                key,
                format!("must be at least `oauth.request_timeout` and {MARGIN:?}"),
            );
        }
    }
}
