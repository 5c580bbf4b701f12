//! How a row of servers is read.

use sqlx::FromRow;

use crate::domain::servers::{Availability, FormerSecret, SealedSecrets, Server, Spec, Transport};
use crate::domain::text::Slug;
use crate::domain::time::Timestamp;
use crate::store::columns::{Reading, time};
use crate::store::error::{Error, Result};

#[derive(FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "the columns of the table")]
pub(super) struct Row {
    pub(super) id: String,
    tenant: String,
    slug: String,
    pub(super) display_name: String,
    description: String,
    icon_url: String,
    url: String,
    transport: String,
    enabled: bool,
    availability: String,
    allow_in_plan_mode: bool,
    allow_in_subagents: bool,
    model_intent: bool,
    forward_identity_headers: bool,
    tools: String,
    access: String,
    managed_by: String,
    auth: String,
    account_binding: Option<String>,
    identity_forwarding: Option<String>,
    owner: Option<String>,
    discovered: Option<String>,
    client_secret: Option<Vec<u8>>,
    client_secret_key: Option<String>,
    private_key: Option<Vec<u8>>,
    private_key_key: Option<String>,
    api_key: Option<Vec<u8>>,
    api_key_key: Option<String>,
    custom_headers: Option<Vec<u8>>,
    custom_headers_key: Option<String>,
    signing_secret: Option<Vec<u8>>,
    signing_secret_key: Option<String>,
    idp_client_secret: Option<Vec<u8>>,
    idp_client_secret_key: Option<String>,
    assertion: Option<Vec<u8>>,
    assertion_key: Option<String>,
    former_client_secret: Option<Vec<u8>>,
    former_client_secret_key: Option<String>,
    former_client_secret_until: Option<i64>,
    auth_version: i64,
    version: i64,
    created_by: String,
    updated_by: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Server {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "servers",
            id: &row.id,
        };
        let discovered = row.discovered.as_deref();
        let spec = Spec {
            slug: reading.some("slug", Slug::parse(&row.slug).ok())?,
            display_name: row.display_name,
            description: row.description,
            icon_url: row.icon_url,
            url: row.url,
            transport: reading.some("transport", Transport::parse(&row.transport))?,
            enabled: row.enabled,
            availability: reading.some("availability", Availability::parse(&row.availability))?,
            allow_in_plan_mode: row.allow_in_plan_mode,
            allow_in_subagents: row.allow_in_subagents,
            model_intent: row.model_intent,
            forward_identity_headers: row.forward_identity_headers,
            identity_forwarding: row
                .identity_forwarding
                .map(|text| reading.json("identity_forwarding", &text))
                .transpose()?,
            tools: reading.json("tools", &row.tools)?,
            access: reading.json("access", &row.access)?,
            managed_by: row.managed_by,
            auth: reading.json("auth", &row.auth)?,
            account_binding: row
                .account_binding
                .map(|text| reading.json("account_binding", &text))
                .transpose()?,
        };
        let former = reading.sealed(
            "former_client_secret",
            row.former_client_secret,
            row.former_client_secret_key,
        )?;
        let former_client_secret = match (former, time(row.former_client_secret_until)) {
            (Some(secret), Some(until)) => Some(FormerSecret { secret, until }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(reading.corrupt("former_client_secret"));
            }
        };
        let secrets = SealedSecrets {
            client_secret: reading.sealed(
                "client_secret",
                row.client_secret,
                row.client_secret_key,
            )?,
            private_key: reading.sealed("private_key", row.private_key, row.private_key_key)?,
            api_key: reading.sealed("api_key", row.api_key, row.api_key_key)?,
            custom_headers: reading.sealed(
                "custom_headers",
                row.custom_headers,
                row.custom_headers_key,
            )?,
            signing_secret: reading.sealed(
                "signing_secret",
                row.signing_secret,
                row.signing_secret_key,
            )?,
            idp_client_secret: reading.sealed(
                "idp_client_secret",
                row.idp_client_secret,
                row.idp_client_secret_key,
            )?,
            assertion: reading.sealed("assertion", row.assertion, row.assertion_key)?,
            former_client_secret,
        };
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            owner: reading.owner(row.owner.as_deref())?,
            discovered: discovered
                .map(|text| reading.json("discovered", text))
                .transpose()?,
            spec,
            secrets,
            auth_version: row.auth_version,
            version: row.version,
            created_by: row.created_by,
            updated_by: row.updated_by,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}
