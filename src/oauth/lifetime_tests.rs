//! Tests of [`super`]: what answers say about time, and what is made of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2026-11-21T03:00:00Z.
const NOW: i64 = 1_795_230_000;

/// An answer by a server without `Date`, at a time when our clock is right.
fn given() -> Given {
    Given {
        date: None,
        ours: Timestamp::from_secs(NOW),
    }
}

fn seconds(of: Option<Duration>) -> Option<u64> {
    of.map(|lifetime| lifetime.as_secs())
}

fn access_at(given: Given, members: &Value) -> Option<u64> {
    seconds(access(members.as_object().unwrap(), given))
}

fn access_of(members: &Value) -> Option<u64> {
    access_at(given(), members)
}

fn refresh_of(members: &Value) -> Option<u64> {
    seconds(refresh(members.as_object().unwrap(), given()))
}

/// An unsigned JWT with these claims.
fn jwt(claims: &Value) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn without_any_word_on_it_the_lifetime_is_unknown() {
    for members in [
        json!({"access_token": "opaque"}),
        json!({"access_token": "three.parts.only"}),
        json!({"access_token": jwt(&json!({"sub": "x"}))}),
        json!({"access_token": "a", "expires_in": null}),
        json!({"access_token": "a", "expires_in": "soon"}),
        json!({"access_token": "a", "expires_in": 0}),
        json!({"access_token": "a", "expires_in": -1}),
        json!({"access_token": "a", "expires_at": "tomorrow"}),
    ] {
        assert_eq!(access_of(&members), None, "{members}");
    }
}

#[test]
fn expires_in_is_in_seconds_up_to_a_century() {
    for (said, expected) in [
        (json!(3600), 3600),
        (json!("3600"), 3600),
        (json!(3599.9), 3599),
        (json!(28_800), 28_800),
        (json!(3_600_000), 3_600_000),
        (json!(315_360_000), 315_360_000),
        (json!(3_153_600_000_u64), 3_153_600_000),
    ] {
        assert_eq!(
            access_of(&json!({"access_token": "a", "expires_in": said})),
            Some(expected)
        );
    }
}

#[test]
fn expires_in_is_in_milliseconds_where_seconds_make_no_sense() {
    for (said, expected) in [
        (json!(7_776_000_000_u64), Some(7_776_000)),
        (json!(31_536_000_000_u64), Some(31_536_000)),
        (json!(u32::MAX), None),
        (json!(i64::MAX), None),
        (json!(1e300), None),
        (json!("inf"), None),
    ] {
        assert_eq!(
            access_of(&json!({"access_token": "a", "expires_in": said})),
            expected,
            "{said}"
        );
    }
}

#[test]
fn expires_in_is_in_milliseconds_where_the_rest_of_the_answer_says_so() {
    let token = jwt(&json!({"iat": NOW, "exp": NOW + 3600}));

    for members in [
        json!({"access_token": token, "expires_in": 3_600_000}),
        json!({"access_token": "a", "expires_in": "3599999", "expires_at": NOW + 3600}),
    ] {
        let lifetime = access_of(&members).unwrap();

        assert!((3599..=3600).contains(&lifetime), "{members}: {lifetime}");
    }
    // A witness of something else changes nothing.
    let members = json!({"access_token": token, "expires_in": 7200});
    assert_eq!(access_of(&members), Some(7200));
}

#[test]
fn a_point_of_time_is_read_as_seconds_as_milliseconds_and_as_text() {
    let end = NOW + 3600;

    for said in [
        json!(end),
        json!(end.to_string()),
        json!(end * 1000),
        json!((end * 1000).to_string()),
        json!("2026-11-21T04:00:00Z"),
        json!("2026-11-21t04:00:00.123z"),
        json!("2026-11-21 04:00:00"),
        json!("2026-11-21T04:00Z"),
        json!("2026-11-21T06:00:00+02:00"),
        json!("2026-11-20T22:30:00-0530"),
        json!("2026-11-21 03:00:00 -01"),
        json!("Sat, 21 Nov 2026 04:00:00 GMT"),
    ] {
        for name in ["expires_at", "expires_on", "expiry"] {
            assert_eq!(
                access_of(&json!({"access_token": "a", name: said})),
                Some(3600),
                "{name} {said}"
            );
        }
    }
}

#[test]
fn a_point_of_time_that_is_over_or_absurd_says_nothing() {
    for said in [
        json!(NOW),
        json!(NOW - 1),
        json!(3600),
        json!(9e15),
        json!("2026-13-21T04:00:00Z"),
        json!("2026-11-21T24:00:00Z"),
        json!("2026-11-21T04:00:00 o'clock"),
        json!("2026-11-21"),
        json!("9999-12-31T23:59:59Z"),
        json!(""),
    ] {
        assert_eq!(
            access_of(&json!({"access_token": "a", "expires_at": said})),
            None,
            "{said}"
        );
    }
}

#[test]
fn expires_in_comes_before_points_of_time_and_these_before_the_token_itself() {
    let token = jwt(&json!({"iat": NOW, "exp": NOW + 30}));

    let all = json!({"access_token": token, "expires_at": NOW + 20, "expires_in": 10});
    let two = json!({"access_token": token, "expires_at": NOW + 20});
    let one = json!({"access_token": token});

    assert_eq!(access_of(&all), Some(10));
    assert_eq!(access_of(&two), Some(20));
    assert_eq!(access_of(&one), Some(30));
}

#[test]
fn a_jwt_says_its_own_end() {
    for (claims, expected) in [
        (json!({"exp": NOW + 3600}), Some(3600)),
        // Its own clock is five minutes ahead of ours.
        (json!({"iat": NOW + 300, "exp": NOW + 3900}), Some(3600)),
        (json!({"iat": NOW, "exp": NOW + 3600 }), Some(3600)),
        (json!({"exp": 1_795_233_600.5}), Some(3600)),
        (json!({"exp": NOW - 1}), None),
        (json!({"exp": 1}), None),
        (json!({"exp": 1e13}), None),
        (json!({"exp": "never"}), None),
    ] {
        assert_eq!(
            access_of(&json!({"access_token": jwt(&claims)})),
            expected,
            "{claims}"
        );
    }
}

#[test]
fn our_clock_does_not_matter_when_the_answer_is_dated() {
    let mut headers = HeaderMap::new();
    let date = HeaderValue::from_static("Sat, 21 Nov 2026 03:00:00 GMT");
    headers.insert(DATE, date);
    let point = json!({"access_token": "a", "expires_at": NOW + 60});
    let token = json!({"access_token": jwt(&json!({"exp": NOW + 60}))});
    // Made an hour before it was given out.
    let used = json!({"access_token": jwt(&json!({"iat": NOW - 3600, "exp": NOW + 60}))});

    for ours in [NOW - 300, NOW, NOW + 300] {
        let given = Given::read(&headers, Timestamp::from_secs(ours));

        assert_eq!(access_at(given, &point), Some(60));
        assert_eq!(access_at(given, &token), Some(60));
        assert_eq!(access_at(given, &used), Some(60));
    }
}

#[test]
fn the_refresh_tokens_lifetime_is_read_under_every_name() {
    for (members, expected) in [
        (
            json!({"refresh_token_expires_in": 15_897_600}),
            Some(15_897_600),
        ),
        (
            json!({"refresh_token_expires_in": "15897600"}),
            Some(15_897_600),
        ),
        (json!({"refresh_expires_in": 1800}), Some(1800)),
        (
            json!({"x_refresh_token_expires_in": 8_726_400}),
            Some(8_726_400),
        ),
        (json!({"refresh_token_expires_at": NOW + 1800}), Some(1800)),
        (
            json!({"refresh_token_expires_at": "2026-11-21T03:30:00Z"}),
            Some(1800),
        ),
        // Keycloak: without end.
        (json!({"refresh_expires_in": 0}), None),
        (json!({"refresh_token_expires_in": null}), None),
        (json!({"expires_in": 3600}), None),
    ] {
        assert_eq!(refresh_of(&members), expected, "{members}");
    }
}

#[test]
fn days_are_counted_like_the_calendar_does() {
    for (date, expected) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T00:00:00Z", 951_782_400),
        ("2000-03-01T00:00:00Z", 951_868_800),
        ("2024-12-31T23:59:59Z", 1_735_689_599),
        ("2026-11-21T03:00:00Z", NOW),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
    ] {
        assert_eq!(
            iso_date(date),
            Some(Timestamp::from_secs(expected)),
            "{date}"
        );
    }
}

proptest! {
    #[test]
    fn whatever_is_said_a_lifetime_is_between_a_second_and_a_century(
        number in any::<f64>(),
        text in any::<String>(),
        token in "[A-Za-z0-9_-]{0,9}\\.[A-Za-z0-9_-]{0,40}\\.[a-z]{0,3}",
    ) {
        for members in [
            json!({"access_token": token, "expires_in": number, "expires_at": text}),
            json!({"access_token": token, "expires_in": text, "expires_at": number}),
        ] {
            if let Some(lifetime) = access_of(&members) {
                prop_assert!((1..=LONGEST_SECONDS).contains(&lifetime), "{members}: {lifetime}");
            }
        }
    }
}
