//! What befalls the replicas, the database and the network, by the seed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock::Chance;
use crate::journal::Did;
use crate::plan::{Engine, LEASE};
use crate::scene::{Replica, Scene};

/// A number of the plan's hundredths of its length.
fn at(scene: &Scene, hundredths: u32) -> Duration {
    scene.plan.length * hundredths / 100
}

/// Lets it happen for the length of the storm. At its end all is as it was: every replica runs.
pub(crate) async fn rage(scene: &Arc<Scene>) {
    let mut parts = JoinSet::new();
    parts.spawn(replicas(Arc::clone(scene)));
    parts.spawn(network(Arc::clone(scene)));
    if scene.engine == Engine::Postgres {
        parts.spawn(database(Arc::clone(scene)));
    }
    while let Some(ended) = parts.join_next().await {
        ended.expect("a part of the storm ends in order");
    }
}

/// Kills, pauses and starts again, each replica by itself.
async fn replicas(scene: Arc<Scene>) {
    let begin = Instant::now();
    // Nothing begins that would not be over in time.
    let last = begin + scene.plan.length.saturating_sub(LEASE);
    let mut chance = Chance::new(scene.plan.seed, &[5]);
    let mut under_way = JoinSet::new();
    let gaps = match scene.engine {
        Engine::Postgres => 1_000..3_000,
        Engine::Sqlite => 3_000..6_000,
    };
    let mut kills = false;
    while Instant::now() < last {
        sleep(chance.millis(gaps.clone())).await;
        let number = chance.below(scene.replicas.len());
        let length = chance.next();
        let replica = &scene.replicas[number];
        // One of several stays well, so that there is somebody to go wrong.
        let well = |replica: &&Replica| !replica.busy.load(Ordering::SeqCst);
        let last_one = scene.replicas.iter().filter(well).count() == 1;
        if (scene.replicas.len() > 1 && last_one) || !replica.take() {
            continue;
        }
        assert!(!replica.has_ended(), "replica {number} ended by itself");
        kills = !kills;
        let (scene, kill) = (Arc::clone(&scene), kills);
        under_way.spawn(async move {
            let mut chance = Chance::new(length, &[]);
            let replica = &scene.replicas[number];
            if kill {
                replica.kill();
                sleep(chance.millis(100..1_500)).await;
                replica.start().await;
            } else {
                let lease = u64::try_from(LEASE.as_millis()).expect("a lease is short");
                replica
                    .pause(chance.millis(lease + 500..lease + 3_500))
                    .await;
            }
            replica.release();
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended.expect("what befell a replica is over");
    }
    sleep_until(begin + scene.plan.length).await;
}

/// Stops PostgreSQL at once, and starts it again.
async fn database(scene: Arc<Scene>) {
    let mut chance = Chance::new(scene.plan.seed, &[6]);
    sleep(at(&scene, 40)).await;
    let down = chance.millis(500..1_500);
    scene.outside.journal.write(Did::DatabaseStopping);
    with_postgres(&scene, false).await;
    sleep(down).await;
    with_postgres(&scene, true).await;
    scene.outside.journal.write(Did::DatabaseUp);
}

async fn with_postgres(scene: &Arc<Scene>, up: bool) {
    let scene = Arc::clone(scene);
    let done = tokio::task::spawn_blocking(move || {
        if let Some(postgres) = &scene.postgres {
            if up { postgres.up() } else { postgres.down() }
        }
    });
    done.await.expect("PostgreSQL does as it is told");
}

/// Cuts the network between the replicas and the provider.
async fn network(scene: Arc<Scene>) {
    let mut chance = Chance::new(scene.plan.seed, &[8]);
    sleep(at(&scene, 65)).await;
    scene.outside.cut(chance.millis(1_500..3_000)).await;
}
