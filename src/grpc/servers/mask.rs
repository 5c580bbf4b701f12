//! Update masks (AIP-134): which fields of a server an update takes.
//!
//! Applied to the proto form: what is stored is written as a caller would write it, the fields
//! named by the mask are taken over, and the whole is read again under the rules of a creation.

use std::mem;

use crate::domain::text::Violations;
use crate::pb::v1::Server;
use crate::pb::v1::server::Auth;

/// A field of a server that may be updated.
struct Field {
    path: &'static str,
    /// Whether the update has a value for it.
    populated: fn(&Server) -> bool,
    take: fn(&mut Server, &Server),
}

/// A field of one kind of authorisation.
struct AuthField {
    path: &'static str,
    take: fn(&mut Server, &Server) -> Taken,
}

/// What became of a field of an authorisation.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    /// The server has another kind.
    OtherKindStored,
    /// The update has another kind.
    OtherKindGiven,
}

fn is_populated<T: Default + PartialEq>(value: &T) -> bool {
    *value != T::default()
}

macro_rules! fields {
    ($($field:ident)+) => {
        &[$(Field {
            path: stringify!($field),
            populated: |server| is_populated(&server.$field),
            take: |to, from| to.$field.clone_from(&from.$field),
        },)+]
    };
}

/// Every field but those of the authorisation.
const FIELDS: &[Field] = fields! {
    slug display_name description icon_url url transport owner managed_by
    enabled availability allow_in_plan_mode allow_in_subagents model_intent
    forward_identity_headers tool_allow_list tool_deny_list allowed_users allowed_groups
    auth signing_secret identity_forwarding account_binding
};

/// The binding of accounts, whole.
const BINDING: &str = "account_binding";

macro_rules! inner_fields {
    ($($message:ident.$field:ident)+) => {
        &[$(Field {
            path: concat!(stringify!($message), ".", stringify!($field)),
            populated: |_| false,
            take: |to, from| {
                let given = from.$message.clone().unwrap_or_default();
                to.$message.get_or_insert_default().$field = given.$field;
            },
        },)+]
    };
}

/// The fields of messages within a server, for a mask that names them.
const INNER_FIELDS: &[Field] = inner_fields! {
    account_binding.policy account_binding.upstream_claim account_binding.user_claim
    identity_forwarding.preset identity_forwarding.owner_header identity_forwarding.chat_header
    identity_forwarding.subchat_header identity_forwarding.workspace_header
    identity_forwarding.signed_token identity_forwarding.signed_token_header
};

macro_rules! auth_fields {
    ($($kind:ident $name:literal { $($field:ident)* })+) => {
        &[$(
            AuthField {
                path: $name,
                take: |to, from| match &from.auth {
                    Some(Auth::$kind(_)) => {
                        to.auth.clone_from(&from.auth);
                        Taken::Yes
                    }
                    _ => Taken::OtherKindGiven,
                },
            },
            $(AuthField {
                path: concat!($name, ".", stringify!($field)),
                take: |to, from| match (&mut to.auth, &from.auth) {
                    (Some(Auth::$kind(to)), Some(Auth::$kind(from))) => {
                        to.$field.clone_from(&from.$field);
                        Taken::Yes
                    }
                    (Some(Auth::$kind(to)), None) => {
                        to.$field = Default::default();
                        Taken::Yes
                    }
                    (Some(Auth::$kind(_)), Some(_)) => Taken::OtherKindGiven,
                    _ => Taken::OtherKindStored,
                },
            },)*
        )+]
    };
}

/// Every kind of authorisation, whole, and its fields.
const AUTH_FIELDS: &[AuthField] = auth_fields! {
    None "none" {}
    Oauth2 "oauth2" {
        client_id client_secret authorization_endpoint token_endpoint preregistered
        token_endpoint_auth_method private_key private_key_id scopes revocation_endpoint issuer
        extra_authorize_params redirect explicit_redirect_uri provider_profile issuer_change
        overrides dpop device_authorization_endpoint trusted_metadata_origins
    }
    ApiKey "api_key" { header value per_user description }
    CustomHeaders "custom_headers" { headers user_headers }
    UserOidc "user_oidc" { token_kind exchange issuer }
    ClientCredentials "client_credentials" {
        client_id client_secret private_key private_key_id signing_algorithm
        token_endpoint_auth_method token_endpoint issuer scopes provider_profile overrides
    }
    Enterprise "enterprise" {
        client_id client_secret token_endpoint_auth_method issuer idp_issuer idp_token_endpoint
        idp_client_id idp_client_secret idp_token_endpoint_auth_method scopes
    }
    Workload "workload" { client_id issuer scopes assertion identity_source }
};

/// Offences of the mask itself, which need no stored server to be seen.
pub(super) fn check(paths: Option<&[String]>) -> Violations {
    let mut found = Violations::new();
    for path in paths.unwrap_or_default() {
        let known = path == "*"
            || FIELDS
                .iter()
                .chain(INNER_FIELDS)
                .any(|field| field.path == path)
            || AUTH_FIELDS.iter().any(|field| field.path == path);
        if !known {
            // Unknown paths are quoted in a form that no path can break out of.
            found.add(
                "update_mask",
                format!("{path:?} is not a field that can be updated"),
            );
        }
    }
    found
}

/// Takes the fields named over from `from` to `to`: `None` names those that are populated, `*` all.
/// Secrets that are absent stay.
pub(super) fn apply(
    to: &mut Server,
    from: &Server,
    paths: Option<&[String]>,
) -> Result<(), Violations> {
    let mut found = check(paths);
    let kind = |server: &Server| server.auth.as_ref().map(mem::discriminant);
    let before = kind(to);
    match paths {
        None => take(FIELDS, (to, from), |field| (field.populated)(from)),
        Some(paths) if paths.iter().any(|path| path == "*") => take(FIELDS, (to, from), |_| true),
        Some(paths) => {
            let named = |field: &Field| paths.iter().any(|path| path == field.path);
            take(FIELDS.iter().chain(INNER_FIELDS), (to, from), named);
            for field in AUTH_FIELDS
                .iter()
                .filter(|f| paths.iter().any(|path| path == f.path))
            {
                let why = match (field.take)(to, from) {
                    Taken::Yes => continue,
                    Taken::OtherKindStored => "the server has another kind of authorisation",
                    Taken::OtherKindGiven => "the update has another kind of authorisation",
                };
                found.add("update_mask", format!("{}: {why}", field.path));
            }
        }
    }
    // Whose accounts users may connect belongs to how they connect.
    let named = |paths: &[String]| paths.iter().any(|path| path == "*" || path == BINDING);
    let said = paths.map_or(from.account_binding.is_some(), named);
    if kind(to) != before && !said {
        to.account_binding = None;
    }
    found.or(())
}

/// The paths of the fields in which two servers without secrets differ: single fields of an authorization
/// of the same kind, or `auth`.
pub(super) fn differing(before: &Server, after: &Server) -> Vec<String> {
    let kind = |server: &Server| server.auth.as_ref().map(mem::discriminant);
    let same_kind = kind(before) == kind(after);
    let of_kind = |field: &&AuthField| same_kind && field.path.contains('.');
    let mut paths = Vec::new();
    for field in FIELDS
        .iter()
        .filter(|field| !same_kind || field.path != "auth")
    {
        let mut with = before.clone();
        (field.take)(&mut with, after);
        if with != *before {
            paths.push(field.path.to_owned());
        }
    }
    for field in AUTH_FIELDS.iter().filter(of_kind) {
        let mut with = before.clone();
        if (field.take)(&mut with, after) == Taken::Yes && with != *before {
            paths.push(field.path.to_owned());
        }
    }
    paths
}

fn take<'f>(
    fields: impl IntoIterator<Item = &'f Field>,
    (to, from): (&mut Server, &Server),
    wanted: impl Fn(&Field) -> bool,
) {
    for field in fields.into_iter().filter(|field| wanted(field)) {
        (field.take)(to, from);
    }
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
