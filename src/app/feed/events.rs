//! A watch in a task of its own. It ends when it must, and gives back what it holds, whether or not
//! anybody takes its events: a peer that stopped reading is not asked for its consent.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use super::Guard;
use crate::app::App;
use crate::app::error::{Error, Result};
use crate::domain::changes::Revision;

/// Events that may wait to be taken.
const ROOM: usize = 16;
/// How long they may wait for the first to be taken.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What tells events, one by one.
pub(in crate::app) trait Watch: Send + Sync + 'static {
    type Event: Send + 'static;

    /// The next event; waits for it. `None` after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Event>>> + Send;

    /// What may end it.
    fn guard(&self) -> &Guard;

    /// Where to go on after what was told so far.
    fn seen(&self) -> Revision;
}

/// The events of a watch that goes on by itself. It ends when this is dropped.
#[derive(Debug)]
pub struct Events<T> {
    told: mpsc::Receiver<T>,
    failure: oneshot::Receiver<Error>,
}

impl<T> Events<T> {
    /// The next event; waits for it. `None` after the last, and after the failure that ends the watch.
    /// May be dropped any time.
    pub async fn next(&mut self) -> Option<Result<T>> {
        if let Some(event) = self.told.recv().await {
            return Some(Ok(event));
        }
        if self.failure.is_terminated() {
            return None;
        }
        (&mut self.failure).await.ok().map(Err)
    }
}

impl App {
    /// Has a watch tell its events by itself, as far as there is room for them.
    pub(in crate::app) fn detach<W: Watch>(&self, watch: W) -> Events<W::Event> {
        let (room, told) = mpsc::channel(ROOM);
        let (failed, failure) = oneshot::channel();
        let app = self.clone();
        let telling = async move {
            // What the watch holds is given back before its end is told.
            if let Err(error) = app.tell(watch, room).await {
                // Nobody may want to know.
                let _ = failed.send(error);
            }
        };
        self.0.tasks.spawn(telling.in_current_span());
        Events { told, failure }
    }

    async fn tell<W: Watch>(&self, mut watch: W, events: mpsc::Sender<W::Event>) -> Result<()> {
        while let Some(room) = self.room(&watch, &events).await? {
            let next = tokio::select! {
                () = events.closed() => return Ok(()),
                next = watch.next() => next?,
            };
            let Some(event) = next else { break };
            room.send(event);
        }
        Ok(())
    }

    /// Room for one more event; `None` when nobody takes any.
    async fn room<'e, W: Watch>(
        &self,
        watch: &W,
        events: &'e mpsc::Sender<W::Event>,
    ) -> Result<Option<mpsc::Permit<'e, W::Event>>> {
        let since = self.0.clock.monotonic();
        loop {
            tokio::select! {
                biased;
                room = events.reserve() => return Ok(room.ok()),
                () = watch.guard().rung() => watch.guard().check().await?,
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.0.clock.monotonic().saturating_sub(since) >= PATIENCE {
                return Err(Error::WatchTooSlow(watch.seen()));
            }
        }
    }
}
