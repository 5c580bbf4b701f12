//! One page: a title, a few sentences, at most one thing to do next. Everything that is shown is
//! escaped by the template; nothing is loaded from anywhere; without JavaScript it works as well.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use url::Url;

/// What a person sees.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) paragraphs: Vec<String>,
    /// Whom the first paragraph is about, on a line of its own: no name can pass for our words.
    pub(super) who: Option<String>,
    pub(super) next: Option<Next>,
    pub(super) told: Option<Told>,
}

/// What a person may do on a page.
#[derive(Debug)]
pub(super) enum Next {
    /// Press a button that posts to the page's own address.
    Agree,
    /// Be sent on at once, or follow a link.
    ///
    /// This is how a posted form leads away: browsers hold a redirect after it to the policy's
    /// `form-action`, which names only ourselves.
    Leave { url: String },
    /// Follow a link back.
    Return { url: String },
}

/// What the window that opened this one is told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) handshake: String,
    pub(super) outcome: &'static str,
    /// The only origin that may hear it.
    pub(super) origin: String,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
{%- if let Some(Next::Leave { url }) = page.next %}
<meta http-equiv="refresh" content="0;url={{ url }}">
{%- endif %}
<title>{{ page.title }} – Stationmaster</title>
<style nonce="{{ nonce }}">
{{ STYLE|safe }}</style>
</head>
<body>
<main>
<p class="mark">Stationmaster</p>
<h1>{{ page.title }}</h1>
{%- for paragraph in page.paragraphs %}
<p>{{ paragraph }}</p>
{%- if loop.first %}{% if let Some(who) = page.who %}
<p class="who">{{ who }}</p>
{%- endif %}{% endif %}
{%- endfor %}
{%- match page.next %}
{%- when Some(Next::Agree) %}
<form method="post"><button class="act" type="submit">Continue</button></form>
{%- when Some(Next::Leave { url }) %}
<p class="next"><a class="act" href="{{ url }}">Continue to {{ self::host(url) }}</a></p>
{%- when Some(Next::Return { url }) %}
<p class="next"><a class="act" href="{{ url }}">Go back to {{ self::host(url) }}</a></p>
{%- when None %}
{%- endmatch %}
</main>
{%- if let Some(told) = page.told %}
<script nonce="{{ nonce }}" data-handshake="{{ told.handshake }}" data-outcome="{{ told.outcome }}" data-origin="{{ told.origin }}">
{{ SCRIPT|safe }}</script>
{%- endif %}
</body>
</html>
"#
)]
struct Html<'a> {
    page: &'a Page,
    nonce: &'a str,
}

const STYLE: &str = include_str!("templates/page.css");
const SCRIPT: &str = include_str!("templates/result.js");

/// The host of a URL as a person reads it.
fn host(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(Url::host_str);
    host.unwrap_or("the next page").to_owned()
}

impl Page {
    /// A page of these sentences and no more.
    pub(super) fn new(status: StatusCode, title: &str, text: impl Into<String>) -> Self {
        Self {
            status,
            title: title.to_owned(),
            paragraphs: vec![text.into()],
            who: None,
            next: None,
            told: None,
        }
    }

    /// The page as an answer. `nonce` must be random and of this answer alone.
    pub(super) fn respond(&self, nonce: &str) -> Response {
        let html = Html { page: self, nonce };
        let Ok(html) = html.render() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        // A form of a page without referrer would state the origin `null` (Fetch, section 3.2).
        // Either way no other site learns the address.
        let referrer = match self.next {
            Some(Next::Agree) => "same-origin",
            Some(Next::Leave { .. } | Next::Return { .. }) | None => "no-referrer",
        };
        let mut response = (self.status, html).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, referrer),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        match HeaderValue::from_str(&policy(nonce)) {
            Ok(policy) => headers.insert(CONTENT_SECURITY_POLICY, policy),
            // No page without its policy.
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        response
    }
}

/// What the page may do: its own style and script, a form to ourselves, and nothing else.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(page: &Page) -> String {
        Html { page, nonce: "n0" }.render().unwrap()
    }

    #[test]
    fn what_is_shown_is_escaped() {
        let mut page = Page::new(StatusCode::OK, "<b>\"&", "<script>alert(1)</script>");
        page.next = Some(Next::Leave {
            url: "https://as.example/a?b=\"><script>&c='".to_owned(),
        });

        let html = html(&page);

        assert_eq!(html.matches("<script").count(), 0);
        assert!(!html.contains("<b>") && !html.contains("b=\""));
        assert!(html.contains("Continue to as.example"));
    }

    #[test]
    fn a_name_stands_alone() {
        let mut page = Page::new(StatusCode::OK, "Connect?", "For:");
        page.who = Some("<i>alice".to_owned());
        page.paragraphs.push("Is it you?".to_owned());

        let html = html(&page);

        let after = html.split_once("<p>For:</p>").unwrap().1.trim_start();
        assert!(after.starts_with("<p class=\"who\">&#60;i&#62;alice</p>\n<p>Is it"));
    }

    #[test]
    fn only_an_opener_that_is_known_is_told() {
        let mut page = Page::new(StatusCode::OK, "Connected", "Done.");
        let silent = html(&page);
        page.told = Some(Told {
            handshake: "hs_1".to_owned(),
            outcome: "completed",
            origin: "https://chat.example.com".to_owned(),
        });

        let telling = html(&page);

        assert!(!silent.contains("<script"));
        assert!(telling.contains("data-origin=\"https://chat.example.com\""));
        assert!(telling.contains("stationmaster:handshake"));
    }

    #[test]
    fn a_page_is_answered_under_a_strict_policy() {
        let response = Page::new(StatusCode::GONE, "Over", "Over.").respond("abc");

        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(response.status(), StatusCode::GONE);
        assert!(header("content-security-policy").starts_with("default-src 'none'; "));
        assert!(header("content-security-policy").contains("'nonce-abc'"));
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
    }

    #[test]
    fn a_form_states_its_origin() {
        let mut page = Page::new(StatusCode::OK, "Connect?", "Is it you?");
        page.next = Some(Next::Agree);

        let response = page.respond("abc");

        assert_eq!(response.headers()["referrer-policy"], "same-origin");
        assert!(html(&page).contains("<form method=\"post\">"));
    }
}
