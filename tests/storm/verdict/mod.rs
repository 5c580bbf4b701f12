//! The verdict, from the journals alone.

mod destroyed;
mod facts;
mod kills;
mod lost;
pub(crate) mod selfcheck;

use std::path::Path;

use crate::journal::{self, Did, Line, Saw};
pub(crate) use facts::Facts;
use lost::Lost;

/// The outcome of one storm.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) facts: Facts,
    lost: Lost,
}

/// Families listed one by one; more are counted.
const LISTED: usize = 400;

impl Verdict {
    pub(crate) fn of(directory: &Path) -> Self {
        let saw: Vec<Line<Saw>> = journal::read(&directory.join("provider.jsonl"));
        let did: Vec<Line<Did>> = journal::read(&directory.join("driver.jsonl"));
        Self::new(Facts::new(saw, did))
    }

    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            lost: facts.lost(),
            facts,
        }
    }

    fn avoidable(&self) -> usize {
        self.facts
            .kills()
            .iter()
            .filter(|kill| kill.verdict.is_err())
            .count()
    }

    /// What fails the run.
    pub(crate) fn offences(&self) -> Vec<String> {
        let mut offences = Vec::new();
        for (pid, code) in &self.facts.disorder {
            offences.push(match code {
                Some(code) => format!("process {pid} ended with {code} when stopped in order"),
                None => format!("process {pid} did not end in time when stopped in order"),
            });
        }
        for kill in self.facts.kills() {
            if let Err(why) = &kill.verdict {
                offences.push(format!(
                    "family {} of {} killed avoidably at {}: connections {} and {} presented the \
                     same token: {why}",
                    kill.family, kill.user, kill.at, kill.first, kill.second
                ));
            }
        }
        let avoidable = self
            .facts
            .kills()
            .iter()
            .filter(|kill| kill.verdict.is_err());
        let known = avoidable.map(|kill| kill.family).collect();
        let deliberate = self.facts.kills().len() - self.avoidable();
        let destroyed: usize = self.facts.all_destroyed().values().sum();
        if deliberate > destroyed {
            offences.push(format!(
                "{deliberate} families killed deliberately, and {destroyed} answers destroyed"
            ));
        }
        offences.extend(self.facts.needless(&known));
        offences.extend(self.lost.offences.iter().cloned());
        offences
    }

    /// The figures.
    pub(crate) fn print(&self) {
        let facts = &self.facts;
        println!(
            "  redemptions                        {}",
            facts.redemptions()
        );
        println!("  of these, asked for by nobody      {}", facts.ahead());
        println!("  replays seen by the provider       {}", facts.replays());
        println!("  families killed avoidably          {}", self.avoidable());
        let deliberate = self.facts.kills().len() - self.avoidable();
        println!(
            "  families killed by the one deliberate replay after an answer was destroyed: {deliberate}"
        );
        let zero = facts.storm.map_or(0, |storm| storm.0);
        for kill in self.facts.kills().iter().take(LISTED) {
            if let Ok(cause) = kill.verdict {
                let at = kill.at.saturating_sub(zero);
                println!(
                    "    {:>4}.{:03} s  {:<5} family {:<6} connections {} and {}: {cause}",
                    at / 1_000_000,
                    at / 1_000 % 1_000,
                    kill.user,
                    kill.family,
                    kill.first,
                    kill.second,
                );
            }
        }
        let destroyed = facts.all_destroyed();
        println!(
            "  answers destroyed                  {}",
            destroyed.values().sum::<usize>()
        );
        for (cause, count) in destroyed {
            println!("    {count:>6}  {cause}");
        }
        let lost = &self.lost;
        println!(
            "  connections lost                   {}",
            lost.causes.values().sum::<usize>()
        );
        for (cause, count) in &lost.causes {
            println!("    {count:>6}  {cause}");
        }
        println!(
            "  after the storm: {} ready and accepted, {} told to connect again, {} had left",
            lost.finally_ready, lost.finally_told, lost.finally_left
        );
        println!(
            "  replicas killed {}, paused {}, stopped in order {}; tokens spoiled {}; database stopped {}; \
             network cut {}",
            facts.kills.len(),
            facts.pauses.len(),
            facts.stops,
            facts.spoiled,
            facts.database.len(),
            facts.cuts.len()
        );
        for (_, span) in &facts.mutes {
            println!(
                "  a replica's database silent for    {} ms",
                (span.1.saturating_sub(span.0)) / 1_000
            );
        }
    }
}
