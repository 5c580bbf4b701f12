//! What goes wrong, and how long things take: decided by the seed for each presentation of a token,
//! whatever the order in which they arrive.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::clock::Chance;
use super::super::journal::Fault;

/// How the provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Weather {
    /// Quick, and nothing goes wrong.
    Calm,
    /// Everything takes 50 ms, and nothing goes wrong.
    Steady,
    /// Everything goes wrong at times.
    Storm,
}

/// What a presentation of a token gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) fault: Fault,
    /// Before the ruling.
    pub(crate) before: Duration,
    /// Between the ruling and the answer.
    pub(crate) after: Duration,
}

/// The script: the seed, and what is long for the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// The client's deadline for one request, in milliseconds.
    pub(crate) deadline: u64,
    /// Its lease, in milliseconds.
    pub(crate) lease: u64,
}

impl Script {
    /// The fate of the so-many-th presentation of a token.
    pub(crate) fn fate(&self, weather: Weather, of: [u64; 3]) -> Fate {
        let mut chance = Chance::new(self.seed, &of);
        let mut fate = Fate {
            fault: Fault::None,
            before: Duration::ZERO,
            after: chance.millis(0..15),
        };
        match weather {
            Weather::Calm => return fate,
            Weather::Steady => {
                fate.after = Duration::from_millis(50);
                return fate;
            }
            Weather::Storm => {}
        }
        // Most answers are quick, some slow, none of these beyond the deadline.
        fate.after = match chance.next() % 10 {
            0 => chance.millis(200..self.deadline / 2),
            1..4 => chance.millis(50..200),
            _ => chance.millis(0..50),
        };
        fate.fault = match chance.next() % 1_000 {
            0..30 => Fault::Unavailable,
            30..50 => Fault::TooMany,
            50..56 => Fault::Swallowed,
            56..66 => Fault::Dropped,
            66..71 => Fault::Truncated,
            71..80 => {
                fate.after = self.too_long(&mut chance);
                Fault::LateAnswer
            }
            80..84 => {
                fate.before = self.too_long(&mut chance);
                Fault::LateRuling
            }
            _ => Fault::None,
        };
        fate
    }

    /// Beyond the deadline; one in three beyond the lease as well.
    fn too_long(&self, chance: &mut Chance) -> Duration {
        if chance.in_thousand(333) {
            chance.millis(self.lease + 200..self.lease + 3_000)
        } else {
            chance.millis(self.deadline + 300..self.deadline * 2)
        }
    }

    /// How long an access token lives, in seconds: a user's are long or short.
    pub(crate) fn lifetime(&self, weather: Weather, lasts: bool, of: [u64; 2]) -> u64 {
        let chance = Chance::new(self.seed, &[7, of[0], of[1]]).next();
        match weather {
            Weather::Steady => 2,
            Weather::Calm | Weather::Storm if lasts => 50 + chance % 21,
            Weather::Calm | Weather::Storm => 2 + chance % 4,
        }
    }

    /// Whether an accepted token is taken out of use at this use of it. One that lasts is used so
    /// much more often that it would hardly ever see its end.
    pub(crate) fn spoils(&self, weather: Weather, lasts: bool, of: [u64; 3]) -> bool {
        let times = if lasts { 2 } else { 25 };
        weather == Weather::Storm
            && Chance::new(self.seed, &[11, of[0], of[1], of[2]]).in_thousand(times)
    }
}
