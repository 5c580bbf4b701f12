//! What a personal server may not be, and what its slug is.

use super::*;
use crate::domain::random::SeededRandom;
use crate::domain::secrets::{ClientSecret, Opaque};
use crate::domain::servers::{
    Access, ApiKey, CustomHeaders, Edit, Overrides, Redirect, SecretEdits, Spec, ToolPolicy,
    Transport, UserHeader,
};
use crate::domain::time::FixedClock;

type Change = fn(&mut Draft);

fn draft(auth: Auth) -> Draft {
    let spec = Spec {
        slug: Slug::parse("s").unwrap(),
        display_name: "S".into(),
        description: String::new(),
        icon_url: String::new(),
        url: "https://mcp.example.com/mcp".into(),
        transport: Transport::StreamableHttp,
        enabled: true,
        availability: Availability::DefaultOff,
        allow_in_plan_mode: false,
        allow_in_subagents: true,
        model_intent: false,
        forward_identity_headers: false,
        tools: ToolPolicy::default(),
        access: Access::default(),
        managed_by: String::new(),
        auth,
        account_binding: None,
        identity_forwarding: None,
    };
    Draft {
        spec,
        secrets: SecretEdits::default(),
    }
}

fn fields(draft: &Draft) -> Vec<String> {
    let mut found = Violations::new();
    check_personal(&mut found, draft, |url| {
        url.host_str() == Some("mcp.example.com")
    });
    found.into_vec().into_iter().map(|one| one.field).collect()
}

fn with(change: impl FnOnce(&mut Draft)) -> Vec<String> {
    let mut one = draft(Auth::None);
    change(&mut one);
    fields(&one)
}

#[test]
fn a_slug_says_nothing_of_other_servers() {
    let id = |seed| ServerId::mint(&FixedClock::default(), &SeededRandom::new(seed));
    let slug = |text: &str| Slug::parse(text).unwrap();
    let end = |id: ServerId| id.to_string()[28..].to_owned();

    let mine = personal_slug(&slug("notes"), id(1));

    assert_eq!(mine.as_str(), format!("notes-{}", end(id(1))));
    assert_eq!(personal_slug(&mine, id(1)), mine, "said again it stays");
    assert_ne!(personal_slug(&slug("notes"), id(2)), mine);
    let long = personal_slug(&slug(&"x".repeat(63)), id(1));
    assert_eq!(long.as_str().len(), Slug::MAX);
    assert!(long.as_str().ends_with(&end(id(1))));
}

#[test]
fn a_personal_server_is_in_no_chat_by_itself_and_tells_nobody_who_asks() {
    assert_eq!(with(|_| {}), [""; 0]);
    let changes: [(&str, Change); 8] = [
        ("server.availability", |one| {
            one.spec.availability = Availability::ForceOn;
        }),
        ("server.availability", |one| {
            one.spec.availability = Availability::DefaultOn;
        }),
        ("server.allow_in_plan_mode", |one| {
            one.spec.allow_in_plan_mode = true;
        }),
        ("server.model_intent", |one| one.spec.model_intent = true),
        ("server.forward_identity_headers", |one| {
            one.spec.forward_identity_headers = true;
        }),
        ("server.signing_secret", |one| {
            one.secrets.signing_secret = Edit::Set(Opaque::new("hush".into()));
        }),
        ("server.allowed_users", |one| {
            one.spec.access.users.push("bob".into());
        }),
        ("server.allowed_groups", |one| {
            one.spec.access.groups.push("staff".into());
        }),
    ];
    for (field, change) in changes {
        assert_eq!(with(change), [field]);
    }
}

#[test]
fn a_personal_server_is_authorized_by_its_owners_own_means() {
    let key = |per_user| {
        Auth::ApiKey(ApiKey {
            header: "Authorization".into(),
            per_user,
            description: String::new(),
        })
    };
    let headers = |count: usize| {
        let user_header = UserHeader {
            name: "X".into(),
            description: String::new(),
            can_be_missing: false,
        };
        Auth::CustomHeaders(CustomHeaders {
            names: vec!["Y".into()],
            user_headers: vec![user_header; count],
        })
    };
    let oauth2 = |change: fn(&mut OAuth2)| {
        let mut oauth2 = OAuth2::default();
        change(&mut oauth2);
        Auth::OAuth2(Box::new(oauth2))
    };

    for (auth, expected) in [
        (Auth::None, &[][..]),
        (key(false), &[]),
        (key(true), &["server.api_key.per_user"]),
        (headers(0), &[]),
        (headers(1), &["server.custom_headers.user_headers"]),
        (oauth2(|_| {}), &[]),
        (
            oauth2(|one| one.provider_profile = Some("github".into())),
            &[],
        ),
        (
            oauth2(|one| one.redirect = Redirect::Shared),
            &["server.oauth2"],
        ),
        (
            oauth2(|one| one.trusted_metadata_origins.push("https://a.test".into())),
            &["server.oauth2"],
        ),
        (
            oauth2(|one| {
                one.overrides = Overrides {
                    omit_resource: true,
                    ..Overrides::default()
                };
            }),
            &["server.oauth2"],
        ),
        (
            Auth::UserOidc(crate::domain::servers::UserOidc::default()),
            &["server.user_oidc"],
        ),
    ] {
        assert_eq!(fields(&draft(auth.clone())), expected, "{auth:?}");
    }
    let ours = "x-Coder-Owner-Id";
    let mut named = key(false);
    if let Auth::ApiKey(named) = &mut named {
        named.header = ours.into();
    }
    assert_eq!(fields(&draft(named)), ["server.api_key.header"]);
    let mut named = headers(0);
    if let Auth::CustomHeaders(named) = &mut named {
        named.names = vec!["Y".into(), "X-Stationmaster-Chat-Id".into()];
    }
    assert_eq!(fields(&draft(named)), ["server.custom_headers.headers"]);
    let mut secret = draft(oauth2(|_| {}));
    secret.secrets.client_secret = Edit::Set(ClientSecret::new("hush".into()));
    assert_eq!(fields(&secret), ["server.oauth2"]);
}
