//! A key has its use, and a method its key; and what a new key entails.

use super::super::{
    Access, Availability, ClientCredentials, Edit, Endpoints, Enterprise, OAuth2,
    PreregisteredClient, Rules, SealedSecrets, SecretEdits, Server, Spec, ToolPolicy, Transport,
    UserOidc, check, consequences,
};
use super::*;
use crate::domain::authorization::Issuer;
use crate::domain::ids::{DataKeyId, ServerId};
use crate::domain::secrets::{ClientSecret, PrivateKey, Sealed};
use crate::domain::tenants::TenantId;
use crate::domain::text::Slug;
use crate::domain::time::Timestamp;
use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost, PrivateKeyJwt};

fn spec(auth: Auth) -> Spec {
    Spec {
        slug: Slug::parse("s").unwrap(),
        display_name: "S".into(),
        description: String::new(),
        icon_url: String::new(),
        url: "https://mcp.example.com/mcp".into(),
        transport: Transport::StreamableHttp,
        enabled: false,
        availability: Availability::DefaultOff,
        allow_in_plan_mode: false,
        allow_in_subagents: false,
        model_intent: false,
        forward_identity_headers: false,
        identity_forwarding: None,
        tools: ToolPolicy::default(),
        access: Access::default(),
        managed_by: String::new(),
        auth,
        account_binding: None,
    }
}

/// Which of a client's secrets come with the draft.
#[derive(Debug, Clone, Copy)]
enum Given {
    Secret,
    Key,
    Both,
    Neither,
}

fn draft(auth: Auth, given: Given) -> Draft {
    let mut secrets = SecretEdits::default();
    if let Given::Secret | Given::Both = given {
        secrets.client_secret = Edit::Set(ClientSecret::new("hush".into()));
    }
    if let Given::Key | Given::Both = given {
        secrets.private_key = Edit::Set(PrivateKey::new("pem".into()));
    }
    Draft {
        spec: spec(auth),
        secrets,
    }
}

fn offences(auth: Auth, given: Given) -> Vec<String> {
    let found = check(&draft(auth, given), Stored::default(), Rules::HttpsOnly);
    let fields = found.into_vec().into_iter().map(|found| found.field);
    fields.collect()
}

fn manual(method: Option<ClientAuthMethod>, key_id: Option<&str>) -> Auth {
    Auth::OAuth2(Box::new(OAuth2 {
        endpoints: Some(Endpoints {
            client_id: "id".into(),
            authorization_endpoint: "https://as.example/authorize".into(),
            token_endpoint: "https://as.example/token".into(),
        }),
        token_endpoint_auth_method: method,
        private_key_id: key_id.map(str::to_owned),
        ..OAuth2::default()
    }))
}

fn preregistered() -> Auth {
    Auth::OAuth2(Box::new(OAuth2 {
        preregistered: Some(PreregisteredClient {
            client_id: "id".into(),
            issuer: Issuer::new("https://as.example"),
        }),
        ..OAuth2::default()
    }))
}

fn credentials(method: Option<ClientAuthMethod>, algorithm: Option<&str>) -> ClientCredentials {
    ClientCredentials {
        client_id: "id".into(),
        token_endpoint: Some("https://as.example/token".into()),
        issuer: None,
        token_endpoint_auth_method: method,
        private_key_id: None,
        provider_profile: None,
        overrides: super::super::Overrides::default(),
        signing_algorithm: algorithm.map(str::to_owned),
        scopes: crate::domain::authorization::Scopes::default(),
    }
}

#[test]
fn a_key_needs_a_use_and_a_method_its_key() {
    let clean: [&str; 0] = [];
    for (method, given, expected) in [
        (None, Given::Key, &clean[..]),
        (None, Given::Neither, &clean),
        (Some(PrivateKeyJwt), Given::Key, &clean),
        (Some(PrivateKeyJwt), Given::Both, &clean),
        (Some(PrivateKeyJwt), Given::Secret, &["private_key"]),
        (Some(PrivateKeyJwt), Given::Neither, &["private_key"]),
        (Some(ClientSecretBasic), Given::Both, &["private_key"]),
        (Some(ClientAuthMethod::None), Given::Key, &["private_key"]),
        (None, Given::Both, &["private_key"]),
        (Some(ClientSecretBasic), Given::Secret, &clean),
        (Some(ClientSecretPost), Given::Neither, &["client_secret"]),
        (
            Some(ClientAuthMethod::None),
            Given::Secret,
            &["client_secret"],
        ),
    ] {
        let named = |kind: &str| -> Vec<String> {
            let names = expected.iter();
            names.map(|name| format!("server.{kind}.{name}")).collect()
        };

        let of_oauth2 = offences(manual(method, None), given);
        let client = Auth::ClientCredentials(credentials(method, None));
        let of_client = offences(client, given);

        assert_eq!(of_oauth2, named("oauth2"), "{method:?} {given:?}");
        assert_eq!(
            of_client,
            named("client_credentials"),
            "{method:?} {given:?}"
        );
    }
}

#[test]
fn metadata_may_choose_between_secret_and_key() {
    let discovered = ClientCredentials {
        token_endpoint: None,
        ..credentials(None, None)
    };

    assert!(offences(preregistered(), Given::Both).is_empty());
    assert!(offences(Auth::ClientCredentials(discovered), Given::Both).is_empty());
}

#[test]
fn what_belongs_to_a_key_needs_one() {
    let named = offences(manual(None, Some("k1")), Given::Secret);
    let signing = |algorithm, given| {
        let client = credentials(None, Some(algorithm));
        offences(Auth::ClientCredentials(client), given)
    };

    assert_eq!(named, ["server.oauth2.private_key_id"]);
    let field = ["server.client_credentials.signing_algorithm"];
    assert_eq!(signing("ES256", Given::Secret), field);
    assert_eq!(signing("es256", Given::Key), field);
    assert_eq!(signing("PS256", Given::Key), field);
    assert!(signing("EdDSA", Given::Key).is_empty());
}

#[test]
fn what_has_no_key_does_not_sign() {
    let automatic = Auth::OAuth2(Box::new(OAuth2 {
        token_endpoint_auth_method: Some(PrivateKeyJwt),
        private_key_id: Some("k1".into()),
        ..OAuth2::default()
    }));
    let oidc = Auth::UserOidc(UserOidc {
        token_endpoint_auth_method: Some(PrivateKeyJwt),
        ..UserOidc::default()
    });
    let enterprise = Auth::Enterprise(Enterprise {
        client_id: "id".into(),
        issuer: None,
        idp_issuer: Issuer::new("https://idp.example"),
        idp_token_endpoint: "https://idp.example/token".into(),
        idp_client_id: "id".into(),
        token_endpoint_auth_method: Some(PrivateKeyJwt),
        idp_token_endpoint_auth_method: Some(PrivateKeyJwt),
        scopes: crate::domain::authorization::Scopes::default(),
    });

    assert_eq!(offences(automatic, Given::Key).len(), 3);
    assert_eq!(offences(oidc, Given::Neither).len(), 1);
    assert_eq!(offences(enterprise, Given::Neither).len(), 2);
}

fn stored(auth: Auth, given: Given) -> Server {
    let sealed = || Sealed {
        key: DataKeyId::from_bytes([1; 16]),
        bytes: vec![1],
    };
    Server {
        id: ServerId::from_bytes([2; 16]),
        tenant: TenantId::parse("default").unwrap(),
        owner: None,
        spec: spec(auth),
        secrets: SealedSecrets {
            client_secret: matches!(given, Given::Secret | Given::Both).then(sealed),
            private_key: matches!(given, Given::Key | Given::Both).then(sealed),
            ..SealedSecrets::default()
        },
        discovered: None,
        auth_version: 1,
        version: 1,
        created_by: String::new(),
        updated_by: String::new(),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    }
}

#[test]
fn a_new_key_ends_no_grants_whatever_it_is_called() {
    let old = stored(manual(None, Some("k1")), Given::Key);
    let new = draft(manual(None, Some("k2")), Given::Key);
    let client = |key_id: &str, algorithm| {
        Auth::ClientCredentials(ClientCredentials {
            private_key_id: Some(key_id.to_owned()),
            ..credentials(None, Some(algorithm))
        })
    };
    let old_client = stored(client("k1", "ES256"), Given::Key);
    let new_client = draft(client("k2", "EdDSA"), Given::Key);

    for (old, new) in [(old, new), (old_client, new_client)] {
        let (entails, found) = consequences(&old, &new);

        assert!(!entails.ends_grants && !entails.needs_provision, "{new:?}");
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_first_key_and_a_last_one_make_the_method_be_chosen_anew() {
    let first = consequences(
        &stored(manual(None, None), Given::Secret),
        &draft(manual(Some(PrivateKeyJwt), None), Given::Key),
    );
    let mut without = draft(manual(None, None), Given::Secret);
    without.secrets.private_key = Edit::Clear;
    let last = consequences(&stored(manual(None, None), Given::Key), &without);

    for (entails, _) in [first, last] {
        assert!(entails.needs_provision && !entails.ends_grants);
    }
}

#[test]
fn a_key_that_would_speak_to_others_is_demanded_again() {
    let elsewhere = |auth: &Auth| {
        let mut oauth2 = auth.oauth2().cloned().unwrap();
        oauth2.endpoints.as_mut().unwrap().token_endpoint = "https://other.example/token".into();
        Auth::OAuth2(Box::new(oauth2))
    };
    let old = stored(manual(Some(PrivateKeyJwt), None), Given::Both);

    let kept = draft(elsewhere(&old.spec.auth), Given::Neither);
    let (_, found) = consequences(&old, &kept);

    let fields: Vec<_> = found.into_vec().into_iter().map(|v| v.field).collect();
    assert_eq!(
        fields,
        ["server.oauth2.client_secret", "server.oauth2.private_key"]
    );
    let again = draft(elsewhere(&old.spec.auth), Given::Both);
    assert!(consequences(&old, &again).1.is_empty());
}

#[test]
fn a_client_that_is_registered_has_no_secret_of_ours() {
    let automatic = || Auth::OAuth2(Box::default());

    assert_eq!(
        offences(automatic(), Given::Secret),
        ["server.oauth2.client_secret"]
    );
    assert!(offences(automatic(), Given::Neither).is_empty());
    assert!(offences(preregistered(), Given::Secret).is_empty());
}
