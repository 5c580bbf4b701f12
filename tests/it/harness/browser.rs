//! A browser as far as a handshake needs one: cookies per site, the button, the way to the consent
//! page and back. It follows nothing by itself, so that a test can stop anywhere.

use std::sync::Mutex;

use url::Url;

use super::http::{self, Answer};

/// One browser; another one knows none of its cookies.
#[derive(Debug, Default)]
pub(crate) struct Browser {
    jar: Mutex<Vec<(String, String, String)>>,
}

impl Browser {
    /// Goes to a URL.
    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send("GET", url, &[]).await
    }

    /// Presses the button of the page at a URL.
    pub(crate) async fn press(&self, url: &str) -> Answer {
        let site = origin(url);
        let headers = [
            ("origin", site.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", url, &headers).await
    }

    /// Any request, with the cookies of its site; what is set is kept.
    pub(crate) async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
        let site = origin(url);
        let cookies = {
            let jar = self.jar.lock().unwrap();
            let own = jar.iter().filter(|(at, ..)| *at == site);
            let pairs: Vec<String> = own
                .map(|(_, name, value)| format!("{name}={value}"))
                .collect();
            pairs.join("; ")
        };
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let answer = http::send(method, url, &headers).await;
        for set in answer.headers.get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut jar = self.jar.lock().unwrap();
            jar.retain(|(at, held, _)| !(*at == site && held == name));
            jar.push((site.clone(), name.to_owned(), value.to_owned()));
        }
        answer
    }

    /// From here on it takes one site for another, of which it knows the cookies: the same service at
    /// another address.
    pub(crate) fn takes_for(&self, known: &str, site: &str) {
        let mut jar = self.jar.lock().unwrap();
        let own = jar.iter().filter(|(at, ..)| *at == origin(known));
        let copied: Vec<_> = own
            .map(|(_, name, value)| (origin(site), name.clone(), value.clone()))
            .collect();
        jar.extend(copied);
    }

    /// From a connect link to the consent page: its URL. The button is pressed if there is one.
    pub(crate) async fn depart(&self, link: &str) -> String {
        let mut page = self.get(link).await;
        if page.text.contains("<form method=\"post\">") {
            page = self.press(link).await;
        }
        forward(&page)
    }

    /// From a connect link over the consent page to the callback: its URL, not yet visited.
    pub(crate) async fn consent(&self, link: &str) -> String {
        let consent = self.depart(link).await;
        let answer = self.get(&consent).await;
        assert_eq!(answer.status, 302, "{}", answer.text);
        answer.header("location").to_owned()
    }

    /// The whole way, from a connect link to the page that says how it went.
    pub(crate) async fn connect(&self, link: &str) -> Answer {
        let callback = self.consent(link).await;
        self.get(&callback).await
    }
}

/// Where a page sends its visitor by itself.
fn forward(page: &Answer) -> String {
    let location = page.header("location");
    if !location.is_empty() {
        return location.to_owned();
    }
    let refresh = page.text.split("content=\"0;url=").nth(1);
    let url = refresh.and_then(|rest| rest.split('"').next());
    let url = url.unwrap_or_else(|| panic!("{} leads nowhere: {}", page.status, page.text));
    url.replace("&#38;", "&").replace("&amp;", "&")
}

/// A URL's query parameter.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let mut pairs = url.query_pairs();
    pairs
        .find(|(held, _)| held == name)
        .map(|(_, value)| value.into_owned())
}

fn origin(url: &str) -> String {
    Url::parse(url).unwrap().origin().ascii_serialization()
}
