//! Which scopes to ask for (MCP authorization, scope selection strategy; RFC 6750, section 3).

use crate::domain::authorization::Scopes;

/// The scope that asks for a refresh token (`OpenID` Connect Core 1.0, section 11).
const OFFLINE_ACCESS: &str = "offline_access";

/// The scopes of an authorization request; `None` to leave the parameter out.
///
/// What an administrator configured, else what the server's challenge named, else all that the
/// resource's metadata lists. Never what the authorization server lists: that is not about this
/// resource. `offline_access` is added beside other scopes where the authorization server lists it.
pub fn choose_scopes(
    configured: Option<&Scopes>,
    challenged: Option<&Scopes>,
    resource: Option<&Scopes>,
    server: Option<&Scopes>,
) -> Option<Scopes> {
    let chosen = [configured, challenged, resource]
        .into_iter()
        .flatten()
        .find(|scopes| !scopes.is_empty())?;
    if server.is_some_and(|listed| listed.contains(OFFLINE_ACCESS)) {
        Some(chosen.union(&Scopes::parse(OFFLINE_ACCESS)))
    } else {
        Some(chosen.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_that_names_any_wins() {
        let (a, b, c, none) = (
            Scopes::parse("a"),
            Scopes::parse("b"),
            Scopes::parse("c"),
            Scopes::default(),
        );
        let choose = |x, y, z| choose_scopes(x, y, z, None).map(|scopes| scopes.to_string());

        assert_eq!(choose(Some(&a), Some(&b), Some(&c)).as_deref(), Some("a"));
        assert_eq!(choose(None, Some(&b), Some(&c)).as_deref(), Some("b"));
        assert_eq!(choose(Some(&none), None, Some(&c)).as_deref(), Some("c"));
        assert_eq!(choose(None, None, Some(&none)), None);
    }

    #[test]
    fn offline_access_is_added_only_beside_others_and_where_listed() {
        let (read, listed) = (Scopes::parse("read"), Scopes::parse("x offline_access"));

        assert_eq!(
            choose_scopes(None, None, Some(&read), Some(&listed))
                .unwrap()
                .to_string(),
            "read offline_access"
        );
        assert_eq!(
            choose_scopes(None, None, Some(&read), Some(&read))
                .unwrap()
                .to_string(),
            "read"
        );
        assert_eq!(choose_scopes(None, None, None, Some(&listed)), None);
    }
}
