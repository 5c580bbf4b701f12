//! Tests of [`super`]: what is made of the answers that there are.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn read(status: u16, body: &str) -> Answer {
    read_in(&Dialect::default(), status, body)
}

fn read_in(dialect: &Dialect, status: u16, body: &str) -> Answer {
    Answer::read(
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        body.as_bytes(),
        Timestamp::default(),
        dialect,
    )
}

fn refused(code: &str) -> Answer {
    Answer::Refused(Some(code.to_owned()))
}

fn member(body: &str, name: &str) -> Value {
    member_in(&Dialect::default(), body, name)
}

fn member_in(dialect: &Dialect, body: &str, name: &str) -> Value {
    match read_in(dialect, 200, body) {
        Answer::Granted(members) => members.get(name).cloned().unwrap_or(Value::Null),
        other @ (Answer::Refused(_) | Answer::Transient(_) | Answer::Malformed) => {
            panic!("{body}: {other:?}")
        }
    }
}

/// We must not use a token of a type that we do not understand (RFC 6749, section 7.1), and one becomes
/// a header as it is.
#[test]
fn a_token_that_cannot_be_sent_is_none() {
    let typed = |kind: &str| format!(r#"{{"access_token":"a","token_type":"{kind}"}}"#);
    for kind in ["bearer", "Bearer", "BEARER", " bearer ", "BearerToken"] {
        assert_eq!(
            member(&typed(kind), "token_type"),
            json!("bearer"),
            "{kind}"
        );
    }
    for kind in ["DPoP", "MAC", "N_A", "Bearer token", "b\\r\\nx"] {
        let expected = refused("token_type_not_supported");
        assert_eq!(read(200, &typed(kind)), expected, "{kind}");
    }
    for token in ["a\\r\\nx: y", "a\\u0000", "\u{e9}", "a\\u007f"] {
        let body = format!(r#"{{"access_token":"{token}","token_type":"bearer"}}"#);
        assert_eq!(read(200, &body), Answer::Malformed, "{token}");
    }
    let odd = r#"{"access_token":"a+b/c= d%20&e'~","token_type":"bearer"}"#;
    assert_eq!(member(odd, "access_token"), json!("a+b/c= d%20&e'~"));
}

#[test]
fn refusals_are_recognised_in_every_dress() {
    for (status, body, expected) in [
        (
            400,
            r#"{"error":"invalid_grant"}"#,
            refused("invalid_grant"),
        ),
        (
            200,
            r#"{"error":"bad_refresh_token","error_description":"x"}"#,
            refused("bad_refresh_token"),
        ),
        (
            200,
            "error=bad_verification_code&error_description=x+y",
            refused("bad_verification_code"),
        ),
        (
            200,
            r#"{"ok":false,"error":"invalid_refresh_token"}"#,
            refused("invalid_refresh_token"),
        ),
        (200, r#"{"ok":false}"#, Answer::Refused(None)),
        (
            401,
            r#"{"error":"INVALID_CLIENT"}"#,
            refused("invalid_client"),
        ),
        (
            400,
            r#"{"error":{"code":"invalid_grant","message":"prose"}}"#,
            refused("invalid_grant"),
        ),
        (
            400,
            r#"{"error":"some prose, with a secret"}"#,
            Answer::Refused(None),
        ),
        (400, r#"{"message":"no"}"#, Answer::Refused(None)),
        (200, r#"{"error":"x","access_token":"t"}"#, refused("x")),
    ] {
        assert_eq!(read(status, body), expected, "{status} {body}");
    }
}

#[test]
fn trouble_is_told_from_refusal_and_from_loss() {
    let later = Answer::Transient(None);

    for (status, body, expected) in [
        (503, r#"{"error":"invalid_grant"}"#, &later),
        (429, "", &later),
        (408, "", &later),
        (400, r#"{"error":"temporarily_unavailable"}"#, &later),
        (200, r#"{"ok":false,"error":"ratelimited"}"#, &later),
        (403, "<html>blocked</html>", &later),
        (200, "<!doctype html><html>maintenance</html>", &later),
        (302, "", &later),
        (200, "", &Answer::Malformed),
        (200, "{", &Answer::Malformed),
        (200, "[]", &Answer::Malformed),
        (200, "OK", &Answer::Malformed),
        (200, r#"{"access_token":"cut sho"#, &Answer::Malformed),
        (200, r#"{"token_type":"bearer"}"#, &Answer::Malformed),
        (200, r#"{"access_token":""}"#, &Answer::Malformed),
    ] {
        assert_eq!(&read(status, body), expected, "{status} {body}");
    }
}

#[test]
fn wild_successes_become_canonical() {
    let form = "access_token=t&scope=repo%2Cgist&token_type=bearer&expires_in=28800";
    assert_eq!(member(form, "access_token"), "t");
    assert_eq!(member(form, "scope"), "repo gist");
    assert_eq!(member(form, "expires_in"), 28_800);

    for (value, expected) in [
        (r#""a b""#, json!("a b")),
        (r#""a,b""#, json!("a b")),
        (r#"["a","b"]"#, json!("a b")),
        (r#""""#, Value::Null),
        ("[]", Value::Null),
    ] {
        let body = format!(r#"{{"access_token":"t","scope":{value}}}"#);
        assert_eq!(member(&body, "scope"), expected, "{value}");
    }
}

#[test]
fn the_users_own_token_is_chosen_nested_and_at_the_top() {
    let nested = r#"{"ok":true,"access_token":"bot","token_type":"bot","scope":"chat:write",
        "refresh_token":"bots","expires_in":1,"authed_user":{"id":"U1","scope":"search:read",
        "access_token":"users","token_type":"user","refresh_token":"r1","expires_in":43200}}"#;
    let alone = r#"{"ok":true,"authed_user":{"id":"U1","access_token":"users"}}"#;
    let refreshed = r#"{"ok":true,"access_token":"users","token_type":"user",
        "refresh_token":"r1","expires_in":43200,"authed_user":{"id":"U1"}}"#;
    let of_bot = r#"{"ok":true,"access_token":"bot","authed_user":{"id":"U1"}}"#;
    let nesting = Dialect {
        token_path: Some("authed_user".to_owned()),
        ..Dialect::default()
    };
    let plain = member;
    let member = |body: &str, name: &str| member_in(&nesting, body, name);

    for body in [nested, alone, refreshed] {
        assert_eq!(member(body, "access_token"), "users", "{body}");
        assert_eq!(member(body, "token_type"), "bearer", "{body}");
    }
    for body in [nested, refreshed] {
        assert_eq!(member(body, "refresh_token"), "r1", "{body}");
        assert_eq!(member(body, "expires_in"), 43_200, "{body}");
    }
    assert_eq!(member(nested, "scope"), "search:read");
    for name in ["refresh_token", "expires_in", "scope"] {
        assert_eq!(member(alone, name), Value::Null, "{name}");
    }
    assert_eq!(member(of_bot, "access_token"), "bot");
    // Nobody said that anything is nested: nothing is looked for, and nothing guessed.
    assert_eq!(plain(nested, "access_token"), "bot");
    assert_eq!(read(200, alone), Answer::Malformed);
}

#[test]
fn a_dialect_says_what_a_code_means_there() {
    let word = |word: &str, meaning| (word.to_owned(), meaning);
    let dialect = Dialect {
        error_aliases: [
            word("gone", Meaning::Grant),
            word("invalid_request", Meaning::Later),
            word("slow_down", Meaning::Client),
        ]
        .into(),
        ..Dialect::default()
    };
    let read_in = |status, code| read_in(&dialect, status, &json!({ "error": code }).to_string());
    let later = Answer::Transient(None);

    assert_eq!(read_in(404, "gone"), refused("gone"));
    assert_eq!(read(404, r#"{"error":"gone"}"#), later);
    assert_eq!(read_in(400, "invalid_request"), later);
    assert_eq!(read_in(400, "slow_down"), refused("slow_down"));
    assert_eq!(read_in(400, "server_error"), later);
}

#[test]
fn a_lifetime_that_is_known_stands_in_for_one_that_is_not_said() {
    let dialect = Dialect {
        access_lifetime: Some(Duration::from_hours(1)),
        ..Dialect::default()
    };
    let expires = |body: &str| member_in(&dialect, body, "expires_in");

    assert_eq!(expires(r#"{"access_token":"t"}"#), 3600);
    assert_eq!(expires(r#"{"access_token":"t","expires_in":60}"#), 60);
}

#[test]
fn an_error_that_says_nothing_does_not_spoil_a_success() {
    for error in ["null", r#""""#, "false", "0"] {
        let body = format!(r#"{{"access_token":"t","error":{error}}}"#);
        assert_eq!(member(&body, "access_token"), "t", "{error}");
    }
}

#[test]
fn retry_after_is_read_as_seconds_and_as_date() {
    let read = |retry: &'static str, date: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(retry));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        retry_after(&headers)
    };
    let (now, later) = (
        "Sat, 21 Nov 2026 03:00:00 GMT",
        "Sat, 21 Nov 2026 03:02:00 GMT",
    );

    assert_eq!(read("7", None), Some(Duration::from_secs(7)));
    assert_eq!(read(later, Some(now)), Some(Duration::from_mins(2)));
    assert_eq!(read(now, Some(later)), Some(Duration::ZERO));
    assert_eq!(read(later, None), None);
    assert_eq!(read("-7", None), None);
}

proptest! {
    #[test]
    fn any_answer_is_read_without_panic(
        status in 100_u16..=599,
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let (headers, plain) = (HeaderMap::new(), Dialect::default());
        let _ = Answer::read(status, &headers, &body, Timestamp::default(), &plain);
    }

    #[test]
    fn a_token_comes_back_as_it_was_in_json_and_in_a_form(token in "[!-~]{1,60}") {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("access_token", &token)
            .finish();

        prop_assert_eq!(member(&json!({"access_token": token}).to_string(), "access_token"), token.as_str());
        prop_assert_eq!(member(&form, "access_token"), token.as_str());
    }

    #[test]
    fn a_code_is_short_and_plain(text in any::<String>()) {
        if let Some(code) = code(&Value::String(text)) {
            prop_assert!(code.len() <= MAX_CODE && code.is_ascii());
        }
    }
}
