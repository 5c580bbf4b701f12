//! Rows of MCP server configurations.

mod glimpse;
mod row;

use row::Row;

use super::columns::{Reading, sealed_columns, to_json};
use super::engine::{Tx, on, statements};
use super::error::{Result, conflict};
use crate::domain::changes::{ChangeKind, NewChange, Op};
use crate::domain::ids::ServerId;
use crate::domain::page::{Cursor, Page, PageRequest};
use crate::domain::servers::Server;
use crate::domain::tenants::TenantId;
use crate::domain::text::{Slug, UserId};
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, tenant, slug, display_name, description, icon_url, url, transport, enabled, \
         availability, allow_in_plan_mode, allow_in_subagents, model_intent, \
         forward_identity_headers, tools, access, managed_by, auth, discovered, client_secret, \
         client_secret_key, private_key, private_key_key, api_key, api_key_key, custom_headers, \
         custom_headers_key, signing_secret, signing_secret_key, idp_client_secret, \
         idp_client_secret_key, assertion, assertion_key, former_client_secret, \
         former_client_secret_key, former_client_secret_until, auth_version, version, created_by, \
         updated_by, created_at, updated_at, account_binding, identity_forwarding, owner"
    };
}

statements! {
    GET = concat!("SELECT ", columns!(), " FROM servers WHERE tenant = $1 AND id = $2");
    FIND_BY_SLUG = concat!("SELECT ", columns!(), " FROM servers WHERE tenant = $1 AND slug = $2");
    FIND_ANYWHERE = concat!("SELECT ", columns!(), " FROM servers WHERE id = $1");
    FIND_SLUG = "SELECT slug FROM servers WHERE tenant = $1 AND id = $2";
    GLIMPSE = "SELECT id, slug, display_name, enabled, availability, allow_in_plan_mode, allow_in_subagents, \
        access, owner FROM servers WHERE tenant = $1 AND id = $2";
    COUNT_BY_ID = "SELECT COUNT(*) FROM servers WHERE id = $1";
    LIST = concat!("SELECT ", columns!(), " FROM servers WHERE tenant = $1 \
        AND (display_name, id) > ($2, $3) ORDER BY display_name, id LIMIT $4");
    LIST_ENABLED = concat!("SELECT ", columns!(), " FROM servers WHERE tenant = $1 AND enabled \
        AND (owner IS NULL OR owner = $5) \
        AND (display_name, id) > ($2, $3) ORDER BY display_name, id LIMIT $4");
    LIST_SEEN = concat!("SELECT ", columns!(), " FROM servers WHERE tenant = $1 \
        AND ((owner IS NULL AND enabled) OR owner = $5) \
        AND (display_name, id) > ($2, $3) ORDER BY display_name, id LIMIT $4");
    LIST_OWNED = concat!("SELECT ", columns!(), " FROM servers WHERE tenant = $1 AND owner = $5 \
        AND (display_name, id) > ($2, $3) ORDER BY display_name, id LIMIT $4");
    COUNT_OF_OWNER = "SELECT COUNT(*) FROM servers WHERE tenant = $1 AND owner = $2";
    INSERT = concat!("INSERT INTO servers (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
        $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, \
        $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45)");
    UPDATE = "UPDATE servers SET slug = $3, display_name = $4, description = $5, icon_url = $6, url = $7, \
        transport = $8, enabled = $9, availability = $10, allow_in_plan_mode = $11, \
        allow_in_subagents = $12, model_intent = $13, forward_identity_headers = $14, tools = $15, \
        access = $16, managed_by = $17, auth = $18, discovered = $19, client_secret = $20, \
        client_secret_key = $21, private_key = $22, private_key_key = $23, api_key = $24, \
        api_key_key = $25, custom_headers = $26, custom_headers_key = $27, signing_secret = $28, \
        signing_secret_key = $29, idp_client_secret = $30, idp_client_secret_key = $31, \
        assertion = $32, assertion_key = $33, former_client_secret = $34, former_client_secret_key = $35, \
        former_client_secret_until = $36, auth_version = $37, version = version + 1, \
        updated_by = $38, updated_at = $39, account_binding = $41, identity_forwarding = $42 \
        WHERE id = $1 AND version = $2 AND tenant = $40";
    HOLD = "UPDATE servers SET version = version WHERE tenant = $1 AND id = $2";
    FORGET_FORMER = "UPDATE servers SET former_client_secret = NULL, former_client_secret_key = NULL, \
        former_client_secret_until = NULL WHERE former_client_secret_until <= $1";
    DELETE = "DELETE FROM servers WHERE tenant = $1 AND id = $2 AND version = $3";
    DELETE_UNREAD = "DELETE FROM servers WHERE tenant = $1 AND owner = $2 AND id = $3";
}

/// Which servers of a list are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// Those that are switched on, of everybody's and of this user's own.
    Enabled(Option<&'a UserId>),
    /// Of everybody's those that are switched on, and all of this user's own.
    Seen(&'a UserId),
    /// All of this user's own.
    Owned(&'a UserId),
}

/// Reads servers.
#[derive(Debug)]
pub struct Reader<'t>(pub(super) &'t mut Tx);

impl Reader<'_> {
    /// The server with this id.
    pub async fn get(&mut self, tenant: &TenantId, id: ServerId) -> Result<Option<Server>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GET)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(Server::try_from).transpose()
    }

    /// Whether an id is taken, in whatever tenant.
    pub async fn exists(&mut self, id: ServerId) -> Result<bool> {
        let count: i64 = on!(&mut *self.0, |conn| sqlx::query_scalar(COUNT_BY_ID)
            .bind(id.to_string())
            .fetch_one(conn)
            .await)?;
        Ok(count > 0)
    }

    /// The server with this id, in whatever tenant: for what everybody may know of it.
    pub async fn find_anywhere(&mut self, id: ServerId) -> Result<Option<Server>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(FIND_ANYWHERE)
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        row.map(Server::try_from).transpose()
    }

    /// The server with this slug.
    pub async fn find_by_slug(&mut self, tenant: &TenantId, slug: &Slug) -> Result<Option<Server>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(FIND_BY_SLUG)
            .bind(tenant.as_str())
            .bind(slug.as_str())
            .fetch_optional(conn)
            .await)?;
        row.map(Server::try_from).transpose()
    }

    /// How many personal servers a user has.
    pub async fn count_of_owner(&mut self, tenant: &TenantId, owner: &UserId) -> Result<i64> {
        let count: i64 = on!(&mut *self.0, |conn| sqlx::query_scalar(COUNT_OF_OWNER)
            .bind(tenant.as_str())
            .bind(owner.as_str())
            .fetch_one(conn)
            .await)?;
        Ok(count)
    }

    /// The slug of the server with this id, whatever else its row holds.
    pub async fn find_slug(&mut self, tenant: &TenantId, id: ServerId) -> Result<Option<Slug>> {
        let slug: Option<String> = on!(&mut *self.0, |conn| sqlx::query_scalar(FIND_SLUG)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .fetch_optional(conn)
            .await)?;
        let reading = Reading {
            table: "servers",
            id: &id.to_string(),
        };
        let slug = slug.map(|slug| reading.some("slug", Slug::parse(&slug).ok()));
        slug.transpose()
    }

    /// A page of servers by (display name, id). A row that cannot be read is an error of its own.
    pub async fn list(
        &mut self,
        tenant: &TenantId,
        which: Which<'_>,
        page: &PageRequest,
    ) -> Result<Page<Result<Server>>> {
        let (statement, owner) = match which {
            Which::All => (LIST, None),
            Which::Enabled(owner) => (LIST_ENABLED, owner),
            Which::Seen(owner) => (LIST_SEEN, Some(owner)),
            Which::Owned(owner) => (LIST_OWNED, Some(owner)),
        };
        let (name, id) = page.start();
        let rows: Vec<Row> = on!(&mut *self.0, |conn| {
            let mut query = sqlx::query_as(statement)
                .bind(tenant.as_str())
                .bind(name)
                .bind(id)
                .bind(page.size.saturating_add(1));
            if which != Which::All {
                query = query.bind(owner.map(UserId::as_str));
            }
            query.fetch_all(conn).await
        })?;
        let page = Page::of(rows, page.size, |row: &Row| Cursor {
            key: row.display_name.clone(),
            id: row.id.clone(),
        });
        Ok(page.map(Server::try_from))
    }
}

/// Changes servers.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) changes: &'t mut Vec<NewChange>,
}

/// Binds what creation and update have in common, from the slug to the last sealed column.
macro_rules! bind_spec {
    ($query:expr, $server:expr) => {{
        let spec = &$server.spec;
        let secrets = &$server.secrets;
        let (client_secret, client_secret_key) = sealed_columns(secrets.client_secret.as_ref());
        let (private_key, private_key_key) = sealed_columns(secrets.private_key.as_ref());
        let (api_key, api_key_key) = sealed_columns(secrets.api_key.as_ref());
        let (custom_headers, custom_headers_key) = sealed_columns(secrets.custom_headers.as_ref());
        let (signing_secret, signing_secret_key) = sealed_columns(secrets.signing_secret.as_ref());
        let (idp_client_secret, idp_client_secret_key) =
            sealed_columns(secrets.idp_client_secret.as_ref());
        let (assertion, assertion_key) = sealed_columns(secrets.assertion.as_ref());
        let former = secrets.former_client_secret.as_ref();
        let until = former.map(|former| former.until.as_micros());
        let (former, former_key) = sealed_columns(former.map(|former| &former.secret));
        $query
            .bind(spec.slug.as_str())
            .bind(&spec.display_name)
            .bind(&spec.description)
            .bind(&spec.icon_url)
            .bind(&spec.url)
            .bind(spec.transport.as_str())
            .bind(spec.enabled)
            .bind(spec.availability.as_str())
            .bind(spec.allow_in_plan_mode)
            .bind(spec.allow_in_subagents)
            .bind(spec.model_intent)
            .bind(spec.forward_identity_headers)
            .bind(to_json(&spec.tools))
            .bind(to_json(&spec.access))
            .bind(&spec.managed_by)
            .bind(to_json(&spec.auth))
            .bind($server.discovered.as_ref().map(to_json))
            .bind(client_secret)
            .bind(client_secret_key)
            .bind(private_key)
            .bind(private_key_key)
            .bind(api_key)
            .bind(api_key_key)
            .bind(custom_headers)
            .bind(custom_headers_key)
            .bind(signing_secret)
            .bind(signing_secret_key)
            .bind(idp_client_secret)
            .bind(idp_client_secret_key)
            .bind(assertion)
            .bind(assertion_key)
            .bind(former)
            .bind(former_key)
            .bind(until)
            .bind($server.auth_version)
    }};
}

impl Writer<'_> {
    fn changed(&mut self, tenant: &TenantId, id: ServerId, op: Op) {
        let subject = id.to_string();
        self.changes.push(NewChange {
            tenant: tenant.clone(),
            kind: ChangeKind::Server,
            subject,
            op,
            owner: None,
        });
    }

    /// Adds a server. A slug or id in use is a conflict; look at which before.
    pub async fn insert(&mut self, server: &Server) -> Result<()> {
        on!(&mut *self.tx, |conn| {
            let query = sqlx::query(INSERT)
                .bind(server.id.to_string())
                .bind(server.tenant.as_str());
            bind_spec!(query, server)
                .bind(server.version)
                .bind(&server.created_by)
                .bind(&server.updated_by)
                .bind(server.created_at.as_micros())
                .bind(server.updated_at.as_micros())
                .bind(server.spec.account_binding.as_ref().map(to_json))
                .bind(server.spec.identity_forwarding.as_ref().map(to_json))
                .bind(server.owner.as_ref().map(UserId::as_str))
                .execute(conn)
                .await
                .map(drop)
        })
        .map_err(conflict)?;
        self.changed(&server.tenant, server.id, Op::Put);
        Ok(())
    }

    /// Writes a server whose `version` is the one it was read with; whose it is stays. `false` when it changed since;
    /// a slug in use is a conflict.
    pub async fn update(&mut self, server: &Server) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| {
            let query = sqlx::query(UPDATE)
                .bind(server.id.to_string())
                .bind(server.version);
            bind_spec!(query, server)
                .bind(&server.updated_by)
                .bind(server.updated_at.as_micros())
                .bind(server.tenant.as_str())
                .bind(server.spec.account_binding.as_ref().map(to_json))
                .bind(server.spec.identity_forwarding.as_ref().map(to_json))
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
        })
        .map_err(conflict)?;
        if rows == 1 {
            self.changed(&server.tenant, server.id, Op::Put);
        }
        Ok(rows == 1)
    }

    /// Keeps others from changing or deleting a server until this transaction ends: what is read of
    /// it from here on stays so. `false` when there is none.
    pub async fn hold(&mut self, tenant: &TenantId, id: ServerId) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(HOLD)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Deletes a server with its registrations, connections, handshakes and places in chats.
    /// `false` when there is none at this version.
    pub async fn delete(&mut self, tenant: &TenantId, id: ServerId, version: i64) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(DELETE)
            .bind(tenant.as_str())
            .bind(id.to_string())
            .bind(version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.changed(tenant, id, Op::Delete);
        }
        Ok(rows == 1)
    }
}

/// What cannot be read.
impl Writer<'_> {
    /// Deletes a user's personal server by the id that a complaint about its row names, with everything that
    /// [`Self::delete`] deletes. `false` when there is none.
    pub async fn delete_unread(
        &mut self,
        tenant: &TenantId,
        owner: &UserId,
        id: &str,
    ) -> Result<bool> {
        let rows = on!(&mut *self.tx, |conn| sqlx::query(DELETE_UNREAD)
            .bind(tenant.as_str())
            .bind(owner.as_str())
            .bind(id)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        if rows == 1
            && let Ok(id) = id.parse()
        {
            self.changed(tenant, id, Op::Delete);
        }
        Ok(rows == 1)
    }
}

/// Forgets.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Forgets the former secrets of clients that are not tried any more. Nobody sees a difference.
    pub async fn forget_former_secrets(&mut self, now: Timestamp) -> Result<u64> {
        let rows = on!(&mut *self.0, |conn| sqlx::query(FORGET_FORMER)
            .bind(now.as_micros())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows)
    }
}
