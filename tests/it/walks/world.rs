//! Tenants with one of everything, and the way of a user's browser.

use std::collections::HashMap;

use serde_json::{Value, json};
use stationmaster::domain::access::{ROLES, Role};

use super::wire::{As, Wire};
use crate::harness::http;
use crate::harness::service::TestService;
use crate::harness::web::{Reply, Web};

/// Makes a key in the caller's tenant; its secret.
pub(crate) async fn make_key(wire: &Wire, who: As<'_>, role: Role) -> String {
    let user = (role == Role::User).then(|| json!({ "user": "ann" }));
    let ask = json!({
        "role": format!("ROLE_{}", role.as_str().to_uppercase()),
        "name": format!("{} of {}", role.as_str(), who.tenant.unwrap_or("default")),
        "narrowing": user,
    });
    let made = wire.call("AccessService/CreateApiKey", who, ask).await.ok();
    text(&made["secret"])
}

/// The id of a key, which is its public half.
pub(crate) fn key_id(key: &str) -> String {
    format!("key_{}", key.split('_').nth(1).unwrap())
}

pub(crate) fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} should be a text"))
        .to_owned()
}

/// Goes the way of a user's browser from the connect link to the callback; the state, the query
/// of the callback, and the page it ends on.
pub(crate) async fn browse(
    service: &TestService,
    server: &str,
    connect_url: &str,
    code: &str,
) -> (String, http::Answer) {
    let asked = http::get(connect_url, &[]).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    let cookie = asked
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let left = http::send("POST", connect_url, &[("cookie", &cookie)]).await;
    let state = left.text.split("state=").nth(1);
    let state = state.unwrap_or_else(|| panic!("no state in {}", left.text));
    let state = state.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
    let state = state.into_iter().next().unwrap().to_owned();
    let back = format!("{}/oauth2/callback/{server}", service.public_url());
    let back = format!("{back}?state={state}&code={code}");
    (state, http::get(&back, &[("cookie", &cookie)]).await)
}

/// A tenant with one of everything. Every name in it holds the tenant's own; what tenants may
/// have in common (slugs, users, chats) they have.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    /// A key of each role; the operator's has no tenant of its own.
    pub(crate) keys: HashMap<Role, String>,
    /// What a request may name, by what [`super::asks`] calls it.
    pub(crate) ids: Vec<(&'static str, String)>,
    /// What nobody else may learn.
    pub(crate) private: Vec<String>,
}

impl Tenant {
    /// The thing of that name.
    pub(crate) fn id(&self, name: &str) -> &str {
        let found = self.ids.iter().find(|(held, _)| *held == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// How a caller of this role calls in this tenant.
    pub(crate) fn caller(&self, role: Role) -> As<'_> {
        let who = As::key(&self.keys[&role]);
        if role == Role::Operator {
            return who.tenant(&self.name);
        }
        who
    }

    /// Makes it.
    pub(crate) async fn settle(service: &TestService, web: &Web, wire: &Wire, name: &str) -> Self {
        let operator = As::key(service.admin_key());
        let tenant = json!({ "tenantId": name, "displayName": format!("People of {name}") });
        wire.call("TenantService/CreateTenant", operator, tenant)
            .await
            .ok();
        let here = operator.tenant(name);
        let mut made = Self {
            name: name.to_owned(),
            keys: HashMap::from([(Role::Operator, service.admin_key().to_owned())]),
            ids: vec![("tenant", name.to_owned())],
            private: vec![name.to_owned()],
        };
        for role in ROLES {
            if role != Role::Operator {
                made.keys.insert(role, make_key(wire, here, role).await);
            }
        }
        let spare = make_key(wire, here, Role::Daemon).await;
        made.note("key", key_id(&spare));
        made.fill(service, web, wire).await;
        let keys: Vec<_> = made
            .keys
            .iter()
            .filter(|(role, _)| **role != Role::Operator)
            .collect();
        made.private
            .extend(keys.into_iter().map(|(_, key)| key_id(key)));
        made
    }

    fn note(&mut self, name: &'static str, id: String) {
        self.private.push(id.clone());
        self.ids.push((name, id));
    }

    async fn fill(&mut self, service: &TestService, web: &Web, wire: &Wire) {
        self.fill_servers(web, wire).await;
        self.fill_chat(wire).await;
        self.fill_connection(service, wire).await;
    }

    async fn fill_servers(&mut self, web: &Web, wire: &Wire) {
        let name = self.name.clone();
        let token = format!("/{name}/token");
        let granted = json!({
            "access_token": format!("{name}-access"), "refresh_token": format!("{name}-refresh"),
            "token_type": "Bearer", "expires_in": 3600,
        });
        web.on(&token, Reply::json(200, &granted));
        let wiki = json!({ "server": {
            "slug": "wiki", "displayName": format!("Wiki of {name}"), "enabled": true,
            "description": format!("described by {name}"), "managedBy": format!("{name}-manager"),
            "url": web.url(&format!("/{name}/mcp")), "availability": "AVAILABILITY_DEFAULT_ON",
            "oauth2": {
                "clientId": format!("{name}-client"), "clientSecret": format!("{name}-secret"),
                "authorizationEndpoint": web.url(&format!("/{name}/authorize")),
                "tokenEndpoint": web.url(&token), "issuer": web.url(&format!("/{name}")),
            },
        }});
        let keyed = json!({ "server": {
            "slug": "keyed", "displayName": format!("Keyed of {name}"), "enabled": true,
            "url": web.url(&format!("/{name}/keyed")),
            "apiKey": { "value": format!("{name}-api-key") },
            "forwardIdentityHeaders": true, "identityForwarding": { "signedToken": true },
            "signingSecret": format!("{name}-signing-secret"),
        }});
        let hidden = json!({ "server": {
            "slug": "hidden", "displayName": format!("Hidden of {name}"),
            "url": web.url(&format!("/{name}/hidden")), "none": {},
        }});
        let own = json!({ "server": {
            "slug": "own", "displayName": format!("Own of {name}"), "enabled": true,
            "url": web.url(&format!("/{name}/own")),
            "customHeaders": { "userHeaders": [
                { "name": "X-Own", "description": format!("told by {name}") },
            ] },
        }});
        let servers = [
            ("server", wiki),
            ("keyed", keyed),
            ("hidden", hidden),
            ("own", own),
        ];
        for (which, ask) in servers {
            let admin = self.caller(Role::Admin);
            let made = wire
                .call("ConfigService/CreateServer", admin, ask)
                .await
                .ok();
            self.note(which, text(&made["server"]["id"]));
        }
        let own = json!({ "server": {
            "slug": "own", "displayName": format!("Own of {name}"), "enabled": true,
            "url": web.url(&format!("/{name}/own")), "none": {},
        }});
        let user = self.caller(Role::User);
        let made = wire
            .call("ConfigService/CreateServer", user, own)
            .await
            .ok();
        self.note("personal", text(&made["server"]["id"]));
        let login = json!({ "server": {
            "slug": "login", "displayName": format!("Login of {name}"), "enabled": true,
            "url": web.url(&format!("/{name}/login")), "userOidc": {},
        }});
        let operator = self.caller(Role::Operator);
        let made = wire
            .call("ConfigService/CreateServer", operator, login)
            .await
            .ok();
        self.note("login", text(&made["server"]["id"]));
        let deposit = json!({
            "actor": { "user": "ann" }, "issuer": "https://idp.test",
            "accessToken": format!("{name}-login-token"),
        });
        let daemon = self.caller(Role::Daemon);
        wire.call("TokenService/PutUserIdentity", daemon, deposit)
            .await
            .ok();
        let page = json!({ "pageSize": 1 });
        let page = wire
            .call("ConfigService/ListServers", self.caller(Role::Admin), page)
            .await;
        self.note("page", text(&page.ok()["nextPageToken"]));
        let value = json!({
            "actor": { "user": "ann" }, "server": "own",
            "headers": [{ "name": "X-Own", "value": format!("{name}-own-value") }],
        });
        let daemon = self.caller(Role::Daemon);
        wire.call("TokenService/SetUserHeaders", daemon, value)
            .await
            .ok();
    }

    async fn fill_chat(&mut self, wire: &Wire) {
        let name = self.name.clone();
        let chat = json!({ "actor": { "user": "ann" }, "chatId": "chat-1", "servers": ["wiki"] });
        let daemon = self.caller(Role::Daemon);
        wire.call("ChatService/SetChatServers", daemon, chat)
            .await
            .ok();
        let attach = json!({ "actor": { "user": "ann" }, "chatId": "chat-1", "servers": [{
            "slug": "notes", "url": format!("https://{name}.example.com/"), "allowInSubagents": true,
            "headers": [{ "name": format!("X-{name}"), "value": format!("{name}-value") }],
        }]});
        let attached = wire
            .call("ChatService/SetChatInlineServers", daemon, attach)
            .await
            .ok();
        let spawn = json!({ "actor": { "user": "ann" }, "chatId": "chat-1",
            "subagent": { "subchatId": "sub-1" } });
        wire.call("ChatService/ResolveChat", daemon, spawn)
            .await
            .ok();
        self.note("inline", text(&attached["chat"]["inlineServers"][0]["id"]));
    }

    async fn fill_connection(&mut self, service: &TestService, wire: &Wire) {
        let daemon = self.caller(Role::Daemon);
        let start = json!({ "actor": { "user": "ann" }, "server": "wiki" });
        let began = wire
            .call("HandshakeService/StartHandshake", daemon, start.clone())
            .await
            .ok();
        let page = browse(
            service,
            self.id("server"),
            &text(&began["connectUrl"]),
            "code",
        )
        .await;
        assert_eq!(page.1.status, 200, "{}", page.1.text);
        let read = wire
            .call("TokenService/GetConnection", daemon, start.clone())
            .await
            .ok();
        let open = wire
            .call("HandshakeService/StartHandshake", daemon, start)
            .await
            .ok();
        self.note("connection", text(&read["connection"]["id"]));
        self.note("registration", text(&read["connection"]["registrationId"]));
        self.note("handshake", text(&open["handshake"]["id"]));
        self.note("link", text(&open["connectUrl"]));
    }
}
