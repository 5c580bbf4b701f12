//! A tenant's rows, read past the store.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};
use stationmaster::config::DatabaseUrl;

use crate::harness::database::Raw;
use crate::harness::service::TestDatabase;

/// Each table that holds something of tenants, and the column that says whose.
struct Table {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! tables {
    ($($name:literal by $column:literal,)+) => {
        const TABLES: &[Table] = &[$(Table {
            name: $name,
            sqlite: concat!("SELECT * FROM ", $name, " WHERE ", $column, " = $1 ORDER BY 1, 2, 3"),
            // A sighting of a key is noted some time after the call.
            postgres: concat!(
                "SELECT CAST(to_jsonb(t) - 'last_used_at' AS TEXT) FROM ", $name, " t WHERE ",
                $column, " = $1 ORDER BY 1"
            ),
        },)+];
    };
}

tables! {
    "tenants" by "id",
    "data_keys" by "tenant",
    "api_keys" by "tenant",
    "servers" by "tenant",
    "registrations" by "tenant",
    "connections" by "tenant",
    "connection_tombstones" by "tenant",
    "identities" by "tenant",
    "identity_tombstones" by "tenant",
    "handshakes" by "tenant",
    "identity_keys" by "tenant",
    "retired_clients" by "tenant",
    "revocations" by "tenant",
    "chats" by "tenant",
    "chat_servers" by "tenant",
    "user_headers" by "tenant",
    "user_header_versions" by "tenant",
    "subchats" by "tenant",
    "subchat_servers" by "tenant",
    "subchat_inline_servers" by "tenant",
    "inline_servers" by "tenant",
    "requests" by "tenant",
    "changes" by "tenant",
    "audit_events" by "tenant",
}

/// What belongs to no tenant.
const SHARED: [&str; 3] = ["_sqlx_migrations", "feed_heads", "root_keys"];

/// A connection past the store of a service that may be running.
pub(crate) async fn raw(database: &TestDatabase) -> Raw {
    match &database.settings(&[]).database.url {
        DatabaseUrl::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path);
            Raw::Sqlite(options.connect().await.unwrap())
        }
        DatabaseUrl::Postgres(url) => {
            Raw::Postgres(PgConnection::connect(url.as_str()).await.unwrap())
        }
    }
}

/// Every row of a tenant, as text, table by table.
pub(crate) async fn dump(raw: &mut Raw, tenant: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        let name = table.name;
        match raw {
            Raw::Postgres(conn) => {
                let found: Vec<String> = sqlx::query_scalar(table.postgres)
                    .bind(tenant)
                    .fetch_all(conn)
                    .await
                    .unwrap();
                rows.extend(found.into_iter().map(|row| format!("{name} {row}")));
            }
            Raw::Sqlite(conn) => {
                let found = sqlx::query(table.sqlite).bind(tenant).fetch_all(conn).await;
                rows.extend(
                    found
                        .unwrap()
                        .iter()
                        .map(|row| format!("{name} {}", text(row))),
                );
            }
        }
    }
    rows
}

fn text(row: &sqlx::sqlite::SqliteRow) -> String {
    use sqlx::Column as _;
    let columns = row.columns().iter();
    let columns = columns.filter(|column| column.name() != "last_used_at");
    let columns = columns.map(|column| {
        let value: Option<Vec<u8>> = row.get_unchecked(column.ordinal());
        let value = value.map(|bytes| bytes.escape_ascii().to_string());
        format!("{}={value:?}", column.name())
    });
    columns.collect::<Vec<_>>().join(" ")
}

/// How many records of one refusal there are: this caller, this method, this tenant's trail.
pub(crate) async fn refusals(
    raw: &mut Raw,
    tenant: &str,
    principal: &str,
    (request_id, path): (&str, &str),
) -> i64 {
    const COUNT: &str = "SELECT COUNT(*) FROM audit_events WHERE tenant = $1 AND principal = $2 \
        AND request_id = $3 AND subject = $4 AND action = 'access.refuse' \
        AND verdict = 'refused'";
    match raw {
        Raw::Sqlite(conn) => {
            let query = sqlx::query_scalar(COUNT).bind(tenant).bind(principal);
            query.bind(request_id).bind(path).fetch_one(conn).await
        }
        Raw::Postgres(conn) => {
            let query = sqlx::query_scalar(COUNT).bind(tenant).bind(principal);
            query.bind(request_id).bind(path).fetch_one(conn).await
        }
    }
    .unwrap()
}

#[tokio::test]
async fn a_dump_reads_every_table_there_is() {
    const NAMES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";

    let db = crate::harness::database::Db::sqlite().await;
    let Raw::Sqlite(mut conn) = db.raw().await else {
        panic!("it is on SQLite");
    };
    let there: Vec<String> = sqlx::query_scalar(NAMES)
        .fetch_all(&mut conn)
        .await
        .unwrap();

    let mut read: Vec<_> = TABLES.iter().map(|table| table.name).collect();
    read.extend(SHARED);
    read.sort_unstable();
    assert_eq!(there, read);
}
