//! What a mask takes over, and which paths it may name.

use super::*;
use crate::pb::v1 as pb;

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

fn oauth2(client_id: &str, scopes: &[&str]) -> Auth {
    let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
    Auth::Oauth2(pb::OAuth2Auth {
        client_id: client_id.to_owned(),
        scopes,
        ..pb::OAuth2Auth::default()
    })
}

fn stored() -> Server {
    Server {
        display_name: "Old".to_owned(),
        enabled: true,
        tool_deny_list: vec!["rm".to_owned()],
        auth: Some(oauth2("old", &["a"])),
        ..Server::default()
    }
}

#[test]
fn only_the_fields_named_are_taken_and_a_list_is_replaced() {
    let mut to = stored();
    let from = Server {
        display_name: "New".to_owned(),
        ..Server::default()
    };

    let mask = paths(&["enabled", "tool_deny_list"]);
    apply(&mut to, &from, Some(&mask)).unwrap();

    assert_eq!(to.display_name, "Old");
    assert!(!to.enabled);
    assert!(to.tool_deny_list.is_empty());
    assert_eq!(to.auth, stored().auth);
}

#[test]
fn without_a_mask_what_is_populated_is_taken() {
    let mut to = stored();
    let from = Server {
        display_name: "New".to_owned(),
        ..Server::default()
    };

    apply(&mut to, &from, None).unwrap();

    assert_eq!(
        to,
        Server {
            display_name: "New".to_owned(),
            ..stored()
        }
    );
}

#[test]
fn a_star_takes_everything() {
    let mut to = stored();
    let from = Server {
        display_name: "New".to_owned(),
        ..Server::default()
    };

    apply(&mut to, &from, Some(&paths(&["*"]))).unwrap();

    assert_eq!(to, from);
}

#[test]
fn a_sub_path_leaves_the_rest_of_the_authorisation() {
    let mut to = stored();
    let from = Server {
        auth: Some(oauth2("new", &["b", "c"])),
        ..Server::default()
    };

    apply(&mut to, &from, Some(&paths(&["oauth2.scopes"]))).unwrap();

    assert_eq!(to.auth, Some(oauth2("old", &["b", "c"])));
}

#[test]
fn an_authorisation_is_replaced_whole_whatever_its_kind() {
    for path in ["auth", "api_key"] {
        let mut to = stored();
        let auth = Some(Auth::ApiKey(pb::ApiKeyAuth::default()));
        let from = Server {
            auth: auth.clone(),
            ..Server::default()
        };

        apply(&mut to, &from, Some(&paths(&[path]))).unwrap();

        assert_eq!(to.auth, auth, "{path}");
    }
}

#[test]
fn a_sub_path_of_another_kind_is_refused() {
    let from = Server {
        auth: Some(oauth2("new", &[])),
        ..Server::default()
    };
    let of_stored = apply(
        &mut stored(),
        &Server::default(),
        Some(&paths(&["api_key.value"])),
    );
    let of_given = apply(&mut stored(), &from, Some(&paths(&["workload"])));

    for refused in [of_stored, of_given] {
        let found = refused.unwrap_err().into_vec();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].field, "update_mask");
    }
}

#[test]
fn unknown_and_output_only_paths_are_all_named() {
    let mask = paths(&[
        "slug",
        "nope",
        "id",
        "etag",
        "has_api_key",
        "oauth2.discovered",
    ]);

    let found = check(Some(&mask)).into_vec();

    assert_eq!(found.len(), 5);
    assert!(
        found
            .iter()
            .all(|violation| violation.field == "update_mask")
    );
}

/// The table has every field of the messages that is not output only, and no other.
#[test]
fn the_table_has_every_field_that_may_be_updated() {
    let pool = prost_reflect::DescriptorPool::decode(crate::pb::DESCRIPTORS).unwrap();
    let server = pool.get_message_by_name("stationmaster.v1.Server").unwrap();
    let auth = server
        .oneofs()
        .find(|oneof| oneof.name() == "auth")
        .unwrap();
    let mut known: Vec<String> = paths(&["auth"]);
    for field in server
        .fields()
        .filter(|field| (3..40).contains(&field.number()))
    {
        known.push(field.name().to_owned());
    }
    for kind in auth.fields() {
        let message = kind.kind().as_message().unwrap().clone();
        for field in message
            .fields()
            .filter(|field| field.name() != "discovered")
        {
            known.push(format!("{}.{}", kind.name(), field.name()));
        }
    }

    let fields = FIELDS.iter().map(|field| field.path);
    let table = fields.chain(AUTH_FIELDS.iter().map(|field| field.path));

    let mut table: Vec<&str> = table.collect();
    table.sort_unstable();
    known.sort_unstable();
    assert_eq!(table, known);
}

#[test]
fn whose_accounts_are_taken_goes_with_the_kind_of_authorisation() {
    let binding = |policy: pb::AccountPolicy| {
        Some(pb::AccountBinding {
            policy: policy.into(),
            ..pb::AccountBinding::default()
        })
    };
    let held = binding(pb::AccountPolicy::Refuse);
    let warned = binding(pb::AccountPolicy::Warn);
    let none = Some(Auth::None(pb::NoAuth {}));
    for (auth, given, mask, left) in [
        (stored().auth, None, &["auth"][..], held.clone()),
        (none.clone(), None, &["auth"], None),
        // What was read before and is sent back is not taken over.
        (none.clone(), held.clone(), &["auth"], None),
        (none, warned.clone(), &["auth", "account_binding"], warned),
        (None, None, &["account_binding"], None),
    ] {
        let mut to = Server {
            account_binding: held.clone(),
            ..stored()
        };
        let from = Server {
            auth,
            account_binding: given,
            ..Server::default()
        };

        apply(&mut to, &from, Some(&paths(mask))).unwrap();

        assert_eq!(to.account_binding, left, "{mask:?}");
    }
}

#[test]
fn a_part_of_the_binding_of_accounts_leaves_the_rest() {
    let held = pb::AccountBinding {
        policy: pb::AccountPolicy::Warn.into(),
        upstream_claim: "sub".to_owned(),
        user_claim: String::new(),
    };
    let from = Server {
        account_binding: Some(pb::AccountBinding {
            policy: pb::AccountPolicy::Refuse.into(),
            ..pb::AccountBinding::default()
        }),
        ..Server::default()
    };
    for (before, claim) in [(Some(held), "sub"), (None, "")] {
        let mut to = Server {
            account_binding: before,
            ..stored()
        };

        apply(&mut to, &from, Some(&paths(&["account_binding.policy"]))).unwrap();

        let binding = to.account_binding.unwrap();
        assert_eq!(binding.policy(), pb::AccountPolicy::Refuse);
        assert_eq!(binding.upstream_claim, claim);
    }
}

#[test]
fn a_part_of_identity_forwarding_leaves_the_rest() {
    let held = pb::IdentityForwarding {
        preset: pb::IdentityHeaderPreset::Coder.into(),
        signed_token_header: "X-Token".to_owned(),
        ..pb::IdentityForwarding::default()
    };
    let from = Server {
        identity_forwarding: Some(pb::IdentityForwarding {
            signed_token: true,
            ..pb::IdentityForwarding::default()
        }),
        ..Server::default()
    };
    for (before, preset, header) in [
        (Some(held), pb::IdentityHeaderPreset::Coder, "X-Token"),
        (None, pb::IdentityHeaderPreset::Unspecified, ""),
    ] {
        let mut to = Server {
            identity_forwarding: before,
            ..stored()
        };

        let mask = paths(&["identity_forwarding.signed_token"]);
        apply(&mut to, &from, Some(&mask)).unwrap();

        let forwarding = to.identity_forwarding.unwrap();
        assert!(forwarding.signed_token);
        assert_eq!(forwarding.preset(), preset);
        assert_eq!(forwarding.signed_token_header, header);
    }
}
