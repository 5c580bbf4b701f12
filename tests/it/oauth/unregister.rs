//! Deleting a dynamic registration.

use std::time::Duration;

use stationmaster::domain::secrets::RegistrationAccessToken;
use stationmaster::oauth::{Revocation, unregister};

use super::{PATIENCE, fetch};
use crate::harness::web::{Reply, Web};

async fn asked(web: &Web, path: &str) -> String {
    let token = RegistrationAccessToken::new("manage-1".to_owned());
    let url = web.url(path);
    match unregister(&fetch(), &url, &token, PATIENCE).await {
        Revocation::Done => "done".to_owned(),
        Revocation::Later { retry_after } => format!("later {retry_after:?}"),
        Revocation::Refused(refused) => format!("refused {:?}", refused.code),
        Revocation::Impossible(error) => format!("impossible {error}"),
    }
}

#[tokio::test]
async fn what_is_not_there_any_more_is_deleted() {
    let web = Web::start().await;

    for status in [200, 204, 401, 404, 410] {
        web.once("/client", Reply::status(status));

        assert_eq!(asked(&web, "/client").await, "done", "{status}");
    }

    let seen = web.seen_at("/client").remove(0);
    assert_eq!(seen.method, "DELETE");
    assert_eq!(seen.header("authorization"), Some("Bearer manage-1"));
}

#[tokio::test]
async fn trouble_is_told_from_refusal() {
    let web = Web::start().await;
    let busy = Reply::status(429).with("retry-after", "7".to_owned());
    let waits = format!("later {:?}", Some(Duration::from_secs(7)));
    let refused = |status: u16| format!("refused {:?}", Some(format!("status_{status}")));

    for (reply, expected) in [
        (busy, waits),
        (Reply::status(503), "later None".to_owned()),
        (Reply::Reset, "later None".to_owned()),
        (Reply::status(403), refused(403)),
        (Reply::status(405), refused(405)),
        (Reply::redirect(302, "https://elsewhere.test"), refused(302)),
    ] {
        web.once("/client", reply);

        assert_eq!(asked(&web, "/client").await, expected);
    }
}

#[tokio::test]
async fn a_place_that_is_no_url_is_never_asked() {
    let token = RegistrationAccessToken::new("manage-1".to_owned());

    let asked = unregister(&fetch(), "not a url", &token, PATIENCE).await;

    assert!(matches!(asked, Revocation::Impossible(_)), "{asked:?}");
}
