//! `/oauth2/callback`: where the authorization server sends the browser back (RFC 6749, sections
//! 4.1.2 and 4.1.2.1; RFC 9207). The query is never logged.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::HeaderMap;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::page::{Next, Page, Told};
use super::{Door, words};
use crate::app::{Callback, ResultPage, SecretText};
use crate::domain::ids::HandshakeId;

/// No parameter is longer, in bytes.
const LONGEST: usize = 8 * 1024;

/// The callback of one server.
pub(super) async fn of_server(
    State(door): State<Door>,
    server: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match server {
        Ok(Path(server)) => answer(&door, Some(&server), query, &headers).await,
        Err(_) => door.show(&words::not_found()),
    }
}

/// The callback that servers share.
pub(super) async fn shared(
    State(door): State<Door>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&door, None, query, &headers).await
}

async fn answer(
    door: &Door,
    server: Option<&str>,
    query: Option<String>,
    headers: &HeaderMap,
) -> Response {
    let query = Zeroizing::new(query.unwrap_or_default());
    let Ok(parameters) = Parameters::parse(&query) else {
        return door.show(&words::malformed());
    };
    let state = parameters.state.as_deref().map(|text| SecretText(text));
    let code = parameters.code.as_deref().map(|text| SecretText(text));
    let browser = door.site.browser(headers).map(SecretText);
    let callback = Callback {
        server,
        state: state.as_ref(),
        code: code.as_ref(),
        error: parameters.error.as_deref(),
        iss: parameters.iss.as_deref(),
        browser: browser.as_ref(),
    };
    match door.app.callback(callback).await {
        Ok(result) => show(door, result),
        Err(error) => door.apologise(&error),
    }
}

fn show(door: &Door, result: ResultPage) -> Response {
    let page = match result {
        ResultPage::Connected {
            server,
            handshake,
            return_url,
            opener_origin,
        } => End {
            handshake,
            outcome: "completed",
            return_url,
            opener_origin,
        }
        .of(words::connected(&server)),
        ResultPage::Failed {
            server,
            handshake,
            failure,
            return_url,
            opener_origin,
        } => End {
            handshake,
            outcome: "failed",
            return_url,
            opener_origin,
        }
        .of(words::failed(&server, failure)),
        ResultPage::Confirm { url } => return door.redirect(&url),
        ResultPage::Closed(closed) => words::closed(closed),
    };
    door.show(&page)
}

/// The end of a handshake, as whoever waits for it is told.
struct End {
    handshake: HandshakeId,
    outcome: &'static str,
    return_url: Option<String>,
    opener_origin: Option<String>,
}

impl End {
    fn of(self, mut page: Page) -> Page {
        let (handshake, outcome) = (self.handshake.to_string(), self.outcome);
        page.next = self.return_url.map(|url| Next::Return { url });
        page.told = self.opener_origin.map(|origin| Told {
            handshake,
            outcome,
            origin,
        });
        page
    }
}

/// What the browser brought back.
#[derive(Default)]
struct Parameters {
    state: Option<Zeroizing<String>>,
    code: Option<Zeroizing<String>>,
    error: Option<String>,
    iss: Option<String>,
}

/// A parameter came twice or is too long.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

impl Parameters {
    /// Reads a query. Parameters we do not know are ignored; one without a value counts as absent
    /// (RFC 6749, section 3.1), except for `iss`, which is compared as it stands.
    fn parse(query: &str) -> Result<Self, Malformed> {
        let mut found = Self::default();
        let mut seen = [false; 4];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let index = match &*name {
                "state" => 0,
                "code" => 1,
                "error" => 2,
                "iss" => 3,
                _ => continue,
            };
            if std::mem::replace(&mut seen[index], true) || value.len() > LONGEST {
                return Err(Malformed);
            }
            let value = value.into_owned();
            let given = !value.is_empty();
            match index {
                0 => found.state = given.then(|| Zeroizing::new(value)),
                1 => found.code = given.then(|| Zeroizing::new(value)),
                2 => found.error = given.then_some(value),
                _ => found.iss = Some(value),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_twice_is_refused_even_when_equal() {
        for query in ["state=a&state=a", "code=a&code=", "iss=&iss=x"] {
            assert!(Parameters::parse(query).is_err(), "{query}");
        }
        assert!(Parameters::parse("other=a&other=b&state=s").is_ok());
    }

    #[test]
    fn a_parameter_has_a_bound() {
        let fits = format!("code={}", "a".repeat(LONGEST));

        assert!(Parameters::parse(&fits).is_ok());
        assert!(Parameters::parse(&format!("{fits}a")).is_err());
    }

    #[test]
    fn an_empty_issuer_is_not_an_absent_one() {
        let empty = Parameters::parse("state=s&code=&error=&iss=").unwrap();
        let absent = Parameters::parse("state=s").unwrap();

        assert_eq!(empty.iss.as_deref(), Some(""));
        assert!(empty.code.is_none() && empty.error.is_none());
        assert_eq!(absent.iss, None);
    }

    #[test]
    fn values_are_decoded_once() {
        let found = Parameters::parse("iss=https%3A%2F%2Fas.example%2F%2541&code=a+b").unwrap();

        assert_eq!(found.iss.as_deref(), Some("https://as.example/%41"));
        assert_eq!(found.code.as_ref().map(|code| code.as_str()), Some("a b"));
    }

    proptest! {
        #[test]
        fn of_any_query_nothing_is_read_that_came_twice_or_is_too_long(
            query in prop_oneof![
                any::<String>(),
                "((state|code|error|iss|x)(=[a-zé+%]{0,4})?&{0,2}){0,6}",
                "(code=a{8180,8200}(&iss=%41)?)",
            ],
        ) {
            if let Ok(found) = Parameters::parse(&query) {
                let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
                for (name, read) in [
                    ("state", found.state.as_ref().map(|text| text.as_str())),
                    ("code", found.code.as_ref().map(|text| text.as_str())),
                    ("error", found.error.as_deref()),
                    ("iss", found.iss.as_deref()),
                ] {
                    let came: Vec<_> = pairs.iter().filter(|(held, _)| held == name).collect();
                    prop_assert!(came.len() <= 1 && read.is_none_or(|text| text.len() <= LONGEST));
                    let given = came.first().map(|(_, value)| &**value);
                    let given = given.filter(|value| name == "iss" || !value.is_empty());
                    prop_assert_eq!(read, given);
                }
            }
        }
    }
}
