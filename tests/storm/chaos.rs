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
        parts.spawn(wire(Arc::clone(scene)));
    }
    while let Some(ended) = parts.join_next().await {
        ended.expect("a part of the storm ends in order");
    }
}

/// What befalls a replica.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Kill,
    Pause,
    /// In order.
    Stop,
}

fn beyond_lease(chance: &mut Chance) -> Duration {
    let lease = u64::try_from(LEASE.as_millis()).expect("a lease is short");
    chance.millis(lease + 500..lease + 3_500)
}

/// Kills, pauses, stops and starts again, each replica by itself.
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
    // The orderly stop comes first: it writes down which credentials were handed out, without which
    // nothing of a quick storm is renewed ahead of its end.
    let mut kinds = [Blow::Stop, Blow::Kill, Blow::Pause].into_iter().cycle();
    while Instant::now() < last {
        sleep(chance.millis(gaps.clone())).await;
        let number = chance.below(scene.replicas.len());
        let length = chance.next();
        let replica = &scene.replicas[number];
        if !takes(&scene, replica) {
            continue;
        }
        assert!(!replica.has_ended(), "replica {number} ended by itself");
        let scene = Arc::clone(&scene);
        let blow = kinds.next().unwrap_or(Blow::Kill);
        under_way.spawn(async move {
            let mut chance = Chance::new(length, &[]);
            let replica = &scene.replicas[number];
            match blow {
                Blow::Kill => {
                    replica.kill();
                    sleep(chance.millis(100..1_500)).await;
                    replica.start().await;
                }
                Blow::Pause => replica.pause(beyond_lease(&mut chance)).await,
                Blow::Stop => {
                    replica.stop().await;
                    replica.start().await;
                }
            }
            replica.release();
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended.expect("what befell a replica is over");
    }
    sleep_until(begin + scene.plan.length).await;
}

/// Takes a replica to do something to it, unless somebody has. One of several stays well, so that
/// there is somebody to go wrong.
fn takes(scene: &Scene, replica: &Replica) -> bool {
    let well = |replica: &&Replica| !replica.busy.load(Ordering::SeqCst);
    let last_one = scene.replicas.iter().filter(well).count() == 1;
    !(scene.replicas.len() > 1 && last_one) && replica.take()
}

/// How the database becomes unreachable for one replica, without a word.
#[derive(Debug, Clone, Copy)]
enum Silence {
    /// For less than what a lease leaves after its request; then all goes on where it was.
    Short,
    /// For longer than the lease.
    Long,
    /// The connections there are stay silent, and new ones work.
    Forgotten,
}

/// Cuts one replica off its database, silently: each way once, and one of them in the quick form.
async fn wire(scene: Arc<Scene>) {
    let Some(wire) = &scene.wire else { return };
    let mut chance = Chance::new(scene.plan.seed, &[12]);
    let mut silences = [Silence::Short, Silence::Long, Silence::Forgotten];
    silences.rotate_left(chance.below(3));
    let times: &[u32] = if scene.plan.quick {
        &[10]
    } else {
        &[10, 25, 80]
    };
    let begin = Instant::now();
    for (hundredths, silence) in times.iter().zip(silences) {
        sleep_until(begin + at(&scene, *hundredths)).await;
        let replica = scene.replicas.last().expect("there are replicas");
        while !takes(&scene, replica) {
            sleep(Duration::from_millis(50)).await;
        }
        let (number, pid) = (replica.number, replica.pid().unwrap_or_default());
        let did = |event| scene.outside.journal.write(event);
        did(Did::Muted {
            replica: number,
            pid,
        });
        match silence {
            Silence::Short | Silence::Long => {
                wire.mute();
                sleep(match silence {
                    Silence::Long => beyond_lease(&mut chance),
                    _ => chance.millis(3_000..4_500),
                })
                .await;
                wire.unmute();
            }
            Silence::Forgotten => wire.forget(),
        }
        did(Did::Unmuted {
            replica: number,
            pid,
        });
        if matches!(silence, Silence::Forgotten) {
            // Until the last of the old connections is found out nothing else befalls it.
            sleep(LEASE).await;
        }
        replica.release();
    }
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
