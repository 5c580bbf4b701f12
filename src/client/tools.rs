//! Tools as a daemon offers them to a model: which, under which names, and asking why. Pure functions
//! over what a resolve answered.

use super::v1;
use crate::domain::tools;

pub use super::intent::{Unwrapped, unwrap, wrap};
pub use crate::domain::tools::MAX_NAME;

/// Whether a tool of a server may be called, by the name the server gave it. Deny always wins; in patterns `*`
/// stands for any characters, and case counts.
pub fn is_allowed(server: &v1::ResolvedServer, tool: &str) -> bool {
    let policy = server.tool_policy.as_ref();
    policy.is_none_or(|v1::ToolPolicy { allow, deny }| {
        tools::allows(tools::Patterns { allow, deny }, tool)
    })
}

/// The name under which a model sees a tool of a server: at most [`MAX_NAME`] of `A-Z`, `a-z`, `0-9`, `_` and
/// `-`, and another one for every tool of one answer's servers. Remember whose it is: it does not lead back.
pub fn exposed_name(server: &v1::ResolvedServer, tool: &str) -> String {
    tools::exposed_name(&server.tool_name_prefix, tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_resolved_decides() {
        let server = v1::ResolvedServer {
            tool_policy: Some(v1::ToolPolicy {
                allow: vec!["get_*".to_owned()],
                deny: vec!["get_secret".to_owned()],
            }),
            tool_name_prefix: "git__".to_owned(),
            ..v1::ResolvedServer::default()
        };

        let allowed = |tool| is_allowed(&server, tool);

        assert!(allowed("get_page") && !allowed("get_secret") && !allowed("put_page"));
        assert!(is_allowed(&v1::ResolvedServer::default(), "anything"));
        assert_eq!(exposed_name(&server, "get_page"), "git__get_page");
    }
}
