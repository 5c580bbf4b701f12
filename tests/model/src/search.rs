//! The search: every state that can be reached, breadth first, so that what is found is the shortest
//! way to it. Afterwards, backwards from every settled state: whatever cannot reach one is stuck.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash as _, Hasher as _};

use crate::properties::is_settled;
use crate::state::{Setting, State};
use crate::steps::steps;

pub(crate) enum Found {
    /// Everything was looked at.
    Nothing { states: usize, steps: usize },
    /// A property does not hold; how it came to that.
    Violation { what: String, trace: Vec<String> },
}

/// States are remembered by 128 bits of hash: two of some millions being taken for one is less
/// likely than this machine computing wrongly.
fn fingerprint(state: &State) -> u128 {
    let build = BuildHasherDefault::<DefaultHasher>::default();
    let first = build.hash_one(state);
    let mut hasher = build.build_hasher();
    hasher.write_u64(first);
    state.hash(&mut hasher);
    u128::from(first) << 64 | u128::from(hasher.finish())
}

/// Where the things of a state are kept.
fn at(number: u32) -> usize {
    usize::try_from(number).unwrap()
}

#[derive(Default)]
struct Seen {
    numbers: HashMap<u128, u32>,
    /// For each state: from where it was reached first, and by which of the steps there.
    reached: Vec<(u32, u8)>,
    settled: Vec<bool>,
    /// How many steps were taken.
    steps: usize,
    /// Every step of the system's own, as the two states it joins.
    joined: Vec<(u32, u32)>,
}

impl Seen {
    fn add(&mut self, state: &State, from: (u32, u8), setting: &Setting) -> (u32, bool) {
        let next = u32::try_from(self.reached.len()).unwrap();
        let number = *self.numbers.entry(fingerprint(state)).or_insert(next);
        if number == next {
            self.reached.push(from);
            self.settled.push(is_settled(state, setting));
        }
        (number, number == next)
    }

    /// The way to a state, told again from the beginning.
    fn trace(&self, mut number: u32, setting: &Setting) -> Vec<String> {
        let mut way = Vec::new();
        while number != 0 {
            let (from, step) = self.reached[at(number)];
            way.push(step);
            number = from;
        }
        let mut state = State::first(setting);
        let mut told = Vec::new();
        for step in way.into_iter().rev() {
            let (name, next) = steps(&state, setting).swap_remove(usize::from(step));
            told.push(format!("{name:?}"));
            state = next;
        }
        told
    }

    /// A state from which no settled one can be reached without a user's doing or another fault.
    fn stuck(&self) -> Option<u32> {
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.reached.len()];
        for (from, to) in &self.joined {
            before[at(*to)].push(*from);
        }
        let mut good = self.settled.clone();
        let mut todo: Vec<u32> = (0..)
            .zip(&good)
            .filter(|(_, good)| **good)
            .map(|(n, _)| n)
            .collect();
        while let Some(number) = todo.pop() {
            for from in &before[at(number)] {
                if !good[at(*from)] {
                    good[at(*from)] = true;
                    todo.push(*from);
                }
            }
        }
        good.iter()
            .position(|good| !good)
            .map(|number| u32::try_from(number).unwrap())
    }
}

/// Looks at everything that can happen.
pub(crate) fn search(setting: &Setting) -> Found {
    let mut seen = Seen::default();
    let first = State::first(setting);
    seen.add(&first, (0, 0), setting);
    let mut frontier = vec![(0, first)];
    while !frontier.is_empty() {
        let mut next_frontier = Vec::new();
        for (from, state) in &frontier {
            for (step, (name, next)) in (0..).zip(steps(state, setting)) {
                let (number, new) = seen.add(&next, (*from, step), setting);
                seen.steps += 1;
                if name.is_progress() {
                    seen.joined.push((*from, number));
                }
                if let Some(what) = next.broken {
                    return Found::Violation {
                        what: what.to_owned(),
                        trace: seen.trace(number, setting),
                    };
                }
                if new {
                    next_frontier.push((number, next));
                }
            }
        }
        frontier = next_frontier;
    }
    if let Some(stuck) = seen.stuck() {
        return Found::Violation {
            what: "nothing more can become of a grant that is neither fresh nor given up"
                .to_owned(),
            trace: seen.trace(stuck, setting),
        };
    }
    Found::Nothing {
        states: seen.reached.len(),
        steps: seen.steps,
    }
}
