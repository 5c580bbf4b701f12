//! Bodies as strangers may send them, for tests of what reads them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What an answer says of a client that was registered (RFC 7591, section 3.2.1; RFC 7592, section 3).
pub(super) const CLIENT: &[&str] = &[
    "client_id",
    "client_secret",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
    "token_endpoint_auth_method",
];

/// Anything at all, or an object with some of these members, each of any kind and often one of these
/// words.
pub(super) fn bodies(
    members: &'static [&'static str],
    words: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        4 => proptest::sample::select(words).prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => proptest::sample::select(vec![Value::Null, json!([]), json!({}), json!(" ")]),
    ];
    let member = (proptest::sample::select(members), value);
    let object = proptest::collection::vec(member, 0..=members.len()).prop_map(|held| {
        let held = held
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Value::Object(held.collect::<Map<_, _>>())
            .to_string()
            .into_bytes()
    });
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        4 => object,
    ]
}
