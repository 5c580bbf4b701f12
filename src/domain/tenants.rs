//! Tenants: the organisations everything belongs to.

use super::text::Slug;
use super::time::Timestamp;

/// A tenant's name, which is also its id. Never used again after the tenant is deleted.
pub type TenantId = Slug;

/// The tenant of a deployment that needs only one.
pub const DEFAULT_TENANT: &str = "default";

/// Where a tenant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantState {
    /// In use.
    Active,
    /// Gone but for its revocations, and the data keys that open them.
    Deleting,
    /// Gone: its data keys are destroyed; only the name is kept, so that it is not used again.
    Deleted,
}

impl TenantState {
    /// The name it is stored under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }

    /// The state of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Deleting, Self::Deleted]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// What people call it; at most 200 bytes.
    pub display_name: String,
    /// Where it is in its life.
    pub state: TenantState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed; of one that is deleted, when that was asked for.
    pub updated_at: Timestamp,
}
