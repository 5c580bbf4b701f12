//! `fetch`, `mcp` and `oauth` against a scripted web.

mod answers;
mod assertion;
mod dialects;
mod discovery;
mod elsewhere;
mod guard;
mod legacy;
mod probe;
mod proxied;
mod registration;
mod revocation;
mod roots;
mod sending;
mod token;

use std::sync::LazyLock;
use std::time::Duration;

use stationmaster::domain::authorization::Resource;
use stationmaster::domain::secrets::RefreshToken;
use stationmaster::domain::time::{SystemClock, Timestamp};
use stationmaster::fetch::{Fetch, FetchRules, PlainHttp, Policy};
use stationmaster::oauth::{ClientAuth, Dialect, Endpoint, Outcome, RefreshGrant, refresh};

use crate::harness::web::Web;

/// The resource that tokens are asked for.
const RESOURCE: &str = "https://MCP.example";

/// A server whose endpoints may be on loopback.
const LOCAL: &str = "http://127.0.0.1/mcp";

/// What the time is: 2026-11-21T03:00:00Z.
const NOW: i64 = 1_795_230_000;

/// Tells how long anything took.
fn clock() -> &'static SystemClock {
    static CLOCK: LazyLock<SystemClock> = LazyLock::new(SystemClock::new);
    &CLOCK
}

/// Longer than anything here takes, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A deadline that is meant to pass.
pub(crate) const IMPATIENCE: Duration = Duration::from_millis(200);

/// The way out with http and loopback allowed.
pub(crate) fn fetch() -> Fetch {
    Fetch::new(FetchRules::development()).unwrap()
}

/// A way out that may speak http but not to loopback.
fn strict() -> Fetch {
    Fetch::new(FetchRules {
        plain_http: PlainHttp::Allowed,
        ..FetchRules::default()
    })
    .unwrap()
}

/// An endpoint for a public client.
fn public(url: &str) -> Endpoint<'_> {
    Endpoint {
        url,
        policy: Policy::on_behalf_of(LOCAL),
        client_id: "the client",
        auth: &ClientAuth::Public,
        deadline: PATIENCE,
        send_before: None,
        now: Timestamp::from_secs(NOW),
    }
}

async fn redeem_by(fetch: &Fetch, endpoint: &Endpoint<'_>) -> Outcome {
    let grant = RefreshGrant {
        dialect: &Dialect::default(),
        refresh_token: &RefreshToken::new("old".to_owned()),
        resource: Some(&Resource::new(RESOURCE)),
        scopes: None,
    };
    detachable(refresh(fetch, endpoint, &grant)).await
}

async fn redeem(endpoint: &Endpoint<'_>) -> Outcome {
    redeem_by(&fetch(), endpoint).await
}

async fn redeem_at(web: &Web) -> Outcome {
    redeem(&public(&web.url("/token"))).await
}

/// Redemptions run detached, so their futures must be able to move between threads.
fn detachable<F: Future + Send>(future: F) -> F {
    future
}
