//! Many servers as they should be: what is missing is made, what differs is changed and, if that is asked for,
//! what is not described goes. Others are asked first; then everything is written at once, or nothing.

mod ready;

use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::{Error, Result};
use super::super::readable::readable;
use super::super::requests::{Once, served};
use super::{Ended, ServerRef, UPDATE_TRIES, find};
use crate::domain::access::Caller;
use crate::domain::changes::Revision;
use crate::domain::ids::ServerId;
use crate::domain::page::PageRequest;
use crate::domain::servers::{Consequences, Draft, Server, Spec};
use crate::domain::text::{Slug, Violation, Violations};
use crate::store::{self, Read, Which};

/// The servers of one manager, as they should be.
pub struct Apply {
    /// The label that all of them have.
    pub manager: String,
    /// The servers, each with a slug of its own.
    pub servers: Vec<Described>,
    /// Whether the manager's servers that are not described go.
    pub prune: bool,
    /// Whether anything is done.
    pub mode: ApplyMode,
    /// For idempotence.
    pub once: Option<Once>,
    /// The paths of fields in which one configuration differs from the other.
    pub paths: fn(&Spec, &Spec) -> Vec<String>,
}

impl std::fmt::Debug for Apply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apply")
            .field("manager", &self.manager)
            .field("servers", &self.servers.len())
            .field("prune", &self.prune)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Whether applying does what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyMode {
    /// It does.
    Write,
    /// It asks others what would be found, and changes nothing anywhere.
    DryRun,
}

/// What a configuration becomes, given what is stored.
type Drafting = dyn Fn(Option<&Server>) -> std::result::Result<Draft, Violations> + Send + Sync;

/// One server as it should be.
pub struct Described {
    /// Its slug.
    pub slug: Slug,
    /// The whole configuration, given what is stored.
    pub draft: Box<Drafting>,
}

/// What is done to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyAction {
    /// Nothing: it is as described.
    Unchanged,
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It goes.
    Delete,
}

/// What was done to one server, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedServer {
    /// What.
    pub action: ApplyAction,
    /// Its slug.
    pub slug: String,
    /// Its id; empty for one that is not made yet.
    pub id: String,
    /// What is changed of it.
    pub paths: Vec<String>,
    /// What ended with that.
    pub ended: Ended,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Each server described or deleted, by slug.
    pub servers: Vec<AppliedServer>,
    /// Where in the feed it can be seen; zero for a dry run.
    pub revision: Revision,
}

/// Why nothing was done.
#[derive(Debug)]
pub struct Unapplied {
    /// The server it is about, if it is about one.
    pub slug: Option<Slug>,
    /// Why.
    pub error: Error,
}

impl<E: Into<Error>> From<E> for Unapplied {
    fn from(error: E) -> Self {
        Self {
            slug: None,
            error: error.into(),
        }
    }
}

/// What is to be done to one server.
struct Plan {
    slug: Slug,
    step: Step,
}

enum Step {
    Leave(ServerId),
    Make(Draft),
    Change {
        current: Box<Server>,
        draft: Draft,
        entails: Consequences,
        paths: Vec<String>,
    },
    End(Box<Server>),
}

impl Plan {
    fn told(&self) -> AppliedServer {
        let (action, id, paths) = match &self.step {
            Step::Leave(id) => (ApplyAction::Unchanged, id.to_string(), Vec::new()),
            Step::Make(_) => (ApplyAction::Create, String::new(), Vec::new()),
            Step::Change { current, paths, .. } => {
                (ApplyAction::Update, current.id.to_string(), paths.clone())
            }
            Step::End(current) => (ApplyAction::Delete, current.id.to_string(), Vec::new()),
        };
        AppliedServer {
            action,
            slug: self.slug.to_string(),
            id,
            paths,
            ended: Ended::default(),
        }
    }
}

impl App {
    /// Makes the servers of one manager be as described. All or nothing, each change on record by itself; the
    /// same again changes nothing.
    pub async fn apply_servers(
        &self,
        caller: &Caller,
        apply: &Apply,
    ) -> std::result::Result<Applied, Unapplied> {
        if !caller.narrowing.servers.is_empty() {
            return Err(Error::KeyNarrowed { by: "servers" }.into());
        }
        for _ in 0..UPDATE_TRIES {
            if let Some(past) = self.applied_before(caller, apply.once.as_ref()).await? {
                return Ok(past);
            }
            let plans = self.plan_apply(caller, apply).await?;
            if apply.mode == ApplyMode::DryRun {
                return self.look_ahead(plans).await;
            }
            let told: Vec<_> = plans.iter().map(Plan::told).collect();
            let ready = match self.all_ready(caller, plans).await {
                // Somebody made one of this slug meanwhile: whose it is shows at the next look.
                Err(Unapplied {
                    error: Error::SlugTaken,
                    ..
                }) => continue,
                ready => ready?,
            };
            if let Some(applied) = self.write_all(caller, apply, (ready, told)).await? {
                return Ok(applied);
            }
        }
        Err(Error::StoreUnavailable(store::Error::Conflict).into())
    }

    /// What this very request did before.
    async fn applied_before(
        &self,
        caller: &Caller,
        once: Option<&Once>,
    ) -> Result<Option<Applied>> {
        let Some(once) = once else { return Ok(None) };
        let principal = caller.principal();
        let mut tx = self.0.store.read().await?;
        let Some(past) = served(&mut tx, &once.of(caller, &principal)).await? else {
            return Ok(None);
        };
        let past: Vec<AppliedServer> =
            serde_json::from_str(&past).map_err(|_| Error::RequestIdReused)?;
        Ok(Some(Applied {
            servers: past,
            revision: tx.feed().head(&caller.tenant).await?,
        }))
    }

    /// Judges everything that is described, and compares it with what is there.
    async fn plan_apply(
        &self,
        caller: &Caller,
        apply: &Apply,
    ) -> std::result::Result<Vec<Plan>, Unapplied> {
        let mut plans = Vec::with_capacity(apply.servers.len());
        let mut offences: Vec<Violation> = Vec::new();
        for (index, described) in apply.servers.iter().enumerate() {
            let slug = &described.slug;
            let about = |error: Error| Unapplied {
                slug: Some(slug.clone()),
                error,
            };
            match self.plan_one(caller, apply, described).await {
                Ok(step) => plans.push(Plan {
                    slug: slug.clone(),
                    step,
                }),
                Err(Error::Invalid(found)) => offences.extend(of_entry(index, found)),
                Err(error) => return Err(about(error)),
            }
        }
        if !offences.is_empty() {
            return Err(Error::Invalid(offences).into());
        }
        if apply.prune {
            let mut tx = self.0.store.read().await?;
            for server in of_manager(&mut tx, caller, &apply.manager).await? {
                let slug = server.spec.slug.clone();
                if !plans.iter().any(|plan| plan.slug == slug) {
                    let step = Step::End(Box::new(server));
                    plans.push(Plan { slug, step });
                }
            }
        }
        plans.sort_by(|a, b| a.slug.as_str().cmp(b.slug.as_str()));
        Ok(plans)
    }

    async fn plan_one(
        &self,
        caller: &Caller,
        apply: &Apply,
        described: &Described,
    ) -> Result<Step> {
        let named = ServerRef::Slug(described.slug.clone());
        let mut tx = self.0.store.read().await?;
        let current = find(&mut tx, &caller.tenant, &named).await?;
        drop(tx);
        // Nobody describes what is a user's own.
        if current
            .as_ref()
            .is_some_and(|current| current.owner.is_some())
        {
            return Err(Error::SlugTaken);
        }
        let draft = (described.draft)(current.as_ref())?;
        let Some(current) = current else {
            self.judge_making(caller, None, &draft).await?;
            return Ok(Step::Make(draft));
        };
        if current.spec.managed_by != apply.manager {
            return Err(Error::SlugTaken);
        }
        let entails = self.judge_change(caller, &current, &draft).await?;
        let mut paths = (apply.paths)(&current.spec, &draft.spec);
        paths.extend(self.secrets_that_differ(&current, &draft.secrets).await?);
        if paths.is_empty() {
            return Ok(Step::Leave(current.id));
        }
        Ok(Step::Change {
            current: Box::new(current),
            draft,
            entails,
            paths,
        })
    }
}

/// The offences of one entry, each at its place in the list.
fn of_entry(index: usize, found: Vec<Violation>) -> impl Iterator<Item = Violation> {
    found.into_iter().map(move |violation| {
        let field = violation.field.strip_prefix("server").map_or_else(
            || format!("servers[{index}].{}", violation.field),
            |rest| format!("servers[{index}]{rest}"),
        );
        Violation { field, ..violation }
    })
}

/// Every server with a manager's label that is no user's own.
async fn of_manager(tx: &mut Read, caller: &Caller, manager: &str) -> Result<Vec<Server>> {
    let mut all = Vec::new();
    let mut page = PageRequest {
        size: PageRequest::MAX,
        after: None,
    };
    loop {
        let read = tx.servers().list(&caller.tenant, Which::All, &page).await?;
        let servers = readable(read.entries).into_iter();
        let everybodys = servers.filter(|server| server.owner.is_none());
        all.extend(everybodys.filter(|server| server.spec.managed_by == manager));
        page.after = read.next;
        if page.after.is_none() {
            return Ok(all);
        }
    }
}
