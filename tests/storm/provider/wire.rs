//! HTTP/1.1 as far as the provider needs it, by hand, so that it can tell and do what a library
//! hides: the moment a client goes, an answer cut short, a reset. One request per connection.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::super::journal::Close;

/// How long a client may be silent before its request's end, as at real servers.
const HEAD_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long a client may take to close after its answer; a paused one takes long.
const CLOSE_PATIENCE: Duration = Duration::from_secs(40);
const LARGEST: usize = 64 * 1024;

/// A request, read to its end.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "no-store".to_owned()),
            ],
            body: body.to_string(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Storm\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let length = self.body.len().to_string();
        head.extend(["content-length: ", &length, "\r\n\r\n"]);
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_bytes());
        bytes
    }
}

/// Reads a request; `None` when the client is too slow, gone, or no client of HTTP.
pub(crate) async fn read(stream: &mut TcpStream) -> Option<Request> {
    timeout(HEAD_PATIENCE, read_slowly(stream)).await.ok()?
}

async fn read_slowly(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::with_capacity(2_048);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > LARGEST || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let target = first.nth(1)?.to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(Some(0), |length| length.parse().ok())?;
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if length > LARGEST || stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request {
        path: path.to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers,
        body,
    })
}

/// How a wait within a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    Over,
    Gone,
    Cut,
}

/// Waits, while the client is there and the network whole.
pub(crate) async fn wait(
    stream: &mut TcpStream,
    pause: Duration,
    cut: &mut watch::Receiver<bool>,
) -> Waited {
    let mut byte = [0; 1];
    tokio::select! {
        biased;
        _ = cut.wait_for(|cut| *cut) => Waited::Cut,
        // Nothing follows a request: whatever can be read is its end.
        _ = stream.read(&mut byte) => Waited::Gone,
        () = sleep(pause) => Waited::Over,
    }
}

/// Writes bytes of an answer; `false` when the client is not there to take them.
pub(crate) async fn write(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

/// How the client takes its answer.
pub(crate) async fn closing(stream: &mut TcpStream, cut: &mut watch::Receiver<bool>) -> Close {
    let mut byte = [0; 1];
    tokio::select! {
        biased;
        read = stream.read(&mut byte) => match read {
            // An end that hides a reset: the answer met a socket that was closed already.
            Ok(_) => match stream.take_error() {
                Ok(None) => Close::Read,
                Ok(Some(_)) | Err(_) => Close::Unread,
            },
            Err(_) => Close::Unread,
        },
        _ = cut.wait_for(|cut| *cut) => Close::Cut,
        () = sleep(CLOSE_PATIENCE) => Close::Silent,
    }
}

/// Ends a connection at once. After the client has closed this leaves nothing behind; before, it is a
/// reset.
pub(crate) fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}
