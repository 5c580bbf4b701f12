//! What claims are worth by the word of the deployment.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn issuer() -> TrustedIssuer {
    TrustedIssuer {
        issuer: Issuer::new("https://login.example.com"),
        audiences: vec!["stationmaster".to_owned(), "chat".to_owned()],
        jwks_uri: None,
        algorithms: vec![Algorithm::Rs256],
        tenant: TenantRule::Fixed(tenant("acme")),
        user_claim: Claim::new("sub"),
        user_prefix: String::new(),
        groups_claim: Claim::new("groups"),
        groups_prefix: String::new(),
        role: RoleRule::Fixed(Role::User),
        required_claims: BTreeMap::new(),
        clock_skew: Duration::from_mins(1),
        max_age: None,
        shared_users: false,
        shared_groups: false,
        client: None,
    }
}

/// What holds now, changed by these.
fn claims(changes: &Value) -> Map<String, Value> {
    let mut claims = json!({
        "iss": "https://login.example.com",
        "aud": "stationmaster",
        "sub": "ann",
        "exp": NOW + 300,
        "iat": NOW,
        "groups": ["a", "b"],
    });
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    all.clone()
}

fn read(issuer: &TrustedIssuer, changes: &Value) -> Result<Holder, Unfit> {
    issuer.read(&claims(changes), Timestamp::from_secs(NOW), None)
}

fn takes(changes: &Value) -> bool {
    read(&issuer(), changes).is_ok()
}

fn groups(holder: &Holder) -> Vec<&str> {
    holder.groups.iter().map(GroupId::as_str).collect()
}

#[test]
fn a_users_token_says_who_they_are() {
    let holder = read(&issuer(), &json!({})).unwrap();

    assert_eq!(holder.subject, "ann");
    assert_eq!(holder.tenant, Some(tenant("acme")));
    assert_eq!(holder.role, Role::User);
    assert_eq!(holder.user, Some(UserId::parse("ann").unwrap()));
    assert_eq!(groups(&holder), ["a", "b"]);
    assert_eq!(holder.ends, Timestamp::from_secs(NOW + 300));
}

#[test]
fn issuer_audience_and_subject_are_held_to_the_letter() {
    for good in [
        json!({ "aud": ["other", "chat"] }),
        json!({ "sub": "x".repeat(255) }),
    ] {
        assert!(takes(&good), "{good}");
    }
    for bad in [
        json!({ "iss": null }),
        json!({ "iss": "https://login.example.com/" }),
        json!({ "iss": ["https://login.example.com"] }),
        json!({ "aud": null }),
        json!({ "aud": [] }),
        json!({ "aud": "Stationmaster" }),
        json!({ "aud": { "stationmaster": 1 } }),
        json!({ "sub": null }),
        json!({ "sub": " " }),
        json!({ "sub": "a\nb" }),
        json!({ "sub": "x".repeat(256) }),
    ] {
        assert!(!takes(&bad), "{bad}");
    }
}

#[test]
fn a_token_holds_from_its_beginning_to_its_end() {
    for good in [
        json!({ "exp": NOW + 1 }),
        json!({ "exp": 1_767_225_600.5 }),
        json!({ "nbf": NOW + 60, "iat": NOW + 60 }),
        json!({ "iat": null }),
    ] {
        assert!(takes(&good), "{good}");
    }
    for bad in [
        json!({ "exp": null }),
        json!({ "exp": NOW }),
        json!({ "exp": "1867225600" }),
        json!({ "exp": -1 }),
        json!({ "nbf": NOW + 61 }),
        json!({ "iat": NOW + 61 }),
        json!({ "nbf": "soon" }),
    ] {
        assert!(!takes(&bad), "{bad}");
    }
}

#[test]
fn an_old_token_is_refused_where_the_deployment_says_so() {
    let strict = TrustedIssuer {
        max_age: Some(Duration::from_secs(100)),
        ..issuer()
    };
    let ends = |issued| read(&strict, &json!({ "iat": issued })).map(|holder| holder.ends);

    assert_eq!(ends(json!(NOW)), Ok(Timestamp::from_secs(NOW + 100)));
    assert_eq!(ends(json!(NOW - 99)), Ok(Timestamp::from_secs(NOW + 1)));
    assert!(ends(json!(NOW - 100)).is_err());
    assert!(ends(json!(null)).is_err());
}

#[test]
fn required_claims_say_or_list_what_they_must() {
    let strict = TrustedIssuer {
        required_claims: BTreeMap::from([("hd".to_owned(), "example.com".to_owned())]),
        ..issuer()
    };

    assert!(read(&strict, &json!({ "hd": "example.com" })).is_ok());
    assert!(read(&strict, &json!({ "hd": ["a", "example.com"] })).is_ok());
    assert!(read(&strict, &json!({ "hd": "example.org" })).is_err());
    assert!(read(&strict, &json!({})).is_err());
}

#[test]
fn a_tenant_is_fixed_or_named_by_a_claim() {
    let by = |tenants| TrustedIssuer {
        tenant: TenantRule::Claim {
            claim: Claim::new("org"),
            tenants,
        },
        ..issuer()
    };
    let direct = by(None);
    let mapped = by(Some(BTreeMap::from([(
        "Acme Inc.".to_owned(),
        tenant("acme"),
    )])));
    let of = |issuer, org: &str| read(issuer, &json!({ "org": org })).map(|held| held.tenant);

    assert_eq!(of(&direct, "beta"), Ok(Some(tenant("beta"))));
    assert!(of(&direct, "Acme Inc.").is_err());
    assert_eq!(of(&mapped, "Acme Inc."), Ok(Some(tenant("acme"))));
    assert!(of(&mapped, "acme").is_err());
    assert!(read(&direct, &json!({})).is_err());
}

#[test]
fn a_role_is_given_only_as_it_is_written_down() {
    let by_claim = TrustedIssuer {
        role: RoleRule::Claim {
            claim: Claim::new("/realm_access/roles"),
            roles: BTreeMap::from([
                ("mcp-admins".to_owned(), Role::Admin),
                ("mcp-ops".to_owned(), Role::Operator),
                ("staff".to_owned(), Role::User),
            ]),
        },
        ..issuer()
    };
    let of = |roles: Value| {
        let said = json!({ "realm_access": { "roles": roles } });
        read(&by_claim, &said).map(|holder| (holder.role, holder.user.is_some()))
    };

    assert_eq!(of(json!("staff")), Ok((Role::User, true)));
    assert_eq!(of(json!(["staff", "mcp-admins"])), Ok((Role::Admin, false)));
    for none in [json!("admin"), json!([]), json!({ "staff": true })] {
        assert!(of(none.clone()).is_err(), "{none}");
    }
    assert!(read(&by_claim, &json!({})).is_err());
    let operator = json!({ "realm_access": { "roles": ["mcp-ops"] } });
    assert_eq!(read(&by_claim, &operator).unwrap().tenant, None);
    let as_user = |roles: Value| {
        let said = claims(&json!({ "realm_access": { "roles": roles } }));
        let read = by_claim.read(&said, Timestamp::from_secs(NOW), Some(Role::User));
        read.map(|holder| (holder.role, holder.tenant.is_some(), holder.user.is_some()))
    };
    for both in [json!(["mcp-admins", "staff"]), json!(["staff", "mcp-ops"])] {
        assert_eq!(as_user(both), Ok((Role::User, true, true)));
    }
    assert!(as_user(json!(["mcp-admins", "mcp-ops"])).is_err());
}

#[test]
fn users_and_groups_are_named_as_the_deployment_says() {
    let named = TrustedIssuer {
        user_claim: Claim::new("email"),
        user_prefix: "corp:".to_owned(),
        groups_claim: Claim::new("https://example.com/groups"),
        groups_prefix: "corp:".to_owned(),
        ..issuer()
    };
    let said = json!({ "email": "ann@x", "https://example.com/groups": "one" });

    let holder = read(&named, &said).unwrap();

    assert_eq!(holder.user, Some(UserId::parse("corp:ann@x").unwrap()));
    assert_eq!(holder.subject, "ann");
    assert_eq!(groups(&holder), ["corp:one"]);
    for claim in ["email", "/email"] {
        let named = TrustedIssuer {
            user_claim: Claim::new(claim),
            ..named.clone()
        };
        let verified = |verified: Value| {
            let said = json!({ "email": "ann@x", "email_verified": verified });
            read(&named, &said).is_ok()
        };
        assert!(verified(json!(true)) && verified(json!("true")) && !verified(json!(false)));
    }
    assert!(read(&named, &json!({})).is_err());
}

#[test]
fn groups_that_are_none_are_left_out_and_too_many_are_refused() {
    let of = |said: Value| read(&issuer(), &json!({ "groups": said }));
    let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();

    let some = of(json!(["a", "", " b", { "c": 1 }, "a", "x".repeat(256)])).unwrap();

    assert_eq!(groups(&some), ["a"]);
    assert_eq!(of(json!({ "a": 1 })).unwrap().groups, []);
    assert_eq!(
        read(&issuer(), &json!({ "groups": null })).unwrap().groups,
        []
    );
    assert!(of(json!(many(1000))).is_ok());
    assert!(of(json!(many(1001))).is_err());
}

#[test]
fn a_pointer_leads_into_the_claims() {
    let said = claims(&json!({ "a": { "b/c": ["x", "y"] }, "d/e": "z" }));
    let of = |claim: &str| texts(Claim::new(claim).of(&said));

    assert_eq!(of("/a/b~1c"), ["x", "y"]);
    assert_eq!(of("/a/b~1c/1"), ["y"]);
    assert_eq!(of("/d~1e"), ["z"]);
    assert_eq!(of("d/e"), ["z"]);
    assert_eq!(of("/a/none"), [""; 0]);
    assert_eq!(of("/"), [""; 0]);
}

#[test]
fn issuers_clash_where_prefix_and_tenant_meet() {
    let with = |prefix: &str, tenant: TenantRule, role: RoleRule| TrustedIssuer {
        user_prefix: prefix.to_owned(),
        groups_prefix: prefix.to_owned(),
        tenant,
        role,
        ..issuer()
    };
    let acme = || TenantRule::Fixed(tenant("acme"));
    let beta = || TenantRule::Fixed(tenant("beta"));
    let any = || TenantRule::Claim {
        claim: Claim::new("org"),
        tenants: None,
    };
    let listed = || TenantRule::Claim {
        claim: Claim::new("org"),
        tenants: Some(BTreeMap::from([("B".to_owned(), tenant("beta"))])),
    };
    let users = || RoleRule::Fixed(Role::User);
    let clash = |one: &TrustedIssuer, other: &TrustedIssuer| {
        let clash = one.clashes_with(other);
        assert_eq!(clash, other.clashes_with(one));
        clash
    };
    let clashes = |one: (&str, TenantRule), other: (&str, TenantRule)| {
        let (one, other) = (with(one.0, one.1, users()), with(other.0, other.1, users()));
        !clash(&one, &other).is_empty()
    };

    assert!(clashes(("", acme()), ("", acme())));
    assert!(clashes(("", acme()), ("b:", acme())));
    assert!(clashes(("b:", any()), ("b:", beta())));
    assert!(clashes(("", listed()), ("", beta())));
    assert!(!clashes(("a:", acme()), ("b:", acme())));
    assert!(!clashes(("", acme()), ("", beta())));
    assert!(!clashes(("", listed()), ("", acme())));
    let admins = with("", acme(), RoleRule::Fixed(Role::Admin));
    assert_eq!(clash(&admins, &issuer()), []);

    let shared = |users, groups| TrustedIssuer {
        shared_users: users,
        shared_groups: groups,
        ..issuer()
    };
    let both = [Vouched::User, Vouched::Group];
    assert_eq!(clash(&issuer(), &issuer()), both);
    assert_eq!(clash(&shared(true, true), &issuer()), both);
    assert_eq!(clash(&shared(true, false), &shared(true, false)), []);
    let groups = shared(false, true);
    assert_eq!(clash(&groups, &groups), [Vouched::User]);
    let apart = TrustedIssuer {
        user_prefix: "b:".to_owned(),
        ..issuer()
    };
    let named = TrustedIssuer {
        user_prefix: "a:".to_owned(),
        ..issuer()
    };
    assert_eq!(clash(&apart, &named), [Vouched::Group]);
}

#[test]
fn an_issuer_is_found_by_its_exact_name() {
    let issuers = Issuers::new(vec![issuer()]);
    let found = |name: &str| issuers.find(&Issuer::new(name)).is_some();

    assert!(found("https://login.example.com"));
    assert!(!found("https://login.example.com/"));
    assert!(!found("HTTPS://login.example.com"));
}

proptest! {
    #[test]
    fn any_claims_are_read_without_panic(
        name in "exp|nbf|iat|aud|sub|groups|iss",
        number in any::<f64>(),
        text in ".{0,20}",
    ) {
        for value in [json!(number), json!(text), json!([text, number]), json!({ "a": text })] {
            let _ = read(&issuer(), &json!({ &name: value }));
        }
    }
}
