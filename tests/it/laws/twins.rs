//! Twins: the migrations of both engines have the same names and make the same schema.

use std::path::Path;

use super::schema::{Reference, Schema};
use super::source::hold;
use crate::harness::database::Db;

/// What the first has and the second has not.
fn lacking(first: &Schema, second: &Schema, who: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for (table, columns) in &first.tables {
        let Some(others) = second.tables.get(table) else {
            offences.push(format!("{who} has no table {table}"));
            continue;
        };
        for (name, column) in columns {
            if others.get(name) != Some(column) {
                let other = others.get(name);
                offences.push(format!(
                    "{who} has {table}.{name} as {other:?}, not {column:?}"
                ));
            }
        }
    }
    for (table, columns, part) in first.unique.difference(&second.unique) {
        offences.push(format!("{who} has no unique ({columns}) {part} in {table}"));
    }
    for reference in first.references.difference(&second.references) {
        offences.push(format!("{who} has no {}", shown(reference)));
    }
    offences
}

fn shown(reference: &Reference) -> String {
    let Reference {
        table,
        columns,
        to,
        on_delete,
    } = reference;
    format!("{table}({columns}) references {to} on delete {on_delete}")
}

fn differences(sqlite: &Schema, postgres: &Schema) -> Vec<String> {
    let mut offences = lacking(sqlite, postgres, "PostgreSQL");
    offences.extend(lacking(postgres, sqlite, "SQLite"));
    offences
}

fn names(engine: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(engine);
    let files = std::fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = files
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_migration_has_a_twin_and_is_taken() {
    let embedded = Db::empty_sqlite().await.migrations().await.unwrap().pending;
    let embedded: Vec<_> = embedded.iter().map(|name| format!("{name}.sql")).collect();

    assert_eq!(names("sqlite"), embedded);
    assert_eq!(names("postgres"), embedded);
}

#[tokio::test]
async fn the_twins_make_the_same_schema() {
    let sqlite = Schema::of(&Db::sqlite().await).await;
    let postgres = Schema::of(&Db::postgres().await).await;

    hold(
        "the twins make the same schema",
        &differences(&sqlite, &postgres),
    );
}

#[tokio::test]
async fn every_sqlite_table_is_strict() {
    let lax = "SELECT COUNT(*) FROM pragma_table_list WHERE schema = 'main' AND NOT strict \
        AND name NOT LIKE '%sqlite%' AND name NOT LIKE '%sqlx%'";

    assert_eq!(Db::sqlite().await.number(lax).await, 0);
}

#[tokio::test]
async fn the_law_of_twins_sees_what_breaks_it() {
    let db = Db::sqlite().await;
    let before = Schema::of(&db).await;
    for change in [
        "ALTER TABLE chats ADD COLUMN topic TEXT",
        "CREATE UNIQUE INDEX extra ON chats (owner)",
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id)) STRICT",
    ] {
        db.execute(change).await;
    }

    let offences = differences(&before, &Schema::of(&db).await);

    assert_eq!(
        offences,
        [
            "SQLite has chats.topic as None, not Column { kind: \"text\", nullable: true }",
            "SQLite has no table notes",
            "SQLite has no unique (owner)  in chats",
            "SQLite has no unique (id)  in notes",
            "SQLite has no notes(id) references tenants(id) on delete NO ACTION",
        ]
    );
}
