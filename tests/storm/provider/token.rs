//! The token endpoint: reads, rules, commits, and answers or does not, as the script says. The ruling
//! is in the journal before a byte of the answer is written.

use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::journal::{Close, Fault, Ruling, Saw};
use super::Provider;
use super::script::Fate;
use super::state::{Tokens, parse};
use super::wire::{self, Answer, Request, Waited};

/// The connection of a token request, and who is at its other end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) conn: u64,
    pub(crate) accepted: u64,
    pub(crate) port: u16,
    /// Finds the process at the other end, and writes it down.
    pub(crate) sender: JoinHandle<()>,
    pub(crate) stream: TcpStream,
    pub(crate) cut: watch::Receiver<bool>,
}

impl Provider {
    pub(crate) async fn token(&self, mut call: Call, request: &Request) {
        let form = request.form();
        let how = match form.get("grant_type").map(String::as_str) {
            Some("authorization_code") => {
                let rotates = !request.path.starts_with("/steady");
                self.exchange(&mut call, &form, rotates).await
            }
            Some("refresh_token") => self.refresh(&mut call, &form).await,
            _ => {
                let answer = Answer::json(400, &json!({ "error": "unsupported_grant_type" }));
                wire::write(&mut call.stream, &answer.bytes()).await;
                wire::closing(&mut call.stream, &mut call.cut).await;
                return wire::reset(call.stream);
            }
        };
        if let Some(how) = how {
            self.journal.write(Saw::Closed {
                conn: call.conn,
                how,
            });
        }
        wire::reset(call.stream);
    }

    async fn exchange(
        &self,
        call: &mut Call,
        form: &std::collections::HashMap<String, String>,
        rotates: bool,
    ) -> Option<Close> {
        let made = {
            let mut state = self.state();
            let made = state.exchange(form, rotates);
            made.map(|(family, code)| {
                let weather = state.weather;
                let fate = state.script.fate(weather, [family, u64::MAX, 0]);
                (family, code, state.tokens(family, 0), fate)
            })
        };
        let Some((family, code, tokens, fate)) = made else {
            let answer = Answer::json(400, &json!({ "error": "invalid_grant" }));
            return Some(self.answer(call, &answer, None).await);
        };
        self.journal.write(Saw::Exchanged {
            conn: call.conn,
            family,
            user: code.user,
            server: code.server,
            rotates,
        });
        // Codes are not refused in a storm: of their answers some are destroyed, that is all.
        let fault = match fate.fault {
            Fault::Dropped | Fault::Truncated => Some(fate.fault),
            _ => None,
        };
        let pause = fate
            .after
            .min(std::time::Duration::from_millis(self.deadline / 2));
        match wire::wait(&mut call.stream, pause, &mut call.cut).await {
            Waited::Gone => return Some(Close::Gone),
            Waited::Cut => return Some(Close::Cut),
            Waited::Over => {}
        }
        Some(self.answer(call, &granted(&tokens), fault).await)
    }

    /// How the connection ended, unless that is written already.
    async fn refresh(
        &self,
        call: &mut Call,
        form: &std::collections::HashMap<String, String>,
    ) -> Option<Close> {
        let client = form.get("client_id").cloned().unwrap_or_default();
        let presented = form.get("refresh_token").map_or("", String::as_str);
        let Some((family, token)) = parse(presented, "r") else {
            // Known to nobody; how long such an answer takes is what `measure.rs` asks.
            let fate = self.fate([0, 0, call.conn]);
            wire::wait(&mut call.stream, fate.after, &mut call.cut).await;
            let answer = Answer::json(400, &json!({ "error": "invalid_grant" }));
            wire::write(&mut call.stream, &answer.bytes()).await;
            wire::closing(&mut call.stream, &mut call.cut).await;
            return None;
        };
        let (before, left) = {
            let mut state = self.state();
            (state.present(family, token), state.left(family))
        };
        let fate = self.fate([family, token, before]);
        self.journal.write(Saw::Presented {
            conn: call.conn,
            accepted: call.accepted,
            port: call.port,
            family,
            token,
            left,
            fault: fate.fault,
        });
        let gone = match self.before(call, fate).await {
            Ok(gone) => gone,
            Err(how) => return Some(how),
        };
        if fate.fault == Fault::Swallowed {
            return Some(Close::Destroyed);
        }
        if let Fault::Unavailable | Fault::TooMany = fate.fault {
            self.rules(call.conn, Ruling::Busy);
            return Some(self.answer(call, &busy(fate.fault, call.conn), None).await);
        }
        let (ruling, tokens) = {
            let mut state = self.state();
            let ruling = state.rule(family, token, &client);
            // Under the lock: the journal has the rulings in the order in which they were made.
            self.rules(call.conn, ruling);
            let made = match ruling {
                Ruling::Rotated(next) | Ruling::Repeated(next) => Some(next),
                Ruling::Reuse | Ruling::Dead { .. } | Ruling::Foreign | Ruling::Busy => None,
            };
            (ruling, made.map(|next| state.tokens(family, next)))
        };
        if gone {
            return None;
        }
        match wire::wait(&mut call.stream, fate.after, &mut call.cut).await {
            Waited::Gone => return Some(Close::Gone),
            Waited::Cut => return Some(Close::Cut),
            Waited::Over => {}
        }
        let answer = match &tokens {
            Some(tokens) => granted(tokens),
            None => Answer::json(400, &json!({ "error": "invalid_grant" })),
        };
        let fault = match (fate.fault, ruling) {
            (Fault::Dropped | Fault::Truncated, Ruling::Rotated(_) | Ruling::Repeated(_)) => {
                Some(fate.fault)
            }
            _ => None,
        };
        Some(self.answer(call, &answer, fault).await)
    }

    /// Lets the time before the ruling pass; whether the client went meanwhile. A client that goes
    /// does not stop what its request began; a network that is cut does.
    async fn before(&self, call: &mut Call, fate: Fate) -> Result<bool, Close> {
        if fate.before.is_zero() {
            return Ok(false);
        }
        let began = tokio::time::Instant::now();
        match wire::wait(&mut call.stream, fate.before, &mut call.cut).await {
            Waited::Over => Ok(false),
            Waited::Cut => Err(Close::Cut),
            Waited::Gone => {
                let conn = call.conn;
                let how = Close::Gone;
                self.journal.write(Saw::Closed { conn, how });
                tokio::time::sleep_until(began + fate.before).await;
                Ok(true)
            }
        }
    }

    fn rules(&self, conn: u64, ruling: Ruling) {
        self.journal.write(Saw::Ruled { conn, ruling });
    }

    fn fate(&self, of: [u64; 3]) -> Fate {
        let state = self.state();
        state.script.fate(state.weather, of)
    }

    /// Answers, or destroys the answer.
    async fn answer(&self, call: &mut Call, answer: &Answer, fault: Option<Fault>) -> Close {
        // Who it is for is known before it is answered: until then the other end is open.
        let _ = (&mut call.sender).await;
        let bytes = answer.bytes();
        match fault {
            Some(Fault::Truncated) => {
                wire::write(&mut call.stream, &bytes[..bytes.len() - 20]).await;
                Close::Destroyed
            }
            Some(_) => Close::Destroyed,
            None => {
                if !wire::write(&mut call.stream, &bytes).await {
                    return Close::Gone;
                }
                self.journal.write(Saw::Written { conn: call.conn });
                wire::closing(&mut call.stream, &mut call.cut).await
            }
        }
    }
}

fn busy(fault: Fault, conn: u64) -> Answer {
    let later = |answer: Answer| match conn % 2 {
        0 => answer.with("retry-after", "1"),
        _ => answer,
    };
    match fault {
        Fault::TooMany => later(Answer::json(429, &json!({ "error": "slow_down" }))),
        _ => later(Answer::status(503)),
    }
}

fn granted(tokens: &Tokens) -> Answer {
    let mut body = json!({
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.lifetime,
    });
    if let Some(refresh) = &tokens.refresh {
        body["refresh_token"] = json!(refresh);
    }
    Answer::json(200, &body)
}
