//! Callers with JWTs, taken and refused: neither a token nor what it says beside who is asking is told.

use serde_json::{Value, json};

use super::Caller;
use crate::harness::issuer::{JWKS, START, TestIssuer};
use crate::harness::keys::Key;
use crate::harness::service::{TestDatabase, TestService};
use crate::harness::web::Reply;
use crate::walks::wire::As;

/// Far beyond what the test's clock comes to.
const LONG: i64 = 10_000_000;

/// An issuer at which we have a client, and a service that trusts it, and another one where users log in.
pub(super) async fn trusting(database: &TestDatabase, login: &str) -> (TestIssuer, TestService) {
    let issuer = TestIssuer::start().await;
    let file = database.path("issuers.toml");
    let client = |(file, secret): (&str, &str)| {
        let path = database.path(file);
        std::fs::write(&path, secret).unwrap();
        let path = path.display();
        format!("shared_users = true\nclient_id = \"us\"\nclient_secret_file = \"{path}\"\n")
    };
    let secrets = [
        ("one", "planted-issuers-client"),
        ("two", "planted-login-client"),
    ];
    let table = issuer.table(&client(secrets[0]));
    let other = client(secrets[1]);
    let other = format!("[[issuers]]\nissuer = \"{login}\"\naudiences = [\"chat\"]\n{other}");
    std::fs::write(&file, table + &other).unwrap();
    let setting = [("callers.issuers", file.to_str().unwrap())];
    let service = TestService::start_on(database, &setting).await;
    // What stays in the folder is searched.
    for (file, _) in secrets {
        std::fs::remove_file(database.path(file)).unwrap();
    }
    (issuer, service)
}

/// Calls as the user, and as a daemon with the user's token beside its key.
pub(super) async fn present(caller: &mut Caller<'_>, issuer: &TestIssuer) {
    let claims = |more: Value| {
        let mut claims = json!({ "exp": START + LONG, "note": "planted-claim" });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    caller.search.plant("a claim", "planted-claim");
    let untrusted = claims(json!({ "iss": "https://planted-issuer.example" }));
    caller.search.plant("an untrusted issuer", "planted-issuer");
    let good = issuer.token(&claims(json!({})));
    let tokens = [
        issuer.signed("one", Key::Es256, &claims(json!({ "exp": 1 }))),
        issuer.signed("planted-key-id", Key::Es256, &claims(json!({}))),
        issuer.signed("one", Key::Rs256, &claims(json!({}))),
        issuer.token(&untrusted),
        format!("{good}planted"),
        good.clone(),
    ];
    caller.search.plant("an unknown key's id", "planted-key-id");
    // An outage first, whose answer repeats what it may have been told.
    issuer
        .web
        .once(JWKS, Reply::text(503, "text/plain", good.clone()));

    for token in tokens.iter().chain([&good]) {
        for part in token.split('.').skip(1) {
            caller.search.plant("a part of a token", part);
        }
        for who in [
            As::key(token),
            As::key(caller.service.daemon_key()).user_token(token),
        ] {
            let answer = caller.wire.call("AccessService/WhoAmI", who, json!({}));
            let answer = answer.await;
            caller.search.look_at("the answer to a token", answer.raw);
        }
        caller
            .service
            .clock()
            .advance(std::time::Duration::from_secs(30));
    }
    let known = caller
        .wire
        .call("AccessService/WhoAmI", As::key(&good), json!({}));
    assert_eq!(known.await.ok()["subject"], "ann");
}
