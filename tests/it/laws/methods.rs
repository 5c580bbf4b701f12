//! Methods: the table of roles has a row for each, and each says in its comment what its row says.

use std::collections::BTreeSet;

use stationmaster::domain::access::{METHODS, Method, ROLES, Role};

use super::proto::{Rpc, files, rpcs};
use super::source::hold;

/// The names of the roles of `Roles: admin (their own), operator.`: up to the full stop, without
/// what stands in brackets. `None` when there is no such line or it names something else.
fn said(comment: &str) -> Option<BTreeSet<&'static str>> {
    let (_, line) = comment.split_once("Roles: ")?;
    let mut depth = 0;
    let mut plain = String::new();
    for c in line.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' if depth == 0 => break,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    if plain.trim() == "any" {
        return Some(ROLES.into_iter().map(Role::as_str).collect());
    }
    let role = |name: &str| Role::parse(name.trim()).map(Role::as_str);
    plain.split([',', ';']).map(role).collect()
}

fn offences(rpcs: &[Rpc], methods: &[Method]) -> Vec<String> {
    let mut offences = Vec::new();
    for rpc in rpcs {
        let Rpc { service, name, .. } = rpc;
        let mut rows = methods
            .iter()
            .filter(|row| (row.service, row.name) == (service, name));
        let Some(row) = rows.next() else {
            offences.push(format!("{service}.{name} has no row"));
            continue;
        };
        if rows.next().is_some() {
            offences.push(format!("{service}.{name} has two rows"));
        }
        let admitted = ROLES.into_iter().filter(|role| row.roles.admit(*role));
        let admitted: BTreeSet<_> = admitted.map(Role::as_str).collect();
        match said(&rpc.comment) {
            Some(said) if said == admitted => {}
            Some(said) => {
                offences.push(format!(
                    "{service}.{name} says {said:?} and admits {admitted:?}"
                ));
            }
            None => offences.push(format!("{service}.{name} does not say its roles")),
        }
    }
    for row in methods {
        if !rpcs
            .iter()
            .any(|rpc| (row.service, row.name) == (&rpc.service, &rpc.name))
        {
            offences.push(format!("{}.{} is no method", row.service, row.name));
        }
    }
    offences
}

#[test]
fn every_method_has_a_row_and_says_who_may_call_it() {
    let offences = offences(&rpcs(&files()), METHODS);

    hold("every method has a row and says who may call it", &offences);
}

#[test]
fn the_law_of_methods_sees_what_breaks_it() {
    let rpc = |name: &str, comment: &str| Rpc {
        service: "TenantService".into(),
        name: name.into(),
        comment: comment.into(),
    };
    let rpcs = [
        rpc(
            "GetTenant",
            "Reads.\n Roles: operator; admin, auditor (their\n own. Really).",
        ),
        rpc("CreateTenant", "Creates.\n Roles: admin."),
        rpc("ListTenants", "Lists."),
        rpc("PaintTenant", "Roles: any."),
    ];
    let row = |name| {
        METHODS
            .iter()
            .find(|row| row.name == name)
            .copied()
            .unwrap()
    };
    let methods = [
        "GetTenant",
        "CreateTenant",
        "ListTenants",
        "ListTenants",
        "WhoAmI",
    ]
    .map(row);

    let offences = offences(&rpcs, &methods);

    assert_eq!(
        offences,
        [
            "TenantService.CreateTenant says {\"admin\"} and admits {\"operator\"}",
            "TenantService.ListTenants has two rows",
            "TenantService.ListTenants does not say its roles",
            "TenantService.PaintTenant has no row",
            "AccessService.WhoAmI is no method",
        ]
    );
}
