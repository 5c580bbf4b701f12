//! Callers with JWTs: what an issuer may say of them, and what they may do.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use stationmaster::client::{Client, Error, answer, v1};

use crate::harness::browser::{Browser, parameter};
use crate::harness::client::{actor, reason};
use crate::harness::issuer::{START, TestIssuer};
use crate::harness::keys::{Key, unsigned};
use crate::harness::service::Engine;
use crate::harness::watching::{all, watch};
use crate::harness::world::{World, create, get, list, on_both_engines, open, resolve_many};

on_both_engines! {
    a_users_token_says_who_they_are,
    the_groups_of_a_token_decide_what_its_user_sees,
    a_user_acts_for_themselves_only,
    a_role_is_given_by_a_claim_only_as_the_deployment_says,
    a_tenant_is_given_by_a_claim_only_as_the_deployment_says,
    a_token_that_does_not_hold_is_refused_and_keys_are_not_asked_for,
    a_token_that_others_signed_is_refused,
    what_a_token_made_is_its_subjects,
    a_user_confirms_with_a_later_token_what_they_began,
    a_stream_ends_with_its_token,
}

/// A table of roles.
const ROLES: &str = "role_claim = \"roles\"\n\
    roles = { boss = \"admin\", ops = \"operator\", look = \"auditor\", bot = \"daemon\", staff = \"user\" }";

async fn who(client: &Client) -> Result<v1::WhoAmIResponse, Error> {
    answer(client.access().who_am_i(v1::WhoAmIRequest {})).await
}

/// A server for one group.
async fn guarded(world: &World) {
    let mut server = open("tools");
    server.allowed_groups = vec!["ops".to_owned()];
    world.create(server).await.unwrap();
}

async fn a_users_token_says_who_they_are(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "user_prefix = \"corp:\"").await;
    let ann = issuer.client(&world, &json!({ "groups": ["ops"] })).await;

    let me = who(&ann).await.unwrap();

    assert_eq!(me.kind(), v1::CallerKind::Jwt);
    assert_eq!(me.role(), v1::Role::User);
    assert_eq!(
        (me.tenant.as_str(), me.user.as_str()),
        ("default", "corp:ann")
    );
    assert_eq!(me.groups, ["ops"]);
    assert_eq!((me.issuer, me.subject.as_str()), (issuer.name(), "ann"));
    assert_eq!(me.principal, format!("{}#ann", issuer.name()));
    assert_eq!(me.expire_time.unwrap().seconds, START + 300);
    assert_eq!(me.narrowing, None);
}

async fn the_groups_of_a_token_decide_what_its_user_sees(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    guarded(&world).await;

    let with = issuer.client(&world, &json!({ "groups": ["ops"] })).await;
    let without = issuer.client(&world, &json!({ "groups": ["other"] })).await;
    let by_key = world.service.client_as(v1::Role::User, "ann").await;

    assert_eq!(get(&with, "tools").await.unwrap().slug, "tools");
    assert_eq!(list(&with).await.len(), 1);
    for (client, what) in [(without, "another group"), (by_key, "a key")] {
        assert_eq!(
            reason(get(&client, "tools").await),
            "SERVER_NOT_FOUND",
            "{what}"
        );
        assert_eq!(list(&client).await, [], "{what}");
        // What a user says of their own groups is nobody's word.
        let request = v1::GetServerRequest {
            server: "tools".to_owned(),
            actor: Some(v1::Actor {
                user: "ann".to_owned(),
                groups: vec!["ops".to_owned()],
            }),
        };
        let asserted = answer(client.config().get_server(request)).await;
        assert_eq!(reason(asserted), "SERVER_NOT_FOUND", "{what}");
    }
}

async fn a_user_acts_for_themselves_only(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    world.found("tools").await;
    world.connect("ann", "tools").await;
    world.connect("bob", "tools").await;
    let ann = issuer.client(&world, &json!({})).await;
    let connection = async |user: &str| {
        let request = v1::GetConnectionRequest {
            actor: actor(user),
            server: "tools".to_owned(),
        };
        answer(ann.tokens().get_connection(request)).await
    };

    let own = connection("").await.unwrap();

    assert_eq!(own.connection.unwrap().user, "ann");
    assert_eq!(reason(connection("bob").await), "USER_NOT_ALLOWED");
    let resolved = resolve_many(&ann, "ann", &["tools"]).await;
    assert_eq!(reason(resolved), "ROLE_NOT_ALLOWED");
}

async fn a_role_is_given_by_a_claim_only_as_the_deployment_says(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, ROLES).await;
    let with = async |roles: Value| issuer.client(&world, &json!({ "roles": roles })).await;
    let new = || v1::CreateServerRequest {
        server: Some(open("tools")),
        ..v1::CreateServerRequest::default()
    };

    let boss = with(json!(["staff", "boss"])).await;
    let look = with(json!("look")).await;
    let bot = with(json!("bot")).await;
    let ops = with(json!("ops")).await;

    assert_eq!(reason(create(&look, new()).await), "ROLE_NOT_ALLOWED");
    let made = create(&boss, new()).await.unwrap().server.unwrap();
    assert_eq!(made.created_by, format!("{}#ann", issuer.name()));
    assert_eq!(get(&look, "tools").await.unwrap().url, made.url);
    assert!(resolve_many(&bot, "bob", &["tools"]).await.is_ok());
    // Whose login ends soon may make a key that does not.
    let key = v1::CreateApiKeyRequest {
        role: v1::Role::Daemon.into(),
        name: "made by a login".to_owned(),
        ..v1::CreateApiKeyRequest::default()
    };
    assert!(answer(boss.access().create_api_key(key)).await.is_ok());
    let tenants = answer(
        ops.tenants()
            .list_tenants(v1::ListTenantsRequest::default()),
    )
    .await;
    assert_eq!(tenants.unwrap().tenants.len(), 1);
    for none in [json!("admin"), json!([]), json!(null)] {
        let client = with(none.clone()).await;
        assert_eq!(reason(who(&client).await), "CREDENTIALS_INVALID", "{none}");
    }
}

async fn a_tenant_is_given_by_a_claim_only_as_the_deployment_says(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let lines = "tenant_claim = \"org\"\ntenants = { \"Acme Inc.\" = \"acme\", Gone = \"gone\" }";
    let world = issuer.world(engine, lines).await;
    let request = v1::CreateTenantRequest {
        tenant_id: "acme".to_owned(),
        display_name: "Acme".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    answer(world.admin.tenants().create_tenant(request))
        .await
        .unwrap();
    let of = |org: &str| issuer.token(&json!({ "org": org }));

    let acme = world.service.client(&of("Acme Inc.")).await;
    let stray = world
        .service
        .client_in(&of("Acme Inc."), Some("default"))
        .await;

    assert_eq!(who(&acme).await.unwrap().tenant, "acme");
    assert_eq!(reason(who(&stray).await), "TENANT_NOT_FOUND");
    for (org, why) in [
        ("acme", "CREDENTIALS_INVALID"),
        ("default", "CREDENTIALS_INVALID"),
        ("Gone", "TENANT_NOT_FOUND"),
    ] {
        let client = world.service.client(&of(org)).await;
        assert_eq!(reason(who(&client).await), why, "{org}");
    }
}

async fn a_token_that_does_not_hold_is_refused_and_keys_are_not_asked_for(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    let es256 = |header: Value, claims: &Value| Key::Es256.sign(&header, &issuer.claims(claims));
    let header = |more: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "one" });
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let none = unsigned(
        &header(json!({ "alg": "none" })),
        &issuer.claims(&json!({})),
    );
    let refused = [
        issuer.token(&json!({ "aud": "other" })),
        issuer.token(&json!({ "iss": "https://other.example" })),
        issuer.token(&json!({ "iss": format!("{}/", issuer.name()) })),
        issuer.token(&json!({ "exp": START })),
        issuer.token(&json!({ "exp": null })),
        issuer.token(&json!({ "nbf": START + 61 })),
        issuer.token(&json!({ "iat": START + 61 })),
        issuer.token(&json!({ "sub": "" })),
        issuer.signed("one", Key::EdDsa, &json!({})),
        es256(header(json!({ "crit": ["exp"] })), &json!({})),
        es256(header(json!({ "typ": "logout+jwt" })), &json!({})),
        es256(header(json!({ "alg": "HS256" })), &json!({})),
        format!("{none}."),
        "a.b.c".to_owned(),
        "e30.e30.e30".to_owned(),
    ];

    for token in &refused {
        let client = world.service.client(token).await;
        assert_eq!(reason(who(&client).await), "CREDENTIALS_INVALID", "{token}");
    }

    assert_eq!(issuer.web.paths(), [""; 0]);
    assert!(who(&issuer.client(&world, &json!({})).await).await.is_ok());
    world.pass(300);
    let late = issuer.client(&world, &json!({})).await;
    assert_eq!(reason(who(&late).await), "CREDENTIALS_INVALID");
}

async fn a_token_that_others_signed_is_refused(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    issuer.publish(&[("one", Key::Es256), ("rsa", Key::Rs256)]);
    let claims = issuer.claims(&json!({}));
    let good = issuer.token(&json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let bob = issuer.token(&json!({ "sub": "bob" }));
    let (bobs, _) = bob.rsplit_once('.').unwrap();
    let confused = unsigned(&json!({ "alg": "HS256", "kid": "rsa" }), &claims);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, Key::Rs256.public_pem().as_bytes());
    let tag = hmac::sign(&secret, confused.as_bytes());

    let refused = [
        // Signed with a key of another kind, or by another algorithm than the key is for.
        Key::Rs256.sign(&json!({ "alg": "RS256", "kid": "one" }), &claims),
        Key::Rs256.sign(&json!({ "alg": "ES256", "kid": "one" }), &claims),
        Key::Es256.sign(&json!({ "alg": "ES256", "kid": "rsa" }), &claims),
        // The public key as the secret of an HMAC.
        format!("{confused}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag)),
        // The signature of something else, and none.
        format!("{bobs}.{signature}"),
        format!("{message}."),
    ];

    for token in &refused {
        let client = world.service.client(token).await;
        assert_eq!(reason(who(&client).await), "CREDENTIALS_INVALID", "{token}");
    }
    let rsa = issuer.signed("rsa", Key::Rs256, &json!({}));
    for token in [&good, &rsa] {
        assert!(
            who(&world.service.client(token).await).await.is_ok(),
            "{token}"
        );
    }
}

async fn what_a_token_made_is_its_subjects(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, ROLES).await;
    let with = async |more: Value| issuer.client(&world, &more).await;
    let request = || v1::CreateServerRequest {
        server: Some(open("tools")),
        request_id: "0190a4b2-0000-7000-8000-000000000001".to_owned(),
        ..v1::CreateServerRequest::default()
    };
    let first = with(json!({ "roles": "boss" })).await;
    let made = create(&first, request()).await.unwrap().server.unwrap();

    let later = with(json!({ "roles": "boss", "exp": START + 900 })).await;
    let other = with(json!({ "roles": "boss", "sub": "bob" })).await;

    let again = create(&later, request()).await.unwrap().server.unwrap();
    assert_eq!(again.id, made.id);
    assert_eq!(reason(create(&other, request()).await), "SLUG_TAKEN");
}

async fn a_user_confirms_with_a_later_token_what_they_began(engine: Engine) {
    const DONE: &str = "https://chat.example.com/done";
    let issuer = TestIssuer::start().await;
    let settings = [("public.allowed_completion_urls", DONE)];
    let world = issuer.world_with(engine, "", &settings).await;
    world.found("tools").await;
    let ann = issuer.client(&world, &json!({})).await;
    let ask = v1::StartHandshakeRequest {
        server: "tools".to_owned(),
        completion_url: DONE.to_owned(),
        ..v1::StartHandshakeRequest::default()
    };
    let begun = answer(ann.handshakes().start_handshake(ask)).await.unwrap();
    let page = Browser::default().connect(&begun.connect_url).await;
    let url = page.header("location");
    let request = || v1::CompleteHandshakeRequest {
        handshake: parameter(url, "handshake").unwrap(),
        code: parameter(url, "code").unwrap(),
        actor: None,
    };
    world.pass(30);

    let bob = issuer.client(&world, &json!({ "sub": "bob" })).await;
    let stolen = answer(bob.handshakes().complete_handshake(request())).await;
    let later = issuer.client(&world, &json!({ "exp": START + 900 })).await;
    let done = answer(later.handshakes().complete_handshake(request())).await;

    assert!(stolen.is_err(), "{stolen:?}");
    assert!(done.is_ok(), "{done:?}");
    let request = v1::GetHandshakeRequest {
        handshake: begun.handshake.unwrap().id,
    };
    let read = answer(later.handshakes().get_handshake(request.clone())).await;
    assert_eq!(read.unwrap().handshake.unwrap().user, "ann");
    let foreign = answer(bob.handshakes().get_handshake(request)).await;
    assert_eq!(reason(foreign), "HANDSHAKE_NOT_FOUND");
}

async fn a_stream_ends_with_its_token(engine: Engine) {
    let issuer = TestIssuer::start().await;
    let world = issuer.world(engine, "").await;
    world.found("tools").await;
    let short = issuer.client(&world, &json!({ "exp": START + 60 })).await;
    let long = issuer.client(&world, &json!({ "exp": START + 900 })).await;
    let mut ends = watch(&short, all()).await.unwrap().synced().await;
    let mut goes_on = watch(&long, all()).await.unwrap().synced().await;

    world.pass(60);

    assert_eq!(reason::<()>(Err(ends.end().await)), "CREDENTIALS_INVALID");
    world.connect("bob", "tools").await;
    world.connect("ann", "tools").await;
    let told = goes_on.next().await;
    assert_eq!(told.connection.unwrap().user, "ann");
}
