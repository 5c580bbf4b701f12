//! The guarded way out.

use stationmaster::fetch::{
    Cause, Error, Fetch, FetchRules, PlainHttp, Policy, ReadBody, Redirects, Request, Sent, Why,
};
use tokio::net::TcpListener;
use url::Url;

use super::{IMPATIENCE, PATIENCE, fetch, strict};
use crate::harness::web::{Reply, Web};

fn get(url: &str) -> Request {
    Request::document(Url::parse(url).unwrap())
        .policy(Policy::Local)
        .deadline(PATIENCE)
}

fn is_address(error: &Error) -> bool {
    matches!(
        error,
        Error::Blocked {
            why: Why::Address(_),
            ..
        }
    )
}

#[tokio::test]
async fn a_name_that_resolves_to_a_blocked_address_is_not_contacted() {
    let web = Web::start().await;

    for url in [
        web.url("/"),
        web.url_at("[::ffff:127.0.0.1]", "/"),
        web.url_by_name("/"),
        web.url_at("localhost.", "/"),
    ] {
        let error = strict().send(get(&url)).await.unwrap_err();

        assert!(is_address(&error), "{url}: {error:?}");
        assert_eq!(error.sent(), Sent::No);
    }
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn a_host_on_the_allow_list_may_be_private() {
    let web = Web::start().await;
    web.on("/", Reply::status(204));
    let fetch = Fetch::new(FetchRules {
        plain_http: PlainHttp::Allowed,
        allowed_hosts: vec!["LocalHost".to_owned()],
        ..FetchRules::default()
    })
    .unwrap();

    let by_name = fetch.send(get(&web.url_by_name("/"))).await.unwrap();
    let by_address = fetch.send(get(&web.url("/"))).await.unwrap_err();

    assert_eq!(by_name.status, 204);
    assert!(is_address(&by_address));
}

#[tokio::test]
async fn the_operators_own_services_may_be_private() {
    let web = Web::start().await;
    web.on("/", Reply::status(204));
    let fetch = Fetch::new(FetchRules::default()).unwrap();

    let answer = fetch
        .send(get(&web.url_by_name("/")).policy(Policy::Operator))
        .await;

    assert_eq!(answer.unwrap().status, 204);
}

#[tokio::test]
async fn every_hop_of_a_redirect_is_checked() {
    let web = Web::start().await;
    web.on("/start", Reply::redirect(302, "/middle"));
    web.on(
        "/middle",
        Reply::redirect(307, "http://169.254.169.254/latest/meta-data"),
    );

    let error = fetch().send(get(&web.url("/start"))).await.unwrap_err();

    assert!(is_address(&error), "{error:?}");
    assert_eq!(web.paths(), ["/start", "/middle"]);
}

#[tokio::test]
async fn redirects_end_after_five_hops() {
    let web = Web::start().await;
    web.on("/loop", Reply::redirect(301, "/loop"));

    let error = fetch().send(get(&web.url("/loop"))).await.unwrap_err();

    assert!(matches!(error, Error::Redirect { .. }));
    assert_eq!(web.seen().len(), 6);
}

#[tokio::test]
async fn what_carries_a_secret_is_never_redirected() {
    let web = Web::start().await;
    web.on("/", Reply::redirect(307, "/elsewhere"));
    let url = Url::parse(&web.url("/")).unwrap();
    let header = "Bearer t".parse().unwrap();

    for request in [
        Request::post_json(url.clone(), "{}").redirects(Redirects::Checked),
        Request::document(url.clone()).header(http::header::AUTHORIZATION, header),
    ] {
        let request = request.policy(Policy::Local);
        assert_eq!(fetch().send(request).await.unwrap().status, 307);
    }
    assert_eq!(web.paths(), ["/", "/"]);
}

#[tokio::test]
async fn a_body_over_the_cap_is_an_error_announced_or_not() {
    let web = Web::start().await;
    web.on(
        "/announced",
        Reply::text(200, "text/plain", "x".repeat(101)),
    );
    web.on("/endless", Reply::Endless);
    web.on("/exact", Reply::text(200, "text/plain", "x".repeat(100)));
    let capped = |path: &str| get(&web.url(path)).read(ReadBody::UpTo(100));

    for path in ["/announced", "/endless"] {
        let error = fetch().send(capped(path)).await.unwrap_err();

        assert!(
            matches!(error, Error::TooLarge { limit: 100, .. }),
            "{path}"
        );
        assert_eq!(error.sent(), Sent::Maybe);
    }
    assert_eq!(
        fetch().send(capped("/exact")).await.unwrap().body.len(),
        100
    );
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_were_not_sent() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };

    for (url, expected) in [
        (format!("http://127.0.0.1:{port}/"), Cause::Connection),
        ("http://no-such-name.invalid/".to_owned(), Cause::Name),
    ] {
        let error = fetch().send(get(&url)).await.unwrap_err();

        assert!(
            matches!(error, Error::NotSent { cause, .. } if cause == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_was_not_sent_to() {
    let web = Web::start().await;

    let error = fetch()
        .send(get(&web.url("/").replace("http:", "https:")))
        .await
        .unwrap_err();

    assert!(matches!(error, Error::NotSent { .. }), "{error:?}");
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn what_ends_after_the_request_was_written_is_unknown() {
    let web = Web::start().await;
    web.on("/reset", Reply::Reset);
    web.on("/truncated", Reply::Truncated("{\"a\":"));
    web.on("/silence", Reply::Silence);

    for (path, expected, deadline) in [
        ("/reset", Cause::Reset, PATIENCE),
        ("/truncated", Cause::Truncated, PATIENCE),
        ("/silence", Cause::Deadline, IMPATIENCE),
    ] {
        let error = fetch()
            .send(get(&web.url(path)).deadline(deadline))
            .await
            .unwrap_err();

        assert!(
            matches!(error, Error::Unknown { cause, .. } if cause == expected),
            "{path}: {error:?}"
        );
        assert_eq!(web.seen_at(path).len(), 1, "{path} was repeated");
    }
}
