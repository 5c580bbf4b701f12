//! A deployment's work without being asked, and what it knows of its provider.

use super::http;
use super::idp::Idp;
use super::service::{Engine, TestService};
use super::world::World;

impl World {
    /// A deployment that knows this of its provider: lines of a profile.
    pub(crate) async fn knowing(engine: Engine, lines: &str) -> Self {
        let idp = Idp::start().await;
        let profiles = profile(&idp, lines);
        let settings = [("oauth.profiles", profiles.path().to_str().unwrap())];
        let service = TestService::start_with(engine, &settings).await;
        Self::beside(service, idp).await
    }

    /// One turn of the worker that renews ahead of time, beside those it takes by itself: how many
    /// renewals it began.
    pub(crate) async fn renew_ahead(&self) -> u64 {
        renew_ahead(&self.service).await
    }

    /// One turn of the worker that writes down what was handed out.
    pub(crate) async fn write_uses(&self) {
        let done = self.service.within(|app| async move {
            let turn = app.write_uses().await;
            turn.map(drop).map_err(|error| error.to_string())
        });
        done.await.unwrap();
    }

    /// One turn of the worker that deletes what nobody can use.
    pub(crate) async fn sweep(&self) {
        let done = self.service.within(|app| async move {
            let turn = app.sweep().await;
            turn.map(drop).map_err(|error| error.to_string())
        });
        done.await.unwrap();
    }

    /// Until this many refresh tokens were presented.
    pub(crate) async fn redeemed(&self, count: usize) {
        let what = format!("{count} refresh tokens are presented");
        Self::until(&what, async || self.idp.redemptions().len() >= count).await;
        assert_eq!(self.idp.redemptions().len(), count);
    }

    /// Until a user's grant is of this generation.
    pub(crate) async fn renewed(&self, user: &str, server: &str, generation: i64) {
        let what = format!("{user}'s grant is of generation {generation}");
        Self::until(&what, async || {
            self.connection(user, server).await.unwrap().generation == generation
        })
        .await;
    }

    /// How many refreshes came to this outcome, as the metrics tell.
    pub(crate) async fn refreshes(&self, outcome: &str) -> u64 {
        let metrics = http::get(&format!("{}/metrics", self.service.operations_url()), &[]).await;
        let outcome = format!("outcome=\"{outcome}\"");
        let mut lines = metrics.text.lines();
        let line = lines.find(|l| l.starts_with("stationmaster_refreshes") && l.contains(&outcome));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}

/// What is known of a provider, as a directory of one profile: lines of it.
pub(crate) fn profile(idp: &Idp, lines: &str) -> tempfile::TempDir {
    let profiles = tempfile::tempdir().unwrap();
    let profile = format!("issuers = [\"{}\"]\n{lines}\n", idp.issuer());
    std::fs::write(profiles.path().join("ours.toml"), profile).unwrap();
    profiles
}

/// One turn of the worker of one service that renews ahead of time: how many renewals it began.
pub(crate) async fn renew_ahead(service: &TestService) -> u64 {
    let done = service.within(|app| async move {
        let turn = app.renew_due().await;
        turn.map_err(|error| error.to_string())
    });
    done.await.unwrap()
}
