//! A person's way through a connect link: asked, sent to the provider, back, and told how it went.
//! The handshake is started at the use cases, so that nothing but the browser's door is in between.

use serde_json::json;
use stationmaster::app::{
    NewHandshake, NewServer, Options, Presented, SecretText, ServerRef, Started,
};
use stationmaster::domain::access::{Actor, Caller};
use stationmaster::domain::authorization::Scopes;
use stationmaster::domain::handshakes::Binding;
use stationmaster::domain::servers::{
    Access, Auth, Availability, Draft, Endpoints, OAuth2, SecretEdits, Spec, ToolPolicy, Transport,
};
use stationmaster::domain::text::{Slug, UserId};
use url::Url;

use crate::harness::http::{self, Answer};
use crate::harness::service::{Engine, TestService};
use crate::harness::web::{Reply, Web};

const OPENER: &str = "https://chat.example.com";

/// A service with one server, whose provider is scripted.
struct Stage {
    service: TestService,
    provider: Web,
}

async fn stage() -> Stage {
    let provider = Web::start().await;
    let token = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": 3600 });
    provider.on("/token", Reply::json(200, &token));
    let settings = [
        ("public.allowed_opener_origins", OPENER),
        ("public.allowed_return_urls", "https://chat.example.com/"),
    ];
    let service = TestService::start_with(Engine::Sqlite, &settings).await;
    let auth = Auth::OAuth2(Box::new(OAuth2 {
        endpoints: Some(Endpoints {
            client_id: "client".to_owned(),
            authorization_endpoint: provider.url("/authorize"),
            token_endpoint: provider.url("/token"),
        }),
        ..OAuth2::default()
    }));
    let new = NewServer {
        id: None,
        owner: None,
        draft: Draft {
            spec: spec(auth, provider.url("/mcp")),
            secrets: SecretEdits::default(),
        },
        once: None,
    };
    let admin = caller(&service, service.admin_key(), "ConfigService/CreateServer").await;
    let created = service.within(|app| async move { app.create_server(&admin, new).await });
    created.await.unwrap();
    Stage { service, provider }
}

fn spec(auth: Auth, url: String) -> Spec {
    Spec {
        slug: Slug::parse("tools").unwrap(),
        display_name: "Tools <b>".to_owned(),
        description: String::new(),
        icon_url: String::new(),
        url,
        transport: Transport::StreamableHttp,
        enabled: true,
        availability: Availability::DefaultOff,
        allow_in_plan_mode: false,
        allow_in_subagents: false,
        model_intent: false,
        forward_identity_headers: false,
        tools: ToolPolicy::default(),
        access: Access::default(),
        managed_by: String::new(),
        auth,
        account_binding: None,
        identity_forwarding: None,
    }
}

async fn caller(service: &TestService, key: &str, method: &str) -> Caller {
    let path = format!("/stationmaster.v1.{method}");
    let key = key.to_owned();
    let known = service.within(|app| async move {
        let presented = Presented {
            path: &path,
            key: Some(&SecretText(&key)),
            user_token: None,
            tenant: None,
            address: None,
            request_id: "test",
        };
        app.authenticate(presented).await
    });
    known.await.unwrap()
}

impl Stage {
    async fn start(&self) -> (String, String) {
        let new = NewHandshake {
            actor: Actor {
                user: UserId::parse("alice").unwrap(),
                groups: Vec::new(),
            },
            server: ServerRef::parse("tools").unwrap(),
            options: Options {
                binding: Some(Binding::Link),
                return_url: Some(format!("{OPENER}/settings")),
                opener_origin: Some(OPENER.to_owned()),
                completion_url: None,
            },
            challenges: Vec::new(),
            extra_scopes: Scopes::default(),
        };
        let caller = caller(
            &self.service,
            self.service.daemon_key(),
            "HandshakeService/StartHandshake",
        )
        .await;
        let started = self
            .service
            .within(|app| async move { app.start_handshake(&caller, new).await });
        let Started {
            handshake,
            connect_url,
            ..
        } = started.await.unwrap();
        (handshake.id.to_string(), connect_url.show())
    }

    /// Agrees on the page of a link; answers the cookie and where the provider sends the browser
    /// back to, with the state.
    async fn agree(&self, link: &str) -> (String, Url) {
        let asked = http::get(link, &[]).await;
        let cookie = cookie(&asked);
        let headers = [
            ("cookie", cookie.as_str()),
            ("origin", self.service.public_url()),
            ("sec-fetch-site", "same-origin"),
        ];
        let left = http::send("POST", link, &headers).await;
        assert_eq!(left.status, 200, "{}", left.text);
        let provider = refresh(&left);
        let parameter = |name: &str| {
            let found = provider.query_pairs().find(|(key, _)| key == name);
            found.expect("the parameter is there").1.into_owned()
        };
        let mut back = Url::parse(&parameter("redirect_uri")).unwrap();
        back.query_pairs_mut()
            .append_pair("state", &parameter("state"));
        (cookie, back)
    }
}

fn cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").split(';').next();
    cookie.unwrap_or_default().to_owned()
}

/// Where a page leads by itself.
fn refresh(page: &Answer) -> Url {
    let (_, rest) = page
        .text
        .split_once("content=\"0;url=")
        .expect("it leads on");
    let url = rest
        .split('"')
        .next()
        .unwrap_or_default()
        .replace("&#38;", "&");
    Url::parse(&url).unwrap()
}

#[tokio::test]
async fn a_person_is_asked_sent_away_and_told_that_it_worked() {
    let stage = stage().await;
    let (handshake, link) = stage.start().await;

    let asked = http::get(&link, &[]).await;
    let (cookie, mut back) = stage.agree(&link).await;
    back.query_pairs_mut().append_pair("code", "c0de");
    let done = http::get(back.as_str(), &[("cookie", &cookie)]).await;
    let again = http::get(back.as_str(), &[("cookie", &cookie)]).await;

    assert!(
        asked.text.contains("Connect Tools &#60;b&#62;"),
        "{}",
        asked.text
    );
    assert!(asked.text.contains("alice"));
    assert_eq!(asked.header("referrer-policy"), "same-origin");
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.text.contains("is connected"));
    assert!(
        done.text
            .contains(&format!("data-handshake=\"{handshake}\""))
    );
    assert!(done.text.contains("data-outcome=\"completed\""));
    assert!(done.text.contains(&format!("data-origin=\"{OPENER}\"")));
    assert!(
        done.text
            .contains("href=\"https://chat.example.com/settings\"")
    );
    assert!(again.text.contains("is connected"));
    assert_eq!(stage.provider.seen_at("/token").len(), 1);
}

#[tokio::test]
async fn a_person_who_says_no_is_told_that_nothing_was_stored() {
    let stage = stage().await;
    let (_, link) = stage.start().await;

    let (cookie, mut back) = stage.agree(&link).await;
    back.query_pairs_mut()
        .append_pair("error", "access_denied")
        .append_pair("error_description", "<i>their words</i>");
    let page = http::get(back.as_str(), &[("cookie", &cookie)]).await;

    assert_eq!(page.status, 200);
    assert!(page.text.contains("Access was refused"));
    assert!(page.text.contains("data-outcome=\"failed\""));
    assert!(!page.text.contains("their words"));
}

#[tokio::test]
async fn a_callback_in_another_browser_is_refused() {
    let stage = stage().await;
    let (_, link) = stage.start().await;

    let (_, mut back) = stage.agree(&link).await;
    back.query_pairs_mut().append_pair("code", "c0de");
    let without = http::get(back.as_str(), &[]).await;
    let stranger = format!("stationmaster-browser={}", "a".repeat(43));
    let other = http::get(back.as_str(), &[("cookie", &stranger)]).await;

    assert_eq!((without.status.as_u16(), other.status.as_u16()), (403, 403));
    assert!(stage.provider.seen_at("/token").is_empty());
}

#[tokio::test]
async fn all_tabs_of_a_browser_share_its_cookie() {
    let stage = stage().await;
    let (_, first) = stage.start().await;

    let new = http::get(&first, &[]).await;
    let known = http::get(&first, &[("cookie", &cookie(&new))]).await;

    assert!(
        new.header("set-cookie")
            .ends_with("; Path=/; HttpOnly; SameSite=Lax")
    );
    assert_eq!(known.header("set-cookie"), "");
}

#[tokio::test]
async fn a_link_that_nobody_opened_in_time_says_so() {
    let stage = stage().await;
    let (_, link) = stage.start().await;

    stage
        .service
        .clock()
        .advance(std::time::Duration::from_hours(1));
    let page = http::get(&link, &[]).await;

    assert_eq!(page.status, 410);
    assert!(page.text.contains("This link has expired"));
}
