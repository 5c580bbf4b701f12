//! The chat daemon: asks for headers before every request, reports every 401 and 403, and does what
//! the service answers.

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use stationmaster::client::v1::report_response_request::Outcome;
use stationmaster::client::v1::{
    Actor, AuthorizeStep, CompleteHandshakeRequest, GetHandshakeRequest, HandshakeBinding,
    HandshakeOptions, HandshakeState, HttpResponse, ReportAction, ReportResponseRequest,
    ReportResponseResponse, RequestTarget, ResolveCredentialsRequest, ResolvedServer, ServerStatus,
};
use stationmaster::client::{Client, answer};

use crate::browser::Browser;
use crate::mcp::{Answer, Endpoint, Message};
use crate::patience::patiently;
use crate::stopped::Stopped;

/// How often one request is sent at most.
const ATTEMPTS: usize = 8;

/// What ties the user's browser to the user.
#[derive(Debug)]
pub(crate) enum Binding {
    /// The link alone.
    Link,
    /// The front end at this URL confirms.
    Confirm(String),
}

/// A daemon that acts for one user at one server.
pub(crate) struct Daemon {
    service: Client,
    server: String,
    binding: Binding,
    http: reqwest::Client,
    /// Everything up to here must be known to the next resolve.
    revision: i64,
}

impl Daemon {
    pub(crate) fn new(
        service: Client,
        server: String,
        binding: Binding,
        http: reqwest::Client,
    ) -> Self {
        Self {
            service,
            server,
            binding,
            http,
            revision: 0,
        }
    }

    /// Sends a message until it is answered with something else than 401 or 403, or until the
    /// service says that there is no use.
    ///
    /// # Errors
    /// [`Stopped`] when the service says so; anything else when something broke.
    pub(crate) async fn carry(
        &mut self,
        endpoint: &Endpoint,
        message: &Message,
    ) -> anyhow::Result<Answer> {
        for _ in 0..ATTEMPTS {
            let target = RequestTarget {
                method: "POST".to_owned(),
                url: endpoint.url.clone(),
                ..RequestTarget::default()
            };
            let resolved = self.resolve(target.clone()).await?;
            let answer = endpoint.post(message, &resolved.headers).await?;
            if ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status) {
                return Ok(answer);
            }
            let advice = self.report(target, answer, resolved).await?;
            self.revision = self.revision.max(advice.revision);
            match advice.action() {
                ReportAction::Retry => {}
                ReportAction::Authorize => {
                    let step = advice.authorize.context("AUTHORIZE without a link")?;
                    self.authorize(step).await?;
                }
                ReportAction::Denied => bail!(Stopped::Denied(advice.reason())),
                ReportAction::NotAuth | ReportAction::Unspecified => {
                    bail!("the report was answered with {:?}", advice.action())
                }
            }
        }
        bail!(Stopped::Undecided)
    }

    async fn resolve(&self, target: RequestTarget) -> anyhow::Result<ResolvedServer> {
        let request = ResolveCredentialsRequest {
            actor: Some(user()),
            servers: vec![self.server.clone()],
            target: Some(target),
            min_revision: self.revision,
            ..ResolveCredentialsRequest::default()
        };
        let resolve =
            async || answer(self.service.tokens().resolve_credentials(request.clone())).await;
        let resolved = patiently(resolve).await?;
        let server = resolved.servers.into_iter().next();
        let server = server.context("the server does not exist for the user")?;
        match server.status() {
            // Without headers, the answer to the bare request says what is wanted.
            ServerStatus::Ready
            | ServerStatus::NotConnected
            | ServerStatus::ReconnectRequired
            | ServerStatus::ScopeUpgradeRequired
            | ServerStatus::Expired => Ok(server),
            ServerStatus::Unspecified
            | ServerStatus::NoUserIdentity
            | ServerStatus::MissingUserHeaders
            | ServerStatus::ConfigError
            | ServerStatus::UpstreamUnavailable
            | ServerStatus::Unreadable => {
                bail!(Stopped::Unusable(server.status(), server.reason()))
            }
        }
    }

    async fn report(
        &self,
        target: RequestTarget,
        refused: Answer,
        resolved: ResolvedServer,
    ) -> anyhow::Result<ReportResponseResponse> {
        let (binding, completion_url) = match &self.binding {
            Binding::Link => (HandshakeBinding::Link, String::new()),
            Binding::Confirm(url) => (HandshakeBinding::Confirm, url.clone()),
        };
        let request = ReportResponseRequest {
            actor: Some(user()),
            server: self.server.clone(),
            target: Some(target),
            outcome: Some(Outcome::HttpResponse(HttpResponse {
                status: refused.status.as_u16().into(),
                www_authenticate: refused.challenges,
                dpop_nonce: refused.nonce,
                credential_version: resolved.credential_version,
                ..HttpResponse::default()
            })),
            handshake_options: Some(HandshakeOptions {
                binding: binding.into(),
                completion_url,
                ..HandshakeOptions::default()
            }),
        };
        let report = async || answer(self.service.tokens().report_response(request.clone())).await;
        Ok(patiently(report).await?)
    }

    /// Sends the user's browser to the link, and confirms where that was agreed.
    async fn authorize(&mut self, step: AuthorizeStep) -> anyhow::Result<()> {
        let front_end = match &self.binding {
            Binding::Link => None,
            Binding::Confirm(url) => Some(url.as_str()),
        };
        let code = Browser::new(self.http.clone(), front_end)
            .visit(&step.connect_url)
            .await?;
        let handshakes = || self.service.handshakes();
        let handshake = if let Some(code) = code {
            let request = CompleteHandshakeRequest {
                handshake: step.handshake,
                code,
                actor: Some(user()),
            };
            let complete = async || answer(handshakes().complete_handshake(request.clone())).await;
            patiently(complete).await?.handshake
        } else {
            let handshake = step.handshake;
            let request = GetHandshakeRequest { handshake };
            let get = async || answer(handshakes().get_handshake(request.clone())).await;
            patiently(get).await?.handshake
        };
        let handshake = handshake.context("no handshake in the answer")?;
        if handshake.state() != HandshakeState::Completed {
            bail!(Stopped::failed(&handshake));
        }
        self.revision = self.revision.max(handshake.revision);
        Ok(())
    }
}

/// The one user there is.
fn user() -> Actor {
    Actor {
        user: "alice".to_owned(),
        groups: vec![],
    }
}
