//! Two tenants that have all names in common: neither learns anything of the other, nor changes
//! anything there, by any method, in any role, whatever ids it names.

use std::collections::BTreeSet;

use stationmaster::domain::access::{ROLES, Role, method};
use tonic::Code;

use super::asks::{ASKS, Asks};
use super::rows::{dump, raw};
use super::wire::{API, Wire};
use super::world::Tenant;
use crate::harness::service::{Engine, TestDatabase, TestService};
use crate::harness::web::Web;

/// Operators' methods on tenants themselves, which no tenant confines.
const BEYOND: [&str; 3] = [
    "TenantService/CreateTenant",
    "TenantService/DeleteTenant",
    "TenantService/ListTenants",
];
/// What cannot succeed in this world: it takes a code that only a browser gets, or a server that is
/// discovered, where all are written by hand.
const FAILING: [&str; 2] = [
    "HandshakeService/CompleteHandshake",
    "ConfigService/RediscoverServer",
];

struct Walk {
    wire: Wire,
    alpha: Tenant,
    beta: Tenant,
    offences: Vec<String>,
}

/// An id like this one that nobody has; what is no id stays.
fn strangers(id: &str) -> String {
    match id.split_once('_') {
        Some((prefix, digits)) if digits.len() == 32 => {
            let other = if digits.ends_with('0') { '1' } else { '0' };
            format!("{prefix}_{}{other}", &digits[..31])
        }
        _ if id == "alphatenant" => "nosuchtenant".to_owned(),
        _ => id.to_owned(),
    }
}

impl Walk {
    /// A request with everything it names filled in.
    fn fill(&self, ask: &str, theirs: fn(&str) -> String) -> String {
        let mut ask = ask.to_owned();
        for (name, id) in &self.alpha.ids {
            ask = ask.replace(&format!("${name}"), &theirs(id));
        }
        for (name, id) in &self.beta.ids {
            ask = ask.replace(&format!("%{name}"), id);
        }
        ask
    }

    /// Calls as a caller of beta; notes what the answer holds of alpha that the request did not.
    async fn call(&mut self, method: &str, role: Role, ask: &str) -> super::wire::Answer {
        let who = self.beta.caller(role);
        let message = serde_json::from_str(ask).unwrap();
        let answer = self.wire.call(method, who, message).await;
        let secret = self.alpha.private.iter();
        for told in secret.filter(|text| !ask.contains(text.as_str())) {
            if answer.holds(told) {
                let role = role.as_str();
                self.offences
                    .push(format!("{method} as {role} {ask}: the answer tells {told}"));
            }
        }
        answer
    }

    async fn visit(&mut self, asks: &Asks, role: Role) -> bool {
        let mut succeeded = false;
        for ask in asks.theirs {
            let named = self.fill(ask, str::to_owned);
            let theirs = self.call(asks.method, role, &named).await;
            let unknown = self.fill(ask, strangers);
            let nobodys = self.call(asks.method, role, &unknown).await;
            let seen = |answer: &super::wire::Answer| (answer.code, answer.reason.clone());
            if seen(&theirs) != seen(&nobodys) || theirs.message != nobodys.message {
                self.offences.push(format!(
                    "{} as {} {named}: {:?} {}, which differs from what nobody has: {:?} {}",
                    asks.method,
                    role.as_str(),
                    theirs.code,
                    theirs.message,
                    nobodys.code,
                    nobodys.message
                ));
            }
        }
        for ask in asks.ours {
            let ask = self.fill(ask, str::to_owned);
            let answer = self.call(asks.method, role, &ask).await;
            succeeded |= matches!(answer.code, Code::Ok | Code::Unimplemented);
            if matches!(answer.code, Code::Internal | Code::Unknown) {
                self.offences
                    .push(format!("{} {ask}: {}", asks.method, answer.message));
            }
        }
        succeeded
    }

    /// Who is no operator and names the other tenant is refused.
    async fn name_alpha(&mut self, asks: &Asks, role: Role) {
        let who = self.beta.caller(role).tenant(&self.alpha.name);
        let path = format!("{API}{}", asks.method);
        let answer = self.wire.code_of(&path, who, Vec::new()).await;
        if (answer.code, answer.reason.as_str()) != (Code::NotFound, "TENANT_NOT_FOUND") {
            let (role, code) = (role.as_str(), answer.code);
            self.offences
                .push(format!("{} as {role} naming alpha: {code:?}", asks.method));
        }
    }
}

async fn walk(engine: Engine) {
    let database = TestDatabase::new(engine).await;
    let service = TestService::start_on(&database, &[]).await;
    let web = Web::start().await;
    let wire = Wire::new(service.grpc_channel().await);
    let served = wire.methods().await;
    let served: BTreeSet<_> = served
        .iter()
        .filter_map(|path| path.strip_prefix(API))
        .collect();
    let listed: BTreeSet<_> = ASKS.iter().map(|asks| asks.method).collect();
    assert_eq!(
        served, listed,
        "each method served has a row, and nothing else has"
    );
    let alpha = Tenant::settle(&service, &web, &wire, "alphatenant").await;
    let beta = Tenant::settle(&service, &web, &wire, "betatenant").await;
    let mut raw = raw(&database).await;
    let before = dump(&mut raw, "alphatenant").await;
    assert!(before.len() > 20, "there is something to keep: {before:#?}");
    let mut walk = Walk {
        wire,
        alpha,
        beta,
        offences: Vec::new(),
    };

    for asks in ASKS {
        let row = method(&format!("{API}{}", asks.method));
        let row = row.unwrap_or_else(|| panic!("{} has no row in METHODS", asks.method));
        let admitted = ROLES.into_iter().filter(|role| row.roles.admit(*role));
        if BEYOND.contains(&asks.method) {
            let admitted: Vec<_> = admitted.collect();
            assert_eq!(admitted, [Role::Operator], "{}", asks.method);
            continue;
        }
        let mut succeeded = false;
        for role in admitted {
            // Operators ask after any tenant; that is what the method is for.
            let any_tenant = asks.method == "TenantService/GetTenant" && role == Role::Operator;
            if !any_tenant {
                succeeded |= walk.visit(asks, role).await;
            }
            if role != Role::Operator {
                walk.name_alpha(asks, role).await;
            }
        }
        if !succeeded && !FAILING.contains(&asks.method) {
            walk.offences
                .push(format!("{} never succeeded", asks.method));
        }
        let after = dump(&mut raw, "alphatenant").await;
        if after != before {
            let changed: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
            walk.offences
                .push(format!("{} changed alpha: {changed:#?}", asks.method));
            break;
        }
    }

    assert!(walk.offences.is_empty(), "{}", walk.offences.join("\n"));
    service.stop().await;
}

#[tokio::test]
async fn tenants_never_see_each_other_on_sqlite() {
    walk(Engine::Sqlite).await;
}

#[tokio::test]
async fn tenants_never_see_each_other_on_postgres() {
    walk(Engine::Postgres).await;
}
