//! A browser: redirects, pages that lead on by themselves, one form, and the cookies of each host.
//! It knows no page by name and no parameter of OAuth.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, Response};
use url::Url;

/// How many pages one visit sees at most.
const MAX_HOPS: usize = 20;

/// A browser of one person.
#[derive(Debug)]
pub(crate) struct Browser<'a> {
    http: reqwest::Client,
    /// The page of the chat, which is ours: we take what arrives there.
    front_end: Option<&'a str>,
    /// By host, as cookies do not know ports (RFC 6265, section 8.5).
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// What a page asks for.
#[derive(Debug, PartialEq, Eq)]
enum Page {
    /// To be left for this address.
    Leads(String),
    /// To press the button of its form, which posts to the page's own address.
    Asks,
    /// Nothing more.
    Ends,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(http: reqwest::Client, front_end: Option<&'a str>) -> Self {
        Self {
            http,
            front_end,
            cookies: BTreeMap::new(),
        }
    }

    /// Goes where `url` leads until a page asks for nothing more. Answers the code that was brought
    /// to the front end, if that is where the way ends.
    pub(crate) async fn visit(mut self, url: &str) -> anyhow::Result<Option<String>> {
        let (mut method, mut url) = (Method::GET, Url::parse(url)?);
        for _ in 0..MAX_HOPS {
            if self.front_end.is_some_and(|ours| is_at(&url, ours)) {
                let code = url.query_pairs().find(|(name, _)| name == "code");
                let (_, code) = code.context("the front end was given no code")?;
                return Ok(Some(code.into_owned()));
            }
            let response = self.request(method, &url).await?;
            (method, url) = match page(response).await? {
                Page::Leads(to) => (Method::GET, url.join(&to)?),
                Page::Asks => (Method::POST, url),
                Page::Ends => return Ok(None),
            };
        }
        bail!("no end after {MAX_HOPS} pages")
    }

    async fn request(&mut self, method: Method, url: &Url) -> anyhow::Result<Response> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let jar = self.cookies.entry(host).or_default();
        let mut request = self.http.request(method.clone(), url.clone());
        if method == Method::POST {
            request = request.header(ORIGIN, url.origin().ascii_serialization());
        }
        if !jar.is_empty() {
            let pairs: Vec<String> = jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let response = request.send().await?;
        for line in response.headers().get_all(SET_COOKIE) {
            let pair = line.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').context("a cookie without a value")?;
            jar.insert(name.trim().to_owned(), value.trim().to_owned());
        }
        Ok(response)
    }
}

/// Whether this is an address of the page, whatever its query.
fn is_at(url: &Url, page: &str) -> bool {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.as_str() == page
}

async fn page(response: Response) -> anyhow::Result<Page> {
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(LOCATION);
        let to = to.context("a redirect to nowhere")?.to_str()?;
        return Ok(Page::Leads(to.to_owned()));
    }
    let html = response.text().await?;
    Ok(if status.is_success() {
        read(&html)
    } else {
        Page::Ends
    })
}

fn read(html: &str) -> Page {
    let refresh = html.split_once("<meta http-equiv=\"refresh\" content=\"0;url=");
    if let Some((to, _)) = refresh.and_then(|(_, rest)| rest.split_once('"')) {
        Page::Leads(unescaped(to))
    } else if html.contains("<form method=\"post\">") {
        Page::Asks
    } else {
        Page::Ends
    }
}

/// Text as it was before it was written into HTML.
fn unescaped(text: &str) -> String {
    let named = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    let replaced = |text: String, (name, sign): (&str, &str)| text.replace(name, sign);
    named.into_iter().fold(text.to_owned(), replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_leads_asks_or_ends() {
        let leads = r#"<meta http-equiv="refresh" content="0;url=http://as/a?b=1&#38;c=2"><p>"#;
        let asks = r#"<form method="post"><button>Continue</button></form>"#;

        assert_eq!(read(leads), Page::Leads("http://as/a?b=1&c=2".to_owned()));
        assert_eq!(read(asks), Page::Asks);
        assert_eq!(read("<h1>Connected</h1>"), Page::Ends);
    }

    #[test]
    fn the_front_end_is_known_by_its_whole_address() {
        let ours = "https://chat.example/connected";
        let at = |url: &str| is_at(&Url::parse(url).unwrap(), ours);

        assert!(at("https://chat.example/connected?code=1"));
        assert!(!at("https://chat.example/connected/elsewhere"));
        assert!(!at("https://chat.example.net/connected"));
    }
}
