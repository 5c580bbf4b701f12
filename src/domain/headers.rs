//! HTTP header names and values as administrators and users may configure them.
//!
//! Names follow RFC 9110, section 5.1; values section 5.5, narrowed to visible ASCII, space and
//! tab, so that nothing can smuggle a second header. Names that steer the connection or the MCP
//! transport itself are reserved.

use secrecy::ExposeSecret as _;

use super::secrets::{AccessToken, HeaderSecret};
use super::text::InvalidText;

/// The longest header name, in bytes.
pub const MAX_NAME: usize = 128;
/// The longest header value, in bytes.
pub const MAX_VALUE: usize = 8 * 1024;
/// The most headers one server may be given.
pub const MAX_HEADERS: usize = 16;

/// Reserved names, lower case: hop-by-hop, framing, and what the MCP transport sets itself.
const RESERVED: [&str; 14] = [
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "expect",
    "last-event-id",
    "cookie",
    "set-cookie",
    "forwarded",
    "via",
    "date",
];

/// Reserved beginnings of names, lower case.
const RESERVED_PREFIXES: [&str; 5] = ["proxy-", "content-", "accept", "mcp-", "x-forwarded-"];

/// Beginnings of the names under which identity headers are sent, lower case.
const IDENTITY_PREFIXES: [&str; 2] = ["x-coder-", "x-stationmaster-"];

/// A header name that may be configured, in the spelling it was given.
pub fn name(text: &str) -> Result<String, InvalidText> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(InvalidText::TooLong { max: MAX_NAME });
    }
    if !text.bytes().all(is_token_byte) {
        return Err(InvalidText::Grammar(
            "must be a header name (RFC 9110, section 5.1)",
        ));
    }
    let lower = text.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| lower.starts_with(prefix))
    {
        return Err(InvalidText::Grammar("is a reserved header name"));
    }
    Ok(text.to_owned())
}

/// As [`name`], where whoever gives it must not pass for us: names of identity headers are reserved too.
pub fn callers_name(text: &str) -> Result<String, InvalidText> {
    let name = name(text)?;
    let lower = name.to_ascii_lowercase();
    if IDENTITY_PREFIXES
        .iter()
        .any(|prefix| lower.starts_with(prefix))
    {
        return Err(InvalidText::Grammar("is a reserved header name"));
    }
    Ok(name)
}

/// The length of headers, in bytes.
pub fn size(headers: &[(String, HeaderSecret)]) -> usize {
    let lengths = headers.iter();
    lengths
        .map(|(name, value)| name.len() + value.expose_secret().len())
        .sum()
}

/// Checks a header value; it is kept exactly as given.
pub fn check_value(value: &HeaderSecret) -> Result<(), InvalidText> {
    let text = value.expose_secret();
    if text.trim().is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > MAX_VALUE {
        return Err(InvalidText::TooLong { max: MAX_VALUE });
    }
    if !text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
        return Err(InvalidText::Grammar(
            "must be visible ASCII, without line breaks",
        ));
    }
    Ok(())
}

/// Whether a header of this name is among those to be sent, in whatever case.
pub fn has(sent: &[(String, HeaderSecret)], name: &str) -> bool {
    sent.iter()
        .any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// The `Authorization` value that carries an access token (RFC 6750, section 2.1).
pub fn authorization(token_type: &str, token: &AccessToken) -> HeaderSecret {
    HeaderSecret::new(format!("{token_type} {}", token.expose_secret()))
}

/// A byte of a `token` (RFC 9110, section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injection_and_reserved_names_are_refused() {
        for bad in [
            "",
            "a b",
            "x:y",
            "x\r\ny",
            "Host",
            "content-length",
            "Proxy-Foo",
            "MCP-Session-Id",
            "ä",
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(name(" X-Api-Key ").as_deref(), Ok("X-Api-Key"));
    }

    #[test]
    fn values_cannot_carry_a_second_header() {
        for bad in ["", " ", "a\r\nx: y", "a\nb", "a\0", "é"] {
            assert!(
                check_value(&HeaderSecret::new(bad.to_owned())).is_err(),
                "{bad:?}"
            );
        }
        assert!(check_value(&HeaderSecret::new("Bearer abc\tdef".to_owned())).is_ok());
    }
}
