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

    /// One turn of the worker, beside those it takes by itself.
    pub(crate) async fn work(&self) {
        let worked = self.service.within(|app| async move {
            let turn = app.revoke_due().await;
            turn.map(drop).map_err(|error| error.to_string())
        });
        worked.await.unwrap();
    }

    /// How much waits and how much was given up, as an operator sees it after a turn.
    pub(crate) async fn outbox(&self) -> (i64, i64) {
        self.work().await;
        let metrics = http::get(&format!("{}/metrics", self.service.operations_url()), &[]).await;
        let gauge = |name: &str| {
            let line = metrics.text.lines().find(|line| line.starts_with(name));
            let line = line.unwrap_or_else(|| panic!("no {name}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        (
            gauge("stationmaster_pending_revocations "),
            gauge("stationmaster_dead_revocations "),
        )
    }

    /// Works until so much waits and so much was given up.
    pub(crate) async fn outbox_is(&self, wanted: (i64, i64)) {
        let what = format!("the outbox holds {wanted:?}");
        Self::until(&what, async || self.outbox().await == wanted).await;
    }
}
