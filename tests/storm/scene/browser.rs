//! A user with a browser: opens the link, presses the button, consents, comes back. Every page is
//! asked of any replica, and of another one when that one is down.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use stationmaster::client::{answer, v1};
use tokio::time::sleep;

use super::{PUBLIC, Scene};
use crate::clock::{Chance, now};
use crate::journal::Did;

/// How often a page is asked for.
const TRIES: usize = 12;
/// How long a user waits for the whole of it.
const PATIENCE: Duration = Duration::from_secs(25);

/// A page, or where it leads.
struct Page {
    status: StatusCode,
    location: Option<String>,
    text: String,
}

/// One way through the pages.
struct Visit<'a> {
    scene: &'a Scene,
    user: &'a str,
    chance: Chance,
    cookie: String,
}

impl Scene {
    /// Connects a user; a link that a report gave may be used. What became of it is in the journal.
    pub(crate) async fn connect(
        &self,
        user: &str,
        server: &str,
        link: Option<String>,
        chance: &mut Chance,
    ) -> bool {
        let since = now();
        let visit = Visit {
            scene: self,
            user,
            chance: Chance::new(chance.next(), &[]),
            cookie: String::new(),
        };
        let walked = tokio::time::timeout(PATIENCE, visit.walk(server, link)).await;
        let outcome = match walked {
            Ok(Ok(outcome) | Err(outcome)) => outcome,
            Err(_) => "out of patience".to_owned(),
        };
        let completed = outcome == "completed";
        self.outside.journal.write(Did::Handshake {
            user: user.to_owned(),
            server: server.to_owned(),
            since,
            outcome,
        });
        completed
    }
}

impl Visit<'_> {
    async fn walk(mut self, server: &str, link: Option<String>) -> Result<String, String> {
        let link = match link {
            Some(link) => link,
            None => self.begin(server).await?,
        };
        let mut page = self.page(Method::GET, &link).await?;
        if page.text.contains("<form method=\"post\">") {
            page = self.page(Method::POST, &link).await?;
        }
        let consent = forward(&page).ok_or_else(|| said("the page leads nowhere", &page))?;
        let consented = self.page(Method::GET, &consent).await?;
        let callback = forward(&consented).ok_or_else(|| said("no consent", &consented))?;
        let end = self.page(Method::GET, &callback).await?;
        if end.status.is_success() {
            Ok("completed".to_owned())
        } else {
            Err(said("the callback", &end))
        }
    }

    async fn begin(&mut self, server: &str) -> Result<String, String> {
        let daemon = self.chance.below(self.scene.daemons.len());
        let client = self.scene.any_client(daemon, &mut self.chance);
        let request = v1::StartHandshakeRequest {
            actor: Some(v1::Actor {
                user: self.user.to_owned(),
                groups: Vec::new(),
            }),
            server: server.to_owned(),
            ..v1::StartHandshakeRequest::default()
        };
        let started = answer(client.handshakes().start_handshake(request)).await;
        started
            .map(|started| started.connect_url)
            .map_err(|error| format!("not begun: {error}"))
    }

    async fn page(&mut self, method: Method, url: &str) -> Result<Page, String> {
        let mut why = String::new();
        for _ in 0..TRIES {
            let base = self.scene.any_replica(&mut self.chance).web();
            let at = url.replace(PUBLIC, &base);
            let mut request = self
                .scene
                .outside
                .http
                .request(method.clone(), at)
                .timeout(Duration::from_secs(8))
                .header("x-storm-user", self.user);
            if !self.cookie.is_empty() {
                request = request.header("cookie", &self.cookie);
            }
            if method == Method::POST {
                request = request
                    .header("origin", PUBLIC)
                    .header("sec-fetch-site", "same-origin")
                    .header("content-type", "application/x-www-form-urlencoded");
            }
            match request.send().await {
                Ok(response) if response.status() != StatusCode::SERVICE_UNAVAILABLE => {
                    return self.taken(response).await;
                }
                Ok(_) => "unavailable".clone_into(&mut why),
                Err(error) => why = error.without_url().to_string(),
            }
            sleep(self.chance.millis(100..400)).await;
        }
        Err(format!("no page: {why}"))
    }

    async fn taken(&mut self, response: reqwest::Response) -> Result<Page, String> {
        let text = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let location = text("location");
        if let Some(set) = text("set-cookie") {
            set.split(';')
                .next()
                .unwrap_or_default()
                .clone_into(&mut self.cookie);
        }
        let status = response.status();
        let text = response.text().await;
        let text = text.map_err(|error| error.without_url().to_string())?;
        Ok(Page {
            status,
            location,
            text,
        })
    }
}

/// Where a page sends its visitor by itself.
fn forward(page: &Page) -> Option<String> {
    if page.location.is_some() {
        return page.location.clone();
    }
    let refresh = page.text.split("content=\"0;url=").nth(1)?;
    let url = refresh.split('"').next()?;
    Some(url.replace("&#38;", "&").replace("&amp;", "&"))
}

fn said(what: &str, page: &Page) -> String {
    let title = page.text.split("<h1>").nth(1);
    let title = title
        .and_then(|rest| rest.split("</h1>").next())
        .unwrap_or("");
    format!("{what}: {} {title}", page.status.as_u16())
}
