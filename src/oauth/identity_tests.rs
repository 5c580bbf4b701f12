//! Tests of `identity`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::oauth::foreign::bodies;

const ISSUER: &str = "https://as.test";
const CLIENT: &str = "client";
/// In seconds.
const NOW: u32 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::default().after(Duration::from_secs(NOW.into()))
}

fn read(claims: &[u8]) -> Option<Person> {
    let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
    Person::of_token(&IdToken::new(token), &Issuer::new(ISSUER), CLIENT, now())
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": CLIENT, "sub": "7", "exp": NOW + 60, "email": "ann@a.test" })
}

#[test]
fn an_id_token_is_believed_that_is_for_us_and_lives() {
    for (member, value, believed) in [
        ("sub", json!("7"), true),
        ("aud", json!([CLIENT]), true),
        ("aud", json!(["other", CLIENT]), false),
        ("sub", json!(null), false),
        ("sub", json!(""), false),
        ("azp", json!(CLIENT), true),
        ("exp", json!(f64::from(NOW) + 0.5), true),
        // A clock may be behind.
        ("exp", json!(NOW - 200), true),
        ("exp", json!(NOW - 400), false),
        ("exp", json!("soon"), false),
        ("exp", json!(null), false),
        ("exp", json!(-1), false),
        ("iss", json!("https://as.test/"), false),
        ("iss", json!(null), false),
        ("aud", json!("other"), false),
        ("aud", json!([]), false),
        ("aud", json!(null), false),
        ("azp", json!("other"), false),
    ] {
        let mut claims = claims();
        claims[member] = value.clone();

        let read = read(claims.to_string().as_bytes());

        assert_eq!(read.is_some(), believed, "{member} {value}");
    }
}

#[test]
fn of_several_audiences_the_one_meant_is_named() {
    let mut claims = claims();
    claims["aud"] = json!(["other", CLIENT]);
    for (meant, believed) in [(CLIENT, true), ("other", false)] {
        claims["azp"] = json!(meant);

        assert_eq!(
            read(claims.to_string().as_bytes()).is_some(),
            believed,
            "{meant}"
        );
    }
}

#[test]
fn what_is_no_jwt_says_nothing() {
    let (issuer, token) = (Issuer::new(ISSUER), claims().to_string());
    let body = URL_SAFE_NO_PAD.encode(&token);
    for text in [
        &token,
        &body,
        &format!("e30.{body}"),
        &format!("e30.{body}.s.t"),
    ] {
        let token = IdToken::new(text.clone());

        assert!(
            Person::of_token(&token, &issuer, CLIENT, now()).is_none(),
            "{text}"
        );
    }
}

#[test]
fn an_account_is_a_text_or_a_number_and_mail_that_was_not_refuted() {
    let long = "x".repeat(257);
    for (member, value, claim, account) in [
        ("sub", json!("7"), "email", Some("ann@a.test")),
        ("sub", json!("7"), "sub", Some("7")),
        ("id", json!(583_231), "id", Some("583231")),
        ("sub", json!("7"), "login", None),
        ("login", json!(""), "login", None),
        ("login", json!(" "), "login", None),
        ("login", json!("a\nb"), "login", None),
        ("login", json!(long), "login", None),
        ("login", json!(["ann"]), "login", None),
        ("email_verified", json!(true), "email", Some("ann@a.test")),
        ("email_verified", json!("true"), "email", Some("ann@a.test")),
        ("email_verified", json!(false), "email", None),
        ("email_verified", json!("false"), "email", None),
        ("email_verified", json!(0), "email", None),
        // It is about the address alone.
        ("email_verified", json!(false), "sub", Some("7")),
    ] {
        let mut claims = claims();
        claims[member] = value.clone();

        let person = read(claims.to_string().as_bytes()).unwrap();

        assert_eq!(
            person.account(claim).as_deref(),
            account,
            "{member} {value} {claim}"
        );
    }
}

const MEMBERS: &[&str] = &["iss", "aud", "azp", "exp", "sub", "email", "email_verified"];

proptest! {
    #[test]
    fn any_token_is_read_without_panic(
        body in bodies(MEMBERS, &[ISSUER, CLIENT, "true"]),
        text in any::<String>(),
    ) {
        let person = read(&body);
        let account = person.and_then(|person| person.account("email"));
        prop_assert!(account.is_none_or(|account| account.len() <= MAX_ACCOUNT));
        let issuer = Issuer::new(ISSUER);
        let _ = Person::of_token(&IdToken::new(text), &issuer, CLIENT, now());
    }
}
