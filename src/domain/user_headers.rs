//! Header values: what users supply for headers that a server declares ([`Auth::user_headers`]). A
//! name is a header's whatever its case; its value is never shown again.
//!
//! [`Auth::user_headers`]: super::servers::Auth::user_headers

use super::headers;
use super::ids::{HeaderValueId, ServerId};
use super::secrets::{HeaderSecret, Sealed};
use super::servers::UserHeader;
use super::tenants::TenantId;
use super::text::{UserId, Violations};
use super::time::Timestamp;

/// A value on its way in.
#[derive(Debug)]
pub struct HeaderEdit {
    /// The header, in whatever case.
    pub name: String,
    /// Its value; `None` clears what is stored.
    pub value: Option<HeaderSecret>,
}

/// A stored value. One that takes its place has another id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderValue {
    /// Its id, which is bound into the sealed value.
    pub id: HeaderValueId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The user who supplied it.
    pub user: UserId,
    /// The server that it is for.
    pub server: ServerId,
    /// The header, in lower case.
    pub name: String,
    /// The value.
    pub value: Sealed,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// A declared header, and whether its user supplied it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplied {
    /// The declaration.
    pub header: UserHeader,
    /// When the value was set; `None` where there is none.
    pub set_at: Option<Timestamp>,
}

/// Every offence of values on their way in, whatever is declared: 1 to 16, each with the name of a
/// header, no header twice, values that can be sent.
pub fn check(edits: &[HeaderEdit]) -> Violations {
    let mut found = Violations::new();
    if edits.is_empty() {
        found.add("headers", "must name at least one header");
    }
    if edits.len() > headers::MAX_HEADERS {
        found.add("headers", "at most 16 headers may be given");
        return found;
    }
    let mut seen: Vec<String> = Vec::new();
    for (at, edit) in edits.iter().enumerate() {
        let field = format!("headers[{at}].name");
        if let Some(name) = found.keep(&field, headers::name(&edit.name)) {
            let key = name.to_ascii_lowercase();
            if seen.contains(&key) {
                found.add(field, "is given twice; names differ regardless of case");
            }
            seen.push(key);
        }
        if let Some(value) = &edit.value {
            found.keep(&format!("headers[{at}].value"), headers::check_value(value));
        }
    }
    found
}

/// Every value for a header that is not declared.
pub fn check_declared(edits: &[HeaderEdit], declared: &[UserHeader]) -> Violations {
    let mut found = Violations::new();
    if declared.is_empty() {
        found.add("server", "has no headers whose values users supply");
        return found;
    }
    for (at, edit) in edits.iter().enumerate() {
        if find(declared, &edit.name).is_none() {
            let name = &edit.name;
            found.add(
                format!("headers[{at}].name"),
                format!("`{name}` is not among the headers whose values users supply"),
            );
        }
    }
    found
}

/// The declaration of this name, in whatever case.
fn find<'a>(declared: &'a [UserHeader], name: &str) -> Option<&'a UserHeader> {
    let mut declared = declared.iter();
    declared.find(|header| header.name.eq_ignore_ascii_case(name))
}

/// The headers that keep the server from being used, as declared and in that order: those that must
/// not be missing and whose keys are not held.
pub fn missing(declared: &[UserHeader], held: impl Fn(&str) -> bool) -> Vec<String> {
    let missing = declared
        .iter()
        .filter(|header| !header.can_be_missing && !held(&header.key()));
    missing.map(|header| header.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(name: &str, value: &str) -> HeaderEdit {
        HeaderEdit {
            name: name.to_owned(),
            value: (!value.is_empty()).then(|| HeaderSecret::new(value.to_owned())),
        }
    }

    fn declared(name: &str) -> UserHeader {
        UserHeader {
            name: name.to_owned(),
            description: String::new(),
            can_be_missing: name.starts_with("X-Maybe"),
        }
    }

    fn fields(found: Violations) -> Vec<String> {
        let found = found.into_vec().into_iter();
        found.map(|violation| violation.field).collect()
    }

    #[test]
    fn values_are_set_and_cleared_by_name() {
        assert!(check(&[edit("X-A", "one"), edit("x-b", "")]).is_empty());
        assert_eq!(fields(check(&[])), ["headers"]);
        let many: Vec<_> = (0..17).map(|n| edit(&format!("X-{n}"), "v")).collect();
        assert!(check(&many[..16]).is_empty());
        assert_eq!(fields(check(&many)), ["headers"]);
    }

    #[test]
    fn every_value_that_cannot_be_sent_is_named() {
        let found = check(&[
            edit("X-A", "a\r\nX-Evil: 1"),
            edit("", "v"),
            edit("x-a", "v"),
            edit("Host", "v"),
            edit("X-B", " "),
            edit("X-C", &"v".repeat(8193)),
        ]);

        assert_eq!(
            fields(found),
            [
                "headers[0].value",
                "headers[1].name",
                "headers[2].name",
                "headers[3].name",
                "headers[4].value",
                "headers[5].value",
            ]
        );
    }

    #[test]
    fn every_header_that_is_not_declared_is_named() {
        let here = [declared("X-Token"), declared("X-Maybe-Team")];
        let edits = [
            edit("x-token", "v"),
            edit("X-Other", "v"),
            edit("X-MAYBE-TEAM", ""),
            edit("X-Gone", ""),
        ];

        let found = check_declared(&edits, &here);

        assert_eq!(fields(found), ["headers[1].name", "headers[3].name"]);
        assert_eq!(fields(check_declared(&edits, &[])), ["server"]);
    }

    #[test]
    fn what_must_not_be_missing_is_named_as_declared() {
        let here = [
            declared("X-Second"),
            declared("X-Maybe-Team"),
            declared("X-First"),
        ];

        assert_eq!(missing(&here, |_| false), ["X-Second", "X-First"]);
        assert_eq!(missing(&here, |key| key == "x-second"), ["X-First"]);
        assert!(missing(&here, |key| key != "x-maybe-team").is_empty());
        assert!(missing(&[], |_| false).is_empty());
    }
}
