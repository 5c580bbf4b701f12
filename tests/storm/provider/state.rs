//! What the provider knows: clients, codes, families of tokens, and what each ruling makes of them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::super::clock;
use super::super::journal::{Journal, Ruling, Saw};
use super::super::plan::lasts;
use super::script::{Script, Weather};

/// What a code stands for.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) user: String,
    pub(crate) server: String,
}

#[derive(Debug)]
struct Family {
    client: String,
    rotates: bool,
    /// Whether its access tokens live long.
    lasts: bool,
    /// The refresh token that may be presented next.
    current: u64,
    /// The newest access token.
    newest: u64,
    dead: bool,
    /// How often each refresh token was presented.
    presented: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Access {
    ends: u64,
    uses: u64,
    spoiled: bool,
    /// Replaced one that was spoiled, and so is let work.
    immune: bool,
}

/// Everything. Held under one lock; never over a wait.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) script: Script,
    pub(crate) weather: Weather,
    pub(crate) pids: Vec<u32>,
    pub(crate) open: u64,
    clients: HashMap<String, Vec<String>>,
    codes: HashMap<String, Code>,
    families: HashMap<u64, Family>,
    access: HashMap<(u64, u64), Access>,
    made: u64,
}

/// The tokens of an answer.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) lifetime: u64,
}

impl State {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            weather: Weather::Calm,
            pids: Vec::new(),
            open: 0,
            clients: HashMap::new(),
            codes: HashMap::new(),
            families: HashMap::new(),
            access: HashMap::new(),
            made: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(crate) fn register(&mut self, redirect_uris: Vec<String>) -> String {
        let id = format!("client-{}", self.next());
        self.clients.insert(id.clone(), redirect_uris);
        id
    }

    pub(crate) fn is_client(&self, id: &str, redirect_uri: &str) -> bool {
        self.clients
            .get(id)
            .is_some_and(|uris| uris.iter().any(|uri| uri == redirect_uri))
    }

    pub(crate) fn code(&mut self, code: Code) -> String {
        let name = format!("code-{}", self.next());
        self.codes.insert(name.clone(), code);
        name
    }

    /// Spends a code: the family it founds, if it was presented as it must be.
    pub(crate) fn exchange(
        &mut self,
        form: &HashMap<String, String>,
        rotates: bool,
    ) -> Option<(u64, Code)> {
        let given = |name: &str| form.get(name).map_or("", String::as_str);
        let code = self.codes.remove(given("code"))?;
        let digest = ring::digest::digest(&ring::digest::SHA256, given("code_verifier").as_bytes());
        let proven = BASE64_URL_SAFE_NO_PAD.encode(digest) == code.challenge;
        if !proven
            || code.client != given("client_id")
            || code.redirect_uri != given("redirect_uri")
        {
            return None;
        }
        let family = self.next();
        self.families.insert(
            family,
            Family {
                client: code.client.clone(),
                rotates,
                lasts: number(&code.user).is_some_and(lasts),
                current: 0,
                newest: 0,
                dead: false,
                presented: HashMap::new(),
            },
        );
        Some((family, code))
    }

    /// Counts a presentation; how often the token was presented before.
    pub(crate) fn present(&mut self, family: u64, token: u64) -> u64 {
        let Some(family) = self.families.get_mut(&family) else {
            return 0;
        };
        let presented = family.presented.entry(token).or_default();
        *presented += 1;
        *presented - 1
    }

    /// What is left of the life of a family's newest access token.
    pub(crate) fn left(&self, family: u64) -> u64 {
        let newest = self.families.get(&family).map(|held| (family, held.newest));
        let access = newest.and_then(|newest| self.access.get(&newest));
        let access = access.filter(|access| !access.spoiled);
        access.map_or(0, |access| access.ends.saturating_sub(clock::now()))
    }

    /// Decides about a refresh token, and commits.
    pub(crate) fn rule(&mut self, family: u64, token: u64, client: &str) -> Ruling {
        let Some(held) = self.families.get_mut(&family) else {
            return Ruling::Foreign;
        };
        if held.client != client || token > held.current {
            return Ruling::Foreign;
        }
        let spent = token < held.current;
        if held.dead {
            return Ruling::Dead { spent };
        }
        // Zero leeway.
        if spent {
            held.dead = true;
            return Ruling::Reuse;
        }
        held.newest += 1;
        if held.rotates {
            held.current = held.newest;
            Ruling::Rotated(held.newest)
        } else {
            Ruling::Repeated(held.newest)
        }
    }

    /// Makes the tokens of a family's newest generation.
    pub(crate) fn tokens(&mut self, family: u64, token: u64) -> Tokens {
        let held = self.families.get(&family);
        let rotates = held.is_some_and(|held| held.rotates);
        let lasts = held.is_some_and(|held| held.lasts);
        let lifetime = self.script.lifetime(self.weather, lasts, [family, token]);
        let replaced = token
            .checked_sub(1)
            .and_then(|before| self.access.get(&(family, before)));
        let access = Access {
            ends: clock::now() + lifetime * 1_000_000,
            uses: 0,
            spoiled: false,
            immune: replaced.is_some_and(|before| before.spoiled),
        };
        self.access.insert((family, token), access);
        Tokens {
            access: format!("a-{family}-{token}"),
            refresh: (rotates || token == 0).then(|| format!("r-{family}-{token}")),
            lifetime,
        }
    }

    /// Whether an access token works now, and notes its first use.
    pub(crate) fn accept(&mut self, bearer: &str, journal: &Journal) -> bool {
        let Some((family, token)) = parse(bearer, "a") else {
            return false;
        };
        let held = self.families.get(&family);
        let alive = held.is_some_and(|held| !held.dead);
        let lasts = held.is_some_and(|held| held.lasts);
        let Some(access) = self.access.get_mut(&(family, token)) else {
            return false;
        };
        if !alive || access.spoiled || clock::now() >= access.ends {
            return false;
        }
        if access.uses == 0 {
            journal.write(Saw::Used { family, token });
        }
        access.uses += 1;
        let of = [family, token, access.uses];
        if !access.immune && self.script.spoils(self.weather, lasts, of) {
            access.spoiled = true;
            journal.write(Saw::Spoiled { family, token });
            return false;
        }
        true
    }

    /// Ends a family at its client's wish.
    pub(crate) fn revoke(&mut self, token: &str, journal: &Journal) {
        let Some((family, _)) = parse(token, "r").or_else(|| parse(token, "a")) else {
            return;
        };
        if let Some(held) = self.families.get_mut(&family)
            && !held.dead
        {
            held.dead = true;
            journal.write(Saw::Revoked { family });
        }
    }
}

/// The number of a user of the storm; the user of the measurement has none.
fn number(user: &str) -> Option<usize> {
    user.strip_prefix('u')?.parse().ok()
}

/// Family and number of a token.
pub(crate) fn parse(token: &str, kind: &str) -> Option<(u64, u64)> {
    let mut parts = token.split('-');
    let is_kind = parts.next() == Some(kind);
    let family = parts.next()?.parse().ok()?;
    let number = parts.next()?.parse().ok()?;
    (is_kind && parts.next().is_none()).then_some((family, number))
}
