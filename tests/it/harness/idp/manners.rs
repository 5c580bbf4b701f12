//! Manners of one provider that another does not have: what it refuses to look at, and how it dresses
//! its answers. A test writes them down as the provider's page does.

use std::sync::Arc;

use serde_json::Value;

use super::{AUTHORIZE, Idp, TOKEN, lock};
use crate::harness::web::{Reply, Seen};

impl Idp {
    /// From here on a request of the browser is looked at first; an answer this gives is the answer.
    pub(crate) fn screens(&self, screen: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) {
        let state = Arc::clone(&self.state);
        let answer =
            Reply::made(move |seen| screen(seen).unwrap_or_else(|| lock(&state).authorize(seen)));
        self.web.on(AUTHORIZE, answer);
    }

    /// From here on answers of the token endpoint, refusals too, are changed so.
    pub(crate) fn dresses(&self, dress: impl Fn(&Seen, &mut Value) + Send + Sync + 'static) {
        let state = Arc::clone(&self.state);
        let answer = Reply::made(move |seen| {
            let Reply::Answer { status, body, .. } = lock(&state).token(seen) else {
                panic!("a token endpoint answers");
            };
            let mut body = serde_json::from_slice(&body).unwrap();
            dress(seen, &mut body);
            Reply::json(status, &body)
        });
        self.web.on(TOKEN, answer);
    }

    /// The next request to the token endpoint is refused in these words.
    pub(crate) fn refuses_once(&self, status: u16, body: &Value) {
        self.web.once(TOKEN, Reply::json(status, body));
    }

    /// The requests that browsers brought so far.
    pub(crate) fn authorizations(&self) -> Vec<Seen> {
        self.web.seen_at(AUTHORIZE)
    }
}
