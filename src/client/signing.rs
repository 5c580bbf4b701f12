//! Signatures of identity headers: what a daemon adds to each request to a server that has a signing
//! secret, and how a receiver checks it. Pure functions; the time is the caller's.
//!
//! Sign the request that is really sent: another method, path, query or body needs another signature.

use ring::{digest, hmac};

use super::v1;

/// How far the clocks of both sides, and the way between, may be apart, in seconds.
pub const WINDOW: u64 = 300;

/// What every signature of the scheme starts with.
const VERSION: &str = "v1";

/// A request as it goes over the wire.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its method, upper case.
    pub method: &'a str,
    /// Its URI: path and query, `/mcp?a=b`, as in the request line.
    pub uri: &'a str,
    /// Its body, byte for byte; empty where it has none.
    pub body: &'a [u8],
}

/// What the identity headers of a request say, as they stand in it; empty where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity<'a> {
    /// The chat's owner.
    pub owner: &'a str,
    /// The root chat.
    pub chat: &'a str,
    /// The sub-chat.
    pub subchat: &'a str,
    /// The workspace.
    pub workspace: &'a str,
}

/// What a request carries as its signature.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The header of the signature.
    pub signature: &'a str,
    /// The header of the time.
    pub timestamp: &'a str,
}

/// Why nothing is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is for a scheme that this release does not know")]
pub struct UnknownScheme;

/// Why a signature is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It, or its time, is not of the scheme's form.
    #[error("the signature or its time is malformed")]
    Malformed,
    /// It is not of now.
    #[error("the signature is too old, or of the future")]
    OutOfTime,
    /// It is another's, or of another request.
    #[error("the signature is not of this request")]
    Wrong,
}

/// The two headers to send beside those that were resolved: signature and time. `now` is in unix seconds.
pub fn sign(
    key: &v1::SigningKey,
    request: &Request<'_>,
    now: i64,
) -> Result<[v1::Header; 2], UnknownScheme> {
    if key.scheme() != v1::SigningScheme::HmacSha256V1 {
        return Err(UnknownScheme);
    }
    let identity = Identity {
        owner: &key.owner,
        chat: &key.chat,
        subchat: &key.subchat,
        workspace: &key.workspace,
    };
    let timestamp = now.to_string();
    let message = message(request, &identity, &timestamp);
    let tag = hmac::sign(&secret(&key.secret), message.as_bytes());
    let header = |name: &str, value: String| v1::Header {
        name: name.to_owned(),
        value,
    };
    let signature = format!("{VERSION}={}", hex(tag.as_ref()));
    Ok([
        header(&key.signature_header, signature),
        header(&key.timestamp_header, timestamp),
    ])
}

/// Whether a request was signed by who has the secret, at most [`WINDOW`] from `now` (unix seconds). A
/// request that is repeated within that time is taken again: remember its signature where that matters.
/// Compares in constant time.
pub fn verify(
    key: &str,
    request: &Request<'_>,
    identity: &Identity<'_>,
    signed: &Signed<'_>,
    now: i64,
) -> Result<(), Refused> {
    let digits = signed.timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let time: i64 = signed.timestamp.parse().map_err(|_| Refused::Malformed)?;
    let tag = signed.signature.strip_prefix(VERSION);
    let tag = tag.and_then(|rest| rest.strip_prefix('=')).and_then(unhex);
    let tag = tag.filter(|_| digits).ok_or(Refused::Malformed)?;
    if now.abs_diff(time) > WINDOW {
        return Err(Refused::OutOfTime);
    }
    let message = message(request, identity, signed.timestamp);
    hmac::verify(&secret(key), message.as_bytes(), &tag).map_err(|_| Refused::Wrong)
}

/// What is signed.
fn message(request: &Request<'_>, identity: &Identity<'_>, timestamp: &str) -> String {
    let Request { method, uri, body } = request;
    let body = hex(digest::digest(&digest::SHA256, body).as_ref());
    let Identity {
        owner,
        chat,
        subchat,
        workspace,
    } = identity;
    format!(
        "{VERSION}\n{timestamp}\n{method}\n{uri}\n{body}\nowner={owner}\nchat={chat}\n\
         subchat={subchat}\nworkspace={workspace}"
    )
}

fn secret(text: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The bytes of lower-case hex digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?));
    bytes.collect::<Option<_>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600;
    const POST: Request<'_> = Request {
        method: "POST",
        uri: "/mcp?a=b",
        body: b"{}",
    };
    const GET: Request<'_> = Request {
        method: "GET",
        uri: "/mcp",
        body: b"",
    };
    const WHO: Identity<'_> = Identity {
        owner: "ann",
        chat: "c1",
        subchat: "",
        workspace: "w%201",
    };

    fn key() -> v1::SigningKey {
        v1::SigningKey {
            scheme: v1::SigningScheme::HmacSha256V1.into(),
            secret: "as typed".to_owned(),
            signature_header: "X-Sig".to_owned(),
            timestamp_header: "X-Time".to_owned(),
            owner: WHO.owner.to_owned(),
            chat: WHO.chat.to_owned(),
            subchat: WHO.subchat.to_owned(),
            workspace: WHO.workspace.to_owned(),
        }
    }

    /// By OpenSSL, of the message written out.
    #[test]
    fn a_signature_is_what_anybody_else_computes() {
        for (request, lines, by_openssl) in [
            (
                POST,
                "v1\n1767225600\nPOST\n/mcp?a=b\n\
                 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n\
                 owner=ann\nchat=c1\nsubchat=\nworkspace=w%201",
                "9909e720d3df1bcad68453f5b28e0665b1341d977b11eba9a8a62efd31cb968c",
            ),
            (
                GET,
                "v1\n1767225600\nGET\n/mcp\n\
                 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
                 owner=ann\nchat=c1\nsubchat=\nworkspace=w%201",
                "190d8e08a330960cbe5c3c2c0b9c5f0e3220cb479fca2baea56f19b9293bdaa1",
            ),
        ] {
            let [signature, time] = sign(&key(), &request, NOW).unwrap();

            assert_eq!(
                (&*signature.name, &*time.name, &*time.value),
                ("X-Sig", "X-Time", "1767225600")
            );
            let own = hmac::Key::new(hmac::HMAC_SHA256, b"as typed");
            let tag = hmac::sign(&own, lines.as_bytes());
            let tag = hex(tag.as_ref());
            assert_eq!(signature.value, format!("v1={tag}"));
            assert_eq!(tag, by_openssl);
        }
    }

    #[test]
    fn only_this_request_of_this_time_is_taken() {
        let [signature, time] = sign(&key(), &POST, NOW).unwrap();
        let signed = Signed {
            signature: &signature.value,
            timestamp: &time.value,
        };
        let check = |request: Request<'_>, who: Identity<'_>, now: i64| {
            verify("as typed", &request, &who, &signed, now)
        };

        for off in [-300, 0, 300] {
            assert_eq!(check(POST, WHO, NOW + off), Ok(()), "{off}");
        }
        for off in [-301, 301] {
            assert_eq!(check(POST, WHO, NOW + off), Err(Refused::OutOfTime));
        }
        for (request, who) in [
            (
                Request {
                    method: "PUT",
                    ..POST
                },
                WHO,
            ),
            (
                Request {
                    uri: "/mcp",
                    ..POST
                },
                WHO,
            ),
            (Request { body: b"", ..POST }, WHO),
            (
                POST,
                Identity {
                    owner: "bob",
                    ..WHO
                },
            ),
            (POST, Identity { chat: "", ..WHO }),
            (
                POST,
                Identity {
                    subchat: "s",
                    ..WHO
                },
            ),
            (
                POST,
                Identity {
                    workspace: "w 1",
                    ..WHO
                },
            ),
        ] {
            let checked = check(request, who, NOW);

            assert_eq!(checked, Err(Refused::Wrong), "{request:?} {who:?}");
        }
        let other = verify("As typed", &POST, &WHO, &signed, NOW);
        assert_eq!(other, Err(Refused::Wrong));
    }

    #[test]
    fn what_is_no_signature_is_told_apart() {
        let hex = "0".repeat(64);
        for (signature, timestamp) in [
            (format!("v2={hex}"), "1767225600"),
            (hex.clone(), "1767225600"),
            (format!("v1={}", "0".repeat(63)), "1767225600"),
            (format!("v1={}", "A".repeat(64)), "1767225600"),
            (format!("v1={hex}"), "+1767225600"),
            (format!("v1={hex}"), ""),
            (format!("v1={hex}"), "soon"),
        ] {
            let signed = Signed {
                signature: &signature,
                timestamp,
            };

            let checked = verify("as typed", &POST, &WHO, &signed, NOW);

            assert_eq!(checked, Err(Refused::Malformed), "{signed:?}");
        }
        let unknown = v1::SigningKey { scheme: 0, ..key() };
        assert_eq!(sign(&unknown, &POST, NOW), Err(UnknownScheme));
    }
}
