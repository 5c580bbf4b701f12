//! Which key verifies what, and which never does.

use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

use super::*;
use crate::crypto::SigningKey;
use crate::domain::secrets::PrivateKey;

const ES256: &str = include_str!("../../tests/it/harness/keys/es256.pem");
const RS256: &str = include_str!("../../tests/it/harness/keys/rs256.pem");
const EDDSA: &str = include_str!("../../tests/it/harness/keys/eddsa.pem");
const ES256_PUBLIC: &str = include_str!("../../tests/it/harness/keys/es256.pub.pem");
const RS256_PUBLIC: &str = include_str!("../../tests/it/harness/keys/rs256.pub.pem");
const EDDSA_PUBLIC: &str = include_str!("../../tests/it/harness/keys/eddsa.pub.pem");

/// The end of what openssl writes for a public key.
fn public(pem: &str, length: usize) -> Vec<u8> {
    use rustls::pki_types::SubjectPublicKeyInfoDer;
    use rustls::pki_types::pem::PemObject as _;
    let info = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap();
    info[info.len() - length..].to_vec()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn es256(id: &str) -> Value {
    let point = public(ES256_PUBLIC, 64);
    json!({
        "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256",
        "x": b64(&point[..32]), "y": b64(&point[32..]),
    })
}

fn rs256(id: &str) -> Value {
    // DER: the modulus with its sign, then the exponent.
    let key = public(RS256_PUBLIC, 270);
    json!({ "kty": "RSA", "kid": id, "n": b64(&key[8..265]), "e": b64(&key[267..]) })
}

fn eddsa(id: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": b64(public(EDDSA_PUBLIC, 32)) })
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn unsigned(header: &Value) -> String {
    format!("{}.{}", b64(header.to_string()), b64(r#"{"sub":"ann"}"#))
}

/// A token with this header, signed with this key.
fn signed(pem: &str, header: &Value) -> String {
    let key = SigningKey::from_pem(&PrivateKey::new(pem.to_owned())).unwrap();
    let message = unsigned(header);
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", b64(signature))
}

fn verifies(keys: &KeySet, token: &str) -> bool {
    Jws::parse(token).is_some_and(|token| keys.verify(&token))
}

#[test]
fn each_kind_of_key_verifies_what_it_signed() {
    let all = set(&[es256("e"), rs256("r"), eddsa("d")]);
    for (pem, alg, kid) in [
        (ES256, "ES256", "e"),
        (RS256, "RS256", "r"),
        (EDDSA, "EdDSA", "d"),
    ] {
        let token = signed(pem, &json!({ "alg": alg, "kid": kid }));
        let (_, signature) = token.rsplit_once('.').unwrap();
        let other = unsigned(&json!({ "alg": alg, "kid": kid, "typ": "JWT" }));
        let tampered = format!("{other}.{signature}");
        assert!(Jws::parse(&tampered).is_some(), "{alg}");

        assert!(verifies(&all, &token), "{alg}");
        assert!(
            verifies(&all, &signed(pem, &json!({ "alg": alg }))),
            "{alg}"
        );
        assert!(!verifies(&all, &tampered), "{alg}");
        let other = signed(pem, &json!({ "alg": alg, "kid": "none" }));
        assert!(!verifies(&all, &other), "{alg}");
        assert!(!all.knows(&Jws::parse(&other).unwrap()), "{alg}");
    }
}

#[test]
fn a_key_is_believed_only_for_its_own_kind_of_signature() {
    let all = set(&[es256("e"), rs256("r"), eddsa("d")]);

    for alg in ["ES256", "ES384", "PS256", "RS512", "EdDSA"] {
        assert!(
            !verifies(&all, &signed(RS256, &json!({ "alg": alg, "kid": "r" }))),
            "{alg}"
        );
    }
    // The public key as the secret of an HMAC, and no signature at all.
    for secret in [RS256_PUBLIC.as_bytes(), &public(RS256_PUBLIC, 270)] {
        let message = unsigned(&json!({ "alg": "HS256", "kid": "r" }));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret),
            message.as_bytes(),
        );
        assert!(!verifies(&all, &format!("{message}.{}", b64(tag))));
    }
    let none = unsigned(&json!({ "alg": "none", "kid": "r" }));
    assert!(!verifies(&all, &format!("{none}.")));
}

#[test]
fn without_a_name_only_one_key_can_be_meant() {
    let token = signed(ES256, &json!({ "alg": "ES256" }));

    assert!(verifies(&set(&[es256("one"), rs256("r")]), &token));
    assert!(!verifies(&set(&[es256("one"), es256("two")]), &token));
    let named = signed(ES256, &json!({ "alg": "ES256", "kid": "two" }));
    assert!(verifies(&set(&[es256("one"), es256("two")]), &named));
}

#[test]
fn keys_that_are_for_something_else_are_left_out() {
    let token = signed(RS256, &json!({ "alg": "RS256", "kid": "r" }));
    let with = |name: &str, value: Value| {
        let mut key = rs256("r");
        key[name] = value;
        verifies(&set(&[key]), &token)
    };

    assert!(with("key_ops", json!(["verify"])));
    assert!(with("alg", json!("RS256")));
    assert!(!with("use", json!("enc")));
    assert!(!with("key_ops", json!(["encrypt"])));
    assert!(!with("alg", json!("PS256")));
    assert!(!with("alg", json!("RSA-OAEP")));
    assert!(!with("kty", json!("oct")));
    assert!(!with("n", json!("AQAB")));
    assert!(!with("n", json!("")));
    assert!(!with("e", json!(7)));
}

#[test]
fn what_is_no_set_of_keys_is_told_so() {
    let parse = |text: &str| KeySet::parse(text.as_bytes()).map(|keys| keys.0.len());
    let many = json!({ "keys": vec![json!({}); 101] }).to_string();

    assert_eq!(parse("<html>"), Err(UnusableKeys::NoSet));
    assert_eq!(parse("{}"), Err(UnusableKeys::NoSet));
    assert_eq!(parse(r#"{"keys":7}"#), Err(UnusableKeys::NoSet));
    assert_eq!(parse(&many), Err(UnusableKeys::TooMany));
    assert_eq!(parse(r#"{"keys":[1,{},{"kty":"RSA"}]}"#), Ok(0));
}

proptest! {
    #[test]
    fn any_document_is_read_without_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        kty in "RSA|EC|OKP",
        crv in "P-256|P-384|Ed25519",
        text in "[A-Za-z0-9_-]{0,90}",
    ) {
        let _ = KeySet::parse(&body);
        let key = json!({
            "kty": kty, "crv": crv, "n": text, "e": text, "x": text, "y": text,
        });
        let keys = set(&[key]);
        for algorithm in Algorithm::ALL {
            let token = format!("{}.{}", unsigned(&json!({ "alg": algorithm.as_str() })), text);
            prop_assert!(!verifies(&keys, &token));
        }
    }
}
