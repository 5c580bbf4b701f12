//! The table of methods and the roles that may call them. Deny by default: no row, no entry.
//!
//! `docs/security.md` prints this table and a test holds the two together; another walks every
//! method of the API by reflection and fails where a row is missing.

use super::Role;

/// Which roles a method admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles(&'static [Role]);

impl Roles {
    /// Whether this role is among them.
    pub fn admit(self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

/// One row: a method and who may call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// The service's short name.
    pub service: &'static str,
    /// The method's name.
    pub name: &'static str,
    /// Who may call it.
    pub roles: Roles,
}

/// Everyone with a key.
const ANYONE: Roles = Roles(&[
    Role::Operator,
    Role::Admin,
    Role::Auditor,
    Role::Daemon,
    Role::User,
]);
/// Who changes configuration.
const ADMINS: Roles = Roles(&[Role::Operator, Role::Admin]);
/// Who changes configuration, users their own.
const CONFIGURERS: Roles = Roles(&[Role::Operator, Role::Admin, Role::User]);
/// Who reads configuration and metadata in full.
const READERS: Roles = Roles(&[Role::Operator, Role::Admin, Role::Auditor]);
/// Who runs the deployment.
const OPERATORS: Roles = Roles(&[Role::Operator]);
/// Who acts for users by the call.
const DAEMONS: Roles = Roles(&[Role::Daemon]);
/// Who acts for a user: their daemon, or themselves.
const ACTORS: Roles = Roles(&[Role::Daemon, Role::User]);
/// Who sees a connection's metadata.
const CONNECTION_READERS: Roles = Roles(&[
    Role::Operator,
    Role::Admin,
    Role::Auditor,
    Role::Daemon,
    Role::User,
]);
/// Who ends a connection.
const DISCONNECTORS: Roles = Roles(&[Role::Operator, Role::Admin, Role::Daemon, Role::User]);
/// Who moves grants and users in and out.
const CUSTODIANS: Roles = Roles(&[Role::Operator, Role::Admin, Role::Daemon]);

macro_rules! methods {
    ($($service:ident { $($name:ident: $roles:ident,)+ })+) => {
        /// Every method of the API, but for health and reflection, which need no caller.
        pub const METHODS: &[Method] = &[
            $($(Method { service: stringify!($service), name: stringify!($name), roles: $roles },)+)+
        ];
    };
}

methods! {
    ConfigService {
        CreateServer: CONFIGURERS,
        GetServer: ANYONE,
        ListServers: ANYONE,
        UpdateServer: CONFIGURERS,
        DeleteServer: CONFIGURERS,
        ModifyServerAccess: ADMINS,
        WatchServers: ANYONE,
        DiscoverServer: ADMINS,
        RediscoverServer: ADMINS,
        CheckServer: ADMINS,
        ApplyServers: ADMINS,
        ListServerConnections: READERS,
    }
    ChatService {
        SetChatServers: ACTORS,
        GetChatServers: ACTORS,
        DeleteChat: ACTORS,
        SetChatInlineServers: DAEMONS,
        ResolveChat: DAEMONS,
    }
    TokenService {
        ResolveCredentials: DAEMONS,
        ReportResponse: DAEMONS,
        GetConnection: CONNECTION_READERS,
        ListConnections: CONNECTION_READERS,
        WatchConnections: CONNECTION_READERS,
        ImportConnection: CUSTODIANS,
        Disconnect: DISCONNECTORS,
        PurgeUser: CUSTODIANS,
        PutUserIdentity: DAEMONS,
        DeleteUserIdentity: ACTORS,
        SetUserHeaders: ACTORS,
        GetUserHeaders: ACTORS,
        DeleteUserHeaders: ACTORS,
    }
    HandshakeService {
        StartHandshake: ACTORS,
        GetHandshake: ACTORS,
        WatchHandshake: ACTORS,
        CancelHandshake: ACTORS,
        CompleteHandshake: ACTORS,
        SubmitCallback: ACTORS,
    }
    TenantService {
        CreateTenant: OPERATORS,
        GetTenant: READERS,
        ListTenants: OPERATORS,
        DeleteTenant: OPERATORS,
    }
    AccessService {
        CreateApiKey: ADMINS,
        ListApiKeys: READERS,
        RevokeApiKey: ADMINS,
        WhoAmI: ANYONE,
    }
    AuditService {
        ListAuditEvents: READERS,
        WatchAuditEvents: READERS,
    }
    OperationsService {
        GetStatus: OPERATORS,
        RotateDataKeys: OPERATORS,
        ListKeys: OPERATORS,
    }
}

/// The package every service is in.
const PACKAGE: &str = "stationmaster.v1.";

/// The row of a full method path (`/stationmaster.v1.TokenService/Disconnect`), if it has one.
pub fn method(path: &str) -> Option<&'static Method> {
    let (service, name) = path.strip_prefix('/')?.split_once('/')?;
    let service = service.strip_prefix(PACKAGE)?;
    METHODS
        .iter()
        .find(|method| method.service == service && method.name == name)
}

impl Method {
    /// The full path of the method, as requests carry it.
    pub fn path(&self) -> String {
        format!("/{PACKAGE}{}/{}", self.service, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_row_and_nothing_else_does() {
        let row = method("/stationmaster.v1.TokenService/ResolveCredentials");

        assert!(row.is_some_and(|row| row.roles.admit(Role::Daemon)));
        assert!(row.is_some_and(|row| !row.roles.admit(Role::Admin)));
        for unknown in [
            "",
            "/",
            "/stationmaster.v1.TokenService/Nope",
            "/x.TokenService/Disconnect",
        ] {
            assert!(method(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn nobody_who_configures_reads_a_secret_back() {
        for name in ["ResolveCredentials", "ResolveChat"] {
            let rows = METHODS.iter().filter(|method| method.name == name);
            for row in rows {
                assert_eq!(row.roles, DAEMONS);
            }
        }
    }
}
