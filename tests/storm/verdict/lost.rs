//! Connections that users lost: why, by the journal, and whether they were told so.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Family};
use crate::clock::micros;
use crate::journal::{Answer, Did, Ruling};
use crate::plan::{DEADLINE, LEASE};

const UNKNOWN: &str = "STATUS_REASON_OUTCOME_UNKNOWN";
const REFUSED: &str = "STATUS_REASON_REFRESH_REFUSED";
const REJECTED: &str = "STATUS_REASON_TOKEN_REJECTED";
const READY: &str = "SERVER_STATUS_READY";
const NOT_CONNECTED: &str = "SERVER_STATUS_NOT_CONNECTED";
const RECONNECT: &str = "SERVER_STATUS_RECONNECT_REQUIRED";

/// Why a connection is lost; each is a line of the table.
pub(crate) const KILLED: &str = "killed by the deliberate replay";
pub(crate) const OVERTAKEN: &str = "killed by a request that the provider let wait";
pub(crate) const FOUND_LATE: &str = "killed by the deliberate replay, the answer found later";
pub(crate) const NEWEST_LOST: &str = "alive, its newest token destroyed with an answer";
pub(crate) const UNSPENT: &str = "alive and unspent, but two outcomes are unknown";
pub(crate) const REJECTED_TWICE: &str = "alive, but rejected again right after a forced renewal";
pub(crate) const LATEST_AVOIDABLE: &str = "killed avoidably";

/// What users were told.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Connections by cause.
    pub(crate) causes: BTreeMap<&'static str, usize>,
    /// What fails the run.
    pub(crate) offences: Vec<String>,
    pub(crate) finally_ready: usize,
    pub(crate) finally_told: usize,
    pub(crate) finally_left: usize,
}

/// One thing that a user was told, at a time.
struct Told<'a> {
    answer: &'a Answer,
    until: u64,
}

impl Facts {
    pub(crate) fn lost(&self) -> Lost {
        let mut lost = Lost::default();
        let mut counted = BTreeSet::new();
        for line in &self.driver {
            let told = |answer| Told {
                answer,
                until: line.t,
            };
            match &line.event {
                Did::Told(answer) => self.explain(&told(answer), &mut lost, &mut counted),
                Did::Final { answer, accepted } => {
                    let Answer {
                        user,
                        status,
                        reason,
                        ..
                    } = answer;
                    let counts = match (status.as_str(), accepted) {
                        (READY, true) => {
                            lost.finally_ready += 1;
                            continue;
                        }
                        (NOT_CONNECTED, _) => &mut lost.finally_left,
                        (RECONNECT, _) => &mut lost.finally_told,
                        (READY, false) => {
                            lost.offences.push(format!(
                                "{user}: READY after the storm, and the provider does not accept it"
                            ));
                            continue;
                        }
                        (other, _) => {
                            lost.offences
                                .push(format!("{user}: {other} {reason} after the storm"));
                            continue;
                        }
                    };
                    *counts += 1;
                    self.explain(&told(answer), &mut lost, &mut counted);
                }
                _ => {}
            }
        }
        lost
    }

    fn explain(&self, told: &Told<'_>, lost: &mut Lost, counted: &mut BTreeSet<(u64, String)>) {
        let Answer {
            user,
            status,
            reason,
            ..
        } = told.answer;
        if told.answer.status == NOT_CONNECTED {
            if !self.left(told) {
                lost.offences.push(format!(
                    "{user}: NOT_CONNECTED at {}, and never disconnected",
                    told.until
                ));
            }
            return;
        }
        let mut complaints = Vec::new();
        for (family, held) in self.candidates(told) {
            match self.cause(family, held, told) {
                Ok(cause) => {
                    if counted.insert((family, reason.clone())) {
                        *lost.causes.entry(cause).or_default() += 1;
                    }
                    return;
                }
                Err(why) => complaints.push(format!("family {family} {why}")),
            }
        }
        lost.offences.push(format!(
            "{user}: told {status} {reason} at {}: {}",
            told.until,
            if complaints.is_empty() {
                "there was no grant".to_owned()
            } else {
                complaints.join("; ")
            }
        ));
    }

    /// The families that the service may have meant: the newest before the question, and those made
    /// while it was asked.
    fn candidates(&self, told: &Told<'_>) -> Vec<(u64, &Family)> {
        let of_user = self.families.iter().rev().filter(|(family, held)| {
            held.user == told.answer.user
                && held.server == told.answer.server
                && held.began <= told.until
                && self.had.contains(family)
        });
        let mut candidates = Vec::new();
        for (family, held) in of_user {
            candidates.push((*family, held));
            // A handshake takes its time between the exchange and the row, and a paused replica more.
            let paused = self.stretches().map(|(_, span)| span);
            let paused = paused.filter(|span| {
                span.1 >= held.began && span.0 <= held.began.saturating_add(5_000_000)
            });
            let stored = paused.map(|span| span.1).max().unwrap_or(held.began);
            if stored.saturating_add(5_000_000) < told.answer.since {
                break;
            }
        }
        candidates
    }

    fn cause(&self, family: u64, held: &Family, told: &Told<'_>) -> Result<&'static str, String> {
        if told.answer.status != RECONNECT {
            return Err("may need no such status".to_owned());
        }
        if let Some((killer, at)) = held.killed
            && at <= told.until
        {
            return self.cause_of_death((family, held), (killer, at), told);
        }
        if held.revoked.is_some_and(|at| at <= told.until) {
            return Err("was given back by the service".to_owned());
        }
        // Of two tokens one after the other both, and there is no third.
        let newest = self.newest(held, told.until);
        let spoiled = |token| self.is_spoiled(family, token, told.until);
        let before = newest.checked_sub(1);
        if told.answer.reason == REJECTED && spoiled(newest) && before.is_some_and(spoiled) {
            return Ok(REJECTED_TWICE);
        }
        if told.answer.reason != UNKNOWN {
            return Err("is alive".to_owned());
        }
        // The replica knows of its deadline before the provider does.
        let noticed = told.until + micros(DEADLINE);
        let of = |conn: &&u64| self.presentations[conn].arrived <= told.until;
        let presented: Vec<_> = held
            .presentations
            .iter()
            .filter(of)
            .map(|conn| &self.presentations[conn])
            .collect();
        let carrier = presented
            .iter()
            .find(|one| matches!(one.ruled, Some((_, Ruling::Rotated(next))) if next == newest));
        if let Some(carrier) = carrier
            && self.destroyed(carrier, noticed).is_ok()
        {
            return Ok(NEWEST_LOST);
        }
        // A replica that is killed, or paused or cut off from its database beyond its lease, between
        // declaring an attempt and sending it leaves an unknown outcome that the provider never sees.
        let unknown = presented
            .iter()
            .filter(|one| one.token == newest && self.destroyed(one, noticed).is_ok())
            .count();
        let since = carrier.map_or(held.began, |carrier| carrier.arrived);
        let during = |t: u64| (since..=told.until).contains(&t);
        let kills = self.kills.iter().filter(|(_, t)| during(*t)).count();
        let pauses = self
            .stretches()
            .filter(|(_, span)| during(span.0) && span.1 - span.0 > micros(LEASE))
            .count();
        if unknown + kills + pauses >= 2 {
            return Ok(UNSPENT);
        }
        Err("is alive and unspent".to_owned())
    }

    /// A dead family's user must have been told why as far as the service can know: that an outcome
    /// is unknown where its own replay killed it, a refusal or rejection where a request overtook another.
    fn cause_of_death(
        &self,
        (family, held): (u64, &Family),
        (killer, at): (u64, u64),
        told: &Told<'_>,
    ) -> Result<&'static str, String> {
        let Some(kill) = self.kill_of(family) else {
            return Err("died without a kill".to_owned());
        };
        if kill.verdict.is_err() {
            return Ok(LATEST_AVOIDABLE);
        }
        let overtaken = kill.second != killer;
        // A paused replica may find the answer when it goes on: what it then stores is dead.
        let first = &self.presentations[&kill.first];
        let second = &self.presentations[&kill.second];
        let late = match first.ruled {
            Some((_, Ruling::Rotated(next))) => self
                .in_use
                .get(&(family, next))
                .is_some_and(|t| *t > second.arrived),
            _ => false,
        };
        // What the request in between led to may be rejected before it is refused: where it was had for what
        // had been rejected, that is the end.
        let forced = self.is_forced((family, held), at);
        match told.answer.reason.as_str() {
            UNKNOWN | REFUSED if overtaken => Ok(OVERTAKEN),
            REJECTED if overtaken && forced => Ok(OVERTAKEN),
            REFUSED if late => Ok(FOUND_LATE),
            UNKNOWN => Ok(KILLED),
            _ => Err("was killed by a replay after an unknown outcome".to_owned()),
        }
    }

    fn kill_of(&self, family: u64) -> Option<&super::kills::Kill> {
        self.kills().iter().find(|kill| kill.family == family)
    }

    /// Whether a user had disconnected, or perhaps had, and not come back; or never was there.
    fn left(&self, told: &Told<'_>) -> bool {
        let mut left = true;
        for line in &self.driver {
            match &line.event {
                Did::Handshake {
                    user,
                    server,
                    since,
                    outcome,
                } if *user == told.answer.user
                    && *server == told.answer.server
                    && outcome == "completed"
                    // One that was under way while the question was asked says nothing.
                    && line.t <= told.answer.since =>
                {
                    left = self.overlapped(told, *since, line.t);
                }
                Did::Disconnected {
                    user,
                    server,
                    since,
                    ..
                } if *user == told.answer.user
                    && *server == told.answer.server
                    && *since <= told.until =>
                {
                    left = true;
                }
                _ => {}
            }
        }
        left
    }

    /// Whether a disconnection ran while a handshake did, so that either may have been the last.
    fn overlapped(&self, told: &Told<'_>, since: u64, until: u64) -> bool {
        self.driver.iter().any(|line| match &line.event {
            Did::Disconnected {
                user,
                server,
                since: began,
                ..
            } => {
                *user == told.answer.user
                    && *server == told.answer.server
                    && *began <= until
                    && line.t >= since
            }
            _ => false,
        })
    }
}
