//! The schema as each engine tells it, after migration, in words that both share.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, SqliteConnection};

use crate::harness::database::{Db, Raw};

/// A column, its kind, and whether it may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) kind: String,
    pub(crate) nullable: bool,
}

/// A reference to another table, and what becomes of the row when that one goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) table: String,
    pub(crate) columns: String,
    pub(crate) to: String,
    pub(crate) on_delete: String,
}

/// The tables of a migrated database.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) tables: BTreeMap<String, BTreeMap<String, Column>>,
    /// Table, columns in order, and `where` for those that hold for some rows only.
    pub(crate) unique: BTreeSet<(String, String, String)>,
    pub(crate) references: BTreeSet<Reference>,
}

type ColumnRow = (String, String, String, bool);
type UniqueRow = (String, String, bool);
type ReferenceRow = (String, String, String, String);

const SQLITE_COLUMNS: &str = "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0 \
    FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
    WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE '%sqlite%' \
    AND t.name NOT LIKE '%sqlx%'";
const SQLITE_UNIQUE: &str = "SELECT t.name, (SELECT group_concat(i.name, ',') \
    FROM pragma_index_info(l.name) i), l.partial FROM pragma_table_list t \
    JOIN pragma_index_list(t.name) l WHERE l.\"unique\" AND t.schema = 'main' \
    AND t.name NOT LIKE '%sqlx%' \
    UNION SELECT t.name, c.name, 0 FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
    WHERE t.schema = 'main' AND t.name NOT LIKE '%sqlite%' AND t.name NOT LIKE '%sqlx%' \
    AND c.pk = 1 AND (SELECT COUNT(*) FROM pragma_table_info(t.name) WHERE pk > 0) = 1";
const SQLITE_REFERENCES: &str = "SELECT t.name, group_concat(f.\"from\", ','), \
    f.\"table\" || '(' || group_concat(f.\"to\", ',') || ')', f.on_delete \
    FROM pragma_table_list t JOIN pragma_foreign_key_list(t.name) f \
    WHERE t.schema = 'main' GROUP BY t.name, f.id";

const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text, data_type::text, \
    is_nullable = 'YES' FROM information_schema.columns \
    WHERE table_schema = 'public' AND table_name NOT LIKE '%sqlx%'";
const POSTGRES_UNIQUE: &str = "SELECT t.relname::text, (SELECT string_agg(a.attname, ',' ORDER BY k.place) \
    FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place) \
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number), i.indpred IS NOT NULL \
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid \
    JOIN pg_namespace n ON n.oid = t.relnamespace \
    WHERE i.indisunique AND n.nspname = 'public' AND t.relname NOT LIKE '%sqlx%'";
const POSTGRES_REFERENCES: &str = "SELECT t.relname::text, \
    (SELECT string_agg(a.attname, ',' ORDER BY k.place) \
        FROM unnest(c.conkey) WITH ORDINALITY AS k (number, place) \
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number), \
    o.relname || '(' || (SELECT string_agg(a.attname, ',' ORDER BY k.place) \
        FROM unnest(c.confkey) WITH ORDINALITY AS k (number, place) \
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number) || ')', \
    CASE c.confdeltype WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' \
        WHEN 'c' THEN 'CASCADE' ELSE 'SET' END \
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid \
    JOIN pg_class o ON o.oid = c.confrelid WHERE c.contype = 'f'";

impl Schema {
    /// The schema of a migrated database.
    pub(crate) async fn of(db: &Db) -> Self {
        let (columns, unique, references) = match db.raw().await {
            Raw::Sqlite(conn) => sqlite(conn).await,
            Raw::Postgres(conn) => postgres(conn).await,
        };
        let mut schema = Self::default();
        for (table, name, kind, nullable) in columns {
            let kind = kind_of(&kind);
            let columns = schema.tables.entry(table).or_default();
            columns.insert(name, Column { kind, nullable });
        }
        for (table, columns, partial) in unique {
            let part = if partial { "where" } else { "" };
            schema.unique.insert((table, columns, part.to_owned()));
        }
        for (table, columns, to, on_delete) in references {
            schema.references.insert(Reference {
                table,
                columns,
                to,
                on_delete,
            });
        }
        assert!(
            schema.tables.len() > 10,
            "a law that reads nothing holds nothing"
        );
        schema
    }
}

async fn sqlite(mut conn: SqliteConnection) -> (Vec<ColumnRow>, Vec<UniqueRow>, Vec<ReferenceRow>) {
    (
        sqlx::query_as(SQLITE_COLUMNS)
            .fetch_all(&mut conn)
            .await
            .unwrap(),
        sqlx::query_as(SQLITE_UNIQUE)
            .fetch_all(&mut conn)
            .await
            .unwrap(),
        sqlx::query_as(SQLITE_REFERENCES)
            .fetch_all(&mut conn)
            .await
            .unwrap(),
    )
}

async fn postgres(mut conn: PgConnection) -> (Vec<ColumnRow>, Vec<UniqueRow>, Vec<ReferenceRow>) {
    (
        sqlx::query_as(POSTGRES_COLUMNS)
            .fetch_all(&mut conn)
            .await
            .unwrap(),
        sqlx::query_as(POSTGRES_UNIQUE)
            .fetch_all(&mut conn)
            .await
            .unwrap(),
        sqlx::query_as(POSTGRES_REFERENCES)
            .fetch_all(&mut conn)
            .await
            .unwrap(),
    )
}

/// The five kinds of column, of which SQLite knows three.
fn kind_of(name: &str) -> String {
    match name.to_lowercase().as_str() {
        "bigint" | "boolean" | "integer" => "number".to_owned(),
        "bytea" | "blob" => "bytes".to_owned(),
        other => other.to_owned(),
    }
}
