//! The way out through a proxy: it is asked for nothing that we would not ask for ourselves, and
//! what it fails at was not sent.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use stationmaster::domain::secrets::Opaque;
use stationmaster::fetch::{
    Cause, Error, Fetch, FetchRules, Names, Policy, Request, Roots, Route, Why,
};
use url::Url;

use super::{IMPATIENCE, PATIENCE};
use crate::harness::proxy::{Manner, Proxy};
use crate::harness::tls::ROOT;
use crate::harness::web::{Reply, Web};

/// `tls.example` and `plain.example` are this machine, `private.example` is not, and there are no
/// other names.
fn names() -> Names {
    Names::Script(Arc::new(|name| match name {
        "tls.example" | "plain.example" => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
        "private.example" => Ok(vec![IpAddr::from([203, 0, 114, 1]), [10, 0, 0, 1].into()]),
        _ => Err(io::ErrorKind::NotFound.into()),
    }))
}

fn route(proxy: String) -> Route {
    Route {
        roots: Roots::from_pem(ROOT).unwrap(),
        proxy: Some(Opaque::new(proxy)),
        names: names(),
    }
}

fn through(proxy: &Proxy) -> Fetch {
    Fetch::by(&route(proxy.url("")), FetchRules::development()).unwrap()
}

fn get(url: &str) -> Request {
    Request::document(Url::parse(url).unwrap())
        .policy(Policy::Local)
        .deadline(PATIENCE)
}

fn post(url: &str) -> Request {
    Request::post_json(Url::parse(url).unwrap(), "{}")
        .policy(Policy::Local)
        .deadline(PATIENCE)
}

#[tokio::test]
async fn a_request_passes_through_the_proxy_and_its_credentials_stay_there() {
    let (web, proxy) = (Web::start_tls().await, Proxy::start(Manner::Passes).await);
    web.on("/token", Reply::status(204));
    let route = route(proxy.url("user:hu%40sh@"));
    let fetch = Fetch::by(&route, FetchRules::development()).unwrap();

    let answer = fetch.send(post(&web.url_at("tls.example", "/token"))).await;

    assert_eq!(answer.unwrap().status, 204);
    let [head] = proxy.heads().try_into().unwrap();
    let line = web
        .url_at("tls.example", "")
        .replace("https://", "CONNECT ");
    assert!(head.starts_with(&format!("{line} HTTP/1.1\r\n")), "{head}");
    // base64("user:hu@sh")
    assert!(head.contains("Basic dXNlcjpodUBzaA=="), "{head}");
    let [seen] = web.seen().try_into().unwrap();
    assert_eq!(seen.body, "{}");
    assert_eq!(seen.header("proxy-authorization"), None);
    let shown = format!("{fetch:?} {route:?}");
    assert!(
        !shown.contains("hu%40sh") && !shown.contains("hu@sh"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_may_not_be_contacted_never_reaches_the_proxy() {
    let proxy = Proxy::start(Manner::Passes).await;
    let fetch = through(&proxy);

    for (url, policy) in [
        ("https://10.0.0.1/", Policy::Local),
        ("https://[::ffff:169.254.169.254]/", Policy::Local),
        ("https://private.example/", Policy::Local),
        ("https://private.example./", Policy::Tenant),
        // The server that this is for is elsewhere.
        ("https://tls.example/", Policy::Tenant),
        ("https://127.0.0.1/", Policy::Tenant),
    ] {
        let error = fetch.send(post(url).policy(policy)).await.unwrap_err();

        assert!(
            matches!(
                error,
                Error::Blocked {
                    why: Why::Address(_),
                    ..
                }
            ),
            "{url}: {error:?}"
        );
    }
    let unknown = fetch.send(post("https://unknown.example/")).await;
    assert!(
        matches!(
            unknown,
            Err(Error::NotSent {
                cause: Cause::Name,
                ..
            })
        ),
        "{unknown:?}"
    );
    assert!(proxy.heads().is_empty());
}

#[tokio::test]
async fn every_hop_is_checked_before_the_proxy_is_asked_for_it() {
    let (web, proxy) = (Web::start_tls().await, Proxy::start(Manner::Passes).await);
    web.on("/", Reply::redirect(302, "https://private.example/"));

    let error = through(&proxy)
        .send(get(&web.url_at("tls.example", "/")))
        .await
        .unwrap_err();

    assert!(matches!(error, Error::Blocked { .. }), "{error:?}");
    assert_eq!(proxy.heads().len(), 1);
}

#[tokio::test]
async fn what_the_proxy_fails_at_was_not_sent() {
    let web = Web::start_tls().await;
    let url = web.url_at("tls.example", "/token");

    for manner in [
        Manner::Refuses(403),
        Manner::Refuses(407),
        Manner::Refuses(502),
        Manner::Dies,
    ] {
        let proxy = Proxy::start(manner).await;

        for request in [post(&url), get(&url)] {
            let error = through(&proxy).send(request).await.unwrap_err();

            assert!(
                matches!(
                    error,
                    Error::NotSent {
                        cause: Cause::Proxy,
                        ..
                    }
                ),
                "{manner:?}: {error:?}"
            );
        }
        assert_eq!(proxy.heads().len(), 2, "{manner:?}: once for each request");
    }
    let silent = Proxy::start(Manner::Silent).await;
    let error = through(&silent).send(post(&url).deadline(IMPATIENCE)).await;
    assert!(
        matches!(
            error,
            Err(Error::NotSent {
                cause: Cause::Deadline,
                ..
            })
        ),
        "{error:?}"
    );
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn what_is_lost_beyond_the_proxy_is_unknown_and_was_written_once() {
    let (web, proxy) = (Web::start_tls().await, Proxy::start(Manner::Passes).await);
    web.on("/token", Reply::Reset);

    let error = through(&proxy)
        .send(post(&web.url_at("tls.example", "/token")))
        .await
        .unwrap_err();

    assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
    assert_eq!(web.seen().len(), 1);
    assert_eq!(proxy.heads().len(), 1);
}

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_only_where_it_is_allowed() {
    let proxy = Proxy::start(Manner::Passes).await;
    let strict = Fetch::by(&route(proxy.url("")), FetchRules::default()).unwrap();

    let allowed = through(&proxy).send(get("http://plain.example/a")).await;
    let refused = strict.send(get("http://plain.example/b")).await;

    assert_eq!(allowed.unwrap().status, 204);
    assert!(
        matches!(
            refused,
            Err(Error::Blocked {
                why: Why::Scheme,
                ..
            })
        ),
        "{refused:?}"
    );
    let [head] = proxy.heads().try_into().unwrap();
    assert!(head.starts_with("GET http://plain.example/a HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_listed_host_is_left_to_the_proxy_and_the_operators_own_services_are_not() {
    let (web, proxy) = (Web::start_tls().await, Proxy::start(Manner::Passes).await);
    web.on("/", Reply::status(204));
    let listing = FetchRules {
        allowed_hosts: vec!["localhost".to_owned()],
        ..FetchRules::default()
    };
    let fetch = Fetch::by(&route(proxy.url("")), listing).unwrap();
    // The script does not know this name: nobody here is asked about it.
    let listed = get(&web.url_at("localhost", "/")).policy(Policy::Tenant);

    let listed = fetch.send(listed).await;
    let own = fetch
        .send(get(&web.url("/")).policy(Policy::Operator))
        .await;

    assert_eq!(listed.unwrap().status, 204);
    assert_eq!(own.unwrap().status, 204);
    assert_eq!(proxy.heads().len(), 1);
}

#[tokio::test]
async fn this_machine_is_reached_without_the_proxy() {
    let (web, proxy) = (Web::start().await, Proxy::start(Manner::Passes).await);
    web.on("/token", Reply::status(204));

    let answer = through(&proxy).send(post(&web.url("/token"))).await;

    assert_eq!(answer.unwrap().status, 204);
    assert!(proxy.heads().is_empty());
}
