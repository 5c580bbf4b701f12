//! Users' logins that are exchanged for a token of one server's alone (RFC 8693). The login token itself goes
//! to nobody but who exchanges it.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use stationmaster::client::{answer, v1};
use v1::server::Auth;
use v1::{ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::{actor, fields};
use crate::harness::logins::{jwt, login};
use crate::harness::service::{Engine, TestDatabase};
use crate::harness::web::{Reply, Seen};
use crate::harness::world::{World, on_both_engines};

on_both_engines! {
    a_login_is_exchanged_once_for_a_token_of_the_servers_own,
    an_exchanged_token_is_had_anew_for_the_login_of_now,
    a_login_that_is_gone_takes_what_it_was_exchanged_for_along,
    a_refused_login_is_the_users_and_a_refused_client_the_administrators,
    what_comes_for_a_login_and_cannot_be_sent_is_not_handed_out,
    an_id_token_is_exchanged_as_what_it_is,
    a_rejected_exchanged_token_is_replaced_once,
    an_exchange_needs_a_client_and_an_audience,
    other_settings_exchange_anew,
}

pub(super) const PATH: &str = "/sts/token";
const AUDIENCE: &str = "https://crm.example.com";

/// A world whose server `desk` gets what a login is exchanged for.
pub(super) async fn world(engine: Engine) -> (World, TestDatabase) {
    let (world, database) = World::with_logins(engine).await;
    let count = AtomicUsize::new(0);
    let exchanged = Reply::made(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        Reply::json(200, &granted(&format!("desk-{number}"), 600))
    });
    world.idp.web().on(PATH, exchanged);
    world.create(desk(&world)).await.unwrap();
    (world, database)
}

pub(super) fn granted(token: &str, seconds: u32) -> Value {
    json!({
        "access_token": token, "token_type": "Bearer", "expires_in": seconds,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "refresh_token": "not-wanted",
    })
}

pub(super) fn exchange(world: &World) -> v1::TokenExchange {
    v1::TokenExchange {
        token_endpoint: world.idp.web().url(PATH),
        audience: AUDIENCE.to_owned(),
        scopes: vec!["read".to_owned()],
        client_id: "desk client".to_owned(),
        client_secret: Some("s:cret".to_owned()),
        ..v1::TokenExchange::default()
    }
}

/// The server: at this machine, or what it names here would not be asked.
fn desk(world: &World) -> v1::Server {
    let auth = v1::UserOidcAuth {
        exchange: Some(exchange(world)),
        ..v1::UserOidcAuth::default()
    };
    v1::Server {
        url: world.idp.web().url("/desk"),
        ..login("desk", auth)
    }
}

pub(super) fn exchanges(world: &World) -> Vec<Seen> {
    world.idp.web().seen_at(PATH)
}

async fn a_login_is_exchanged_once_for_a_token_of_the_servers_own(engine: Engine) {
    let (world, _database) = world(engine).await;
    assert_eq!(
        world.resolve("ann", "desk").await.status(),
        Status::NoUserIdentity
    );
    let token = world.log_in("ann").await;

    let headers = join_all((0..10).map(|_| world.header("ann", "desk"))).await;

    assert!(
        headers.iter().all(|header| header == "Bearer desk-1"),
        "{headers:?}"
    );
    let sent = exchanges(&world);
    assert_eq!(sent.len(), 1);
    let said = |name: &str| sent[0].form(name).unwrap_or_default();
    let urn = "urn:ietf:params:oauth";
    assert_eq!(
        said("grant_type"),
        format!("{urn}:grant-type:token-exchange")
    );
    assert_eq!(said("subject_token"), token);
    assert_eq!(
        said("subject_token_type"),
        format!("{urn}:token-type:access_token")
    );
    assert_eq!(
        said("requested_token_type"),
        format!("{urn}:token-type:access_token")
    );
    assert_eq!(
        (said("audience"), said("scope")),
        (AUDIENCE.to_owned(), "read".to_owned())
    );
    assert_eq!(
        (sent[0].form("resource"), sent[0].form("client_secret")),
        (None, None)
    );
    // `desk+client:s%3Acret`, encoded as forms are before it is encoded as Basic is.
    assert_eq!(
        sent[0].header("authorization"),
        Some("Basic ZGVzaytjbGllbnQ6cyUzQWNyZXQ=")
    );
    let listed = v1::ListConnectionsRequest {
        actor: actor("ann"),
        ..v1::ListConnectionsRequest::default()
    };
    let listed = answer(world.daemon.tokens().list_connections(listed))
        .await
        .unwrap();
    let one = &listed.connections[0];
    assert_eq!(
        (one.origin(), one.user.as_str()),
        (v1::ConnectionOrigin::Automatic, "ann")
    );
    assert_eq!(one.issuer, world.idp.issuer());
}

async fn an_exchanged_token_is_had_anew_for_the_login_of_now(engine: Engine) {
    let (world, _database) = world(engine).await;
    let first = world.log_in("ann").await;
    world.header("ann", "desk").await;

    world.pass(600);
    let second = world.header("ann", "desk").await;
    world.pass(3600);
    let third = world.header("ann", "desk").await;

    assert_eq!(
        (second.as_str(), third.as_str()),
        ("Bearer desk-2", "Bearer desk-3")
    );
    let subjects: Vec<_> = exchanges(&world)
        .iter()
        .filter_map(|seen| seen.form("subject_token"))
        .collect();
    assert_eq!(subjects[..2], [first.clone(), first]);
    assert!(world.idp.accepts(&format!("Bearer {}", subjects[2])));
    assert_ne!(subjects[2], subjects[0]);
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_login_that_is_gone_takes_what_it_was_exchanged_for_along(engine: Engine) {
    let (world, _database) = world(engine).await;
    world.log_in("ann").await;
    world.header("ann", "desk").await;

    let forget = v1::DeleteUserIdentityRequest {
        actor: actor("ann"),
        issuer: String::new(),
    };
    answer(world.daemon.tokens().delete_user_identity(forget))
        .await
        .unwrap();

    let gone = world.resolve("ann", "desk").await;
    assert_eq!(gone.status(), Status::NoUserIdentity);
    assert!(gone.headers.is_empty());
    assert_eq!(exchanges(&world).len(), 1);
    // Of another provider's login nothing of before is used.
    let other = v1::PutUserIdentityRequest {
        actor: actor("ann"),
        issuer: "https://other.test".to_owned(),
        access_token: "theirs".to_owned(),
        ..v1::PutUserIdentityRequest::default()
    };
    world.put(other).await.unwrap();
    assert_eq!(world.header("ann", "desk").await, "Bearer desk-2");
    assert_eq!(
        exchanges(&world)[1].form("subject_token").as_deref(),
        Some("theirs")
    );
    let purge = v1::PurgeUserRequest {
        user: "ann".to_owned(),
    };
    let purged = answer(world.admin.tokens().purge_user(purge))
        .await
        .unwrap();
    assert_eq!((purged.identities, purged.connections), (1, 1));
}

async fn a_refused_login_is_the_users_and_a_refused_client_the_administrators(engine: Engine) {
    let (world, _database) = world(engine).await;
    for (user, code, status, reason) in [
        (
            "ann",
            "invalid_grant",
            Status::NoUserIdentity,
            Reason::ExchangeRefused,
        ),
        (
            "bob",
            "invalid_request",
            Status::NoUserIdentity,
            Reason::ExchangeRefused,
        ),
        (
            "cid",
            "invalid_target",
            Status::ConfigError,
            Reason::RegistrationRefused,
        ),
        (
            "dot",
            "invalid_client",
            Status::ConfigError,
            Reason::RegistrationRefused,
        ),
    ] {
        world.log_in(user).await;
        let refusal = Reply::json(400, &json!({ "error": code }));
        world.idp.web().once(PATH, refusal);
        let before = exchanges(&world).len();

        for _ in 0..3 {
            let refused = world.resolve(user, "desk").await;
            assert_eq!(
                (refused.status(), refused.reason()),
                (status, reason),
                "{code}"
            );
            assert!(refused.headers.is_empty());
        }

        assert_eq!(exchanges(&world).len(), before + 1, "{code}");
        // What is only sent as it is has nothing to do with it.
        assert_eq!(world.resolve(user, "crm").await.status(), Status::Ready);
    }
    // A newer login is tried at once, anything else after a pause.
    world.pass(1);
    world.log_in("ann").await;
    assert_eq!(world.resolve("ann", "desk").await.status(), Status::Ready);
    world.pass(301);
    assert_eq!(world.resolve("bob", "desk").await.status(), Status::Ready);
}

async fn what_comes_for_a_login_and_cannot_be_sent_is_not_handed_out(engine: Engine) {
    let (world, _database) = world(engine).await;
    let mut wrong_type = granted("assertion", 600);
    wrong_type["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:saml2");
    let mut none = granted("not-a-bearers", 600);
    none["token_type"] = json!("N_A");
    for (user, came) in [("ann", wrong_type), ("bob", none)] {
        world.log_in(user).await;
        world.idp.web().once(PATH, Reply::json(200, &came));

        let refused = world.resolve(user, "desk").await;

        let said = (refused.status(), refused.reason());
        assert_eq!(
            said,
            (Status::ConfigError, Reason::RegistrationRefused),
            "{came}"
        );
        assert!(refused.headers.is_empty());
    }
}

async fn an_id_token_is_exchanged_as_what_it_is(engine: Engine) {
    let (world, _database) = world(engine).await;
    let auth = v1::UserOidcAuth {
        token_kind: v1::IdentityTokenKind::IdToken.into(),
        exchange: Some(v1::TokenExchange {
            audience: String::new(),
            resource: "https://hr.example.com/mcp".to_owned(),
            client_secret: None,
            ..exchange(&world)
        }),
        ..v1::UserOidcAuth::default()
    };
    let hr = v1::Server {
        url: world.idp.web().url("/hr"),
        ..login("hr", auth)
    };
    world.create(hr).await.unwrap();
    let ends = world.in_seconds(3600).seconds;
    let id_token = jwt(&json!({ "iss": world.idp.issuer(), "exp": ends }));
    let deposit = v1::PutUserIdentityRequest {
        id_token: id_token.clone(),
        ..world.fresh_login("ann")
    };
    world.put(deposit).await.unwrap();

    world.header("ann", "hr").await;

    let sent = exchanges(&world).pop().unwrap();
    assert_eq!(sent.form("subject_token"), Some(id_token));
    let kind = sent.form("subject_token_type").unwrap();
    assert!(kind.ends_with(":id_token"), "{kind}");
    assert_eq!(
        sent.form("resource").as_deref(),
        Some("https://hr.example.com/mcp")
    );
    assert_eq!(
        (sent.form("audience"), sent.header("authorization")),
        (None, None)
    );
    assert_eq!(sent.form("client_id").as_deref(), Some("desk client"));
}

async fn a_rejected_exchanged_token_is_replaced_once(engine: Engine) {
    let (world, _database) = world(engine).await;
    world.log_in("ann").await;
    let first = world.resolve("ann", "desk").await.credential_version;

    let answers = join_all((0..5).map(|_| world.rejected("ann", "desk", first))).await;
    let denied = world.rejected("ann", "desk", first + 1).await;

    for answer in answers {
        let said = (answer.action(), answer.credential_version);
        assert_eq!(said, (Action::Retry, first + 1));
    }
    assert_eq!(
        (denied.action(), denied.reason()),
        (Action::Denied, Reason::TokenRejected)
    );
    assert_eq!(exchanges(&world).len(), 2);
    assert_eq!(world.resolve("ann", "crm").await.status(), Status::Ready);
    assert!(world.idp.redemptions().is_empty());
}

async fn an_exchange_needs_a_client_and_an_audience(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let auth = v1::UserOidcAuth {
        exchange: Some(v1::TokenExchange {
            audience: String::new(),
            client_id: String::new(),
            client_secret: None,
            token_endpoint: "ftp://sts.example.com/".to_owned(),
            ..exchange(&world)
        }),
        ..v1::UserOidcAuth::default()
    };

    let refused = world.create(login("desk", auth)).await;

    let at = |name: &str| format!("server.user_oidc.exchange.{name}");
    let complaints = fields(refused);
    assert_eq!(
        complaints,
        [at("token_endpoint"), at("client_id"), at("audience")]
    );
}

async fn other_settings_exchange_anew(engine: Engine) {
    let (world, _database) = world(engine).await;
    world.log_in("ann").await;
    world.header("ann", "desk").await;
    let patch = |audience: &str| v1::Server {
        id: "desk".to_owned(),
        auth: Some(Auth::UserOidc(v1::UserOidcAuth {
            exchange: Some(v1::TokenExchange {
                audience: audience.to_owned(),
                client_secret: None,
                ..exchange(&world)
            }),
            ..v1::UserOidcAuth::default()
        })),
        ..v1::Server::default()
    };

    let changed = world.update(patch("https://other.example.com"), &["user_oidc.exchange"]);

    assert_eq!(changed.await.unwrap().ended_connections, 1);
    assert_eq!(world.header("ann", "desk").await, "Bearer desk-2");
    let sent = exchanges(&world).pop().unwrap();
    assert_eq!(
        sent.form("audience").as_deref(),
        Some("https://other.example.com")
    );
    assert!(sent.header("authorization").is_some());
}
