//! What a user supplies for headers, taken or refused, is answered to resolves and nowhere else.

use serde_json::json;

use super::Caller;
use crate::harness::web::Web;

/// One life of a user's header value.
pub(super) async fn supply(caller: &mut Caller<'_>, web: &Web) {
    for (what, secret) in [
        ("a user's header value", "planted-user-value-1"),
        ("a user's next header value", "planted-user-value-2"),
        ("a user's refused header value", "planted-user-value-3"),
    ] {
        caller.search.plant(what, secret);
    }
    let own = json!({ "server": {
        "slug": "own", "displayName": "Own", "enabled": true, "url": web.url("/own"),
        "customHeaders": { "userHeaders": [{ "name": "X-Own", "description": "yours" }] },
    }});
    caller.admin("ConfigService/CreateServer", own).await;
    let read = json!({ "actor": { "user": "ann" }, "server": "own" });
    for (name, value) in [
        ("X-Own", "planted-user-value-3\r\nX: y"),
        ("X-Other", "planted-user-value-3"),
        ("X-Own", "planted-user-value-1"),
        ("X-Own", "planted-user-value-2"),
    ] {
        let mut set = read.clone();
        set["headers"] = json!([{ "name": name, "value": value }]);
        caller.daemon("TokenService/SetUserHeaders", set).await;
        caller
            .daemon("TokenService/GetUserHeaders", read.clone())
            .await;
    }
    let ask = json!({ "actor": { "user": "ann" }, "servers": ["own"] });
    let ready = caller.daemon("TokenService/ResolveCredentials", ask).await;
    assert!(
        ready.to_string().contains("planted-user-value-2"),
        "{ready}"
    );
    let rejected = json!({
        "actor": { "user": "ann" }, "server": "own",
        "httpResponse": { "status": 401, "credentialVersion": "1" },
    });
    caller.daemon("TokenService/ReportResponse", rejected).await;
    caller.daemon("TokenService/DeleteUserHeaders", read).await;
}
