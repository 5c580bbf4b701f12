//! The last moment before a request is written. A body stands behind its gate, and the HTTP client
//! asks for it after the head was formed and before the first byte of either goes out (hyper's
//! HTTP/1.1 dispatcher forms the head, polls the body, then flushes, all in one poll; a test reads
//! the bytes on the wire). So as long as the gate was not passed, nothing was written, and once it
//! is shut nothing will be, however long the process slept in between.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::domain::time::has_passed;

const WAITING: u8 = 0;
const PASSED: u8 = 1;
const SHUT: u8 = 2;

/// A body that came to its gate too late; found again in the error chain of the HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("too late to be sent")]
pub(super) struct TooLate;

/// The gate of one request. It is passed or shut once, never both.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<AtomicU8>);

impl Gate {
    /// The body behind this gate; let through only until `before`, if that is given.
    pub(super) fn body(&self, bytes: Bytes, before: Option<Instant>) -> Gated {
        Gated {
            gate: self.clone(),
            before,
            bytes: Some(bytes),
        }
    }

    /// Shuts the gate. `true` means that nothing was written and nothing will be.
    pub(super) fn shut(&self) -> bool {
        self.settle(SHUT)
    }

    /// Whether the gate has this state now for good.
    fn settle(&self, state: u8) -> bool {
        self.0
            .compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|settled| settled == state, |_waiting| true)
    }
}

/// A body behind a gate.
pub(super) struct Gated {
    gate: Gate,
    before: Option<Instant>,
    bytes: Option<Bytes>,
}

impl Body for Gated {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        let state = if self.before.is_some_and(has_passed) {
            SHUT
        } else {
            PASSED
        };
        let passes = self.gate.settle(state) && state == PASSED;
        Poll::Ready(Some(if passes {
            Ok(Frame::data(bytes))
        } else {
            Err(TooLate)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;
    use crate::domain::time::{Clock, SystemClock};

    /// Whether the body comes out.
    fn comes_out(body: &mut Gated) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(
            Pin::new(body).poll_frame(&mut context),
            Poll::Ready(Some(Ok(_)))
        )
    }

    #[test]
    fn a_body_passes_until_its_time_and_not_after() {
        let clock = SystemClock::new();
        let (past, future) = (
            clock.instant(Duration::ZERO),
            clock.instant(Duration::from_hours(1)),
        );

        for (before, expected) in [(None, true), (Some(future), true), (Some(past), false)] {
            let gate = Gate::default();
            let mut body = gate.body(Bytes::from_static(b"x"), before);

            assert_eq!(comes_out(&mut body), expected, "{before:?}");
            assert_eq!(gate.shut(), !expected, "{before:?}");
        }
    }

    #[test]
    fn nothing_passes_a_gate_that_was_shut() {
        let gate = Gate::default();
        let mut body = gate.body(Bytes::from_static(b"x"), None);

        assert!(gate.shut());
        assert!(!comes_out(&mut body));
        assert!(gate.shut(), "it stays shut");
    }
}
