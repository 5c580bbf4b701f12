//! Keys that cannot be used are refused by the field they stand in, without a word of them.

use stationmaster::client::{answer, v1};
use stationmaster::domain::time::Clock as _;
use v1::TokenEndpointAuthMethod as Method;
use v1::server::Auth;

use crate::harness::client::{actor, fields, refusal};
use crate::harness::keys::Key;
use crate::harness::service::Engine;
use crate::harness::world::{World, list, on_both_engines, with_auth};

on_both_engines! {
    a_key_that_cannot_sign_is_refused_and_not_repeated,
    a_key_without_use_and_a_method_without_key_are_named,
    the_algorithm_must_be_the_keys,
    an_update_is_judged_with_the_key_that_is_stored,
    a_key_is_demanded_again_before_it_speaks_to_others,
    an_imported_client_is_never_given_the_servers_key,
}

/// Signs of keys, or what stands in their place.
const UNUSABLE: [&str; 5] = [
    include_str!("../harness/keys/refused/p384.pem"),
    include_str!("../harness/keys/refused/pkcs1.pem"),
    include_str!("../harness/keys/refused/encrypted.pem"),
    include_str!("../harness/keys/es256.pub.pem"),
    "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n",
];

fn with_key(world: &World, pem: &str) -> v1::Server {
    let mut server = world.manual("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
        oauth2.client_secret = None;
        oauth2.private_key = Some(pem.to_owned());
    }
    server
}

fn credentials(key: Key, algorithm: &str) -> v1::Server {
    let auth = v1::ClientCredentialsAuth {
        client_id: "id".to_owned(),
        private_key: Some(key.pem().to_owned()),
        private_key_id: "k1".to_owned(),
        signing_algorithm: algorithm.to_owned(),
        token_endpoint: "https://as.example.com/token".to_owned(),
        ..v1::ClientCredentialsAuth::default()
    };
    let url = "https://tools.example.com/mcp".to_owned();
    with_auth("tools", url, Auth::ClientCredentials(auth))
}

fn patch(auth: Auth) -> v1::Server {
    v1::Server {
        id: "tools".to_owned(),
        auth: Some(auth),
        ..v1::Server::default()
    }
}

async fn a_key_that_cannot_sign_is_refused_and_not_repeated(engine: Engine) {
    let world = World::start(engine).await;

    for pem in UNUSABLE {
        let refused = refusal(world.create(with_key(&world, pem)).await);

        let [violation] = refused.field_violations.as_slice() else {
            panic!("{refused:?}");
        };
        assert_eq!(violation.field, "server.oauth2.private_key");
        let told = format!("{refused:?}");
        let inner = pem.lines().filter(|line| !line.starts_with("-----"));
        for line in inner {
            assert!(!told.contains(line), "{told}");
        }
    }
    assert_eq!(list(&world.admin).await, []);
}

async fn a_key_without_use_and_a_method_without_key_are_named(engine: Engine) {
    let world = World::start(engine).await;
    let with = |change: fn(&mut v1::OAuth2Auth)| {
        let mut server = with_key(&world, Key::Es256.pem());
        if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
            change(oauth2);
        }
        server
    };
    let mut automatic = world.automatic("tools");
    if let Some(Auth::Oauth2(oauth2)) = &mut automatic.auth {
        oauth2.private_key = Some(Key::Es256.pem().to_owned());
    }

    let no_key = with(|oauth2| {
        oauth2.private_key = None;
        oauth2.set_token_endpoint_auth_method(Method::PrivateKeyJwt);
    });
    let other_method = with(|oauth2| {
        oauth2.client_secret = Some("hush".to_owned());
        oauth2.set_token_endpoint_auth_method(Method::ClientSecretPost);
    });
    let name_only = with(|oauth2| {
        oauth2.private_key = None;
        "k1".clone_into(&mut oauth2.private_key_id);
    });

    for (server, field) in [
        (no_key, "private_key"),
        (other_method, "private_key"),
        (name_only, "private_key_id"),
        (automatic, "private_key"),
    ] {
        let found = fields(world.create(server).await);
        assert_eq!(found, [format!("server.oauth2.{field}")]);
    }
}

async fn the_algorithm_must_be_the_keys(engine: Engine) {
    let world = World::start(engine).await;
    let field = ["server.client_credentials.signing_algorithm"];

    for (key, algorithm) in [
        (Key::Es256, "RS256"),
        (Key::Rs256, "PS256"),
        (Key::EdDsa, "none"),
    ] {
        let found = fields(world.create(credentials(key, algorithm)).await);
        assert_eq!(found, field, "{algorithm}");
    }
    for key in Key::ALL {
        let mut server = credentials(key, key.algorithm());
        server.slug = key.algorithm().to_lowercase();
        let made = world.create(server).await.unwrap();
        assert!(made.has_private_key && !made.has_client_secret);
    }
}

async fn an_update_is_judged_with_the_key_that_is_stored(engine: Engine) {
    let world = World::start(engine).await;
    world.create(credentials(Key::Es256, "")).await.unwrap();
    let change = |algorithm: &str, key: Option<Key>| {
        let auth = v1::ClientCredentialsAuth {
            signing_algorithm: algorithm.to_owned(),
            private_key: key.map(|key| key.pem().to_owned()),
            ..v1::ClientCredentialsAuth::default()
        };
        patch(Auth::ClientCredentials(auth))
    };
    let mask = ["client_credentials.signing_algorithm"];
    let both = [mask[0], "client_credentials.private_key"];

    let other = world.update(change("EdDSA", None), &mask).await;
    let own = world.update(change("ES256", None), &mask).await;
    let rotated = world.update(change("EdDSA", Some(Key::EdDsa)), &both).await;

    let field = ["server.client_credentials.signing_algorithm"];
    assert_eq!(fields(other), field);
    assert!(own.is_ok(), "{own:?}");
    let rotated = rotated.unwrap().server.unwrap();
    assert_eq!(rotated.auth_version, 1, "a new key ends nothing");
}

async fn a_key_is_demanded_again_before_it_speaks_to_others(engine: Engine) {
    let world = World::start(engine).await;
    let mut server = with_key(&world, Key::Es256.pem());
    if let (Some(Auth::Oauth2(oauth2)), Some(Auth::Oauth2(anywhere))) =
        (&mut server.auth, world.manual_anywhere("tools").auth)
    {
        oauth2.overrides = anywhere.overrides;
    }
    world.create(server).await.unwrap();
    let elsewhere = |key: Option<&str>| {
        let auth = v1::OAuth2Auth {
            token_endpoint: "https://other.example.com/token".to_owned(),
            private_key: key.map(str::to_owned),
            ..v1::OAuth2Auth::default()
        };
        patch(Auth::Oauth2(auth))
    };

    let kept = world
        .update(elsewhere(None), &["oauth2.token_endpoint"])
        .await;
    let mask = ["oauth2.token_endpoint", "oauth2.private_key"];
    let given = world.update(elsewhere(Some(Key::Es256.pem())), &mask).await;

    let refused = refusal(kept);
    assert_eq!(
        refused.field_violations[0].field,
        "server.oauth2.private_key"
    );
    let why = &refused.field_violations[0].description;
    assert!(why.contains("must be given again"), "{why}");
    assert!(given.is_ok(), "{given:?}");
}

async fn an_imported_client_is_never_given_the_servers_key(engine: Engine) {
    let world = World::start(engine).await;
    let mut server = with_key(&world, Key::Es256.pem());
    if let Some(Auth::Oauth2(oauth2)) = &mut server.auth {
        oauth2.set_token_endpoint_auth_method(Method::PrivateKeyJwt);
    }
    world.create(server).await.unwrap();
    world.idp.add_client("theirs", "their-secret", "");
    let (access, refresh) = world.idp.grant("theirs");
    let request = v1::ImportConnectionRequest {
        actor: actor("alice"),
        server: "tools".to_owned(),
        access_token: access,
        refresh_token: refresh,
        client_id: "theirs".to_owned(),
        client_secret: "their-secret".to_owned(),
        expire_time: Some(prost_types::Timestamp {
            seconds: world.service.clock().now().as_secs() + 60,
            nanos: 0,
        }),
        ..v1::ImportConnectionRequest::default()
    };
    answer(world.daemon.tokens().import_connection(request))
        .await
        .unwrap();

    world.pass(3600);
    world.header("alice", "tools").await;

    let sent = world.idp.last_redemption().unwrap();
    assert_eq!(sent.form("client_assertion"), None);
    assert!(sent.header("authorization").is_some());
}
