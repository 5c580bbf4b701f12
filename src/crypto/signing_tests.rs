//! Keys of each kind sign, and no other text is taken for one or repeated.

use proptest::prelude::*;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::*;

const ES256: &str = include_str!("../../tests/it/harness/keys/es256.pem");
const RS256: &str = include_str!("../../tests/it/harness/keys/rs256.pem");
const EDDSA: &str = include_str!("../../tests/it/harness/keys/eddsa.pem");

const MESSAGE: &[u8] = b"header.claims";

fn read(pem: &str) -> Result<SigningKey, UnusableKey> {
    SigningKey::from_pem(&PrivateKey::new(pem.to_owned()))
}

/// The key's public half, and what verifies by it.
fn public(key: &SigningKey) -> (&'static dyn VerificationAlgorithm, Vec<u8>) {
    match &key.0 {
        Kind::Es256(key) => (&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref().to_vec()),
        Kind::Rs256(key) => (
            &RSA_PKCS1_2048_8192_SHA256,
            key.public_key().as_ref().to_vec(),
        ),
        Kind::EdDsa(key) => (&ED25519, key.public_key().as_ref().to_vec()),
    }
}

#[test]
fn each_kind_of_key_signs_by_its_algorithm() {
    for (pem, algorithm, length) in [
        (ES256, SigningAlgorithm::Es256, 64),
        (RS256, SigningAlgorithm::Rs256, 256),
        (EDDSA, SigningAlgorithm::EdDsa, 64),
    ] {
        let key = read(pem).unwrap();

        let signature = key.sign(MESSAGE).unwrap();

        assert_eq!((key.algorithm(), signature.len()), (algorithm, length));
        let (by, half) = public(&key);
        let half = UnparsedPublicKey::new(by, half);
        assert!(half.verify(MESSAGE, &signature).is_ok(), "{algorithm:?}");
        assert!(half.verify(b"header.other", &signature).is_err());
    }
}

#[test]
fn line_breaks_of_other_systems_and_text_before_a_key_do_not_matter() {
    let foreign = format!(
        "Key Attributes: none\r\n{}",
        ES256.trim_end().replace('\n', "\r\n")
    );

    assert_eq!(read(&foreign).unwrap().algorithm(), SigningAlgorithm::Es256);
}

#[test]
fn a_key_that_cannot_sign_is_refused_for_its_reason() {
    let cut = ES256.replacen('A', "!", 1);
    let (head, _) = ES256.rsplit_once("-----END").unwrap();
    for (pem, why) in [
        (
            include_str!("../../tests/it/harness/keys/refused/p384.pem"),
            UnusableKey::Kind,
        ),
        (
            include_str!("../../tests/it/harness/keys/refused/rsa2047.pem"),
            UnusableKey::Kind,
        ),
        (
            include_str!("../../tests/it/harness/keys/refused/pkcs1.pem"),
            UnusableKey::NotPkcs8,
        ),
        (
            include_str!("../../tests/it/harness/keys/refused/sec1.pem"),
            UnusableKey::NotPkcs8,
        ),
        (
            include_str!("../../tests/it/harness/keys/es256.pub.pem"),
            UnusableKey::NotPkcs8,
        ),
        (
            include_str!("../../tests/it/harness/keys/refused/encrypted.pem"),
            UnusableKey::Encrypted,
        ),
        (&format!("{ES256}{EDDSA}"), UnusableKey::Several),
        (&ES256.replace('\n', " "), UnusableKey::NotPem),
        (&cut, UnusableKey::NotPem),
        (head, UnusableKey::NotPem),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            UnusableKey::Kind,
        ),
        ("hush", UnusableKey::NotPem),
        ("", UnusableKey::NotPem),
    ] {
        assert_eq!(read(pem).err(), Some(why), "{pem}");
    }
}

#[test]
fn debug_shows_nothing_of_a_key() {
    let shown = format!("{:?}", read(ES256).unwrap());

    assert_eq!(shown, "SigningKey(ES256, redacted)");
}

/// Whether a message repeats eight signs of a text in a row.
fn repeats(message: &str, text: &str) -> bool {
    let signs: Vec<char> = text.chars().collect();
    let said = "-----BEGIN PRIVATE KEY-----";
    signs.windows(8).any(|window| {
        let window: String = window.iter().collect();
        message.contains(&window) && !said.contains(&window)
    })
}

fn garbage() -> impl Strategy<Value = String> {
    let label = "[A-Z ]{0,24}";
    let between = "[-A-Za-z0-9+/=\n\r é]{0,200}";
    let framed = (label, between, label).prop_map(|(begin, between, end)| {
        format!("-----BEGIN {begin}-----\n{between}\n-----END {end}-----\n")
    });
    let named = between.prop_map(|between| {
        format!("-----BEGIN PRIVATE KEY-----\n{between}\n-----END PRIVATE KEY-----")
    });
    let damaged = (
        0..ES256.len(),
        any::<char>(),
        prop::sample::select(vec![ES256, RS256, EDDSA]),
    )
        .prop_map(|(at, sign, pem)| {
            let at = at % pem.len();
            format!("{}{sign}{}", &pem[..at], &pem[at + 1..])
        });
    prop_oneof![any::<String>(), framed, named, damaged]
}

proptest! {
    #[test]
    fn no_garbage_panics_and_no_refusal_repeats_it(pem in garbage()) {
        if let Err(why) = read(&pem) {
            let told = format!("{why} {why:?}");
            prop_assert!(!repeats(&told, &pem), "{}", told);
        }
    }
}
