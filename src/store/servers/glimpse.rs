//! What can be read of a server whose row is damaged elsewhere.

use sqlx::FromRow;

use super::{GLIMPSE, Reader};
use crate::domain::servers::{Access, Availability, Glimpse};
use crate::domain::tenants::TenantId;
use crate::domain::text::Slug;
use crate::store::columns::Reading;
use crate::store::engine::on;
use crate::store::error::Result;

#[derive(FromRow)]
struct Row {
    id: String,
    slug: String,
    display_name: String,
    enabled: bool,
    availability: String,
    allow_in_plan_mode: bool,
    allow_in_subagents: bool,
    access: String,
    owner: Option<String>,
}

impl Row {
    fn read(&self, availability: Availability) -> Result<Glimpse> {
        let reading = self.reading();
        Ok(Glimpse {
            id: reading.parse("id", &self.id)?,
            slug: reading.some("slug", Slug::parse(&self.slug).ok())?,
            display_name: self.display_name.clone(),
            enabled: self.enabled,
            availability,
            allow_in_plan_mode: self.allow_in_plan_mode,
            allow_in_subagents: self.allow_in_subagents,
            owner: reading.owner(self.owner.as_deref())?,
            access: reading.json::<Access>("access", &self.access)?,
        })
    }

    fn reading(&self) -> Reading<'_> {
        Reading {
            table: "servers",
            id: &self.id,
        }
    }
}

impl Reader<'_> {
    /// What the rules look at of a server whose row was found corrupt. `None` when it is gone, or when it is
    /// forced on nobody and cannot be told who may use it.
    ///
    /// # Errors
    /// [`Corrupt`](crate::store::Error::Corrupt) when it may be forced on somebody and the row does not say on whom.
    pub async fn glimpse(&mut self, tenant: &TenantId, id: &str) -> Result<Option<Glimpse>> {
        let row: Option<Row> = on!(&mut *self.0, |conn| sqlx::query_as(GLIMPSE)
            .bind(tenant.as_str())
            .bind(id)
            .fetch_optional(conn)
            .await)?;
        let Some(row) = row.filter(|row| row.enabled) else {
            return Ok(None);
        };
        let availability = Availability::parse(&row.availability);
        let availability = row.reading().some("availability", availability)?;
        match (row.read(availability), availability) {
            (Ok(glimpse), _) => Ok(Some(glimpse)),
            (Err(error), Availability::ForceOn) => Err(error),
            (Err(_), Availability::DefaultOn | Availability::DefaultOff) => Ok(None),
        }
    }
}
