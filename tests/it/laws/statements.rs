//! Statements: constant texts that both engines take, and that keep tenants apart.

use sqlx::{Executor as _, SqlSafeStr as _};
use stationmaster::store::Store;

use super::schema::Schema;
use super::source::{Source, Token, hold, sources};
use crate::harness::database::{Db, Raw};

/// Statements on tables of tenants that name no tenant, and why they need not.
const TENANTLESS: &[(&str, &str, &str)] = &[
    (
        "access",
        "GET",
        "a caller is recognised by its key; the row says whose it is",
    ),
    ("access", "COUNT_OPERATORS", "operators belong to no tenant"),
    (
        "access",
        "REVOKE",
        "by the id of a key that was read; operators' have no tenant",
    ),
    ("access", "SEEN", "by the id of a key that was recognised"),
    (
        "handshakes",
        "FIND_BY_LINK",
        "by the hash of a secret, which is the proof",
    ),
    (
        "handshakes",
        "FIND_BY_STATE",
        "by the hash of a secret, which is the proof",
    ),
    ("handshakes", "DELETE_OLD", "sweeps all tenants"),
    (
        "handshakes",
        "INTERRUPT",
        "a process that starts alone ends what all tenants left",
    ),
    (
        "connections",
        "END_LEASES",
        "a process that starts alone ends what all tenants left",
    ),
    (
        "connections",
        "LIST_DUE",
        "what is due is renewed in all tenants",
    ),
    (
        "connections",
        "LIST_UNPLANNED",
        "renewals are planned in all tenants",
    ),
    (
        "connections",
        "FORGET_DUE",
        "by the id of a row that was read and cannot be understood",
    ),
    (
        "identities",
        "END_LEASES",
        "a process that starts alone ends what all tenants left",
    ),
    (
        "identities",
        "LIST_DUE",
        "what is due is renewed in all tenants",
    ),
    (
        "identities",
        "FORGET_DUE",
        "by the id of a row that was read and cannot be understood",
    ),
    (
        "servers",
        "FIND_ANYWHERE",
        "authorization servers fetch client documents without a credential; only what everybody may \
         know leaves",
    ),
    (
        "servers",
        "COUNT_BY_ID",
        "an id is unique over all tenants; nothing of the row is read",
    ),
    ("servers", "FORGET_FORMER", "sweeps all tenants"),
    ("requests", "DELETE_OLD", "sweeps all tenants"),
    (
        "changes",
        "LIST_OF_SHARD",
        "one follower reads for all tenants; each subscriber hears of its own",
    ),
    ("audit", "DELETE_OLD", "sweeps all tenants"),
    ("changes", "OLDEST", "sweeps all tenants"),
    ("changes", "DELETE_UPTO", "sweeps all tenants"),
    ("handshakes", "LIST_UNCONFIRMED", "sweeps all tenants"),
    ("registrations", "LIST_REPLACED", "sweeps all tenants"),
    ("registrations", "LIST_ENDING", "renews for all tenants"),
    (
        "revocations",
        "COUNT",
        "counts over all tenants; for metrics",
    ),
    (
        "revocations",
        "CLAIM",
        "works for all tenants; the row says whose it is",
    ),
    (
        "retired_clients",
        "CLAIM",
        "works for all tenants; the row says whose it is",
    ),
    ("retired_clients", "DELETE_IDLE", "sweeps all tenants"),
    (
        "work",
        "BURY_UNREAD_REVOCATION",
        "by the id of a row that was read and cannot be understood",
    ),
    (
        "work",
        "BURY_UNREAD_CLIENT",
        "by the id of a row that was read and cannot be understood",
    ),
    (
        "work",
        "END_LEASES_OF_REVOCATIONS",
        "a process that starts alone ends what all tenants left",
    ),
    (
        "work",
        "END_LEASES_OF_CLIENTS",
        "a process that starts alone ends what all tenants left",
    ),
    ("work", "DELETE_DEAD_REVOCATIONS", "sweeps all tenants"),
    ("work", "DELETE_DEAD_CLIENTS", "sweeps all tenants"),
    ("keys", "RESERVE", "by the id of a key that was read"),
];

type Statement = (&'static str, &'static str, &'static str);

async fn refused(db: &Db, statements: &[Statement]) -> Vec<String> {
    let mut offences = Vec::new();
    let mut raw = db.raw().await;
    for (file, name, sql) in statements {
        let prepared = match &mut raw {
            Raw::Sqlite(conn) => conn.prepare(sql.into_sql_str()).await.map(drop),
            Raw::Postgres(conn) => conn.prepare(sql.into_sql_str()).await.map(drop),
        };
        if let Err(error) = prepared {
            offences.push(format!("store/{file}: {name}: {error}"));
        }
    }
    offences
}

/// The words of a statement, quoted texts left out.
fn words(sql: &str) -> Vec<&str> {
    let outside = sql.split('\'').step_by(2);
    let word = |c: char| !c.is_alphanumeric() && c != '_' && c != '$';
    outside
        .flat_map(|part| part.split(word))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The tables that a statement reads or writes.
fn tables<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let leads = |word: &str| ["FROM", "INTO", "UPDATE", "JOIN"].contains(&word);
    let pairs = words.windows(2).filter(|pair| leads(pair[0]));
    pairs
        .map(|pair| pair[1])
        .filter(|name| !["SET", "SELECT"].contains(name))
        .collect()
}

/// Whether it keeps to a tenant: by a condition, or by the column it fills.
fn names_tenant(words: &[&str]) -> bool {
    if words.first() == Some(&"INSERT") {
        let values = words
            .iter()
            .position(|word| *word == "VALUES")
            .unwrap_or(words.len());
        return words[..values].contains(&"tenant");
    }
    let conditions = words.split(|word| *word == "WHERE").skip(1);
    let bound =
        |pair: &[&str]| pair[0] == "tenant" && (pair[1].starts_with('$') || pair[1] == "IS");
    let mut wheres = 0;
    let mut bounds = 0;
    for condition in conditions {
        wheres += 1;
        bounds += usize::from(condition.windows(2).any(bound));
    }
    wheres > 0 && wheres == bounds
}

fn across_tenants(schema: &Schema, statements: &[Statement], free: &[Statement]) -> Vec<String> {
    let mut offences = Vec::new();
    let owned = |table: &&str| {
        schema
            .tables
            .get(*table)
            .is_some_and(|t| t.contains_key("tenant"))
    };
    for (file, name, sql) in statements {
        let words = words(sql);
        let loose = tables(&words).iter().any(owned) && !names_tenant(&words);
        let excepted = free.iter().any(|(f, n, _)| (f, n) == (file, name));
        if loose && !excepted {
            offences.push(format!("store/{file}: {name} reaches into every tenant"));
        }
        if !loose && excepted {
            offences.push(format!("store/{file}: {name} needs no exception"));
        }
    }
    for (file, name, _) in free {
        if !statements.iter().any(|(f, n, _)| (f, n) == (file, name)) {
            offences.push(format!(
                "store/{file}: {name} is excepted and does not exist"
            ));
        }
    }
    offences
}

/// Calls of sqlx that are given anything but a constant. A variable may be called `statement`, for
/// a choice among constants: sqlx itself takes nothing but `'static` text.
fn not_constant(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        let tokens = source.tokens();
        let text = |at: usize| {
            tokens
                .get(at)
                .map_or("", |token: &Token| token.text.as_str())
        };
        let mut offend = |at: usize, why: &str| {
            offences.push(format!("{}:{}: {why}", source.path, tokens[at].line));
        };
        for at in 0..tokens.len() {
            match text(at) {
                "AssertSqlSafe" | "QueryBuilder" | "raw_sql" => offend(at, "SQL is constant text"),
                "sqlx" if text(at + 1) == "::" && text(at + 2).starts_with("query") => {
                    let open = (at + 3..tokens.len()).find(|at| ["(", "!"].contains(&text(*at)));
                    let open = open.unwrap_or(at);
                    let argument = text(open + 1);
                    let constant = argument.starts_with(char::is_uppercase)
                        && argument.chars().all(|c| !c.is_lowercase());
                    let alone = [")", ","].contains(&text(open + 2));
                    if !(constant || argument == "statement") || !alone || text(open) == "!" {
                        offend(at, "a statement is an upper-case constant of `statements!`");
                    }
                }
                _ => {}
            }
        }
        for (number, line) in source.text.lines().enumerate() {
            if line.contains("let statement = \"") || line.contains("statement = format!") {
                let number = number + 1;
                offences.push(format!(
                    "{}:{number}: `statement` is a constant",
                    source.path
                ));
            }
        }
    }
    offences
}

#[tokio::test]
async fn every_statement_prepares_on_both_engines() {
    let statements = Store::statements();
    assert!(
        statements.len() > 50,
        "a law that reads nothing holds nothing"
    );

    for db in [Db::sqlite().await, Db::postgres().await] {
        hold("every statement prepares", &refused(&db, &statements).await);
    }
}

#[tokio::test]
async fn every_statement_keeps_to_a_tenant() {
    let schema = Schema::of(&Db::sqlite().await).await;
    let offences = across_tenants(&schema, &Store::statements(), TENANTLESS);

    hold("every statement keeps to a tenant", &offences);
}

#[test]
fn statements_are_constants() {
    hold(
        "statements are constants",
        &not_constant(&sources(&["src"], &["rs"])),
    );
}

#[tokio::test]
async fn the_laws_of_statements_see_what_breaks_them() {
    let bad: &[Statement] = &[
        ("a", "ALL", "SELECT id FROM servers WHERE slug = $1"),
        ("a", "BARE", "DELETE FROM chats"),
        (
            "a",
            "HALF",
            "SELECT id FROM chats WHERE tenant = $1 AND id IN (SELECT id FROM servers \
            WHERE slug = 'tenant = $1')",
        ),
        ("a", "NEW", "INSERT INTO chats (id) VALUES ($1)"),
        ("a", "GOOD", "SELECT nothing FROM servers WHERE tenant = $1"),
    ];
    let db = Db::sqlite().await;

    let loose = across_tenants(&Schema::of(&db).await, bad, &[bad[4], ("a", "GONE", "")]);
    let refused = refused(&db, bad).await;

    assert_eq!(loose.len(), 6, "{loose:#?}");
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert!(refused[0].starts_with("store/a: GOOD: "));
    let code = "fn f() {\n sqlx::query(GET);\n sqlx::query_as::<_, Row>(LIST);\n sqlx::query(\"x\");\n\
        sqlx::query_as(&format!(\"x\"));\n sqlx::query(AssertSqlSafe(x));\n sqlx::query!(GET);\n\
        let statement = \"x\";\n sqlx::query(statement);\n sqlx::query(other);\n}";
    let found = not_constant(&[Source::new("src/store/a.rs", code)]);
    let lines: Vec<_> = found
        .iter()
        .map(|offence| offence.split(':').nth(1).unwrap())
        .collect();
    assert_eq!(lines, ["4", "5", "6", "6", "7", "10", "8"], "{found:#?}");
}
