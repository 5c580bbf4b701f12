//! Servers that a caller attaches to one chat: small, with headers as their only credential. [`check`] says what such
//! a set must hold.

use url::Url;

use super::super::headers;
use super::super::ids::ServerId;
use super::super::secrets::{HeaderSecret, Sealed};
use super::super::servers::{Rules, ToolPolicy, UNREACHED, server_url};
use super::super::text::{self, InvalidText, Slug, Violations};
use super::Allowed;

/// The most servers that one chat has attached.
const MOST: usize = 5;
/// The longest slug.
const MAX_SLUG: usize = 32;
/// The most that all of a chat's have in texts, in bytes.
const MAX_TOTAL: usize = 24 * 1024;
/// The most names in a list of tools, and the longest of them in bytes.
const MAX_TOOLS: (usize, usize) = (64, 128);

/// A server that is attached to one chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineServer {
    /// Its id; stays as long as the chat has one with this slug.
    pub id: ServerId,
    /// Unique in the chat.
    pub slug: Slug,
    /// Where it is, byte for byte as written.
    pub url: String,
    /// Names and values of its headers.
    pub headers: Option<Sealed>,
    /// How many those are.
    pub header_count: i64,
    /// Which tools.
    pub tools: ToolPolicy,
    /// Where it is allowed.
    pub allowed: Allowed,
    /// Whether the daemon forwards identity headers.
    pub forward_identity_headers: bool,
    /// Grows whenever it is replaced.
    pub version: i64,
}

/// One on its way in, trimmed.
#[derive(Debug)]
pub struct InlineDraft {
    /// The name it asks for.
    pub slug: String,
    /// Where it is.
    pub url: String,
    /// Its headers, in order.
    pub headers: Vec<(String, HeaderSecret)>,
    /// Which tools.
    pub tools: ToolPolicy,
    /// Where it is to be allowed.
    pub allowed: Allowed,
    /// Whether the daemon is to forward identity headers.
    pub forward_identity_headers: bool,
}

impl InlineDraft {
    /// The length of its texts, in bytes.
    fn size(&self) -> usize {
        let tools = self.tools.allow.iter().chain(&self.tools.deny);
        let tools: usize = tools.map(String::len).sum();
        self.slug.len() + self.url.len() + headers::size(&self.headers) + tools
    }
}

/// Every offence of a set. `reached` says whether the deployment lets anybody reach a URL, as far as that can
/// be told without resolving its name.
pub fn check(drafts: &[InlineDraft], rules: Rules, reached: impl Fn(&Url) -> bool) -> Violations {
    let mut found = Violations::new();
    if drafts.len() > MOST {
        found.add("servers", "must hold at most 5 servers");
    }
    if drafts.iter().map(InlineDraft::size).sum::<usize>() > MAX_TOTAL {
        found.add("servers", "must be at most 24 KiB in all");
    }
    let mut slugs = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        let field = |name: &str| format!("servers[{at}].{name}");
        found.keep(&field("slug"), slug(&draft.slug));
        if slugs.contains(&&draft.slug) {
            found.add(field("slug"), "must differ from the others'");
        }
        slugs.push(&draft.slug);
        if let Err(why) = url(&draft.url, rules, &reached) {
            found.add(field("url"), why);
        }
        check_headers(&mut found, &field("headers"), &draft.headers);
        check_tools(&mut found, &draft.tools, field);
    }
    found
}

/// The slug of a text.
pub fn slug(text: &str) -> Result<Slug, InvalidText> {
    const GRAMMAR: InvalidText = InvalidText::Grammar(
        "must be 1 to 32 of a-z, 0-9 and `-`, and begin with a letter or digit",
    );
    let slug = Slug::parse(text).map_err(|_| GRAMMAR)?;
    if text.len() > MAX_SLUG {
        return Err(GRAMMAR);
    }
    Ok(slug)
}

fn url(text: &str, rules: Rules, reached: impl Fn(&Url) -> bool) -> Result<(), &'static str> {
    server_url(text, rules)?;
    let url = Url::parse(text).map_err(|_| "must be an absolute URL")?;
    if url.query().is_some() {
        return Err("must not hold a query");
    }
    if !reached(&url) {
        return Err(UNREACHED);
    }
    Ok(())
}

fn check_headers(found: &mut Violations, field: &str, given: &[(String, HeaderSecret)]) {
    if given.len() > headers::MAX_HEADERS {
        found.add(field, "at most 16 headers may be given");
    }
    let mut seen = Vec::new();
    for (name, value) in given {
        found.keep(field, headers::callers_name(name));
        found.keep(field, headers::check_value(value));
        let lower = name.to_ascii_lowercase();
        if seen.contains(&lower) {
            found.add(field, "header names must differ regardless of case");
        }
        seen.push(lower);
    }
}

fn check_tools(found: &mut Violations, tools: &ToolPolicy, field: impl Fn(&str) -> String) {
    let (count, len) = MAX_TOOLS;
    for (name, list) in [
        ("tool_allow_list", &tools.allow),
        ("tool_deny_list", &tools.deny),
    ] {
        found.keep(&field(name), text::list(list, count, len));
    }
    if !tools.allow.is_empty() && !tools.deny.is_empty() {
        found.add(
            field("tool_deny_list"),
            "has no place beside tool_allow_list",
        );
    }
}

#[cfg(test)]
#[path = "inline_tests.rs"]
mod tests;
