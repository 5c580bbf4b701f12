//! Root certificates of one's own.

use stationmaster::fetch::{
    Cause, Error, Fetch, FetchRules, Policy, Request, Response, Roots, Route,
};
use url::Url;

use super::PATIENCE;
use crate::harness::tls::ROOT;
use crate::harness::web::{Reply, Web};

async fn ask(roots: Roots, rules: FetchRules, url: &str) -> Result<Response, Error> {
    let route = Route {
        roots,
        ..Route::default()
    };
    let request = Request::document(Url::parse(url).unwrap())
        .policy(Policy::Local)
        .deadline(PATIENCE);
    Fetch::by(&route, rules).unwrap().send(request).await
}

#[tokio::test]
async fn a_private_root_is_trusted_when_it_is_given_and_only_then() {
    let web = Web::start_tls().await;
    web.on("/", Reply::status(204));
    let given = || Roots::from_pem(ROOT).unwrap();

    for url in [web.url("/"), web.url_by_name("/")] {
        let with = ask(given(), FetchRules::development(), &url).await;
        let without = ask(Roots::default(), FetchRules::development(), &url).await;
        let guarded = ask(given(), FetchRules::default(), &url).await;

        assert_eq!(with.unwrap().status, 204);
        assert!(
            matches!(
                without,
                Err(Error::NotSent {
                    cause: Cause::Connection,
                    ..
                })
            ),
            "{without:?}"
        );
        assert!(matches!(guarded, Err(Error::Blocked { .. })), "{guarded:?}");
    }
    assert_eq!(web.seen().len(), 2);
}

#[test]
fn what_holds_no_root_certificate_is_refused() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    for pem in ["", "no certificate", broken] {
        assert!(Roots::from_pem(pem.as_bytes()).is_err(), "{pem}");
    }
}
