//! The browser's way: the connect link, and the provider's answer.
//!
//! The order of checks at the callback matters: state, browser, issuer, and only then what the
//! answer says. A wrong browser ends nothing: whoever sends one must not be able to end another
//! user's handshake.

use tokio::sync::oneshot;

use super::super::error::{Error, Result};
use super::super::metrics::HandshakeOutcome;
use super::super::revocations::Stray;
use super::super::{App, SecretText};
use super::account::still_takes;
use super::{Callback, Closed, LOOK, LinkPage, ResultPage, topic};
use crate::crypto::Flow;
use crate::domain::audit::{Origin, Who};
use crate::domain::handshakes::{Binding, Failure, Handshake, IssuerVerdict, State, judge_issuer};
use crate::domain::keys::{Place, SealedColumn};
use crate::domain::secrets::{AuthorizationCode, SecretHash};
use crate::domain::servers::Server;
use crate::oauth::{self, AuthorizationRequest};

/// A browser, in the audit trail.
pub(super) fn browser() -> Origin {
    Origin {
        who: Who::Browser,
        request_id: None,
        address: None,
    }
}

impl App {
    /// What a connect link shows. For the binding `LINK` nothing is bound before the button is
    /// pressed, so that fetching a link in advance does no harm.
    pub async fn open_link(
        &self,
        link: &SecretText<'_>,
        browser: Option<&SecretText<'_>>,
    ) -> Result<LinkPage> {
        let (handshake, server) = match self.linked(link).await? {
            Ok(found) => found,
            Err(closed) => return Ok(LinkPage::Closed(closed)),
        };
        match handshake.binding {
            Binding::Link => {
                let presented = browser.map(|browser| SecretHash::of(browser.0));
                if handshake.browser_hash.is_some() && handshake.browser_hash != presented {
                    return Ok(LinkPage::Closed(Closed::OtherBrowser));
                }
                let user = handshake.user.to_string();
                Ok(LinkPage::Ask {
                    user,
                    server: server.spec.display_name,
                })
            }
            Binding::Confirm => self.leave(&handshake, browser).await,
            Binding::Login => Err(Error::BindingNotAllowed),
        }
    }

    /// The button was pressed: ties the handshake to this browser and leaves for the provider.
    pub async fn confirm_link(
        &self,
        link: &SecretText<'_>,
        browser: Option<&SecretText<'_>>,
    ) -> Result<LinkPage> {
        match self.linked(link).await? {
            Ok((handshake, _)) => self.leave(&handshake, browser).await,
            Err(closed) => Ok(LinkPage::Closed(closed)),
        }
    }

    /// The open handshake of a link, and its server.
    async fn linked(
        &self,
        link: &SecretText<'_>,
    ) -> Result<std::result::Result<(Handshake, Server), Closed>> {
        let mut tx = self.0.store.read().await?;
        let found = tx
            .handshakes()
            .find_by_link(&SecretHash::of(link.0))
            .await?;
        let Some(handshake) = found else {
            return Ok(Err(Closed::Unknown));
        };
        match handshake.state_at(self.0.clock.now()) {
            State::Pending => {}
            State::Expired => return Ok(Err(Closed::Expired)),
            State::Exchanging { .. }
            | State::AwaitingConfirmation
            | State::Completed { .. }
            | State::Failed(_)
            | State::Cancelled => return Ok(Err(Closed::Finished)),
        }
        let server = tx
            .servers()
            .get(&handshake.tenant, handshake.server)
            .await?;
        Ok(server
            .map(|server| (handshake, server))
            .ok_or(Closed::Unknown))
    }

    async fn leave(
        &self,
        handshake: &Handshake,
        browser: Option<&SecretText<'_>>,
    ) -> Result<LinkPage> {
        let Some(browser) = browser else {
            return Ok(LinkPage::Closed(Closed::NoBrowser));
        };
        let browser = SecretHash::of(browser.0);
        let mut tx = self.0.store.upkeep().await?;
        let bound = tx
            .handshake_steps()
            .bind_browser(handshake, &browser)
            .await?;
        tx.commit().await?;
        if !bound {
            return Ok(LinkPage::Closed(Closed::OtherBrowser));
        }
        let flow = self.open_flow(handshake).await?;
        let snapshot = &handshake.snapshot;
        let url = oauth::authorization_url(&AuthorizationRequest {
            authorization_endpoint: &snapshot.authorization_endpoint,
            client_id: &snapshot.client_id,
            redirect_uri: &snapshot.redirect_uri,
            state: &flow.state,
            verifier: &flow.verifier,
            resource: snapshot.resource.as_ref(),
            scopes: snapshot.scopes.as_ref(),
            extra: &snapshot.extra_params,
            dialect: self.dialect_at(snapshot),
        });
        let url = url.map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(LinkPage::Leave { url })
    }

    /// State, verifier and link of a handshake that is under way.
    pub(super) async fn open_flow(&self, handshake: &Handshake) -> Result<Flow> {
        let sealed = handshake.flow.as_ref().ok_or(Error::HandshakeNotPending)?;
        let row = handshake.id.to_string();
        let place = Place {
            tenant: &handshake.tenant,
            column: SealedColumn::HandshakeFlow,
            row: &row,
            owner: handshake.user.as_str(),
        };
        Ok(self.0.vault.open(&place, sealed).await?)
    }

    /// The provider's answer. The code is redeemed once, detached from the browser; a second answer
    /// waits for the first one's result and shows it.
    pub async fn callback(&self, callback: Callback<'_>) -> Result<ResultPage> {
        let Some(state) = callback.state else {
            return Ok(ResultPage::Closed(Closed::Unknown));
        };
        let mut tx = self.0.store.read().await?;
        let found = tx
            .handshakes()
            .find_by_state(&SecretHash::of(state.0))
            .await?;
        let Some(handshake) = found else {
            return Ok(ResultPage::Closed(Closed::Unknown));
        };
        let server = tx
            .servers()
            .get(&handshake.tenant, handshake.server)
            .await?;
        drop(tx);
        let here = self.arrives(&handshake, callback.server);
        let Some(server) = server.filter(|_| here) else {
            return Ok(ResultPage::Closed(Closed::Unknown));
        };
        let Some(presented) = callback.browser else {
            return Ok(ResultPage::Closed(Closed::NoBrowser));
        };
        if handshake.browser_hash != Some(SecretHash::of(presented.0)) {
            return Ok(ResultPage::Closed(Closed::OtherBrowser));
        }
        match handshake.state_at(self.0.clock.now()) {
            State::Pending => {}
            State::Expired => return Ok(ResultPage::Closed(Closed::Expired)),
            State::Exchanging { .. }
            | State::AwaitingConfirmation
            | State::Completed { .. }
            | State::Failed(_)
            | State::Cancelled => return self.first_result(&handshake, &server).await,
        }
        match judge(&handshake, &server, &callback) {
            Ok(code) => self.run_exchange(handshake, server, code).await,
            Err(failure) => {
                self.fail(&handshake, failure).await?;
                self.first_result(&handshake, &server).await
            }
        }
    }

    /// Whether an answer arrives where it was asked to. One that does not is another authorization
    /// server's, with a code that is not for this one (RFC 9700, section 4.4).
    fn arrives(&self, handshake: &Handshake, server: Option<&str>) -> bool {
        let asked = handshake.snapshot.redirect_uri.as_str();
        let asked = asked.split_once('?').map_or(asked, |(path, _)| path);
        let shared = self.shared_redirect_uri();
        match server {
            // Its own path, or one elsewhere that leads here.
            Some(server) => asked != shared && server == handshake.server.to_string(),
            None => asked == shared,
        }
    }

    /// Takes the right to redeem the code, redeems it on the tracker, and waits for the result.
    async fn run_exchange(
        &self,
        handshake: Handshake,
        server: Server,
        code: AuthorizationCode,
    ) -> Result<ResultPage> {
        let until = self.0.clock.now().after(self.0.settings.tokens.lease);
        let mut tx = self.0.store.upkeep().await?;
        let ours = tx
            .handshake_steps()
            .claim_exchange(&handshake, until)
            .await?;
        tx.commit().await?;
        if !ours {
            return self.first_result(&handshake, &server).await;
        }
        self.0.feed.wake(&topic(&handshake));
        let (done, result) = oneshot::channel();
        let app = self.clone();
        let claimed = Handshake {
            state: State::Exchanging { until },
            ..handshake
        };
        let shown = claimed.clone();
        self.0.tasks.spawn(async move {
            let confirm = Box::pin(app.exchange(claimed, code)).await;
            // The browser may be gone; the result is stored all the same.
            let _ = done.send(confirm);
        });
        match result.await {
            Ok(Ok(Some(url))) => Ok(ResultPage::Confirm { url }),
            Ok(Ok(None)) => self.first_result(&shown, &server).await,
            Ok(Err(error)) => Err(error),
            Err(gone) => Err(Error::Internal(Box::new(gone))),
        }
    }

    /// The result of a handshake that somebody brings, or brought, to its end.
    async fn first_result(&self, handshake: &Handshake, server: &Server) -> Result<ResultPage> {
        let news = self.0.feed.alarm(topic(handshake));
        loop {
            news.clear();
            let mut tx = self.0.store.read().await?;
            let found = tx.handshakes().get(&handshake.tenant, handshake.id).await?;
            drop(tx);
            let Some(now) = found else {
                return Ok(ResultPage::Closed(Closed::Unknown));
            };
            let state = now.state_at(self.0.clock.now());
            let (name, id) = (server.spec.display_name.clone(), now.id);
            let (return_url, opener_origin) = (now.return_url, now.opener_origin);
            return Ok(match state {
                State::Exchanging { .. } => {
                    let _ = tokio::time::timeout(LOOK, news.heard()).await;
                    continue;
                }
                State::Completed { .. } => ResultPage::Connected {
                    server: name,
                    handshake: id,
                    return_url,
                    opener_origin,
                },
                State::Failed(failure) => ResultPage::Failed {
                    server: name,
                    handshake: id,
                    failure,
                    return_url,
                    opener_origin,
                },
                State::Expired => ResultPage::Closed(Closed::Expired),
                State::Pending | State::AwaitingConfirmation | State::Cancelled => {
                    ResultPage::Closed(Closed::Finished)
                }
            });
        }
    }

    /// Ends a handshake without a grant, unless it reached another end meanwhile.
    pub(super) async fn fail(&self, handshake: &Handshake, failure: Failure) -> Result<()> {
        self.fail_with(handshake, failure, None).await.map(drop)
    }

    /// The same, and queues the revocation of the grant it held, in one transaction: a grant that
    /// may yet come of a handshake is spared by the outbox. `false`, and nothing is queued, when
    /// it reached another end meanwhile.
    pub(super) async fn fail_with(
        &self,
        handshake: &Handshake,
        failure: Failure,
        stray: Option<&Stray>,
    ) -> Result<bool> {
        let mut event = self.event(&handshake.tenant, browser(), "handshake.fail", handshake.id);
        event.user = Some(handshake.user.to_string());
        event.detail = serde_json::json!({
            "server": handshake.server.to_string(),
            "failure": failure.as_str(),
        });
        if failure == Failure::AccountMismatch {
            event.detail["account"] = handshake.account.clone().into();
        }
        let mut tx = self.0.store.write().await?;
        let ended = tx
            .handshakes_mut()
            .finish(handshake, State::Failed(failure), event.at)
            .await?;
        if ended {
            if let Some(stray) = stray {
                stray.queue(&mut tx).await?;
            }
            tx.commit(&event).await?;
            self.ring_outbox();
            let denied = failure == Failure::AccessDenied;
            self.ended(if denied {
                HandshakeOutcome::Denied
            } else {
                HandshakeOutcome::Failed
            });
        }
        Ok(ended)
    }
}

/// The code of an answer, or why there is none to redeem. The issuer is judged before anything else
/// is looked at.
fn judge(
    handshake: &Handshake,
    server: &Server,
    callback: &Callback<'_>,
) -> std::result::Result<AuthorizationCode, Failure> {
    if judge_issuer(&handshake.snapshot, callback.iss) == IssuerVerdict::Rejected {
        return Err(Failure::IssuerMismatch);
    }
    match callback.error {
        Some("access_denied") => return Err(Failure::AccessDenied),
        // RFC 6749, section 4.1.2.1: it is in trouble, whatever it was asked for.
        Some("server_error" | "temporarily_unavailable") => {
            return Err(Failure::ExchangeUnavailable);
        }
        Some(_) => return Err(Failure::ProviderError),
        None => {}
    }
    let code = callback.code.filter(|code| !code.0.is_empty());
    let code = code.ok_or(Failure::MalformedCallback)?;
    if !still_takes(server, handshake) {
        return Err(Failure::ServerChanged);
    }
    Ok(AuthorizationCode::new(code.0.to_owned()))
}
