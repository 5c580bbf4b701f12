//! Applying in two steps: what is to be done is made ready by asking others, then written in one go.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::super::super::App;
use super::super::super::discovery::Seeking;
use super::super::super::error::{Error, Result};
use super::super::super::revocations::Unstored;
use super::super::change::Change;
use super::super::create::Making;
use super::super::end::End;
use super::{Applied, AppliedServer, Apply, Plan, Step, Unapplied};
use crate::domain::access::Caller;
use crate::domain::audit::NewAuditEvent;
use crate::domain::changes::Revision;
use crate::domain::ids::ServerId;
use crate::domain::revocations::Reason;
use crate::domain::servers::{Auth, Server, Spec};
use crate::store::{self, Write};

/// How many servers are made ready side by side.
const AT_ONCE: usize = 8;

/// What is to be done to one server, made ready. Dropped, nothing was done.
pub(super) enum Ready {
    Leave,
    Make(Box<Making>),
    Change(Box<Change>),
    End(Box<End>),
}

impl App {
    /// Finds out what discovery would say, and what would be done.
    pub(super) async fn look_ahead(
        &self,
        plans: Vec<Plan>,
    ) -> std::result::Result<Applied, Unapplied> {
        let look = |plan: Plan| async move {
            let looked = match &plan.step {
                Step::Make(draft) => self.find_out(&draft.spec, None).await,
                Step::Change {
                    current,
                    draft,
                    entails,
                    ..
                } if entails.needs_provision => {
                    let stays = Some(&**current).filter(|_| entails.keeps_issuer);
                    self.find_out(&draft.spec, stays).await
                }
                Step::Leave(_) | Step::Change { .. } | Step::End(_) => Ok(()),
            };
            let told = plan.told();
            looked.map(|()| told).map_err(|error| Unapplied {
                slug: Some(plan.slug),
                error,
            })
        };
        let servers = stream::iter(plans)
            .map(|plan| Box::pin(look(plan)))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Applied {
            servers,
            revision: Revision::default(),
        })
    }

    async fn find_out(&self, spec: &Spec, stays: Option<&Server>) -> Result<()> {
        let seeking = match &spec.auth {
            Auth::OAuth2(oauth2) if oauth2.endpoints.is_none() => Seeking::of(&spec.url, oauth2),
            Auth::ClientCredentials(own) if own.token_endpoint.is_none() => {
                Seeking::own(&spec.url, own)
            }
            Auth::None
            | Auth::OAuth2(_)
            | Auth::ApiKey(_)
            | Auth::CustomHeaders(_)
            | Auth::UserOidc(_)
            | Auth::ClientCredentials(_)
            | Auth::Enterprise(_)
            | Auth::Workload(_) => return Ok(()),
        };
        let found = stays.and_then(|server| server.discovered.as_ref());
        let stays = found.map(|found| &found.authorization_server.issuer);
        let issuer = seeking.issuer.or(stays);
        self.discover(&Seeking { issuer, ..seeking }).await?;
        Ok(())
    }

    async fn one_ready(
        &self,
        caller: &Caller,
        plan: Plan,
    ) -> std::result::Result<Ready, Unapplied> {
        let ready = async {
            Ok(match plan.step {
                Step::Leave(_) => Ready::Leave,
                Step::Make(draft) => Ready::Make(Box::new(
                    self.make_ready(caller, (None, None), draft).await?,
                )),
                Step::Change {
                    current,
                    draft,
                    entails,
                    ..
                } => {
                    let change = self.change_ready(caller, *current, draft, entails);
                    Ready::Change(Box::new(change.await?))
                }
                Step::End(current) => {
                    let end = self.end_ready(caller, *current, Reason::ServerDeleted);
                    Ready::End(Box::new(end.await?))
                }
            })
        };
        let slug = Some(plan.slug);
        Box::pin(ready)
            .await
            .map_err(|error| Unapplied { slug, error })
    }

    /// Asks of others what all of it needs, a few at a time.
    pub(super) async fn all_ready(
        &self,
        caller: &Caller,
        plans: Vec<Plan>,
    ) -> std::result::Result<Vec<Ready>, Unapplied> {
        stream::iter(plans)
            .map(|plan| Box::pin(self.one_ready(caller, plan)))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Writes everything in one transaction. `None` when something is not as it was read.
    pub(super) async fn write_all(
        &self,
        caller: &Caller,
        apply: &Apply,
        (ready, mut told): (Vec<Ready>, Vec<AppliedServer>),
    ) -> Result<Option<Applied>> {
        let mut steps: Vec<_> = ready.into_iter().zip(told.iter_mut()).collect();
        // Whoever writes several servers writes them in one order.
        steps.sort_by_key(|(ready, _)| ready.id());
        let mut tx = self.0.store.write().await?;
        let (mut events, mut clients) = (Vec::new(), Vec::new());
        for (ready, told) in steps {
            match ready.write(&mut tx, told).await {
                Ok(Some((event, client))) => {
                    events.extend(event);
                    clients.extend(client);
                }
                // Somebody made one of this slug meanwhile: whose it is shows at the next look.
                Ok(None) | Err(Error::SlugTaken) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let Some(last) = events.pop() else {
            let revision = tx.feed().head(&caller.tenant).await?;
            let servers = told;
            return Ok(Some(Applied { servers, revision }));
        };
        for event in events {
            tx.record(event);
        }
        if let Some(once) = &apply.once {
            let principal = caller.principal();
            let request = once.of(caller, &principal);
            let did =
                serde_json::to_string(&told).map_err(|error| Error::Internal(error.into()))?;
            match tx.requests_mut().insert(&request, &did, last.at).await {
                Err(store::Error::Conflict) => return Ok(None),
                inserted => inserted?,
            }
        }
        let (revision, _) = Unstored::commit(clients, tx, &last).await?;
        self.ring_outbox();
        Ok(Some(Applied {
            servers: told,
            revision,
        }))
    }
}

impl Ready {
    fn id(&self) -> Option<ServerId> {
        match self {
            Self::Leave => None,
            Self::Make(making) => Some(making.server.id),
            Self::Change(change) => Some(change.next.id),
            Self::End(end) => Some(end.id()),
        }
    }

    /// Writes it, and tells what came of it. `None` when something is not as it was read.
    async fn write(
        self,
        tx: &mut Write,
        told: &mut AppliedServer,
    ) -> Result<Option<(Option<NewAuditEvent>, Option<Unstored>)>> {
        Ok(Some(match self {
            Self::Leave => (None, None),
            Self::Make(mut making) => {
                making.write(tx).await?;
                told.id = making.server.id.to_string();
                (Some(making.event), making.client)
            }
            Self::Change(mut change) => {
                let Some(ended) = change.write(tx).await? else {
                    return Ok(None);
                };
                told.ended = ended;
                (Some(change.event), change.client)
            }
            Self::End(mut end) => {
                let Some(ended) = end.write(tx).await? else {
                    return Ok(None);
                };
                told.ended = ended;
                (Some(end.event), None)
            }
        }))
    }
}
