//! How a request can fail, and whether it may have reached its server nevertheless.

use std::fmt;

use super::address::Special;

/// Whether a request that failed may have been read by its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not: not one byte of it was written.
    No,
    /// Perhaps: it must not be repeated unless repeating is harmless.
    Maybe,
}

/// Why a request is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The scheme is not `https`, nor `http` where that is allowed.
    Scheme,
    /// The URL carries a user name or password.
    UserInformation,
    /// There is no usable host.
    Host,
    /// The host is, or resolves to, an address that is not on the public internet.
    Address(Special),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("scheme not allowed"),
            Self::UserInformation => f.write_str("user information in the URL"),
            Self::Host => f.write_str("no usable host"),
            Self::Address(special) => write!(f, "{special} address"),
        }
    }
}

/// What went wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The name could not be resolved.
    Name,
    /// No connection: refused, unreachable, too slow, or no TLS agreement.
    Connection,
    /// No connection through the proxy, or no TLS agreement beyond it.
    Proxy,
    /// The request could not be formed.
    Request,
    /// The time until which it might be sent was over.
    TooLate,
    /// No complete answer in time.
    Deadline,
    /// The connection ended before the answer's head.
    Reset,
    /// The connection ended within the answer's body.
    Truncated,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name not resolved",
            Self::Connection => "no connection",
            Self::Proxy => "no connection through the proxy",
            Self::Request => "malformed request",
            Self::TooLate => "too late to be sent",
            Self::Deadline => "deadline exceeded",
            Self::Reset => "connection ended",
            Self::Truncated => "answer cut short",
        })
    }
}

/// A request that got no usable answer. Names the host, never path, query, header or body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The rules forbid it; nothing was written.
    #[error("refused to contact {host}: {why}")]
    Blocked {
        /// The host, without port.
        host: String,
        /// The rule.
        why: Why,
    },
    /// Nothing was written: repeating is safe.
    #[error("could not reach {host}: {cause}")]
    NotSent {
        /// The host, without port.
        host: String,
        /// What went wrong.
        cause: Cause,
    },
    /// The request may have been read and acted upon.
    #[error("no complete answer from {host}: {cause}")]
    Unknown {
        /// The host, without port.
        host: String,
        /// What went wrong.
        cause: Cause,
    },
    /// The answer's body is larger than asked for.
    #[error("answer of {host} exceeds {limit} bytes")]
    TooLarge {
        /// The host, without port.
        host: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Redirects that may not be followed: more than five, from https to http, or without a
    /// readable target.
    #[error("redirect by {host} not followed")]
    Redirect {
        /// The host that redirected, without port.
        host: String,
    },
    /// The HTTP client could not be set up, for lack of root certificates for example.
    #[error("http client unavailable")]
    Setup,
}

impl Error {
    /// Whether the request may have been read by its server. Conservative: `No` is certain. Speaks
    /// of the last hop when redirects were followed.
    pub fn sent(&self) -> Sent {
        match self {
            Self::Blocked { .. } | Self::NotSent { .. } | Self::Setup => Sent::No,
            Self::Unknown { .. } | Self::TooLarge { .. } | Self::Redirect { .. } => Sent::Maybe,
        }
    }
}
