//! What the fake authorization server knows and decides: clients, codes, and the grants that
//! refresh tokens belong to.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use url::{Url, form_urlencoded};

use super::Consent;
use crate::harness::keys::Key;
use crate::harness::web::{Reply, Seen};

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) redirect_uris: Vec<String>,
    pub(super) secret: Option<String>,
    /// Its key, and whom its assertions must be for.
    pub(super) key: Option<(Key, String)>,
    /// The token that manages it.
    pub(super) managed_by: Option<String>,
}

#[derive(Debug, Clone)]
struct Grant {
    client: String,
    redirect_uri: String,
    challenge: String,
    resource: String,
    scope: String,
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent habits of a provider"
)]
pub(super) struct State {
    issuer: String,
    pub(super) consent: Consent,
    pub(super) lifetime: Option<u32>,
    /// Whether a refresh is answered with a new refresh token.
    pub(super) rotates: bool,
    /// Whether a refresh token that was redeemed is taken once more without harm.
    pub(super) forgives: bool,
    /// What is granted, whatever was asked for.
    pub(super) grants_only: Option<String>,
    /// Whether there are refresh tokens at all.
    pub(super) renews: bool,
    pub(super) clients: HashMap<String, Client>,
    codes: HashMap<String, Grant>,
    /// Refresh tokens, with the number of their grant, and those used already.
    refresh_tokens: HashMap<String, (u64, Grant)>,
    spent: HashSet<String>,
    access_tokens: HashMap<String, u64>,
    dead: HashSet<u64>,
    made: u64,
    /// When secrets given from now on end, in seconds; zero for never.
    pub(super) secret_ends: Option<i64>,
    /// Whether clients prove themselves in the body only, and nothing says so.
    pub(super) post_only: bool,
    /// Where clients that register are managed, if they are.
    pub(super) managed_at: Option<String>,
    /// The clients deleted so far.
    pub(super) unregistered: Vec<String>,
    /// The names of the assertions seen so far: none is good twice.
    asserted: HashSet<String>,
}

/// RFC 7523, section 2.2.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn refusal(code: &str) -> Reply {
    Reply::json(400, &json!({ "error": code }))
}

impl State {
    pub(super) fn new(issuer: String) -> Self {
        Self {
            issuer,
            consent: Consent::Given,
            lifetime: Some(3600),
            rotates: true,
            forgives: false,
            grants_only: None,
            renews: true,
            clients: HashMap::new(),
            codes: HashMap::new(),
            refresh_tokens: HashMap::new(),
            spent: HashSet::new(),
            access_tokens: HashMap::new(),
            dead: HashSet::new(),
            made: 0,
            secret_ends: None,
            post_only: false,
            managed_at: None,
            unregistered: Vec::new(),
            asserted: HashSet::new(),
        }
    }

    pub(super) fn add_client(&mut self, id: &str, secret: &str, redirect_uri: &str) {
        let client = Client {
            redirect_uris: vec![redirect_uri.to_owned()],
            secret: Some(secret.to_owned()),
            ..Client::default()
        };
        self.clients.insert(id.to_owned(), client);
    }

    pub(super) fn add_public_client(&mut self, id: &str, redirect_uri: &str) {
        let client = Client {
            redirect_uris: vec![redirect_uri.to_owned()],
            ..Client::default()
        };
        self.clients.insert(id.to_owned(), client);
    }

    pub(super) fn add_signing_client(
        &mut self,
        id: &str,
        key: Key,
        (redirect_uri, audience): (&str, &str),
    ) {
        let client = Client {
            redirect_uris: vec![redirect_uri.to_owned()],
            key: Some((key, audience.to_owned())),
            ..Client::default()
        };
        self.clients.insert(id.to_owned(), client);
    }

    pub(super) fn change_key(&mut self, id: &str, key: Key) {
        let held = self.clients.get_mut(id).and_then(|one| one.key.as_mut());
        held.unwrap().0 = key;
    }

    pub(super) fn forget_clients(&mut self) {
        self.clients.clear();
    }

    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A grant that a client obtained elsewhere: an access token and a refresh token.
    pub(super) fn grant(&mut self, client: &str) -> (String, String) {
        let grant = Grant {
            client: client.to_owned(),
            redirect_uri: String::new(),
            challenge: String::new(),
            resource: String::new(),
            scope: String::new(),
        };
        let number = self.next();
        let made = self.next();
        let (access, refresh) = (format!("access-{made}"), format!("refresh-{made}"));
        self.access_tokens.insert(access.clone(), number);
        self.refresh_tokens.insert(refresh.clone(), (number, grant));
        (access, refresh)
    }

    pub(super) fn accepts(&self, authorization: &str) -> bool {
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        let grant = self.access_tokens.get(token);
        grant.is_some_and(|grant| !self.dead.contains(grant))
    }

    pub(super) fn authorize(&mut self, seen: &Seen) -> Reply {
        let query = seen.query.clone().unwrap_or_default();
        let query: HashMap<_, _> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let given = |name: &str| query.get(name).cloned().unwrap_or_default();
        let (client, redirect_uri) = (given("client_id"), given("redirect_uri"));
        let known = self.clients.get(&client);
        if !known.is_some_and(|known| known.redirect_uris.contains(&redirect_uri)) {
            return Reply::text(400, "text/plain", "no such client or redirect URI");
        }
        if given("code_challenge_method") != "S256" || given("response_type") != "code" {
            return Reply::text(400, "text/plain", "not the flow of this server");
        }
        let mut back = Url::parse(&redirect_uri).unwrap();
        let mut answer = vec![("state", given("state"))];
        let issuer = self.issuer.clone();
        match self.consent {
            Consent::NoIssuer => {}
            Consent::WrongIssuer => answer.push(("iss", format!("{issuer}/other"))),
            Consent::Given
            | Consent::Denied
            | Consent::Broken
            | Consent::Refused
            | Consent::Empty => {
                answer.push(("iss", issuer));
            }
        }
        match self.consent {
            Consent::Denied => answer.push(("error", "access_denied".to_owned())),
            Consent::Broken => answer.push(("error", "server_error".to_owned())),
            Consent::Refused => answer.push(("error", "invalid_scope".to_owned())),
            Consent::Empty => {}
            Consent::Given | Consent::WrongIssuer | Consent::NoIssuer => {
                let code = format!("code-{}", self.next());
                let grant = Grant {
                    client,
                    redirect_uri,
                    challenge: given("code_challenge"),
                    resource: given("resource"),
                    scope: given("scope"),
                };
                self.codes.insert(code.clone(), grant);
                answer.push(("code", code));
            }
        }
        back.query_pairs_mut().extend_pairs(answer);
        Reply::redirect(302, back)
    }

    pub(super) fn token(&mut self, seen: &Seen) -> Reply {
        let Some(client) = self.authenticated(seen) else {
            return Reply::json(401, &json!({ "error": "invalid_client" }));
        };
        let given = |name: &str| seen.form(name).unwrap_or_default();
        match given("grant_type").as_str() {
            "authorization_code" => {
                let Some(grant) = self.codes.remove(&given("code")) else {
                    return refusal("invalid_grant");
                };
                let verifier = given("code_verifier");
                let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
                let proven = BASE64_URL_SAFE_NO_PAD.encode(digest) == grant.challenge;
                let same = grant.client == client
                    && grant.redirect_uri == given("redirect_uri")
                    && grant.resource == given("resource");
                if !proven || !same {
                    return refusal("invalid_grant");
                }
                let number = self.next();
                self.issue(number, grant, true)
            }
            "refresh_token" => {
                let presented = given("refresh_token");
                let Some((number, grant)) = self.refresh_tokens.get(&presented).cloned() else {
                    return refusal("invalid_grant");
                };
                if self.spent.contains(&presented) && !self.forgives {
                    self.dead.insert(number);
                }
                // A grant obtained elsewhere is for no resource in particular.
                let anywhere = grant.resource.is_empty();
                let same =
                    grant.client == client && (anywhere || grant.resource == given("resource"));
                if self.dead.contains(&number) || !same {
                    return refusal("invalid_grant");
                }
                let rotates = self.rotates;
                if rotates {
                    self.spent.insert(presented);
                }
                self.issue(number, grant, rotates)
            }
            "client_credentials" => {
                let grant = Grant {
                    client,
                    redirect_uri: String::new(),
                    challenge: String::new(),
                    resource: given("resource"),
                    scope: given("scope"),
                };
                let number = self.next();
                self.issue(number, grant, true)
            }
            _ => refusal("unsupported_grant_type"),
        }
    }

    /// Ends the grant of a token, which need not be known (RFC 7009, section 2.2).
    pub(super) fn revoke(&mut self, seen: &Seen) -> Reply {
        if self.authenticated(seen).is_none() {
            return Reply::json(401, &json!({ "error": "invalid_client" }));
        }
        let token = seen.form("token").unwrap_or_default();
        let renewed = self.refresh_tokens.get(&token).map(|(grant, _)| *grant);
        let grant = renewed.or_else(|| self.access_tokens.get(&token).copied());
        self.dead.extend(grant);
        Reply::status(200)
    }

    /// How many grants are good.
    pub(super) fn grants(&self) -> usize {
        let all: HashSet<u64> = self.access_tokens.values().copied().collect();
        all.difference(&self.dead).count()
    }

    /// The client of a request, if it proves itself as it must.
    fn authenticated(&mut self, seen: &Seen) -> Option<String> {
        if let Some(assertion) = seen.form("client_assertion") {
            return self.asserted(seen, &assertion);
        }
        let basic = seen.header("authorization").and_then(|value| {
            let decoded = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
            let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
            Some((id.to_owned(), Some(secret.to_owned())))
        });
        if self.post_only && basic.is_some() {
            return None;
        }
        let (id, secret) =
            basic.or_else(|| Some((seen.form("client_id")?, seen.form("client_secret"))))?;
        let known = self.clients.get(&id)?;
        (known.secret == secret && known.key.is_none()).then_some(id)
    }

    /// The client that an assertion is about, if it is good and no other proof is with it (RFC 7523,
    /// section 3; RFC 7521, section 4.2.1).
    fn asserted(&mut self, seen: &Seen, assertion: &str) -> Option<String> {
        let id = seen.form("client_id")?;
        let (key, audience) = self.clients.get(&id)?.key.as_ref()?;
        let (_, claims) = key.verify(assertion)?;
        let about = claims["iss"] == id && claims["sub"] == id && claims["aud"] == *audience;
        let lifetime = claims["exp"].as_i64()? - claims["iat"].as_i64()?;
        let alone = seen.header("authorization").is_none() && seen.form("client_secret").is_none();
        let named = seen.form("client_assertion_type").as_deref() == Some(ASSERTION);
        let jti = claims["jti"].as_str()?.to_owned();
        (about && lifetime == 120 && alone && named && self.asserted.insert(jti)).then_some(id)
    }

    fn issue(&mut self, number: u64, grant: Grant, with_refresh: bool) -> Reply {
        let made = self.next();
        let access = format!("access-{made}");
        self.access_tokens.insert(access.clone(), number);
        let mut answer = json!({ "access_token": access, "token_type": "Bearer" });
        let scope = self.grants_only.as_ref().unwrap_or(&grant.scope);
        if !scope.is_empty() {
            answer["scope"] = json!(scope);
        }
        if let Some(lifetime) = self.lifetime {
            answer["expires_in"] = json!(lifetime);
        }
        if self.renews && with_refresh {
            let refresh = format!("refresh-{made}");
            answer["refresh_token"] = json!(refresh);
            self.refresh_tokens.insert(refresh, (number, grant));
        }
        Reply::json(200, &answer)
    }
}
