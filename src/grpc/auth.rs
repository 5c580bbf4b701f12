//! What a call presents: its key or token, its user's token, its tenant, where it comes from, how long it waits.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue};
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use crate::app::{App, Presented, Result, SecretText};
use crate::domain::access::Caller;

/// The metadata in which an operator names the tenant of a call.
const TENANT: &str = "stationmaster-tenant";
/// The metadata in which a daemon sends the user's own JWT.
const USER_TOKEN: &str = "stationmaster-user-token";
/// The metadata in which a caller says how long it waits (gRPC over HTTP/2, "Requests").
const TIMEOUT: &str = "grpc-timeout";

/// Recognises the caller of a request.
pub(super) async fn authenticate(app: &App, parts: &Parts, request_id: &str) -> Result<Caller> {
    let key = bearer(&parts.headers).map(SecretText);
    // What is no text is no tenant's name and no token either.
    let text = |name: &'_ HeaderValue| name.to_str().unwrap_or("\u{fffd}").to_owned();
    let tenant = parts.headers.get(TENANT).map(text);
    let user_token = parts.headers.get(USER_TOKEN);
    let user_token = user_token.map(|token| SecretText(token.to_str().unwrap_or_default()));
    let presented = Presented {
        path: parts.uri.path(),
        key: key.as_ref(),
        user_token: user_token.as_ref(),
        tenant: tenant.as_deref(),
        address: address(&parts.extensions),
        request_id,
    };
    app.authenticate(presented).await
}

/// The credential of `authorization: Bearer ...` (RFC 6750, section 2.1), if there is one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty()).then_some(credential)
}

/// Where the connection comes from; an IPv4 address in IPv6 clothes counts as IPv4.
fn address(extensions: &Extensions) -> Option<IpAddr> {
    let plain = extensions
        .get::<TcpConnectInfo>()
        .and_then(TcpConnectInfo::remote_addr);
    let tls = || {
        extensions
            .get::<TlsConnectInfo<TcpConnectInfo>>()?
            .get_ref()
            .remote_addr()
    };
    plain
        .or_else(tls)
        .as_ref()
        .map(SocketAddr::ip)
        .map(|ip| ip.to_canonical())
}

/// How long the caller waits: at most eight digits and a unit. What is not that is not a limit.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.saturating_mul(3_600))),
        "M" => Some(Duration::from_secs(count.saturating_mul(60))),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_bearer_credential_is_found_and_nothing_else_is() {
        let found = |value| bearer(&headers("authorization", value)).map(str::to_owned);

        assert_eq!(found("Bearer stm_x").as_deref(), Some("stm_x"));
        assert_eq!(found("bearer  stm_x ").as_deref(), Some("stm_x"));
        for none in ["Basic abc", "Bearer", "Bearer ", "stm_x", ""] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn a_timeout_is_read_in_every_unit() {
        let found = |value| deadline(&headers("grpc-timeout", value));

        assert_eq!(found("2H"), Some(Duration::from_hours(2)));
        assert_eq!(found("3M"), Some(Duration::from_mins(3)));
        assert_eq!(found("15S"), Some(Duration::from_secs(15)));
        assert_eq!(found("250m"), Some(Duration::from_millis(250)));
        assert_eq!(found("9u"), Some(Duration::from_micros(9)));
        assert_eq!(found("9n"), Some(Duration::from_nanos(9)));
        for none in ["", "S", "123456789S", "-1S", "1", "1x", "1.5S"] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
