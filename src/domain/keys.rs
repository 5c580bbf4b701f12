//! Keys as rows: a data key wrapped by a root key, and the canary that tells a wrong root key.

use std::time::Duration;

use super::ids::DataKeyId;
use super::tenants::TenantId;
use super::time::Timestamp;

/// The name of a root key: derived from its bytes, tells nothing about them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RootKeyId(pub String);

/// What wraps data keys, as the store remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootKey {
    /// Its name.
    pub id: RootKeyId,
    /// A known text sealed under it.
    pub canary: Vec<u8>,
    /// When it was first used.
    pub created_at: Timestamp,
}

/// A tenant's data key, wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Its name, which every value sealed under it carries.
    pub id: DataKeyId,
    /// Whose values it seals.
    pub tenant: TenantId,
    /// The root key that wraps it.
    pub root_key: RootKeyId,
    /// The key itself, wrapped.
    pub wrapped: Vec<u8>,
    /// Whether new values are sealed under it; a tenant has at most one such key.
    pub active: bool,
    /// An upper bound of the values sealed under it: uses are reserved in blocks.
    pub reserved_uses: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// When a data key gives way to a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloverPolicy {
    /// The oldest a key may be to seal new values.
    pub max_age: Duration,
    /// The most values one key seals. AES-GCM with random nonces allows 2^32 (NIST SP 800-38D,
    /// section 8.3); this stays far below.
    pub max_uses: i64,
    /// How many uses a process reserves at a time.
    pub block: i64,
}

impl Default for RolloverPolicy {
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(2160),
            max_uses: 1 << 24,
            block: 1 << 10,
        }
    }
}

impl DataKey {
    /// Whether one more block of uses may be reserved at this time.
    pub fn may_seal(&self, now: Timestamp, policy: &RolloverPolicy) -> bool {
        self.active
            && now.since(self.created_at) < policy.max_age
            && self.reserved_uses.saturating_add(policy.block) <= policy.max_uses
    }
}

macro_rules! sealed_columns {
    ($($(#[$doc:meta])* $name:ident = $table:literal . $column:literal $(as $origin:ident)?;)+) => {
        /// Every column that holds a sealed value. A law holds this list against the schema, so
        /// that no rotation of keys can forget one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum SealedColumn {
            $($(#[$doc])* $name,)+
        }

        impl SealedColumn {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The table it is in.
            pub fn table(self) -> &'static str {
                match self {
                    $(Self::$name => $table,)+
                }
            }

            /// Its name in that table.
            pub fn column(self) -> &'static str {
                match self {
                    $(Self::$name => $column,)+
                }
            }

            /// The column whose name is bound into its values. Its own, but where values are moved in
            /// from another table as they are: then that one's, and the row keeps the id of the
            /// row they came from.
            #[must_use]
            pub fn sealed_as(self) -> Self {
                match self {
                    $(Self::$name => sealed_columns!(@origin $name $($origin)?),)+
                }
            }
        }
    };
    (@origin $name:ident) => { Self::$name };
    (@origin $name:ident $origin:ident) => { Self::$origin };
}

sealed_columns! {
    /// The secret of a client made by hand.
    ServerClientSecret = "servers"."client_secret";
    /// The key that signs client assertions.
    ServerPrivateKey = "servers"."private_key";
    /// The value of an API key header.
    ServerApiKey = "servers"."api_key";
    /// Names and values of custom headers.
    ServerCustomHeaders = "servers"."custom_headers";
    /// The key that signs identity headers.
    ServerSigningSecret = "servers"."signing_secret";
    /// The secret of a client at an enterprise's identity provider.
    ServerIdpClientSecret = "servers"."idp_client_secret";
    /// A workload's own assertion.
    ServerAssertion = "servers"."assertion";
    /// The secret that a client made by hand had before.
    ServerFormerClientSecret = "servers"."former_client_secret" as ServerClientSecret;
    /// Names and values of the headers of a server that is attached to a chat.
    InlineServerHeaders = "inline_servers"."headers";
    /// The secret of a client we registered.
    RegistrationClientSecret = "registrations"."client_secret";
    /// The token that manages a registration.
    RegistrationManagementToken = "registrations"."management_token";
    /// An access token.
    ConnectionAccessToken = "connections"."access_token";
    /// A refresh token.
    ConnectionRefreshToken = "connections"."refresh_token";
    /// The access token of a user's login.
    IdentityAccessToken = "identities"."access_token";
    /// The ID token of a user's login.
    IdentityIdToken = "identities"."id_token";
    /// The refresh token of a user's login.
    IdentityRefreshToken = "identities"."refresh_token";
    /// State and PKCE verifier of a handshake.
    HandshakeFlow = "handshakes"."flow";
    /// A grant that waits to be confirmed.
    HandshakeParked = "handshakes"."parked";
    /// The secret of a client that is needed only to revoke by.
    RetiredClientSecret = "retired_clients"."client_secret";
    /// The token that manages a registration which is to be deleted.
    RetiredManagementToken = "retired_clients"."management_token";
    /// An access token to be revoked.
    RevocationAccessToken = "revocations"."access_token" as ConnectionAccessToken;
    /// A refresh token to be revoked.
    RevocationRefreshToken = "revocations"."refresh_token" as ConnectionRefreshToken;
    /// What a user supplied for a header.
    UserHeaderValue = "user_headers"."value";
    /// A key that signs identity tokens.
    IdentityPrivateKey = "identity_keys"."private_key";
}

/// Where a sealed value stands. Bound into it, so that a ciphertext copied elsewhere does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// Table and column.
    pub column: SealedColumn,
    /// The row's id.
    pub row: &'a str,
    /// The user it belongs to; empty where it belongs to the tenant.
    pub owner: &'a str,
}

#[cfg(test)]
mod tests {
    use super::SealedColumn as Column;

    #[test]
    fn only_what_is_moved_is_sealed_as_something_else() {
        let moved: Vec<_> = Column::ALL
            .iter()
            .filter(|column| column.sealed_as() != **column)
            .map(|column| (*column, column.sealed_as()))
            .collect();

        assert_eq!(
            moved,
            [
                (Column::ServerFormerClientSecret, Column::ServerClientSecret),
                (Column::RevocationAccessToken, Column::ConnectionAccessToken),
                (
                    Column::RevocationRefreshToken,
                    Column::ConnectionRefreshToken
                ),
            ]
        );
    }
}
