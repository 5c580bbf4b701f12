//! What [`check`] refuses, one rule a test.

use super::*;
use crate::domain::accounts::{AccountBinding, AccountPolicy};
use crate::domain::authorization::Scopes;
use crate::domain::secrets::{ClientSecret, HeaderSecret};
use crate::domain::servers::{
    Access, Availability, Endpoints, Overrides, SecretEdits, Spec, ToolPolicy, Transport,
};
use crate::domain::text::Slug;

fn draft(auth: Auth) -> Draft {
    let spec = Spec {
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
    };
    Draft {
        spec,
        secrets: SecretEdits::default(),
    }
}

fn fields(draft: &Draft) -> Vec<String> {
    let found = check(draft, Stored::default(), Rules::HttpsOnly);
    found
        .into_vec()
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[test]
fn a_plain_server_is_fine() {
    assert!(fields(&draft(Auth::None)).is_empty());
    assert!(fields(&draft(Auth::OAuth2(Box::default()))).is_empty());
}

#[test]
fn partial_oauth_settings_name_what_is_missing_and_the_two_ways() {
    let endpoints = Endpoints {
        client_id: "id".into(),
        authorization_endpoint: String::new(),
        token_endpoint: String::new(),
    };
    let oauth2 = OAuth2 {
        endpoints: Some(endpoints),
        ..OAuth2::default()
    };

    let draft = draft(Auth::OAuth2(Box::new(oauth2)));
    let found = check(&draft, Stored::default(), Rules::HttpsOnly).into_vec();

    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|v| v.description.contains("manual") && v.description.contains("automatic"))
    );
}

#[test]
fn urls_that_cannot_be_used_are_refused() {
    for bad in [
        "",
        "mcp",
        "http://mcp.example.com",
        "ftp://mcp.example.com",
        "https://u:p@mcp.example.com",
        "https://mcp.example.com/#x",
        "https://mcp.example.com/\u{0}",
    ] {
        let mut draft = draft(Auth::None);
        draft.spec.url = bad.into();

        assert_eq!(fields(&draft), ["server.url"], "{bad}");
    }
}

/// A server that a daemon would launch has its credentials from the environment, not from here.
#[test]
fn a_server_that_would_be_launched_is_none() {
    for command in [
        "npx -y some-server",
        "/usr/local/bin/server",
        "stdio:server",
        "stdio://server",
        "file:///usr/local/bin/server",
        "unix:/run/server.sock",
    ] {
        let mut draft = draft(Auth::OAuth2(Box::default()));
        draft.spec.url = command.into();

        assert_eq!(fields(&draft), ["server.url"], "{command}");
    }
}

/// The consent comes back to the redirect URI with a code in it (MCP authorization, communication
/// security).
#[test]
fn a_redirect_uri_is_https() {
    let redirected = |uri: &str| {
        let redirect = Redirect::Explicit(uri.to_owned());
        draft(Auth::OAuth2(Box::new(OAuth2 {
            redirect,
            ..OAuth2::default()
        })))
    };
    let field = "server.oauth2.explicit_redirect_uri";

    for bad in ["http://app.example.com/cb", "app:/cb", "javascript:1", "cb"] {
        assert_eq!(fields(&redirected(bad)), [field], "{bad}");
    }
    assert_eq!(fields(&redirected("https://app.example.com/cb")), [""; 0]);
}

/// No metadata stands for them, and they receive secrets.
#[test]
fn endpoints_by_hand_are_at_their_issuer_unless_that_is_allowed() {
    let mut oauth2 = OAuth2 {
        endpoints: Some(Endpoints {
            client_id: "c".into(),
            authorization_endpoint: "https://as.example.com/authorize".into(),
            token_endpoint: "https://elsewhere.example.com/token".into(),
        }),
        issuer: Some(Issuer::new("https://as.example.com/tenant")),
        ..OAuth2::default()
    };
    let by_hand = |oauth2: &OAuth2| fields(&draft(Auth::OAuth2(Box::new(oauth2.clone()))));

    assert_eq!(by_hand(&oauth2), ["server.oauth2.token_endpoint"]);
    oauth2.issuer = None;
    assert_eq!(by_hand(&oauth2), ["server.oauth2.token_endpoint"]);
    oauth2.overrides.allow_foreign_endpoints = true;
    assert_eq!(by_hand(&oauth2), [""; 0]);
}

#[test]
fn header_injection_is_refused_by_field() {
    let api_key = ApiKey {
        header: "X-Key\r\nEvil".into(),
        per_user: false,
        description: String::new(),
    };
    let mut draft = draft(Auth::ApiKey(api_key));
    draft.secrets.api_key = Edit::Set(HeaderSecret::new("v\r\nx: y".into()));

    assert_eq!(
        fields(&draft),
        ["server.api_key.header", "server.api_key.value"]
    );
}

#[test]
fn every_offence_is_found_at_once() {
    let mut draft = draft(Auth::CustomHeaders(CustomHeaders::default()));
    draft.spec.url = "x".into();
    draft.spec.display_name = " ".into();

    assert_eq!(
        fields(&draft),
        [
            "server.display_name",
            "server.url",
            "server.custom_headers.headers"
        ]
    );
}

#[test]
fn a_parameter_of_the_protocol_cannot_be_added() {
    for name in RESERVED_PARAMETERS {
        let params = [(name.to_owned(), "x".to_owned())];
        let oauth2 = OAuth2 {
            extra_authorize_params: params.into(),
            ..OAuth2::default()
        };

        let draft = draft(Auth::OAuth2(Box::new(oauth2)));

        assert_eq!(
            fields(&draft),
            ["server.oauth2.extra_authorize_params"],
            "{name}"
        );
    }
}

#[test]
fn a_client_of_our_own_asks_at_its_issuer_unless_that_is_allowed() {
    let mut client = ClientCredentials {
        client_id: "id".into(),
        issuer: Some(Issuer::new("https://as.example.com")),
        token_endpoint: Some("https://elsewhere.example.com/token".into()),
        token_endpoint_auth_method: None,
        private_key_id: None,
        provider_profile: None,
        overrides: Overrides::default(),
        signing_algorithm: None,
        scopes: Scopes::default(),
    };
    let secret = || SecretEdits {
        client_secret: Edit::Set(ClientSecret::new("hush".into())),
        ..SecretEdits::default()
    };
    let fields = |client: &ClientCredentials| {
        let mut draft = draft(Auth::ClientCredentials(client.clone()));
        draft.secrets = secret();
        fields(&draft)
    };

    let foreign = fields(&client);
    client.overrides.allow_foreign_endpoints = true;
    let allowed = fields(&client);
    client.overrides.allow_foreign_endpoints = false;
    client.token_endpoint = Some("https://as.example.com/token".into());
    let own = fields(&client);

    assert_eq!(foreign, ["server.client_credentials.token_endpoint"]);
    assert!(allowed.is_empty() && own.is_empty());
}

#[test]
fn whose_accounts_are_taken_is_said_of_servers_that_users_connect_to() {
    let with = |auth, claim: &str| {
        let mut draft = draft(auth);
        draft.spec.account_binding = Some(AccountBinding {
            policy: AccountPolicy::Refuse,
            claim: claim.to_owned(),
        });
        fields(&draft)
    };
    let oauth2 = || Auth::OAuth2(Box::default());

    assert!(with(oauth2(), "email").is_empty());
    assert_eq!(with(Auth::None, "email"), ["server.account_binding"]);
    let claim = ["server.account_binding.upstream_claim"];
    assert_eq!(with(oauth2(), ""), claim);
    assert_eq!(with(oauth2(), &"x".repeat(65)), claim);
}

#[test]
fn names_of_headers_differ_whoever_supplies_them() {
    let named = |ours: &[&str], theirs: &[&str]| {
        let own = |name: &&str| UserHeader {
            name: (*name).to_owned(),
            description: String::new(),
            can_be_missing: false,
        };
        let mut draft = draft(Auth::CustomHeaders(CustomHeaders {
            names: ours.iter().map(|&name| name.to_owned()).collect(),
            user_headers: theirs.iter().map(own).collect(),
        }));
        let given = ours.iter().map(|&name| {
            let value = HeaderSecret::new("v".to_owned());
            (name.to_owned(), value)
        });
        draft.secrets.custom_headers = given.collect();
        fields(&draft)
    };
    let field = ["server.custom_headers.headers"];
    let many: Vec<String> = (0..17).map(|n| format!("X-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();

    assert_eq!(named(&["X-A"], &["X-B"]), [""; 0]);
    assert_eq!(named(&[], &["X-B"]), [""; 0]);
    assert_eq!(named(&many[..8], &many[8..16]), [""; 0]);
    assert_eq!(named(&["X-A"], &["x-a"]), field);
    assert_eq!(named(&["X-A"], &["X-B", "x-b"]), field);
    assert_eq!(named(&[], &["Host"]), field);
    assert_eq!(named(&[], &["X B"]), field);
    assert_eq!(named(&many[..8], &many[8..]), field);
}

#[test]
fn what_users_are_told_fits_a_line() {
    let told = |description: &str| {
        let header = UserHeader {
            name: "X-A".to_owned(),
            description: description.to_owned(),
            can_be_missing: false,
        };
        fields(&draft(Auth::CustomHeaders(CustomHeaders {
            names: Vec::new(),
            user_headers: vec![header],
        })))
    };

    assert!(told(&"x".repeat(500)).is_empty());
    for bad in [&*"x".repeat(501), "two\nlines"] {
        assert_eq!(told(bad), ["server.custom_headers.user_headers"]);
    }
}
