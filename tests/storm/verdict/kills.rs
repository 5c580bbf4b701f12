//! The families that were killed by a reuse: each by the one deliberate replay after an answer was
//! destroyed, or avoidably.

use std::collections::BTreeSet;

use super::destroyed::Cause;
use super::facts::{Facts, Presentation};
use crate::clock::micros;
use crate::journal::{Close, Ruling};
use crate::plan::{DEADLINE, MARGIN};

/// A family killed by reuse.
#[derive(Debug)]
pub(crate) struct Kill {
    pub(crate) family: u64,
    pub(crate) user: String,
    /// When it died.
    pub(crate) at: u64,
    /// The two presentations of the token, in the order of their arrival.
    pub(crate) first: u64,
    pub(crate) second: u64,
    /// What destroyed the answer to the first, or why the kill was avoidable.
    pub(crate) verdict: Result<Cause, String>,
}

impl Facts {
    /// Every family killed by reuse, judged once.
    pub(crate) fn kills(&self) -> &[Kill] {
        self.judged.get_or_init(|| self.judge())
    }

    fn judge(&self) -> Vec<Kill> {
        let killed = self.families.iter().filter_map(|(family, held)| {
            let (conn, at) = held.killed?;
            let killer = self.presentations.get(&conn)?;
            let spender = held.presentations.iter().copied().find(|other| {
                self.presentations.get(other).is_some_and(|other| {
                    other.token == killer.token
                        && matches!(other.ruled, Some((_, Ruling::Rotated(_))))
                })
            });
            let Some(spender) = spender else {
                panic!("family {family} was killed by a token that nobody spent");
            };
            // A request that the provider let wait may be ruled on after one that arrived later.
            let spent = &self.presentations[&spender];
            let in_order = spent.arrived <= killer.arrived;
            let (first, second) = if in_order {
                (spender, conn)
            } else {
                (conn, spender)
            };
            let by = self.presentations[&second].arrived;
            Some(Kill {
                family: *family,
                user: held.user.clone(),
                at,
                first,
                second,
                verdict: self.destroyed(&self.presentations[&first], by),
            })
        });
        killed.collect()
    }

    /// How often a spent token was presented, dead families included.
    pub(crate) fn replays(&self) -> usize {
        let replayed = |one: &&Presentation| {
            matches!(
                one.ruled,
                Some((_, Ruling::Reuse | Ruling::Dead { spent: true }))
            )
        };
        self.presentations.values().filter(replayed).count()
    }

    /// How many redemptions of the storm nobody had asked for: what stood lived longer than anybody
    /// asks for, and was not rejected.
    pub(crate) fn ahead(&self) -> usize {
        let asked = micros(MARGIN) + micros(DEADLINE);
        let storm = self.storm.unwrap_or((0, u64::MAX));
        let ahead = |one: &&Presentation| {
            one.left > asked
                && (storm.0..=storm.1).contains(&one.arrived)
                && matches!(one.ruled, Some((_, Ruling::Rotated(_))))
        };
        self.presentations.values().filter(ahead).count()
    }

    /// How often a refresh token brought new tokens.
    pub(crate) fn redemptions(&self) -> usize {
        let brought = |one: &&Presentation| {
            matches!(
                one.ruled,
                Some((_, Ruling::Rotated(_) | Ruling::Repeated(_)))
            )
        };
        self.presentations.values().filter(brought).count()
    }

    /// Tokens that were presented again although the first answer was there, and did not say "later".
    /// This is told without the provider's own detection, and finds what a family that was dead
    /// already no longer shows. Families in `known` are left out.
    pub(crate) fn needless(&self, known: &BTreeSet<u64>) -> Vec<String> {
        let mut found = Vec::new();
        let others = self
            .families
            .iter()
            .filter(|(family, held)| held.rotates && !known.contains(family));
        for held in others.map(|(_, held)| held) {
            for (at, second) in held.presentations.iter().enumerate() {
                let second = &self.presentations[second];
                let earlier = held.presentations[..at].iter().rev();
                let first = earlier.map(|conn| (conn, &self.presentations[conn])).find(
                    |(_, first)| {
                        let said_later = matches!(first.ruled, Some((_, Ruling::Busy)))
                            && matches!(first.closed, Some((t, Close::Read)) if t < second.arrived);
                        first.token == second.token && !said_later
                    },
                );
                let Some((conn, first)) = first else { continue };
                if let Err(why) = self.destroyed(first, second.arrived) {
                    found.push(format!(
                        "family {} of {}: token {} presented again after connection {conn}: {why}",
                        second.family, held.user, second.token
                    ));
                }
            }
        }
        found
    }
}
