//! `AccessService`: API keys, and the caller as the service sees it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tonic::{Request, Response, Status, async_trait};

use super::call::Call;
use super::convert::{all, choice, id, next_token, once, page, time, timestamp};
use crate::app::{App, NewApiKey, Result as Done, ServerRef};
use crate::domain::access::{ApiKey, Caller, Credential, METHODS, Narrowing, Role, method};
use crate::domain::ids::ServerId;
use crate::domain::secrets::ShownOnce;
use crate::domain::text::{self, UserId, Violations};
use crate::domain::time::Clock;
use crate::pb::v1 as pb;
use crate::pb::v1::access_service_server::AccessService;

/// The service.
#[derive(Debug)]
pub(super) struct Access {
    /// The use cases.
    pub(super) app: App,
    /// Tells which keys have ended.
    pub(super) clock: Arc<dyn Clock>,
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl AccessService for Access {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Answer<pb::CreateApiKeyResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(create(&self.app, &call.caller, ask).await)
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Answer<pb::ListApiKeysResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(self.list(&call.caller, &ask).await)
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Answer<pb::RevokeApiKeyResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("api_key", &ask.api_key);
        call.answer(revoke(&self.app, &call.caller, &ask.api_key).await)
    }

    async fn who_am_i(&self, request: Request<pb::WhoAmIRequest>) -> Answer<pb::WhoAmIResponse> {
        let (call, _) = Call::open(request)?;
        Ok(Response::new(who(&call.caller)))
    }
}

impl Access {
    async fn list(
        &self,
        caller: &Caller,
        ask: &pb::ListApiKeysRequest,
    ) -> Done<pb::ListApiKeysResponse> {
        let mut found = Violations::new();
        let wanted = optional_role(&mut found, ask.role);
        let page = page(&mut found, ask.page_size, &ask.page_token);
        let page = all(found, page)?;
        let operators = wanted == Some(Role::Operator);
        let page = self.app.list_api_keys(caller, operators, &page).await?;
        let now = self.clock.now();
        let keys = page.entries.iter().filter(|key| {
            wanted.is_none_or(|role| key.role == role) && (ask.show_revoked || key.is_live(now))
        });
        Ok(pb::ListApiKeysResponse {
            api_keys: keys.map(api_key).collect(),
            next_page_token: next_token(page.next.as_ref()),
        })
    }
}

/// A key, without its secret.
fn api_key(key: &ApiKey) -> pb::ApiKey {
    pb::ApiKey {
        id: key.id.to_string(),
        tenant: key
            .tenant
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        role: role(key.role).into(),
        name: key.name.clone(),
        narrowing: narrowing(&key.narrowing, key.user.as_ref()),
        created_by: key.created_by.clone(),
        create_time: Some(timestamp(key.created_at)),
        expire_time: key.expires_at.map(timestamp),
        revoke_time: key.revoked_at.map(timestamp),
        last_use_time: key.last_used_at.map(timestamp),
    }
}

/// Absent where nothing is narrowed.
fn narrowing(narrowing: &Narrowing, user: Option<&UserId>) -> Option<pb::ApiKeyNarrowing> {
    let narrowed = user.is_some() || *narrowing != Narrowing::default();
    narrowed.then(|| pb::ApiKeyNarrowing {
        methods: narrowing.methods.clone(),
        servers: narrowing.servers.iter().map(ToString::to_string).collect(),
        source_cidrs: narrowing
            .source_cidrs
            .iter()
            .map(ToString::to_string)
            .collect(),
        requires_user_token: narrowing.requires_user_token,
        user: user.map(ToString::to_string).unwrap_or_default(),
    })
}

fn who(caller: &Caller) -> pb::WhoAmIResponse {
    let (kind, issuer, subject) = match &caller.credential {
        Credential::ApiKey(_) => (pb::CallerKind::ApiKey, "", ""),
        Credential::Jwt { issuer, subject } => {
            (pb::CallerKind::Jwt, issuer.as_str(), subject.as_str())
        }
    };
    // Whom a token names, the key is not narrowed to.
    let narrowed_to = caller.user.as_ref().filter(|_| caller.groups.is_none());
    let groups = caller.groups.iter().flat_map(|groups| groups.iter());
    pb::WhoAmIResponse {
        kind: kind.into(),
        tenant: caller.tenant.to_string(),
        role: role(caller.role).into(),
        principal: caller.principal(),
        name: caller.name.clone(),
        user: caller
            .user
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        groups: groups.map(ToString::to_string).collect(),
        narrowing: narrowing(&caller.narrowing, narrowed_to),
        expire_time: caller.expires_at.map(timestamp),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    }
}

fn role(role: Role) -> pb::Role {
    match role {
        Role::Admin => pb::Role::Admin,
        Role::Daemon => pb::Role::Daemon,
        Role::User => pb::Role::User,
        Role::Auditor => pb::Role::Auditor,
        Role::Operator => pb::Role::Operator,
    }
}

fn optional_role(found: &mut Violations, value: i32) -> Option<Role> {
    match choice(found, "role", value)? {
        pb::Role::Unspecified => None,
        pb::Role::Admin => Some(Role::Admin),
        pb::Role::Daemon => Some(Role::Daemon),
        pb::Role::User => Some(Role::User),
        pb::Role::Auditor => Some(Role::Auditor),
        pb::Role::Operator => Some(Role::Operator),
    }
}

async fn create(
    app: &App,
    caller: &Caller,
    mut ask: pb::CreateApiKeyRequest,
) -> Done<pb::CreateApiKeyResponse> {
    let request_id = std::mem::take(&mut ask.request_id);
    let mut found = Violations::new();
    let once = once(&mut found, &request_id, &ask);
    let role = optional_role(&mut found, ask.role);
    if ask.role == 0 {
        found.add("role", "is required");
    }
    let name = found.keep("name", text::required(&ask.name, 200));
    let expires_at = time(&mut found, "expire_time", ask.expire_time);
    let asked = ask.narrowing.unwrap_or_default();
    let methods = methods(&mut found, &asked.methods);
    let source_cidrs = cidrs(&mut found, &asked.source_cidrs);
    let servers = found.keep("narrowing.servers", text::list(&asked.servers, 100, 255));
    let user = (!asked.user.is_empty())
        .then(|| found.keep("narrowing.user", UserId::parse(&asked.user)))
        .flatten();
    let parts = role.zip(name).zip(servers);
    let ((role, name), servers) = all(found, parts)?;
    let servers = server_ids(app, caller, &servers).await?;
    let narrowing = Narrowing {
        methods,
        servers,
        source_cidrs,
        requires_user_token: asked.requires_user_token,
    };
    let new = NewApiKey {
        role,
        name,
        user,
        narrowing,
        expires_at,
        once,
    };
    let written = app.create_api_key(caller, new).await?;
    let (key, secret) = written.value;
    Ok(pb::CreateApiKeyResponse {
        api_key: Some(api_key(&key)),
        secret: secret.map(ShownOnce::show).unwrap_or_default(),
        revision: written.revision.0,
    })
}

/// The ids of servers named by id or slug.
async fn server_ids(app: &App, caller: &Caller, names: &[String]) -> Done<Vec<ServerId>> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let view = app
            .get_server(caller, &ServerRef::parse(name)?, None)
            .await?;
        ids.push(view.server.id);
    }
    Ok(ids)
}

/// Full method names; `*` in the method's place stands for all of its service.
fn methods(found: &mut Violations, asked: &[String]) -> Vec<String> {
    let field = "narrowing.methods";
    if asked.len() > 64 {
        found.add(field, "must hold at most 64 methods");
    }
    some_said(found, field, asked);
    let mut named: Vec<String> = Vec::new();
    for text in asked
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
    {
        let before = named.len();
        if method(text).is_some() {
            named.push(text.to_owned());
        } else if let Some(service) = text.strip_suffix('*') {
            let paths = METHODS.iter().map(|row| (row, row.path()));
            let of_service =
                paths.filter(|(row, path)| path.strip_suffix(row.name) == Some(service));
            named.extend(of_service.map(|(_, path)| path));
        }
        if named.len() == before {
            found.add(field, format!("{text:?} is not a method of this API"));
        }
    }
    named.sort_unstable();
    named.dedup();
    named
}

/// Notes a list of which nothing is left: the key would not be narrowed.
fn some_said(found: &mut Violations, field: &str, asked: &[String]) {
    if !asked.is_empty() && asked.iter().all(|text| text.trim().is_empty()) {
        found.add(field, "must not hold empty entries only");
    }
}

/// Networks; an address is the network of itself.
fn cidrs(found: &mut Violations, asked: &[String]) -> Vec<IpNet> {
    let field = "narrowing.source_cidrs";
    if asked.len() > 32 {
        found.add(field, "must hold at most 32 networks");
    }
    let parse = |text: &str| {
        let network = text.parse::<IpNet>().ok();
        network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    some_said(found, field, asked);
    let mut networks = Vec::new();
    for text in asked
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
    {
        match parse(text) {
            Some(network) => networks.push(network),
            None => found.add(field, format!("{text:?} is not a network")),
        }
    }
    networks
}

async fn revoke(app: &App, caller: &Caller, text: &str) -> Done<pb::RevokeApiKeyResponse> {
    let mut found = Violations::new();
    let id = id(&mut found, "api_key", text);
    let written = app.revoke_api_key(caller, all(found, id)?).await?;
    Ok(pb::RevokeApiKeyResponse {
        api_key: Some(api_key(&written.value)),
        revision: written.revision.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_every_method_of_its_service() {
        let mut found = Violations::new();

        let named = methods(
            &mut found,
            &["/stationmaster.v1.TenantService/*".to_owned()],
        );

        assert_eq!(named.len(), 4);
        assert!(named.iter().all(|path| method(path).is_some()));
        assert!(found.is_empty());
    }

    #[test]
    fn what_is_no_method_or_network_is_named() {
        let mut found = Violations::new();

        methods(
            &mut found,
            &["*".to_owned(), "/x/*".to_owned(), "/x/Y".to_owned()],
        );
        let networks = cidrs(&mut found, &["10.0.0.0/8", "::1", "x"].map(str::to_owned));

        assert_eq!(networks.len(), 2);
        assert_eq!(found.into_vec().len(), 4);
    }

    #[test]
    fn a_role_must_be_one() {
        let mut found = Violations::new();

        assert_eq!(
            optional_role(&mut found, pb::Role::Daemon.into()),
            Some(Role::Daemon)
        );
        assert_eq!(optional_role(&mut found, 99), None);

        assert_eq!(found.into_vec().len(), 1);
    }
}
