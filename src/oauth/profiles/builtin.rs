//! The profiles compiled in. Each of their lines names the provider's page or the public thread that
//! it rests on; `docs/providers.md` lists them for people.

use std::collections::BTreeMap;

use super::ProfileError;
use super::file::{File, Sourced};

/// Name and text of each.
const BUILT_IN: [(&str, &str); 13] = [
    ("atlassian", include_str!("atlassian.toml")),
    ("atlassian-app", include_str!("atlassian-app.toml")),
    ("entra", include_str!("entra.toml")),
    ("github", include_str!("github.toml")),
    ("google", include_str!("google.toml")),
    ("linear", include_str!("linear.toml")),
    ("linear-app", include_str!("linear-app.toml")),
    ("notion", include_str!("notion.toml")),
    ("salesforce", include_str!("salesforce.toml")),
    ("slack", include_str!("slack.toml")),
    ("slack-app", include_str!("slack-app.toml")),
    ("stripe", include_str!("stripe.toml")),
    ("zendesk", include_str!("zendesk.toml")),
];

/// The files, by name.
///
/// # Errors
/// As [`File::parse`]; a test holds that there are none.
pub(super) fn files() -> Result<BTreeMap<String, File>, ProfileError> {
    let files = BUILT_IN.iter().map(|(name, text)| {
        let file = File::parse(name, text, Sourced::Wholly)?;
        Ok(((*name).to_owned(), file))
    });
    files.collect()
}
