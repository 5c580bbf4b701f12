//! The outbox of revocations, as a deployment works it off.

use super::http;
use super::world::World;

impl World {
    /// A deployment whose provider takes revocations and deletes clients.
    pub(crate) async fn revoking(engine: super::service::Engine) -> Self {
        let world = Self::start(engine).await;
        world.idp.revokes();
        world.idp.manages();
        world
    }

    /// One turn of each worker of the outbox, beside those they take by themselves. What it begins
    /// goes on by itself.
    pub(crate) async fn work(&self) {
        let worked = self.service.within(|app| async move {
            let turns = async {
                app.revoke_due().await?;
                app.tidy_outbox().await
            };
            turns.await.map(drop).map_err(|error| error.to_string())
        });
        worked.await.unwrap();
    }

    /// Works until so many were put off.
    pub(crate) async fn puts_off(&self, count: i64) {
        let what = format!("{count} are put off");
        Self::until(&what, async || {
            self.work().await;
            self.metric("stationmaster_revocations_total{outcome=\"later\"} ")
                .await
                == Some(count)
        })
        .await;
    }

    async fn metric(&self, name: &str) -> Option<i64> {
        let metrics = http::get(&format!("{}/metrics", self.service.operations_url()), &[]).await;
        let line = metrics.text.lines().find(|line| line.starts_with(name));
        line.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// How much waits and how much was given up, as an operator sees it after a turn.
    pub(crate) async fn outbox(&self) -> (i64, i64) {
        self.work().await;
        let gauge = async |name: &str| self.metric(name).await.unwrap();
        (
            gauge("stationmaster_pending_revocations ").await,
            gauge("stationmaster_dead_revocations ").await,
        )
    }

    /// Works until so much waits and so much was given up.
    pub(crate) async fn outbox_is(&self, wanted: (i64, i64)) {
        let what = format!("the outbox holds {wanted:?}");
        Self::until(&what, async || self.outbox().await == wanted).await;
    }
}
