//! The journals, put together: what became of each presentation and each family, and what befell
//! each process.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::kills::Kill;
use crate::journal::{Close, Did, Line, Ruling, Saw};

/// One request with a refresh token.
#[derive(Debug, Clone)]
pub(crate) struct Presentation {
    pub(crate) pid: Option<u32>,
    pub(crate) family: u64,
    pub(crate) token: u64,
    pub(crate) arrived: u64,
    /// What was left then of the life of the family's newest access token.
    pub(crate) left: u64,
    pub(crate) ruled: Option<(u64, Ruling)>,
    pub(crate) written: Option<u64>,
    pub(crate) closed: Option<(u64, Close)>,
}

/// What a code was exchanged for.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) user: String,
    pub(crate) server: String,
    pub(crate) rotates: bool,
    pub(crate) began: u64,
    pub(crate) revoked: Option<u64>,
    /// The presentation that killed it, and when.
    pub(crate) killed: Option<(u64, u64)>,
    /// The presentations in the order of their arrival.
    pub(crate) presentations: Vec<u64>,
}

/// A stretch of time.
pub(crate) type Span = (u64, u64);

/// Everything the journals say.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) presentations: BTreeMap<u64, Presentation>,
    pub(crate) families: BTreeMap<u64, Family>,
    /// When a family's tokens of a number were first seen in use.
    pub(crate) in_use: HashMap<(u64, u64), u64>,
    pub(crate) spoiled: u64,
    /// When which tokens of a family were spoiled.
    pub(crate) spoils: BTreeMap<u64, Vec<(u64, u64)>>,
    pub(crate) cuts: Vec<Span>,
    /// The process at the other end of a connection.
    senders: HashMap<u64, u32>,
    pub(crate) kills: Vec<(u32, u64)>,
    pub(crate) pauses: Vec<(u32, Span)>,
    /// When which process could not reach its database.
    pub(crate) mutes: Vec<(u32, Span)>,
    /// How many processes were stopped in order, and the exit codes of those that did not end well.
    pub(crate) stops: usize,
    pub(crate) disorder: Vec<(u32, Option<i32>)>,
    pub(crate) database: Vec<Span>,
    pub(crate) storm: Option<Span>,
    /// The families that the service ever had.
    pub(crate) had: BTreeSet<u64>,
    pub(super) judged: OnceCell<Vec<Kill>>,
    /// What the driver did and was told, in order.
    pub(crate) driver: Vec<Line<Did>>,
}

impl Facts {
    pub(crate) fn new(provider: Vec<Line<Saw>>, driver: Vec<Line<Did>>) -> Self {
        let mut facts = Self::default();
        for line in provider {
            facts.saw(line);
        }
        for line in &driver {
            facts.did(line);
        }
        facts.driver = driver;
        facts.had = facts.ever_had();
        facts
    }

    /// A family was had if its tokens were seen in use, or its handshake was completed. Not so where
    /// the answer to the exchange was destroyed, or never stored.
    fn ever_had(&self) -> BTreeSet<u64> {
        let mut had: BTreeSet<u64> = self.in_use.keys().map(|(family, _)| *family).collect();
        for line in &self.driver {
            let Did::Handshake {
                user,
                server,
                since,
                outcome,
            } = &line.event
            else {
                continue;
            };
            let made = self.families.iter().filter(|(_, held)| {
                outcome == "completed"
                    && held.user == *user
                    && held.server == *server
                    && (*since..=line.t).contains(&held.began)
            });
            had.extend(made.map(|(family, _)| *family));
        }
        had
    }

    fn saw(&mut self, Line { t, event }: Line<Saw>) {
        match event {
            Saw::Exchanged {
                family,
                user,
                server,
                rotates,
                ..
            } => {
                self.families.insert(
                    family,
                    Family {
                        user,
                        server,
                        rotates,
                        began: t,
                        revoked: None,
                        killed: None,
                        presentations: Vec::new(),
                    },
                );
            }
            Saw::Presented {
                conn,
                accepted,
                family,
                token,
                left,
                ..
            } => {
                self.in_use.entry((family, token)).or_insert(t);
                if let Some(family) = self.families.get_mut(&family) {
                    family.presentations.push(conn);
                }
                let presentation = Presentation {
                    pid: self.senders.get(&conn).copied(),
                    family,
                    token,
                    arrived: accepted,
                    left,
                    ruled: None,
                    written: None,
                    closed: None,
                };
                self.presentations.insert(conn, presentation);
            }
            Saw::Sender { conn, pid } => {
                if let Some(presentation) = self.presentations.get_mut(&conn) {
                    presentation.pid = pid;
                }
                // It may be found before the request is read.
                self.senders.extend(pid.map(|pid| (conn, pid)));
            }
            Saw::Ruled { conn, ruling } => {
                let Some(presentation) = self.presentations.get_mut(&conn) else {
                    return;
                };
                presentation.ruled = Some((t, ruling));
                if ruling == Ruling::Reuse
                    && let Some(family) = self.families.get_mut(&presentation.family)
                {
                    family.killed = Some((conn, t));
                }
            }
            Saw::Written { conn } => {
                if let Some(presentation) = self.presentations.get_mut(&conn) {
                    presentation.written = Some(t);
                }
            }
            Saw::Closed { conn, how } => {
                if let Some(presentation) = self.presentations.get_mut(&conn) {
                    presentation.closed = Some((t, how));
                }
            }
            Saw::Used { family, token } => {
                self.in_use.entry((family, token)).or_insert(t);
            }
            Saw::Spoiled { family, token } => {
                self.spoiled += 1;
                self.spoils.entry(family).or_default().push((t, token));
            }
            Saw::Revoked { family } => {
                if let Some(family) = self.families.get_mut(&family) {
                    family.revoked = Some(t);
                }
            }
            Saw::Cut => self.cuts.push((t, u64::MAX)),
            Saw::Mended => close(&mut self.cuts, t),
        }
    }

    fn did(&mut self, line: &Line<Did>) {
        let t = line.t;
        match &line.event {
            Did::Killed { pid, .. } => self.kills.push((*pid, t)),
            Did::Paused { pid, .. } => self.pauses.push((*pid, (t, u64::MAX))),
            Did::Resumed { pid, .. } => end(&mut self.pauses, *pid, t),
            Did::Muted { pid, .. } => self.mutes.push((*pid, (t, u64::MAX))),
            Did::Unmuted { pid, .. } => end(&mut self.mutes, *pid, t),
            Did::Ended { code: Some(0), .. } => self.stops += 1,
            Did::Ended { pid, code, .. } => self.disorder.push((*pid, *code)),
            Did::DatabaseStopping => self.database.push((t, u64::MAX)),
            Did::DatabaseUp => close(&mut self.database, t),
            Did::StormBegins => self.storm = Some((t, u64::MAX)),
            Did::StormEnds => {
                if let Some(storm) = &mut self.storm {
                    storm.1 = t;
                }
            }
            Did::Spawned { .. }
            | Did::Ready { .. }
            | Did::Stopped { .. }
            | Did::Handshake { .. }
            | Did::Disconnected { .. }
            | Did::Told(_)
            | Did::Final { .. } => {}
        }
    }

    /// The stretches for which processes could not store: stopped, or cut off from their database.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = &(u32, Span)> {
        self.pauses.iter().chain(&self.mutes)
    }

    /// Whether a family's token of a number was spoiled by a time.
    pub(crate) fn is_spoiled(&self, family: u64, token: u64, by: u64) -> bool {
        let spoils = self.spoils.get(&family).into_iter().flatten();
        spoils
            .into_iter()
            .any(|(t, spoiled)| *spoiled == token && *t <= by)
    }

    /// Whether the newest token of a family was had for one that was rejected before it was asked for.
    pub(crate) fn is_forced(&self, (family, held): (u64, &Family), by: u64) -> bool {
        let newest = self.newest(held, by);
        let made = held.presentations.iter().filter_map(|conn| {
            let one = self.presentations.get(conn)?;
            matches!(one.ruled, Some((_, Ruling::Rotated(next))) if next == newest).then_some(one)
        });
        made.into_iter()
            .any(|one| self.is_spoiled(family, one.token, one.arrived))
    }

    /// The newest refresh token of a family at a time.
    pub(crate) fn newest(&self, family: &Family, by: u64) -> u64 {
        let rotated = family.presentations.iter().filter_map(|conn| {
            match self.presentations.get(conn)?.ruled {
                Some((t, Ruling::Rotated(next))) if t <= by => Some(next),
                _ => None,
            }
        });
        rotated.max().unwrap_or(0)
    }
}

/// Ends the last stretch of a process.
fn end(spans: &mut [(u32, Span)], pid: u32, t: u64) {
    let mut spans = spans.iter_mut().rev();
    if let Some((_, span)) = spans.find(|(whose, _)| *whose == pid) {
        span.1 = t;
    }
}

fn close(spans: &mut [Span], t: u64) {
    if let Some(span) = spans.last_mut() {
        span.1 = t;
    }
}
