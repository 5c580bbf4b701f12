//! `tenant …`: the organisations everything belongs to.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::caller::{As, Caller};
use super::output::{Output, fields, table};
use super::pages::{Page, Pages, more};
use super::show::{time, word};
use crate::client::{answer, v1};

/// `tenant …`.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a tenant; its slug is its name for good
    #[command(after_long_help = "Example:\n  stationmaster tenant create acme --name 'Acme Inc.'")]
    Create {
        /// Its slug: lower-case letters, digits and dashes
        // An id of its own: `tenant` is the global flag that says which tenant a call is about.
        #[arg(id = "slug", value_name = "TENANT")]
        tenant: String,
        /// What people see [default: the slug]
        #[arg(long)]
        name: Option<String>,
        /// A UUID that makes repeating this command harmless
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
    /// List tenants
    #[command(after_long_help = "Example:\n  stationmaster tenant list")]
    List {
        /// Also those that are being deleted, or are deleted
        #[arg(long)]
        show_deleted: bool,
        #[command(flatten)]
        pages: Pages,
    },
    /// Show one tenant
    #[command(after_long_help = "Example:\n  stationmaster tenant get acme")]
    Get {
        /// Its slug [default: one's own]
        #[arg(id = "slug", value_name = "TENANT")]
        tenant: Option<String>,
    },
    /// Delete a tenant and everything in it, for good
    #[command(after_long_help = "Example:\n  stationmaster tenant delete acme --yes")]
    Delete {
        /// Its slug
        #[arg(id = "slug", value_name = "TENANT")]
        tenant: String,
        /// Really
        #[arg(long, required = true)]
        yes: bool,
        /// Only if this is still its version
        #[arg(long)]
        etag: Option<String>,
    },
}

impl Command {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let client = self.caller.client(As::Administrator).await?;
        let mut tenants = client.tenants();
        match self.action {
            Action::Create {
                tenant,
                name,
                request_id,
            } => {
                let request = v1::CreateTenantRequest {
                    tenant_id: tenant,
                    display_name: name.unwrap_or_default(),
                    request_id: request_id.unwrap_or_default(),
                };
                let made = answer(tenants.create_tenant(request)).await?;
                out.answer(&made, |made| one(made.tenant.as_ref()));
            }
            Action::List {
                show_deleted,
                pages,
            } => {
                let page = async |page: Page| {
                    let request = v1::ListTenantsRequest {
                        page_size: page.size,
                        page_token: page.token,
                        show_deleted,
                    };
                    let found = answer(client.tenants().list_tenants(request)).await?;
                    Ok((found.tenants, found.next_page_token))
                };
                let (tenants, next_page_token) = pages.collect(page).await?;
                let found = v1::ListTenantsResponse {
                    tenants,
                    next_page_token,
                };
                out.answer(&found, |found| {
                    let rows = found.tenants.iter().map(|tenant| {
                        let made = time(tenant.create_time.as_ref());
                        [
                            tenant.id.clone(),
                            tenant.display_name.clone(),
                            state(tenant),
                            made,
                        ]
                    });
                    let head = ["TENANT", "NAME", "STATE", "CREATED"];
                    more(table(head, rows), &found.next_page_token)
                });
            }
            Action::Get { tenant } => {
                let request = v1::GetTenantRequest {
                    tenant: tenant.unwrap_or_default(),
                };
                let found = answer(tenants.get_tenant(request)).await?;
                out.answer(&found, |found| one(found.tenant.as_ref()));
            }
            Action::Delete {
                tenant,
                yes: _,
                etag,
            } => {
                let request = v1::DeleteTenantRequest {
                    tenant,
                    etag: etag.unwrap_or_default(),
                };
                let deleted = answer(tenants.delete_tenant(request)).await?;
                out.answer(&deleted, |deleted| one(deleted.tenant.as_ref()));
            }
        }
        Ok(())
    }
}

fn one(tenant: Option<&v1::Tenant>) -> String {
    let tenant = tenant.cloned().unwrap_or_default();
    fields([
        ("tenant", tenant.id.clone()),
        ("name", tenant.display_name.clone()),
        ("state", state(&tenant)),
        ("created", time(tenant.create_time.as_ref())),
        ("deleted", time(tenant.delete_time.as_ref())),
    ])
}

fn state(tenant: &v1::Tenant) -> String {
    word(tenant.state().as_str_name(), "TENANT_STATE")
}
