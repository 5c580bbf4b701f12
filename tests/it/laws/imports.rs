//! Imports go one way: the table of `docs/architecture.md`, section 1. One crate has no walls that the
//! compiler checks, so this law is the wall.

use super::paths::{Named, named};
use super::source::{Source, hold, sources};

/// Each module of ours, and which others it may name.
const TABLE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("pb", &[]),
    ("store", &["domain"]),
    ("fetch", &["domain"]),
    ("crypto", &["domain", "fetch"]),
    ("oauth", &["domain", "fetch"]),
    ("mcp", &["domain", "fetch"]),
    // `fetch` only to hold the one way out and hand it to the protocols; it sends nothing itself.
    (
        "app",
        &["domain", "crypto", "store", "oauth", "mcp", "fetch"],
    ),
    ("grpc", &["domain", "app", "pb"]),
    ("web", &["domain", "app"]),
    ("worker", &["domain", "app"]),
    ("config", &["domain"]),
    ("client", &["pb", "domain"]),
    (
        "runtime",
        &[
            "domain", "pb", "store", "fetch", "crypto", "oauth", "mcp", "app", "grpc", "web",
            "worker", "config",
        ],
    ),
    // `store` for migrations, `crypto` for root keys, `domain` for the system's clock and
    // randomness.
    (
        "cli",
        &["domain", "config", "runtime", "client", "store", "crypto"],
    ),
    ("main", &["cli"]),
];

/// Crates that few modules may name.
const CRATES: &[(&[&str], Walls)] = &[
    (&["sqlx"], Walls::Only(&["store"])),
    (&["reqwest"], Walls::Only(&["fetch"])),
    (
        &[
            "tonic",
            "tonic_health",
            "tonic_prost",
            "tonic_reflection",
            "tonic_types",
        ],
        // `pb` holds what tonic generates.
        Walls::Only(&["grpc", "client", "runtime", "pb"]),
    ),
    (&["axum"], Walls::Only(&["web", "runtime"])),
    (
        &[
            "tokio",
            "tokio_stream",
            "tokio_util",
            "prost",
            "prost_types",
        ],
        Walls::Never(&["domain"]),
    ),
];

/// Where a crate may be named.
enum Walls {
    Only(&'static [&'static str]),
    Never(&'static [&'static str]),
}

fn offences(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        let Some(module) = module(&source.path) else {
            continue;
        };
        let row = TABLE.iter().find(|(name, _)| *name == module);
        let Some((_, may)) = row else {
            let path = &source.path;
            offences.push(format!(
                "{path}:1: `{module}` has no row in the table of imports"
            ));
            continue;
        };
        for (named, line) in named(source) {
            let rule = match &named {
                Named::Ours(path) => ours(module, may, path),
                Named::Crate(name) => foreign(module, name),
            };
            if let Some(rule) = rule {
                offences.push(format!("{}:{line}: {rule}", source.path));
            }
        }
    }
    offences
}

/// The first folder or file below `src`; none for the root that declares them.
fn module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib").then_some(module)
}

fn ours(module: &str, may: &[&str], path: &[String]) -> Option<String> {
    let target = path.first()?.as_str();
    if target == module || may.contains(&target) {
        return None;
    }
    Some(if TABLE.iter().any(|(name, _)| *name == target) {
        let may = if may.is_empty() {
            "nothing of ours".to_owned()
        } else {
            may.join(", ")
        };
        format!("`{module}` must not name `{target}`; it may import {may}")
    } else {
        format!("`crate::{target}` is no module of the table of imports")
    })
}

fn foreign(module: &str, name: &str) -> Option<String> {
    let (_, walls) = CRATES.iter().find(|(names, _)| names.contains(&name))?;
    match walls {
        Walls::Only(modules) if !modules.contains(&module) => Some(format!(
            "`{name}` is for {} only, not for `{module}`",
            modules.join(", ")
        )),
        Walls::Never(modules) if modules.contains(&module) => {
            Some(format!("`{module}` must not name `{name}`"))
        }
        Walls::Only(_) | Walls::Never(_) => None,
    }
}

#[test]
fn imports_go_one_way() {
    hold("imports go one way", &offences(&sources(&["src"], &["rs"])));
}

#[test]
fn the_law_of_imports_sees_what_breaks_it() {
    for (path, code, offence) in [
        (
            "src/domain/a.rs",
            "use crate::store::Store;",
            ":1: `domain` must not name `store`; it may import nothing of ours",
        ),
        (
            "src/app/a.rs",
            "use crate::{domain::{ids::{ServerId,\n ApiKeyId}}, grpc::error};",
            ":2: `app` must not name `grpc`; it may import domain, crypto, store, oauth, mcp, fetch",
        ),
        (
            "src/web/deep/a.rs",
            "use super::super::super::oauth::token;",
            ":1: `web` must not name `oauth`; it may import domain, app",
        ),
        (
            "src/web/mod.rs",
            "fn f() {\n    super::oauth::token::exchange()\n}",
            ":2: `web` must not name `oauth`; it may import domain, app",
        ),
        (
            "src/worker/a.rs",
            "mod tests {\n fn f() { super::super::super::store::open() } }",
            ":2: `worker` must not name `store`; it may import domain, app",
        ),
        (
            "src/app/a.rs",
            "fn f() -> Result<(), sqlx::Error> { g() }",
            ":1: `sqlx` is for store only, not for `app`",
        ),
        (
            "src/app/a.rs",
            "use {std::fmt, ::reqwest as r};",
            ":1: `reqwest` is for fetch only, not for `app`",
        ),
        (
            "src/domain/time.rs",
            "use tokio::time;",
            ":1: `domain` must not name `tokio`",
        ),
        (
            "src/helpers/mod.rs",
            "",
            ":1: `helpers` has no row in the table of imports",
        ),
        (
            "src/app/a.rs",
            "use crate::helpers::X;",
            ":1: `crate::helpers` is no module of the table of imports",
        ),
        (
            "src/main.rs",
            "use stationmaster::store::Store;",
            ":1: `main` must not name `store`; it may import cli",
        ),
    ] {
        let found = offences(&[Source::new(path, code)]);

        assert_eq!(found, [format!("{path}{offence}")], "{code}");
    }
}

#[test]
fn the_law_of_imports_lets_the_rest_pass() {
    let sources = [
        Source::new(
            "src/app/servers.rs",
            "//! Not `use crate::grpc::error`.\n\
             use std::fmt; use crate::domain::{self, ids::*}; use super::error::Error;\n\
             mod tests { use super::super::super::domain::time; use super::*; }\n\
             pub(in crate::app) fn f(grpc: &str) -> impl Sized + use<'_> { \"sqlx::query\" }",
        ),
        Source::new("src/store/mod.rs", "use sqlx::{Row as _, query_as};"),
        Source::new("src/lib.rs", "pub mod app;"),
    ];

    assert_eq!(offences(&sources), Vec::<String>::new());
}
