//! Values that users supply for headers of servers: set, cleared, told of, never told.
//!
//! A value is for the headers that a server declares, and for the origin it is at: what changes either
//! takes the values that no longer fit with it ([`end_values`]). Whoever writes values holds the server,
//! so that none comes to be for what the server was before.

use std::collections::HashSet;

use super::access::check_actor;
use super::error::{Error, Result};
use super::servers::{ServerRef, find, find_touchable, may_see};
use super::vault::Unopened;
use super::{App, Written};
use crate::domain::access::{Actor, Caller};
use crate::domain::audit::NewAuditEvent;
use crate::domain::changes::{Owner, Revision};
use crate::domain::ids::{HeaderValueId, ServerId};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::secrets::HeaderSecret;
use crate::domain::servers::{Consequences, Server, UserHeader};
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;
use crate::domain::time::Timestamp;
use crate::domain::user_headers::{HeaderEdit, HeaderValue, Supplied, check_declared, missing};
use crate::store::{self, Read, Write};

/// How often values are sealed and judged anew when their server changes at the same time.
const TRIES: usize = 4;

/// What edits come to, sealed.
struct SealedEdits {
    set: Vec<HeaderValue>,
    /// Names in lower case.
    clear: Vec<String>,
}

impl App {
    /// Sets and clears values of a user for headers that a server declares; all of them or none. Those not
    /// named stay. Answers every declared header.
    pub async fn set_user_headers(
        &self,
        caller: &Caller,
        actor: &Actor,
        server: &ServerRef,
        edits: &[HeaderEdit],
    ) -> Result<Written<Vec<Supplied>>> {
        check_actor(caller, Some(actor))?;
        for _ in 0..TRIES {
            let mut tx = self.0.store.read().await?;
            let server = seen(&mut tx, caller, actor, server).await?;
            drop(tx);
            check_declared(edits, &server.spec.auth.user_headers()).or(())?;
            let sealed = self.seal_values(&server, &actor.user, edits).await?;
            if let Some(written) = self.try_set(caller, actor, &server, &sealed).await? {
                return Ok(written);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict))
    }

    async fn seal_values(
        &self,
        server: &Server,
        user: &UserId,
        edits: &[HeaderEdit],
    ) -> Result<SealedEdits> {
        let mut sealed = SealedEdits {
            set: Vec::new(),
            clear: Vec::new(),
        };
        for edit in edits {
            let name = edit.name.to_ascii_lowercase();
            let Some(value) = &edit.value else {
                sealed.clear.push(name);
                continue;
            };
            let id = HeaderValueId::mint(&*self.0.clock, &*self.0.random);
            let row = id.to_string();
            let place = place(&server.tenant, user, &row);
            sealed.set.push(HeaderValue {
                id,
                tenant: server.tenant.clone(),
                user: user.clone(),
                server: server.id,
                name,
                value: self.0.vault.seal(&place, value).await?,
                updated_at: self.0.clock.now(),
            });
        }
        Ok(sealed)
    }

    /// One try; `None` when the server is not as it was judged.
    async fn try_set(
        &self,
        caller: &Caller,
        actor: &Actor,
        server: &Server,
        sealed: &SealedEdits,
    ) -> Result<Option<Written<Vec<Supplied>>>> {
        let (tenant, owner) = (&server.tenant, owner(&actor.user, server.id));
        let mut event = self.event(tenant, caller.origin(), "user_headers.set", server.id);
        let mut tx = self.0.store.write().await?;
        tx.servers_mut().hold(tenant, server.id).await?;
        let there = tx.servers().get(tenant, server.id).await?;
        if there.as_ref() != Some(server) {
            return Ok(None);
        }
        let mut values = tx.user_headers_mut();
        let cleared = values
            .update(tenant, &owner, &sealed.set, &sealed.clear)
            .await?;
        let set = tx.user_headers().list_set(tenant, &owner).await?;
        let value = supplied(&server.spec.auth.user_headers(), &set);
        if sealed.set.is_empty() && cleared.is_empty() {
            let revision = tx.feed().head(tenant).await?;
            return Ok(Some(Written { value, revision }));
        }
        let names = sealed.set.iter().map(|value| value.name.as_str());
        event.user = Some(actor.user.to_string());
        event.detail = serde_json::json!({
            "set": names.collect::<Vec<_>>(),
            "cleared": cleared,
        });
        let revision = tx.commit(&event).await?;
        Ok(Some(Written { value, revision }))
    }

    /// Every header that a server declares, and which of them the user supplied.
    pub async fn get_user_headers(
        &self,
        caller: &Caller,
        actor: &Actor,
        server: &ServerRef,
    ) -> Result<Vec<Supplied>> {
        check_actor(caller, Some(actor))?;
        let mut tx = self.0.store.read().await?;
        let server = seen(&mut tx, caller, actor, server).await?;
        let owner = owner(&actor.user, server.id);
        let set = tx.user_headers().list_set(&server.tenant, &owner).await?;
        Ok(supplied(&server.spec.auth.user_headers(), &set))
    }

    /// Forgets all values of a user for a server. Idempotent, works after access was lost, and answers the
    /// same whether there were values, a server, or neither.
    pub async fn delete_user_headers(
        &self,
        caller: &Caller,
        actor: &Actor,
        server: &str,
    ) -> Result<Revision> {
        check_actor(caller, Some(actor))?;
        let mut tx = self.0.store.read().await?;
        let found = find_touchable(&mut tx, caller, server).await?;
        let revision = tx.feed().head(&caller.tenant).await?;
        drop(tx);
        let Some(server) = found else {
            return Ok(revision);
        };
        let (tenant, owner) = (&server.tenant, owner(&actor.user, server.id));
        let mut event = self.event(tenant, caller.origin(), "user_headers.delete", server.id);
        let mut tx = self.0.store.write().await?;
        tx.servers_mut().hold(tenant, server.id).await?;
        let gone = tx.user_headers().list_set(tenant, &owner).await?;
        if tx.user_headers_mut().delete(tenant, &owner).await? == 0 {
            return Ok(tx.feed().head(tenant).await?);
        }
        let names = gone.iter().map(|(name, _)| name.as_str());
        event.user = Some(actor.user.to_string());
        event.detail = serde_json::json!({ "cleared": names.collect::<Vec<_>>() });
        Ok(tx.commit(&event).await?)
    }

    /// Opens a stored value.
    pub(super) async fn open_header_value(
        &self,
        stored: &HeaderValue,
    ) -> std::result::Result<HeaderSecret, Unopened> {
        let row = stored.id.to_string();
        let place = place(&stored.tenant, &stored.user, &row);
        self.0.vault.open(&place, &stored.value).await
    }
}

fn place<'a>(tenant: &'a TenantId, user: &'a UserId, row: &'a str) -> Place<'a> {
    Place {
        tenant,
        column: SealedColumn::UserHeaderValue,
        row,
        owner: user.as_str(),
    }
}

pub(super) fn owner(user: &UserId, server: ServerId) -> Owner {
    Owner {
        user: user.clone(),
        server,
    }
}

/// The server of this name, if it is on and the actor may use it.
async fn seen(tx: &mut Read, caller: &Caller, actor: &Actor, server: &ServerRef) -> Result<Server> {
    let found = find(tx, &caller.tenant, server).await?;
    let visible = |server: &Server| server.spec.enabled && may_see(caller, Some(actor), server);
    found.filter(visible).ok_or(Error::ServerNotFound)
}

fn supplied(declared: &[UserHeader], set: &[(String, Timestamp)]) -> Vec<Supplied> {
    let supplied = declared.iter().map(|header| {
        let key = header.key();
        let at = set.iter().find(|(name, _)| *name == key);
        Supplied {
            header: header.clone(),
            set_at: at.map(|(_, at)| *at),
        }
    });
    supplied.collect()
}

/// Which headers of which servers somebody supplied values for.
#[derive(Debug, Default)]
pub(super) struct Held(HashSet<(ServerId, String)>);

impl Held {
    /// What a user supplied, read only where one of these servers asks for anything.
    pub(super) async fn by(
        tx: &mut Read,
        tenant: &TenantId,
        user: Option<&UserId>,
        servers: &[Server],
    ) -> Result<Self> {
        let asks = |server: &Server| !server.spec.auth.user_headers().is_empty();
        let Some(user) = user.filter(|_| servers.iter().any(asks)) else {
            return Ok(Self::default());
        };
        let names = tx.user_headers().list_names_of_user(tenant, user).await?;
        Ok(Self(names.into_iter().collect()))
    }

    /// Whether all is there that a server cannot be used without.
    pub(super) fn suffices(&self, server: &Server) -> bool {
        let held = |name: &str| self.0.contains(&(server.id, name.to_owned()));
        missing(&server.spec.auth.user_headers(), held).is_empty()
    }
}

/// Takes away the values that the update of a server leaves no header for, and all where they would be
/// sent to another origin. Answers, and notes in the record of the update, how many.
pub(super) async fn end_values(
    tx: &mut Write,
    updated: &Server,
    entails: Consequences,
    event: &mut NewAuditEvent,
) -> Result<usize> {
    let kept: Vec<String> = if entails.clears_auth || entails.clears_header_secrets {
        Vec::new()
    } else {
        let declared = updated.spec.auth.user_headers();
        declared.iter().map(UserHeader::key).collect()
    };
    let mut values = tx.user_headers_mut();
    let gone = values.delete_undeclared(&updated.tenant, updated.id, &kept);
    let gone = gone.await?;
    event.detail["header_values"] = gone.into();
    Ok(gone)
}
