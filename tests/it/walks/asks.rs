//! For each method, how to name what is another tenant's, and how to ask the same of one's own.
//!
//! In a request, `$server` and its like are ids of the other tenant, `%server` and its like the
//! caller's own. Requests without `$` name by what both tenants have: slugs, users, chats.

/// One method.
#[derive(Debug)]
pub(crate) struct Asks {
    pub(crate) method: &'static str,
    /// Naming what is the other tenant's.
    pub(crate) theirs: &'static [&'static str],
    /// Naming what is the caller's own. At least one of them succeeds, for some role.
    pub(crate) ours: &'static [&'static str],
}

macro_rules! asks {
    ($($method:literal { theirs: [$($theirs:literal),* $(,)?], ours: [$($ours:literal),* $(,)?] })+) => {
        /// Every method, in the order of the walk: what takes away comes last.
        pub(crate) const ASKS: &[Asks] = &[$(Asks {
            method: $method,
            theirs: &[$($theirs),*],
            ours: &[$($ours),*],
        }),+];
    };
}

asks! {
    "AccessService/WhoAmI" { theirs: [], ours: ["{}"] }
    "AccessService/CreateApiKey" {
        theirs: [r#"{"role":"ROLE_DAEMON","name":"x","narrowing":{"servers":["$server"]}}"#],
        ours: [r#"{"role":"ROLE_DAEMON","name":"x","narrowing":{"servers":["wiki"]}}"#]
    }
    "AccessService/ListApiKeys" {
        theirs: [],
        ours: [r#"{"showRevoked":true}"#, r#"{"role":"ROLE_OPERATOR"}"#]
    }
    "AuditService/ListAuditEvents" {
        theirs: [r#"{"filter":{"subject":"$server"}}"#, r#"{"filter":{"principal":"$key"}}"#,
            r#"{"pageToken":"$page"}"#],
        ours: ["{}"]
    }
    "AuditService/WatchAuditEvents" {
        theirs: [r#"{"filter":{"subject":"$server"},"afterRevision":"0"}"#],
        ours: [r#"{"afterRevision":"0"}"#]
    }
    "ConfigService/CreateServer" {
        theirs: [],
        ours: [
            r#"{"server":{"slug":"new","displayName":"New","url":"http://127.0.0.1:9/new","none":{}}}"#,
            r#"{"server":{"slug":"wiki","displayName":"New","url":"http://127.0.0.1:9/new","none":{}}}"#,
            r#"{"server":{"slug":"own","displayName":"Own","owner":"ann","url":"http://127.0.0.1:9/own","none":{}}}"#,
            r#"{"serverId":"$server","server":{"slug":"taken","displayName":"Taken","url":"http://127.0.0.1:9/new","none":{}}}"#
        ]
    }
    "ConfigService/GetServer" {
        theirs: [r#"{"server":"$server"}"#, r#"{"server":"$hidden"}"#, r#"{"server":"$personal"}"#,
            r#"{"server":"$server","actor":{"user":"ann"}}"#],
        ours: [r#"{"server":"wiki"}"#, r#"{"server":"%server"}"#, r#"{"server":"hidden"}"#,
            r#"{"server":"wiki","actor":{"user":"ann"}}"#]
    }
    "ConfigService/ListServers" {
        theirs: [],
        ours: ["{}", r#"{"pageToken":"$page"}"#, r#"{"actor":{"user":"ann"}}"#,
            r#"{"managedBy":"alphatenant-manager"}"#]
    }
    "ConfigService/UpdateServer" {
        theirs: [
            r#"{"server":{"id":"$server","displayName":"Stolen"},"updateMask":"displayName"}"#,
            r#"{"server":{"id":"$hidden","enabled":true},"updateMask":"enabled"}"#,
            r#"{"server":{"id":"$personal","enabled":false},"updateMask":"enabled"}"#
        ],
        ours: [r#"{"server":{"id":"%personal","description":"ours"},"updateMask":"description"}"#,
            r#"{"server":{"id":"wiki","description":"ours"},"updateMask":"description"}"#]
    }
    "ConfigService/ModifyServerAccess" {
        theirs: [r#"{"server":"$server","addUsers":["eve"]}"#],
        ours: [r#"{"server":"wiki","addUsers":["ann"]}"#]
    }
    "ConfigService/WatchServers" {
        theirs: [],
        ours: [r#"{"afterRevision":"0"}"#, r#"{"actor":{"user":"ann"}}"#]
    }
    "ConfigService/DiscoverServer" {
        theirs: [r#"{"url":"http://127.0.0.1:9/x","serverId":"$server"}"#],
        ours: [r#"{"url":"http://127.0.0.1:9/x"}"#]
    }
    "ConfigService/RediscoverServer" {
        theirs: [r#"{"server":"$server"}"#], ours: [r#"{"server":"wiki"}"#]
    }
    "ConfigService/CheckServer" {
        theirs: [r#"{"server":"$server","actor":{"user":"ann"}}"#],
        ours: [r#"{"server":"wiki","actor":{"user":"ann"}}"#]
    }
    "ConfigService/ApplyServers" {
        theirs: [],
        ours: [r#"{"manager":"alphatenant-manager","prune":true}"#]
    }
    "ConfigService/ListServerConnections" {
        theirs: [r#"{"server":"$server"}"#],
        ours: [r#"{"server":"wiki"}"#, r#"{"server":"wiki","pageToken":"$page"}"#]
    }
    "ChatService/GetChatServers" {
        theirs: [],
        ours: [r#"{"actor":{"user":"ann"},"chatId":"chat-1"}"#]
    }
    "ChatService/SetChatServers" {
        theirs: [r#"{"actor":{"user":"ann"},"chatId":"chat-2","servers":["$server"]}"#],
        ours: [r#"{"actor":{"user":"ann"},"chatId":"chat-1","servers":["wiki","keyed"]}"#]
    }
    "ChatService/SetChatInlineServers" {
        theirs: [r#"{"actor":{"user":"ann"},"chatId":"chat-3","servers":[{"id":"$inline","slug":"notes","url":"https://x.example.com/"}]}"#],
        ours: [
            r#"{"actor":{"user":"ann"},"chatId":"chat-1","servers":[{"slug":"notes","url":"https://x.example.com/","headers":[{"name":"X","value":"y"}]}]}"#,
            r#"{"actor":{"user":"ann"},"chatId":"chat-3"}"#
        ]
    }
    "ChatService/ResolveChat" {
        theirs: [r#"{"actor":{"user":"ann"},"chatId":"chat-3","selection":{"servers":["$server"]}}"#],
        ours: [r#"{"actor":{"user":"ann"},"chatId":"chat-1"}"#,
            r#"{"actor":{"user":"ann"},"chatId":"chat-1","subagent":{"subchatId":"sub-1"}}"#,
            r#"{"actor":{"user":"ann"},"chatId":"chat-4"}"#]
    }
    "HandshakeService/StartHandshake" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$server"}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"wiki"}"#]
    }
    "HandshakeService/GetHandshake" {
        theirs: [r#"{"handshake":"$handshake"}"#], ours: [r#"{"handshake":"%handshake"}"#]
    }
    "HandshakeService/WatchHandshake" {
        theirs: [r#"{"handshake":"$handshake"}"#], ours: [r#"{"handshake":"%handshake"}"#]
    }
    "HandshakeService/CompleteHandshake" {
        theirs: [r#"{"handshake":"$handshake","code":"x","actor":{"user":"ann"}}"#],
        ours: [r#"{"handshake":"%handshake","code":"x","actor":{"user":"ann"}}"#]
    }
    "HandshakeService/SubmitCallback" {
        theirs: [r#"{"handshake":"$handshake","query":"code=x"}"#],
        ours: [r#"{"handshake":"%handshake","query":"code=x"}"#]
    }
    "TokenService/ResolveCredentials" {
        theirs: [r#"{"actor":{"user":"ann"},"servers":["$server","$keyed","$own","$login"]}"#],
        ours: [r#"{"actor":{"user":"ann"},"servers":["wiki","keyed","own","login"]}"#,
            r#"{"actor":{"user":"ann"},"servers":["keyed"],"identity":{"chatId":"chat-1","workspaceId":"w"}}"#]
    }
    "TokenService/ReportResponse" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$server","httpResponse":{"status":401,"credentialVersion":"1"}}"#,
            r#"{"actor":{"user":"ann"},"server":"$inline","httpResponse":{"status":401,"credentialVersion":"1"}}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"wiki","httpResponse":{"status":401,"credentialVersion":"1"}}"#]
    }
    "TokenService/GetConnection" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$server"}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"wiki"}"#]
    }
    "TokenService/ListConnections" {
        theirs: [],
        ours: [r#"{"actor":{"user":"ann"}}"#, "{}", r#"{"pageToken":"$page"}"#]
    }
    "TokenService/WatchConnections" {
        theirs: [r#"{"actor":{"user":"ann"},"servers":["$server"],"afterRevision":"0"}"#],
        ours: [r#"{"actor":{"user":"ann"},"afterRevision":"0"}"#]
    }
    "TokenService/ImportConnection" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$server","accessToken":"x","replace":true}"#,
            r#"{"actor":{"user":"eve"},"server":"$server","refreshToken":"x","clientId":"alphatenant-client"}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"wiki","accessToken":"x"}"#,
            r#"{"actor":{"user":"eve"},"server":"wiki","refreshToken":"x","clientId":"old","replace":true}"#]
    }
    "TokenService/PutUserIdentity" {
        theirs: [],
        ours: [r#"{"actor":{"user":"ann"},"issuer":"https://idp.test","idToken":"x"}"#,
            r#"{"actor":{"user":"eve"},"issuer":"https://idp.test","accessToken":"x"}"#]
    }
    "TokenService/SetUserHeaders" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$own","headers":[{"name":"X-Own","value":"y"}]}"#,
            r#"{"actor":{"user":"eve"},"server":"$server","headers":[{"name":"X-Own","value":""}]}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"own","headers":[{"name":"x-own","value":"y"}]}"#,
            r#"{"actor":{"user":"ann"},"server":"wiki","headers":[{"name":"X-Own","value":"y"}]}"#]
    }
    "TokenService/GetUserHeaders" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$own"}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"%own"}"#, r#"{"actor":{"user":"ann"},"server":"wiki"}"#]
    }
    "OperationsService/GetStatus" { theirs: [], ours: ["{}"] }
    "OperationsService/ListKeys" { theirs: [], ours: ["{}"] }
    "OperationsService/RotateDataKeys" { theirs: [], ours: ["{}"] }
    "TenantService/GetTenant" {
        theirs: [r#"{"tenant":"$tenant"}"#],
        ours: ["{}", r#"{"tenant":"%tenant"}"#]
    }
    "HandshakeService/CancelHandshake" {
        theirs: [r#"{"handshake":"$handshake"}"#], ours: [r#"{"handshake":"%handshake"}"#]
    }
    "TokenService/DeleteUserHeaders" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$own"}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"own"}"#]
    }
    "TokenService/DeleteUserIdentity" {
        theirs: [],
        ours: [r#"{"actor":{"user":"eve"},"issuer":"https://idp.test"}"#, r#"{"actor":{"user":"ann"}}"#]
    }
    "TokenService/Disconnect" {
        theirs: [r#"{"actor":{"user":"ann"},"server":"$server"}"#],
        ours: [r#"{"actor":{"user":"ann"},"server":"wiki"}"#]
    }
    "TokenService/PurgeUser" { theirs: [], ours: [r#"{"user":"ann"}"#] }
    "ChatService/DeleteChat" {
        theirs: [],
        ours: [r#"{"actor":{"user":"ann"},"chatId":"chat-1"}"#]
    }
    "AccessService/RevokeApiKey" {
        theirs: [r#"{"apiKey":"$key"}"#], ours: [r#"{"apiKey":"%key"}"#]
    }
    "ConfigService/DeleteServer" {
        theirs: [r#"{"server":"$server"}"#, r#"{"server":"$hidden"}"#, r#"{"server":"$personal"}"#],
        ours: [r#"{"server":"wiki"}"#, r#"{"server":"%keyed"}"#, r#"{"server":"%personal"}"#]
    }
    "TenantService/CreateTenant" { theirs: [], ours: [] }
    "TenantService/ListTenants" { theirs: [], ours: [] }
    "TenantService/DeleteTenant" { theirs: [], ours: [] }
}
