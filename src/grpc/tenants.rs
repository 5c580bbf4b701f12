//! `TenantService`: the organisations everything belongs to.

use tonic::{Request, Response, Status, async_trait};

use super::call::Call;
use super::convert::{all, next_token, once, page, refuse_later, timestamp};
use crate::app::{App, Result as Done};
use crate::domain::access::{Caller, Role};
use crate::domain::tenants::{Tenant, TenantId, TenantState};
use crate::domain::text::{self, InvalidText, Violations};
use crate::pb::v1 as pb;
use crate::pb::v1::tenant_service_server::TenantService;

/// The service.
#[derive(Debug)]
pub(super) struct Tenants(pub(super) App);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl TenantService for Tenants {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Answer<pb::CreateTenantResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("tenant", &ask.tenant_id);
        call.answer(create(&self.0, &call.caller, ask).await)
    }

    async fn get_tenant(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Answer<pb::GetTenantResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("tenant", &ask.tenant);
        call.answer(get(&self.0, &call.caller, &ask.tenant).await)
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Answer<pb::ListTenantsResponse> {
        let (call, ask) = Call::open(request)?;
        call.answer(list(&self.0, &ask).await)
    }

    async fn delete_tenant(
        &self,
        request: Request<pb::DeleteTenantRequest>,
    ) -> Answer<pb::DeleteTenantResponse> {
        let (mut call, ask) = Call::open(request)?;
        call.naming("tenant", &ask.tenant);
        call.answer(delete(&self.0, &call.caller, &ask).await)
    }
}

/// A tenant as stored.
fn tenant(tenant: &Tenant) -> pb::Tenant {
    let (state, delete_time) = match tenant.state {
        TenantState::Active => (pb::TenantState::Active, None),
        TenantState::Deleting => (pb::TenantState::Deleting, Some(tenant.updated_at)),
        TenantState::Deleted => (pb::TenantState::Deleted, Some(tenant.updated_at)),
    };
    pb::Tenant {
        id: tenant.id.to_string(),
        display_name: tenant.display_name.clone(),
        state: state.into(),
        create_time: Some(timestamp(tenant.created_at)),
        update_time: Some(timestamp(tenant.updated_at)),
        delete_time: delete_time.map(timestamp),
        etag: String::new(),
    }
}

async fn create(
    app: &App,
    caller: &Caller,
    mut ask: pb::CreateTenantRequest,
) -> Done<pb::CreateTenantResponse> {
    let mut found = Violations::new();
    let request_id = std::mem::take(&mut ask.request_id);
    let once = once(&mut found, &request_id, &ask);
    let id = found.keep("tenant_id", TenantId::parse(&ask.tenant_id));
    let name = found.keep("display_name", text::line(&ask.display_name, 200));
    let (id, name) = all(found, id.zip(name))?;
    let name = if name.is_empty() {
        id.to_string()
    } else {
        name
    };
    let written = app.create_tenant(caller, id, name, once).await?;
    Ok(pb::CreateTenantResponse {
        tenant: Some(tenant(&written.value)),
        revision: written.revision.0,
    })
}

async fn get(app: &App, caller: &Caller, named: &str) -> Done<pb::GetTenantResponse> {
    let mut found = Violations::new();
    let id = match (named, caller.role) {
        ("", Role::Operator) => {
            found.add("tenant", InvalidText::Empty.to_string());
            None
        }
        ("", Role::Admin | Role::Auditor | Role::Daemon | Role::User) => {
            Some(caller.tenant.clone())
        }
        (named, _) => found.keep("tenant", TenantId::parse(named)),
    };
    let id = all(found, id)?;
    let read = app.get_tenant(caller, &id).await?;
    Ok(pb::GetTenantResponse {
        tenant: Some(tenant(&read)),
    })
}

async fn list(app: &App, ask: &pb::ListTenantsRequest) -> Done<pb::ListTenantsResponse> {
    let mut found = Violations::new();
    refuse_later(&mut found, "show_deleted", ask.show_deleted);
    let page = page(&mut found, ask.page_size, &ask.page_token);
    let page = app.list_tenants(&all(found, page)?).await?;
    Ok(pb::ListTenantsResponse {
        tenants: page.entries.iter().map(tenant).collect(),
        next_page_token: next_token(page.next.as_ref()),
    })
}

async fn delete(
    app: &App,
    caller: &Caller,
    ask: &pb::DeleteTenantRequest,
) -> Done<pb::DeleteTenantResponse> {
    let mut found = Violations::new();
    refuse_later(&mut found, "etag", !ask.etag.is_empty());
    let id = found.keep("tenant", TenantId::parse(&ask.tenant));
    let written = app.delete_tenant(caller, &all(found, id)?).await?;
    Ok(pb::DeleteTenantResponse {
        tenant: Some(tenant(&written.value)),
        revision: written.revision.0,
    })
}
