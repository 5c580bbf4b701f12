//! Where metadata documents are (RFC 9728, section 3.1; RFC 8414, section 3.1; `OpenID` Connect
//! Discovery 1.0, section 4.1; MCP authorization, discovery) and for which resource one may speak.
//! Pure.

use url::Url;

use crate::domain::authorization::Resource;

/// How protected resource metadata was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A challenge pointed to it.
    Challenge,
    /// The well-known place of the server's path.
    Path,
    /// The well-known place of the server's origin.
    Root,
}

/// How well a document's resource fits the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is the identifier that the document was looked up for (RFC 9728, section 3.3).
    Exact,
    /// Same origin, and its path is the server's or a part of it up to a slash.
    Tolerable,
    /// It is something else.
    Foreign,
}

/// The well-known places of a server's resource metadata, to be tried strictly in this order.
pub(super) fn resource_metadata(server: &Url) -> Vec<(Form, Url)> {
    const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
    let root = (Form::Root, place(server, WELL_KNOWN, None));
    if server.path() == "/" && server.query().is_none() {
        return vec![root];
    }
    let path = server
        .path()
        .strip_suffix('/')
        .filter(|rest| rest.is_empty());
    let path = format!("{WELL_KNOWN}{}", path.unwrap_or(server.path()));
    vec![(Form::Path, place(server, &path, server.query())), root]
}

/// The well-known places of an issuer's metadata, to be tried strictly in this order.
pub(super) fn server_metadata(issuer: &Url) -> Vec<Url> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let path = issuer.path().trim_end_matches('/');
    if path.is_empty() {
        return vec![place(issuer, OAUTH, None), place(issuer, OPENID, None)];
    }
    vec![
        place(issuer, &format!("{OAUTH}{path}"), None),
        place(issuer, &format!("{OPENID}{path}"), None),
        place(issuer, &format!("{path}{OPENID}"), None),
    ]
}

/// A place at a server's origin.
pub(super) fn at_origin(server: &Url, path: &str) -> Url {
    place(server, path, None)
}

/// Where revision 2025-03-26 has the metadata of a server's own authorization server.
pub(super) fn legacy_metadata(server: &Url) -> Url {
    at_origin(server, "/.well-known/oauth-authorization-server")
}

fn place(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url.set_query(query);
    url.set_fragment(None);
    url
}

/// Whether metadata found in this form may speak for the server. Parsed only to look inside.
pub(super) fn fit(server: &Url, form: Form, resource: &Resource) -> Fit {
    let Ok(found) = Url::parse(resource.as_str()) else {
        return Fit::Foreign;
    };
    let foreign_query = found.query().is_some() && found.query() != server.query();
    if found.origin() != server.origin() || found.fragment().is_some() || foreign_query {
        return Fit::Foreign;
    }
    let (found_path, server_path) = (found.path(), server.path());
    let same = found_path == server_path && found.query() == server.query();
    let origin_itself = form == Form::Root && found_path == "/";
    let prefix = found_path.trim_end_matches('/');
    if same || origin_itself {
        Fit::Exact
    } else if server_path
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        Fit::Tolerable
    } else {
        Fit::Foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn shown(urls: impl IntoIterator<Item = Url>) -> Vec<String> {
        urls.into_iter().map(String::from).collect()
    }

    #[test]
    fn resource_metadata_is_sought_at_the_path_then_at_the_root() {
        let places = |server| shown(resource_metadata(&url(server)).into_iter().map(|p| p.1));
        let root = "https://h/.well-known/oauth-protected-resource";

        assert_eq!(places("https://h"), [root]);
        assert_eq!(places("https://h/mcp"), [&format!("{root}/mcp"), root]);
        assert_eq!(places("https://h/a/b/"), [&format!("{root}/a/b/"), root]);
        assert_eq!(
            places("https://h/mcp?t=1#f"),
            [&format!("{root}/mcp?t=1"), root]
        );
        assert_eq!(places("https://h/?t=1"), [&format!("{root}?t=1"), root]);
    }

    #[test]
    fn server_metadata_is_sought_in_the_specified_order() {
        let places = |issuer| shown(server_metadata(&url(issuer)));

        assert_eq!(
            places("https://as:8443"),
            [
                "https://as:8443/.well-known/oauth-authorization-server",
                "https://as:8443/.well-known/openid-configuration",
            ]
        );
        for issuer in ["https://as/t/1", "https://as/t/1/"] {
            assert_eq!(
                places(issuer),
                [
                    "https://as/.well-known/oauth-authorization-server/t/1",
                    "https://as/.well-known/openid-configuration/t/1",
                    "https://as/t/1/.well-known/openid-configuration",
                ]
            );
        }
    }

    #[test]
    fn a_resource_fits_strictly_tolerably_or_not() {
        let server = url("https://h/mcp/v1");
        let table = [
            ("https://h/mcp/v1", Form::Path, Fit::Exact),
            ("HTTPS://H/mcp/v1", Form::Path, Fit::Exact),
            ("https://h:443/mcp/v1", Form::Challenge, Fit::Exact),
            ("https://h", Form::Root, Fit::Exact),
            ("https://h", Form::Path, Fit::Tolerable),
            ("https://h/", Form::Challenge, Fit::Tolerable),
            ("https://h/mcp", Form::Path, Fit::Tolerable),
            ("https://h/mcp/", Form::Root, Fit::Tolerable),
            ("https://h/mcp/v1/", Form::Path, Fit::Tolerable),
            ("https://h/mc", Form::Path, Fit::Foreign),
            ("https://h/mcp/v10", Form::Path, Fit::Foreign),
            ("https://h/mcp/v1/more", Form::Path, Fit::Foreign),
            ("https://h/mcp/v1?x=y", Form::Path, Fit::Foreign),
            ("https://h/mcp/v1#f", Form::Path, Fit::Foreign),
            ("http://h/mcp/v1", Form::Path, Fit::Foreign),
            ("https://h:8443/mcp/v1", Form::Path, Fit::Foreign),
            ("https://evil.example/mcp/v1", Form::Path, Fit::Foreign),
            ("https://h.evil.example/mcp/v1", Form::Path, Fit::Foreign),
            ("not a url", Form::Path, Fit::Foreign),
        ];

        for (resource, form, expected) in table {
            assert_eq!(
                fit(&server, form, &Resource::new(resource)),
                expected,
                "{resource}"
            );
        }
    }
}
