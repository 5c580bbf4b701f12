//! The two journals: what the provider saw and ruled, and what the storm did. JSON, one event a
//! line, each written through before anything follows from it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stationmaster::client::v1;

use super::clock;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line<E> {
    /// When, in microseconds of the clock that all processes share.
    pub(crate) t: u64,
    #[serde(flatten)]
    pub(crate) event: E,
}

/// What goes wrong with one presentation of a refresh token, decided by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    None,
    /// 503, 429: complete answers, nothing happened.
    Unavailable,
    TooMany,
    /// The request is read and comes to nothing; the connection is reset.
    Swallowed,
    /// The rotation is committed; the connection is reset instead of an answer, or within it.
    Dropped,
    Truncated,
    /// The rotation is committed; the answer comes after the client's deadline, or after the lease.
    LateAnswer,
    /// The request waits that long before anything is decided.
    LateRuling,
}

/// What the provider decided about a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ruling {
    /// Committed: the next token of the family is this one.
    Rotated(u64),
    /// A new access token under the same refresh token: this provider does not rotate.
    Repeated(u64),
    /// It was spent: the family is dead from now on.
    Reuse,
    /// The family was dead already; whether this token was spent as well.
    Dead { spent: bool },
    /// Nobody knows it, or it was another client's.
    Foreign,
    /// Come back later.
    Busy,
}

/// How a token request's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Close {
    /// The client closed after the whole answer was there for it.
    Read,
    /// The client threw the connection away with the answer unread.
    Unread,
    /// The client had gone before the answer was written.
    Gone,
    /// The provider destroyed the answer, as its script said.
    Destroyed,
    /// The network was cut.
    Cut,
    /// Nothing was heard of the client for long.
    Silent,
}

/// What the provider saw and did.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub(crate) enum Saw {
    /// A code was exchanged: a new family, with token 0.
    Exchanged {
        conn: u64,
        family: u64,
        user: String,
        server: String,
        rotates: bool,
    },
    /// A refresh token was presented; the request is read to its end.
    Presented {
        conn: u64,
        /// When the connection was accepted.
        accepted: u64,
        port: u16,
        family: u64,
        token: u64,
        /// What is left of the life of the family's newest access token; nothing when it was spoiled.
        left: u64,
        fault: Fault,
    },
    /// The process at the other end; none when it had ended before it was found.
    Sender {
        conn: u64,
        pid: Option<u32>,
    },
    /// What was decided; committed, and not yet answered.
    Ruled {
        conn: u64,
        ruling: Ruling,
    },
    /// The whole answer was handed to the network.
    Written {
        conn: u64,
    },
    /// The connection of an exchange or a presentation ended.
    Closed {
        conn: u64,
        how: Close,
    },
    /// An access token was accepted for the first time.
    Used {
        family: u64,
        token: u64,
    },
    /// An access token was taken out of use before its end.
    Spoiled {
        family: u64,
        token: u64,
    },
    /// The client gave a family back (RFC 7009).
    Revoked {
        family: u64,
    },
    /// The network is cut, and mended.
    Cut,
    Mended,
}

/// What the storm did, and what it was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub(crate) enum Did {
    Spawned {
        replica: usize,
        pid: u32,
    },
    Ready {
        replica: usize,
        pid: u32,
    },
    /// SIGKILL.
    Killed {
        replica: usize,
        pid: u32,
    },
    /// SIGSTOP, written before it is sent; SIGCONT, written after.
    Paused {
        replica: usize,
        pid: u32,
    },
    Resumed {
        replica: usize,
        pid: u32,
    },
    /// SIGTERM; how it ended: its exit code, and none when it did not end in time and was killed.
    Stopped {
        replica: usize,
        pid: u32,
    },
    Ended {
        replica: usize,
        pid: u32,
        code: Option<i32>,
    },
    /// Nothing gets through any more between a replica and its database, and nobody is told.
    Muted {
        replica: usize,
        pid: u32,
    },
    /// It does again, on new connections at least.
    Unmuted {
        replica: usize,
        pid: u32,
    },
    DatabaseStopping,
    DatabaseUp,
    StormBegins,
    StormEnds,
    /// A handshake ended: the state the service said, or what went wrong on the way.
    Handshake {
        user: String,
        server: String,
        since: u64,
        outcome: String,
    },
    /// A user disconnected; whether the service confirmed it.
    Disconnected {
        user: String,
        server: String,
        since: u64,
        confirmed: bool,
    },
    /// A user was told that there is nothing usable.
    Told(Answer),
    /// What a user had after the storm; whether the provider accepted it.
    Final {
        #[serde(flatten)]
        answer: Answer,
        accepted: bool,
    },
}

/// What a user was answered for one server, asked since then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) user: String,
    pub(crate) server: String,
    pub(crate) since: u64,
    pub(crate) status: String,
    pub(crate) reason: String,
}

impl Answer {
    pub(crate) fn of(user: String, server: &str, since: u64, entry: &v1::ResolvedServer) -> Self {
        Self {
            user,
            server: server.to_owned(),
            since,
            status: entry.status().as_str_name().to_owned(),
            reason: entry.reason().as_str_name().to_owned(),
        }
    }
}

/// A journal under way.
#[derive(Debug)]
pub(crate) struct Journal(Mutex<File>);

impl Journal {
    pub(crate) fn create(path: &Path) -> Self {
        Self(Mutex::new(
            File::create(path).expect("a journal can be made"),
        ))
    }

    /// Writes one event through, and answers its time.
    pub(crate) fn write<E: Serialize>(&self, event: E) -> u64 {
        // The time is taken under the lock, so that lines are in the order of their times.
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let t = clock::now();
        let mut line = serde_json::to_vec(&Line { t, event }).expect("an event is JSON");
        line.push(b'\n');
        file.write_all(&line).expect("a journal can be written");
        t
    }
}

/// Reads a journal; a line cut short by the end of its writer is left out.
pub(crate) fn read<E: DeserializeOwned>(path: &Path) -> Vec<Line<E>> {
    let text = std::fs::read_to_string(path).expect("a journal can be read");
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect()
}
