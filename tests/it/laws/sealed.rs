//! Sealed columns: each beside the key that opens it, each known to the rotation of keys.

use std::collections::BTreeSet;

use stationmaster::domain::keys::SealedColumn;

use super::schema::Schema;
use super::source::hold;
use crate::harness::database::Db;

/// Columns of bytes that are no sealed values: wrapped keys, and hashes.
const OPEN: [&str; 4] = ["canary", "fingerprint", "hash", "wrapped"];

fn offences(schema: &Schema, known: &[(&str, &str)]) -> Vec<String> {
    let mut offences = Vec::new();
    let mut sealed = BTreeSet::new();
    for reference in schema.references.iter().filter(|r| r.to == "data_keys(id)") {
        let (table, key) = (reference.table.as_str(), reference.columns.as_str());
        let column = key.strip_suffix("_key").unwrap_or_default();
        let found = schema.tables[table].get(column);
        if found.is_none_or(|column| column.kind != "bytes") {
            offences.push(format!("{table}.{key} stands beside no sealed column"));
        }
        if reference.on_delete != "RESTRICT" {
            offences.push(format!(
                "{table}.{key} does not keep its key from being deleted"
            ));
        }
        sealed.insert((table, column));
    }
    for (table, columns) in &schema.tables {
        for (name, _) in columns.iter().filter(|(_, column)| column.kind == "bytes") {
            let open = OPEN.contains(&name.as_str())
                || name.ends_with("_hash")
                || name.ends_with("_hashes");
            if !open && !sealed.contains(&(table.as_str(), name.as_str())) {
                offences.push(format!(
                    "{table}.{name} holds bytes and has no key beside it"
                ));
            }
        }
    }
    let known: BTreeSet<_> = known.iter().copied().collect();
    for (table, column) in sealed.symmetric_difference(&known) {
        offences.push(format!(
            "{table}.{column} is not both in the schema and in SealedColumn"
        ));
    }
    offences
}

fn known() -> Vec<(&'static str, &'static str)> {
    let name = |column: &SealedColumn| (column.table(), column.column());
    SealedColumn::ALL.iter().map(name).collect()
}

#[tokio::test]
async fn every_sealed_column_has_its_key_and_is_rotated() {
    for db in [Db::sqlite().await, Db::postgres().await] {
        let schema = Schema::of(&db).await;

        hold(
            "every sealed column has its key",
            &offences(&schema, &known()),
        );
    }
}

#[tokio::test]
async fn the_law_of_sealed_columns_sees_what_breaks_it() {
    let db = Db::sqlite().await;
    db.execute(
        "CREATE TABLE t (a BLOB, b_key TEXT REFERENCES data_keys (id) ON DELETE RESTRICT, c BLOB, \
         c_key TEXT REFERENCES data_keys (id)) STRICT",
    )
    .await;

    let offences = offences(&Schema::of(&db).await, &known());

    assert_eq!(
        offences,
        [
            "t.b_key stands beside no sealed column",
            "t.c_key does not keep its key from being deleted",
            "t.a holds bytes and has no key beside it",
            "t.b is not both in the schema and in SealedColumn",
            "t.c is not both in the schema and in SealedColumn",
        ]
    );
}
