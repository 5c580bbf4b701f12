//! Insisting: what must not be lost is written again while the store does not answer.

use std::time::Duration;

use super::error::{Error, Result};

/// What one try to read or write may take.
pub(super) const TRY: Duration = Duration::from_secs(5);
/// The pauses between tries: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The patience of one act.
#[derive(Debug)]
pub(super) struct Insist {
    left: Duration,
    pause: Duration,
}

impl Insist {
    /// Patience for pauses that add up to this.
    pub(super) fn for_at_most(patience: Duration) -> Self {
        Self {
            left: patience,
            pause: PAUSES.0,
        }
    }

    /// Patience without end.
    pub(super) fn for_ever() -> Self {
        Self::for_at_most(Duration::MAX)
    }

    /// Waits before the act is tried again. Any failure but that of the store to answer is given
    /// back, and so is that one once patience is over.
    pub(super) async fn after(&mut self, error: Error) -> Result<()> {
        if !matches!(error, Error::StoreUnavailable(_)) {
            return Err(error);
        }
        self.left = self.left.checked_sub(self.pause).ok_or(error)?;
        self.wait().await;
        Ok(())
    }

    /// Waits before the act is tried again, whatever was wrong.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    fn away() -> Error {
        Error::StoreUnavailable(store::Error::Conflict)
    }

    #[tokio::test]
    async fn it_waits_for_the_store_until_patience_ends() {
        let mut again = Insist::for_at_most(Duration::from_millis(200));
        let mut waited = 0;

        while again.after(away()).await.is_ok() {
            waited += 1;
        }

        // 50 and 100 ms; the next pause would be too much.
        assert_eq!(waited, 2);
    }

    #[tokio::test]
    async fn it_waits_for_nothing_else() {
        let mut again = Insist::for_ever();

        assert!(again.after(away()).await.is_ok());
        assert!(again.after(Error::ServerNotFound).await.is_err());
    }
}
