//! Dependencies: one TLS, one cipher library, one version of what types are shared through.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::hold;

/// Other cryptography and system libraries, which one careless feature flag brings in.
const BANNED: [&str; 5] = [
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
];

/// Two of these would not understand each other.
const SINGLE: [&str; 6] = ["hyper", "prost", "reqwest", "ring", "rustls", "tonic"];

fn offences(lock: &str) -> Vec<String> {
    let mut name = "";
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, line) in lock.lines().enumerate() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"');
        } else if let Some(version) = line.strip_prefix("version = ") {
            let version = version.trim_matches('"');
            let place = format!("Cargo.lock:{}: {name} {version}", number + 1);
            found.entry(name).or_default().push(place);
        }
    }
    let banned = BANNED
        .iter()
        .filter_map(|name| found.get(name))
        .flatten()
        .map(|place| format!("{place} is banned: ring is the one cryptography library"));
    let doubled = SINGLE
        .iter()
        .filter_map(|name| found.get(name))
        .filter(|places| places.len() > 1)
        .flatten()
        .map(|place| format!("{place} is one of several versions, where one is allowed"));
    banned.chain(doubled).collect()
}

#[test]
fn one_tls_and_one_version_of_what_is_shared() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock = std::fs::read_to_string(lock).expect("the lock file is there");

    hold(
        "one TLS and one version of what is shared",
        &offences(&lock),
    );
}

#[test]
fn the_law_of_dependencies_sees_what_breaks_it() {
    let lock = "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9\"\n\
        [[package]]\nname = \"ring\"\nversion = \"0.17\"\n\
        [[package]]\nname = \"ring\"\nversion = \"0.16\"\n";

    let offences = offences(lock);

    assert_eq!(offences.len(), 3);
    assert!(offences[0].starts_with("Cargo.lock:3: openssl-sys 0.9 is banned"));
    assert!(offences[1].starts_with("Cargo.lock:6: ring 0.17 is one of several"));
}
