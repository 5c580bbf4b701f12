//! What the service counts, for Prometheus. Here and not in `runtime`, since every door records.
//!
//! A series is never made for what a caller may choose freely: label values are ours, but for
//! issuers, of which the first [`MAX_ISSUERS`] are told apart.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Issuers that have series of their own; the others share `other`.
pub const MAX_ISSUERS: usize = 200;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
];

macro_rules! labels {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)+ }
    )+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$about])* $variant,)+ }

        impl $name {
            /// The label's value.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    )+};
}

labels! {
    /// What resolving one server for one user came to.
    ResolveOutcome {
        /// Headers were handed out.
        Ready = "ready",
        /// The user has no connection.
        NotConnected = "not_connected",
        /// The user must connect again.
        ReconnectRequired = "reconnect_required",
        /// The user must grant more.
        ScopeUpgradeRequired = "scope_upgrade_required",
        /// The credential has ended and cannot be renewed.
        Expired = "expired",
        /// No identity of the user is deposited.
        NoUserIdentity = "no_user_identity",
        /// The user has yet to supply header values.
        MissingUserHeaders = "missing_user_headers",
        /// The configuration does not work.
        ConfigError = "config_error",
        /// The authorization server did not answer.
        UpstreamUnavailable = "upstream_unavailable",
        /// The stored values cannot be opened.
        Unreadable = "unreadable",
    }

    /// What an attempt to redeem a refresh token came to.
    RefreshOutcome {
        /// A new pair was stored.
        Success = "success",
        /// Refused for good.
        Refused = "refused",
        /// Our registration was refused.
        RegistrationTrouble = "registration_trouble",
        /// Refused, with a word that means nothing known.
        Unclear = "unclear",
        /// Answered that it may work later.
        Transient = "transient",
        /// Nothing was sent.
        NotSent = "not_sent",
        /// Sent, and no answer came.
        Unknown = "unknown",
    }

    /// What an attempt to revoke came to.
    RevocationOutcome {
        /// The grant is ended.
        Revoked = "revoked",
        /// The registration is deleted.
        Unregistered = "unregistered",
        /// Left to itself, since ending it could end another grant of the same client.
        Left = "left",
        /// It is tried again.
        Later = "later",
        /// It is given up.
        Dead = "dead",
    }

    /// What a handshake came to.
    HandshakeOutcome {
        /// The user is connected.
        Connected = "connected",
        /// The user or the provider said no.
        Denied = "denied",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// Nobody finished it in time.
        Expired = "expired",
        /// Something went wrong.
        Failed = "failed",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RpcLabels {
    service: &'static str,
    method: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    service: &'static str,
    method: &'static str,
}

/// The one label of what is told apart by outcome only.
type OutcomeLabel<O> = [(&'static str, O); 1];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    issuer: String,
    outcome: RefreshOutcome,
}

/// Makes the histograms of a family.
#[derive(Debug, Clone)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// Everything counted. Recording is cheap and never waits for reading.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rpcs: Family<RpcLabels, Counter>,
    rpc_durations: Family<MethodLabels, Histogram, Durations>,
    resolves: Family<OutcomeLabel<ResolveOutcome>, Counter>,
    refreshes: Family<RefreshLabels, Counter>,
    handshakes: Family<OutcomeLabel<HandshakeOutcome>, Counter>,
    revocations: Family<OutcomeLabel<RevocationOutcome>, Counter>,
    pending_revocations: Gauge,
    dead_revocations: Gauge,
    lease_waits: Histogram,
    feed_lag: Gauge<f64, AtomicU64>,
    endpoints_left_alone: Gauge,
    watches: Gauge,
    unreadable_rows: Gauge,
    key_age: Gauge,
    issuers: RwLock<HashSet<String>>,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("stationmaster"),
            rpcs: Family::default(),
            rpc_durations: Family::new_with_constructor(Durations),
            resolves: Family::default(),
            refreshes: Family::default(),
            handshakes: Family::default(),
            revocations: Family::default(),
            pending_revocations: Gauge::default(),
            dead_revocations: Gauge::default(),
            lease_waits: Histogram::new(BUCKETS),
            feed_lag: Gauge::default(),
            endpoints_left_alone: Gauge::default(),
            watches: Gauge::default(),
            unreadable_rows: Gauge::default(),
            key_age: Gauge::default(),
            issuers: RwLock::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("rpcs", "RPCs answered", self.rpcs.clone());
        registry.register_with_unit(
            "rpc_duration",
            "Time to answer an RPC",
            Unit::Seconds,
            self.rpc_durations.clone(),
        );
        registry.register("resolves", "Credentials resolved", self.resolves.clone());
        registry.register(
            "refreshes",
            "Refresh tokens redeemed",
            self.refreshes.clone(),
        );
        registry.register("handshakes", "Handshakes ended", self.handshakes.clone());
        registry.register(
            "revocations",
            "Attempts to revoke a grant or to delete a registration",
            self.revocations.clone(),
        );
        registry.register(
            "pending_revocations",
            "Grants to be revoked and registrations to be deleted",
            self.pending_revocations.clone(),
        );
        registry.register(
            "dead_revocations",
            "Revocations and deletions that were given up",
            self.dead_revocations.clone(),
        );
        registry.register_with_unit(
            "lease_wait",
            "Time waited for another replica's redemption",
            Unit::Seconds,
            self.lease_waits.clone(),
        );
        registry.register_with_unit(
            "feed_lag",
            "Time since the last successful poll of the change feed began",
            Unit::Seconds,
            self.feed_lag.clone(),
        );
        registry.register(
            "endpoints_left_alone",
            "Token endpoints that this replica leaves alone for a while, because they failed",
            self.endpoints_left_alone.clone(),
        );
        registry.register("watches", "Streams being served", self.watches.clone());
        registry.register(
            "unreadable_rows",
            "Sealed rows that no present key opens",
            self.unreadable_rows.clone(),
        );
        registry.register_with_unit(
            "key_age",
            "Age of the oldest data key that still seals",
            Unit::Seconds,
            self.key_age.clone(),
        );
    }

    /// An RPC was answered. Names must be those of the API, or `unknown`.
    pub fn rpc(
        &self,
        service: &'static str,
        method: &'static str,
        code: &'static str,
        took: Duration,
    ) {
        let labels = RpcLabels {
            service,
            method,
            code,
        };
        self.rpcs.get_or_create(&labels).inc();
        self.rpc_durations
            .get_or_create(&MethodLabels { service, method })
            .observe(took.as_secs_f64());
    }

    /// One server was resolved for one user.
    pub fn resolved(&self, outcome: ResolveOutcome) {
        self.resolves.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A refresh token of this issuer was redeemed, or not.
    pub fn refreshed(&self, issuer: &str, outcome: RefreshOutcome) {
        let issuer = self.bounded(issuer);
        self.refreshes
            .get_or_create(&RefreshLabels { issuer, outcome })
            .inc();
    }

    /// A handshake ended.
    pub fn handshake_ended(&self, outcome: HandshakeOutcome) {
        self.handshakes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A revocation was tried.
    pub fn revoked(&self, outcome: RevocationOutcome) {
        self.revocations
            .get_or_create(&[("outcome", outcome)])
            .inc();
    }

    /// So much is to be revoked, and so much was given up.
    pub fn set_revocations(&self, pending: i64, dead: i64) {
        self.pending_revocations.set(pending);
        self.dead_revocations.set(dead);
    }

    /// A caller waited for another replica's redemption.
    pub fn lease_waited(&self, took: Duration) {
        self.lease_waits.observe(took.as_secs_f64());
    }

    /// So long ago was the change feed read.
    pub fn set_feed_lag(&self, lag: Duration) {
        self.feed_lag.set(lag.as_secs_f64());
    }

    /// How many token endpoints are left alone.
    pub(super) fn set_left_alone(&self, endpoints: i64) {
        self.endpoints_left_alone.set(endpoints);
    }

    /// The streams being served.
    pub(super) fn watches(&self) -> &Gauge {
        &self.watches
    }

    /// So many sealed rows cannot be opened.
    pub fn set_unreadable_rows(&self, rows: u64) {
        self.unreadable_rows
            .set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// So old is the oldest data key that still seals.
    pub fn set_key_age(&self, age: Duration) {
        self.key_age.set(seconds(age));
    }

    /// All metrics as text, in the format of [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The issuer, or `other` when there are too many.
    fn bounded(&self, issuer: &str) -> String {
        let known = |issuers: &HashSet<String>| issuers.contains(issuer);
        if known(&self.issuers.read().unwrap_or_else(PoisonError::into_inner)) {
            return issuer.to_owned();
        }
        let mut issuers = self.issuers.write().unwrap_or_else(PoisonError::into_inner);
        if issuers.len() < MAX_ISSUERS {
            issuers.insert(issuer.to_owned());
        }
        if known(&issuers) {
            issuer.to_owned()
        } else {
            "other".to_owned()
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
