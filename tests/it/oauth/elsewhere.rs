//! What names and servers elsewhere say leads to no address that was not checked, and not to this
//! machine, even where servers on this machine are allowed.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use stationmaster::domain::secrets::{RefreshToken, RegistrationAccessToken};
use stationmaster::fetch::{
    Error, Fetch, FetchRules, Names, PlainHttp, Policy, Request, Response, Route, Why,
};
use stationmaster::oauth::{
    self, Discovery, Endpoint, ForeignEndpoints, Legacy, MissingPkce, NewClient, Outcome, Purpose,
    Revocation, Revoked, Target, discover, register, revoke, unregister,
};
use url::Url;

use super::{LOCAL, PATIENCE, clock, fetch, public, redeem_by};
use crate::harness::web::{Reply, Web};

/// A server that is not on this machine.
const ELSEWHERE: &str = "http://mcp.example/mcp";

/// Names that the script knows; each is this machine.
fn named(rules: FetchRules) -> Fetch {
    let here = |_: &str| Ok(vec![IpAddr::from([127, 0, 0, 1])]);
    let names = Names::Script(Arc::new(here));
    let route = Route {
        names,
        ..Route::default()
    };
    Fetch::by(&route, rules).unwrap()
}

/// Development, and two hosts of which the operator says that they may be contacted.
fn known(hosts: &[&str]) -> FetchRules {
    FetchRules {
        allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..FetchRules::development()
    }
}

fn blocked(error: &Error) -> bool {
    matches!(
        error,
        Error::Blocked {
            why: Why::Address(_),
            ..
        }
    )
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_contacted_where_it_was_checked() {
    const CHECKED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let (checked, other) = Web::start_on_both(CHECKED, OTHER).await;
    checked.on("/", Reply::status(204));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // The first answer may be contacted; every later one may not.
    let rebinding = move |_: &str| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(vec![if first { CHECKED } else { OTHER }])
    };
    let route = Route {
        names: Names::Script(Arc::new(rebinding)),
        ..Route::default()
    };
    let rules = FetchRules {
        plain_http: PlainHttp::Allowed,
        allowed_cidrs: vec![CHECKED.into()],
        ..FetchRules::default()
    };
    let fetch = Fetch::by(&route, rules).unwrap();
    let url = checked.url_at("rebinding.example", "/");
    let get = || fetch.send(Request::document(Url::parse(&url).unwrap()).deadline(PATIENCE));

    let first = get().await.unwrap();
    let names_asked = asked.load(Ordering::SeqCst);
    let second = get().await.unwrap_err();

    assert_eq!(first.status, 204);
    assert_eq!(names_asked, 1, "what was checked is what was connected to");
    assert!(blocked(&second), "{second:?}");
    assert_eq!(checked.seen().len(), 1);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn one_forbidden_address_among_the_answers_refuses_all() {
    let web = Web::start().await;
    let url = Url::parse(&web.url_at("two.example", "/")).unwrap();

    for forbidden in ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1"] {
        let forbidden: IpAddr = forbidden.parse().unwrap();
        let both = move |_: &str| Ok(vec![IpAddr::from([127, 0, 0, 1]), forbidden]);
        let route = Route {
            names: Names::Script(Arc::new(both)),
            ..Route::default()
        };
        let fetch = Fetch::by(&route, FetchRules::development()).unwrap();

        let request = Request::document(url.clone()).policy(Policy::Local);
        let error = fetch.send(request).await.unwrap_err();

        assert!(blocked(&error), "{forbidden}: {error:?}");
    }
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn what_a_server_elsewhere_names_on_this_machine_is_not_contacted() {
    let web = Web::start().await;
    let token = RefreshToken::new("old".to_owned());
    let management = RegistrationAccessToken::new("m".to_owned());

    for url in [web.url("/"), web.url_by_name("/")] {
        let endpoint = Endpoint {
            policy: Policy::on_behalf_of(ELSEWHERE),
            ..public(&url)
        };
        let client = NewClient {
            on_behalf_of: ELSEWHERE,
            redirect_uri: "https://station.example/cb",
            client_name: "n",
            client_uri: None,
            scopes: None,
            auth_methods: None,
            deadline: PATIENCE,
        };

        let redeemed = redeem_by(&fetch(), &endpoint).await;
        let revoked = revoke(&fetch(), &endpoint, Revoked::Refresh(&token)).await;
        let deleted = unregister(&fetch(), &url, ELSEWHERE, &management, PATIENCE).await;
        let registered = register(&fetch(), &url, &client).await.unwrap_err();

        assert!(
            matches!(&redeemed, Outcome::NotSent(oauth::Error::Fetch(error)) if blocked(error)),
            "{redeemed:?}"
        );
        for revocation in [revoked, deleted] {
            assert!(
                matches!(&revocation, Revocation::Impossible(oauth::Error::Fetch(error)) if blocked(error)),
                "{revocation:?}"
            );
        }
        assert!(
            matches!(&registered, oauth::Error::Fetch(error) if blocked(error)),
            "{registered:?}"
        );
    }
    assert!(web.seen().is_empty());
}

/// The metadata of a server and of its issuer, which has its token endpoint there.
fn described(web: &Web, issuer: &str, token_endpoint: &str) {
    web.on(
        "/.well-known/oauth-protected-resource/mcp",
        Reply::made({
            let issuer = issuer.to_owned();
            move |seen| {
                let host = seen.header("host").unwrap_or_default();
                let resource = format!("http://{host}/mcp");
                Reply::json(
                    200,
                    &json!({"resource": resource, "authorization_servers": [issuer]}),
                )
            }
        }),
    );
    let metadata: Value = json!({
        "issuer": issuer,
        "authorization_endpoint": "https://idp.example/authorize",
        "token_endpoint": token_endpoint,
        "code_challenge_methods_supported": ["S256"],
    });
    web.on(
        "/.well-known/oauth-authorization-server",
        Reply::json(200, &metadata),
    );
}

async fn discovered(fetch: &Fetch, server_url: &str) -> Discovery {
    let target = Target {
        server_url,
        hint: None,
        issuer: None,
        trusted_origins: &[],
        legacy: Legacy::Refused,
        foreign_endpoints: ForeignEndpoints::Refused,
        purpose: Purpose::Users,
        missing_pkce: MissingPkce::Refused,
        clock: clock(),
        deadline: PATIENCE,
    };
    discover(fetch, &target).await
}

#[tokio::test]
async fn metadata_elsewhere_may_not_point_to_this_machine() {
    let (web, other) = (Web::start().await, Web::start().await);
    let by_name = |host: &str, path: &str| web.url_at(host, path);
    let server = by_name("mcp.example", "/mcp");
    let fetch = named(known(&["mcp.example", "idp.example"]));

    described(&web, &other.url(""), &other.url("/token"));
    let issuer = discovered(&fetch, &server).await.result.unwrap_err();

    assert!(
        matches!(&issuer, oauth::Error::Fetch(error) if blocked(error)),
        "{issuer:?}"
    );

    described(&web, &by_name("idp.example", ""), &other.url("/token"));
    let token = discovered(&fetch, &server).await.result.unwrap_err();

    assert!(
        matches!(
            token,
            oauth::Error::Metadata {
                member: "token_endpoint"
            }
        ),
        "{token:?}"
    );
    assert!(other.seen().is_empty());

    // The same documents of a server that is here itself.
    let local = discovered(&fetch, &web.url("/mcp")).await.result;
    assert!(local.is_ok(), "{local:?}");
}

#[tokio::test]
async fn what_the_operator_lists_outweighs_where_the_server_is() {
    let web = Web::start().await;
    web.on("/", Reply::status(204));
    let ranges = FetchRules {
        plain_http: PlainHttp::Allowed,
        allowed_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
        ..FetchRules::default()
    };
    let hosts = known(&["127.0.0.1"]);

    for rules in [ranges, hosts] {
        let answer = ask(&rules, &web.url("/"), ELSEWHERE).await;

        assert_eq!(answer.unwrap().status, 204);
    }
    let nothing_listed = FetchRules::development();
    assert!(
        ask(&nothing_listed, &web.url("/"), ELSEWHERE)
            .await
            .is_err()
    );
    assert!(ask(&nothing_listed, &web.url("/"), LOCAL).await.is_ok());
}

async fn ask(rules: &FetchRules, url: &str, on_behalf_of: &str) -> Result<Response, Error> {
    let request = Request::document(Url::parse(url).unwrap())
        .policy(Policy::on_behalf_of(on_behalf_of))
        .deadline(PATIENCE);
    Fetch::new(rules.clone()).unwrap().send(request).await
}
