//! After the storm: every replica is up, nothing goes wrong any more, and every user is resolved
//! once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stationmaster::client::v1::{self, ServerStatus};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::clock::{Chance, now};
use crate::journal::{Answer, Did};
use crate::load::{Load, present, resolve};
use crate::plan::server_of;
use crate::provider::Weather;
use crate::scene::Scene;

/// How long it may take until nothing is under way, and how long until a user's state is final.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
const FINAL_WITHIN: Duration = Duration::from_secs(90);

/// Asks for everybody.
pub(crate) async fn settle(scene: &Arc<Scene>) {
    scene.outside.weather(Weather::Calm).await;
    let deadline = Instant::now() + SETTLES_WITHIN;
    while scene.outside.open().await > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
    }
    let next = Arc::new(AtomicUsize::new(0));
    let mut lanes = JoinSet::new();
    for lane in 0..24 {
        let (scene, next) = (Arc::clone(scene), Arc::clone(&next));
        lanes.spawn(async move {
            let mut chance = Chance::new(scene.plan.seed, &[10, lane]);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= scene.plan.users {
                    return;
                }
                ask(&scene, number, &mut chance).await;
            }
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended.expect("everybody is asked for");
    }
}

/// Asks until the answer is final, and writes it down.
async fn ask(scene: &Scene, number: usize, chance: &mut Chance) {
    let (user, server) = (Load::user(number), server_of(number));
    let deadline = Instant::now() + FINAL_WITHIN;
    let mut refused = 0;
    let (since, entry, accepted) = loop {
        let since = now();
        let daemon = chance.below(scene.daemons.len());
        let client = scene.any_client(daemon, chance);
        let late = Instant::now() >= deadline;
        let entry = match resolve(&client, &user, &[server]).await {
            Ok(mut entries) if !entries.is_empty() => entries.remove(0),
            Ok(_) | Err(_) if !late => {
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            Ok(_) | Err(_) => break (since, v1::ResolvedServer::default(), false),
        };
        match entry.status() {
            ServerStatus::UpstreamUnavailable if !late => {
                sleep(Duration::from_millis(300)).await;
            }
            ServerStatus::Ready => {
                if present(scene, server, &entry).await == Some(200) {
                    break (since, entry, true);
                }
                // It may have ended on the way.
                refused += 1;
                if refused == 5 || late {
                    break (since, entry, false);
                }
            }
            _ => break (since, entry, false),
        }
    };
    scene.outside.journal.write(Did::Final {
        answer: Answer::of(user, server, since, &entry),
        accepted,
    });
}
