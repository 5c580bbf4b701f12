//! Login tokens that a server rejects. One serves many servers: what one of them says is no verdict for the
//! others. And whose decision it is that logins are sent at all.

use futures_util::future::join_all;
use stationmaster::client::{Client, Error, answer, v1};
use v1::server::Auth;
use v1::{ReportAction as Action, ServerStatus as Status, StatusReason as Reason};

use crate::harness::client::{actor, reason};
use crate::harness::idp::Fault;
use crate::harness::logins::login;
use crate::harness::service::Engine;
use crate::harness::world::{World, create, on_both_engines, open};

on_both_engines! {
    a_rejected_login_is_renewed_once_and_nobody_is_asked,
    a_server_that_rejects_for_ever_ends_no_login,
    a_login_that_cannot_be_renewed_is_not_ended_by_a_server,
    a_login_that_provider_and_server_refuse_is_over,
    sending_logins_is_the_operators_to_decide_in_every_direction,
}

async fn a_rejected_login_is_renewed_once_and_nobody_is_asked(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let before = world.log_in("ann").await;

    let answers = join_all((0..10).map(|_| world.rejected("ann", "crm", 1))).await;

    for answer in answers {
        let said = (answer.action(), answer.credential_version);
        assert_eq!(said, (Action::Retry, 2));
    }
    assert_eq!(world.idp.redemptions().len(), 1);
    assert_ne!(world.header("ann", "crm").await, format!("Bearer {before}"));
    let denied = world.rejected("ann", "crm", 2).await;
    assert_eq!(
        (denied.action(), denied.reason()),
        (Action::Denied, Reason::TokenRejected)
    );
    let nobody = world.rejected("bob", "crm", 1).await;
    assert_eq!(
        (nobody.action(), nobody.reason()),
        (Action::Denied, Reason::IdentityExpired)
    );
    let start = v1::StartHandshakeRequest {
        actor: actor("ann"),
        server: "crm".to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let started = answer(world.daemon.handshakes().start_handshake(start)).await;
    assert_eq!(reason(started), "AUTH_NOT_INTERACTIVE");
    assert_eq!(world.idp.redemptions().len(), 1);
}

async fn a_server_that_rejects_for_ever_ends_no_login(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let auth = v1::UserOidcAuth::default();
    world.create(login("wrong", auth)).await.unwrap();
    world.log_in("ann").await;

    // The good one goes on working, the other one goes on rejecting.
    for version in 1..=3 {
        let retry = world.rejected("ann", "wrong", version).await;
        assert_eq!(retry.credential_version, version + 1);
        world.worked("ann", "crm", version + 1).await;
    }
    let limited = world.rejected("ann", "wrong", 4).await;

    assert_eq!(
        (limited.action(), limited.reason()),
        (Action::Denied, Reason::RefreshLimit)
    );
    assert!(limited.retry_after.is_some());
    assert_eq!(world.idp.redemptions().len(), 3);
    let header = world.header("ann", "crm").await;
    assert!(world.idp.accepts(&header));
}

async fn a_login_that_cannot_be_renewed_is_not_ended_by_a_server(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    let alone = v1::PutUserIdentityRequest {
        refresh_token: String::new(),
        ..world.fresh_login("ann")
    };
    world.put(alone).await.unwrap();

    let denied = world.rejected("ann", "crm", 1).await;

    assert_eq!(
        (denied.action(), denied.reason()),
        (Action::Denied, Reason::TokenRejected)
    );
    assert_eq!(world.resolve("ann", "crm").await.status(), Status::Ready);
    // While its renewal fails for a passing reason, the old one is sent still.
    let token = world.log_in("bob").await;
    world.idp.once(Fault::Busy(30));
    let denied = world.rejected("bob", "crm", 1).await;
    assert_eq!(
        (denied.action(), denied.reason()),
        (Action::Denied, Reason::UpstreamUnreachable)
    );
    assert_eq!(world.header("bob", "crm").await, format!("Bearer {token}"));
}

async fn a_login_that_provider_and_server_refuse_is_over(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.log_in("ann").await;
    world.idp.once(Fault::InvalidGrant);

    let denied = world.rejected("ann", "crm", 1).await;

    assert_eq!(
        (denied.action(), denied.reason()),
        (Action::Denied, Reason::IdentityExpired)
    );
    let over = world.resolve("ann", "crm").await;
    assert_eq!(
        (over.status(), over.reason()),
        (Status::NoUserIdentity, Reason::IdentityExpired)
    );
}

async fn patch(
    client: &Client,
    server: v1::Server,
    mask: &[&str],
) -> Result<v1::UpdateServerResponse, Error> {
    let request = v1::UpdateServerRequest {
        server: Some(server),
        update_mask: Some(prost_types::FieldMask {
            paths: mask.iter().map(|path| (*path).to_owned()).collect(),
        }),
    };
    Box::pin(answer(client.config().update_server(request))).await
}

async fn sending_logins_is_the_operators_to_decide_in_every_direction(engine: Engine) {
    let (world, _database) = World::with_logins(engine).await;
    world.create(open("notes")).await.unwrap();
    let token = world.log_in("ann").await;
    let admin = world.service.client_as(v1::Role::Admin, "").await;
    let named = |id: &str, auth: Option<Auth>, url: &str| v1::Server {
        id: id.to_owned(),
        auth,
        url: url.to_owned(),
        ..v1::Server::default()
    };
    let oidc = |exchange| {
        Some(Auth::UserOidc(v1::UserOidcAuth {
            exchange,
            issuer: "https://other.test".to_owned(),
            ..v1::UserOidcAuth::default()
        }))
    };
    let exchange = Some(v1::TokenExchange {
        token_endpoint: "https://evil.example.com/token".to_owned(),
        client_id: "c".to_owned(),
        audience: "https://evil.example.com".to_owned(),
        ..v1::TokenExchange::default()
    });
    let steps = [
        (named("notes", oidc(None), ""), "user_oidc"),
        (named("crm", None, "https://evil.example.com/mcp"), "url"),
        (named("crm", oidc(None), ""), "user_oidc.issuer"),
        (named("crm", oidc(exchange), ""), "user_oidc.exchange"),
        (named("crm", Some(Auth::None(v1::NoAuth {})), ""), "none"),
    ];

    let made = v1::CreateServerRequest {
        server: Some(login("mine", v1::UserOidcAuth::default())),
        ..v1::CreateServerRequest::default()
    };
    assert_eq!(reason(create(&admin, made).await), "ROLE_NOT_ALLOWED");
    let described = v1::ApplyServersRequest {
        manager: "git".to_owned(),
        servers: vec![login("mine", v1::UserOidcAuth::default())],
        ..v1::ApplyServersRequest::default()
    };
    let applied = Box::pin(answer(admin.config().apply_servers(described))).await;
    assert_eq!(reason(applied), "ROLE_NOT_ALLOWED");
    let opened = v1::ModifyServerAccessRequest {
        server: "crm".to_owned(),
        add_users: vec!["eve".to_owned()],
        ..v1::ModifyServerAccessRequest::default()
    };
    let opened = answer(admin.config().modify_server_access(opened)).await;
    assert_eq!(reason(opened), "ROLE_NOT_ALLOWED");
    for (server, mask) in &steps {
        let refused = patch(&admin, server.clone(), &[mask]).await;
        assert_eq!(reason(refused), "ROLE_NOT_ALLOWED", "{mask}");
    }

    assert_eq!(world.header("ann", "crm").await, format!("Bearer {token}"));
    assert_eq!(world.resolve("ann", "notes").await.headers, []);
    for (server, mask) in steps {
        patch(&world.admin, server, &[mask]).await.unwrap();
    }
}
