//! Calls made again when the service says that this helps: a store without a free connection, say,
//! while thirty scenarios start at the same moment.

use stationmaster::client::Error;

/// How often one call is made at most.
const CALLS: usize = 10;

/// The answer to a call. A refusal that names a time is waited out.
pub(crate) async fn patiently<T>(call: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..CALLS {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(wait) = error.refusal().and_then(|refusal| refusal.retry_after) else {
            return Err(error);
        };
        tokio::time::sleep(wait).await;
    }
    call().await
}
