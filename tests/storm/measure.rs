//! Ten expired credentials at once: how often they are redeemed, and how long that takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stationmaster::client::v1::ServerStatus;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::{Chance, now};
use crate::journal::{self, Line, Ruling, Saw};
use crate::load::resolve;
use crate::provider::Weather;
use crate::scene::{MEASURED, Scene};

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// One upstream round trip, its 50 ms included.
    pub(crate) trip: Duration,
    /// For each round: the redemptions, and how long all daemons together took.
    pub(crate) rounds: Vec<(usize, Duration)>,
    /// Whether this is the quick form.
    quick: bool,
}

/// The budget, in upstream round trips; it is the median's.
const BUDGET: f64 = 3.0;
/// The budget of the quick form, which runs on machines that do other things besides: the fastest
/// round's, which what else the machine does can slow down and never makes faster.
const QUICK: f64 = 6.0;
/// The rounds beyond those planned for which a busy machine is given another chance in the quick form.
const CHANCES: usize = 6;

impl Measured {
    /// The median of the rounds, in upstream round trips.
    pub(crate) fn median(&self) -> f64 {
        let mut walls: Vec<Duration> = self.rounds.iter().map(|(_, wall)| *wall).collect();
        walls.sort_unstable();
        walls[walls.len() / 2].as_secs_f64() / self.trip.as_secs_f64()
    }

    /// The fastest round, in upstream round trips.
    pub(crate) fn fastest(&self) -> f64 {
        let best = self.rounds.iter().map(|(_, wall)| *wall).min();
        best.unwrap_or_default().as_secs_f64() / self.trip.as_secs_f64()
    }

    /// What is wrong with it.
    pub(crate) fn offences(&self) -> Vec<String> {
        let mut offences = Vec::new();
        for (redemptions, _) in &self.rounds {
            if *redemptions != MEASURED {
                offences.push(format!(
                    "ten expired credentials: {redemptions} redemptions"
                ));
            }
        }
        let (ratio, limit) = if self.quick {
            (self.fastest(), QUICK)
        } else {
            (self.median(), BUDGET)
        };
        if ratio >= limit {
            offences.push(format!(
                "ten expired credentials took {ratio:.2} upstream round trips, which must be below {limit}"
            ));
        }
        offences
    }
}

const USER: &str = "ten";

pub(crate) async fn measure(scene: &Arc<Scene>) -> Measured {
    scene.outside.weather(Weather::Steady).await;
    let names: Vec<String> = (0..MEASURED).map(|number| format!("m{number}")).collect();
    let mut chance = Chance::new(scene.plan.seed, &[9]);
    for name in &names {
        let connected = scene.connect(USER, name, None, &mut chance).await;
        assert!(connected, "the user of the measurement connects to {name}");
    }
    let trip = trip(scene).await;
    let quick = scene.plan.quick;
    let chances = if quick { CHANCES } else { 0 };
    let mut measured = Measured {
        trip,
        rounds: Vec::new(),
        quick,
    };
    // The first one warms connections up and is not counted.
    for round in 0..=scene.plan.rounds + chances {
        if round > scene.plan.rounds && measured.fastest() < BUDGET {
            break;
        }
        // Tokens live two seconds by the provider's word: waiting for their end takes as long.
        sleep(Duration::from_millis(2_100)).await;
        let begin = now();
        let wall = ask(scene, &names).await;
        let redemptions = redemptions(&scene.outside.directory, begin);
        if round > 0 {
            measured.rounds.push((redemptions, wall));
        }
    }
    scene.outside.weather(Weather::Calm).await;
    measured
}

/// Lets every daemon ask for all ten at the same time; how long until the last has them.
async fn ask(scene: &Arc<Scene>, names: &[String]) -> Duration {
    let mut asking = JoinSet::new();
    let begin = now();
    for (number, clients) in scene.daemons.iter().enumerate() {
        let client = clients[number % clients.len()].clone();
        let names = names.to_vec();
        asking.spawn(async move {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let entries = resolve(&client, USER, &names).await;
            let entries = entries.expect("the resolve of the measurement is answered");
            for entry in &entries {
                assert_eq!(entry.status(), ServerStatus::Ready, "{}", entry.slug);
            }
            assert_eq!(entries.len(), names.len());
        });
    }
    while let Some(ended) = asking.join_next().await {
        ended.expect("every daemon gets all ten");
    }
    Duration::from_micros(now() - begin)
}

/// How long the token endpoint takes to answer one request of ours: the median of some.
async fn trip(scene: &Scene) -> Duration {
    let mut trips = Vec::new();
    for _ in 0..9 {
        let begin = now();
        let body = "grant_type=refresh_token&refresh_token=nobody&client_id=nobody";
        let sent = scene
            .outside
            .http
            .post(scene.outside.upstream("/as/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await;
        let answered = sent.expect("the provider answers").bytes().await;
        answered.expect("the answer is whole");
        trips.push(Duration::from_micros(now() - begin));
    }
    trips.sort_unstable();
    trips[trips.len() / 2]
}

fn redemptions(directory: &Path, since: u64) -> usize {
    let journal: Vec<Line<Saw>> = journal::read(&directory.join("provider.jsonl"));
    let rotated = |line: &&Line<Saw>| {
        line.t >= since
            && matches!(
                line.event,
                Saw::Ruled {
                    ruling: Ruling::Rotated(_),
                    ..
                }
            )
    };
    journal.iter().filter(rotated).count()
}
