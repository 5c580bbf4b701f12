//! Which grant is meant: one user's on one server.

use std::fmt;

use crate::domain::connections::Connection;
use crate::domain::ids::ServerId;
use crate::domain::tenants::TenantId;
use crate::domain::text::UserId;

/// Which grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::app) struct Key {
    pub(in crate::app) tenant: TenantId,
    pub(in crate::app) user: UserId,
    pub(in crate::app) server: ServerId,
}

impl fmt::Display for Key {
    /// Says nothing of the user: it is for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a connection to {}", self.server)
    }
}

impl Key {
    /// The grant of a connection.
    pub(super) fn of(connection: &Connection) -> Self {
        let Connection {
            tenant,
            user,
            server,
            ..
        } = connection;
        Self {
            tenant: tenant.clone(),
            user: user.clone(),
            server: *server,
        }
    }
}
