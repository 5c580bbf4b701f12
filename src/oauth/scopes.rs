//! Which scopes to ask for (MCP authorization, scope selection strategy; RFC 6750, section 3).

use super::dialect::OfflineAccess;
use crate::domain::authorization::Scopes;

/// The scopes of an authorization request; `None` to leave the parameter out.
///
/// What an administrator configured, else what the server's challenge named, else all that the
/// resource's metadata lists. Never what the authorization server lists: that is not about this
/// resource. `offline_access` is added beside other scopes where the authorization server lists it, unless
/// the provider is known to want it always or never.
pub fn choose_scopes(
    configured: Option<&Scopes>,
    challenged: Option<&Scopes>,
    resource: Option<&Scopes>,
    server: Option<&Scopes>,
    offline: OfflineAccess,
) -> Option<Scopes> {
    let chosen = [configured, challenged, resource]
        .into_iter()
        .flatten()
        .find(|scopes| !scopes.is_empty())?;
    Some(offline.settle(chosen, server)).filter(|scopes| !scopes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: OfflineAccess = OfflineAccess::Listed;

    #[test]
    fn the_first_source_that_names_any_wins() {
        let (a, b, c, none) = (
            Scopes::parse("a"),
            Scopes::parse("b"),
            Scopes::parse("c"),
            Scopes::default(),
        );
        let choose =
            |x, y, z| choose_scopes(x, y, z, None, LISTED).map(|scopes| scopes.to_string());

        assert_eq!(choose(Some(&a), Some(&b), Some(&c)).as_deref(), Some("a"));
        assert_eq!(choose(None, Some(&b), Some(&c)).as_deref(), Some("b"));
        assert_eq!(choose(Some(&none), None, Some(&c)).as_deref(), Some("c"));
        assert_eq!(choose(None, None, Some(&none)), None);
    }

    #[test]
    fn offline_access_is_added_only_beside_others_and_where_listed() {
        let (read, listed) = (Scopes::parse("read"), Scopes::parse("x offline_access"));

        assert_eq!(
            choose_scopes(None, None, Some(&read), Some(&listed), LISTED)
                .unwrap()
                .to_string(),
            "read offline_access"
        );
        assert_eq!(
            choose_scopes(None, None, Some(&read), Some(&read), LISTED)
                .unwrap()
                .to_string(),
            "read"
        );
        assert_eq!(choose_scopes(None, None, None, Some(&listed), LISTED), None);
    }
}
