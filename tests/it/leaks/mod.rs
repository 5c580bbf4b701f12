//! Secrets are planted wherever one comes in, and everything that goes out or stays is searched:
//! logs and spans of every crate at the finest level, metrics, statuses, pages, rows, files.
//!
//! What the service's own threads say is captured whole, whatever crate says it. The test's own
//! thread, which is browser, daemon and upstream at once, is left out: it holds the secrets.

mod headers;
mod identity;
mod keys;
mod logins;
mod search;
mod tokens;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tonic::transport::Endpoint;
use tracing::Dispatch;
use tracing::dispatcher::set_default;

use self::search::{Search, capture, said};
use crate::harness::http;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::{Reply, Web};
use crate::harness::world::World;
use crate::walks::wire::{As, Wire, memmem};
use crate::walks::world::{browse, text};

/// A daemon and an administrator, whose answers are searched.
struct Caller<'a> {
    wire: Wire,
    service: &'a TestService,
    search: Search,
}

impl Caller<'_> {
    /// Calls as an administrator would; the answer must hold no secret.
    async fn admin(&mut self, method: &str, ask: Value) -> Value {
        let who = As::key(self.service.admin_key());
        let answer = self.wire.call(method, who, ask).await;
        self.search.look_at(method, answer.raw);
        answer.json
    }

    /// Calls as a daemon would. What resolves and links are answered with is for it to have.
    async fn daemon(&mut self, method: &str, ask: Value) -> Value {
        let who = As::key(self.service.daemon_key());
        let answer = self.wire.call(method, who, ask).await;
        if answer.json.is_null() || !method.contains("Resolve") && !method.contains("Start") {
            self.search.look_at(method, answer.raw);
        }
        answer.json
    }

    /// From the start of a handshake to its last page.
    async fn connect(&mut self, server: &str, code: &str) -> http::Answer {
        let ask = json!({ "actor": { "user": "ann" }, "server": "wiki" });
        let began = self.daemon("HandshakeService/StartHandshake", ask).await;
        let url = text(&began["connectUrl"]);
        self.search
            .plant("a connect link", url.rsplit('/').next().unwrap());
        let (state, page) = browse(self.service, server, &url, code).await;
        self.search.plant("a state", &state);
        self.search.look_at("the last page", page.text.clone());
        page
    }

    async fn resolve(&mut self) -> Value {
        let ask = json!({ "actor": { "user": "ann" }, "servers": ["wiki", "keyed", "custom"] });
        self.daemon("TokenService/ResolveCredentials", ask).await
    }
}

fn grant(access: &str, refresh: &str) -> Reply {
    let granted = json!({
        "access_token": access, "refresh_token": refresh, "token_type": "Bearer",
        "expires_in": 3600, "id_token": "planted-id-token",
    });
    Reply::json(200, &granted)
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one life of a connection, told in order"
)]
async fn no_secret_is_told_or_kept_in_the_clear() {
    capture();
    let _quiet = set_default(&Dispatch::none());
    let database = TestDatabase::new(Engine::Sqlite).await;
    let web = Web::start().await;
    let (issuer, service) = tokens::trusting(&database, &web.url(logins::ISSUER)).await;
    let profile = std::fs::read_to_string(database.path("cli.toml")).unwrap();
    let profile: toml::Table = profile.parse().unwrap();
    let endpoint = Endpoint::from_shared(text(&json!(profile["endpoint"].as_str()))).unwrap();
    let mut caller = Caller {
        wire: Wire::new(endpoint.connect().await.unwrap()),
        service: &service,
        search: Search::default(),
    };
    for key in [service.admin_key(), service.daemon_key()] {
        caller
            .search
            .plant("an API key", key.rsplit('_').next().unwrap());
    }
    let root = std::fs::read_to_string(database.path("root.key")).unwrap();
    caller.search.plant("the root key", root.trim());
    let mut plant = |what, secret| caller.search.plant(what, secret);
    let client = plant("a client secret", "planted-client-secret");
    let credentials = STANDARD.encode("wiki-client:planted-client-secret");
    plant("client credentials", &credentials);
    let value = plant("an API key's value", "planted-api-key-value");
    let header = plant("a header's value", "planted-header-value");
    let bad = plant("a refused header's value", "planted-bad-value");
    for (what, secret) in [
        ("an access token", "planted-access-1"),
        ("a refresh token", "planted-refresh-1"),
        ("a renewed access token", "planted-access-2"),
        ("a renewed refresh token", "planted-refresh-2"),
        ("the token of the second connect", "planted-access-3"),
        ("the second connect's refresh token", "planted-refresh-3"),
        ("an ID token", "planted-id-token"),
        ("a code", "planted-code-1"),
        ("a refused code", "planted-code-2"),
        ("another code", "planted-code-3"),
        ("an imported access token", "planted-import-1"),
        ("an imported refresh token", "planted-import-2"),
        ("an imported client's secret", "planted-import-3"),
        ("a refused import's access token", "planted-import-4"),
        ("a refused import's refresh token", "planted-import-5"),
        ("a refused import's client secret", "planted-import-6"),
        ("the access token of an imported grant", "planted-import-7"),
        ("the refresh token of an imported grant", "planted-import-8"),
        ("what a provider says", "planted-prose"),
        ("a wrong key", "planted-wrong-key"),
        ("a wrong state", "planted-wrong-state"),
        ("a wrong link", "planted-wrong-link"),
        ("a wrong completion code", "planted-completion-code"),
        ("a challenge", "planted-challenge"),
        ("our client's secret at an issuer", "planted-issuers-client"),
    ] {
        plant(what, secret);
    }

    // Configuration, taken and refused.
    let wiki = json!({ "server": {
        "slug": "wiki", "displayName": "Wiki", "enabled": true, "url": web.url("/mcp"),
        "oauth2": {
            "clientId": "wiki-client", "clientSecret": client,
            "authorizationEndpoint": web.url("/authorize"), "tokenEndpoint": web.url("/token"),
            "revocationEndpoint": web.url("/revoke"),
        },
    }});
    let wiki = caller.admin("ConfigService/CreateServer", wiki).await;
    let server = text(&wiki["server"]["id"]);
    let keyed = json!({ "server": {
        "slug": "keyed", "displayName": "Keyed", "enabled": true, "url": web.url("/keyed"),
        "apiKey": { "value": value },
    }});
    caller.admin("ConfigService/CreateServer", keyed).await;
    let custom = |value: &str| {
        json!({ "server": {
            "slug": "custom", "displayName": "Custom", "enabled": true, "url": web.url("/custom"),
            "customHeaders": { "headers": [{ "name": "X-Custom", "value": value }] },
        }})
    };
    caller
        .admin(
            "ConfigService/CreateServer",
            custom(&format!("{bad}\r\nX: y")),
        )
        .await;
    caller
        .admin("ConfigService/CreateServer", custom(&header))
        .await;
    caller.admin("ConfigService/ListServers", json!({})).await;
    let key = json!({ "role": "ROLE_DAEMON", "name": "made" });
    let made = caller.wire.call(
        "AccessService/CreateApiKey",
        As::key(service.admin_key()),
        key,
    );
    let made = text(&made.await.ok()["secret"]);
    caller
        .search
        .plant("a made key", made.splitn(3, '_').last().unwrap());
    caller.admin("AccessService/ListApiKeys", json!({})).await;

    // A connection: made, used, renewed, refused, made again, ended.
    web.once("/token", grant("planted-access-1", "planted-refresh-1"));
    let page = caller.connect(&server, "planted-code-1").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let ready = caller.resolve().await;
    for held in [
        "planted-access-1",
        "planted-api-key-value",
        "planted-header-value",
    ] {
        assert!(
            ready.to_string().contains(held),
            "{held} should be answered: {ready}"
        );
    }
    service.clock().advance(Duration::from_hours(2));
    web.once("/token", grant("planted-access-2", "planted-refresh-2"));
    let renewed = caller.resolve().await;
    assert!(
        renewed.to_string().contains("planted-access-2"),
        "{renewed}"
    );
    let read = json!({ "actor": { "user": "ann" }, "server": "wiki" });
    caller
        .daemon("TokenService/GetConnection", read.clone())
        .await;
    service.clock().advance(Duration::from_hours(2));
    let trouble = json!({ "error": "planted-prose planted-refresh-2" });
    web.once("/token", Reply::json(503, &trouble));
    caller.resolve().await;
    service.clock().advance(Duration::from_hours(1));
    let refusal = json!({
        "error": "invalid_grant",
        "error_description": "planted-prose: no planted-refresh-2 of planted-client-secret",
        "error_uri": "https://as.test/?token=planted-refresh-2",
    });
    web.once("/token", Reply::json(400, &refusal));
    let refused = caller.resolve().await;
    assert!(
        refused.to_string().contains("RECONNECT_REQUIRED"),
        "{refused}"
    );
    caller
        .daemon("TokenService/GetConnection", read.clone())
        .await;
    let refusal = json!({ "error": "invalid_grant", "error_description": "planted-code-2" });
    web.once("/token", Reply::json(400, &refusal));
    let page = caller.connect(&server, "planted-code-2").await;
    assert_eq!(page.status, 400, "{}", page.text);
    web.once(
        "/token",
        Reply::text(200, "text/plain", "planted-access-3 planted-prose"),
    );
    caller.connect(&server, "planted-code-2").await;
    web.once("/token", grant("planted-access-3", "planted-refresh-3"));
    caller.connect(&server, "planted-code-3").await;
    let report = json!({
        "actor": { "user": "ann" }, "server": "wiki",
        "httpResponse": {
            "status": 403, "credentialVersion": "9",
            "wwwAuthenticate": ["Bearer error=\"insufficient_scope\", scope=\"read\", error_description=\"planted-challenge\""],
        },
    });
    let answer = caller.daemon("TokenService/ReportResponse", report).await;
    if let Some(url) = answer["authorize"]["connectUrl"].as_str() {
        // This answer is for the daemon as well.
        caller.search.found.pop();
        caller
            .search
            .plant("a reported link", url.rsplit('/').next().unwrap());
    }
    // Its revocation: put off, then refused with the token in the answer.
    web.once("/revoke", Reply::json(503, &trouble));
    let refusal = json!({
        "error": "invalid_request",
        "error_description": "planted-prose: no planted-refresh-3 of planted-client-secret",
    });
    web.on("/revoke", Reply::json(400, &refusal));
    caller.daemon("TokenService/Disconnect", read).await;
    World::until("the revocation is given up", async || {
        service.clock().advance(Duration::from_mins(1));
        let turn = service.within(|app| async move { app.revoke_due().await.is_ok() });
        turn.await && web.seen_at("/revoke").len() >= 2
    })
    .await;

    // A grant that comes from elsewhere: refused, taken, asked for again, taken once more, renewed.
    let mut import = json!({
        "actor": { "user": "ann" }, "server": "wiki", "clientId": "old-client",
        "accessToken": "planted-import-4 x", "refreshToken": "planted-import-5\n",
        "clientSecret": "planted-import-6\r\nX: y", "requestId": "0b9a1a52-5a0a-4b7e-9a3c-2f1f3a1f0009",
    });
    caller
        .daemon("TokenService/ImportConnection", import.clone())
        .await;
    import["accessToken"] = json!("planted-import-1");
    import["refreshToken"] = json!("planted-import-2");
    import["clientSecret"] = json!("planted-import-3");
    for _ in 0..2 {
        let made = caller.daemon("TokenService/ImportConnection", import.clone());
        assert!(!made.await.is_null(), "the import is taken");
    }
    import["requestId"] = json!("");
    caller
        .daemon("TokenService/ImportConnection", import.clone())
        .await;
    import["replace"] = json!(true);
    caller.daemon("TokenService/ImportConnection", import).await;
    let ready = caller.resolve().await;
    assert!(ready.to_string().contains("planted-import-1"), "{ready}");
    let mut entries = ready["servers"].as_array().into_iter().flatten();
    let entry = entries.find(|entry| entry["slug"] == "wiki").unwrap();
    let rejected = json!({
        "actor": { "user": "ann" }, "server": "wiki",
        "httpResponse": { "status": 401, "credentialVersion": entry["credentialVersion"] },
    });
    web.once("/token", grant("planted-import-7", "planted-import-8"));
    caller.daemon("TokenService/ReportResponse", rejected).await;
    let ready = caller.resolve().await.to_string();
    assert!(ready.contains("planted-import-7"), "{ready}");

    keys::sign(&mut caller, &web).await;
    headers::supply(&mut caller, &web).await;
    identity::tell(&mut caller).await;
    tokens::present(&mut caller, &issuer).await;
    logins::log_in(&mut caller, &web).await;

    // What is refused at the doors.
    let daemon = service.daemon_key().rsplit_once('_').unwrap().0;
    for key in [
        "planted-wrong-key".to_owned(),
        format!("{daemon}_planted-wrong-key"),
    ] {
        let answer = caller
            .wire
            .call("AccessService/WhoAmI", As::key(&key), json!({}))
            .await;
        caller
            .search
            .look_at("the refusal of a wrong key", answer.raw);
    }
    let complete = json!({
        "handshake": "hs_planted", "code": "planted-completion-code", "actor": { "user": "ann" },
    });
    caller
        .daemon("HandshakeService/CompleteHandshake", complete)
        .await;
    for path in [
        "/connect/planted-wrong-link".to_owned(),
        "/oauth2/callback?state=planted-wrong-state&code=planted-code-3".to_owned(),
        format!("/oauth2/callback/{server}?state=planted-wrong-state&state=planted-wrong-state"),
        format!(
            "/oauth2/callback/{server}?state=planted-wrong-state&error=x&error_description=\
             planted-prose"
        ),
    ] {
        let page = http::get(&format!("{}{path}", service.public_url()), &[]).await;
        caller
            .search
            .look_at(path.split('?').next().unwrap(), page.text);
    }
    let trail = json!({ "pageSize": 500 });
    let trail = caller.admin("AuditService/ListAuditEvents", trail).await;
    let trail = trail["events"].as_array().unwrap().len();
    assert!(trail > 15, "{trail} events are all there is of the trail");
    let metrics = http::get(&format!("{}/metrics", service.operations_url()), &[]).await;
    caller.search.look_at("the metrics page", metrics.text);
    for seen in web.seen_at("/token") {
        if let Some(verifier) = seen.form("code_verifier") {
            caller.search.plant("a verifier", &verifier);
        }
    }
    let mut search = std::mem::take(&mut caller.search);
    drop(caller);
    let files = |search: &mut Search, when: &str| {
        for entry in std::fs::read_dir(database.path("")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // The root key's own file, and the profile that `--dev` writes its keys to.
            if !matches!(name.as_str(), "root.key" | "cli.toml") {
                search.look_at(format!("{name} {when}"), std::fs::read(path).unwrap());
            }
        }
    };
    files(&mut search, "while it ran");
    service.stop().await;
    files(&mut search, "after the end");
    let said = said();

    for must in [
        "rpc.method=\"ResolveCredentials\"",
        "TRACE",
        "DEBUG",
        "sqlx",
        "hyper",
        "h2::",
    ] {
        assert!(memmem(&said, must.as_bytes()), "the logs hold no {must}");
    }
    let kept = search
        .found
        .iter()
        .any(|(_, bytes)| memmem(bytes, b"connection.connect"));
    assert!(kept, "the files hold no audit record");
    search.look_at("the logs", said);
    let leaks = search.leaks();
    assert!(leaks.is_empty(), "{}", leaks.join("\n\n"));
}
