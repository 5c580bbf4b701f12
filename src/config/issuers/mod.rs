//! The file of trusted issuers that `callers.issuers` names: TOML, a table `[[issuers]]` for each. What is
//! wrong is noted with its line; secrets are in files of their own.

mod reading;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::Mode;
use super::error::Problem;
use super::explain::Row;
use super::file::line;
use super::layers::Origin;
use crate::domain::issuers::{Issuers, TrustedIssuer, Vouched};
use reading::Reading;

/// The setting that names the file.
const KEY: &str = "callers.issuers";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    issuers: Vec<Spanned<Entry>>,
}

/// One issuer as it is written. `docs/callers.md` explains the keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    issuer: String,
    audiences: Vec<String>,
    jwks_uri: Option<String>,
    algorithms: Option<Vec<String>>,
    tenant: Option<String>,
    tenant_claim: Option<String>,
    tenants: Option<BTreeMap<String, String>>,
    user_claim: Option<String>,
    user_prefix: Option<String>,
    groups_claim: Option<String>,
    groups_prefix: Option<String>,
    role: Option<String>,
    role_claim: Option<String>,
    roles: Option<BTreeMap<String, String>>,
    #[serde(default)]
    required_claims: BTreeMap<String, String>,
    clock_skew: Option<String>,
    max_age: Option<String>,
    #[serde(default)]
    shared_users: bool,
    #[serde(default)]
    shared_groups: bool,
    client_id: Option<String>,
    client_secret_file: Option<String>,
    token_endpoint: Option<String>,
    token_endpoint_auth_method: Option<String>,
}

/// Reads the file. What is wrong is noted, and then what is answered is not to be used.
pub(super) fn read(path: Option<&Path>, mode: Mode, problems: &mut Vec<Problem>) -> Issuers {
    let Some(path) = path else {
        return Issuers::default();
    };
    let mut note = |line, message: String| {
        problems.push(Problem {
            key: KEY.to_owned(),
            origin: Some(Origin::File(path.to_owned(), line)),
            message,
        });
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            note(1, format!("cannot be read: {error}"));
            return Issuers::default();
        }
    };
    let file: File = match toml::from_str(&text) {
        Ok(file) => file,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            note(line(&text, at), error.message().to_owned());
            return Issuers::default();
        }
    };
    if file.issuers.is_empty() {
        note(
            1,
            "names no issuer: a table `[[issuers]]` for each".to_owned(),
        );
    }
    let mut read: Vec<(usize, TrustedIssuer)> = Vec::new();
    for entry in file.issuers {
        let at = line(&text, entry.span().start);
        let mut reading = Reading {
            mode,
            wrong: Vec::new(),
        };
        let issuer = reading.issuer(entry.into_inner());
        for wrong in reading.wrong {
            note(at, wrong);
        }
        for (other_at, other) in &read {
            if other.issuer == issuer.issuer {
                note(at, format!("is the issuer of line {other_at} once more"));
                continue;
            }
            for vouched in other.clashes_with(&issuer) {
                let (things, prefix) = match vouched {
                    Vouched::User => ("users", "user_prefix"),
                    Vouched::Group => ("groups", "groups_prefix"),
                };
                note(
                    at,
                    format!(
                        "could name the {things} that the issuer of line {other_at} names, in the same \
                         tenant: give each a `{prefix}` of its own, or say `shared_{things} = true` of both"
                    ),
                );
            }
        }
        read.push((at, issuer));
    }
    Issuers::new(read.into_iter().map(|(_, issuer)| issuer).collect())
}

/// Shows who is in the file beside its name.
pub(super) fn explain(rows: &mut [Row], issuers: &Issuers) {
    let names: Vec<&str> = issuers.iter().map(|one| one.issuer.as_str()).collect();
    let row = rows.iter_mut().find(|row| row.key == KEY);
    if let Some(path) = row.and_then(|row| row.value.as_mut()) {
        *path = format!("{path}: {}", names.join(", "));
    }
}
