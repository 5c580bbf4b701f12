//! What was planted, what came out, and everything that is said in this process.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static CAPTURING: AtomicBool = AtomicBool::new(false);
static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Said;

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// From here on, everything that is said in this process.
pub(super) fn capture() {
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::FULL)
        .with_writer(|| Said)
        .with_filter(dynamic_filter_fn(|_, _| CAPTURING.load(Ordering::Relaxed)));
    CAPTURING.store(true, Ordering::Relaxed);
    tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .expect("nobody else captures");
}

/// What was said since; nothing is kept from here on.
pub(super) fn said() -> Vec<u8> {
    CAPTURING.store(false, Ordering::Relaxed);
    std::mem::take(&mut *SAID.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What was planted, and what came out.
#[derive(Default)]
pub(super) struct Search {
    pub(super) secrets: Vec<(&'static str, String)>,
    pub(super) found: Vec<(String, Vec<u8>)>,
}

impl Search {
    pub(super) fn plant(&mut self, what: &'static str, secret: &str) -> String {
        assert!(
            secret.len() > 8,
            "{what} could be found by accident: {secret}"
        );
        self.secrets.push((what, secret.to_owned()));
        secret.to_owned()
    }

    pub(super) fn look_at(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.found.push((place.into(), bytes.into()));
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for (place, bytes) in &self.found {
            for (what, secret) in &self.secrets {
                if let Some(at) = bytes
                    .windows(secret.len())
                    .position(|w| w == secret.as_bytes())
                {
                    let from = bytes[..at].iter().rposition(|&b| b == b'\n').unwrap_or(0);
                    let line = &bytes[from.max(at.saturating_sub(400))..];
                    let line = line[..line.len().min(700)].escape_ascii();
                    leaks.push(format!("{what} ({secret}) in {place}: {line}"));
                }
            }
        }
        leaks
    }
}
